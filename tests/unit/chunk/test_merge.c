#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/chunk/merge.h"
#include "random_histogram.h"

/* --- fixtures --- */

/* A set of chunks and the appenders that own their bytes. */
struct chunks {
    struct nx_chunk_appender *apps[64];
    struct nx_chunk items[64];
    size_t count;
};

static void chunks_add_floats(struct chunks *c, const int64_t *t, const double *v, size_t count)
{
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_XOR, &app), NX_OK);
    for (size_t i = 0; i < count; i++) {
        struct nx_sample s = {.t = t[i], .value = v[i]};
        assert_int_equal(nx_chunk_append(app, &s), NX_OK);
    }
    c->apps[c->count] = app;
    c->items[c->count++] = nx_chunk_appender_chunk(app);
}

static void chunks_add_histograms(struct chunks *c, const int64_t *t,
                                  const enum nx_reset_hint *hints, const double *counts,
                                  size_t count)
{
    struct nx_chunk_appender *app;
    assert_int_equal(nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &app), NX_OK);
    for (size_t i = 0; i < count; i++) {
        struct nx_histogram h = {.hint = hints[i], .count = counts[i], .zero_count = counts[i]};
        struct nx_sample s = {.t = t[i], .histogram = &h};
        assert_int_equal(nx_chunk_append(app, &s), NX_OK);
    }
    c->apps[c->count] = app;
    c->items[c->count++] = nx_chunk_appender_chunk(app);
}

static void chunks_release(struct chunks *c)
{
    for (size_t i = 0; i < c->count; i++)
        nx_chunk_appender_free(c->apps[i]);
}

static struct nx_sample_iter *open_chunks(const struct chunks *c, int64_t min_t, int64_t max_t)
{
    struct nx_sample_iter *it;
    assert_int_equal(nx_chunks_iter_new(c->items, c->count, min_t, max_t, &it), NX_OK);
    return it;
}

static void expect_float(struct nx_sample_iter *it, int64_t t, double v)
{
    struct nx_sample s;
    assert_int_equal(nx_sample_next(it, &s), 1);
    assert_int_equal(s.t, t);
    assert_null(s.histogram);
    assert_true(nx_double_bits(s.value) == nx_double_bits(v));
}

static void expect_hint(struct nx_sample_iter *it, int64_t t, enum nx_reset_hint hint)
{
    struct nx_sample s;
    assert_int_equal(nx_sample_next(it, &s), 1);
    assert_int_equal(s.t, t);
    assert_non_null(s.histogram);
    assert_int_equal(s.histogram->hint, hint);
}

static void expect_end(struct nx_sample_iter *it)
{
    struct nx_sample s;
    assert_int_equal(nx_sample_next(it, &s), 0);
    assert_int_equal(nx_sample_next(it, &s), 0);
    nx_sample_iter_free(it);
}

/* --- precedence --- */

static int sign(int v)
{
    return (v > 0) - (v < 0);
}

static void precedence_is_a_total_order(void **state)
{
    (void)state;
    struct nx_histogram stale_h = {.sum = nx_double_from_bits(NX_STALE_NAN_BITS)};
    struct nx_histogram small = {.count = 1, .sum = 5};
    struct nx_histogram small_reset = {.count = 1, .sum = 5, .hint = NX_HINT_RESET};
    struct nx_histogram wider = {.count = 1, .sum = 5, .schema = 3};
    struct nx_histogram richer = {.count = 1, .sum = 6};
    struct nx_histogram great = {.count = 2, .sum = 1};
    struct nx_sample ordered[] = {
        {.value = nx_double_from_bits(NX_STALE_NAN_BITS)},
        {.histogram = &stale_h},
        {.value = 0},
        {.value = 1},
        {.value = nx_double_from_bits(NX_NORMAL_NAN_BITS)},
        {.value = -1},
        {.histogram = &small},
        {.histogram = &small_reset},
        {.histogram = &wider},
        {.histogram = &richer},
        {.histogram = &great},
    };
    size_t n = sizeof ordered / sizeof ordered[0];
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++)
            assert_int_equal(sign(nx_sample_precedence(&ordered[i], &ordered[k])),
                             (i > k) - (i < k));
}

static void precedence_of_random_histograms_is_antisymmetric(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 50);
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (int i = 0; i < 2000; i++) {
        struct nx_sample a = {.histogram = random_histogram(&rand, &arena, true)};
        struct nx_sample b = {.histogram = grown_histogram(&rand, &arena, a.histogram)};
        int ab = sign(nx_sample_precedence(&a, &b));
        assert_int_equal(ab, -sign(nx_sample_precedence(&b, &a)));
        assert_int_equal(ab == 0, nx_histogram_identical(a.histogram, b.histogram));
        nx_arena_clear(&arena);
    }
    nx_arena_release(&arena);
}

/* --- floats --- */

static void merge_nothing_gives_nothing(void **state)
{
    (void)state;
    struct nx_sample_iter *it;
    assert_int_equal(nx_merge_iter_new(NULL, 0, &it), NX_OK);
    expect_end(it);
    assert_int_equal(nx_chunks_iter_new(NULL, 0, INT64_MIN, INT64_MAX, &it), NX_OK);
    expect_end(it);
}

static void merge_replicas_with_gaps_gives_the_union(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_floats(&c, (int64_t[]){10, 20, 40}, (double[]){1, 2, 4}, 3);
    chunks_add_floats(&c, (int64_t[]){20, 30, 40}, (double[]){2, 3, 4}, 3);
    chunks_add_floats(&c, (int64_t[]){50, 60}, (double[]){5, 6}, 2);
    chunks_add_floats(&c, (int64_t[]){50, 60}, (double[]){5, 6}, 2);
    struct nx_sample_iter *it = open_chunks(&c, INT64_MIN, INT64_MAX);
    for (int64_t i = 1; i <= 6; i++)
        expect_float(it, i * 10, (double)i);
    expect_end(it);
    it = open_chunks(&c, 20, 49);
    for (int64_t i = 2; i <= 4; i++)
        expect_float(it, i * 10, (double)i);
    expect_end(it);
    it = open_chunks(&c, 61, INT64_MAX);
    expect_end(it);
    it = open_chunks(&c, 41, 49);
    expect_end(it);
    chunks_release(&c);
}

static void merge_conflicts_follow_precedence(void **state)
{
    (void)state;
    double stale = nx_double_from_bits(NX_STALE_NAN_BITS);
    struct chunks c = {.count = 0};
    chunks_add_floats(&c, (int64_t[]){10, 20, 30}, (double[]){1, stale, 3}, 3);
    chunks_add_floats(&c, (int64_t[]){10, 20, 30}, (double[]){2, 2, stale}, 3);
    chunks_add_histograms(&c, (int64_t[]){30}, (enum nx_reset_hint[]){NX_HINT_GAUGE}, (double[]){9},
                          1);
    struct nx_sample_iter *it = open_chunks(&c, INT64_MIN, INT64_MAX);
    expect_float(it, 10, 2);
    expect_float(it, 20, 2);
    expect_hint(it, 30, NX_HINT_GAUGE);
    expect_end(it);
    chunks_release(&c);
}

static void merge_seek_skips_and_stays(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_floats(&c, (int64_t[]){10, 30, 50}, (double[]){1, 3, 5}, 3);
    chunks_add_floats(&c, (int64_t[]){20, 40, 60}, (double[]){2, 4, 6}, 3);
    chunks_add_floats(&c, (int64_t[]){100, 110}, (double[]){10, 11}, 2);
    struct nx_sample_iter *it = open_chunks(&c, INT64_MIN, INT64_MAX);
    struct nx_sample s;
    assert_int_equal(nx_sample_seek(it, 25, &s), 1);
    assert_int_equal(s.t, 30);
    assert_int_equal(nx_sample_seek(it, 12, &s), 1);
    assert_int_equal(s.t, 30);
    expect_float(it, 40, 4);
    assert_int_equal(nx_sample_seek(it, 70, &s), 1);
    assert_int_equal(s.t, 100);
    expect_float(it, 110, 11);
    assert_int_equal(nx_sample_seek(it, 111, &s), 0);
    expect_end(it);
    chunks_release(&c);
}

static void merge_of_iterators_owns_them(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_floats(&c, (int64_t[]){10, 30}, (double[]){1, 3}, 2);
    chunks_add_floats(&c, (int64_t[]){20}, (double[]){2}, 1);
    for (int n = 0; n < 6; n++) {
        struct nx_sample_iter *iters[2];
        for (size_t i = 0; i < 2; i++)
            assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, c.items[i].data, &iters[i]), NX_OK);
        struct nx_sample_iter *it;
        assert_int_equal(nx_merge_iter_new(iters, 2, &it), NX_OK);
        for (int64_t i = 1; i <= 3 && i <= n; i++)
            expect_float(it, i * 10, (double)i);
        if (n > 3)
            expect_end(it);
        else
            nx_sample_iter_free(it);
    }
    struct nx_sample_iter *one;
    struct nx_sample_iter *it;
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, c.items[0].data, &one), NX_OK);
    assert_int_equal(nx_merge_iter_new(&one, 1, &it), NX_OK);
    expect_float(it, 10, 1);
    nx_sample_iter_free(it);
    chunks_release(&c);
}

/* Many chunks cut at random from three lossy replicas must give the sorted union. */
static void merge_random_replicas_match_a_model(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 60);
    for (int round = 0; round < 300; round++) {
        enum { TIMES = 200 };
        bool present[TIMES] = {false};
        struct chunks c = {.count = 0};
        for (int replica = 0; replica < 3; replica++) {
            int64_t t[TIMES];
            double v[TIMES];
            size_t n = 0;
            for (size_t i = 0; i < TIMES; i++) {
                if (nx_rand_below(&rand, 4) != 0) {
                    t[n] = (int64_t)i;
                    v[n++] = (double)i * 1.5;
                    present[i] = true;
                }
                if (n > 0 && c.count < 60 && (nx_rand_below(&rand, 20) == 0 || i + 1 == TIMES)) {
                    chunks_add_floats(&c, t, v, n);
                    n = 0;
                }
            }
            if (n > 0)
                chunks_add_floats(&c, t, v, n);
        }
        for (size_t i = c.count - 1; i > 0; i--) {
            size_t k = (size_t)nx_rand_below(&rand, i + 1);
            struct nx_chunk swap = c.items[i];
            c.items[i] = c.items[k];
            c.items[k] = swap;
        }
        int64_t min_t = (int64_t)nx_rand_below(&rand, TIMES);
        int64_t max_t = min_t + (int64_t)nx_rand_below(&rand, TIMES);
        struct nx_sample_iter *it = open_chunks(&c, min_t, max_t);
        int64_t target = min_t;
        for (int64_t i = min_t; i <= max_t && i < TIMES; i++) {
            if (!present[i] || i < target)
                continue;
            struct nx_sample s;
            if (nx_rand_below(&rand, 8) == 0) {
                target = i - (int64_t)nx_rand_below(&rand, 3);
                assert_int_equal(nx_sample_seek(it, i, &s), 1);
            } else {
                assert_int_equal(nx_sample_next(it, &s), 1);
            }
            assert_int_equal(s.t, i);
            assert_true(nx_double_bits(s.value) == nx_double_bits((double)i * 1.5));
        }
        expect_end(it);
        chunks_release(&c);
    }
}

/* --- hints --- */

#define U NX_HINT_UNKNOWN
#define N NX_HINT_NOT_RESET
#define R NX_HINT_RESET
#define G NX_HINT_GAUGE

static void hints_of_one_chunk_are_kept_after_its_first(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_histograms(&c, (int64_t[]){1, 2, 3, 4}, (enum nx_reset_hint[]){N, N, R, G},
                          (double[]){1, 2, 1, 5}, 4);
    struct nx_sample_iter *it = open_chunks(&c, INT64_MIN, INT64_MAX);
    expect_hint(it, 1, U);
    expect_hint(it, 2, N);
    expect_hint(it, 3, R);
    expect_hint(it, 4, G);
    expect_end(it);
    chunks_release(&c);
}

static void hints_are_lost_where_sources_interleave(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_histograms(&c, (int64_t[]){1, 3, 5, 6}, (enum nx_reset_hint[]){N, N, N, N},
                          (double[]){1, 3, 5, 6}, 4);
    chunks_add_histograms(&c, (int64_t[]){2, 4}, (enum nx_reset_hint[]){N, G}, (double[]){2, 4}, 2);
    struct nx_sample_iter *it = open_chunks(&c, INT64_MIN, INT64_MAX);
    expect_hint(it, 1, U);
    expect_hint(it, 2, U);
    expect_hint(it, 3, U);
    expect_hint(it, 4, G);
    expect_hint(it, 5, U);
    expect_hint(it, 6, N);
    expect_end(it);
    chunks_release(&c);
}

static void hints_survive_where_a_replica_carries_on(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_histograms(&c, (int64_t[]){1, 2}, (enum nx_reset_hint[]){U, N}, (double[]){1, 2}, 2);
    chunks_add_histograms(&c, (int64_t[]){3, 4}, (enum nx_reset_hint[]){U, N}, (double[]){3, 4}, 2);
    chunks_add_histograms(&c, (int64_t[]){1, 2, 3}, (enum nx_reset_hint[]){U, N, N},
                          (double[]){1, 2, 3}, 3);
    struct nx_sample_iter *it = open_chunks(&c, INT64_MIN, INT64_MAX);
    expect_hint(it, 1, U);
    expect_hint(it, 2, N);
    expect_hint(it, 3, N);
    expect_hint(it, 4, N);
    expect_end(it);
    /* where the replicas disagree on 2, the loser's word about 3 does not count */
    struct chunks d = {.count = 0};
    chunks_add_histograms(&d, (int64_t[]){1, 2}, (enum nx_reset_hint[]){U, N}, (double[]){1, 9}, 2);
    chunks_add_histograms(&d, (int64_t[]){1, 2, 3}, (enum nx_reset_hint[]){U, N, N},
                          (double[]){1, 2, 3}, 3);
    it = open_chunks(&d, INT64_MIN, INT64_MAX);
    expect_hint(it, 1, U);
    expect_hint(it, 2, N);
    expect_hint(it, 3, U);
    expect_end(it);
    chunks_release(&d);
    chunks_release(&c);
}

static void hints_after_a_seek_that_skips_are_lost(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_histograms(&c, (int64_t[]){1, 2, 3, 4, 5}, (enum nx_reset_hint[]){N, N, N, N, N},
                          (double[]){1, 2, 3, 4, 5}, 5);
    struct nx_sample_iter *it = open_chunks(&c, 2, INT64_MAX);
    expect_hint(it, 2, U);
    struct nx_sample s;
    assert_int_equal(nx_sample_seek(it, 3, &s), 1);
    assert_int_equal(s.histogram->hint, N);
    assert_int_equal(nx_sample_seek(it, 5, &s), 1);
    assert_int_equal(s.histogram->hint, U);
    expect_end(it);
    chunks_release(&c);
}

/* --- damage and memory --- */

static void merge_damaged_chunk_is_an_error(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    chunks_add_floats(&c, (int64_t[]){10, 20, 40}, (double[]){1, 2, 4}, 3);
    chunks_add_floats(&c, (int64_t[]){15, 25, 45}, (double[]){1, 2, 4}, 3);
    c.items[1].data.len -= 2;
    struct nx_sample_iter *it = open_chunks(&c, INT64_MIN, INT64_MAX);
    struct nx_sample s;
    int got;
    while ((got = nx_sample_next(it, &s)) > 0)
        continue;
    assert_int_equal(got, NX_ERR_CORRUPT);
    assert_int_equal(nx_sample_next(it, &s), NX_ERR_CORRUPT);
    assert_int_equal(nx_sample_seek(it, 0, &s), NX_ERR_CORRUPT);
    nx_sample_iter_free(it);
    c.items[1].data.len += 2;
    c.items[1].min_t = 16;
    it = open_chunks(&c, INT64_MIN, INT64_MAX);
    expect_float(it, 10, 1);
    assert_int_equal(nx_sample_next(it, &s), NX_ERR_CORRUPT);
    nx_sample_iter_free(it);
    c.items[1].min_t = 15;
    c.items[1].encoding = (enum nx_chunk_encoding)99;
    it = open_chunks(&c, INT64_MIN, INT64_MAX);
    expect_float(it, 10, 1);
    assert_int_equal(nx_sample_next(it, &s), NX_ERR_CORRUPT);
    nx_sample_iter_free(it);
    chunks_release(&c);
}

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void merge_fails_cleanly_at_each_allocation(void **state)
{
    (void)state;
    struct chunks c = {.count = 0};
    for (int64_t i = 0; i < 12; i++)
        chunks_add_floats(&c, (int64_t[]){i, 100 + i}, (double[]){1, 2}, 2);
    int got = -1;
    for (int n = 0; got < 0; n++) {
        int left = n;
        struct nx_sample_iter *it = NULL;
        struct nx_sample s;
        nx_alloc_set_hook(countdown, &left);
        got = (int)nx_chunks_iter_new(c.items, c.count, INT64_MIN, INT64_MAX, &it);
        if (got == NX_OK)
            while ((got = nx_sample_next(it, &s)) > 0)
                continue;
        nx_alloc_set_hook(NULL, NULL);
        nx_sample_iter_free(it);
        assert_true(got == 0 || got == NX_ERR_NOMEM);
    }
    struct nx_sample_iter *iters[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, c.items[i].data, &iters[i]), NX_OK);
    int left = 1;
    struct nx_sample_iter *it;
    nx_alloc_set_hook(countdown, &left);
    assert_int_equal(nx_merge_iter_new(iters, 2, &it), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
    chunks_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence_is_a_total_order),
        cmocka_unit_test(precedence_of_random_histograms_is_antisymmetric),
        cmocka_unit_test(merge_nothing_gives_nothing),
        cmocka_unit_test(merge_replicas_with_gaps_gives_the_union),
        cmocka_unit_test(merge_conflicts_follow_precedence),
        cmocka_unit_test(merge_seek_skips_and_stays),
        cmocka_unit_test(merge_of_iterators_owns_them),
        cmocka_unit_test(merge_random_replicas_match_a_model),
        cmocka_unit_test(hints_of_one_chunk_are_kept_after_its_first),
        cmocka_unit_test(hints_are_lost_where_sources_interleave),
        cmocka_unit_test(hints_survive_where_a_replica_carries_on),
        cmocka_unit_test(hints_after_a_seek_that_skips_are_lost),
        cmocka_unit_test(merge_damaged_chunk_is_an_error),
        cmocka_unit_test(merge_fails_cleanly_at_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
