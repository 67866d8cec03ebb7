/* What bounds an evaluation: samples, memory, time, cancelling; and what it does when storage or
 * memory fail. */
#include "engine_fixture.h"

static void load_many(struct fixture *f)
{
    for (int i = 0; i < 40; i++) {
        char line[600];
        int len = snprintf(line, sizeof line, "m{i=\"%02d\",g=\"%d\"}", i, i % 4);
        for (int j = 0; j < 50; j++)
            len += snprintf(line + len, sizeof line - (size_t)len, " %d", i + j);
        fixture_load(f, 10000, line);
    }
}

static void max_samples_counts_what_is_held_at_a_time(void **state)
{
    (void)state;
    struct fixture f;
    const char *text = "error: query processing would load too many samples into memory in query "
                       "execution";
    fixture_init(&f);
    load_many(&f);
    f.params.limits.max_samples = 39;
    fixture_expect(&f, "count(m)", 100000, text);
    f.params.limits.max_samples = 40;
    fixture_expect(&f, "count(m)", 100000, "{} 40");
    /* a window of 30 samples in one series at a time, and one result each */
    f.params.limits.max_samples = 70;
    fixture_expect(&f, "count(count_over_time(m[5m]))", 400000, "{} 40");
    f.params.limits.max_samples = 20;
    fixture_expect(&f, "count_over_time(m[5m])", 400000, text);
    f.params.limits.max_samples = 100;
    fixture_expect_range(&f, "m", 0, 400000, 10000, text);
    fixture_expect_range(&f, "vector(1)[1y:1s] or m", 0, 400000, 10000,
                         "error: 1:1: parse error: binary expression must contain only scalar and "
                         "instant vector types");
    fixture_free(&f);
}

static void peak_and_read_samples_are_reported(void **state)
{
    (void)state;
    struct fixture f;
    struct qry_result result;
    struct nx_fail fail = {0};
    fixture_init(&f);
    load_many(&f);
    assert_int_equal(fixture_instant(&f, "sum(m)", 100000, &result, &fail), NX_OK);
    assert_int_equal(result.samples_read, 40);
    assert_true(result.peak_samples >= 40 && result.peak_samples <= 82);
    qry_result_release(&result);
    assert_int_equal(
        fixture_range(&f, "sum_over_time(m{i=\"00\"}[1m])", 100000, 200000, 10000, &result, &fail),
        NX_OK);
    assert_int_equal(result.samples_queryable, 11 * 6);
    assert_int_equal(result.samples_read, 6 + 10);
    qry_result_release(&result);
    fixture_free(&f);
}

static void memory_limit_gives_an_error_that_names_it(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "count_over_time(vector(1)[10y:1ms])",
        "sum(sum_over_time(m[5m:10ms]))",
        "label_replace(m, \"x\", \"$1$1$1$1$1$1$1$1$1$1$1$1\", \"i\", \"(.*)\")[100d:1s]",
        "histogram_quantile(0.5, vector(time()))[100y:10ms]",
    };
    struct fixture f;
    struct qry_result result;
    fixture_init(&f);
    load_many(&f);
    f.params.limits.max_memory_bytes = 1 << 20;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct nx_fail fail = {0};
        if (fixture_instant(&f, queries[i], 400000, &result, &fail) != NX_ERR_LIMIT)
            fail_msg("%s is not stopped", queries[i]);
        assert_non_null(strstr(fail.text, "query.max-memory-bytes"));
        assert_non_null(strstr(fail.text, "1048576"));
    }
    fixture_expect(&f, "count(m)", 100000, "{} 40");
    fixture_free(&f);
}

static void deadline_stops_an_evaluation(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f);
    load_many(&f);
    f.params.limits.deadline_ns = nx_now_ns(&f.clock.base) + 1000000;
    fixture_expect(&f, "count(m)", 100000, "{} 40");
    f.ns_per_sample = 1000;
    fixture_expect_range(&f, "sum(rate(m[5m]))", 0, 500000, 100,
                         "error: query timed out in expression evaluation");
    f.ns_per_sample = 0;
    f.clock.now_ns = f.params.limits.deadline_ns;
    fixture_expect(&f, "1", 0, "error: query timed out in expression evaluation");
    fixture_free(&f);
}

static void cancelling_stops_an_evaluation(void **state)
{
    (void)state;
    struct fixture f;
    atomic_bool cancel = false;
    fixture_init(&f);
    load_many(&f);
    f.params.cancel = &cancel;
    fixture_expect(&f, "count(m)", 100000, "{} 40");
    atomic_store(&cancel, true);
    fixture_expect(&f, "count(m)", 100000, "error: query was canceled in expression evaluation");
    fixture_free(&f);
}

static void failures_of_the_source_reach_the_user(void **state)
{
    (void)state;
    struct fixture f;
    struct qry_result result;
    struct nx_fail fail = {0};
    fixture_init(&f);
    load_many(&f);
    f.select_err = NX_ERR_UNAVAILABLE;
    assert_int_equal(fixture_instant(&f, "sum(m)", 0, &result, &fail), NX_ERR_UNAVAILABLE);
    assert_string_equal(fail.text, "expanding series: the cluster is on fire");
    f.select_err = NX_OK;
    f.open_err = NX_ERR_IO;
    assert_int_equal(fixture_instant(&f, "sum(m)", 0, &result, &fail), NX_ERR_IO);
    assert_int_equal(fixture_instant(&f, "rate(m[5m])", 0, &result, &fail), NX_ERR_IO);
    f.open_err = NX_OK;
    f.next_err = NX_ERR_CORRUPT;
    f.next_err_after = 45;
    assert_int_equal(fixture_instant(&f, "sum(m)", 400000, &result, &fail), NX_OK);
    qry_result_release(&result);
    assert_int_equal(fixture_range(&f, "sum(m)", 0, 490000, 10000, &result, &fail), NX_ERR_CORRUPT);
    assert_int_equal(fixture_instant(&f, "max_over_time(m[5m])", 480000, &result, &fail),
                     NX_ERR_CORRUPT);
    assert_int_equal(fixture_instant(&f, "m[5m]", 480000, &result, &fail), NX_ERR_CORRUPT);
    assert_int_equal(fixture_instant(&f, "absent_over_time(m[5m])", 480000, &result, &fail),
                     NX_ERR_CORRUPT);
    fixture_free(&f);
}

struct failing {
    size_t left;
};

static bool fail_nth(size_t size_bytes, void *user)
{
    struct failing *failing = user;
    (void)size_bytes;
    return failing->left-- != 0;
}

/* Every allocation of an evaluation fails once: the error is NOMEM, nothing leaks (checked by the
 * sanitizer and the count of open iterators). */
static void each_allocation_failing_gives_nomem(void **state)
{
    (void)state;
    static const char *const queries[] = {
        ("sum by (g) (rate(m[5m])) / on (g) group_left (z) label_replace(avg by (g) (m), \"z\", "
         "\"$1\", \"g\", \"(.*)\") > bool 0.1"),
        "topk(2, m) or bottomk(1, m offset 1m) unless m{i=\"01\"} and m",
        "count_values by (g) (\"v\", m{g=\"1\"}) + quantile without (i) (0.5, m)",
        "histogram_quantile(0.9, b) + histogram_fraction(0, 1, b)",
        "histogram_quantiles(h or b, \"q\", 0.5, 0.9)",
        "sum(h) + avg(h offset 10s) - h * 2 or sum_over_time(h[1m]) </ 3",
        "info(m{g=\"1\"}, {__name__=~\".+_info\"})",
        "sort_by_label(label_join(m, \"j\", \"-\", \"g\", \"i\"), \"j\")",
        "max_over_time(rate(m[1m])[3m:30s]) + limit_ratio(0.5, m) - limitk(2, m)",
        "m[1m]",
        "absent(n{a=\"b\"}) or absent_over_time(n[5m]) or vector(scalar(m{i=\"01\"}))",
        "increase(m[1m] smoothed) - increase(m[1m] anchored) + changes(h[1m]) - resets(h[1m])",
        "irate(h[5m]) + delta(h[5m]) + rate(h[5m]) + increase(h[1m] smoothed)",
        "quantile_over_time(0.5, m[5m]) + mad_over_time(m[5m]) + m smoothed + h smoothed",
        "histogram_count(rate(h[5m])) + stddev(m) + count_values(\"x\", h)",
        "m + fill(3) m{g=\"2\"} == m @ 20",
        "-m @ end() + -h",
    };
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        struct fixture f;
        enum nx_err err = NX_ERR_NOMEM;
        fixture_init(&f);
        load_many(&f);
        fixture_load(&f, 10000, "h{x=\"1\"} h:1,2 h:2,3 h:3,4 h:4,5 h:5,6 h:6,7 h:1,1 h:2,2 h:3,3");
        fixture_load(&f, 10000, "h{x=\"2\"} h:1,2 h:2,3 h:3,4 h:4,5 h:5,6 h:6,7 h:7,8 h:8,9 h:9,9");
        fixture_load(&f, 10000, "b{le=\"1\"} 1 2 3 4 5 6 7 8 9 9");
        fixture_load(&f, 10000, "b{le=\"+Inf\"} 2 3 4 5 6 7 8 9 10 8");
        fixture_load(&f, 10000, "b{le=\"bad\"} 2 3 4 5 6 7 8 9 10 11");
        fixture_load(&f, 10000, "x_info{instance=\"1\"} 1 1 1 1 1 1 1 1 1");
        for (size_t n = 0; err != NX_OK; n++) {
            for (int range = 0; range < 2; range++) {
                if (range && strcmp(queries[q], "m[1m]") == 0)
                    continue;
                struct qry_query *query = must_parse(nx_view_of(queries[q]));
                struct failing failing = {.left = n};
                struct qry_result result;
                struct nx_fail fail = {0};
                f.params.start_ms = range ? 0 : 80000;
                f.params.end_ms = 80000;
                f.params.step_ms = range ? 20000 : 0;
                nx_alloc_set_hook(fail_nth, &failing);
                err = qry_evaluate(query, &f.source, &f.params, &result, &fail);
                nx_alloc_set_hook(NULL, NULL);
                qry_query_free(query);
                if (err == NX_OK)
                    qry_result_release(&result);
                else if (err != NX_ERR_NOMEM)
                    fail_msg("%s: allocation %zu: %s", queries[q], n, fail.text);
                assert_int_equal(f.opened, 0);
            }
            assert_true(n < 20000);
        }
        fixture_free(&f);
    }
}

/* `open` and `close` around `m`, `levels` times. */
static void nest(char *out, const char *open, const char *close, size_t levels)
{
    for (size_t i = 0; i < levels; i++)
        out = stpcpy(out, open);
    out = stpcpy(out, "m");
    for (size_t i = 0; i < levels; i++)
        out = stpcpy(out, close);
}

/* As deep as the parser lets pass, on an ordinary thread's stack. */
static void deepest_trees_are_evaluated(void **state)
{
    (void)state;
    static const struct {
        const char *open, *close;
        size_t levels;
    } cases[] = {
        {"abs(", ")", 950},
        {"", " + m", 1900},
        {"", " or on () m", 1900},
        {"sum by (a) (", ")", 950},
        {"max_over_time(", "[2m:1m])", 950},
        {"histogram_quantile(0.5, ", ")", 950},
        {"label_replace(", ", \"a\", \"b\", \"c\", \"d\")", 950},
        {"info(", ")", 950},
        {"-(", ")", 490},
    };
    char *query = malloc(200000);
    assert_non_null(query);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct qry_result result;
        struct nx_fail fail = {0};
        fixture_init(&f);
        fixture_load(&f, 60000, "m 1 2 3");
        nest(query, cases[i].open, cases[i].close, cases[i].levels);
        if (fixture_range(&f, query, 0, 120000, 60000, &result, &fail) != NX_OK)
            fail_msg("%s...: %s", cases[i].open, fail.text);
        qry_result_release(&result);
        fixture_free(&f);
    }
    free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(max_samples_counts_what_is_held_at_a_time),
        cmocka_unit_test(peak_and_read_samples_are_reported),
        cmocka_unit_test(memory_limit_gives_an_error_that_names_it),
        cmocka_unit_test(deadline_stops_an_evaluation),
        cmocka_unit_test(cancelling_stops_an_evaluation),
        cmocka_unit_test(failures_of_the_source_reach_the_user),
        cmocka_unit_test(each_allocation_failing_gives_nomem),
        cmocka_unit_test(deepest_trees_are_evaluated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
