/* Duration expressions resolved against a query's range and step. */
#include "promql_test.h"

#define MINUTE 60000

/* The query, resolved for [0, 10m] step 1m; the caller's to free. */
static struct qry_query *resolved(const char *text)
{
    struct qry_query *query = must_parse(nx_view_of(text));
    struct nx_fail fail = {0};
    enum nx_err err = qry_resolve_durations(query, 0, 10 * MINUTE, MINUTE, &fail);
    if (err != NX_OK)
        fail_msg("%s: %s", text, fail.text);
    return query;
}

static void resolve_evaluates_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t range_ms;
    } cases[] = {
        {"m[1m+30s]", 90000},
        {"m[step()]", MINUTE},
        {"m[range()]", 10 * MINUTE},
        {"m[range()/4-0.5]", 149500},
        {"m[-2^2+10]", 6000},
        {"m[2^3^2]", 512000},
        {"m[7%4*2]", 6000},
        {"m[-7%4+10]", 7000},
        {"m[min_of(step(),90)]", MINUTE},
        {"m[max_of(step(),90)]", 90000},
        {"m[(5)]", 5000},
        {"m[-(-(5m))]", 300000},
        {"m[0.0019+0]", 1},
        {"m[1/3]", 333},
        {"m[5m]", 300000},
        {"m[0.0009]", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qry_query *query = resolved(cases[i].text);
        int64_t got = qry_query_expr(query)->selector.range_ms;
        if (got != cases[i].range_ms)
            fail_msg("%s is %lld ms, expected %lld", cases[i].text, (long long)got,
                     (long long)cases[i].range_ms);
        qry_query_free(query);
    }
}

static void resolve_evaluates_offsets_and_steps_everywhere(void **state)
{
    (void)state;
    struct qry_query *query = resolved("abs(m offset -step()) + sum(n offset (1h-range()))");
    const struct qry_binary *binary = &qry_query_expr(query)->binary;
    assert_int_equal(binary->lhs->call.args[0]->selector.mod.offset_ms, -MINUTE);
    assert_int_equal(binary->rhs->aggregate.expr->selector.mod.offset_ms, 50 * MINUTE);
    qry_query_free(query);

    query = resolved("m[range()*2:step()/2] offset (0-0)");
    const struct qry_subquery *subquery = &qry_query_expr(query)->subquery;
    assert_int_equal(subquery->range_ms, 20 * MINUTE);
    assert_int_equal(subquery->step_ms, MINUTE / 2);
    assert_int_equal(subquery->mod.offset_ms, 0);
    qry_query_free(query);
}

static void resolve_instant_query_has_no_step_and_range(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("m[step()+range()+1] offset step()"));
    struct nx_fail fail = {0};
    assert_int_equal(qry_resolve_durations(query, 5, 5, MINUTE, &fail), NX_OK);
    assert_int_equal(qry_query_expr(query)->selector.range_ms, 1000);
    assert_int_equal(qry_query_expr(query)->selector.mod.offset_ms, 0);
    qry_query_free(query);
}

static void resolve_again_replaces_the_values(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("m[step()]"));
    struct nx_fail fail = {0};
    assert_int_equal(qry_resolve_durations(query, 0, MINUTE, 1000, &fail), NX_OK);
    assert_int_equal(qry_query_expr(query)->selector.range_ms, 1000);
    assert_int_equal(qry_resolve_durations(query, 0, MINUTE, 2000, &fail), NX_OK);
    assert_int_equal(qry_query_expr(query)->selector.range_ms, 2000);
    qry_query_free(query);
}

static void resolve_bad_values_fail_with_byte_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"m[step()-1m]", "2:11: duration must be greater than 0"},
        {"m[(0)]", "2:4: duration must be greater than 0"},
        {"m[5m:step()-range()]", "5:19: duration must be greater than 0"},
        {"m[5m/(step()-60)]", "2:15: division by zero"},
        {"m[1+5m%(0)]", "4:9: modulo by zero"},
        {"m[10^400]", "2:8: duration is NaN or infinite"},
        {"m[(-1)^0.5]", "2:10: duration is NaN or infinite"},
        {"m[1e9*100]", "2:9: duration is out of range"},
        {"m offset (1e9*-100)", "10:18: duration is out of range"},
        {"m offset -(1e9*1e9)", "9:18: duration is out of range"},
        {"sum(m offset min_of(10^400-10^400, 1))", "20:36: duration is NaN or infinite"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct qry_query *query = must_parse(nx_view_of(cases[i].text));
        struct nx_fail fail = {0};
        enum nx_err err = qry_resolve_durations(query, 0, 10 * MINUTE, MINUTE, &fail);
        assert_int_equal(err, NX_ERR_EXECUTION);
        if (strcmp(fail.text, cases[i].message) != 0)
            fail_msg("%s: %s, expected: %s", cases[i].text, fail.text, cases[i].message);
        qry_query_free(query);
    }
}

static void resolve_min_and_max_follow_go_with_nan_and_infinity(void **state)
{
    (void)state;
    /* 10^400 is +Inf, 10^400-10^400 NaN: an infinity on its own side beats NaN, then -Inf * 0 ...
     */
    struct qry_query *query = resolved("m offset (1/min_of(0-10^400, 10^400-10^400))");
    assert_int_equal(qry_query_expr(query)->selector.mod.offset_ms, 0);
    qry_query_free(query);
    query = resolved("m offset (1/max_of(10^400, 10^400-10^400))");
    assert_int_equal(qry_query_expr(query)->selector.mod.offset_ms, 0);
    qry_query_free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resolve_evaluates_ranges),
        cmocka_unit_test(resolve_evaluates_offsets_and_steps_everywhere),
        cmocka_unit_test(resolve_instant_query_has_no_step_and_range),
        cmocka_unit_test(resolve_again_replaces_the_values),
        cmocka_unit_test(resolve_bad_values_fail_with_byte_range),
        cmocka_unit_test(resolve_min_and_max_follow_go_with_nan_and_infinity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
