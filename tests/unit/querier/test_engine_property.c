/* Properties that hold for any query: a step of a range query is the instant query at that time,
 * and what a query plans to select covers what it selects. Expressions and series are random; the
 * seed is printed on failure. */
#include "engine_fixture.h"

#include <math.h>

#include "common/base/rand.h"
#include "querier/promql/histogram_math.h"

#define ROUNDS 400
#define STEP_MS 10000

static const char *pick(struct nx_rand *rand, const char *const *list, size_t count)
{
    return list[nx_rand_below(rand, count)];
}
#define PICK(rand, list) pick((rand), (list), sizeof(list) / sizeof((list)[0]))

static void load_random(struct fixture *f, struct nx_rand *rand)
{
    static const char *const names[] = {"a_total", "b", "c"};
    for (size_t n = 0; n < 3; n++) {
        for (unsigned i = 0; i < 4; i++) {
            char line[4000];
            int len = snprintf(line, sizeof line, "%s{i=\"%u\",g=\"%u\"}", names[n], i, i % 2);
            double v = 0;
            for (int j = 0; j < 60; j++) {
                uint64_t dice = nx_rand_below(rand, 20);
                v += (double)nx_rand_below(rand, 10) / 4;
                const char *histogram = dice > 2 && dice < 6 && n == 2 ? "h:" : "";
                v = dice == 2 ? 1 : v;
                if (dice < 2)
                    len += snprintf(line + len, sizeof line - (size_t)len, "%s",
                                    dice == 0 ? " _" : " stale");
                else
                    len += snprintf(line + len, sizeof line - (size_t)len, " %s%g%s", histogram, v,
                                    histogram[0] ? ",7" : "");
            }
            fixture_load(f, STEP_MS, line);
        }
    }
}

static void append(char *out, size_t size, const char *text)
{
    size_t len = strlen(out);
    snprintf(out + len, size - len, "%s", text);
}

static void vector(struct nx_rand *rand, char *out, size_t size, int depth);

static void range_vector(struct nx_rand *rand, char *out, size_t size, int depth)
{
    static const char *const selectors[] = {
        "a_total[45s]",      "b[1m]", "c[90s] offset 20s", "b[35s] @ 200", "a_total{g=\"1\"}[10s]",
        "c[5m] offset -30s", "b[7s]"};
    static const char *const steps[] = {"[1m:10s]", "[45s:7s]", "[2m:30s] offset 15s",
                                        "[1m:20s] @ end()", "[90s:]"};
    if (depth <= 0 || nx_rand_below(rand, 3) > 0) {
        append(out, size, PICK(rand, selectors));
        return;
    }
    append(out, size, "(");
    vector(rand, out, size, depth - 1);
    append(out, size, ")");
    append(out, size, PICK(rand, steps));
}

static void vector(struct nx_rand *rand, char *out, size_t size, int depth)
{
    static const char *const leaves[] = {"a_total",
                                         "b",
                                         "c",
                                         "b offset 35s",
                                         "a_total @ 150",
                                         "c offset -1m",
                                         "b{g=\"0\"}",
                                         "a_total @ end()",
                                         "vector(time())",
                                         "b smoothed"};
    static const char *const calls[] = {"rate",
                                        "increase",
                                        "delta",
                                        "irate",
                                        "idelta",
                                        "avg_over_time",
                                        "sum_over_time",
                                        "max_over_time",
                                        "count_over_time",
                                        "stddev_over_time",
                                        "last_over_time",
                                        "changes",
                                        "resets",
                                        "deriv",
                                        "present_over_time",
                                        "mad_over_time",
                                        "first_over_time",
                                        "ts_of_max_over_time"};
    static const char *const maps[] = {
        "abs(",          "ceil(", "-(",    "timestamp(", "histogram_count(",
        "absent(",       "sgn(",  "hour(", "round(",     "histogram_quantile(0.7, ",
        "histogram_sum("};
    static const char *const aggregations[] = {"sum(",
                                               "sum by (g) (",
                                               "avg without (i) (",
                                               "max by (i) (",
                                               "count(",
                                               "topk(2, ",
                                               "bottomk by (g) (1, ",
                                               "quantile(0.3, ",
                                               "stddev by (g) (",
                                               "limitk(2, ",
                                               "group by (g) (",
                                               "min(",
                                               "limit_ratio(0.5, ",
                                               "count_values by (g) (\"v\", "};
    static const char *const operators[] = {" + ignoring (i) group_left () sum by (g) ",
                                            " or ",
                                            " and ",
                                            " unless ",
                                            " > 3 or ",
                                            " == bool ignoring (q) ",
                                            " * ",
                                            " - on (i, g) ",
                                            " or on (g) ",
                                            " + fill(1) "};
    if (depth <= 0) {
        append(out, size, PICK(rand, leaves));
        return;
    }
    switch (nx_rand_below(rand, 5)) {
    case 0:
        append(out, size, PICK(rand, calls));
        append(out, size, "(");
        range_vector(rand, out, size, depth - 1);
        append(out, size, ")");
        break;
    case 1:
        append(out, size, PICK(rand, maps));
        vector(rand, out, size, depth - 1);
        append(out, size, ")");
        break;
    case 2:
        append(out, size, PICK(rand, aggregations));
        vector(rand, out, size, depth - 1);
        append(out, size, ")");
        break;
    case 3:
        append(out, size, "(");
        vector(rand, out, size, depth - 1);
        append(out, size, PICK(rand, operators));
        append(out, size, "(");
        vector(rand, out, size, depth - 1);
        append(out, size, "))");
        break;
    default:
        append(out, size, "(");
        vector(rand, out, size, depth - 1);
        append(out, size, nx_rand_below(rand, 2) ? " * 2)" : " > 1)");
        break;
    }
}

static const struct qry_point *point_at(const struct qry_result *result, struct nx_labels labels,
                                        int64_t t)
{
    for (size_t s = 0; s < result->count; s++) {
        if (!nx_labels_eq(result->series[s].labels, labels))
            continue;
        for (size_t i = 0; i < result->series[s].count; i++) {
            if (result->series[s].points[i].t == t)
                return &result->series[s].points[i];
        }
    }
    return NULL;
}

/* Up to rounding: topk hands on its series in another order at an instant. */
static bool same_value(double a, double b)
{
    if (a != a || b != b)
        return a != a && b != b;
    return a == b || fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) + 1e-12;
}

static bool same_point(const struct qry_point *a, const struct qry_point *b)
{
    if (!a->histogram != !b->histogram)
        return false;
    if (a->histogram)
        return qry_histogram_equal(a->histogram, b->histogram);
    return same_value(a->value, b->value);
}

static size_t points_at(const struct qry_result *result, int64_t t)
{
    size_t count = 0;
    for (size_t s = 0; s < result->count; s++) {
        for (size_t i = 0; i < result->series[s].count; i++)
            count += result->series[s].points[i].t == t;
    }
    return count;
}

static void compare_step(struct fixture *f, const char *query, const struct qry_result *range,
                         int64_t t, uint64_t seed)
{
    struct qry_result instant;
    struct nx_fail fail = {0};
    struct qry_query *parsed = must_parse(nx_view_of(query));
    /* end() is that of the range query: pinned to it by evaluating a range of the same end */
    enum nx_err err = strstr(query, "end()")
                          ? fixture_range(f, query, t, 400000, 400000, &instant, &fail)
                          : fixture_instant(f, query, t, &instant, &fail);
    qry_query_free(parsed);
    if (err != NX_OK)
        fail_msg("seed %llu: %s at %lld: %s", (unsigned long long)seed, query, (long long)t,
                 fail.text);
    bool same = points_at(range, t) == points_at(&instant, t);
    for (size_t s = 0; s < instant.count && same; s++) {
        const struct qry_point *other = point_at(range, instant.series[s].labels, t);
        same = other && same_point(&instant.series[s].points[0], other);
    }
    if (!same)
        fail_msg("seed %llu: %s differs at %lld\nrange:\n%s\ninstant:\n%s",
                 (unsigned long long)seed, query, (long long)t, fixture_text(range),
                 fixture_text(&instant));
    qry_result_release(&instant);
}

/* Which of several samples are kept depends on the order of series, and that of a series which
 * comes from one operand at one step and from the other at another is not the same at each. */
static bool depends_on_order(const char *query)
{
    bool some = strstr(query, "topk") || strstr(query, "bottomk") || strstr(query, "limitk");
    return some && (strstr(query, " or ") || strstr(query, " on "));
}

static void range_query_equals_instant_queries(void **state)
{
    (void)state;
    size_t compared = 0;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct fixture f;
        struct nx_rand rand;
        struct qry_result range;
        struct nx_fail fail = {0};
        char query[2000] = "";
        nx_rand_seeded(&rand, seed);
        fixture_init(&f);
        f.params.limits.lookback_ms = 25000;
        load_random(&f, &rand);
        vector(&rand, query, sizeof query, 3);
        /* delayed, a series out of both sides of `or` takes its mark from the first step */
        f.params.features.delayed_name_removal = seed % 4 != 0 && !strstr(query, " or ");
        enum nx_err err = fixture_range(&f, query, 100000, 400000, 15000, &range, &fail);
        if (err == NX_OK && depends_on_order(query)) {
            qry_result_release(&range);
        } else if (err == NX_OK) {
            for (int64_t t = 100000; t <= 400000; t += 15000)
                compare_step(&f, query, &range, t, seed);
            qry_result_release(&range);
            compared++;
        } else {
            assert_int_equal(err, NX_ERR_EXECUTION);
        }
        fixture_free(&f);
    }
    assert_true(compared > ROUNDS / 2);
}

static bool covers(const struct qry_select *plan, const struct qry_select *asked)
{
    if (plan->matcher_count != asked->matcher_count || plan->min_t > asked->min_t ||
        plan->max_t < asked->max_t || plan->range_ms != asked->range_ms)
        return false;
    for (size_t i = 0; i < plan->matcher_count; i++) {
        if (plan->matchers[i].type != asked->matchers[i].type ||
            !nx_view_eq(plan->matchers[i].name, asked->matchers[i].name) ||
            !nx_view_eq(plan->matchers[i].value, asked->matchers[i].value))
            return false;
    }
    return true;
}

static void plan_covers_what_is_selected(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        struct fixture f;
        struct nx_rand rand;
        struct qry_result result;
        struct nx_fail fail = {0};
        struct qry_select *plan;
        size_t count;
        char query[2100] = "";
        nx_rand_seeded(&rand, seed);
        fixture_init(&f);
        load_random(&f, &rand);
        bool info = seed % 5 == 0;
        append(query, sizeof query, info ? "info(" : "");
        vector(&rand, query, sizeof query, 3);
        append(query, sizeof query, info ? ", {x=\"y\", __name__!=\"z\"})" : "");
        f.params.start_ms = 100000;
        f.params.end_ms = 400000;
        f.params.step_ms = 15000;
        struct qry_query *parsed = must_parse(nx_view_of(query));
        assert_int_equal(qry_resolve_durations(parsed, 100000, 400000, 15000, &fail), NX_OK);
        assert_int_equal(qry_plan(parsed, &f.params, &plan, &count, &fail), NX_OK);
        if (qry_evaluate(parsed, &f.source, &f.params, &result, &fail) == NX_OK)
            qry_result_release(&result);
        for (size_t a = 0; a < f.asked_count; a++) {
            bool found = false;
            for (size_t p = 0; p < count && !found; p++)
                found = covers(&plan[p], &f.asked[a]);
            if (!found)
                fail_msg("seed %llu: %s: select %zu is not planned", (unsigned long long)seed,
                         query, a);
        }
        qry_query_free(parsed);
        fixture_free(&f);
    }
}

static void plan_has_times_of_windows_offsets_and_subqueries(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        int64_t min_t, max_t, range_ms;
        const char *func;
    } cases[] = {
        {"m", 700001, 1600000, 0, ""},
        {"sum(m offset 1m)", 640001, 1540000, 0, "sum"},
        {"rate(m[2m])", 880001, 1600000, 120000, "rate"},
        {"rate(m[2m] @ 500)", 380001, 500000, 120000, "rate"},
        {"rate(m[2m] anchored)", 580001, 1600000, 120000, "rate"},
        {"rate(m[2m] smoothed)", 580001, 1900000, 120000, "rate"},
        {"m smoothed", 700001, 1900000, 0, ""},
        {"sum_over_time(m[10m:1m])", 120001, 1560000, 0, ""},
        {"sum_over_time(sum(m)[10m:1m] offset 30s)", 120001, 1560000, 0, "sum"},
        {"sum(m + 1)", 700001, 1600000, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct nx_fail fail = {0};
        struct qry_select *plan;
        size_t count;
        fixture_init(&f);
        f.params.start_ms = 1000000;
        f.params.end_ms = 1600000;
        f.params.step_ms = 60000;
        struct qry_query *parsed = must_parse(nx_view_of(cases[i].query));
        assert_int_equal(qry_resolve_durations(parsed, 1000000, 1600000, 60000, &fail), NX_OK);
        assert_int_equal(qry_plan(parsed, &f.params, &plan, &count, &fail), NX_OK);
        assert_int_equal(count, 1);
        if (plan->min_t != cases[i].min_t || plan->max_t != cases[i].max_t ||
            plan->range_ms != cases[i].range_ms || strcmp(plan->func, cases[i].func) != 0)
            fail_msg("%s: %lld..%lld range %lld func '%s'", cases[i].query, (long long)plan->min_t,
                     (long long)plan->max_t, (long long)plan->range_ms, plan->func);
        qry_query_free(parsed);
        fixture_free(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_query_equals_instant_queries),
        cmocka_unit_test(plan_covers_what_is_selected),
        cmocka_unit_test(plan_has_times_of_windows_offsets_and_subqueries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
