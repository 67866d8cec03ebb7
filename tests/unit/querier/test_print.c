/* The printers: lines of format_query, the JSON of parse_query, and what happens without room. */
#include "promql_test.h"

static void assert_prints(expr_printer printer, const char *text, const char *expected)
{
    char *printed = reprint_with(printer, text);
    assert_string_equal(printed, expected);
    nx_free(printed);
}

#define LONG_SELECTOR                                                                           \
    "a_metric_with_a_longer_name{first=\"label value number one\",second=\"label value number " \
    "two\"}"

/* --- format_query ----------------------------------------------------------------------------- */

static void pretty_short_expression_stays_on_one_line(void **state)
{
    (void)state;
    assert_prints(qry_print_pretty, "sum(rate(m{b='2', a='1'}[90m]))by(x)",
                  "sum by (x) (rate(m{a=\"1\",b=\"2\"}[1h30m]))");
}

static void pretty_splits_beyond_a_hundred_bytes(void **state)
{
    (void)state;
    /* 98 + 2 digits are 100, one more digit is one too many */
    char text[160];
    char name[128];
    memset(name, 'm', 95);
    name[95] = '\0';
    snprintf(text, sizeof text, "%s + 12", name);
    assert_prints(qry_print_pretty, text, text);
    char expected[192];
    snprintf(text, sizeof text, "%s + 123", name);
    snprintf(expected, sizeof expected, "  %s\n+\n  123", name);
    assert_prints(qry_print_pretty, text, expected);
}

static void pretty_long_selector_is_never_split(void **state)
{
    (void)state;
    assert_prints(qry_print_pretty, LONG_SELECTOR "[5m]", LONG_SELECTOR "[5m]");
}

static void pretty_call_puts_each_argument_on_a_line(void **state)
{
    (void)state;
    assert_prints(qry_print_pretty, "label_replace(" LONG_SELECTOR ", 'a', 'b', 'c', 'd')",
                  "label_replace(\n"
                  "  " LONG_SELECTOR ",\n"
                  "  \"a\",\n"
                  "  \"b\",\n"
                  "  \"c\",\n"
                  "  \"d\"\n"
                  ")");
}

static void pretty_aggregation_puts_grouping_first(void **state)
{
    (void)state;
    assert_prints(qry_print_pretty, "topk(5, rate(" LONG_SELECTOR "[1m])) without (x, y)",
                  "topk without (x, y) (\n"
                  "  5,\n"
                  "  rate(\n"
                  "    " LONG_SELECTOR "[1m]\n"
                  "  )\n"
                  ")");
}

static void pretty_binary_puts_operator_between(void **state)
{
    (void)state;
    assert_prints(qry_print_pretty,
                  LONG_SELECTOR " == bool on(x) group_left(y) (" LONG_SELECTOR " - 1)",
                  "  " LONG_SELECTOR "\n"
                  "== bool on (x) group_left (y)\n"
                  "  (" LONG_SELECTOR " - 1)");
    assert_prints(qry_print_pretty, LONG_SELECTOR " / (" LONG_SELECTOR " + another_metric_name)",
                  "  " LONG_SELECTOR "\n"
                  "/\n"
                  "  (\n"
                  "      " LONG_SELECTOR "\n"
                  "    +\n"
                  "      another_metric_name\n"
                  "  )");
}

static void pretty_sign_stays_with_its_operand(void **state)
{
    (void)state;
    assert_prints(qry_print_pretty, "-(" LONG_SELECTOR " ^ another_metric)",
                  "-(\n"
                  "    " LONG_SELECTOR "\n"
                  "  ^\n"
                  "    another_metric\n"
                  ")");
    assert_prints(qry_print_pretty, "-" LONG_SELECTOR " ^ another_metric",
                  "-" LONG_SELECTOR "\n"
                  "^\n"
                  "  another_metric");
}

static void pretty_subquery_follows_its_expression(void **state)
{
    (void)state;
    assert_prints(qry_print_pretty, "max_over_time(rate(" LONG_SELECTOR "[1m])[5m:] offset 1m)",
                  "max_over_time(\n"
                  "  rate(\n"
                  "    " LONG_SELECTOR "[1m]\n"
                  "  )[5m:] offset 1m\n"
                  ")");
}

static void pretty_text_parses_to_the_same_line(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "-" LONG_SELECTOR " ^ " LONG_SELECTOR,
        "topk(5, rate(" LONG_SELECTOR "[1m])) without (x, y) or (" LONG_SELECTOR ")[5m:1m]",
        "a * on(x) group_right(y) fill(1) (" LONG_SELECTOR " unless " LONG_SELECTOR ")",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *line = NULL;
        struct qry_query *query = NULL;
        struct nx_fail fail = {0};
        /* one of them is a range and does not type-check: the printer does not mind */
        if (qry_parse(nx_view_of(texts[i]), &all_features, &query, &fail) != NX_OK)
            continue;
        line = print_with(qry_print, qry_query_expr(query));
        char *pretty = print_with(qry_print_pretty, qry_query_expr(query));
        char *again = reprint_with(qry_print, pretty);
        assert_string_equal(again, line);
        nx_free(again);
        nx_free(pretty);
        nx_free(line);
        qry_query_free(query);
    }
}

/* --- parse_query ------------------------------------------------------------------------------ */

static void json_selector_lists_matchers_and_modifiers(void **state)
{
    (void)state;
    assert_prints(qry_print_json, "m{x!~\"<y>\"}[5m] @ 1.5 offset -1s",
                  "{\"anchored\":false,\"matchers\":["
                  "{\"name\":\"x\",\"type\":\"!~\",\"value\":\"\\u003cy\\u003e\"},"
                  "{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"m\"}],"
                  "\"name\":\"m\",\"offset\":-1000,\"offsetExpr\":null,\"range\":300000,"
                  "\"rangeExpr\":null,\"smoothed\":false,\"startOrEnd\":null,\"timestamp\":1500,"
                  "\"type\":\"matrixSelector\"}");
    assert_prints(qry_print_json, "m @ end() smoothed",
                  "{\"anchored\":false,\"matchers\":["
                  "{\"name\":\"__name__\",\"type\":\"=\",\"value\":\"m\"}],"
                  "\"name\":\"m\",\"offset\":0,\"offsetExpr\":null,\"smoothed\":true,"
                  "\"startOrEnd\":\"end\",\"timestamp\":null,\"type\":\"vectorSelector\"}");
}

static void json_binary_holds_matching(void **state)
{
    (void)state;
    assert_prints(qry_print_json, "1 > bool 2",
                  "{\"bool\":true,\"lhs\":{\"type\":\"numberLiteral\",\"val\":\"1\"},"
                  "\"matching\":null,\"op\":\"\\u003e\","
                  "\"rhs\":{\"type\":\"numberLiteral\",\"val\":\"2\"},\"type\":\"binaryExpr\"}");
    char *json = reprint_with(qry_print_json, "a * on(x) group_left(y) fill_left(1.5) b");
    assert_non_null(strstr(json,
                           "\"matching\":{\"card\":\"many-to-one\",\"fillValues\":"
                           "{\"lhs\":1.5,\"rhs\":null},\"include\":[\"y\"],\"labels\":[\"x\"],"
                           "\"on\":true}"));
    nx_free(json);
}

static void json_call_describes_its_function(void **state)
{
    (void)state;
    assert_prints(qry_print_json, "round(vector(-0.5))",
                  "{\"args\":[{\"args\":[{\"type\":\"numberLiteral\",\"val\":\"-0.5\"}],"
                  "\"func\":{\"argTypes\":[\"scalar\"],\"name\":\"vector\","
                  "\"returnType\":\"vector\",\"variadic\":0},\"type\":\"call\"}],"
                  "\"func\":{\"argTypes\":[\"vector\",\"scalar\"],\"name\":\"round\","
                  "\"returnType\":\"vector\",\"variadic\":1},\"type\":\"call\"}");
}

static void json_aggregation_and_unary_and_string(void **state)
{
    (void)state;
    char *json = reprint_with(qry_print_json, "-(count_values without (x) (\"a\\n\\\"\\xff\", m))");
    assert_non_null(strstr(json, "{\"expr\":{\"expr\":{\"expr\":{\"anchored\""));
    assert_non_null(strstr(json, "\"grouping\":[\"x\"],\"op\":\"count_values\",\"param\":"
                                 "{\"type\":\"stringLiteral\",\"val\":\"a\\n\\\"\\ufffd\"},"
                                 "\"type\":\"aggregation\",\"without\":true},"
                                 "\"type\":\"parenExpr\"},\"op\":\"-\",\"type\":\"unaryExpr\"}"));
    nx_free(json);
}

static void json_duration_expressions_are_trees(void **state)
{
    (void)state;
    char *json = reprint_with(qry_print_json, "m[(1m+step()):max_of(1, 2)] offset -(5)");
    assert_non_null(strstr(
        json, "\"offset\":0,\"offsetExpr\":{\"lhs\":null,\"op\":\"-\",\"rhs\":{\"lhs\":null,"
              "\"op\":\"+\",\"rhs\":{\"duration\":false,\"type\":\"numberLiteral\",\"val\":\"5\"},"
              "\"type\":\"durationExpr\",\"wrapped\":true},\"type\":\"durationExpr\","
              "\"wrapped\":false},\"range\":0,\"rangeExpr\":{\"lhs\":"
              "{\"duration\":true,\"type\":\"numberLiteral\",\"val\":\"60\"},\"op\":\"+\",\"rhs\":{"
              "\"lhs\":null,"
              "\"op\":\"step\",\"rhs\":null,\"type\":\"durationExpr\",\"wrapped\":false},"
              "\"type\":\"durationExpr\",\"wrapped\":true},\"startOrEnd\":null,\"step\":0,"
              "\"stepExpr\":{\"lhs\":{\"duration\":false,\"type\":\"numberLiteral\",\"val\":\"1\"},"
              "\"op\":\"max_of\""));
    nx_free(json);
}

/* The end of the JSON value at `p`, NULL where there is none. */
static const char *skip_json(const char *p)
{
    if (*p == '"') {
        for (p++; *p != '"'; p++) {
            if ((unsigned char)*p < 0x20)
                return NULL;
            p += *p == '\\';
        }
        return p + 1;
    }
    if (*p == '{' || *p == '[') {
        char close = *p == '{' ? '}' : ']';
        for (p++; *p != close; p += *p == ',') {
            const char *colon = close == '}' ? skip_json(p) : NULL;
            if (close == '}' && (!colon || *colon != ':'))
                return NULL;
            p = skip_json(colon ? colon + 1 : p);
            if (!p || (*p != ',' && *p != close))
                return NULL;
        }
        return p + 1;
    }
    size_t len = strspn(p, "0123456789.-+eEnulltruefalse");
    return len > 0 ? p + len : NULL;
}

static void json_is_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "sum by (a) (rate(m{x=\"\\x01\\u2028\\t\\r&\"}[5m])) / on(b) group_right(c) n",
        "histogram_quantile(0.9, m) or m[5m:1m] </ 3 == bool inf",
        "a + fill_left(NaN) fill_right(1e-9) b",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct qry_query *query = NULL;
        if (qry_parse(nx_view_of(texts[i]), &all_features, &query, NULL) != NX_OK)
            continue;
        char *json = print_with(qry_print_json, qry_query_expr(query));
        const char *end = skip_json(json);
        if (!end || *end != '\0')
            fail_msg("no JSON: %s", json);
        nx_free(json);
        qry_query_free(query);
    }
}

/* --- no room ---------------------------------------------------------------------------------- */

static const char *const rich_text =
    "sum by (a, b) (rate(" LONG_SELECTOR "[5m+step()] offset -(1h))) / on(q) group_left(r) "
    "fill(2) info(m, {x=~\"y\"}) - count_values(\"v\", (-m[5m:] @ 3)) ^ 5m";

static void print_small_buffer_reports_too_large(void **state)
{
    (void)state;
    static const expr_printer printers[] = {qry_print, qry_print_pretty, qry_print_json};
    struct qry_query *query = must_parse(nx_view_of("sum by (a) (" LONG_SELECTOR " + 1) or b"));
    for (size_t i = 0; i < 3; i++) {
        for (size_t max = 0; max < 90; max++) {
            struct nx_buf out;
            nx_buf_init(&out, max);
            printers[i](&out, qry_query_expr(query));
            assert_int_equal(nx_buf_err(&out), NX_ERR_TOO_LARGE);
            assert_true(out.len <= max);
            nx_buf_release(&out);
        }
    }
    qry_query_free(query);
}

static void print_failing_allocations_are_told(void **state)
{
    (void)state;
    static const expr_printer printers[] = {qry_print, qry_print_pretty, qry_print_json};
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};
    char text[512];
    snprintf(text, sizeof text, "%s", rich_text);
    /* the subquery in a sign makes it a type error: take it out */
    char *at = strstr(text, "(-m[5m:] @ 3)");
    assert_non_null(at);
    memcpy(at, "(-m         )", 13);
    assert_int_equal(qry_parse(nx_view_of(text), &all_features, &query, &fail), NX_OK);
    for (size_t i = 0; i < 3; i++) {
        bool done = false;
        for (int n = 0; !done && n < 1000; n++) {
            struct nx_buf out;
            int left = n;
            nx_buf_init(&out, 1 << 20);
            nx_alloc_set_hook(failing_alloc, &left);
            printers[i](&out, qry_query_expr(query));
            nx_alloc_set_hook(NULL, NULL);
            done = left >= 0;
            assert_int_equal(nx_buf_err(&out), done ? NX_OK : NX_ERR_NOMEM);
            nx_buf_release(&out);
        }
        assert_true(done);
    }
    qry_query_free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pretty_short_expression_stays_on_one_line),
        cmocka_unit_test(pretty_splits_beyond_a_hundred_bytes),
        cmocka_unit_test(pretty_long_selector_is_never_split),
        cmocka_unit_test(pretty_call_puts_each_argument_on_a_line),
        cmocka_unit_test(pretty_aggregation_puts_grouping_first),
        cmocka_unit_test(pretty_binary_puts_operator_between),
        cmocka_unit_test(pretty_sign_stays_with_its_operand),
        cmocka_unit_test(pretty_subquery_follows_its_expression),
        cmocka_unit_test(pretty_text_parses_to_the_same_line),
        cmocka_unit_test(json_selector_lists_matchers_and_modifiers),
        cmocka_unit_test(json_binary_holds_matching),
        cmocka_unit_test(json_call_describes_its_function),
        cmocka_unit_test(json_aggregation_and_unary_and_string),
        cmocka_unit_test(json_duration_expressions_are_trees),
        cmocka_unit_test(json_is_json),
        cmocka_unit_test(print_small_buffer_reports_too_large),
        cmocka_unit_test(print_failing_allocations_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
