#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/chunk/chunk.h"
#include "xor_golden.h"
#include "xor_vector.h"

static struct nx_sample sample_of(int64_t t, uint64_t bits)
{
    return (struct nx_sample){.t = t, .value = nx_double_from_bits(bits)};
}

static struct nx_chunk_appender *open_chunk(void)
{
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_XOR, &app), NX_OK);
    return app;
}

static void append(struct nx_chunk_appender *app, int64_t t, uint64_t bits)
{
    struct nx_sample sample = sample_of(t, bits);
    assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
}

static void golden_chunks_are_written_bit_for_bit(void **state)
{
    (void)state;
    struct xor_vector v;
    for (size_t i = 0; i < sizeof xor_golden / sizeof xor_golden[0]; i++) {
        xor_vector_read(xor_golden[i], &v);
        struct nx_chunk_appender *app = open_chunk();
        for (size_t k = 0; k < v.count; k++)
            append(app, v.samples[k].t, v.samples[k].bits);
        struct nx_chunk chunk = nx_chunk_appender_chunk(app);
        assert_int_equal(chunk.count, v.count);
        assert_int_equal(chunk.min_t, v.samples[0].t);
        assert_int_equal(chunk.max_t, v.samples[v.count - 1].t);
        if (chunk.data.len != v.len || memcmp(chunk.data.ptr, v.bytes, v.len) != 0)
            fail_msg("differs: %.60s", xor_golden[i]);
        nx_chunk_appender_free(app);
    }
}

static void golden_chunks_are_read_bit_for_bit(void **state)
{
    (void)state;
    struct xor_vector v;
    for (size_t i = 0; i < sizeof xor_golden / sizeof xor_golden[0]; i++) {
        xor_vector_read(xor_golden[i], &v);
        struct nx_sample_iter *it;
        struct nx_sample s;
        assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, nx_view_make(v.bytes, v.len), &it), NX_OK);
        for (size_t k = 0; k < v.count; k++) {
            assert_int_equal(nx_sample_next(it, &s), 1);
            assert_true(s.t == v.samples[k].t);
            assert_true(nx_double_bits(s.value) == v.samples[k].bits);
            assert_null(s.histogram);
        }
        assert_int_equal(nx_sample_next(it, &s), 0);
        assert_int_equal(nx_sample_next(it, &s), 0);
        nx_sample_iter_free(it);
        struct nx_chunk chunk;
        assert_int_equal(nx_chunk_inspect(NX_CHUNK_XOR, nx_view_make(v.bytes, v.len), &chunk),
                         NX_OK);
        assert_int_equal(chunk.count, v.count);
        assert_true(chunk.min_t == v.samples[0].t && chunk.max_t == v.samples[v.count - 1].t);
    }
}

static void append_out_of_order_or_of_other_kind_is_refused(void **state)
{
    (void)state;
    struct nx_chunk_appender *app = open_chunk();
    struct nx_histogram h = {.schema = 0};
    struct nx_sample histogram = {.t = 1, .histogram = &h};
    assert_int_equal(nx_chunk_append(app, &histogram), NX_ERR_INVALID);
    append(app, 1000, 1);
    struct nx_sample late = sample_of(1000, 2);
    assert_int_equal(nx_chunk_append(app, &late), NX_ERR_INVALID);
    late.t = 999;
    assert_int_equal(nx_chunk_append(app, &late), NX_ERR_INVALID);
    assert_int_equal(nx_chunk_appender_chunk(app).count, 1);
    struct nx_sample last = nx_chunk_appender_last(app);
    assert_true(last.t == 1000 && nx_double_bits(last.value) == 1);
    nx_chunk_appender_free(app);
    struct nx_chunk_appender *none = NULL;
    assert_int_equal(nx_chunk_appender_new((enum nx_chunk_encoding)7, &none), NX_ERR_INVALID);
}

static void append_beyond_the_count_is_refused(void **state)
{
    (void)state;
    struct nx_chunk_appender *app = open_chunk();
    for (int64_t i = 0; i < NX_CHUNK_MAX_SAMPLES; i++)
        append(app, i, 0);
    struct nx_sample more = sample_of(NX_CHUNK_MAX_SAMPLES, 0);
    assert_int_equal(nx_chunk_append(app, &more), NX_ERR_LIMIT);
    struct nx_chunk chunk;
    struct nx_chunk open = nx_chunk_appender_chunk(app);
    assert_int_equal(nx_chunk_inspect(NX_CHUNK_XOR, open.data, &chunk), NX_OK);
    assert_int_equal(chunk.count, NX_CHUNK_MAX_SAMPLES);
    assert_int_equal(chunk.max_t, NX_CHUNK_MAX_SAMPLES - 1);
    nx_chunk_appender_free(app);
}

static void chunk_empty_is_readable(void **state)
{
    (void)state;
    struct nx_chunk_appender *app = open_chunk();
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    assert_int_equal(chunk.data.len, 2);
    struct nx_sample_iter *it;
    struct nx_sample s;
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, chunk.data, &it), NX_OK);
    assert_int_equal(nx_sample_seek(it, 0, &s), 0);
    assert_int_equal(nx_sample_next(it, &s), 0);
    nx_sample_iter_free(it);
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, nx_view_make("", 0), &it), NX_ERR_CORRUPT);
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, nx_view_make("\0", 1), &it), NX_ERR_CORRUPT);
    assert_int_equal(nx_chunk_iter_new((enum nx_chunk_encoding)0, chunk.data, &it), NX_ERR_INVALID);
    nx_chunk_appender_free(app);
}

static void open_chunk_is_readable_after_every_append(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 77);
    struct nx_chunk_appender *app = open_chunk();
    int64_t t = -1000000;
    for (uint32_t i = 1; i <= 300; i++) {
        append(app, t, nx_rand_u64(&rand) >> nx_rand_below(&rand, 64));
        struct nx_chunk open = nx_chunk_appender_chunk(app);
        struct nx_chunk chunk;
        assert_int_equal(nx_chunk_inspect(NX_CHUNK_XOR, open.data, &chunk), NX_OK);
        assert_int_equal(chunk.count, i);
        assert_true(chunk.max_t == t);
        t += 1 + (int64_t)nx_rand_below(&rand, UINT64_C(1) << nx_rand_below(&rand, 34));
    }
    nx_chunk_appender_free(app);
}

static void seek_goes_forward_only(void **state)
{
    (void)state;
    struct nx_chunk_appender *app = open_chunk();
    for (int64_t i = 1; i <= 10; i++)
        append(app, i * 10, (uint64_t)i);
    struct nx_sample_iter *it;
    struct nx_sample s;
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, nx_chunk_appender_chunk(app).data, &it),
                     NX_OK);
    assert_int_equal(nx_sample_seek(it, INT64_MIN, &s), 1);
    assert_int_equal(s.t, 10);
    assert_int_equal(nx_sample_seek(it, 35, &s), 1);
    assert_int_equal(s.t, 40);
    assert_int_equal(nx_sample_seek(it, 35, &s), 1);
    assert_int_equal(s.t, 40);
    assert_int_equal(nx_sample_seek(it, 5, &s), 1);
    assert_int_equal(s.t, 40);
    assert_int_equal(nx_sample_next(it, &s), 1);
    assert_int_equal(s.t, 50);
    assert_int_equal(nx_sample_seek(it, 100, &s), 1);
    assert_int_equal(s.t, 100);
    assert_int_equal(nx_sample_seek(it, 101, &s), 0);
    assert_int_equal(nx_sample_seek(it, 1, &s), 0);
    assert_int_equal(nx_sample_next(it, &s), 0);
    nx_sample_iter_free(it);
    nx_chunk_appender_free(app);
}

/* Reads everything; the last return value. */
static int drain(struct nx_view data, size_t *count)
{
    struct nx_sample_iter *it;
    struct nx_sample s;
    *count = 0;
    enum nx_err err = nx_chunk_iter_new(NX_CHUNK_XOR, data, &it);
    if (err != NX_OK)
        return (int)err;
    int got;
    int64_t before = INT64_MIN;
    while ((got = nx_sample_next(it, &s)) > 0) {
        assert_true(*count == 0 || s.t > before);
        before = s.t;
        ++*count;
    }
    assert_int_equal(nx_sample_next(it, &s), got);
    assert_int_equal(nx_sample_seek(it, INT64_MAX, &s), got);
    nx_sample_iter_free(it);
    return got;
}

static void truncated_chunks_are_corrupt(void **state)
{
    (void)state;
    struct xor_vector v;
    for (size_t i = 0; i < sizeof xor_golden / sizeof xor_golden[0]; i++) {
        xor_vector_read(xor_golden[i], &v);
        for (size_t len = 0; len < v.len; len++) {
            /* a heap copy of exact size, so that a read beyond it is seen */
            uint8_t *cut = nx_alloc(len);
            memcpy(cut, v.bytes, len);
            size_t count;
            assert_int_equal(drain(nx_view_make(cut, len), &count), NX_ERR_CORRUPT);
            assert_true(count < v.count);
            nx_free(cut);
        }
        v.bytes[v.len] = 0;
        struct nx_chunk chunk;
        assert_int_equal(nx_chunk_inspect(NX_CHUNK_XOR, nx_view_make(v.bytes, v.len + 1), &chunk),
                         NX_ERR_CORRUPT);
    }
}

static void damaged_chunks_end_without_harm(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 99);
    struct xor_vector v;
    for (int round = 0; round < 20000; round++) {
        xor_vector_read(xor_golden[nx_rand_below(&rand, sizeof xor_golden / sizeof xor_golden[0])],
                        &v);
        uint8_t *copy = nx_alloc(v.len);
        memcpy(copy, v.bytes, v.len);
        for (uint64_t n = 1 + nx_rand_below(&rand, 4); n > 0; n--)
            copy[nx_rand_below(&rand, v.len)] ^= (uint8_t)(1u << nx_rand_below(&rand, 8));
        size_t count;
        int got = drain(nx_view_make(copy, v.len), &count);
        assert_true(got == 0 || got == NX_ERR_CORRUPT);
        assert_true(count <= ((size_t)copy[0] << 8 | copy[1]));
        nx_free(copy);
    }
}

static void crafted_windows_and_times_are_corrupt(void **state)
{
    (void)state;
    size_t count;
    /* leading 31, 63 significant bits: more than there are */
    static const uint8_t window[] = {0,    2,    0,    0,    0,    0,    0,    0,
                                     0,    0,    0,    1,    0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    assert_int_equal(drain(nx_view_make(window, sizeof window), &count), NX_ERR_CORRUPT);
    assert_int_equal(count, 1);
    /* a second sample at the same time */
    static const uint8_t same[] = {0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    assert_int_equal(drain(nx_view_make(same, sizeof same), &count), NX_ERR_CORRUPT);
    /* a varint of eleven bytes */
    static const uint8_t varint[] = {0,    1,    0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
                                     0xFF, 0xFF, 0xFF, 0xFF, 0,    0,    0,    0,
                                     0,    0,    0,    0,    0,    0,    0};
    assert_int_equal(drain(nx_view_make(varint, sizeof varint), &count), NX_ERR_CORRUPT);
    assert_int_equal(count, 0);
}

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void append_without_memory_changes_nothing(void **state)
{
    (void)state;
    struct nx_chunk_appender *app = open_chunk();
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    int refused = 0;
    for (int64_t t = 0; t < 400; t++) {
        struct nx_sample sample = sample_of(t, nx_rand_u64(&rand));
        int left = 0;
        uint32_t before = nx_chunk_appender_chunk(app).count;
        nx_alloc_set_hook(countdown, &left);
        enum nx_err err = nx_chunk_append(app, &sample);
        nx_alloc_set_hook(NULL, NULL);
        if (err != NX_OK) {
            assert_int_equal(err, NX_ERR_NOMEM);
            assert_int_equal(nx_chunk_appender_chunk(app).count, before);
            assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
            refused++;
        }
        assert_int_equal(nx_chunk_appender_chunk(app).count, before + 1);
    }
    assert_true(refused > 5);
    struct nx_chunk chunk;
    assert_int_equal(nx_chunk_inspect(NX_CHUNK_XOR, nx_chunk_appender_chunk(app).data, &chunk),
                     NX_OK);
    assert_int_equal(chunk.count, 400);
    nx_chunk_appender_free(app);
    int left = 0;
    nx_alloc_set_hook(countdown, &left);
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_XOR, &app), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
}

static void memory_of_a_regular_series_is_modest(void **state)
{
    (void)state;
    struct nx_chunk_appender *app = open_chunk();
    assert_true(nx_chunk_appender_memory_bytes(app) <= 64);
    for (int64_t i = 0; i < 120; i++)
        append(app, 1700000000000 + i * 15000, nx_double_bits((double)(i * 3)));
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    assert_true(nx_chunk_appender_memory_bytes(app) <= chunk.data.len + chunk.data.len / 3 + 96);
    nx_chunk_appender_free(app);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_chunks_are_written_bit_for_bit),
        cmocka_unit_test(golden_chunks_are_read_bit_for_bit),
        cmocka_unit_test(append_out_of_order_or_of_other_kind_is_refused),
        cmocka_unit_test(append_beyond_the_count_is_refused),
        cmocka_unit_test(chunk_empty_is_readable),
        cmocka_unit_test(open_chunk_is_readable_after_every_append),
        cmocka_unit_test(seek_goes_forward_only),
        cmocka_unit_test(truncated_chunks_are_corrupt),
        cmocka_unit_test(damaged_chunks_end_without_harm),
        cmocka_unit_test(crafted_windows_and_times_are_corrupt),
        cmocka_unit_test(append_without_memory_changes_nothing),
        cmocka_unit_test(memory_of_a_regular_series_is_modest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
