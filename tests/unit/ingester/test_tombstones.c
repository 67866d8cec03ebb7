/* The list of deletions and its file: every byte of it damaged, every call and allocation failing.
 */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/pressure.h"
#include "ingester/tombstone/tombstones.h"

static const struct nx_interval always = {INT64_MIN, INT64_MAX};

static struct ing_tombstone *make(uint64_t id, const char *tenant, int64_t min_t, int64_t max_t)
{
    struct nx_arena arena;
    struct nx_matcher matchers[2];
    struct ing_tombstone *out;
    nx_arena_init(&arena, 0);
    assert_int_equal(nx_matcher_init(&matchers[0], &arena, NX_MATCH_EQ, NX_VIEW("__name__"),
                                     NX_VIEW("up"), NULL),
                     NX_OK);
    assert_int_equal(
        nx_matcher_init(&matchers[1], &arena, NX_MATCH_NRE, NX_VIEW("job"), NX_VIEW("a.*|b"), NULL),
        NX_OK);
    struct ing_tombstone_fields fields = {.id = {.hi = 7, .lo = id},
                                          .tenant = nx_view_of(tenant),
                                          .matchers = matchers,
                                          .matcher_count = 2,
                                          .range = {min_t, max_t},
                                          .created_ms = 99};
    enum nx_err err = ing_tombstone_new(&fields, &out);
    nx_matcher_release(&matchers[0]);
    nx_matcher_release(&matchers[1]);
    nx_arena_release(&arena);
    assert_int_equal(err, NX_OK);
    return out;
}

static size_t count_of(struct ing_tombstones *tombstones, struct nx_view tenant,
                       struct nx_interval range)
{
    struct ing_tombstone_list list;
    assert_int_equal(ing_tombstones_acquire(tombstones, tenant, range, &list), NX_OK);
    size_t count = list.count;
    for (size_t i = 0; i < count; i++) {
        assert_true(nx_matcher_matches(&list.items[i]->matchers[1], NX_VIEW("c")));
        assert_false(nx_matcher_matches(&list.items[i]->matchers[1], NX_VIEW("ab")));
    }
    ing_tombstone_list_release(&list);
    return count;
}

static void added_ones_are_found_by_tenant_and_time_also_after_a_start(void **state)
{
    (void)state;
    char *dir = tmp_dir_new();
    struct ing_tombstones *tombstones;
    struct ing_tombstone_list list;
    assert_int_equal(ing_tombstones_open(nx_fs_posix(), dir, 40, NULL, NULL, &tombstones), NX_OK);
    assert_true(ing_tombstones_last(tombstones) == 40);
    assert_int_equal(ing_tombstones_add(tombstones, make(1, "a", 0, 10)), NX_OK);
    assert_int_equal(ing_tombstones_add(tombstones, make(2, "a", 20, 30)), NX_OK);
    assert_int_equal(ing_tombstones_add(tombstones, make(3, "b", 0, 10)), NX_OK);
    assert_int_equal(ing_tombstones_add(tombstones, make(1, "a", 5, 6)), NX_OK); /* known */
    for (int i = 0; i < 2; i++) {
        assert_true(ing_tombstones_last(tombstones) == 43);
        assert_int_equal(count_of(tombstones, NX_VIEW("a"), always), 2);
        assert_int_equal(count_of(tombstones, NX_VIEW("b"), always), 1);
        assert_int_equal(count_of(tombstones, (struct nx_view){0}, always), 3);
        assert_int_equal(count_of(tombstones, NX_VIEW("a"), (struct nx_interval){10, 19}), 1);
        assert_int_equal(count_of(tombstones, NX_VIEW("a"), (struct nx_interval){11, 19}), 0);
        assert_true(ing_tombstones_known(tombstones, (struct nx_hash128){.hi = 7, .lo = 2}));
        assert_false(ing_tombstones_known(tombstones, (struct nx_hash128){.hi = 8, .lo = 2}));
        ing_tombstones_free(tombstones);
        assert_int_equal(ing_tombstones_open(nx_fs_posix(), dir, 0, NULL, NULL, &tombstones),
                         NX_OK);
    }
    assert_int_equal(ing_tombstones_acquire(tombstones, NX_VIEW("a"), always, &list), NX_OK);
    assert_int_equal(ing_tombstones_forget(tombstones, &list), NX_OK);
    assert_int_equal(count_of(tombstones, (struct nx_view){0}, always), 1);
    assert_true(list.items[0]->number == 41); /* held by the list still */
    ing_tombstone_list_release(&list);
    ing_tombstones_free(tombstones);
    assert_int_equal(ing_tombstones_open(nx_fs_posix(), dir, 0, NULL, NULL, &tombstones), NX_OK);
    assert_int_equal(count_of(tombstones, (struct nx_view){0}, always), 1);
    assert_true(ing_tombstones_last(tombstones) == 43); /* numbers are not given again */
    ing_tombstones_free(tombstones);
    tmp_dir_free(dir);
}

static void every_damaged_byte_is_noticed_and_never_prevents_the_start(void **state)
{
    (void)state;
    struct ing_tombstone *items[3] = {make(1, "a", 0, 10), make(2, "bb", -5, 10),
                                      make(3, "ccc", 7, INT64_MAX)};
    struct nx_buf buf;
    char *dir = tmp_dir_new();
    char *path = nx_path_join(dir, "tombstones");
    nx_buf_init(&buf, 1 << 20);
    for (uint64_t i = 0; i < 3; i++)
        items[i]->number = i + 1;
    ing_tombstones_encode(&buf, items, 3, 9);
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    for (size_t at = 0; at < buf.len; at++) {
        struct ing_tombstone_list list;
        uint64_t last;
        size_t damaged;
        buf.data[at] ^= 0x20;
        assert_int_equal(ing_tombstones_decode(nx_buf_view(&buf), &list, &last, &damaged), NX_OK);
        assert_true(damaged > 0);
        assert_true(list.count <= 3);
        for (size_t i = 0; i < list.count; i++) { /* what is read is right */
            const struct ing_tombstone *item = list.items[i];
            assert_true(item->number >= 1 && item->number <= 3 && item->id.lo == item->number);
            assert_true(nx_view_eq(item->tenant, items[item->number - 1]->tenant));
            assert_true(item->range.max_t == items[item->number - 1]->range.max_t);
        }
        ing_tombstone_list_release(&list);
        if (at % 7 == 0) {
            struct ing_tombstones *tombstones;
            file_write(path, buf.data, buf.len);
            assert_int_equal(ing_tombstones_open(nx_fs_posix(), dir, 3, NULL, NULL, &tombstones),
                             NX_OK);
            assert_true(ing_tombstones_last(tombstones) >= 3);
            assert_int_equal(ing_tombstones_add(tombstones, make(50, "a", 0, 1)), NX_OK);
            ing_tombstones_free(tombstones);
            char *aside = find_file(dir, ".damaged");
            assert_non_null(aside);
            nx_free(aside);
        }
        buf.data[at] ^= 0x20;
    }
    for (size_t len = 0; len < buf.len; len++) { /* and every cut */
        struct ing_tombstone_list list;
        uint64_t last;
        size_t damaged;
        assert_int_equal(ing_tombstones_decode(nx_view_make(buf.data, len), &list, &last, &damaged),
                         NX_OK);
        assert_true(list.count < 3);
        ing_tombstone_list_release(&list);
    }
    for (size_t i = 0; i < 3; i++)
        ing_tombstone_drop(items[i]);
    nx_buf_release(&buf);
    nx_free(path);
    tmp_dir_free(dir);
}

static void failing_call_leaves_the_list_as_it_was_or_changed(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct fault_fs fs;
        struct ing_tombstones *tombstones;
        char *dir = tmp_dir_new();
        fault_fs_init(&fs);
        assert_int_equal(ing_tombstones_open(&fs.base, dir, 0, NULL, NULL, &tombstones), NX_OK);
        assert_int_equal(ing_tombstones_add(tombstones, make(1, "a", 0, 10)), NX_OK);
        fault_fs_arm(&fs, n, NX_ERR_IO, false);
        struct ing_tombstone *second = make(2, "a", 0, 10);
        enum nx_err err = ing_tombstones_add(tombstones, second);
        bool fired = fault_fs_fired(&fs);
        if (err != NX_OK)
            ing_tombstone_drop(second);
        assert_int_equal(count_of(tombstones, NX_VIEW("a"), always), err == NX_OK ? 2 : 1);
        ing_tombstones_free(tombstones);
        fault_fs_disarm(&fs);
        fault_fs_power_cut(&fs, dir, DISK_ANY, n);
        assert_int_equal(ing_tombstones_open(&fs.base, dir, 0, NULL, NULL, &tombstones), NX_OK);
        size_t found = count_of(tombstones, NX_VIEW("a"), always);
        assert_true(found == 2 || (err != NX_OK && found == 1));
        ing_tombstones_free(tombstones);
        fault_fs_release(&fs);
        tmp_dir_free(dir);
        if (!fired)
            break;
    }
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    char *dir = tmp_dir_new();
    struct ing_tombstones *tombstones;
    assert_int_equal(ing_tombstones_open(nx_fs_posix(), dir, 0, NULL, NULL, &tombstones), NX_OK);
    assert_int_equal(ing_tombstones_add(tombstones, make(1, "a", 0, 10)), NX_OK);
    for (size_t n = 0;; n++) {
        struct ing_tombstone *second = make(2, "a", 0, 10);
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_tombstones_add(tombstones, second);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK)
            break;
        assert_int_equal(err, NX_ERR_NOMEM);
        assert_int_equal(count_of(tombstones, NX_VIEW("a"), always), 1);
        ing_tombstone_drop(second);
    }
    assert_int_equal(count_of(tombstones, NX_VIEW("a"), always), 2);
    ing_tombstones_free(tombstones);
    for (size_t n = 0;; n++) {
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_tombstones_open(nx_fs_posix(), dir, 0, NULL, NULL, &tombstones);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK)
            break;
        assert_int_equal(err, NX_ERR_NOMEM);
    }
    assert_int_equal(count_of(tombstones, NX_VIEW("a"), always), 2);
    ing_tombstones_free(tombstones);
    tmp_dir_free(dir);
}

/* --- memory pressure --- */

static void pressure_is_silent_for_longer_while_it_does_not_help(void **state)
{
    (void)state;
    struct ing_pressure pressure = {0};
    size_t yes = 0;
    for (int64_t now = 0; now < 3600000; now += 1000)
        yes += ing_pressure_judge(&pressure, 200, 100, now);
    assert_true(yes > 4 && yes < 20);
    assert_false(ing_pressure_judge(&pressure, 90, 100, 3600000)); /* it helped */
    assert_true(ing_pressure_judge(&pressure, 101, 100, 3601000));
    assert_false(ing_pressure_judge(&pressure, 101, 100, 3602000));
    /* as measured: this process has more than a page, and less than there is */
    struct ing_pressure real = {0};
    assert_true(ing_pressure_is_high(&real, 1, 0));
    assert_true(real.resident > 4096 && real.limit == 1);
    real = (struct ing_pressure){0};
    assert_false(ing_pressure_is_high(&real, 0, 0));
    assert_true(real.limit > real.resident);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_ones_are_found_by_tenant_and_time_also_after_a_start),
        cmocka_unit_test(every_damaged_byte_is_noticed_and_never_prevents_the_start),
        cmocka_unit_test(failing_call_leaves_the_list_as_it_was_or_changed),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(pressure_is_silent_for_longer_while_it_does_not_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
