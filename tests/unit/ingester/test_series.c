/* The rules by which a series takes samples. */
#include "common/base/alloc.h"
#include "common/chunk/merge.h"
#include "fixture.h"
#include "ingester/head/series.h"

#define T0 (INT64_C(200000) * 2 * HOUR_MS) /* the start of a window */

static const struct ing_window_rules rules = {.window_ms = 2 * HOUR_MS, .out_of_order_ms = HOUR_MS};
static struct ing_pool pool;

static enum nx_err add(struct ing_series *series, int64_t t, double value,
                       enum ing_append_result *result)
{
    struct nx_sample sample = {.t = t, .value = value};
    *result = ING_APPENDED;
    return ing_series_append(&pool, series, &sample, result);
}

static void added(struct ing_series *series, int64_t t, double value)
{
    enum ing_append_result result;
    assert_int_equal(add(series, t, value, &result), NX_OK);
    assert_int_equal(result, ING_APPENDED);
}

static void duplicate(struct ing_series *series, int64_t t, double value)
{
    enum ing_append_result result;
    assert_int_equal(add(series, t, value, &result), NX_OK);
    assert_int_equal(result, ING_DUPLICATE);
}

static void refused(struct ing_series *series, int64_t t, double value, enum nx_err err)
{
    enum ing_append_result result;
    assert_int_equal(add(series, t, value, &result), err);
}

/* The number of samples that reading gives, which must ascend. */
static size_t count_samples(const struct ing_series *series, int64_t min_t, int64_t max_t)
{
    struct ing_sealed_list list = {0};
    struct nx_chunk chunks[1000];
    struct nx_sample_iter *it;
    struct nx_sample sample;
    size_t count = 0;
    assert_int_equal(ing_series_read(&pool, series, min_t, max_t, &list), NX_OK);
    assert_int_equal(ing_series_overlaps(&pool, series, min_t, max_t), list.count > 0);
    assert_in_range(list.count, 0, 999);
    for (uint32_t i = 0; i < list.count; i++) {
        chunks[i] = ing_sealed_chunk(list.items[i]);
        assert_in_range(chunks[i].count, 1, ING_CHUNK_SAMPLES);
    }
    assert_int_equal(nx_chunks_iter_new(chunks, list.count, min_t, max_t, &it), NX_OK);
    int64_t last = INT64_MIN;
    while (nx_sample_next(it, &sample) == 1) {
        assert_true(sample.t > last);
        last = sample.t;
        count++;
    }
    nx_sample_iter_free(it);
    ing_sealed_list_release(&list);
    return count;
}

static void same_sample_again_is_accepted_and_not_kept(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    for (int i = 0; i < 300; i++)
        added(&series, T0 + i * 1000, i);
    for (int i = 0; i < 300; i++)
        duplicate(&series, T0 + i * 1000, i);
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), 300);
    ing_series_release_samples(&pool, &series);
}

static void other_value_at_a_time_is_a_conflict_wherever_the_first_lies(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    for (int i = 0; i < 130; i++)
        added(&series, T0 + i * 1000, i);
    added(&series, T0 + 500, 5);                           /* out of order */
    refused(&series, T0 + 129 * 1000, 0, NX_ERR_CONFLICT); /* newest */
    refused(&series, T0 + 125 * 1000, 0, NX_ERR_CONFLICT); /* open chunk */
    refused(&series, T0 + 3 * 1000, 0, NX_ERR_CONFLICT);   /* sealed chunk */
    refused(&series, T0 + 500, 6, NX_ERR_CONFLICT);        /* out-of-order run */
    duplicate(&series, T0 + 500, 5);
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), 131);
    ing_series_release_samples(&pool, &series);
}

static void zeros_and_nans_are_told_apart_by_their_bits(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    added(&series, T0, 0.0);
    refused(&series, T0, -0.0, NX_ERR_CONFLICT);
    added(&series, T0 + 1, nx_double_from_bits(NX_STALE_NAN_BITS));
    refused(&series, T0 + 1, nx_double_from_bits(NX_NORMAL_NAN_BITS), NX_ERR_CONFLICT);
    duplicate(&series, T0 + 1, nx_double_from_bits(NX_STALE_NAN_BITS));
    ing_series_release_samples(&pool, &series);
}

static void sample_behind_the_window_is_too_old_unless_it_is_there(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    added(&series, T0, 1);
    added(&series, T0 + 3 * HOUR_MS, 2);
    added(&series, T0 + 2 * HOUR_MS, 3); /* exactly at the edge */
    refused(&series, T0 + 2 * HOUR_MS - 1, 3, NX_ERR_TOO_OLD);
    duplicate(&series, T0, 1);
    refused(&series, T0, 9, NX_ERR_CONFLICT);
    ing_series_release_samples(&pool, &series);
}

static void times_beyond_the_limit_are_out_of_bounds(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    refused(&series, INT64_MAX, 1, NX_ERR_OUT_OF_BOUNDS);
    refused(&series, INT64_MIN, 1, NX_ERR_OUT_OF_BOUNDS);
    refused(&series, ING_TIME_LIMIT + 1, 1, NX_ERR_OUT_OF_BOUNDS);
    added(&series, -ING_TIME_LIMIT, 1);
    added(&series, ING_TIME_LIMIT, 1);
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), 2);
    ing_series_release_samples(&pool, &series);
}

static void many_samples_out_of_order_are_all_kept(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    struct nx_rand rand;
    bool sent[3600] = {0};
    size_t count = 1;
    nx_rand_seeded(&rand, 3);
    added(&series, T0 + 2 * HOUR_MS + 1800000, 0); /* behind it lie parts of two windows */
    for (int i = 0; i < 3000; i++) {
        int at = (int)nx_rand_below(&rand, 3600);
        int64_t t = T0 + 2 * HOUR_MS + 1800000 - 3600000 + at * 1000;
        if (sent[at]) {
            duplicate(&series, t, at);
        } else {
            added(&series, t, at);
            count++;
        }
        sent[at] = true;
    }
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), count);
    ing_series_release_samples(&pool, &series);
}

static void kinds_mix_and_histograms_follow_the_same_rules(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    struct nx_arena arena;
    enum ing_append_result result;
    nx_arena_init(&arena, 0);
    for (int i = 0; i < 10; i++) {
        struct nx_sample sample = {
            .t = T0 + i, .histogram = i % 3 ? make_histogram(&arena, i) : NULL, .value = i};
        assert_int_equal(ing_series_append(&pool, &series, &sample, &result), NX_OK);
    }
    struct nx_sample again = {.t = T0 + 4, .histogram = make_histogram(&arena, 4)};
    assert_int_equal(ing_series_append(&pool, &series, &again, &result), NX_OK);
    assert_int_equal(result, ING_DUPLICATE);
    struct nx_sample other = {.t = T0 + 4, .histogram = make_histogram(&arena, 5)};
    assert_int_equal(ing_series_append(&pool, &series, &other, &result), NX_ERR_CONFLICT);
    struct nx_sample number = {.t = T0 + 4, .value = 4};
    assert_int_equal(ing_series_append(&pool, &series, &number, &result), NX_ERR_CONFLICT);
    struct nx_sample early = {.t = T0 - 100, .histogram = make_histogram(&arena, 9)};
    assert_int_equal(ing_series_append(&pool, &series, &early, &result), NX_OK);
    assert_int_equal(result, ING_APPENDED);
    assert_int_equal(ing_series_append(&pool, &series, &early, &result), NX_OK);
    assert_int_equal(result, ING_DUPLICATE);
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), 11);
    nx_arena_release(&arena);
    ing_series_release_samples(&pool, &series);
}

static void snapshot_and_drop_leave_what_came_later(void **state)
{
    (void)state;
    struct ing_series series = {.newest_t = INT64_MIN};
    for (int i = 0; i < 200; i++)
        added(&series, T0 + i * 60000, i); /* 200 minutes: two windows */
    added(&series, T0 + 140 * 60000 + 1, 1);
    struct ing_sealed_list taken = {0};
    assert_int_equal(ing_series_snapshot(&pool, &series, T0, T0 + 2 * HOUR_MS - 1, &taken), NX_OK);
    size_t count = 0;
    for (uint32_t i = 0; i < taken.count; i++)
        count += taken.items[i]->count;
    assert_int_equal(count, 120);
    added(&series, T0 + 141 * 60000 + 1, 1);
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), 202);
    ing_series_drop(&pool, &series, &taken, T0);
    assert_int_equal(count_samples(&series, T0, T0 + 2 * HOUR_MS - 1), 0);
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), 82);
    ing_series_drop(&pool, &series, &taken, T0); /* again: nothing */
    assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), 82);
    ing_sealed_list_release(&taken);
    ing_series_release_samples(&pool, &series);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void append_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (size_t n = 0; n < 400; n++) {
        struct ing_series series = {.newest_t = INT64_MIN};
        struct nx_rand rand;
        size_t left = n;
        size_t count = 0;
        nx_rand_seeded(&rand, 4);
        nx_alloc_set_hook(fail_nth, &left);
        for (int i = 0; i < 400; i++) {
            enum ing_append_result result;
            int64_t t = T0 + i * 20000 -
                        (int64_t)(nx_rand_below(&rand, 3) == 0 ? nx_rand_below(&rand, 1000000) : 0);
            enum nx_err err = add(&series, t, 1, &result);
            if (err == NX_ERR_NOMEM) {
                nx_alloc_set_hook(NULL, NULL);
                err = add(&series, t, 1, &result);
            }
            assert_int_equal(err, NX_OK);
            count += result == ING_APPENDED;
        }
        nx_alloc_set_hook(NULL, NULL);
        assert_int_equal(count_samples(&series, INT64_MIN, INT64_MAX), count);
        ing_series_release_samples(&pool, &series);
    }
}

static int pool_begin(void **state)
{
    (void)state;
    ing_pool_init(&pool, &rules, NULL);
    return 0;
}

static int pool_end(void **state)
{
    (void)state;
    ing_pool_release(&pool);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_sample_again_is_accepted_and_not_kept),
        cmocka_unit_test(other_value_at_a_time_is_a_conflict_wherever_the_first_lies),
        cmocka_unit_test(zeros_and_nans_are_told_apart_by_their_bits),
        cmocka_unit_test(sample_behind_the_window_is_too_old_unless_it_is_there),
        cmocka_unit_test(times_beyond_the_limit_are_out_of_bounds),
        cmocka_unit_test(many_samples_out_of_order_are_all_kept),
        cmocka_unit_test(kinds_mix_and_histograms_follow_the_same_rules),
        cmocka_unit_test(snapshot_and_drop_leave_what_came_later),
        cmocka_unit_test(append_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, pool_begin, pool_end);
}
