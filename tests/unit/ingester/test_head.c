/* Series table, index and windows of one shard; selections are compared with asking every series.
 */
#include <stdio.h>

#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/head/read.h"

#define T0 INT64_C(1600000000000)
#define SERIES 200

struct world {
    struct ing_series_limit limit;
    struct ing_head *head;
    uint32_t tenant;
    struct nx_arena arena;
    struct nx_labels labels[SERIES];
    uint32_t refs[SERIES];
    bool alive[SERIES];
};

static void world_init(struct world *world, size_t max_series)
{
    *world = (struct world){0};
    atomic_init(&world->limit.used, 0);
    atomic_init(&world->limit.max, max_series);
    struct ing_head_options options = {
        .rules = {.window_ms = 2 * HOUR_MS, .out_of_order_ms = 2 * HOUR_MS},
        .limit = &world->limit,
        .max_exemplars = 10};
    nx_arena_init(&world->arena, 0);
    assert_int_equal(ing_head_new(&options, &world->head), NX_OK);
    assert_int_equal(ing_head_tenant_get(world->head, NX_VIEW("t"), &world->tenant), NX_OK);
}

static void world_release(struct world *world)
{
    ing_head_free(world->head);
    assert_int_equal(atomic_load(&world->limit.used), 0);
    nx_arena_release(&world->arena);
}

/* Labels from a small vocabulary, some absent, so that matchers meet all cases. */
static struct nx_labels random_labels(struct world *world, struct nx_rand *rand, int number)
{
    static const char *const names[] = {"a", "b", "c"};
    struct nx_labels_builder builder;
    struct nx_labels labels;
    char text[32];
    nx_labels_builder_init(&builder, &world->arena, (struct nx_labels){0});
    for (size_t i = 0; i < 3; i++) {
        if (nx_rand_below(rand, 3) == 0)
            continue;
        int len = snprintf(text, sizeof text, "v%d", (int)nx_rand_below(rand, 4 + 20 * i));
        nx_labels_builder_set(&builder, nx_view_of(names[i]),
                              nx_arena_copy(&world->arena, nx_view_make(text, (size_t)len)));
    }
    int len = snprintf(text, sizeof text, "%d", number);
    nx_labels_builder_set(&builder, NX_VIEW("n"),
                          nx_arena_copy(&world->arena, nx_view_make(text, (size_t)len)));
    assert_int_equal(nx_labels_builder_take(&builder, &labels), NX_OK);
    return labels;
}

static void create(struct world *world, int i, struct nx_labels labels)
{
    world->labels[i] = labels;
    assert_int_equal(ing_head_create(world->head, world->tenant,
                                     nx_series_id_of(NX_VIEW("t"), labels), labels,
                                     &world->refs[i]),
                     NX_OK);
    world->alive[i] = true;
}

static void matchers_check(struct world *world, const struct nx_matcher *matchers, size_t count)
{
    roaring_bitmap_t *set;
    const struct ing_tenant *tenant = ing_head_tenant(world->head, world->tenant);
    assert_int_equal(ing_postings_select(&tenant->postings, matchers, count, &set), NX_OK);
    uint64_t expected = 0;
    for (int i = 0; i < SERIES; i++) {
        bool matches = world->alive[i] && nx_matchers_match(matchers, count, world->labels[i]);
        expected += matches;
        if (world->alive[i])
            assert_int_equal(roaring_bitmap_contains(set, world->refs[i]), matches);
    }
    assert_true(roaring_bitmap_get_cardinality(set) == expected);
    roaring_bitmap_free(set);
}

static void selection_agrees_with_asking_every_series(void **state)
{
    (void)state;
    static const char *const values[] = {"",    "v1",     "v2",    "nope",    "v1|v2",  "v.*",
                                         ".*",  ".+",     "v1|",   "(v1|v3)", "v[12]",  "v1.*",
                                         "|v1", "v2+",    "()",    "v|w",     "[^v].*", "v1|v1",
                                         "V1",  "(?i)V1", "v1{1}", ".",       "v3|x.*", "^v1$"};
    static const char *const names[] = {"a", "b", "c", "n", "missing"};
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 5);
    world_init(&world, 1000);
    for (int i = 0; i < SERIES; i++)
        create(&world, i, random_labels(&world, &rand, i));
    for (int round = 0; round < 1500; round++) {
        struct nx_matcher matchers[3];
        struct nx_arena arena;
        size_t count = 1 + nx_rand_below(&rand, 3);
        nx_arena_init(&arena, 0);
        for (size_t i = 0; i < count; i++)
            assert_int_equal(nx_matcher_init(&matchers[i], &arena,
                                             (enum nx_match_type)nx_rand_below(&rand, 4),
                                             nx_view_of(names[nx_rand_below(&rand, 5)]),
                                             nx_view_of(values[nx_rand_below(&rand, 24)]), NULL),
                             NX_OK);
        matchers_check(&world, matchers, count);
        for (size_t i = 0; i < count; i++)
            nx_matcher_release(&matchers[i]);
        nx_arena_release(&arena);
        /* series come and go meanwhile */
        int victim = (int)nx_rand_below(&rand, SERIES);
        if (world.alive[victim]) {
            ing_head_remove(world.head, world.refs[victim]);
            world.alive[victim] = false;
        } else {
            create(&world, victim, random_labels(&world, &rand, victim));
        }
    }
    world_release(&world);
}

static void removing_every_series_leaves_an_empty_index(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 6);
    world_init(&world, 1000);
    for (int i = 0; i < SERIES; i++)
        create(&world, i, random_labels(&world, &rand, i));
    for (int i = 0; i < SERIES; i++)
        ing_head_remove(world.head, world.refs[i]);
    const struct ing_postings *postings = &ing_head_tenant(world.head, world.tenant)->postings;
    assert_int_equal(postings->live_pairs, 0);
    assert_true(roaring_bitmap_is_empty(postings->all));
    assert_int_equal(world.head->series_count, 0);
    struct ing_texts texts;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    ing_texts_init(&texts, 0);
    assert_int_equal(ing_read_labels(world.head, NX_VIEW("t"), NX_VIEW(""), NULL, 0, all, &texts),
                     NX_OK);
    assert_int_equal(texts.count, 0);
    ing_texts_release(&texts);
    world_release(&world);
}

static void series_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    uint32_t ref;
    nx_rand_seeded(&rand, 7);
    world_init(&world, 2);
    create(&world, 0, random_labels(&world, &rand, 0));
    create(&world, 1, random_labels(&world, &rand, 1));
    struct nx_labels labels = random_labels(&world, &rand, 2);
    struct nx_series_id id = nx_series_id_of(NX_VIEW("t"), labels);
    assert_int_equal(ing_head_create(world.head, world.tenant, id, labels, &ref),
                     NX_ERR_RATE_LIMITED);
    assert_int_equal(ing_head_find(world.head, id), ING_REF_NONE);
    ing_head_remove(world.head, world.refs[0]);
    assert_int_equal(ing_head_create(world.head, world.tenant, id, labels, &ref), NX_OK);
    world_release(&world);
}

static void slot_removed_while_pinned_is_not_given_away(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 8);
    world_init(&world, 100);
    create(&world, 0, random_labels(&world, &rand, 0));
    ing_head_pin(world.head);
    ing_head_remove(world.head, world.refs[0]);
    create(&world, 1, random_labels(&world, &rand, 1));
    assert_int_not_equal(world.refs[1], world.refs[0]);
    ing_head_unpin(world.head);
    create(&world, 2, random_labels(&world, &rand, 2));
    assert_int_equal(world.refs[2], world.refs[0]);
    world_release(&world);
}

static void append_one(struct world *world, int i, int64_t t, int64_t now_ms)
{
    struct nx_sample sample = {.t = t, .value = 1};
    enum ing_append_result result;
    assert_int_equal(ing_head_append(world->head, world->refs[i], &sample, now_ms, &result), NX_OK);
    assert_int_equal(result, ING_APPENDED);
}

static void windows_follow_the_samples(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    world_init(&world, 100);
    create(&world, 0, random_labels(&world, &rand, 0));
    create(&world, 1, random_labels(&world, &rand, 1));
    append_one(&world, 0, 5 * HOUR_MS, 1000);
    append_one(&world, 0, 5 * HOUR_MS + 1, 2000);
    append_one(&world, 1, -1, 3000);
    struct ing_tenant *tenant = ing_head_tenant(world.head, world.tenant);
    assert_int_equal(tenant->window_count, 2);
    assert_true(tenant->windows[0].start == -2 * HOUR_MS);
    assert_true(tenant->windows[1].start == 4 * HOUR_MS);
    assert_true(tenant->windows[1].samples == 2);
    assert_true(tenant->windows[1].first_append_ms == 1000);
    assert_true(tenant->windows[1].last_append_ms == 2000);
    assert_true(tenant->newest_t == 5 * HOUR_MS + 1);
    assert_true(ing_tenant_overlaps(tenant, 2 * HOUR_MS, -10, -5));
    assert_false(ing_tenant_overlaps(tenant, 2 * HOUR_MS, 0, 4 * HOUR_MS - 1));
    ing_head_window_remove(world.head, world.tenant, -2 * HOUR_MS);
    assert_null(ing_tenant_window(tenant, -2 * HOUR_MS));
    assert_non_null(ing_tenant_window(tenant, 4 * HOUR_MS));
    world_release(&world);
}

static void collect_takes_only_series_that_are_empty_and_idle(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 10);
    world_init(&world, 100);
    for (int i = 0; i < 3; i++)
        create(&world, i, random_labels(&world, &rand, i));
    append_one(&world, 0, T0, 1000000);
    append_one(&world, 1, T0, 1000000);
    append_one(&world, 2, T0 + 3 * HOUR_MS, 1000000 + HOUR_MS);
    ing_series_release_samples(&world.head->pool, ing_head_series(world.head, world.refs[1]));
    ing_series_release_samples(&world.head->pool, ing_head_series(world.head, world.refs[2]));
    /* 0 has samples; 1 is behind the tenant by more than a window; 2 had a sample just now */
    assert_int_equal(ing_head_collect(world.head, 0, UINT32_MAX, 1000000 + HOUR_MS, false), 1);
    assert_false(ing_series_live(ing_head_series(world.head, world.refs[1])));
    assert_int_equal(ing_head_collect(world.head, 0, UINT32_MAX, 1000000 + 4 * HOUR_MS, false), 1);
    assert_true(ing_series_live(ing_head_series(world.head, world.refs[0])));
    world_release(&world);
}

static void result_beyond_its_cap_is_a_limit_error(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    struct ing_read_cursor cursor;
    struct ing_read_result result;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    nx_rand_seeded(&rand, 11);
    world_init(&world, 100);
    for (int i = 0; i < 50; i++) {
        create(&world, i, random_labels(&world, &rand, i));
        append_one(&world, i, T0, 0);
    }
    ing_read_result_init(&result, 1000);
    assert_int_equal(ing_read_begin(&cursor, world.head, NX_VIEW("t"), NULL, 0, all), NX_OK);
    assert_int_equal(ing_read_step(&cursor, all, false, 100, &result), NX_ERR_LIMIT);
    ing_read_end(&cursor);
    ing_read_result_release(&result);
    world_release(&world);
}

static void slices_together_give_every_series_once(void **state)
{
    (void)state;
    struct world world;
    struct nx_rand rand;
    struct ing_read_cursor cursor;
    struct ing_read_result result;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    nx_rand_seeded(&rand, 12);
    world_init(&world, 1000);
    for (int i = 0; i < SERIES; i++) {
        create(&world, i, random_labels(&world, &rand, i));
        append_one(&world, i, T0 + i, 0);
    }
    ing_read_result_init(&result, SIZE_MAX);
    assert_int_equal(ing_read_begin(&cursor, world.head, NX_VIEW("t"), NULL, 0, all), NX_OK);
    int steps = 0;
    while (ing_read_step(&cursor, all, false, 7, &result) == 1) {
        /* a series leaves between two slices */
        if (steps++ == 3)
            ing_head_remove(world.head, world.refs[SERIES - 1]);
    }
    ing_read_end(&cursor);
    assert_int_equal(result.count, SERIES - 1);
    ing_read_result_release(&result);
    /* and a time range that holds none of them */
    struct ing_range early = {.min_t = T0 - 100, .max_t = T0 - 1};
    ing_read_result_init(&result, SIZE_MAX);
    assert_int_equal(ing_read_begin(&cursor, world.head, NX_VIEW("t"), NULL, 0, early), NX_OK);
    assert_int_equal(ing_read_step(&cursor, early, true, 10000, &result), 0);
    ing_read_end(&cursor);
    assert_int_equal(result.count, 0);
    ing_read_result_release(&result);
    world_release(&world);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void create_without_memory_leaves_nothing_behind(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct world world;
        struct nx_rand rand;
        uint32_t ref;
        nx_rand_seeded(&rand, 13);
        world_init(&world, 100);
        struct nx_labels labels = random_labels(&world, &rand, 0);
        struct nx_series_id id = nx_series_id_of(NX_VIEW("t"), labels);
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_head_create(world.head, world.tenant, id, labels, &ref);
        nx_alloc_set_hook(NULL, NULL);
        if (err != NX_OK) {
            assert_int_equal(err, NX_ERR_NOMEM);
            assert_int_equal(ing_head_find(world.head, id), ING_REF_NONE);
            assert_int_equal(atomic_load(&world.limit.used), 0);
            assert_int_equal(ing_head_create(world.head, world.tenant, id, labels, &ref), NX_OK);
        }
        ing_head_remove(world.head, ref);
        assert_int_equal(ing_head_tenant(world.head, world.tenant)->postings.live_pairs, 0);
        world_release(&world);
        if (err == NX_OK)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selection_agrees_with_asking_every_series),
        cmocka_unit_test(removing_every_series_leaves_an_empty_index),
        cmocka_unit_test(series_beyond_the_limit_is_refused),
        cmocka_unit_test(slot_removed_while_pinned_is_not_given_away),
        cmocka_unit_test(windows_follow_the_samples),
        cmocka_unit_test(collect_takes_only_series_that_are_empty_and_idle),
        cmocka_unit_test(result_beyond_its_cap_is_a_limit_error),
        cmocka_unit_test(slices_together_give_every_series_once),
        cmocka_unit_test(create_without_memory_leaves_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
