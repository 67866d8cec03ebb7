/* The distributors an ingester has heard of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/ring/pushers.h"

static void each_is_counted_once_until_it_is_silent(void **state)
{
    (void)state;
    static struct nx_ring_pushers pushers;
    nx_ring_pusher_heard(&pushers, 7, 100);
    nx_ring_pusher_heard(&pushers, 8, 110);
    nx_ring_pusher_heard(&pushers, 7, 120);
    assert_int_equal(nx_ring_pushers_count(&pushers, 120, 50), 2);
    assert_int_equal(nx_ring_pushers_count(&pushers, 165, 50), 1);
    nx_ring_pusher_heard(&pushers, 8, 166);
    assert_int_equal(nx_ring_pushers_count(&pushers, 168, 50), 2);
    assert_int_equal(nx_ring_pushers_count(&pushers, 1000, 50), 0);
}

static void beyond_the_cap_the_longest_silent_is_forgotten(void **state)
{
    (void)state;
    static struct nx_ring_pushers pushers;
    for (uint64_t i = 1; i <= NX_RING_PUSHERS_MAX; i++)
        nx_ring_pusher_heard(&pushers, i, 1000 + i);
    nx_ring_pusher_heard(&pushers, 1, 9000);
    nx_ring_pusher_heard(&pushers, 5000, 9001);
    assert_int_equal(nx_ring_pushers_count(&pushers, 9001, 100000), NX_RING_PUSHERS_MAX);
    assert_int_equal(nx_ring_pushers_count(&pushers, 9001, 100), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_counted_once_until_it_is_silent),
        cmocka_unit_test(beyond_the_cap_the_longest_silent_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
