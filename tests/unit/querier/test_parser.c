/* The parser against its cases: what parses and how it reads, what does not and why, the shape of
 * trees, and the limits. */
#include "parser_cases.h"
#include "promql_test.h"

struct parse_case {
    struct nx_view text;
    const char *expected;
};
#define CASE(text, expected) {NX_VIEW(text), expected},

static const struct parse_case valid_cases[] = {VALID_CASES(CASE)};
static const struct parse_case error_cases[] = {ERROR_CASES(CASE)};
static const struct parse_case disabled_cases[] = {DISABLED_CASES(CASE)};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void parse_valid_texts_print_as_expected(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(valid_cases); i++) {
        struct qry_query *query = must_parse(valid_cases[i].text);
        char *printed = print_with(qry_print, qry_query_expr(query));
        if (strcmp(printed, valid_cases[i].expected) != 0)
            fail_msg("`%.*s` prints as `%s`, expected `%s`", NX_VIEW_ARG(valid_cases[i].text),
                     printed, valid_cases[i].expected);
        nx_free(printed);
        qry_query_free(query);
    }
}

static void parse_bad_texts_fail_with_message_and_position(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(error_cases); i++)
        assert_parse_fails(error_cases[i].text, &all_features, error_cases[i].expected);
}

static void parse_disabled_features_fail_with_message(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(disabled_cases); i++) {
        assert_parse_fails(disabled_cases[i].text, &no_features, disabled_cases[i].expected);
        struct qry_query *query = must_parse(disabled_cases[i].text);
        qry_query_free(query);
    }
}

static void parse_without_fail_gives_code_alone(void **state)
{
    (void)state;
    struct qry_query *query = NULL;
    assert_int_equal(qry_parse(NX_VIEW("a b"), &default_features, &query, NULL), NX_ERR_INVALID);
    assert_int_equal(qry_parse(NX_VIEW("a{b=~\"(\"}"), &default_features, &query, NULL),
                     NX_ERR_INVALID);
    assert_int_equal(qry_parse(NX_VIEW("\"\\q"), &default_features, &query, NULL), NX_ERR_INVALID);
    assert_null(query);
}

static void parse_equal_fills_print_as_one(void **state)
{
    (void)state;
    char *printed = reprint_with(qry_print, "a + fill(1) b + fill_left(2) fill_right(2) c");
    assert_string_equal(printed, "a + fill (1) b + fill (2) c");
    nx_free(printed);
}

/* --- trees ------------------------------------------------------------------------------------ */

static void assert_pos(struct qry_pos pos, uint32_t start, uint32_t end)
{
    assert_int_equal(pos.start, start);
    assert_int_equal(pos.end, end);
}

static void tree_precedence_follows_the_table(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("a or b and c == d + e * -f ^ g"));
    const struct qry_expr *expr = qry_query_expr(query);
    enum qry_op chain[] = {QRY_OP_OR, QRY_OP_AND, QRY_OP_EQ, QRY_OP_ADD, QRY_OP_MUL};

    for (size_t i = 0; i < COUNT(chain); i++) {
        assert_int_equal(expr->kind, QRY_NODE_BINARY);
        assert_int_equal(expr->binary.op, chain[i]);
        expr = expr->binary.rhs;
    }
    assert_int_equal(expr->kind, QRY_NODE_UNARY);
    assert_true(expr->unary.minus);
    assert_int_equal(expr->unary.expr->binary.op, QRY_OP_POW);
    qry_query_free(query);
}

static void tree_equal_precedence_leans_left_and_power_right(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("a - b - c"));
    const struct qry_expr *expr = qry_query_expr(query);
    assert_int_equal(expr->binary.lhs->kind, QRY_NODE_BINARY);
    assert_int_equal(expr->binary.rhs->kind, QRY_NODE_SELECTOR);
    qry_query_free(query);

    query = must_parse(NX_VIEW("a ^ b ^ c"));
    expr = qry_query_expr(query);
    assert_int_equal(expr->binary.lhs->kind, QRY_NODE_SELECTOR);
    assert_int_equal(expr->binary.rhs->kind, QRY_NODE_BINARY);
    qry_query_free(query);
}

static void tree_sign_on_literal_folds_into_it(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW(" - -+ 2"));
    const struct qry_expr *expr = qry_query_expr(query);
    assert_int_equal(expr->kind, QRY_NODE_NUMBER);
    assert_true(expr->number.value == 2);
    assert_pos(expr->pos, 1, 7);
    qry_query_free(query);

    query = must_parse(NX_VIEW("-(2)"));
    assert_int_equal(qry_query_expr(query)->kind, QRY_NODE_UNARY);
    qry_query_free(query);
}

static void tree_positions_are_those_of_the_go_parser(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("1 + sum(rate(m[5m] offset 1m)) by (x) - (y)"));
    const struct qry_expr *minus = qry_query_expr(query);
    assert_pos(minus->pos, 0, 43);
    assert_pos(minus->binary.rhs->pos, 40, 43);
    const struct qry_expr *plus = minus->binary.lhs;
    assert_pos(plus->pos, 0, 37);
    const struct qry_expr *sum = plus->binary.rhs;
    assert_pos(sum->pos, 4, 37);
    const struct qry_expr *rate = sum->aggregate.expr;
    assert_pos(rate->pos, 8, 29);
    const struct qry_expr *selector = rate->call.args[0];
    assert_pos(selector->pos, 13, 28);
    assert_pos(selector->selector.selector_pos, 13, 14);
    qry_query_free(query);
}

static void tree_aggregate_ends_at_its_own_parenthesis(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("(sum(a) )"));
    assert_pos(qry_query_expr(query)->paren->pos, 1, 7);
    qry_query_free(query);
    query = must_parse(NX_VIEW("(sum by (b) (a))"));
    assert_pos(qry_query_expr(query)->paren->pos, 1, 15);
    qry_query_free(query);
}

static void tree_selector_keeps_written_order_with_name_last(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("m{z=\"1\", \"b.c\"!~\"2\"}"));
    const struct qry_selector *selector = &qry_query_expr(query)->selector;
    assert_true(nx_view_is(selector->name, "m"));
    assert_int_equal(selector->matcher_count, 3);
    assert_true(nx_view_is(selector->matchers[0].name, "z"));
    assert_true(nx_view_is(selector->matchers[1].name, "b.c"));
    assert_int_equal(selector->matchers[1].type, NX_MATCH_NRE);
    assert_true(nx_view_is(selector->matchers[2].name, "__name__"));
    assert_true(nx_view_is(selector->matchers[2].value, "m"));
    qry_query_free(query);

    query = must_parse(NX_VIEW("{\"q.n\", a=\"b\"}"));
    selector = &qry_query_expr(query)->selector;
    assert_int_equal(selector->name.len, 0);
    assert_int_equal(selector->matcher_count, 2);
    assert_true(nx_view_is(selector->matchers[0].value, "q.n"));
    qry_query_free(query);
}

static void tree_modifiers_hold_milliseconds(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("m[1.5] @ 3.3335 offset -0.0019"));
    const struct qry_selector *selector = &qry_query_expr(query)->selector;
    assert_int_equal(selector->range_ms, 1500);
    assert_int_equal(selector->mod.at, QRY_AT_TIME);
    assert_int_equal(selector->mod.at_ms, 3334);
    assert_int_equal(selector->mod.offset_ms, -1);
    qry_query_free(query);

    query = must_parse(NX_VIEW("m[1h:90] @ end()"));
    const struct qry_subquery *subquery = &qry_query_expr(query)->subquery;
    assert_int_equal(subquery->range_ms, 3600000);
    assert_int_equal(subquery->step_ms, 90000);
    assert_int_equal(subquery->mod.at, QRY_AT_END);
    assert_null(subquery->mod.offset);
    qry_query_free(query);
}

static void tree_at_beyond_milliseconds_is_kept_in_bounds(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("a @ 9.2e18 + b @ -9.2e18"));
    const struct qry_binary *binary = &qry_query_expr(query)->binary;
    assert_true(binary->lhs->selector.mod.at_ms == INT64_C(1) << 61);
    assert_true(binary->rhs->selector.mod.at_ms == -(INT64_C(1) << 61));
    qry_query_free(query);
}

static void tree_matching_is_absent_with_a_scalar(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("a + ignoring() 1"));
    assert_null(qry_query_expr(query)->binary.matching);
    assert_true(qry_query_expr(query)->binary.matching_written);
    qry_query_free(query);

    query = must_parse(NX_VIEW("a and on(x) b"));
    const struct qry_matching *matching = qry_query_expr(query)->binary.matching;
    assert_int_equal(matching->card, QRY_CARD_MANY_TO_MANY);
    assert_true(matching->on);
    qry_query_free(query);
}

static void tree_info_selector_may_match_everything(void **state)
{
    (void)state;
    struct qry_query *query = must_parse(NX_VIEW("info(a, {x=~\".*\"})"));
    const struct qry_call *call = &qry_query_expr(query)->call;
    assert_true(call->args[1]->selector.allow_empty);
    assert_false(call->args[0]->selector.allow_empty);
    qry_query_free(query);
}

struct visit_log {
    char kinds[32];
    size_t count;
    size_t stop_after;
};

static bool log_visit(struct qry_expr *expr, void *user)
{
    struct visit_log *log = user;
    log->kinds[log->count++] = "NSVQCBUPA"[expr->kind];
    return log->count != log->stop_after;
}

static void walk_visits_parents_first_and_stops_on_request(void **state)
{
    (void)state;
    struct qry_query *query =
        must_parse(NX_VIEW("-abs(topk(1, m)) + ((a) == bool 2) or max_over_time(m[5m:]) </ 3"));
    struct visit_log log = {0};
    assert_true(qry_walk(qry_query_expr(query), log_visit, &log));
    assert_string_equal(log.kinds, "BBUCAVNPBPVNBCQVN");
    struct visit_log part = {.stop_after = 4};
    assert_false(qry_walk(qry_query_expr(query), log_visit, &part));
    assert_string_equal(part.kinds, "BBUC");
    qry_query_free(query);
}

static void position_counts_lines_and_bytes(void **state)
{
    (void)state;
    struct nx_view text = NX_VIEW("a\n\xC3\xA4 b\n");
    uint32_t line;
    uint32_t col;
    qry_position(text, 0, &line, &col);
    assert_true(line == 1 && col == 1);
    qry_position(text, 5, &line, &col);
    assert_true(line == 2 && col == 4);
    qry_position(text, 7, &line, &col);
    assert_true(line == 3 && col == 1);
    qry_position(text, 1000, &line, &col);
    assert_true(line == 3 && col == 1);
}

/* --- a selector alone ------------------------------------------------------------------------- */

static void selector_alone_takes_names_and_braces(void **state)
{
    (void)state;
    const char *texts[] = {"m", "a:b{x=\"y\"}", "{x=~\"y.*\"}", "{}", "{\"u.v\"}", "sum", " on_x "};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct qry_query *query = NULL;
        struct nx_fail fail = {0};
        assert_int_equal(qry_parse_selector(nx_view_of(texts[i]), &query, &fail), NX_OK);
        assert_int_equal(qry_query_expr(query)->kind, QRY_NODE_SELECTOR);
        assert_string_equal(qry_query_text(query).ptr, texts[i]);
        qry_query_free(query);
    }
}

static void selector_alone_refuses_anything_more(void **state)
{
    (void)state;
    static const struct parse_case cases[] = {
        CASE("", "unknown position: parse error: unexpected end of input")
            CASE("m[5m]", "1:2: parse error: unexpected \"[\"") CASE(
                "m offset 5m", "1:3: parse error: unexpected <offset>")
                CASE("m + n", "1:3: parse error: unexpected <op:+>") CASE(
                    "1", "1:1: parse error: unexpected number \"1\"")
                    CASE("abs(m)", "1:4: parse error: unexpected \"(\"") CASE(
                        "{x=}",
                        "1:4: parse error: unexpected \"}\" in label matching, expected string")};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct qry_query *query = NULL;
        struct nx_fail fail = {0};
        assert_int_equal(qry_parse_selector(cases[i].text, &query, &fail), NX_ERR_INVALID);
        assert_string_equal(fail.text, cases[i].expected);
        assert_null(query);
    }
}

/* --- limits ----------------------------------------------------------------------------------- */

/* `before` n times, `middle`, `after` n times. */
static char *nest(const char *before, const char *middle, const char *after, size_t n)
{
    struct nx_buf buf;
    nx_buf_init(&buf, (size_t)64 << 20);
    for (size_t i = 0; i < n; i++)
        nx_buf_append_str(&buf, before);
    nx_buf_append_str(&buf, middle);
    for (size_t i = 0; i < n; i++)
        nx_buf_append_str(&buf, after);
    nx_buf_append(&buf, "", 1);
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    size_t len;
    return nx_buf_take(&buf, &len);
}

static const struct {
    const char *before, *middle, *after;
} nestings[] = {
    {"(", "a", ")"},    {"-", "a", ""},           {"abs(", "a", ")"}, {"sum(", "a", ")"},
    {"1^", "1", ""},    {"", "a", "[1m:]"},       {"", "a", "+a"},    {"a+(", "a", ")"},
    {"(", "a", ""},     {"sum by (x) (", "", ""}, {"-{}-(", "", ""},  {"", "1", " ^ -1"},
    {"", "a", " or a"}, {"abs(((", "a", ")))"},
};

static void limits_deep_nesting_is_refused_not_crashed(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(nestings); i++) {
        char *text = nest(nestings[i].before, nestings[i].middle, nestings[i].after, 100000);
        struct qry_query *query = NULL;
        struct nx_fail fail = {0};
        assert_int_equal(qry_parse(nx_view_of(text), &all_features, &query, &fail), NX_ERR_INVALID);
        if (!strstr(fail.text, "limit is"))
            fail_msg("%.10s...: %s", text, fail.text);
        nx_free(text);
    }
}

static void limits_deep_durations_are_refused_not_crashed(void **state)
{
    (void)state;
    static const char *const shapes[][3] = {
        {"(", "1", ")"}, {"-", "1", ""}, {"1^", "1", ""}, {"", "1", "+1"}, {"min_of(1,", "1", ")"},
    };
    for (size_t i = 0; i < COUNT(shapes); i++) {
        char *inner = nest(shapes[i][0], shapes[i][1], shapes[i][2], 100000);
        char *text = nest("a[", inner, "]", 1);
        struct qry_query *query = NULL;
        struct nx_fail fail = {0};
        assert_int_equal(qry_parse(nx_view_of(text), &all_features, &query, &fail), NX_ERR_INVALID);
        assert_non_null(strstr(fail.text, "limit is"));
        nx_free(text);
        nx_free(inner);
    }
}

static void limits_reasonable_nesting_parses_and_prints(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        char *text = nest(nestings[i].before, nestings[i].middle, nestings[i].after,
                          nestings[i].after[0] == '[' ? 1 : 400);
        struct qry_query *query = must_parse(nx_view_of(text));
        nx_free(print_with(qry_print, qry_query_expr(query)));
        nx_free(print_with(qry_print_pretty, qry_query_expr(query)));
        nx_free(print_with(qry_print_json, qry_query_expr(query)));
        qry_query_free(query);
        nx_free(text);
    }
}

static void limits_many_regular_expressions_are_refused(void **state)
{
    (void)state;
    char *matchers = nest("a=~\"b\",", "", "", QRY_MAX_REGEXES + 1);
    char *text = nest("{", matchers, "}", 1);
    struct qry_query *query = NULL;
    struct nx_fail fail = {0};
    assert_int_equal(qry_parse(nx_view_of(text), &all_features, &query, &fail), NX_ERR_INVALID);
    assert_non_null(strstr(fail.text, "too many regular expressions, the limit is 1000"));
    nx_free(text);
    nx_free(matchers);
}

static void limits_large_regular_expressions_are_refused_together(void **state)
{
    (void)state;
    char *matchers = nest("a=~\"(?:[a-f].){1000}\",", "", "", 15);
    char *text = nest("{", matchers, "}", 1);
    struct qry_query *query = must_parse(nx_view_of(text));
    qry_query_free(query);
    nx_free(text);
    nx_free(matchers);

    query = NULL;
    matchers = nest("a=~\"(?:[a-f].){1000}\",", "", "", 200);
    text = nest("{", matchers, "}", 1);
    struct nx_fail fail = {0};
    assert_int_equal(qry_parse(nx_view_of(text), &all_features, &query, &fail), NX_ERR_INVALID);
    assert_non_null(strstr(fail.text, "parse error: regular expressions of more than 128 MiB"));
    nx_free(text);
    nx_free(matchers);
}

static void limits_a_megabyte_is_parsed_or_refused(void **state)
{
    (void)state;
    static const char *const pieces[] = {
        "a", " ",  "{a=\"b\"}", "1,",       "f(",       "\"", "`",
        "#", "\\", "[5m:",      "sum by (", "\xC3\xA4", "_",
    };
    for (size_t i = 0; i < COUNT(pieces); i++) {
        char *text = nest(pieces[i], "", "", ((size_t)1 << 20) / strlen(pieces[i]));
        struct qry_query *query = NULL;
        struct nx_fail fail = {0};
        enum nx_err err = qry_parse(nx_view_of(text), &all_features, &query, &fail);
        if (err == NX_OK)
            qry_query_free(query);
        else
            assert_int_equal(err, NX_ERR_INVALID);
        nx_free(text);
    }
}

static void limits_long_list_of_matchers_parses(void **state)
{
    (void)state;
    char *matchers = nest("label=\"value\",", "", "", 50000);
    char *text = nest("m{", matchers, "}", 1);
    struct qry_query *query = must_parse(nx_view_of(text));
    assert_int_equal(qry_query_expr(query)->selector.matcher_count, 50001);
    qry_query_free(query);
    nx_free(text);
    nx_free(matchers);
}

static void parse_failing_allocations_are_told(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "sum by (a) (rate(m{x=\"y\",z=~\"a.*b\"}[5m+step()] offset -(1h))) / on(q) group_left(r) n",
        "label_replace(a, \"b\", \"\\x41\", \"c\", \"d\") or {\"u.v\"}[5m:1m] @ end()",
        "nope(1e3, 0x1f, .5_5)",
        "a b",
        "a{b=~\"(\"}",
        "\"\\q\"",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        bool done = false;
        for (int n = 0; !done && n < 10000; n++) {
            struct qry_query *query = NULL;
            struct nx_fail fail = {0};
            int left = n;
            nx_alloc_set_hook(failing_alloc, &left);
            enum nx_err err = qry_parse(nx_view_of(texts[i]), &all_features, &query, &fail);
            nx_alloc_set_hook(NULL, NULL);
            done = left >= 0;
            if (err == NX_OK)
                qry_query_free(query);
            else
                assert_null(query);
            assert_true(done || err == NX_ERR_NOMEM || err == NX_ERR_INVALID);
        }
        assert_true(done);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_valid_texts_print_as_expected),
        cmocka_unit_test(parse_bad_texts_fail_with_message_and_position),
        cmocka_unit_test(parse_disabled_features_fail_with_message),
        cmocka_unit_test(parse_without_fail_gives_code_alone),
        cmocka_unit_test(parse_equal_fills_print_as_one),
        cmocka_unit_test(tree_precedence_follows_the_table),
        cmocka_unit_test(tree_equal_precedence_leans_left_and_power_right),
        cmocka_unit_test(tree_sign_on_literal_folds_into_it),
        cmocka_unit_test(tree_positions_are_those_of_the_go_parser),
        cmocka_unit_test(tree_aggregate_ends_at_its_own_parenthesis),
        cmocka_unit_test(tree_selector_keeps_written_order_with_name_last),
        cmocka_unit_test(tree_modifiers_hold_milliseconds),
        cmocka_unit_test(tree_at_beyond_milliseconds_is_kept_in_bounds),
        cmocka_unit_test(tree_matching_is_absent_with_a_scalar),
        cmocka_unit_test(tree_info_selector_may_match_everything),
        cmocka_unit_test(walk_visits_parents_first_and_stops_on_request),
        cmocka_unit_test(position_counts_lines_and_bytes),
        cmocka_unit_test(selector_alone_takes_names_and_braces),
        cmocka_unit_test(selector_alone_refuses_anything_more),
        cmocka_unit_test(limits_deep_nesting_is_refused_not_crashed),
        cmocka_unit_test(limits_deep_durations_are_refused_not_crashed),
        cmocka_unit_test(limits_reasonable_nesting_parses_and_prints),
        cmocka_unit_test(limits_many_regular_expressions_are_refused),
        cmocka_unit_test(limits_large_regular_expressions_are_refused_together),
        cmocka_unit_test(limits_a_megabyte_is_parsed_or_refused),
        cmocka_unit_test(limits_long_list_of_matchers_parses),
        cmocka_unit_test(parse_failing_allocations_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
