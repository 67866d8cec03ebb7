#include "distributor/series_cache.h"

#include <pthread.h>

#include "common/base/index.h"

#include "tests/unit/distributor/dist_test.h"

static struct nx_hash128 key_of(uint64_t n)
{
    return nx_hash128(&n, sizeof n);
}

static struct nx_series_id id_of(uint64_t n)
{
    return (struct nx_series_id){.hi = n, .lo = ~n};
}

static uint32_t find(struct dist_cache *cache, struct nx_hash128 key)
{
    dist_cache_read_begin(cache);
    uint32_t ref = dist_cache_find(cache, key);
    dist_cache_read_end(cache);
    return ref;
}

static uint32_t number_of(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                          uint16_t life)
{
    uint32_t number = 77;
    return dist_cache_knows(cache, ref, key, life, &number) ? number : UINT32_MAX;
}

static void numbers_stay_with_their_lives(void **state)
{
    (void)state;
    struct dist_cache *cache;
    assert_int_equal(dist_cache_new(1 << 20, &cache), NX_OK);
    struct nx_hash128 key = key_of(1), other = key_of(2);
    uint32_t ref = dist_cache_insert(cache, key, id_of(1));
    uint32_t second = dist_cache_insert(cache, other, id_of(2));
    size_t before = dist_cache_stats(cache).bytes;
    dist_cache_confirm(cache, ref, key, 1, 0);
    assert_int_equal(number_of(cache, ref, key, 1), 0);
    for (uint16_t life = 1; life <= DIST_CACHE_LIVES; life++)
        dist_cache_confirm(cache, ref, key, life, 100u + life);
    assert_true(dist_cache_stats(cache).bytes > before);
    for (uint16_t life = 1; life <= DIST_CACHE_LIVES; life++)
        assert_int_equal(number_of(cache, ref, key, life), 100 + life);
    assert_int_equal(number_of(cache, ref, key, 50), UINT32_MAX);
    dist_cache_confirm(cache, second, other, 2, 0); /* no number, whatever the column has */
    assert_int_equal(number_of(cache, second, other, 2), 0);
    dist_cache_confirm(cache, ref, key, 50, 150); /* the oldest makes room */
    assert_int_equal(number_of(cache, ref, key, 1), UINT32_MAX);
    assert_int_equal(number_of(cache, ref, key, 2), 102);
    assert_int_equal(number_of(cache, ref, key, 50), 150);
    dist_cache_forget(cache, ref, key, 3);
    assert_int_equal(number_of(cache, ref, key, 2), 102);
    assert_int_equal(number_of(cache, ref, key, 3), UINT32_MAX);
    assert_int_equal(number_of(cache, ref, key, 4), 104);
    assert_int_equal(number_of(cache, ref, key, 50), 150);
    dist_cache_forget_number(cache, ref, key, 4, 103); /* it has another by now */
    assert_int_equal(number_of(cache, ref, key, 4), 104);
    dist_cache_forget_number(cache, ref, key, 4, 104);
    assert_int_equal(number_of(cache, ref, key, 4), 0);
    dist_cache_forget_number(cache, ref, other, 5, 105);
    assert_int_equal(number_of(cache, ref, key, 5), 105);
    dist_cache_confirm(cache, ref, key, 3, 0);
    assert_int_equal(number_of(cache, ref, key, 3), 0);
    dist_cache_forget_all(cache);
    dist_cache_confirm(cache, ref, key, 9, 0); /* what was there is not its number */
    assert_int_equal(number_of(cache, ref, key, 9), 0);
    dist_cache_free(cache);
}

static void cache_finds_what_was_put_in(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    assert_int_equal(dist_cache_new(1 << 20, &cache), NX_OK);
    for (uint64_t n = 0; n < 5000; n++) {
        assert_int_equal(find(cache, key_of(n)), DIST_NO_REF);
        assert_int_not_equal(dist_cache_insert(cache, key_of(n), id_of(n)), DIST_NO_REF);
    }
    assert_int_equal(dist_cache_stats(cache).series, 5000);
    for (uint64_t n = 0; n < 5000; n++) {
        uint32_t ref = find(cache, key_of(n));
        assert_int_not_equal(ref, DIST_NO_REF);
        assert_true(nx_series_id_eq(dist_cache_id(cache, ref), id_of(n)));
    }
    assert_int_equal(find(cache, key_of(5000)), DIST_NO_REF);
    dist_cache_free(cache);
}

static void cache_every_part_of_the_key_counts(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    assert_int_equal(dist_cache_new(1 << 20, &cache), NX_OK);
    struct nx_hash128 key = {.hi = 1, .lo = 2};
    assert_int_not_equal(dist_cache_insert(cache, key, id_of(1)), DIST_NO_REF);
    assert_int_not_equal(find(cache, key), DIST_NO_REF);
    assert_int_equal(find(cache, (struct nx_hash128){.hi = 9, .lo = 2}), DIST_NO_REF);
    assert_int_equal(find(cache, (struct nx_hash128){.hi = 1, .lo = 9}), DIST_NO_REF);
    /* The same low half is the same slot: both live side by side. */
    assert_int_not_equal(dist_cache_insert(cache, (struct nx_hash128){.hi = 9, .lo = 2}, id_of(2)),
                         DIST_NO_REF);
    assert_true(nx_series_id_eq(dist_cache_id(cache, find(cache, key)), id_of(1)));
    dist_cache_free(cache);
}

static void cache_tenants_do_not_share_keys(void **state)
{
    (void)state;
    struct nx_view raw = NX_VIEW("labels");
    struct nx_hash128 a = dist_cache_key(nx_hash128("a", 1), nx_hash128(raw.ptr, raw.len));
    struct nx_hash128 b = dist_cache_key(nx_hash128("b", 1), nx_hash128(raw.ptr, raw.len));
    assert_true(a.hi != b.hi && a.lo != b.lo);
    assert_true(nx_index_tag(a.lo) != nx_index_tag(b.lo));
}

static void cache_full_evicts_what_was_not_used(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    size_t max = 64 << 10;
    assert_int_equal(dist_cache_new(max, &cache), NX_OK);
    uint64_t n = 0;
    for (; dist_cache_stats(cache).evictions == 0; n++)
        assert_int_not_equal(dist_cache_insert(cache, key_of(n), id_of(n)), DIST_NO_REF);
    size_t capacity = dist_cache_stats(cache).series;
    assert_true(capacity > 500);
    /* A hot set of a quarter, used between any two insertions of a cold stream, stays. */
    for (uint64_t hot = 0; hot < capacity / 4; hot++) {
        if (find(cache, key_of(1000000 + hot)) == DIST_NO_REF)
            (void)dist_cache_insert(cache, key_of(1000000 + hot), id_of(hot));
    }
    size_t misses = 0;
    for (uint64_t i = 0; i < capacity * 8; i++) {
        (void)dist_cache_insert(cache, key_of(2000000 + i), id_of(i));
        uint64_t hot = i % (capacity / 4);
        if (find(cache, key_of(1000000 + hot)) == DIST_NO_REF) {
            misses++;
            (void)dist_cache_insert(cache, key_of(1000000 + hot), id_of(hot));
        }
    }
    assert_true(misses < capacity / 16);
    assert_int_equal(dist_cache_stats(cache).series, capacity);
    assert_true(dist_cache_stats(cache).bytes <= max + 10240);
    dist_cache_free(cache);
}

static void cache_against_a_model_under_eviction_never_lies(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 11);
    assert_int_equal(dist_cache_new(16 << 10, &cache), NX_OK);
    for (size_t i = 0; i < 100000; i++) {
        uint64_t n = nx_rand_below(&rand, 600);
        uint16_t life = (uint16_t)(1 + n % 5);
        uint32_t ref = find(cache, key_of(n));
        if (ref == DIST_NO_REF) {
            ref = dist_cache_insert(cache, key_of(n), id_of(n));
            assert_false(dist_cache_knows(cache, ref, key_of(n), life, NULL));
        }
        assert_true(nx_series_id_eq(dist_cache_id(cache, ref), id_of(n)));
        dist_cache_confirm(cache, ref, key_of(n), life, 0);
        assert_true(dist_cache_knows(cache, ref, key_of(n), life, NULL));
        assert_false(dist_cache_knows(cache, ref, key_of(n + 1), life, NULL));
        assert_false(dist_cache_knows(cache, ref, key_of(n), (uint16_t)(life + 1), NULL));
    }
    dist_cache_free(cache);
}

static void cache_confirmations_come_and_go(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    assert_int_equal(dist_cache_new(1 << 20, &cache), NX_OK);
    struct nx_hash128 key = key_of(1);
    uint32_t ref = dist_cache_insert(cache, key, id_of(1));
    assert_false(dist_cache_knows(cache, ref, key, 0, NULL));
    dist_cache_confirm(cache, ref, key, 0, 0);
    assert_false(dist_cache_knows(cache, ref, key, 0, NULL));
    for (uint16_t life = 1; life <= DIST_CACHE_LIVES; life++)
        dist_cache_confirm(cache, ref, key, life, 0);
    dist_cache_confirm(cache, ref, key, 3, 0);
    for (uint16_t life = 1; life <= DIST_CACHE_LIVES; life++)
        assert_true(dist_cache_knows(cache, ref, key, life, NULL));
    dist_cache_confirm(cache, ref, key, 100, 0); /* the oldest makes room */
    assert_false(dist_cache_knows(cache, ref, key, 1, NULL));
    assert_true(dist_cache_knows(cache, ref, key, 2, NULL));
    assert_true(dist_cache_knows(cache, ref, key, 100, NULL));
    dist_cache_forget(cache, ref, key, 3);
    assert_false(dist_cache_knows(cache, ref, key, 3, NULL));
    assert_true(dist_cache_knows(cache, ref, key, 4, NULL));
    dist_cache_forget(cache, ref, key_of(2), 4); /* another key: nothing happens */
    assert_true(dist_cache_knows(cache, ref, key, 4, NULL));
    assert_false(dist_cache_knows(cache, DIST_NO_REF, key, 4, NULL));
    dist_cache_forget_all(cache);
    assert_false(dist_cache_knows(cache, ref, key, 4, NULL));
    assert_int_equal(find(cache, key), ref);
    dist_cache_free(cache);
}

/* More sets of lives than there are numbers for: confirmations are lost, never wrong. */
static void cache_sets_that_run_out_begin_anew(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    assert_int_equal(dist_cache_new(1 << 20, &cache), NX_OK);
    uint32_t first = dist_cache_insert(cache, key_of(0), id_of(0));
    uint32_t other = dist_cache_insert(cache, key_of(1), id_of(1));
    dist_cache_confirm(cache, first, key_of(0), 7, 0);
    for (uint32_t i = 0; i < 70000; i++) {
        dist_cache_confirm(cache, other, key_of(1), (uint16_t)(1 + i % 300), 0);
        dist_cache_confirm(cache, other, key_of(1), (uint16_t)(1 + i / 300), 0);
        assert_true(dist_cache_knows(cache, other, key_of(1), (uint16_t)(1 + i / 300), NULL));
    }
    assert_false(dist_cache_knows(cache, first, key_of(0), 7, NULL));
    dist_cache_confirm(cache, first, key_of(0), 8, 0);
    assert_true(dist_cache_knows(cache, first, key_of(0), 8, NULL));
    dist_cache_free(cache);
}

struct crowd {
    struct dist_cache *cache;
    uint64_t seed;
};

static void *use_cache(void *user)
{
    struct crowd *crowd = user;
    struct nx_rand rand;
    nx_rand_seeded(&rand, crowd->seed);
    for (int i = 0; i < 3000; i++) {
        uint64_t n = nx_rand_below(&rand, 500);
        dist_cache_read_begin(crowd->cache);
        uint32_t ref = dist_cache_find(crowd->cache, key_of(n));
        if (ref != DIST_NO_REF)
            assert_true(nx_series_id_eq(dist_cache_id(crowd->cache, ref), id_of(n)));
        (void)dist_cache_knows(crowd->cache, ref, key_of(n), 1, NULL);
        dist_cache_read_end(crowd->cache);
        if (ref == DIST_NO_REF)
            ref = dist_cache_insert(crowd->cache, key_of(n), id_of(n));
        dist_cache_confirm(crowd->cache, ref, key_of(n), (uint16_t)(1 + n % 3), 0);
    }
    return NULL;
}

static void cache_used_by_many_threads_never_lies(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    pthread_t threads[4];
    struct crowd crowds[4];
    assert_int_equal(dist_cache_new(16 << 10, &cache), NX_OK);
    for (size_t i = 0; i < 4; i++) {
        crowds[i] = (struct crowd){.cache = cache, .seed = i};
        assert_int_equal(pthread_create(&threads[i], NULL, use_cache, &crowds[i]), 0);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_in_range(dist_cache_stats(cache).series, 250, 500);
    dist_cache_free(cache);
}

static void cache_out_of_memory_keeps_what_it_has(void **state)
{
    (void)state;
    struct dist_cache *cache = NULL;
    test_fail_allocation(1);
    assert_int_equal(dist_cache_new(1 << 20, &cache), NX_ERR_NOMEM);
    test_fail_allocation(0);
    for (size_t n = 1; n < 12; n++) {
        assert_int_equal(dist_cache_new(1 << 20, &cache), NX_OK);
        test_fail_allocation(n);
        size_t kept = 0;
        for (uint64_t k = 0; k < 300; k++)
            kept += dist_cache_insert(cache, key_of(k), id_of(k)) != DIST_NO_REF;
        test_fail_allocation(0);
        assert_true(kept >= 298);
        assert_int_equal(dist_cache_stats(cache).series, kept);
        size_t found = 0;
        for (uint64_t k = 0; k < 300; k++) {
            uint32_t ref = find(cache, key_of(k));
            found += ref != DIST_NO_REF;
            assert_true(ref == DIST_NO_REF || nx_series_id_eq(dist_cache_id(cache, ref), id_of(k)));
        }
        assert_int_equal(found, kept);
        dist_cache_free(cache);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay_with_their_lives),
        cmocka_unit_test(cache_finds_what_was_put_in),
        cmocka_unit_test(cache_every_part_of_the_key_counts),
        cmocka_unit_test(cache_tenants_do_not_share_keys),
        cmocka_unit_test(cache_full_evicts_what_was_not_used),
        cmocka_unit_test(cache_against_a_model_under_eviction_never_lies),
        cmocka_unit_test(cache_confirmations_come_and_go),
        cmocka_unit_test(cache_sets_that_run_out_begin_anew),
        cmocka_unit_test(cache_used_by_many_threads_never_lies),
        cmocka_unit_test(cache_out_of_memory_keeps_what_it_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
