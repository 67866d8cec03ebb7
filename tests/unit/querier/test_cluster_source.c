/* How the selects of a plan become fetches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "querier/select/cluster_source.h"

static const struct nx_matcher up[] = {
    {.type = NX_MATCH_EQ, .name = NX_VIEW("job"), .value = NX_VIEW("a")},
    {.type = NX_MATCH_EQ, .name = NX_VIEW("__name__"), .value = NX_VIEW("up")},
};
static const struct nx_matcher up_swapped[] = {
    {.type = NX_MATCH_EQ, .name = NX_VIEW("__name__"), .value = NX_VIEW("up")},
    {.type = NX_MATCH_EQ, .name = NX_VIEW("job"), .value = NX_VIEW("a")},
};
static const struct nx_matcher down[] = {
    {.type = NX_MATCH_NE, .name = NX_VIEW("__name__"), .value = NX_VIEW("up")},
};

static struct qry_select select_of(const struct nx_matcher *matchers, size_t count, int64_t min_t,
                                   int64_t max_t)
{
    return (struct qry_select){
        .matchers = matchers, .matcher_count = count, .min_t = min_t, .max_t = max_t, .func = ""};
}

struct planned {
    struct nx_arena arena;
    struct qry_selection *selections;
    size_t count;
};

static void plan(struct planned *p, const struct qry_select *selects, size_t count)
{
    nx_arena_init(&p->arena, 0);
    assert_int_equal(qry_selection_plan(&p->arena, selects, count, &p->selections, &p->count, NULL),
                     NX_OK);
}

static void plan_equal_matchers_that_touch_are_one(void **state)
{
    (void)state;
    struct planned p;
    const struct qry_select selects[] = {
        select_of(up, 2, 500, 900),
        select_of(up_swapped, 2, 100, 600),
        select_of(up, 2, 0, 50),
        select_of(up, 2, 40, 45),
    };
    plan(&p, selects, 4);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.selections[0].min_t, 0);
    assert_int_equal(p.selections[0].max_t, 50);
    assert_int_equal(p.selections[1].min_t, 100);
    assert_int_equal(p.selections[1].max_t, 900);
    nx_arena_release(&p.arena);
}

static void plan_other_matchers_are_apart(void **state)
{
    (void)state;
    struct planned p;
    const struct qry_select selects[] = {select_of(up, 2, 0, 100), select_of(up, 1, 0, 100),
                                         select_of(down, 1, 0, 100)};
    plan(&p, selects, 3);
    assert_int_equal(p.count, 3);
    nx_arena_release(&p.arena);
}

static void plan_repeated_matchers_count_once(void **state)
{
    (void)state;
    struct planned p;
    const struct nx_matcher twice[] = {up[0], up[1], up[0], up[1]};
    const struct qry_select selects[] = {select_of(twice, 4, 0, 100), select_of(up, 2, 50, 200),
                                         select_of(twice, 3, 150, 300)};
    plan(&p, selects, 3);
    assert_int_equal(p.count, 1);
    assert_int_equal(p.selections[0].max_t, 300);
    nx_arena_release(&p.arena);
}

/* Each select has matchers of its own, `width` of them. */
static struct qry_select *distinct_selects(struct nx_arena *arena, size_t count, size_t width)
{
    struct qry_select *selects = nx_arena_array(arena, count, sizeof *selects);
    assert_non_null(selects);
    for (size_t i = 0; i < count; i++) {
        struct nx_matcher *matchers = nx_arena_calloc(arena, width, sizeof *matchers);
        assert_non_null(matchers);
        for (size_t j = 0; j < width; j++) {
            char value[32];
            int len = snprintf(value, sizeof value, "%zu.%zu", i, j);
            matchers[j] = up[0];
            matchers[j].value = nx_arena_copy(arena, nx_view_make(value, (size_t)len));
            assert_non_null(matchers[j].value.ptr);
        }
        selects[i] = select_of(matchers, width, (int64_t)i, 1000000);
    }
    return selects;
}

static void plan_of_too_many_is_refused(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct qry_selection *out;
    struct nx_fail fail = {0};
    size_t count;
    nx_arena_init(&arena, 0);
    struct qry_select *selects = distinct_selects(&arena, QRY_SELECTIONS_MAX + 1, 2);
    assert_int_equal(qry_selection_plan(&arena, selects, QRY_SELECTIONS_MAX, &out, &count, &fail),
                     NX_OK);
    assert_int_equal(count, QRY_SELECTIONS_MAX);
    assert_int_equal(
        qry_selection_plan(&arena, selects, QRY_SELECTIONS_MAX + 1, &out, &count, &fail),
        NX_ERR_LIMIT);
    assert_string_equal(fail.text,
                        "the query selects more than 1000 different sets of series or times");
    nx_arena_release(&arena);
}

static void key_within_is_inclusion_of_sets(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct qry_matcher_key none, one, two, other;
    nx_arena_init(&arena, 0);
    assert_int_equal(qry_matcher_key_init(&arena, NULL, 0, &none), NX_OK);
    assert_int_equal(qry_matcher_key_init(&arena, up_swapped, 1, &one), NX_OK);
    assert_int_equal(qry_matcher_key_init(&arena, up, 2, &two), NX_OK);
    assert_int_equal(qry_matcher_key_init(&arena, down, 1, &other), NX_OK);
    assert_true(qry_matcher_key_within(&none, &none) && qry_matcher_key_within(&none, &one));
    assert_true(qry_matcher_key_within(&one, &two) && !qry_matcher_key_within(&two, &one));
    assert_false(qry_matcher_key_within(&other, &two) || qry_matcher_key_eq(&other, &one));
    assert_true(qry_matcher_key_eq(&two, &two) && !qry_matcher_key_eq(&one, &two));
    nx_arena_release(&arena);
}

static void plan_of_nothing_is_empty(void **state)
{
    (void)state;
    struct planned p;
    plan(&p, NULL, 0);
    assert_int_equal(p.count, 0);
    nx_arena_release(&p.arena);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    long *left = user;
    return (*left)-- != 0;
}

static void plan_without_memory_says_so(void **state)
{
    (void)state;
    const struct qry_select selects[] = {select_of(up, 2, 0, 100)};
    for (long n = 0; n < 8; n++) {
        struct nx_arena arena;
        struct qry_selection *out = NULL;
        size_t count = 9;
        long left = n;
        nx_arena_init(&arena, 0);
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = qry_selection_plan(&arena, selects, 1, &out, &count, NULL);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || (err == NX_ERR_NOMEM && count == 9));
        nx_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plan_equal_matchers_that_touch_are_one),
        cmocka_unit_test(plan_other_matchers_are_apart),
        cmocka_unit_test(plan_repeated_matchers_count_once),
        cmocka_unit_test(plan_of_too_many_is_refused),
        cmocka_unit_test(key_within_is_inclusion_of_sets),
        cmocka_unit_test(plan_of_nothing_is_empty),
        cmocka_unit_test(plan_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
