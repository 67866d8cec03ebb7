/* When the log is synced: before each answer, within an interval, or when it is closed. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "fixture.h"
#include "ingester/wal/log.h"

#define T0 INT64_C(1600000000000)

static void push_sample(struct fixture *fixture, int number)
{
    struct pusher pusher;
    pusher_init(&pusher, "t");
    pusher_row(&pusher, "__name__", "s", NULL);
    pusher_sample(&pusher, T0 + number, number);
    push_all(fixture, &pusher);
    pusher_release(&pusher);
}

static size_t count_samples(struct fixture *fixture)
{
    struct got got;
    select_series(fixture, "t", INT64_MIN, INT64_MAX, &got, NX_MATCH_EQ, "__name__", "s", -1);
    assert_int_equal(got.err, NX_OK);
    size_t samples = got.count > 0 ? got.series[0].count : 0;
    got_release(&got);
    return samples;
}

static void open_with(struct fixture *fixture, enum ing_log_sync sync, int64_t interval_ms)
{
    fixture_init(fixture, NULL, 1);
    fixture->settings.wal_sync = (int)sync;
    fixture->settings.wal_sync_interval_ms = interval_ms;
    fixture_open(fixture);
    push_sample(fixture, 0); /* makes the segment */
}

/* A power cut while the process runs: what is on disk now is copied and opened. */
static size_t left_after_power_cut(struct fixture *fixture)
{
    struct fixture after;
    char *copy = tmp_dir_new();
    assert_int_equal(rmdir(copy), 0);
    fault_fs_image(&fixture->fs, fixture->dir, copy, DISK_LOST, 0);
    fixture_init(&after, copy, 1);
    fixture_open(&after);
    size_t left = count_samples(&after);
    fixture_close(&after);
    fixture_release(&after);
    tmp_dir_free(copy);
    return left;
}

static size_t left_after_kill(struct fixture *fixture)
{
    struct fixture after;
    char *copy = tmp_dir_new();
    copy_tree(fixture->dir, copy);
    fixture_init(&after, copy, 1);
    fixture_open(&after);
    size_t left = count_samples(&after);
    fixture_close(&after);
    fixture_release(&after);
    tmp_dir_free(copy);
    return left;
}

static void always_has_synced_what_is_answered(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with(&fixture, ING_LOG_SYNC_ALWAYS, 0);
    for (int i = 1; i < 5; i++) {
        size_t before = fault_fs_count(&fixture.fs, FAULT_SYNC);
        push_sample(&fixture, i);
        assert_int_equal(fault_fs_count(&fixture.fs, FAULT_SYNC), before + 1);
        assert_int_equal(left_after_power_cut(&fixture), i + 1);
    }
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void off_syncs_when_the_log_is_closed(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with(&fixture, ING_LOG_SYNC_OFF, 0);
    size_t before = fault_fs_count(&fixture.fs, FAULT_SYNC);
    for (int i = 1; i < 5; i++)
        push_sample(&fixture, i);
    assert_int_equal(fault_fs_count(&fixture.fs, FAULT_SYNC), before);
    assert_int_equal(left_after_power_cut(&fixture), 0);
    assert_int_equal(left_after_kill(&fixture), 5);
    fixture_close(&fixture);
    assert_int_equal(fault_fs_count(&fixture.fs, FAULT_SYNC), before + 1);
    fault_fs_power_cut(&fixture.fs, fixture.dir, DISK_LOST, 0);
    fixture_open(&fixture);
    assert_int_equal(count_samples(&fixture), 5);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void interval_syncs_later_without_being_asked(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with(&fixture, ING_LOG_SYNC_INTERVAL, 300);
    for (int i = 1; i < 5; i++)
        push_sample(&fixture, i);
    assert_int_equal(left_after_kill(&fixture), 5);
    size_t left = 0;
    for (int tries = 0; tries < 200 && left < 5; tries++) {
        struct timespec pause = {.tv_nsec = 50000000L};
        nanosleep(&pause, NULL);
        left = left_after_power_cut(&fixture);
    }
    assert_int_equal(left, 5);
    /* nothing to sync, no sync */
    size_t before = fault_fs_count(&fixture.fs, FAULT_SYNC);
    struct timespec pause = {.tv_nsec = 700000000L};
    nanosleep(&pause, NULL);
    assert_int_equal(fault_fs_count(&fixture.fs, FAULT_SYNC), before);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

static void interval_goes_on_in_another_file_after_a_failed_sync(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with(&fixture, ING_LOG_SYNC_INTERVAL, 20);
    fault_fs_arm(&fixture.fs, 0, NX_ERR_IO, false);
    fault_fs_only(&fixture.fs, FAULT_SYNC);
    push_sample(&fixture, 1);
    for (int tries = 0; tries < 500 && !fault_fs_fired(&fixture.fs); tries++) {
        struct timespec pause = {.tv_nsec = 10000000L};
        nanosleep(&pause, NULL);
    }
    assert_true(fault_fs_fired(&fixture.fs));
    push_sample(&fixture, 2);
    assert_int_equal(left_after_kill(&fixture), 3);
    /* in memory all the same, and safe once flushed */
    flush_all(&fixture);
    assert_int_equal(left_after_power_cut(&fixture), 3);
    fixture_close(&fixture);
    fixture_release(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(always_has_synced_what_is_answered),
        cmocka_unit_test(off_syncs_when_the_log_is_closed),
        cmocka_unit_test(interval_syncs_later_without_being_asked),
        cmocka_unit_test(interval_goes_on_in_another_file_after_a_failed_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
