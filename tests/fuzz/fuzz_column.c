/* Columns. First byte even: the rest is a COLUMN chunk, read by groups and sample by sample, which
 * must agree; what comes out ascends, and written anew comes out the same. Odd: the rest is taken
 * for values, eight bytes each, which must come back bit for bit. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/chunk/chunk.h"
#include "common/chunk/column/column_chunk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

struct samples {
    int64_t times[NX_COLUMN_MAX];
    uint64_t bits[NX_COLUMN_MAX];
    size_t count;
};

static enum nx_err read_groups(struct nx_view chunk, struct samples *out)
{
    struct nx_column_reader reader;
    int64_t times[NX_PACK_GROUP];
    double values[NX_PACK_GROUP];
    uint32_t count;
    size_t got = 1;
    out->count = 0;
    enum nx_err err = nx_column_open(&reader, chunk, &count);
    while (err == NX_OK && got > 0) {
        err = nx_column_next(&reader, times, values, &got);
        if (err != NX_OK)
            break;
        require(out->count + got <= count);
        memcpy(out->times + out->count, times, got * sizeof *times);
        memcpy(out->bits + out->count, values, got * sizeof *values);
        out->count += got;
    }
    require(err == NX_OK || err == NX_ERR_CORRUPT);
    require(err != NX_OK || out->count == count);
    return err;
}

static void read_singly(struct nx_view chunk, const struct samples *expected, enum nx_err err)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    size_t count = 0;
    int rc = (int)nx_chunk_iter_new(NX_CHUNK_COLUMN, chunk, &it);
    if (rc != NX_OK) {
        require(rc == (int)err);
        return;
    }
    int64_t last = INT64_MIN;
    while ((rc = nx_sample_next(it, &sample)) == 1) {
        require(count < expected->count && (count == 0 || sample.t > last));
        require(sample.t == expected->times[count]);
        require(nx_double_bits(sample.value) == expected->bits[count]);
        last = sample.t;
        count++;
    }
    require(rc == (int)err && count == expected->count);
    nx_sample_iter_free(it);
}

static void write_and_compare(const struct samples *samples, struct samples *again,
                              struct nx_values_scratch *scratch)
{
    struct nx_buf times, values, chunk;
    nx_buf_init(&times, SIZE_MAX);
    nx_buf_init(&values, SIZE_MAX);
    nx_buf_init(&chunk, SIZE_MAX);
    nx_ints_encode(&times, samples->times, samples->count);
    nx_values_encode(&values, samples->bits, samples->count, scratch);
    nx_column_put(&chunk, samples->count, nx_buf_view(&times), nx_buf_view(&values));
    require(nx_buf_err(&times) == NX_OK && nx_buf_err(&values) == NX_OK &&
            nx_buf_err(&chunk) == NX_OK);
    require(read_groups(nx_buf_view(&chunk), again) == NX_OK && again->count == samples->count);
    require(memcmp(again->times, samples->times, samples->count * sizeof(int64_t)) == 0);
    require(memcmp(again->bits, samples->bits, samples->count * sizeof(uint64_t)) == 0);
    nx_buf_release(&times);
    nx_buf_release(&values);
    nx_buf_release(&chunk);
}

static void take_values(const uint8_t *data, size_t size, struct samples *out)
{
    out->count = size / sizeof(uint64_t);
    out->count = out->count < NX_COLUMN_MAX ? out->count : NX_COLUMN_MAX;
    for (size_t i = 0; i < out->count; i++) {
        memcpy(&out->bits[i], data + i * sizeof(uint64_t), sizeof(uint64_t));
        out->times[i] = (int64_t)i * 15000 + (int64_t)(out->bits[i] % 7000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct samples *samples = nx_alloc_array(2, sizeof *samples);
    struct nx_values_scratch *scratch = nx_alloc(sizeof *scratch);
    uint8_t *copy = nx_alloc(size); /* exactly, so that a sanitizer sees a byte read beyond it */
    require(samples && scratch && copy);
    memcpy(copy, data + 1, size - 1);
    struct nx_view chunk = nx_view_make(copy, size - 1);
    samples->count = 0;
    enum nx_err err = NX_OK;
    if (data[0] % 2 == 0) {
        err = read_groups(chunk, samples);
        read_singly(chunk, samples, err);
    } else {
        take_values(copy, size - 1, samples);
    }
    if (err == NX_OK && samples->count > 0)
        write_and_compare(samples, samples + 1, scratch);
    nx_free(copy);
    nx_free(scratch);
    nx_free(samples);
    return 0;
}
