/* What a pace promises is that time passes; how much more does is the machine's business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "ingester/pace.h"

#define MS UINT64_C(1000000)

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    assert_int_equal(clock_gettime(clock, &now), 0);
    return (uint64_t)now.tv_sec * 1000 * MS + (uint64_t)now.tv_nsec;
}

/* Computes for that long, resting where the pace says so; the time it took. */
static uint64_t work(struct ing_pace *pace, uint64_t cpu_ns)
{
    uint64_t began = now_ns(CLOCK_MONOTONIC);
    uint64_t end = now_ns(CLOCK_THREAD_CPUTIME_ID) + cpu_ns;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end)
        ing_pace_rest(pace);
    return now_ns(CLOCK_MONOTONIC) - began;
}

static void rest_of_a_thread_that_computes_takes_half_the_time(void **state)
{
    (void)state;
    struct ing_pace pace = {.bytes_per_s = 1};
    ing_pace_rest(&pace);
    assert_true(work(&pace, 20 * MS) >= 35 * MS);
}

static void rest_on_another_thread_than_before_begins_anew(void **state)
{
    (void)state;
    struct ing_pace pace = {.bytes_per_s = 1, .rested_ns = UINT64_MAX / 2};
    ing_pace_rest(&pace);
    assert_in_range(pace.rested_ns, 1, now_ns(CLOCK_THREAD_CPUTIME_ID));
    assert_true(work(&pace, 10 * MS) >= 15 * MS);
}

static void spend_beyond_the_rate_takes_the_time_it_costs(void **state)
{
    (void)state;
    struct ing_pace pace = {.bytes_per_s = 1000000};
    uint64_t began = now_ns(CLOCK_MONOTONIC);
    pace.due_ns = began;
    for (int i = 0; i < 10; i++)
        ing_pace_spend(&pace, 10000); /* 100 ms in all */
    assert_true(now_ns(CLOCK_MONOTONIC) - began >= 90 * MS);
}

static void pace_that_is_missing_or_has_no_rate_does_nothing(void **state)
{
    (void)state;
    struct ing_pace pace = {.bytes_per_s = 0};
    ing_pace_spend(NULL, UINT64_MAX);
    ing_pace_rest(NULL);
    ing_pace_spend(&pace, UINT64_MAX);
    ing_pace_rest(&pace);
    assert_int_equal(pace.due_ns, 0);
    assert_int_equal(pace.rested_ns, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rest_of_a_thread_that_computes_takes_half_the_time),
        cmocka_unit_test(rest_on_another_thread_than_before_begins_anew),
        cmocka_unit_test(spend_beyond_the_rate_takes_the_time_it_costs),
        cmocka_unit_test(pace_that_is_missing_or_has_no_rate_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
