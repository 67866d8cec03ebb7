/* Chunk bytes of either encoding (the first byte chooses). What can be read must be ascending and
 * sound, and must survive being written and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "common/chunk/merge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool same(const struct nx_sample *a, const struct nx_sample *b)
{
    if (a->t != b->t || (a->histogram != NULL) != (b->histogram != NULL))
        return false;
    if (a->histogram)
        return nx_histogram_identical(a->histogram, b->histogram);
    return nx_double_bits(a->value) == nx_double_bits(b->value);
}

/* Reads all that can be read and writes it into a chunk of our own. */
static uint32_t copy_samples(enum nx_chunk_encoding encoding, struct nx_view bytes,
                             struct nx_chunk_appender *app)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    uint32_t count = 0;
    if (nx_chunk_iter_new(encoding, bytes, &it) != NX_OK)
        return 0;
    int got;
    while ((got = nx_sample_next(it, &sample)) > 0) {
        require(!sample.histogram || nx_histogram_is_sound(sample.histogram));
        require(nx_chunk_append(app, &sample) == NX_OK);
        count++;
    }
    require(got == 0 || got == NX_ERR_CORRUPT || got == NX_ERR_NOMEM);
    nx_sample_iter_free(it);
    return count;
}

static void compare(enum nx_chunk_encoding encoding, struct nx_view bytes, struct nx_view copy,
                    uint32_t count)
{
    struct nx_sample_iter *original;
    struct nx_sample_iter *written;
    struct nx_sample a;
    struct nx_sample b;
    if (nx_chunk_iter_new(encoding, bytes, &original) != NX_OK)
        return;
    require(nx_chunk_iter_new(encoding, copy, &written) == NX_OK);
    for (uint32_t i = 0; i < count; i++) {
        require(nx_sample_next(original, &a) == 1 && nx_sample_next(written, &b) == 1);
        require(same(&a, &b));
    }
    require(nx_sample_next(written, &b) == 0);
    nx_sample_iter_free(original);
    nx_sample_iter_free(written);
}

static void merge_with_itself(struct nx_chunk chunk, int64_t from)
{
    struct nx_chunk twice[2] = {chunk, chunk};
    struct nx_sample_iter *it;
    struct nx_sample sample;
    require(nx_chunks_iter_new(twice, 2, from, INT64_MAX, &it) == NX_OK);
    uint32_t count = 0;
    while (nx_sample_next(it, &sample) > 0)
        count++;
    require(count <= chunk.count);
    nx_sample_iter_free(it);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    enum nx_chunk_encoding encoding = data[0] & 1 ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR;
    struct nx_view bytes = nx_view_make(data + 1, size - 1);
    struct nx_chunk_appender *app;
    struct nx_chunk inspected;
    require(nx_chunk_appender_new(encoding, &app) == NX_OK);
    uint32_t count = copy_samples(encoding, bytes, app);
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    require(chunk.count == count);
    compare(encoding, bytes, chunk.data, count);
    require(nx_chunk_inspect(encoding, chunk.data, &inspected) == NX_OK);
    require(inspected.count == count);
    if (nx_chunk_inspect(encoding, bytes, &inspected) == NX_OK)
        require(inspected.count == count);
    if (count > 0)
        merge_with_itself(chunk, chunk.min_t + (chunk.max_t / 2 - chunk.min_t / 2));
    nx_chunk_appender_free(app);
    return 0;
}
