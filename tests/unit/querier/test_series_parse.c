/* The metric part of series descriptions. */
#include "promql_test.h"

#include "querier/promql/series_parse.h"

static void metric_forms_give_sorted_labels_and_length(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *labels;
        size_t consumed;
    } cases[] = {
        {"up", "up", 2},
        {"up 1 2 3", "up", 2},
        {"up@st 1m", "up", 2},
        {"  up{} 1", "up", 6},
        {"up {a=\"b\"}", "up", 2},
        {"sum{by=\"x\"} 1", "sum{by=\"x\"}", 11},
        {"a:b{z=\"1\", a='2',} 0+1x3", "a:b{a=\"2\", z=\"1\"}", 18},
        {"{} 1", "{}", 2},
        {"{a=\"b\"}{{schema:0}}", "{a=\"b\"}", 7},
        {"{\"u.v\", \"w x\"=`y`} _x3", "{\"u.v\", \"w x\"=\"y\"}", 18},
        {"{__name__=\"m\"}", "m", 14},
        {"m{\"n\"}", "m", 6},
        {"m{__name__=\"n\"}", "m", 15},
        {"m{a=\"\", b=\"c\"}", "m{b=\"c\"}", 14},
        {"m{a=\"1\", a=\"2\"}", "m{a=\"2\"}", 15},
        {"m{a=\"\\u00e9\\n\"}", "m{a=\"\xC3\xA9\\n\"}", 15},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_arena arena;
        struct nx_labels labels = {0};
        struct nx_fail fail = {0};
        size_t consumed = 0;
        nx_arena_init(&arena, 0);
        enum nx_err err =
            qry_parse_metric(nx_view_of(cases[i].text), &arena, &labels, &consumed, &fail);
        if (err != NX_OK)
            fail_msg("%s: %s", cases[i].text, fail.text);
        assert_int_equal(consumed, cases[i].consumed);
        struct nx_buf out;
        nx_buf_init(&out, 4096);
        nx_labels_print(&out, labels);
        nx_buf_append(&out, "", 1);
        assert_int_equal(nx_buf_err(&out), NX_OK);
        assert_string_equal(out.data, cases[i].labels);
        nx_buf_release(&out);
        nx_arena_release(&arena);
    }
}

static void metric_errors_have_message_and_position(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"", "unknown position: parse error: unexpected end of input in series values"},
        {"1 2", "1:1: parse error: unexpected number \"1\" in series values"},
        {"m{a}", "1:4: parse error: unexpected \"}\" in label set, expected \"=\""},
        {"m{a=1}", "1:5: parse error: unexpected character inside braces: '1'"},
        {"m{a=}", "1:5: parse error: unexpected \"}\" in label set, expected string"},
        {"m{a!=\"b\"}", "1:4: parse error: unexpected <op:!=> in label set, expected \"=\""},
        {"m{\"a\" b}", "1:7: parse error: unexpected identifier \"b\" in label set, expected "
                       "\",\" or \"}\""},
        {"m{,}", "1:3: parse error: unexpected \",\" in label set, expected identifier or \"}\""},
        {"m{a=\"b\"", "1:8: parse error: unexpected end of input inside braces"},
        {"m{a=\"b}", "1:5: parse error: unterminated quoted string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_arena arena;
        struct nx_labels labels = {0};
        struct nx_fail fail = {0};
        size_t consumed = 77;
        nx_arena_init(&arena, 0);
        assert_int_equal(
            qry_parse_metric(nx_view_of(cases[i].text), &arena, &labels, &consumed, &fail),
            NX_ERR_INVALID);
        if (strcmp(fail.text, cases[i].message) != 0)
            fail_msg("%s: %s, expected: %s", cases[i].text, fail.text, cases[i].message);
        assert_int_equal(consumed, 77);
        nx_arena_release(&arena);
    }
}

static void metric_failing_allocations_are_told(void **state)
{
    (void)state;
    bool done = false;
    for (int n = 0; !done && n < 100; n++) {
        struct nx_arena arena;
        struct nx_labels labels = {0};
        size_t consumed = 0;
        int left = n;
        nx_arena_init(&arena, 0);
        nx_alloc_set_hook(failing_alloc, &left);
        enum nx_err err = qry_parse_metric(NX_VIEW("m{a=\"b\",c=\"d\",e=\"f\"}"), &arena, &labels,
                                           &consumed, NULL);
        nx_alloc_set_hook(NULL, NULL);
        done = left >= 0;
        assert_int_equal(err, done ? NX_OK : NX_ERR_NOMEM);
        nx_arena_release(&arena);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_forms_give_sorted_labels_and_length),
        cmocka_unit_test(metric_errors_have_message_and_position),
        cmocka_unit_test(metric_failing_allocations_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
