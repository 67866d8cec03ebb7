/* Records of all sizes, and sets of series numbers in the forms they take, against models. */
#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/head/series_set.h"
#include "ingester/head/slab.h"

static void records_keep_their_bytes_under_random_edits(void **state)
{
    (void)state;
    enum { RECORDS = 3000 };
    struct ing_slab slab = {0};
    struct nx_rand rand;
    uint32_t refs[RECORDS] = {0};
    size_t sizes[RECORDS] = {0};
    nx_rand_seeded(&rand, 1);
    for (int step = 0; step < 100000; step++) {
        size_t i = nx_rand_below(&rand, RECORDS);
        uint8_t fill = (uint8_t)i;
        if (refs[i] == ING_SLAB_NONE) {
            sizes[i] = nx_rand_below(&rand, nx_rand_below(&rand, 20) == 0 ? 10000 : 300);
            refs[i] = ing_slab_alloc(&slab, sizes[i]);
            assert_int_not_equal(refs[i], ING_SLAB_NONE);
            assert_int_equal((uintptr_t)ing_slab_at(&slab, refs[i]) % 8, 0);
            memset(ing_slab_at(&slab, refs[i]), fill, sizes[i]);
            continue;
        }
        const uint8_t *bytes = ing_slab_at(&slab, refs[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(bytes[k], fill);
        ing_slab_free(&slab, refs[i]);
        refs[i] = ING_SLAB_NONE;
    }
    for (size_t i = 0; i < RECORDS; i++)
        ing_slab_free(&slab, refs[i]);
    assert_true(slab.bytes <= ING_SLAB_CLASSES * 65536); /* a page a class stays */
    ing_slab_release(&slab);
}

static void record_takes_little_more_than_its_size(void **state)
{
    (void)state;
    for (size_t size = 1; size <= ING_SLAB_MAX_SMALL; size += 1 + size / 7) {
        struct ing_slab slab = {0};
        size_t count = (4u << 20) / size;
        for (size_t i = 0; i < count; i++)
            assert_int_not_equal(ing_slab_alloc(&slab, size), ING_SLAB_NONE);
        assert_true(slab.bytes <= count * (size + 8 + size / 4) + 65536 + slab.bytes / 16);
        ing_slab_release(&slab);
    }
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void alloc_without_memory_leaves_the_slab_whole(void **state)
{
    (void)state;
    for (size_t n = 0; n < 6; n++) {
        struct ing_slab slab = {0};
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        uint32_t small = ing_slab_alloc(&slab, 20);
        uint32_t large = ing_slab_alloc(&slab, 20000);
        nx_alloc_set_hook(NULL, NULL);
        ing_slab_free(&slab, small);
        ing_slab_free(&slab, large);
        assert_int_not_equal(ing_slab_alloc(&slab, 20), ING_SLAB_NONE);
        assert_int_not_equal(ing_slab_alloc(&slab, 20000), ING_SLAB_NONE);
        ing_slab_release(&slab);
    }
}

/* --- sets --- */

enum { NUMBERS = 400 };

static void set_check(const struct ing_series_set *set, const struct ing_slab *slab,
                      const bool *present, struct nx_rand *rand)
{
    roaring_bitmap_t *map = roaring_bitmap_create();
    ing_set_union_into(set, slab, map);
    size_t count = 0;
    for (uint32_t i = 0; i < NUMBERS; i++) {
        assert_int_equal(roaring_bitmap_contains(map, i), present[i]);
        count += present[i];
    }
    assert_int_equal(roaring_bitmap_get_cardinality(map), count);
    roaring_bitmap_t *other = roaring_bitmap_create();
    for (int i = 0; i < 3; i++)
        roaring_bitmap_add(other, (uint32_t)nx_rand_below(rand, NUMBERS));
    assert_int_equal(ing_set_intersects(set, slab, other), roaring_bitmap_intersect(map, other));
    roaring_bitmap_free(other);
    roaring_bitmap_free(map);
}

static void set_agrees_with_a_model_in_every_form(void **state)
{
    (void)state;
    struct ing_slab slab = {0};
    bool forms[ING_SET_RUNS_MAX + 1] = {false};
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct nx_rand rand;
        struct ing_series_set set;
        bool present[NUMBERS] = {false};
        size_t count = 1;
        nx_rand_seeded(&rand, seed);
        uint32_t first = (uint32_t)nx_rand_below(&rand, NUMBERS);
        uint64_t spread = 1 + nx_rand_below(&rand, NUMBERS);
        ing_set_init(&set, first);
        present[first] = true;
        for (int step = 0; step < 300; step++) {
            bool grows = step < 150 ? nx_rand_below(&rand, 4) > 0 : nx_rand_below(&rand, 4) == 0;
            uint32_t i = (first + (uint32_t)nx_rand_below(&rand, spread)) % NUMBERS;
            if (!present[i] && grows) {
                assert_int_equal(ing_set_add(&set, &slab, i, count++), NX_OK);
                present[i] = true;
            } else if (present[i] && !grows && count > 1) {
                assert_int_equal(ing_set_remove(&set, &slab, i, count--), NX_OK);
                present[i] = false;
            }
            forms[set.run_count] = true;
            set_check(&set, &slab, present, &rand);
        }
        ing_set_release(&set, &slab);
    }
    for (size_t i = 0; i <= ING_SET_RUNS_MAX; i++)
        assert_true(forms[i]);
    ing_slab_release(&slab);
}

static void set_of_consecutive_numbers_takes_no_memory(void **state)
{
    (void)state;
    struct ing_slab slab = {0};
    struct ing_series_set set;
    ing_set_init(&set, 1000);
    for (uint32_t i = 1; i < 100000; i++)
        assert_int_equal(ing_set_add(&set, &slab, 1000 + i, i), NX_OK);
    assert_int_equal(set.run_count, 1);
    assert_int_equal(ing_slab_memory_bytes(&slab), 0);
    assert_int_equal(ing_set_memory_bytes(&set), 0);
    ing_set_release(&set, &slab);
    ing_slab_release(&slab);
}

static void set_without_memory_stays_as_it_was(void **state)
{
    (void)state;
    struct ing_slab slab = {0};
    struct ing_series_set set;
    bool present[NUMBERS] = {false};
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    ing_set_init(&set, 10);
    for (uint32_t i = 11; i < 20; i++)
        assert_int_equal(ing_set_add(&set, &slab, i, i - 10), NX_OK);
    for (uint32_t i = 10; i < 20; i++)
        present[i] = true;
    size_t left = 0;
    nx_alloc_set_hook(fail_nth, &left);
    assert_int_equal(ing_set_add(&set, &slab, 30, 10), NX_ERR_NOMEM);
    left = 0;
    assert_int_equal(ing_set_remove(&set, &slab, 15, 10), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
    set_check(&set, &slab, present, &rand);
    ing_set_release(&set, &slab);
    ing_slab_release(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_keep_their_bytes_under_random_edits),
        cmocka_unit_test(record_takes_little_more_than_its_size),
        cmocka_unit_test(alloc_without_memory_leaves_the_slab_whole),
        cmocka_unit_test(set_agrees_with_a_model_in_every_form),
        cmocka_unit_test(set_of_consecutive_numbers_takes_no_memory),
        cmocka_unit_test(set_without_memory_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
