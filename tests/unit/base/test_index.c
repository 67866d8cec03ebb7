#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/index.h"
#include "common/base/rand.h"

/* Entries are numbers; `user` is their array. */
static bool same_number(uint32_t ref, const void *key, const void *user)
{
    const uint64_t *numbers = user;
    return numbers[ref] == *(const uint64_t *)key;
}

static uint32_t find(const struct nx_index *index, uint64_t hash, uint64_t number,
                     const uint64_t *numbers)
{
    return nx_index_find(index, hash, same_number, &number, numbers);
}

static void find_in_an_empty_index_gives_none(void **state)
{
    (void)state;
    struct nx_index index;
    nx_index_init(&index);
    assert_int_equal(find(&index, 1, 1, NULL), NX_INDEX_NONE);
    assert_false(nx_index_remove(&index, 1, 1));
    assert_int_equal(nx_index_memory_bytes(&index), 0);
    nx_index_clear(&index);
    nx_index_release(&index);
}

static void entries_with_one_hash_are_told_apart(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {100, 101, 102, 103, 104};
    struct nx_index index;
    nx_index_init(&index);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(nx_index_insert(&index, 7, i), NX_OK);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(find(&index, 7, 100 + i, numbers), i);
    assert_int_equal(find(&index, 7, 99, numbers), NX_INDEX_NONE);
    assert_true(nx_index_remove(&index, 7, 2));
    assert_false(nx_index_remove(&index, 7, 2));
    assert_int_equal(find(&index, 7, 102, numbers), NX_INDEX_NONE);
    for (uint32_t i = 0; i < 5; i++)
        if (i != 2)
            assert_int_equal(find(&index, 7, 100 + i, numbers), i);
    nx_index_release(&index);
}

/* Hashes from few bits make long runs that wrap around the table. */
static void random_edits_match_a_model(void **state)
{
    (void)state;
    enum { ENTRIES = 512 };
    for (unsigned bits = 1; bits <= 64; bits += 9) {
        struct nx_rand rand;
        nx_rand_seeded(&rand, bits);
        uint64_t numbers[ENTRIES];
        uint64_t hashes[ENTRIES];
        bool present[ENTRIES] = {false};
        size_t count = 0;
        for (size_t i = 0; i < ENTRIES; i++) {
            numbers[i] = i;
            hashes[i] = nx_rand_u64(&rand) >> (64 - bits);
        }
        struct nx_index index;
        nx_index_init(&index);
        for (int round = 0; round < 20000; round++) {
            uint32_t i = (uint32_t)nx_rand_below(&rand, ENTRIES);
            if (!present[i]) {
                assert_int_equal(nx_index_insert(&index, hashes[i], i), NX_OK);
                count++;
            } else {
                assert_true(nx_index_remove(&index, hashes[i], i));
                count--;
            }
            present[i] = !present[i];
            assert_int_equal(index.count, count);
            uint32_t k = (uint32_t)nx_rand_below(&rand, ENTRIES);
            assert_int_equal(find(&index, hashes[k], k, numbers), present[k] ? k : NX_INDEX_NONE);
        }
        for (uint32_t k = 0; k < ENTRIES; k++)
            assert_int_equal(find(&index, hashes[k], k, numbers), present[k] ? k : NX_INDEX_NONE);
        nx_index_clear(&index);
        assert_int_equal(index.count, 0);
        for (uint32_t k = 0; k < ENTRIES; k++)
            assert_int_equal(find(&index, hashes[k], k, numbers), NX_INDEX_NONE);
        nx_index_release(&index);
    }
}

static void memory_stays_within_load_bounds(void **state)
{
    (void)state;
    struct nx_index index;
    nx_index_init(&index);
    for (uint32_t i = 0; i < 400000; i++)
        assert_int_equal(nx_index_insert(&index, i * UINT64_C(0x123456789abcdef), i), NX_OK);
    size_t bytes = nx_index_memory_bytes(&index);
    assert_in_range(bytes, 400000 * 10, 400000 * 12);
    nx_index_release(&index);
}

/* Through the division into parts, and back to nothing. */
static void large_index_keeps_every_entry(void **state)
{
    (void)state;
    enum { ENTRIES = 60000 };
    struct nx_index index;
    struct nx_rand rand;
    uint64_t *numbers = nx_alloc_array(ENTRIES, sizeof *numbers);
    assert_non_null(numbers);
    nx_rand_seeded(&rand, 17);
    nx_index_init(&index);
    for (uint32_t i = 0; i < ENTRIES; i++) {
        numbers[i] = nx_rand_u64(&rand) << (i % 3 * 8); /* some with poor low bits */
        assert_int_equal(nx_index_insert(&index, numbers[i], i), NX_OK);
        if (i % 7 == 0) {
            assert_true(nx_index_remove_tagged(&index, nx_index_tag(numbers[i]), i));
            assert_int_equal(nx_index_insert(&index, numbers[i], i), NX_OK);
        }
    }
    assert_non_null(index.parts);
    for (uint32_t i = 0; i < ENTRIES; i++)
        assert_int_equal(find(&index, numbers[i], numbers[i], numbers), i);
    for (uint32_t i = 0; i < ENTRIES; i += 2)
        assert_true(nx_index_remove(&index, numbers[i], i));
    for (uint32_t i = 0; i < ENTRIES; i++)
        assert_int_equal(find(&index, numbers[i], numbers[i], numbers), i % 2 ? i : NX_INDEX_NONE);
    assert_int_equal(index.count, ENTRIES / 2);
    nx_index_clear(&index);
    assert_int_equal(find(&index, numbers[1], numbers[1], numbers), NX_INDEX_NONE);
    nx_index_release(&index);
    nx_free(numbers);
}

static bool fail_nth(size_t size_bytes, void *user)
{
    (void)size_bytes;
    size_t *left = user;
    return (*left)-- != 0;
}

static void division_without_memory_keeps_the_index(void **state)
{
    (void)state;
    enum { ENTRIES = 12289 }; /* the last one makes it divide */
    for (size_t n = 0; n < 400; n += n < 4 ? 1 : 61) {
        struct nx_index index;
        nx_index_init(&index);
        uint64_t *numbers = nx_alloc_array(ENTRIES, sizeof *numbers);
        assert_non_null(numbers);
        for (uint32_t i = 0; i < ENTRIES; i++)
            numbers[i] = i * UINT64_C(0x123456789abcdef);
        for (uint32_t i = 0; i + 1 < ENTRIES; i++)
            assert_int_equal(nx_index_insert(&index, numbers[i], i), NX_OK);
        assert_null(index.parts);
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = nx_index_insert(&index, numbers[ENTRIES - 1], ENTRIES - 1);
        nx_alloc_set_hook(NULL, NULL);
        assert_int_equal(err, NX_ERR_NOMEM);
        for (uint32_t i = 0; i < ENTRIES; i++)
            assert_int_equal(find(&index, numbers[i], numbers[i], numbers),
                             i + 1 < ENTRIES ? i : NX_INDEX_NONE);
        nx_index_release(&index);
        nx_free(numbers);
    }
}

static bool fail_all(size_t size_bytes, void *user)
{
    (void)size_bytes;
    (void)user;
    return false;
}

static void insert_without_memory_keeps_the_index(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct nx_index index;
    nx_index_init(&index);
    nx_alloc_set_hook(fail_all, NULL);
    assert_int_equal(nx_index_insert(&index, 1, 1), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
    uint32_t inserted = 0;
    while (inserted < 6)
        assert_int_equal(nx_index_insert(&index, inserted, inserted), NX_OK), inserted++;
    nx_alloc_set_hook(fail_all, NULL);
    assert_int_equal(nx_index_insert(&index, 6, 6), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(find(&index, i, i, numbers), i < 6 ? i : NX_INDEX_NONE);
    nx_index_release(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_in_an_empty_index_gives_none),
        cmocka_unit_test(entries_with_one_hash_are_told_apart),
        cmocka_unit_test(random_edits_match_a_model),
        cmocka_unit_test(memory_stays_within_load_bounds),
        cmocka_unit_test(large_index_keeps_every_entry),
        cmocka_unit_test(division_without_memory_keeps_the_index),
        cmocka_unit_test(insert_without_memory_keeps_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
