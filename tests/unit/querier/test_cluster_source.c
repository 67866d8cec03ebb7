/* How the selects of a plan become fetches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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
    assert_int_equal(qry_selection_plan(&p->arena, selects, count, &p->selections, &p->count),
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
    for (long n = 0; n < 3; n++) {
        struct nx_arena arena;
        struct qry_selection *out = NULL;
        size_t count = 9;
        long left = n;
        nx_arena_init(&arena, 0);
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = qry_selection_plan(&arena, selects, 1, &out, &count);
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
        cmocka_unit_test(plan_of_nothing_is_empty),
        cmocka_unit_test(plan_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
