/* A shard's part of a tenant's limits, and when one more series is allowed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "ingester/quota.h"

static void parts_add_up_to_the_limit(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    for (int round = 0; round < 1000; round++) {
        uint64_t partitions = 1 + nx_rand_below(&rand, 1024);
        uint64_t left = partitions, sum = 0, shards = 0;
        struct nx_tenant_limits limits = {.max_series = 1 + (int64_t)nx_rand_below(&rand, 1000000),
                                          .out_of_order_ms = -1};
        while (left > 0) {
            uint64_t owned = 1 + nx_rand_below(&rand, left);
            struct ing_quota quota = ing_quota_of(&limits, owned, partitions);
            assert_true(quota.series_per_metric == UINT64_MAX);
            sum += quota.series;
            left -= owned;
            shards++;
        }
        assert_true(sum >= (uint64_t)limits.max_series);
        assert_true(sum < (uint64_t)limits.max_series + shards);
    }
}

static void no_limit_and_unknown_owners_limit_nothing(void **state)
{
    (void)state;
    struct nx_tenant_limits none = {.max_series = 0, .max_series_per_metric = 0};
    struct nx_tenant_limits some = {.max_series = 5, .max_series_per_metric = 5};
    assert_true(ing_quota_of(&none, 3, 8).series == UINT64_MAX);
    assert_true(ing_quota_of(&some, 0, 0).series == UINT64_MAX);
    /* owners known, and this shard has none: what still comes is refused */
    assert_int_equal(ing_quota_of(&some, 0, 8).series, 0);
    assert_int_equal(ing_quota_of(&some, 8, 8).series_per_metric, 5);
}

static struct nx_series_id id_of(uint64_t n)
{
    return (struct nx_series_id){.hi = n * UINT64_C(0x9E3779B97F4A7C15), .lo = n};
}

static void series_are_allowed_up_to_the_limits(void **state)
{
    (void)state;
    struct ing_series_limit process;
    struct ing_head_options options = {.rules = {.window_ms = 7200000, .out_of_order_ms = 3600000},
                                       .limit = &process};
    struct ing_head *head;
    struct nx_arena arena;
    uint32_t tenant, ref;
    const char *text = NULL;
    struct nx_label up[] = {{NX_VIEW("__name__"), NX_VIEW("up")}};
    struct nx_label down[] = {{NX_VIEW("__name__"), NX_VIEW("down")}};
    struct nx_labels labels = {.items = up, .count = 1}, other = {.items = down, .count = 1};
    struct nx_tenant_limits limits = {.max_series = 5, .max_series_per_metric = 3};
    struct ing_quota quota = ing_quota_of(&limits, 4, 4);
    atomic_init(&process.used, 0);
    atomic_init(&process.max, 100);
    nx_arena_init(&arena, 0);
    assert_int_equal(ing_head_new(&options, &head), NX_OK);
    assert_int_equal(ing_head_tenant_get(head, NX_VIEW("t"), &tenant), NX_OK);
    const struct ing_tenant *owner = ing_head_tenant(head, tenant);
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(ing_quota_allows(&quota, owner, labels, &arena, &text));
        assert_int_equal(ing_head_create(head, tenant, id_of(i), labels, &ref), NX_OK);
    }
    assert_false(ing_quota_allows(&quota, owner, labels, &arena, &text));
    assert_string_equal(text,
                        "the tenant has reached its limit of 3 series of the metric up; raise "
                        "limits.max-global-series-per-metric");
    for (uint64_t i = 10; i < 12; i++) {
        assert_true(ing_quota_allows(&quota, owner, other, &arena, &text));
        assert_int_equal(ing_head_create(head, tenant, id_of(i), other, &ref), NX_OK);
    }
    assert_false(ing_quota_allows(&quota, owner, other, &arena, &text));
    assert_string_equal(text, "the tenant has reached its limit of 5 series; raise "
                              "limits.max-global-series-per-user");
    /* one goes, one may come */
    ing_head_remove(head, ref);
    assert_true(ing_quota_allows(&quota, owner, other, &arena, &text));
    nx_arena_release(&arena);
    ing_head_free(head);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_add_up_to_the_limit),
        cmocka_unit_test(no_limit_and_unknown_owners_limit_nothing),
        cmocka_unit_test(series_are_allowed_up_to_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
