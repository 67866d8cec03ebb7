#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/rand.h"
#include "common/ring/health.h"

#define MS UINT64_C(1000000)

static const struct nx_health_limits limits = {.interval_ns = 1000 * MS, .timeout_ns = 5000 * MS};

static void member_unheard_is_healthy_until_the_timeout(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 100 * MS);
    for (uint64_t t = 200; t < 5000; t += 250) {
        nx_health_failed(&health, &limits, NX_HEALTH_SILENT, t * MS);
        assert_true(health.healthy);
    }
    nx_health_tick(&health, &limits, 5099 * MS);
    assert_true(health.healthy);
    nx_health_tick(&health, &limits, 5100 * MS);
    assert_false(health.healthy);
    nx_health_answered(&health, 6000 * MS);
    assert_true(health.healthy);
}

static void member_heard_fails_after_two_failures_in_a_row(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    nx_health_answered(&health, 10 * MS);
    nx_health_failed(&health, &limits, NX_HEALTH_SILENT, 1000 * MS);
    assert_true(health.healthy);
    assert_true(health.next_probe_ns <= 1250 * MS);
    nx_health_answered(&health, 1250 * MS);
    nx_health_failed(&health, &limits, NX_HEALTH_SILENT, 2000 * MS);
    assert_true(health.healthy);
    nx_health_failed(&health, &limits, NX_HEALTH_SILENT, 2250 * MS);
    assert_false(health.healthy);
}

static void member_that_refuses_us_fails_at_once(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    nx_health_failed(&health, &limits, NX_HEALTH_REFUSED, 1 * MS);
    assert_false(health.healthy);
}

static void standstill_of_our_own_is_no_silence_of_others(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    nx_health_answered(&health, 1000 * MS);
    nx_health_stood_still(&health, 60000 * MS, 62000 * MS);
    nx_health_tick(&health, &limits, 62000 * MS);
    assert_true(health.healthy);
    nx_health_tick(&health, &limits, 65999 * MS);
    assert_true(health.healthy);
    nx_health_tick(&health, &limits, 66000 * MS); /* 1 s before and 4 s after make 5 */
    assert_false(health.healthy);
}

static void standstill_longer_than_the_silence_ends_in_the_present(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    nx_health_answered(&health, 5000 * MS);
    nx_health_stood_still(&health, 9000 * MS, 6000 * MS);
    assert_true(health.since_ns == 6000 * MS);
}

static void timeout_seen_too_late_counts_for_nothing_and_is_asked_again(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    nx_health_answered(&health, 0);
    nx_health_probed(&health, &limits, 10 * MS);
    for (unsigned i = 0; i < 3; i++) {
        nx_health_failed(&health, &limits, NX_HEALTH_UNKNOWN, 500 * MS);
    }
    assert_true(health.healthy);
    assert_int_equal(health.failures, 0);
    assert_true(health.next_probe_ns == 500 * MS);
    nx_health_tick(&health, &limits, 5000 * MS); /* yet no sign of life either */
    assert_false(health.healthy);
}

static void member_busy_is_alive(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    for (uint64_t t = 1000; t < 60000; t += 1000) {
        nx_health_failed(&health, &limits, NX_HEALTH_BUSY, t * MS);
        nx_health_tick(&health, &limits, t * MS);
        assert_true(health.healthy);
    }
}

static void doubt_brings_the_probe_forward_but_not_in_a_storm(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    nx_health_answered(&health, 0);
    nx_health_probed(&health, &limits, 1000 * MS);
    assert_true(health.next_probe_ns == 2000 * MS);
    nx_health_doubt(&health, &limits, 1010 * MS);
    assert_true(health.next_probe_ns == 1100 * MS);
    nx_health_doubt(&health, &limits, 1500 * MS);
    assert_true(health.next_probe_ns == 1100 * MS);
    nx_health_probed(&health, &limits, 1100 * MS);
    nx_health_doubt(&health, &limits, 1900 * MS);
    assert_true(health.next_probe_ns == 1900 * MS);
}

static void due_is_the_probe_or_the_timeout(void **state)
{
    (void)state;
    struct nx_health health;
    nx_health_init(&health, 0);
    nx_health_answered(&health, 0);
    nx_health_probed(&health, &limits, 0);
    assert_true(nx_health_due_ns(&health, &limits, false) == 1000 * MS);
    assert_true(nx_health_due_ns(&health, &limits, true) == 5000 * MS);
    health.healthy = false;
    assert_true(nx_health_due_ns(&health, &limits, false) == 1000 * MS);
    assert_true(nx_health_due_ns(&health, &limits, true) == UINT64_MAX);
}

/* Whoever looks at every due moment finds a silent member within the time-out, however the probes
 * went before. */
static void member_silent_is_found_within_the_timeout(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    for (int round = 0; round < 2000; round++) {
        struct nx_health health;
        uint64_t now = 0;
        nx_health_init(&health, now);
        uint64_t last_sign = 0;
        for (uint64_t steps = nx_rand_below(&rand, 20); steps > 0; steps--) {
            now += nx_rand_below(&rand, 700) * MS;
            if (nx_rand_below(&rand, 4) > 0) {
                nx_health_answered(&health, now);
                last_sign = now;
            } else {
                nx_health_failed(&health, &limits, NX_HEALTH_SILENT, now);
            }
        }
        while (health.healthy) {
            uint64_t due = nx_health_due_ns(&health, &limits, false);
            now = due > now ? due : now;
            nx_health_tick(&health, &limits, now);
            nx_health_probed(&health, &limits, now);
        }
        assert_true(now <= last_sign + limits.timeout_ns);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(member_unheard_is_healthy_until_the_timeout),
        cmocka_unit_test(member_heard_fails_after_two_failures_in_a_row),
        cmocka_unit_test(member_that_refuses_us_fails_at_once),
        cmocka_unit_test(standstill_of_our_own_is_no_silence_of_others),
        cmocka_unit_test(standstill_longer_than_the_silence_ends_in_the_present),
        cmocka_unit_test(timeout_seen_too_late_counts_for_nothing_and_is_asked_again),
        cmocka_unit_test(member_busy_is_alive),
        cmocka_unit_test(doubt_brings_the_probe_forward_but_not_in_a_storm),
        cmocka_unit_test(due_is_the_probe_or_the_timeout),
        cmocka_unit_test(member_silent_is_found_within_the_timeout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
