/* What repair plans: units of what differs, within blocks, groups of partitions and limits of
 * samples; and the file of partitions that are held. */
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/repair/held.h"
#include "ingester/repair/pull_internal.h"

#define PARTITIONS 64
#define WINDOW ING_DIGEST_WINDOW_MS
#define BLOCK (2 * HOUR_MS)
#define T0 (INT64_C(1600000000000) / (12 * BLOCK) * (12 * BLOCK))

/* --- the plan --- */

struct plan {
    struct ing_settings settings;
    struct ingester ing;
    struct ing_diffs diffs;
    struct ing_pull pull;
};

static struct ing_digest_table *plan_init(struct plan *plan, int64_t until, uint64_t unit_samples)
{
    struct ing_diff *diff;
    *plan = (struct plan){.settings = {.retention_ms = 360 * 24 * HOUR_MS}};
    plan->ing.deps.settings = &plan->settings;
    plan->ing.deps.partitions = PARTITIONS;
    plan->ing.rules.window_ms = BLOCK;
    assert_int_equal(ing_diffs_get(&plan->diffs, NX_VIEW("t"), &diff), NX_OK);
    plan->pull = (struct ing_pull){
        .ing = &plan->ing, .diffs = &plan->diffs, .until = until, .unit_samples = unit_samples};
    return &diff->rows;
}

static void plan_release(struct plan *plan)
{
    ing_pull_release(&plan->pull);
    ing_diffs_release(&plan->diffs);
}

static void row(struct ing_digest_table *rows, uint32_t partition, int64_t window, uint64_t count)
{
    struct ing_digest digest = {.count = count, .hash = 1};
    assert_int_equal(ing_digest_table_add(rows, partition, window, digest), NX_OK);
}

/* Every row is in exactly one unit, which lies within its block. */
static void check(const struct plan *plan, const struct ing_digest_table *rows)
{
    uint64_t samples = 0;
    for (size_t i = 0; i < plan->pull.unit_count; i++) {
        const struct ing_pull_unit *unit = &plan->pull.units[i];
        assert_true(unit->min_t <= unit->max_t && unit->max_t < plan->pull.until);
        assert_true(unit->span_min <= unit->min_t && unit->max_t < unit->span_max);
        assert_int_equal(unit->span_min % BLOCK, 0);
        assert_int_equal(unit->span_max % BLOCK, 0);
        samples += unit->samples;
    }
    for (size_t i = 0; i < rows->count; i++) {
        size_t found = 0;
        const struct ing_digest_row *r = &rows->rows[i];
        for (size_t j = 0; j < plan->pull.unit_count; j++) {
            const struct ing_pull_unit *unit = &plan->pull.units[j];
            int64_t last = r->window + WINDOW - 1;
            last = last < plan->pull.until ? last : plan->pull.until - 1;
            found += (unit->partitions[r->partition / 8] >> (r->partition % 8) & 1) &&
                     unit->min_t <= r->window && last <= unit->max_t;
        }
        assert_int_equal(found, 1);
        samples -= r->digest.count;
    }
    assert_int_equal(samples, 0);
}

static void plan_joins_old_days_and_keeps_what_is_new_in_its_window(void **state)
{
    (void)state;
    struct plan plan;
    int64_t until = T0 + 13 * BLOCK + WINDOW + 7000;
    struct ing_digest_table *rows = plan_init(&plan, until, 1000000);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (int64_t t = T0; t < until; t += BLOCK / 4)
            row(rows, p, ing_digest_window(t), 10);
    row(rows, 3, ing_digest_window(until), 5);
    assert_int_equal(ing_pull_plan(&plan.pull), NX_OK);
    check(&plan, rows);
    assert_int_equal(plan.pull.unit_count, 3); /* a day, and two windows of the next one */
    assert_int_equal(plan.pull.units[0].span_max - plan.pull.units[0].span_min, 12 * BLOCK);
    assert_int_equal(plan.pull.units[1].span_max - plan.pull.units[1].span_min, BLOCK);
    assert_int_equal(plan.pull.units[2].max_t, until - 1);
    plan_release(&plan);
}

static void plan_splits_what_is_much_by_partitions(void **state)
{
    (void)state;
    struct plan plan;
    struct ing_digest_table *rows = plan_init(&plan, T0 + 24 * BLOCK, 1000000);
    for (uint32_t p = 0; p < PARTITIONS; p++)
        for (int64_t t = T0; t < T0 + 3 * BLOCK; t += WINDOW)
            row(rows, p, t, 20000);
    assert_int_equal(ing_pull_plan(&plan.pull), NX_OK);
    check(&plan, rows);
    for (size_t i = 0; i < plan.pull.unit_count; i++) {
        assert_int_equal(plan.pull.units[i].span_max - plan.pull.units[i].span_min, BLOCK);
        assert_true(plan.pull.units[i].samples < 1000000 + 24 * 20000);
    }
    plan_release(&plan);
}

static void plan_of_random_rows_takes_each_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct plan plan;
        struct nx_rand rand;
        nx_rand_seeded(&rand, seed);
        int64_t until = T0 + 30 * BLOCK;
        struct ing_digest_table *rows = plan_init(&plan, until, 1 + nx_rand_below(&rand, 100000));
        size_t count = nx_rand_below(&rand, 200);
        for (size_t i = 0; i < count; i++) {
            uint32_t p = (uint32_t)nx_rand_below(&rand, PARTITIONS);
            int64_t w = T0 + (int64_t)nx_rand_below(&rand, 30 * 24) * WINDOW;
            if (!ing_digest_table_find(rows, p, w))
                row(rows, p, w, 1 + nx_rand_below(&rand, 1000000));
        }
        assert_int_equal(ing_pull_plan(&plan.pull), NX_OK);
        check(&plan, rows);
        plan_release(&plan);
    }
}

struct countdown {
    size_t left;
};

static bool allow(size_t size_bytes, void *user)
{
    struct countdown *countdown = user;
    (void)size_bytes;
    return countdown->left > 0 && countdown->left-- > 0;
}

static void plan_without_memory_says_so(void **state)
{
    (void)state;
    bool done = false;
    for (size_t n = 0; !done; n++) {
        struct plan plan;
        struct countdown countdown = {.left = n};
        struct ing_digest_table *rows = plan_init(&plan, T0 + 24 * BLOCK, 1);
        for (uint32_t p = 0; p < 20; p++)
            row(rows, p, T0, 10);
        nx_alloc_set_hook(allow, &countdown);
        enum nx_err err = ing_pull_plan(&plan.pull);
        nx_alloc_set_hook(NULL, NULL);
        done = err == NX_OK;
        assert_true(done || err == NX_ERR_NOMEM);
        plan_release(&plan);
    }
}

/* --- what is held --- */

static void held_comes_back_and_damage_is_found(void **state)
{
    (void)state;
    char *dir = tmp_dir_new();
    uint8_t bits[PARTITIONS / 8], back[PARTITIONS / 8] = {0};
    for (size_t i = 0; i < sizeof bits; i++)
        bits[i] = (uint8_t)(i * 37);
    assert_int_equal(ing_held_load(dir, PARTITIONS, back), NX_ERR_NOT_FOUND);
    assert_int_equal(ing_held_store(nx_fs_posix(), dir, PARTITIONS, bits), NX_OK);
    assert_int_equal(ing_held_store(nx_fs_posix(), dir, PARTITIONS, bits), NX_OK);
    assert_int_equal(ing_held_load(dir, PARTITIONS, back), NX_OK);
    assert_memory_equal(bits, back, sizeof bits);
    assert_int_equal(ing_held_load(dir, PARTITIONS * 2, back), NX_ERR_CORRUPT);
    char *path = nx_path_join(dir, "held");
    char *bytes;
    size_t len;
    assert_int_equal(nx_file_read_all(path, 1000, &bytes, &len), NX_OK);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 4;
        file_write(path, bytes, len);
        assert_int_equal(ing_held_load(dir, PARTITIONS, back), NX_ERR_CORRUPT);
        bytes[i] ^= 4;
        file_write(path, bytes, i);
        assert_int_equal(ing_held_load(dir, PARTITIONS, back), NX_ERR_CORRUPT);
    }
    nx_free(bytes);
    nx_free(path);
    tmp_dir_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_joins_old_days_and_keeps_what_is_new_in_its_window),
        cmocka_unit_test(plan_splits_what_is_much_by_partitions),
        cmocka_unit_test(plan_of_random_rows_takes_each_once),
        cmocka_unit_test(plan_without_memory_says_so),
        cmocka_unit_test(held_comes_back_and_damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
