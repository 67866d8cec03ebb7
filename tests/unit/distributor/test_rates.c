/* Token buckets of tenants: what is let through, when there is enough again, averages, the cap. */
#include <math.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "distributor/rates.h"
#include "tests/unit/distributor/dist_test.h"

#define SECOND UINT64_C(1000000000)

static struct dist_rates *new_rates(void)
{
    struct dist_rates *rates;
    assert_int_equal(dist_rates_new(&rates), NX_OK);
    return rates;
}

static void bucket_lets_a_burst_through_and_then_the_rate(void **state)
{
    (void)state;
    struct dist_rates *rates = new_rates();
    struct nx_view a = NX_VIEW("a"), b = NX_VIEW("b");
    uint64_t now = 100 * SECOND;
    double wait;
    assert_true(dist_rates_take(rates, a, 10, 100, 60, now, &wait));
    assert_true(dist_rates_take(rates, a, 10, 100, 40, now, &wait));
    assert_false(dist_rates_take(rates, a, 10, 100, 20, now, &wait));
    assert_true(fabs(wait - 2) < 1e-6);
    /* refused ones take nothing, other tenants are not touched */
    assert_true(dist_rates_take(rates, b, 10, 100, 100, now, &wait));
    assert_false(dist_rates_take(rates, a, 10, 100, 20, now + SECOND, &wait));
    assert_true(fabs(wait - 1) < 1e-6);
    assert_true(dist_rates_take(rates, a, 10, 100, 20, now + 2 * SECOND, &wait));
    /* it fills up to the burst and no further */
    assert_true(dist_rates_take(rates, a, 10, 100, 100, now + 1000 * SECOND, &wait));
    assert_false(dist_rates_take(rates, a, 10, 100, 1, now + 1000 * SECOND, &wait));
    dist_rates_free(rates);
}

static void request_larger_than_the_burst_never_fits(void **state)
{
    (void)state;
    struct dist_rates *rates = new_rates();
    double wait = 0;
    assert_false(dist_rates_take(rates, NX_VIEW("a"), 1e9, 100, 101, SECOND, &wait));
    assert_true(wait < 0);
    dist_rates_free(rates);
}

/* Whatever is asked, no more passes than the burst and the rate allow. */
static void random_requests_pass_no_more_than_allowed(void **state)
{
    (void)state;
    struct dist_rates *rates = new_rates();
    struct nx_rand rand;
    nx_rand_seeded(&rand, 42);
    uint64_t start = SECOND, now = start;
    double passed = 0, wait;
    for (int i = 0; i < 20000; i++) {
        double count = (double)nx_rand_below(&rand, 50);
        now += nx_rand_below(&rand, SECOND / 50);
        if (dist_rates_take(rates, NX_VIEW("t"), 1000, 500, count, now, &wait))
            passed += count;
        double allowed = 500 + (double)(now - start) / 1e9 * 1000;
        assert_true(passed <= allowed + 1e-3);
    }
    assert_true(passed > (double)(now - start) / 1e9 * 1000 * 0.9);
    dist_rates_free(rates);
}

static void average_follows_what_is_counted_and_fades(void **state)
{
    (void)state;
    struct dist_rates *rates = new_rates();
    uint64_t now = SECOND;
    for (int i = 0; i < 1200; i++, now += SECOND / 4)
        dist_rates_count(rates, NX_VIEW("t"), 250, now);
    assert_true(fabs(dist_rates_of(rates, NX_VIEW("t"), now) - 1000) < 50);
    assert_true(dist_rates_of(rates, NX_VIEW("t"), now + 300 * SECOND) < 1);
    assert_true(dist_rates_of(rates, NX_VIEW("none"), now) == 0);
    dist_rates_free(rates);
}

static void table_of_tenants_is_capped_and_idle_ones_make_room(void **state)
{
    (void)state;
    struct dist_rates *rates = new_rates();
    double wait;
    char name[32];
    uint64_t now = 1000 * SECOND;
    for (int i = 0; i < DIST_RATES_MAX_TENANTS + 5; i++) {
        (void)snprintf(name, sizeof name, "tenant-%d", i);
        assert_true(dist_rates_take(rates, nx_view_of(name), 1, 10, 10, now, &wait));
    }
    /* known: its bucket is empty; beyond the cap: taken as new */
    assert_false(dist_rates_take(rates, NX_VIEW("tenant-7"), 1, 10, 10, now, &wait));
    assert_true(dist_rates_take(rates, nx_view_of(name), 1, 10, 10, now, &wait));
    now += 3600 * SECOND;
    assert_true(dist_rates_take(rates, NX_VIEW("late"), 1, 10, 10, now, &wait));
    assert_false(dist_rates_take(rates, NX_VIEW("late"), 1, 10, 10, now, &wait));
    dist_rates_free(rates);
}

static bool never(size_t size, void *user)
{
    (void)size;
    (void)user;
    return false;
}

static void without_memory_a_tenant_counts_as_new(void **state)
{
    (void)state;
    struct dist_rates *rates = new_rates();
    double wait;
    nx_alloc_set_hook(never, NULL);
    assert_true(dist_rates_take(rates, NX_VIEW("a"), 1, 10, 10, SECOND, &wait));
    assert_true(dist_rates_take(rates, NX_VIEW("a"), 1, 10, 10, SECOND, &wait));
    dist_rates_count(rates, NX_VIEW("a"), 10, SECOND);
    nx_alloc_set_hook(NULL, NULL);
    dist_rates_free(rates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_lets_a_burst_through_and_then_the_rate),
        cmocka_unit_test(request_larger_than_the_burst_never_fits),
        cmocka_unit_test(random_requests_pass_no_more_than_allowed),
        cmocka_unit_test(average_follows_what_is_counted_and_fades),
        cmocka_unit_test(table_of_tenants_is_capped_and_idle_ones_make_room),
        cmocka_unit_test(without_memory_a_tenant_counts_as_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
