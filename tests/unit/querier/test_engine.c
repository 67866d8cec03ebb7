/* Evaluation from query to result: kinds of results, time, order, errors. */
#include "engine_fixture.h"

static void literals_scalar_and_string_give_their_types(void **state)
{
    (void)state;
    struct fixture f;
    struct qry_result result;
    struct nx_fail fail = {0};
    fixture_init(&f);
    fixture_expect(&f, "1 + 2 * 3 ^ 2", 0, "19");
    fixture_expect(&f, "\"text\"", 0, "text");
    fixture_expect(&f, "vector(7)", 5000, "{} 7");
    assert_int_equal(fixture_instant(&f, "2", 1500, &result, &fail), NX_OK);
    assert_int_equal(result.type, QRY_TYPE_SCALAR);
    assert_int_equal(result.series[0].points[0].t, 1500);
    qry_result_release(&result);
    assert_int_equal(fixture_range(&f, "2", 0, 3000, 1000, &result, &fail), NX_OK);
    assert_int_equal(result.type, QRY_TYPE_MATRIX);
    assert_int_equal(result.series[0].count, 4);
    qry_result_release(&result);
    fixture_free(&f);
}

static void range_query_of_other_types_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_expect_range(&f, "m[5m]", 0, 60000, 60000,
                         "error: invalid expression type \"range vector\" for range query, must be "
                         "Scalar or instant Vector");
    fixture_expect_range(&f, "\"x\"", 0, 60000, 60000,
                         "error: invalid expression type \"string\" for range query, must be "
                         "Scalar or instant Vector");
    fixture_expect_range(&f, "1", 60000, 0, 60000, "error: invalid query time range");
    fixture_free(&f);
}

static void lookback_is_left_open_and_stale_markers_end_a_series(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 60000, "m 1 _ _ _ _ _ _ 2 stale");
    fixture_expect(&f, "m", 299999, "m 1");
    fixture_expect(&f, "m", 300000, "");
    fixture_expect(&f, "m", 420000, "m 2");
    fixture_expect(&f, "m", 479999, "m 2");
    fixture_expect(&f, "m", 480000, "");
    fixture_expect(&f, "m", 3600000, "");
    f.params.limits.lookback_ms = 1000;
    fixture_expect_range(&f, "m", 0, 2000, 500, "m 1@0 1@0.5");
    fixture_free(&f);
}

static void range_selector_is_left_open_and_skips_stale_markers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 10000, "m 0 1 2 stale 4 5");
    fixture_expect(&f, "m[20s]", 20000, "m 1@10 2@20");
    fixture_expect(&f, "m[30s]", 50000, "m 4@40 5@50");
    fixture_expect(&f, "count_over_time(m[1m])", 50000, "{} 5");
    fixture_expect(&f, "m[1ms]", 15000, "");
    fixture_free(&f);
}

static void offsets_and_pins_move_the_reference_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 10000, "m 0 1 2 3 4 5 6 7 8 9");
    fixture_expect(&f, "m offset 30s", 50000, "m 2");
    fixture_expect(&f, "m offset -30s", 50000, "m 8");
    fixture_expect(&f, "m @ 20", 90000, "m 2");
    fixture_expect(&f, "m @ 20 offset 10s", 90000, "m 1");
    fixture_expect(&f, "m offset 10s @ 20", 90000, "m 1");
    fixture_expect_range(&f, "m @ end() - m @ start()", 20000, 50000, 10000,
                         "{} 3@20 3@30 3@40 3@50");
    fixture_expect_range(&f, "m - m @ 20", 20000, 40000, 10000, "{} 0@20 1@30 2@40");
    fixture_expect(&f, "m[20s] @ 40", 0, "m 3@30 4@40");
    fixture_expect(&f, "timestamp(m @ 25)", 90000, "{} 20");
    fixture_expect_range(&f, "timestamp(m @ 25)", 0, 20000, 10000, "{} 20@0 20@10 20@20");
    fixture_expect_range(&f, "timestamp(-m @ 25)", 0, 20000, 10000, "{} 0@0 10@10 20@20");
    fixture_free(&f);
}

static void subquery_grid_is_aligned_to_the_epoch(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 10000, "m 0 1 2 3 4 5 6 7 8 9");
    fixture_expect(&f, "m[30s:10s]", 55000, "m 3@30 4@40 5@50");
    fixture_expect(&f, "m[30s:10s]", 60000, "m 4@40 5@50 6@60");
    fixture_expect(&f, "m[25s:7s]", 50000, "m 2@28 3@35 4@42 4@49");
    fixture_expect(&f, "m[30s:10s] offset 7s", 60000, "m 3@30 4@40 5@50");
    fixture_expect(&f, "m[20s:10s] @ 45", 90000, "m 3@30 4@40");
    fixture_expect(&f, "m[10s:1m]", 59000, "");
    f.params.limits.default_step_ms = 15000;
    fixture_expect(&f, "m[30s:]", 60000, "m 4@45 6@60");
    fixture_expect_range(&f, "sum_over_time(m[20s:10s])", 30000, 50000, 10000, "{} 5@30 7@40 9@50");
    fixture_expect(&f, "time()[20s:10s]", 0,
                   "error: 1:1: parse error: subquery is only allowed on "
                   "instant vector, got scalar instead");
    fixture_expect(&f, "vector(time())[25s:10s]", 5000, "{} -10@-10 0@0");
    fixture_expect(&f, "max_over_time((sum_over_time(m[20s:10s]))[30s:10s])", 50000, "{} 9");
    fixture_free(&f);
}

static void results_of_range_queries_are_sorted_and_instant_ones_keep_their_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 60000, "m{a=\"1\"} 3");
    fixture_load(&f, 60000, "m{a=\"2\"} 1");
    fixture_load(&f, 60000, "m{a=\"3\"} nan");
    fixture_load(&f, 60000, "m{a=\"4\"} 2");
    fixture_expect(&f, "sort(m)", 0, "m{a=\"2\"} 1\nm{a=\"4\"} 2\nm{a=\"1\"} 3\nm{a=\"3\"} NaN");
    fixture_expect(&f, "sort_desc(m)", 0,
                   "m{a=\"1\"} 3\nm{a=\"4\"} 2\nm{a=\"2\"} 1\nm{a=\"3\"} NaN");
    fixture_expect(&f, "topk(2, m)", 0, "m{a=\"1\"} 3\nm{a=\"4\"} 2");
    fixture_expect(&f, "bottomk(9, m)", 0,
                   "m{a=\"2\"} 1\nm{a=\"4\"} 2\nm{a=\"1\"} 3\nm{a=\"3\"} NaN");
    fixture_expect_range(&f, "topk(2, m)", 0, 1000, 1000, "m{a=\"1\"} 3@0 3@1\nm{a=\"4\"} 2@0 2@1");
    fixture_expect_range(&f, "sort(m) > 2", 0, 1, 1,
                         "m{a=\"1\"} 3@0 3@0.001\nPromQL warning: sort is ineffective for range "
                         "queries since results are always ordered by labels (1:1)");
    fixture_expect_range(&f, "sort(m) > 2", 0, 0, 1, "m{a=\"1\"} 3@0");
    fixture_free(&f);
}

static void duration_expressions_are_resolved_for_each_query(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 10000, "m 0 1 2 3 4 5 6 7 8 9");
    fixture_expect(&f, "m[2*10]", 50000, "m 4@40 5@50");
    fixture_expect_range(&f, "count_over_time(m[step()])", 40000, 80000, 20000,
                         "{} 2@40 2@60 2@80");
    fixture_expect(&f, "m[step()]", 50000, "error: 2:8: duration must be greater than 0");
    fixture_expect_range(&f, "start() + end() + range() + step()", 10000, 30000, 10000,
                         "{} 70@10 70@20 70@30");
    fixture_free(&f);
}

static void histograms_and_floats_share_a_series_over_time(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 10000, "m 1 h:4,8 3 h:6,9");
    f.params.limits.lookback_ms = 10000;
    fixture_expect_range(&f, "m", 0, 30000, 10000, "m 1@0 h:4,8@10 3@20 h:6,9@30");
    fixture_expect_range(&f, "m * 2", 0, 30000, 10000, "{} 2@0 h:8,16@10 6@20 h:12,18@30");
    fixture_expect_range(&f, "histogram_count(m)", 0, 30000, 10000, "{} 4@10 6@30");
    fixture_expect_range(&f, "abs(m)", 0, 30000, 10000, "{} 1@0 3@20");
    fixture_expect(&f, "m[40s]", 30000, "m 1@0 h:4,8@10 3@20 h:6,9@30");
    fixture_expect(&f, "changes(m[40s])", 30000, "{} 3");
    fixture_expect(&f, "last_over_time(m[40s])", 30000, "m h:6,9");
    fixture_expect(&f, "sum_over_time(m[40s])", 30000,
                   "PromQL warning: encountered a mix of histograms and floats for metric name "
                   "\"m\" (1:15)");
    fixture_free(&f);
}

static void negative_and_extreme_times_do_not_overflow(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    fixture_load(&f, 10000, "m 0 1 2");
    fixture_expect(&f, "m offset 9000000000", 0, "");
    fixture_expect(&f, "m @ 9223372036854775.000", 0, "");
    fixture_expect(&f, "m @ -9223372036854775", 0, "");
    fixture_expect(&f, "rate(m[100y] @ -9223372036854775)", 0, "");
    fixture_expect(&f, "m", INT64_MAX, "");
    fixture_expect(&f, "m", INT64_MIN, "");
    fixture_expect(&f, "count_over_time(m[1y:1y])", INT64_MIN, "");
    fixture_expect(&f, "count_over_time(m[1y:1y])", INT64_MAX, "");
    fixture_expect(&f, "m[1m]", -1, "");
    fixture_expect(&f, "year(vector(1e300))", 0, "{} -2.92277022657e+11");
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_scalar_and_string_give_their_types),
        cmocka_unit_test(range_query_of_other_types_is_refused),
        cmocka_unit_test(lookback_is_left_open_and_stale_markers_end_a_series),
        cmocka_unit_test(range_selector_is_left_open_and_skips_stale_markers),
        cmocka_unit_test(offsets_and_pins_move_the_reference_time),
        cmocka_unit_test(subquery_grid_is_aligned_to_the_epoch),
        cmocka_unit_test(results_of_range_queries_are_sorted_and_instant_ones_keep_their_order),
        cmocka_unit_test(duration_expressions_are_resolved_for_each_query),
        cmocka_unit_test(histograms_and_floats_share_a_series_over_time),
        cmocka_unit_test(negative_and_extreme_times_do_not_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
