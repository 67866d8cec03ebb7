#include "distributor/push_peer.h"

#include <pthread.h>

#include "common/ring/ring.h"
#include "distributor/series_cache.h"
#include "tests/unit/distributor/dist_test.h"

static void load_is_charged_up_to_its_limit(void **state)
{
    (void)state;
    struct dist_loads *loads = NULL;
    assert_int_equal(dist_loads_new(&loads), NX_OK);
    struct dist_load *load = dist_loads_get(loads, 1);
    assert_ptr_equal(dist_loads_get(loads, 1), load);
    assert_ptr_not_equal(dist_loads_get(loads, 2), load);
    assert_true(dist_load_charge(load, 500, 100)); /* one is let through in any case */
    assert_false(dist_load_charge(load, 1, 100));
    dist_load_discharge(load, 500);
    assert_true(dist_load_charge(load, 60, 100));
    assert_true(dist_load_charge(load, 40, 100));
    assert_false(dist_load_charge(load, 1, 100));
    assert_false(dist_load_charge(load, SIZE_MAX, 100));
    dist_load_discharge(load, 40);
    assert_true(dist_load_charge(load, 40, 100));
    dist_load_discharge(load, 100);
    dist_loads_free(loads);
}

static void *hammer(void *user)
{
    struct dist_loads *loads = user;
    for (uint64_t i = 0; i < 20000; i++) {
        struct dist_load *load = dist_loads_get(loads, i % 3);
        if (dist_load_charge(load, 10, 25))
            dist_load_discharge(load, 10);
    }
    return NULL;
}

static void load_charged_by_many_threads_comes_back_to_zero(void **state)
{
    (void)state;
    struct dist_loads *loads = NULL;
    pthread_t threads[4];
    assert_int_equal(dist_loads_new(&loads), NX_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, loads), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(atomic_load(&dist_loads_get(loads, i)->bytes), 0);
    dist_loads_free(loads);
}

static void peers_follow_the_view(void **state)
{
    (void)state;
    struct dist_loads *loads = NULL;
    struct dist_peers peers;
    struct nx_member members[] = {{.name = "a", .incarnation = 1}, {.name = "b", .incarnation = 2}};
    struct nx_ring_view view = {.version = 1, .members = members, .member_count = 2};
    assert_int_equal(dist_loads_new(&loads), NX_OK);
    dist_peers_init(&peers, loads, NULL);
    assert_int_equal(dist_peers_update(&peers, &view), NX_OK);
    struct dist_peer a = peers.items[0], b = peers.items[1];
    assert_true(a.life != 0 && b.life != 0 && a.life != b.life);

    struct nx_member swapped[] = {members[1], {.name = "c", .incarnation = 0}, members[0]};
    swapped[2].incarnation = 7;
    view = (struct nx_ring_view){.version = 2, .members = swapped, .member_count = 3};
    assert_int_equal(dist_peers_update(&peers, &view), NX_OK);
    assert_int_equal(peers.count, 3);
    assert_int_equal(peers.items[0].life, b.life);
    assert_int_equal(peers.items[1].life, 0);
    assert_ptr_equal(peers.items[2].load, a.load);
    assert_int_not_equal(peers.items[2].life, a.life);
    assert_int_equal(dist_peers_life(&peers, a.name_hash, 1), a.life);
    dist_peers_release(&peers);
    dist_loads_free(loads);
}

static void lives_that_run_out_begin_anew_and_nothing_is_confirmed(void **state)
{
    (void)state;
    struct dist_loads *loads = NULL;
    struct dist_cache *cache = NULL;
    struct dist_peers peers;
    assert_int_equal(dist_loads_new(&loads), NX_OK);
    assert_int_equal(dist_cache_new(1 << 16, &cache), NX_OK);
    dist_peers_init(&peers, loads, cache);
    struct nx_hash128 key = {.hi = 1, .lo = 2};
    uint32_t ref = dist_cache_insert(cache, key, (struct nx_series_id){.hi = 3, .lo = 4});
    uint16_t first = dist_peers_life(&peers, 1, 1);
    dist_cache_confirm(cache, ref, key, first, 0);
    for (uint64_t incarnation = 2; incarnation <= UINT16_MAX; incarnation++)
        assert_int_equal(dist_peers_life(&peers, 1, incarnation), incarnation);
    assert_int_equal(dist_peers_life(&peers, 1, 1), first);
    assert_true(dist_cache_knows(cache, ref, key, first, NULL));
    assert_int_equal(dist_peers_life(&peers, 9, 9), 1);
    assert_false(dist_cache_knows(cache, ref, key, first, NULL));
    assert_int_equal(dist_peers_life(&peers, 9, 9), 1);
    dist_peers_release(&peers);
    dist_cache_free(cache);
    dist_loads_free(loads);
}

static void peers_out_of_memory_fail_clean(void **state)
{
    (void)state;
    struct nx_member members[] = {{.name = "a", .incarnation = 1}, {.name = "b", .incarnation = 2}};
    struct nx_ring_view view = {.version = 1, .members = members, .member_count = 2};
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct dist_loads *loads = NULL;
        struct dist_peers peers;
        test_fail_allocation(n);
        enum nx_err err = dist_loads_new(&loads);
        dist_peers_init(&peers, loads, NULL);
        if (!err)
            err = dist_peers_update(&peers, &view);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        /* A life that cannot be noted costs labels, not the push. */
        assert_true(err == NX_OK || (failed && err == NX_ERR_NOMEM));
        if (loads)
            assert_int_equal(dist_peers_update(&peers, &view), NX_OK);
        dist_peers_release(&peers);
        dist_loads_free(loads);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_is_charged_up_to_its_limit),
        cmocka_unit_test(load_charged_by_many_threads_comes_back_to_zero),
        cmocka_unit_test(peers_follow_the_view),
        cmocka_unit_test(lives_that_run_out_begin_anew_and_nothing_is_confirmed),
        cmocka_unit_test(peers_out_of_memory_fail_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
