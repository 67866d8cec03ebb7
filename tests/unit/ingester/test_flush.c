/* When windows go to blocks, what leaves memory and log with them, and reads while it happens. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/flush.h"

#define T0 INT64_C(1600000000000)
#define MINUTE_MS INT64_C(60000)

static void window_is_ripe_when_data_or_the_clock_has_passed_it(void **state)
{
    (void)state;
    const struct ing_window_rules rules = {.window_ms = 2 * HOUR_MS, .out_of_order_ms = HOUR_MS};
    int64_t now = 1000 * HOUR_MS;
    struct ing_window_state window = {
        .end = now, .newest_t = now, .first_append_ms = now, .last_append_ms = now};
    assert_false(ing_window_is_ripe(&window, &rules, now));
    /* the tenant's data has passed it, and nothing came for it in a minute */
    window.newest_t = now + HOUR_MS;
    assert_false(ing_window_is_ripe(&window, &rules, now + MINUTE_MS - 1));
    assert_true(ing_window_is_ripe(&window, &rules, now + MINUTE_MS));
    /* or late samples keep coming, but for half an hour already */
    window.last_append_ms = now + 30 * MINUTE_MS;
    assert_true(ing_window_is_ripe(&window, &rules, now + 30 * MINUTE_MS));
    /* the clock has passed it: the series have stopped */
    window = (struct ing_window_state){
        .end = now, .newest_t = now - 1, .first_append_ms = now - HOUR_MS, .last_append_ms = now};
    assert_false(ing_window_is_ripe(&window, &rules, now + HOUR_MS - 1));
    assert_true(ing_window_is_ripe(&window, &rules, now + HOUR_MS));
    /* an old stream is being sent: the clock has passed its windows long ago, but it goes on */
    window = (struct ing_window_state){.end = now - 10000 * HOUR_MS,
                                       .newest_t = now - 10000 * HOUR_MS - 1,
                                       .first_append_ms = now,
                                       .last_append_ms = now + MINUTE_MS};
    assert_false(ing_window_is_ripe(&window, &rules, now + 2 * MINUTE_MS));
    assert_true(ing_window_is_ripe(&window, &rules, now + 12 * MINUTE_MS));
}

static void push_one(struct fixture *fixture, const char *name, int64_t t)
{
    struct pusher pusher;
    pusher_init(&pusher, "a");
    pusher_row(&pusher, "__name__", name, NULL);
    pusher_sample(&pusher, t, (double)t);
    push_all(fixture, &pusher);
    pusher_release(&pusher);
}

static size_t count_files(const char *dir, const char *suffix)
{
    char **names;
    size_t count;
    size_t found = 0;
    if (nx_dir_list(dir, &names, &count) != NX_OK)
        return nx_view_has_suffix(nx_view_of(dir), nx_view_of(suffix));
    for (size_t i = 0; i < count; i++) {
        char *path = nx_path_join(dir, names[i]);
        found += count_files(path, suffix);
        nx_free(path);
    }
    nx_dir_free(names, count);
    return found;
}

static size_t count_samples(struct fixture *fixture)
{
    struct got got;
    size_t count = 0;
    select_series(fixture, "a", INT64_MIN, INT64_MAX, &got, NX_MATCH_NE, "__name__", "", -1);
    assert_int_equal(got.err, NX_OK);
    for (size_t i = 0; i < got.count; i++)
        count += got.series[i].count;
    got_release(&got);
    return count;
}

static void flushed_log_is_cut_to_what_blocks_do_not_hold(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 1);
    fixture.settings.wal_segment_bytes = 400;
    fixture_open(&fixture);
    for (int i = 0; i < 50; i++)
        push_one(&fixture, "m", T0 + i * MINUTE_MS);
    assert_true(count_files(fixture.dir, ".wal") > 3);
    flush_all(&fixture);
    assert_int_equal(count_files(fixture.dir, ".wal"), 0);
    assert_true(count_files(fixture.dir, "block.nxb") >= 1);
    for (int i = 50; i < 60; i++)
        push_one(&fixture, "m", T0 + i * MINUTE_MS);
    fixture_reopen(&fixture);
    assert_int_equal(count_samples(&fixture), 60);
    flush_all(&fixture);
    flush_all(&fixture); /* nothing to do */
    fixture_reopen(&fixture);
    assert_int_equal(count_samples(&fixture), 60);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void backfill_of_a_year_makes_few_blocks(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 1);
    fixture.settings.out_of_order_ms = 0;
    fixture_open(&fixture);
    struct pusher pusher;
    pusher_init(&pusher, "a");
    pusher_row(&pusher, "__name__", "m", NULL);
    for (int i = 0; i < 365 * 2; i++)
        pusher_sample(&pusher, T0 + i * 2 * HOUR_MS, i);
    push_all(&fixture, &pusher);
    pusher_release(&pusher);
    flush_all(&fixture);
    assert_in_range(count_files(fixture.dir, "block.nxb"), 1, 63);
    assert_int_equal(count_samples(&fixture), 730);
    fixture_reopen(&fixture);
    assert_int_equal(count_samples(&fixture), 730);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void retention_drops_whole_blocks_by_the_wall_clock(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 1);
    fixture.settings.retention_ms = 24 * HOUR_MS;
    fixture_open(&fixture);
    push_one(&fixture, "old", fixture.clock.now_ms - 30 * HOUR_MS);
    push_one(&fixture, "new", fixture.clock.now_ms - HOUR_MS);
    assert_int_equal(count_samples(&fixture), 2);
    flush_all(&fixture);
    struct answer answer;
    call(&fixture, "compact", NULL, &answer); /* a pass over the blocks begins with retention */
    assert_int_equal(answer.err, NX_OK);
    answer_release(&answer);
    assert_int_equal(count_samples(&fixture), 1);
    assert_int_equal(count_files(fixture.dir, "block.nxb"), 1);
    fixture_reopen(&fixture);
    assert_int_equal(count_samples(&fixture), 1);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void late_samples_of_a_flushed_window_are_taken_and_merged(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_init(&fixture, NULL, 2);
    fixture_open(&fixture);
    for (int i = 0; i < 100; i += 2)
        push_one(&fixture, "m", T0 + i * MINUTE_MS);
    flush_all(&fixture);
    for (int i = 1; i < 100; i += 2)
        push_one(&fixture, "m", T0 + i * MINUTE_MS); /* within the out-of-order window */
    push_one(&fixture, "m", T0);                     /* again what is in a block */
    assert_int_equal(count_samples(&fixture), 100);
    fixture_reopen(&fixture);
    assert_int_equal(count_samples(&fixture), 100);
    flush_all(&fixture);
    assert_int_equal(count_samples(&fixture), 100);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void failed_flush_keeps_everything_and_is_tried_again(void **state)
{
    (void)state;
    struct fixture fixture;
    struct answer answer;
    fixture_init(&fixture, NULL, 1);
    fixture_open(&fixture);
    push_one(&fixture, "m", T0);
    fault_fs_arm(&fixture.fs, 0, NX_ERR_NOSPACE, true);
    call(&fixture, "flush", NULL, &answer);
    assert_int_equal(answer.err, NX_ERR_NOSPACE);
    answer_release(&answer);
    fault_fs_disarm(&fixture.fs);
    assert_int_equal(count_samples(&fixture), 1);
    assert_int_equal(count_files(fixture.dir, "block.nxb"), 0);
    flush_all(&fixture);
    assert_int_equal(count_samples(&fixture), 1);
    assert_int_equal(count_files(fixture.dir, "block.nxb"), 1);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

/* --- all at once
 * ----------------------------------------------------------------------------------------- */

struct stress {
    struct fixture *fixture;
    atomic_int pushed; /* acknowledged samples of each series */
    atomic_bool end;
};

#define STRESS_SERIES 40
#define STRESS_PUSHES 150

static void *push_thread(void *arg)
{
    struct stress *stress = arg;
    for (int i = 0; i < STRESS_PUSHES; i++) {
        struct pusher pusher;
        pusher_init(&pusher, "a");
        for (int s = 0; s < STRESS_SERIES; s++) {
            char name[16];
            snprintf(name, sizeof name, "s%d", s);
            pusher_row(&pusher, "__name__", nx_arena_copy(&pusher.arena, nx_view_of(name)).ptr,
                       NULL);
            pusher_sample(&pusher, T0 + i * 7 * MINUTE_MS, i);
        }
        push_all(stress->fixture, &pusher);
        pusher_release(&pusher);
        atomic_store(&stress->pushed, i + 1);
    }
    atomic_store(&stress->end, true);
    return NULL;
}

static void *flush_thread(void *arg)
{
    struct stress *stress = arg;
    while (!atomic_load(&stress->end))
        flush_all(stress->fixture);
    return NULL;
}

static void *select_thread(void *arg)
{
    struct stress *stress = arg;
    while (!atomic_load(&stress->end)) {
        struct got got;
        size_t least = (size_t)atomic_load(&stress->pushed);
        select_series(stress->fixture, "a", INT64_MIN, INT64_MAX, &got, NX_MATCH_RE, "__name__",
                      "s.+", -1);
        assert_int_equal(got.err, NX_OK);
        assert_true(least == 0 || got.count == STRESS_SERIES);
        for (size_t i = 0; i < got.count; i++) {
            assert_true(got.series[i].count >= least);
            for (size_t j = 0; j < got.series[i].count; j++) /* no gap */
                assert_true(got.series[i].samples[j].bits == nx_double_bits((double)j));
        }
        got_release(&got);
    }
    return NULL;
}

static void reads_during_pushes_and_flushes_see_no_gap(void **state)
{
    (void)state;
    struct fixture fixture;
    pthread_t threads[4];
    fixture_init(&fixture, NULL, 3);
    fixture.settings.wal_segment_bytes = 1 << 16;
    fixture_open(&fixture);
    struct stress stress = {.fixture = &fixture};
    atomic_init(&stress.pushed, 0);
    atomic_init(&stress.end, false);
    assert_int_equal(pthread_create(&threads[0], NULL, push_thread, &stress), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, flush_thread, &stress), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, select_thread, &stress), 0);
    assert_int_equal(pthread_create(&threads[3], NULL, select_thread, &stress), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count_samples(&fixture), STRESS_SERIES * STRESS_PUSHES);
    fixture_reopen(&fixture);
    assert_int_equal(count_samples(&fixture), STRESS_SERIES * STRESS_PUSHES);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(window_is_ripe_when_data_or_the_clock_has_passed_it),
        cmocka_unit_test(flushed_log_is_cut_to_what_blocks_do_not_hold),
        cmocka_unit_test(backfill_of_a_year_makes_few_blocks),
        cmocka_unit_test(retention_drops_whole_blocks_by_the_wall_clock),
        cmocka_unit_test(late_samples_of_a_flushed_window_are_taken_and_merged),
        cmocka_unit_test(failed_flush_keeps_everything_and_is_tried_again),
        cmocka_unit_test(reads_during_pushes_and_flushes_see_no_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
