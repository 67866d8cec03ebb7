#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/chunk/chunk.h"
#include "random_histogram.h"

enum { SAMPLES = 40 };

struct series {
    struct nx_arena arena;
    int64_t t[SAMPLES];
    const struct nx_histogram *h[SAMPLES];
};

static const struct nx_histogram *stale_marker(struct nx_arena *arena, struct nx_rand *rand)
{
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    h->sum = nx_double_from_bits(NX_STALE_NAN_BITS);
    h->hint = (enum nx_reset_hint)nx_rand_below(rand, 4);
    h->integer = nx_rand_below(rand, 2) == 0;
    return h;
}

/* Mostly growth in one layout, sometimes a new layout, a stale marker or a full histogram with a
 * stale sum. */
static void random_series(struct series *s, struct nx_rand *rand)
{
    nx_arena_init(&s->arena, 0);
    int64_t t = (int64_t)nx_rand_below(rand, 1000000) - 500000;
    const struct nx_histogram *full = NULL;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint64_t what = nx_rand_below(rand, 12);
        if (what == 0) {
            s->h[i] = stale_marker(&s->arena, rand);
        } else if (!full || what == 1) {
            s->h[i] = full = random_histogram(rand, &s->arena, nx_rand_below(rand, 2) == 0);
        } else {
            struct nx_histogram *next = grown_histogram(rand, &s->arena, full);
            next->hint = (enum nx_reset_hint)nx_rand_below(rand, 4);
            if (what == 2)
                next->sum = nx_double_from_bits(NX_STALE_NAN_BITS);
            if (what == 3)
                next->zero_count = nx_rand_unit(rand);
            s->h[i] = full = next;
        }
        s->t[i] = t;
        t += 15000 + (int64_t)nx_rand_below(rand, 50);
    }
}

static struct nx_chunk_appender *write_series(const struct series *s)
{
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &app), NX_OK);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct nx_sample sample = {.t = s->t[i], .histogram = s->h[i]};
        assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
        struct nx_sample last = nx_chunk_appender_last(app);
        assert_int_equal(last.t, s->t[i]);
        assert_true(nx_histogram_identical(last.histogram, s->h[i]));
    }
    return app;
}

static void run_random_series_round_trip(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 31);
    for (int round = 0; round < 300; round++) {
        struct series s;
        random_series(&s, &rand);
        struct nx_chunk_appender *app = write_series(&s);
        struct nx_chunk chunk = nx_chunk_appender_chunk(app);
        assert_int_equal(chunk.count, SAMPLES);
        struct nx_sample_iter *it;
        struct nx_sample sample;
        assert_int_equal(nx_chunk_iter_new(chunk.encoding, chunk.data, &it), NX_OK);
        for (size_t i = 0; i < SAMPLES; i++) {
            assert_int_equal(nx_sample_next(it, &sample), 1);
            assert_int_equal(sample.t, s.t[i]);
            assert_true(nx_histogram_identical(sample.histogram, s.h[i]));
        }
        assert_int_equal(nx_sample_next(it, &sample), 0);
        nx_sample_iter_free(it);
        struct nx_chunk inspected;
        assert_int_equal(nx_chunk_inspect(chunk.encoding, chunk.data, &inspected), NX_OK);
        assert_true(inspected.min_t == s.t[0] && inspected.max_t == s.t[SAMPLES - 1]);
        nx_chunk_appender_free(app);
        nx_arena_release(&s.arena);
    }
}

static void run_open_chunk_is_readable_after_every_append(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 32);
    struct series s;
    random_series(&s, &rand);
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &app), NX_OK);
    struct nx_chunk inspected;
    assert_int_equal(
        nx_chunk_inspect(NX_CHUNK_HISTOGRAM_RUN, nx_chunk_appender_chunk(app).data, &inspected),
        NX_OK);
    assert_int_equal(inspected.count, 0);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct nx_sample sample = {.t = s.t[i], .histogram = s.h[i]};
        assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
        struct nx_chunk open = nx_chunk_appender_chunk(app);
        assert_int_equal(nx_chunk_inspect(open.encoding, open.data, &inspected), NX_OK);
        assert_int_equal(inspected.count, i + 1);
    }
    nx_chunk_appender_free(app);
    nx_arena_release(&s.arena);
}

static void run_growth_in_one_layout_is_compact(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    double buckets[100];
    struct nx_span span = {.offset = -50, .length = 100};
    struct nx_histogram h = {.integer = true,
                             .schema = 3,
                             .positive_spans = &span,
                             .positive_span_count = 1,
                             .positive = buckets,
                             .positive_count = 100};
    for (size_t i = 0; i < 100; i++)
        buckets[i] = (double)(i * 10);
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &app), NX_OK);
    for (int64_t i = 0; i < 100; i++) {
        struct nx_sample sample = {.t = 1700000000000 + i * 15000, .histogram = &h};
        assert_int_equal(nx_chunk_append(app, &sample), NX_OK);
        buckets[i % 100] += 5;
        buckets[(i + 7) % 100] += 1;
        h.count += 6;
        h.sum += 0.25;
    }
    /* flags, time, sum, two totals, a map of 13 bytes, two buckets */
    assert_true(nx_chunk_appender_chunk(app).data.len < 300 + 100 * 30);
    nx_chunk_appender_free(app);
    nx_arena_release(&arena);
}

static void run_floats_and_unsound_histograms_are_refused(void **state)
{
    (void)state;
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &app), NX_OK);
    struct nx_sample number = {.t = 1, .value = 1};
    assert_int_equal(nx_chunk_append(app, &number), NX_ERR_INVALID);
    struct nx_histogram unsound = {.schema = 77};
    struct nx_sample bad = {.t = 1, .histogram = &unsound};
    assert_int_equal(nx_chunk_append(app, &bad), NX_ERR_INVALID);
    assert_int_equal(nx_chunk_appender_chunk(app).count, 0);
    struct nx_histogram good = {.schema = 0};
    struct nx_sample ok = {.t = 1, .histogram = &good};
    assert_int_equal(nx_chunk_append(app, &ok), NX_OK);
    assert_int_equal(nx_chunk_append(app, &ok), NX_ERR_INVALID);
    assert_int_equal(nx_chunk_appender_chunk(app).count, 1);
    nx_chunk_appender_free(app);
}

static void run_damaged_chunks_end_without_harm(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 33);
    for (int series = 0; series < 30; series++) {
        struct series s;
        random_series(&s, &rand);
        struct nx_chunk_appender *app = write_series(&s);
        struct nx_view data = nx_chunk_appender_chunk(app).data;
        for (int round = 0; round < 300; round++) {
            size_t len = round % 3 ? data.len : (size_t)nx_rand_below(&rand, data.len);
            uint8_t *copy = nx_alloc(len);
            memcpy(copy, data.ptr, len);
            for (uint64_t n = nx_rand_below(&rand, 4); n > 0 && len > 0; n--)
                copy[nx_rand_below(&rand, len)] = (uint8_t)nx_rand_u64(&rand);
            struct nx_sample_iter *it;
            struct nx_sample sample;
            if (nx_chunk_iter_new(NX_CHUNK_HISTOGRAM_RUN, nx_view_make(copy, len), &it) == NX_OK) {
                int got;
                while ((got = nx_sample_next(it, &sample)) > 0)
                    assert_true(nx_histogram_is_sound(sample.histogram));
                assert_true(got == 0 || got == NX_ERR_CORRUPT);
                assert_int_equal(nx_sample_next(it, &sample), got);
                nx_sample_iter_free(it);
            }
            nx_free(copy);
        }
        nx_chunk_appender_free(app);
        nx_arena_release(&s.arena);
    }
}

static void run_seek_goes_forward_only(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 34);
    struct series s;
    random_series(&s, &rand);
    struct nx_chunk_appender *app = write_series(&s);
    struct nx_sample_iter *it;
    struct nx_sample sample;
    assert_int_equal(
        nx_chunk_iter_new(NX_CHUNK_HISTOGRAM_RUN, nx_chunk_appender_chunk(app).data, &it), NX_OK);
    assert_int_equal(nx_sample_seek(it, s.t[5] - 1, &sample), 1);
    assert_int_equal(sample.t, s.t[5]);
    assert_int_equal(nx_sample_seek(it, s.t[2], &sample), 1);
    assert_true(nx_histogram_identical(sample.histogram, s.h[5]));
    assert_int_equal(nx_sample_seek(it, s.t[SAMPLES - 1] + 1, &sample), 0);
    nx_sample_iter_free(it);
    nx_chunk_appender_free(app);
    nx_arena_release(&s.arena);
}

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void run_append_without_memory_changes_nothing(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 35);
    struct series s;
    random_series(&s, &rand);
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &app), NX_OK);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct nx_sample sample = {.t = s.t[i], .histogram = s.h[i]};
        enum nx_err err = NX_ERR_NOMEM;
        for (int n = 0; err != NX_OK; n++) {
            int left = n;
            nx_alloc_set_hook(countdown, &left);
            err = nx_chunk_append(app, &sample);
            nx_alloc_set_hook(NULL, NULL);
            assert_true(err == NX_OK || err == NX_ERR_NOMEM);
            assert_int_equal(nx_chunk_appender_chunk(app).count, i + (err == NX_OK));
        }
    }
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    struct nx_chunk_appender *plain = write_series(&s);
    struct nx_chunk expected = nx_chunk_appender_chunk(plain);
    assert_true(nx_view_eq(chunk.data, expected.data));
    nx_chunk_appender_free(plain);
    nx_chunk_appender_free(app);
    nx_arena_release(&s.arena);
}

static void run_read_without_memory_says_so(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 36);
    struct series s;
    random_series(&s, &rand);
    struct nx_chunk_appender *app = write_series(&s);
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    enum nx_err err = NX_ERR_NOMEM;
    for (int n = 0; err != NX_OK; n++) {
        int left = n;
        struct nx_chunk out;
        nx_alloc_set_hook(countdown, &left);
        err = nx_chunk_inspect(chunk.encoding, chunk.data, &out);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM);
    }
    nx_chunk_appender_free(app);
    nx_arena_release(&s.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_random_series_round_trip),
        cmocka_unit_test(run_open_chunk_is_readable_after_every_append),
        cmocka_unit_test(run_growth_in_one_layout_is_compact),
        cmocka_unit_test(run_floats_and_unsound_histograms_are_refused),
        cmocka_unit_test(run_damaged_chunks_end_without_harm),
        cmocka_unit_test(run_seek_goes_forward_only),
        cmocka_unit_test(run_append_without_memory_changes_nothing),
        cmocka_unit_test(run_read_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
