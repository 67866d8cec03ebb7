/* Each feature switch by its name, off and on: what a query is answered without it and with it. */
#include "engine_fixture.h"

#include "querier/features.h"

#define EXPERIMENTAL "promql-experimental-functions"

static const struct feature_case {
    const char *name, *query, *off, *on;
} cases[] = {
    {EXPERIMENTAL, "limitk(2, m)",
     "error: 1:1: parse error: limitk() is experimental and must be enabled with "
     "--enable-feature=promql-experimental-functions",
     "m{a=\"1\"} 5\nm{a=\"2\"} 25"},
    {EXPERIMENTAL, "limit_ratio(1, m{a=\"1\"})",
     "error: 1:1: parse error: limit_ratio() is experimental and must be enabled with "
     "--enable-feature=promql-experimental-functions",
     "m{a=\"1\"} 5"},
    {EXPERIMENTAL, "max_of(1, step())",
     "error: 1:11: parse error: function \"step\" is not enabled", "1"},
    {"promql-duration-expr", "sum_over_time(m{a=\"1\"}[1m*2])", "{a=\"1\"} 9", "{a=\"1\"} 9"},
    {"promql-extended-range-selectors", "increase(m_total[1m] anchored)",
     "error: 1:10: parse error: anchored modifier is experimental and not enabled", "{} 10"},
    {"promql-extended-range-selectors", "m_total smoothed",
     "error: 1:1: parse error: smoothed modifier is experimental and not enabled", "m_total 50"},
    {"promql-binop-fill-modifiers", "m{a=\"1\"} + fill(1) m{a=\"2\"}",
     "error: 1:1: parse error: binop fill modifiers are experimental and not enabled",
     "{a=\"1\"} 6\n{a=\"2\"} 26"},
    {"promql-delayed-name-removal", "count(sum by (__name__) (abs({__name__=~\"m.*\",a!=\"1\"})))",
     "error: vector cannot contain metrics with the same labelset", "{} 4"},
    {"type-and-unit-labels", "rate(m{a=\"1\"}[2m])",
     "{a=\"1\"} 0.016666666666666666\n"
     "PromQL info: metric might not be a counter, name does not end in "
     "_total/_sum/_count/_bucket: \"m\" (1:6)",
     "{a=\"1\"} 0.016666666666666666\n"
     "PromQL info: metric might not be a counter, __type__ label is not set to \"counter\" or "
     "\"histogram\", got \"\": \"m\" (1:6)"},
    {"use-start-timestamps", "resets(m_restarted_total[3m])", "{} 0", "{} 1"},
};

/* What the query evaluates to at 4 min with just these features, as text. */
static char *answer(struct fixture *f, const char *features, const char *query)
{
    struct nx_fail fail = {0};
    struct qry_query *parsed = NULL;
    struct qry_result result;
    char *text = NULL;
    f->params.start_ms = f->params.end_ms = 240000;
    f->params.step_ms = 0;
    assert_int_equal(qry_features_parse(features, &f->params.features, &fail), NX_OK);
    if (qry_parse(nx_view_of(query), &f->params.features, &parsed, &fail) == NX_OK &&
        qry_evaluate(parsed, &f->source, &f->params, &result, &fail) == NX_OK) {
        text = fixture_text(&result);
        qry_result_release(&result);
    } else {
        size_t size = strlen(fail.text) + sizeof "error: ";
        text = nx_alloc(size);
        assert_non_null(text);
        (void)snprintf(text, size, "error: %s", fail.text);
    }
    qry_query_free(parsed);
    return text;
}

static void load(struct fixture *f)
{
    fixture_init(f);
    fixture_load(f, 60000, "m{a=\"1\"} 1 2 3 4 5");
    fixture_load(f, 60000, "m{a=\"2\"} 5 10 15 20 25");
    fixture_load(f, 60000, "m_total 10 20 30 40 50");
    fixture_load(f, 60000, "m_restarted_total 1@0 2@59000 3@119000 4@179000 5@179000");
    fixture_load(f, 60000, "m_other 1 1 1 1 1");
}

static void expect(struct fixture *f, const char *features, const char *query, const char *text)
{
    char *got = answer(f, features, query);
    if (strcmp(got, text) != 0)
        fail_msg("%s with \"%s\":\n%sexpected:\n%s", query, features, got, text);
    nx_free(got);
}

static void features_off_and_on_give_what_prometheus_gives(void **state)
{
    (void)state;
    struct fixture f;
    load(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect(&f, "", cases[i].query, cases[i].off);
        expect(&f, cases[i].name, cases[i].query, cases[i].on);
    }
    fixture_free(&f);
}

static void features_do_not_switch_each_other(void **state)
{
    (void)state;
    struct fixture f;
    load(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t j = 0; j < sizeof cases / sizeof *cases; j++)
            if (strcmp(cases[i].name, cases[j].name) != 0)
                expect(&f, cases[j].name, cases[i].query, cases[i].off);
    fixture_free(&f);
}

static void per_step_stats_off_counts_no_steps(void **state)
{
    (void)state;
    struct fixture f;
    struct qry_result result;
    struct nx_fail fail = {0};
    load(&f);
    for (int on = 0; on <= 1; on++) {
        const char *features = on ? "promql-per-step-stats" : "";
        assert_int_equal(qry_features_parse(features, &f.params.features, &fail), NX_OK);
        assert_int_equal(fixture_range(&f, "m", 0, 240000, 60000, &result, &fail), NX_OK);
        assert_int_equal(result.samples_queryable, 10);
        assert_int_equal(result.samples_queryable_at != NULL, on);
        assert_int_equal(result.samples_read_at != NULL, on);
        qry_result_release(&result);
    }
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_off_and_on_give_what_prometheus_gives),
        cmocka_unit_test(features_do_not_switch_each_other),
        cmocka_unit_test(per_step_stats_off_counts_no_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
