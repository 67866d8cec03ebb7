/* Notices: what is raised and cleared, and what watchers are told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/telemetry/notices.h"

struct watcher {
    struct nx_notice_watch watch; /* first */
    size_t woken;
};

static void on_change(struct nx_notice_watch *watch)
{
    ((struct watcher *)watch)->woken++;
}

static struct nx_notices *notices_at(struct nx_clock_manual *clock)
{
    struct nx_notices *notices = NULL;
    nx_clock_manual_init(clock, 1000);
    assert_int_equal(nx_notices_new(&clock->base, &notices), NX_OK);
    return notices;
}

static void notice_raised_and_cleared_has_both_times(void **state)
{
    (void)state;
    struct nx_clock_manual clock;
    struct nx_notices *notices = notices_at(&clock);
    assert_false(nx_notices_get(notices, NX_NOTICE_RELOAD_FAILED).active);
    nx_notices_raise(notices, NX_NOTICE_RELOAD_FAILED);
    nx_clock_manual_advance(&clock, 5);
    nx_notices_raise(notices, NX_NOTICE_RELOAD_FAILED);
    struct nx_notice notice = nx_notices_get(notices, NX_NOTICE_RELOAD_FAILED);
    assert_true(notice.active);
    assert_int_equal(notice.raised_ms, 1005);
    assert_int_equal(notice.cleared_ms, 0);
    assert_string_equal(notice.text, "Configuration reload has failed.");
    nx_clock_manual_advance(&clock, 5);
    nx_notices_clear(notices, NX_NOTICE_RELOAD_FAILED);
    notice = nx_notices_get(notices, NX_NOTICE_RELOAD_FAILED);
    assert_false(notice.active);
    assert_int_equal(notice.cleared_ms, 1010);
    assert_false(nx_notices_get(notices, NX_NOTICE_STOPPING).active);
    nx_notices_free(notices);
}

static void watch_is_told_what_is_active_and_each_change_in_order(void **state)
{
    (void)state;
    struct nx_clock_manual clock;
    struct nx_notices *notices = notices_at(&clock);
    struct watcher watcher = {.watch.changed = on_change};
    struct nx_notice got;
    nx_notices_raise(notices, NX_NOTICE_STARTING);
    nx_notices_raise(notices, NX_NOTICE_RELOAD_FAILED);
    nx_notices_clear(notices, NX_NOTICE_RELOAD_FAILED); /* over before anybody watched */
    assert_true(nx_notices_watch(notices, &watcher.watch));
    assert_true(nx_notices_next(notices, &watcher.watch, &got));
    assert_int_equal(got.kind, NX_NOTICE_STARTING);
    assert_true(got.active);
    assert_false(nx_notices_next(notices, &watcher.watch, &got));
    assert_int_equal(watcher.woken, 0);

    nx_notices_raise(notices, NX_NOTICE_STOPPING);
    nx_notices_clear(notices, NX_NOTICE_STARTING);
    assert_int_equal(watcher.woken, 2);
    assert_true(nx_notices_next(notices, &watcher.watch, &got));
    assert_int_equal(got.kind, NX_NOTICE_STOPPING);
    assert_true(nx_notices_next(notices, &watcher.watch, &got));
    assert_int_equal(got.kind, NX_NOTICE_STARTING);
    assert_false(got.active);
    assert_false(nx_notices_next(notices, &watcher.watch, &got));

    nx_notices_clear(notices, NX_NOTICE_STARTING); /* is not: no change */
    assert_int_equal(watcher.woken, 2);
    nx_notices_unwatch(notices, &watcher.watch);
    nx_notices_raise(notices, NX_NOTICE_RELOAD_FAILED);
    assert_int_equal(watcher.woken, 2);
    nx_notices_free(notices);
}

static void watch_that_is_slow_is_told_the_latest_state_once(void **state)
{
    (void)state;
    struct nx_clock_manual clock;
    struct nx_notices *notices = notices_at(&clock);
    struct watcher watcher = {.watch.changed = on_change};
    struct nx_notice got;
    assert_true(nx_notices_watch(notices, &watcher.watch));
    for (int i = 0; i < 1000; i++) {
        nx_notices_raise(notices, NX_NOTICE_RELOAD_FAILED);
        nx_notices_clear(notices, NX_NOTICE_RELOAD_FAILED);
    }
    assert_true(nx_notices_next(notices, &watcher.watch, &got));
    assert_false(got.active);
    assert_false(nx_notices_next(notices, &watcher.watch, &got));
    nx_notices_unwatch(notices, &watcher.watch);
    nx_notices_free(notices);
}

static void watch_beyond_the_limit_is_refused_until_one_goes(void **state)
{
    (void)state;
    struct nx_clock_manual clock;
    struct nx_notices *notices = notices_at(&clock);
    struct watcher watchers[NX_NOTICE_WATCHES_MAX + 1] = {{.woken = 0}};
    for (size_t i = 0; i <= NX_NOTICE_WATCHES_MAX; i++) {
        watchers[i].watch.changed = on_change;
        assert_int_equal(nx_notices_watch(notices, &watchers[i].watch), i < NX_NOTICE_WATCHES_MAX);
    }
    nx_notices_unwatch(notices, &watchers[3].watch);
    assert_true(nx_notices_watch(notices, &watchers[NX_NOTICE_WATCHES_MAX].watch));
    for (size_t i = 0; i <= NX_NOTICE_WATCHES_MAX; i++) {
        if (i != 3) {
            nx_notices_unwatch(notices, &watchers[i].watch);
        }
    }
    nx_notices_free(notices);
}

static void notices_absent_are_quiet(void **state)
{
    (void)state;
    nx_notices_raise(NULL, NX_NOTICE_STOPPING);
    nx_notices_clear(NULL, NX_NOTICE_STOPPING);
    assert_false(nx_notices_get(NULL, NX_NOTICE_STOPPING).active);
    nx_notices_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notice_raised_and_cleared_has_both_times),
        cmocka_unit_test(watch_is_told_what_is_active_and_each_change_in_order),
        cmocka_unit_test(watch_that_is_slow_is_told_the_latest_state_once),
        cmocka_unit_test(watch_beyond_the_limit_is_refused_until_one_goes),
        cmocka_unit_test(notices_absent_are_quiet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
