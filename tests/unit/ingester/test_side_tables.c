/* Exemplars and metadata of a tenant, the book of the log, and the coverage by blocks. */
#include <stdio.h>

#include "fixture.h"
#include "ingester/head/exemplars.h"
#include "ingester/head/metadata.h"
#include "ingester/wal/book.h"
#include "ingester/wal/coverage.h"

static bool add(struct ing_exemplars *ring, int64_t t)
{
    bool added;
    struct ing_exemplar exemplar = {
        .series = {1, 2}, .series_labels = NX_VIEW("series"), .labels = NX_VIEW("own"), .t = t};
    assert_int_equal(ing_exemplars_add(ring, &exemplar, &added), NX_OK);
    return added;
}

static void exemplar_ring_forgets_the_oldest(void **state)
{
    (void)state;
    struct ing_exemplars ring;
    ing_exemplars_init(&ring, 20);
    for (int i = 0; i < 100; i++)
        assert_true(add(&ring, i));
    assert_int_equal(ring.count, 20);
    for (size_t i = 0; i < ring.count; i++)
        assert_in_range(ring.items[i].t, 80, 99);
    assert_false(add(&ring, 99)); /* there already */
    assert_true(add(&ring, 1));   /* forgotten, so new */
    assert_int_equal(ring.count, 20);
    ing_exemplars_release(&ring);
}

static void exemplar_ring_of_no_size_takes_none(void **state)
{
    (void)state;
    struct ing_exemplars ring;
    ing_exemplars_init(&ring, 0);
    assert_false(add(&ring, 1));
    ing_exemplars_release(&ring);
}

static bool set(struct ing_metadata_table *table, const char *metric, uint32_t type,
                const char *help)
{
    bool changed;
    struct ing_metadata metadata = {
        .metric = nx_view_of(metric), .type = type, .help = nx_view_of(help)};
    assert_int_equal(ing_metadata_set(table, &metadata, &changed), NX_OK);
    return changed;
}

static void metadata_keeps_the_last_word(void **state)
{
    (void)state;
    struct ing_metadata_table table;
    ing_metadata_init(&table);
    assert_true(set(&table, "m", 1, "help"));
    assert_false(set(&table, "m", 1, "help"));
    assert_true(set(&table, "m", 2, "help"));
    assert_true(set(&table, "m", 2, "other"));
    assert_int_equal(table.count, 1);
    assert_true(nx_view_is(ing_metadata_get(&table, NX_VIEW("m"))->help, "other"));
    assert_null(ing_metadata_get(&table, NX_VIEW("n")));
    ing_metadata_release(&table);
}

static void metadata_is_capped_in_number_and_length(void **state)
{
    (void)state;
    struct ing_metadata_table table;
    static char text[ING_METADATA_TEXT_MAX + 1];
    ing_metadata_init(&table);
    for (int i = 0; i < ING_METADATA_MAX + 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(set(&table, name, 1, ""), i < ING_METADATA_MAX);
    }
    assert_int_equal(table.count, ING_METADATA_MAX);
    ing_metadata_release(&table);
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = 'x';
    assert_false(set(&table, "m", 1, text));
    ing_metadata_release(&table);
}

static void note(struct ing_book *book, uint64_t segment, uint32_t tenant, int64_t window)
{
    assert_int_equal(ing_book_reserve(book, segment), NX_OK);
    ing_book_note(book, segment, tenant, window);
}

static void book_keeps_segments_until_their_windows_are_in_blocks(void **state)
{
    (void)state;
    struct ing_book book;
    ing_book_init(&book);
    assert_true(ing_book_first_needed(&book, 4) == 4);
    note(&book, 4, 0, 0);
    note(&book, 4, 0, 0);
    note(&book, 4, 1, 0);
    note(&book, 5, 0, 0);
    note(&book, 5, 0, 100);
    note(&book, 7, 0, 0);
    assert_true(ing_book_first_needed(&book, 7) == 4);
    ing_book_clear(&book, 7, 0, 0);
    assert_true(ing_book_first_needed(&book, 7) == 4); /* tenant 1 */
    ing_book_clear(&book, 7, 1, 0);
    assert_true(ing_book_first_needed(&book, 7) == 5); /* window 100 */
    ing_book_clear(&book, 7, 0, 100);
    assert_true(ing_book_first_needed(&book, 7) == 7); /* the current one stays */
    ing_book_clear(&book, 7, 0, 0);
    assert_true(ing_book_first_needed(&book, 7) == 7); /* 7 is not before 7 */
    note(&book, 8, 0, 0);
    ing_book_clear(&book, 8, 0, 0);
    assert_true(ing_book_first_needed(&book, 8) == 8);
    ing_book_release(&book);
}

static void coverage_tells_tenants_windows_and_shards_apart(void **state)
{
    (void)state;
    struct ing_coverage coverage;
    ing_coverage_init(&coverage);
    assert_true(ing_coverage_before(&coverage, NX_VIEW("a"), 0, 0) == 0);
    assert_int_equal(ing_coverage_add(&coverage, NX_VIEW("a"), 0, 0, 5), NX_OK);
    assert_int_equal(ing_coverage_add(&coverage, NX_VIEW("a"), 0, 0, 3), NX_OK);
    assert_int_equal(ing_coverage_add(&coverage, NX_VIEW("a"), 0, 1, 9), NX_OK);
    assert_true(ing_coverage_before(&coverage, NX_VIEW("a"), 0, 0) == 5);
    assert_true(ing_coverage_before(&coverage, NX_VIEW("a"), 0, 1) == 9);
    assert_true(ing_coverage_before(&coverage, NX_VIEW("a"), 1, 0) == 0);
    assert_true(ing_coverage_before(&coverage, NX_VIEW("b"), 0, 0) == 0);
    ing_coverage_release(&coverage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exemplar_ring_forgets_the_oldest),
        cmocka_unit_test(exemplar_ring_of_no_size_takes_none),
        cmocka_unit_test(metadata_keeps_the_last_word),
        cmocka_unit_test(metadata_is_capped_in_number_and_length),
        cmocka_unit_test(book_keeps_segments_until_their_windows_are_in_blocks),
        cmocka_unit_test(coverage_tells_tenants_windows_and_shards_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
