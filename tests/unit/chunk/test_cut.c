/* Time ranges out of chunks, against leaving out samples one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/chunk/cut.h"
#include "random_histogram.h"

#define SAMPLES 60

static struct nx_chunk make_chunk(struct nx_arena *arena, const struct nx_sample *samples,
                                  size_t count)
{
    struct nx_chunk_appender *app;
    assert_int_equal(
        nx_chunk_appender_new(samples[0].histogram ? NX_CHUNK_HISTOGRAM_RUN : NX_CHUNK_XOR, &app),
        NX_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(nx_chunk_append(app, &samples[i]), NX_OK);
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    chunk.data = nx_arena_copy(arena, chunk.data);
    nx_chunk_appender_free(app);
    return chunk;
}

static bool is_cut(const struct nx_interval *intervals, size_t count, int64_t t)
{
    for (size_t i = 0; i < count; i++)
        if (t >= intervals[i].min_t && t <= intervals[i].max_t)
            return true;
    return false;
}

static void check(const struct nx_chunk *chunk, const struct nx_sample *samples, size_t count,
                  const struct nx_interval *intervals, size_t interval_count)
{
    struct nx_sample_iter *it = NULL;
    struct nx_sample got;
    size_t left = 0;
    bool gap = false;
    if (chunk->count > 0)
        assert_int_equal(nx_chunk_iter_new(chunk->encoding, chunk->data, &it), NX_OK);
    for (size_t i = 0; i < count; i++) {
        if (is_cut(intervals, interval_count, samples[i].t)) {
            gap = true;
            continue;
        }
        assert_non_null(it);
        assert_int_equal(nx_sample_next(it, &got), 1);
        assert_true(got.t == samples[i].t);
        if (samples[i].histogram) {
            struct nx_histogram expected = *samples[i].histogram;
            if (gap && expected.hint != NX_HINT_GAUGE)
                expected.hint = NX_HINT_UNKNOWN;
            assert_true(nx_histogram_identical(got.histogram, &expected));
        } else {
            assert_true(nx_double_bits(got.value) == nx_double_bits(samples[i].value));
        }
        if (left++ == 0)
            assert_true(chunk->min_t == samples[i].t);
        gap = false;
    }
    assert_int_equal(chunk->count, left);
    if (it)
        assert_int_equal(nx_sample_next(it, &got), 0);
    nx_sample_iter_free(it);
}

static void cut_chunk_has_the_samples_outside_of_all_intervals(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct nx_arena arena;
        struct nx_rand rand;
        struct nx_sample samples[SAMPLES];
        struct nx_interval intervals[4];
        nx_arena_init(&arena, 0);
        nx_rand_seeded(&rand, seed);
        size_t count = 1 + nx_rand_below(&rand, SAMPLES);
        bool histograms = nx_rand_below(&rand, 3) == 0;
        int64_t t = -500;
        for (size_t i = 0; i < count; i++) {
            t += 1 + (int64_t)nx_rand_below(&rand, 30);
            samples[i] = (struct nx_sample){.t = t, .value = nx_rand_unit(&rand)};
            if (histograms)
                samples[i].histogram = random_histogram(&rand, &arena, true);
        }
        struct nx_chunk chunk = make_chunk(&arena, samples, count), out;
        size_t n = nx_rand_below(&rand, 5);
        for (size_t i = 0; i < n; i++) {
            int64_t from = -600 + (int64_t)nx_rand_below(&rand, 1500);
            intervals[i] = (struct nx_interval){from, from + (int64_t)nx_rand_below(&rand, 400)};
        }
        assert_int_equal(nx_chunk_cut(&chunk, intervals, n, &arena, &out), NX_OK);
        check(&out, samples, count, intervals, n);
        if (out.count == chunk.count)
            assert_ptr_equal(out.data.ptr, chunk.data.ptr); /* as it is */
        nx_arena_release(&arena);
    }
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void cutting_damaged_bytes_or_without_memory_is_an_error(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_sample samples[10];
    struct nx_interval interval = {3, 5};
    nx_arena_init(&arena, 0);
    for (int i = 0; i < 10; i++)
        samples[i] = (struct nx_sample){.t = i, .value = i * 1.1};
    struct nx_chunk chunk = make_chunk(&arena, samples, 10), out;
    for (size_t n = 0;; n++) {
        struct nx_arena own;
        size_t left = n;
        nx_arena_init(&own, 0);
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = nx_chunk_cut(&chunk, &interval, 1, &own, &out);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK)
            check(&out, samples, 10, &interval, 1);
        nx_arena_release(&own);
        if (err == NX_OK)
            break;
        assert_int_equal(err, NX_ERR_NOMEM);
    }
    chunk.data.len /= 2;
    assert_int_equal(nx_chunk_cut(&chunk, &interval, 1, &arena, &out), NX_ERR_CORRUPT);
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_chunk_has_the_samples_outside_of_all_intervals),
        cmocka_unit_test(cutting_damaged_bytes_or_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
