/* When targets are scraped, and when the series of a target that has gone are given up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "distributor/scrape/schedule.h"

#define T0 INT64_C(1700000000000)

static void scrape_on_time_carries_the_time_of_its_tick(void **state)
{
    struct scrape_schedule s;
    (void)state;
    scrape_schedule_begin(&s, 1000, T0, 250);
    assert_int_equal(scrape_schedule_wait_ms(&s, T0), 250);
    assert_int_equal(scrape_schedule_scrape(&s, T0 + 251), T0 + 250);
    assert_int_equal(scrape_schedule_scrape(&s, T0 + 1252), T0 + 1250);
    assert_int_equal(scrape_schedule_scrape(&s, T0 + 2249), T0 + 2250);
    assert_int_equal(scrape_schedule_wait_ms(&s, T0 + 2300), 950);
}

static void scrape_later_than_the_tolerance_carries_its_own_time(void **state)
{
    struct scrape_schedule s;
    (void)state;
    scrape_schedule_begin(&s, 1000, T0, 0);
    assert_int_equal(scrape_schedule_scrape(&s, T0 + 3), T0 + 3);
    assert_int_equal(scrape_schedule_wait_ms(&s, T0 + 3), 997);
    /* a hundredth of a short interval */
    scrape_schedule_begin(&s, 100, T0, 0);
    assert_int_equal(scrape_schedule_scrape(&s, T0 + 1), T0);
    assert_int_equal(scrape_schedule_scrape(&s, T0 + 102), T0 + 102);
}

static void ticks_that_were_missed_are_left_out(void **state)
{
    struct scrape_schedule s;
    (void)state;
    scrape_schedule_begin(&s, 1000, T0, 0);
    assert_int_equal(scrape_schedule_scrape(&s, T0), T0);
    assert_int_equal(scrape_schedule_scrape(&s, T0 + 4001), T0 + 4000);
    assert_int_equal(scrape_schedule_wait_ms(&s, T0 + 4001), 999);
}

static void clock_set_back_or_forth_does_not_silence_a_target(void **state)
{
    struct scrape_schedule s;
    (void)state;
    scrape_schedule_begin(&s, 1000, T0, 0);
    (void)scrape_schedule_scrape(&s, T0);
    int64_t back = T0 - 3600000;
    assert_int_equal(scrape_schedule_wait_ms(&s, back), 1000);
    assert_int_equal(scrape_schedule_scrape(&s, back), back);
    assert_int_equal(scrape_schedule_wait_ms(&s, back), 1000);
    int64_t forth = T0 + INT64_C(1000000000000);
    assert_int_equal(scrape_schedule_scrape(&s, forth), forth);
    assert_int_equal(scrape_schedule_wait_ms(&s, forth), 1000);
}

static void target_gone_is_given_up_after_two_ticks_and_a_tenth(void **state)
{
    struct scrape_schedule s;
    (void)state;
    scrape_schedule_begin(&s, 10000, T0, 0);
    (void)scrape_schedule_scrape(&s, T0);
    scrape_schedule_leave(&s);
    assert_int_equal(scrape_schedule_wait_ms(&s, T0 + 4000), 6000);
    scrape_schedule_pass(&s, T0 + 10000);
    assert_int_equal(s.stale_ms, T0 + 10000);
    assert_int_equal(scrape_schedule_wait_ms(&s, T0 + 10000), 10000);
    scrape_schedule_pass(&s, T0 + 20000);
    assert_int_equal(scrape_schedule_wait_ms(&s, T0 + 20000), 1000);
    assert_int_equal(s.stage, SCRAPE_STAGE_GRACE);
    scrape_schedule_pass(&s, T0 + 21000);
    assert_int_equal(s.stage, SCRAPE_STAGE_OVER);
    assert_int_equal(s.stale_ms, T0 + 10000);
}

static void target_that_comes_back_is_scraped_at_its_own_ticks(void **state)
{
    struct scrape_schedule s;
    (void)state;
    for (int stages = 0; stages < 3; stages++) {
        scrape_schedule_begin(&s, 10000, T0, 0);
        (void)scrape_schedule_scrape(&s, T0);
        scrape_schedule_leave(&s);
        for (int i = 0; i < stages; i++)
            scrape_schedule_pass(&s, T0 + 10000 * (i + 1));
        scrape_schedule_return(&s);
        assert_int_equal(s.stage, SCRAPE_STAGE_RUNNING);
        int64_t next = T0 + 10000 * (stages + 1);
        assert_int_equal(scrape_schedule_wait_ms(&s, next - 9000), 9000);
        assert_int_equal(scrape_schedule_scrape(&s, next), next);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scrape_on_time_carries_the_time_of_its_tick),
        cmocka_unit_test(scrape_later_than_the_tolerance_carries_its_own_time),
        cmocka_unit_test(ticks_that_were_missed_are_left_out),
        cmocka_unit_test(clock_set_back_or_forth_does_not_silence_a_target),
        cmocka_unit_test(target_gone_is_given_up_after_two_ticks_and_a_tenth),
        cmocka_unit_test(target_that_comes_back_is_scraped_at_its_own_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
