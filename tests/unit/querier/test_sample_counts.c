/* What the samples of a query count as, in total and by step. */
#include "engine_fixture.h"

static struct fixture f;

/* 101 samples, 10 s apart, counting up. */
static void load_run(const char *name, bool histograms)
{
    char line[3000];
    size_t len = (size_t)snprintf(line, sizeof line, "%s", name);
    for (int i = 1; i <= 101; i++)
        len += (size_t)snprintf(line + len, sizeof line - len, histograms ? " h:%d,20" : " %d", i);
    assert_true(len < sizeof line);
    fixture_load(&f, 10000, line);
}

static int set_up(void **state)
{
    (void)state;
    fixture_init(&f);
    load_run("one", false);
    load_run("three{a=\"1\",b=\"x\"}", false);
    load_run("three{a=\"2\",b=\"y\"}", false);
    load_run("three{a=\"3\",b=\"y\"}", false);
    load_run("hist", true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fixture_free(&f);
    return 0;
}

static void expect_instant(const char *query, int64_t t_s, uint64_t queryable, uint64_t read)
{
    struct qry_result result;
    struct nx_fail fail = {0};
    if (fixture_instant(&f, query, t_s * 1000, &result, &fail) != NX_OK)
        fail_msg("%s: %s", query, fail.text);
    if (result.samples_queryable != queryable || result.samples_read != read)
        fail_msg("%s: %llu queryable, %llu read; expected %llu, %llu", query,
                 (unsigned long long)result.samples_queryable,
                 (unsigned long long)result.samples_read, (unsigned long long)queryable,
                 (unsigned long long)read);
    assert_null(result.samples_queryable_at);
    assert_null(result.samples_read_at);
    qry_result_release(&result);
}

static void check_steps(const char *query, const char *what, const uint64_t *at, size_t steps,
                        uint64_t total, const uint64_t *expected)
{
    uint64_t sum = 0;
    assert_non_null(at);
    for (size_t i = 0; i < steps; i++) {
        if (at[i] != expected[i])
            fail_msg("%s: %llu %s at step %zu, expected %llu", query, (unsigned long long)at[i],
                     what, i, (unsigned long long)expected[i]);
        sum += at[i];
    }
    assert_int_equal(sum, total);
}

/* Four steps of 5 s from `start_s`. */
static void expect_steps(const char *query, int64_t start_s, const uint64_t queryable[4],
                         const uint64_t read[4])
{
    struct qry_result result;
    struct nx_fail fail = {0};
    f.params.features.per_step_stats = true;
    if (fixture_range(&f, query, start_s * 1000, start_s * 1000 + 19000, 5000, &result, &fail))
        fail_msg("%s: %s", query, fail.text);
    assert_int_equal(result.steps, 4);
    check_steps(query, "queryable", result.samples_queryable_at, 4, result.samples_queryable,
                queryable);
    check_steps(query, "read", result.samples_read_at, 4, result.samples_read, read);
    qry_result_release(&result);
    f.params.features.per_step_stats = false;
}

static void instant_selectors_count_each_sample_once(void **state)
{
    (void)state;
    expect_instant("\"text\"", 21, 0, 0);
    expect_instant("1", 21, 0, 0);
    expect_instant("one", 21, 1, 1);
    expect_instant("one @ 15", 21, 1, 1);
    expect_instant("three + three", 21, 6, 6);
    expect_instant("one", 2000, 0, 0);
}

static void histograms_count_by_their_size(void **state)
{
    (void)state;
    expect_instant("hist", 21, 12, 12);
    expect_instant("hist[60s]", 201, 72, 72);
    expect_instant("timestamp(hist)", 21, 1, 1);
}

static void windows_count_what_they_hold(void **state)
{
    (void)state;
    expect_instant("one[60s]", 201, 6, 6);
    expect_instant("three[60s] offset 10s", 201, 18, 18);
    expect_instant("one[60s] @ 30", 201, 4, 4);
    expect_instant("sum by (b) (max_over_time(three[60s] @ 30))", 201, 12, 12);
    expect_instant("absent_over_time(one[60s])", 201, 6, 6);
}

static void subqueries_count_as_the_function_around_sees_them(void **state)
{
    (void)state;
    expect_instant("one[60s:5s]", 201, 12, 12);
    expect_instant("max_over_time(one[60s])[20s:5s]", 201, 24, 8);
    expect_instant("max_over_time(one[61s])[20s:5s]", 201, 26, 8);
    expect_instant("max_over_time(three[60s:5s])", 201, 36, 36);
    expect_instant("sum_over_time(max_over_time(one[60s])[20s:5s])", 201, 4, 8);
    expect_instant("max_over_time(three[60s:5s]) + max_over_time(three[60s:5s])", 201, 72, 72);
}

static void steps_of_selectors_are_counted_apart(void **state)
{
    (void)state;
    expect_steps("three", 201, (uint64_t[]){3, 3, 3, 3}, (uint64_t[]){3, 3, 3, 3});
    expect_steps("one", 988, (uint64_t[]){1, 1, 1, 1}, (uint64_t[]){1, 1, 1, 1});
    expect_steps("max_over_time(one[10s])", 991, (uint64_t[]){1, 1, 1, 1},
                 (uint64_t[]){1, 0, 1, 0});
    expect_steps("max_over_time(one[60s])", 201, (uint64_t[]){6, 6, 6, 6},
                 (uint64_t[]){6, 0, 1, 0});
}

static void steps_of_what_is_pinned_are_queryable_at_each_and_read_once(void **state)
{
    (void)state;
    expect_steps("max_over_time(three[60s] @ 30)", 201, (uint64_t[]){12, 12, 12, 12},
                 (uint64_t[]){12, 0, 0, 0});
    expect_steps("max_over_time(three[60s:5s] @ 200) * 2", 201, (uint64_t[]){36, 36, 36, 36},
                 (uint64_t[]){36, 0, 0, 0});
}

static void steps_of_subqueries_read_for_the_first_step_that_sees_them(void **state)
{
    (void)state;
    expect_steps("max_over_time(one[60s:5s])", 201, (uint64_t[]){12, 12, 12, 12},
                 (uint64_t[]){12, 1, 1, 1});
    expect_steps("max_over_time(one[60s:5s] offset 40s)", 201, (uint64_t[]){12, 12, 12, 12},
                 (uint64_t[]){12, 1, 1, 1});
    expect_steps("max_over_time(one[60s:5s] @ end())", 201, (uint64_t[]){12, 12, 12, 12},
                 (uint64_t[]){12, 0, 0, 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(instant_selectors_count_each_sample_once),
        cmocka_unit_test(histograms_count_by_their_size),
        cmocka_unit_test(windows_count_what_they_hold),
        cmocka_unit_test(subqueries_count_as_the_function_around_sees_them),
        cmocka_unit_test(steps_of_selectors_are_counted_apart),
        cmocka_unit_test(steps_of_what_is_pinned_are_queryable_at_each_and_read_once),
        cmocka_unit_test(steps_of_subqueries_read_for_the_first_step_that_sees_them),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
