#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/cxx/re2_shim.h"

static struct nx_regex *compile(const char *expr, bool anchored)
{
    struct nx_regex *regex = NULL;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = nx_regex_new(nx_view_of(expr), anchored, &regex, &fail);
    if (err != NX_OK)
        fail_msg("%s: %s", expr, fail.text);
    return regex;
}

static bool matches(const char *expr, bool anchored, const char *text)
{
    struct nx_regex *regex = compile(expr, anchored);
    bool result = nx_regex_matches(regex, nx_view_of(text));
    nx_regex_free(regex);
    return result;
}

static void match_anchored_wants_the_whole_text(void **state)
{
    (void)state;
    assert_true(matches("foo", true, "foo"));
    assert_false(matches("foo", true, "foobar"));
    assert_false(matches("foo", true, "xfoo"));
    assert_true(matches("foo", false, "xfoobar"));
    assert_true(matches("a|ab", true, "ab"));
    assert_true(matches("", true, ""));
    assert_false(matches("", true, "x"));
    assert_true(matches(".*", true, "a\nb"));
    assert_true(matches("a.b", true, "a\nb"));
    assert_true(matches("ü.", true, "üß"));
    assert_true(matches("(?i)FOO", true, "foo"));
    assert_false(matches("foo$", true, "foo\n"));
}

static void match_text_with_nul_is_compared_whole(void **state)
{
    (void)state;
    struct nx_regex *regex = compile("a.*", true);
    assert_true(nx_regex_matches(regex, nx_view_make("a\0b", 3)));
    assert_true(nx_regex_matches(regex, nx_view_make("a", 1)));
    assert_false(nx_regex_matches(regex, nx_view_make(NULL, 0)));
    nx_regex_free(regex);
}

static void new_bad_expressions_give_go_texts(void **state)
{
    (void)state;
    static const struct {
        const char *expr, *text;
    } cases[] = {
        {"(a", "error parsing regexp: missing closing ): `(a`"},
        {"a)", "error parsing regexp: unexpected ): `a)`"},
        {"a)(b", "error parsing regexp: unexpected ): `a)(b`"},
        {"[a", "error parsing regexp: missing closing ]: `[a`"},
        {"*", "error parsing regexp: missing argument to repetition operator: `*`"},
        {"a**", "error parsing regexp: invalid nested repetition operator: `**`"},
        {"a{2000}", "error parsing regexp: invalid repeat count: `{2000}`"},
        {"[z-a]", "error parsing regexp: invalid character class range: `z-a`"},
        {"\\8", "error parsing regexp: invalid escape sequence: `\\8`"},
        {"a\\", "error parsing regexp: trailing backslash at end of expression: ``"},
        {"(?<!a)b", "error parsing regexp: invalid named capture: `(?<!a)b`"},
        {"(?=a)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_regex *regex = NULL;
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(nx_regex_new(nx_view_of(cases[i].expr), true, &regex, &fail),
                         NX_ERR_INVALID);
        assert_null(regex);
        assert_string_equal(fail.text, cases[i].text);
    }
    struct nx_regex *regex = NULL;
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_regex_new(nx_view_make("a\xff", 2), true, &regex, &fail), NX_ERR_INVALID);
    assert_non_null(strstr(fail.text, "invalid UTF-8"));
    assert_int_equal(
        nx_regex_new(NX_VIEW("(((((a{100}){100}){100}){100}){100})"), true, &regex, &fail),
        NX_ERR_INVALID);
    assert_int_equal(nx_regex_new(NX_VIEW("("), true, &regex, NULL), NX_ERR_INVALID);
}

static void new_deep_nesting_is_refused_or_served(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *expr = nx_alloc(2 * DEPTH + 1);
    memset(expr, '(', DEPTH);
    expr[DEPTH] = 'a';
    memset(expr + DEPTH + 1, ')', DEPTH);
    struct nx_regex *regex = NULL;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = nx_regex_new(nx_view_make(expr, 2 * DEPTH + 1), true, &regex, &fail);
    assert_true(err == NX_OK || err == NX_ERR_INVALID);
    nx_regex_free(regex);
    nx_free(expr);
}

static void groups_named_and_unset_are_reported(void **state)
{
    (void)state;
    struct nx_regex *regex = compile("(?P<first>a+)(b)?(?<third>c*)[(?<x>]?\\(?\\Q(?<\\E?", true);
    struct nx_view groups[8];
    assert_int_equal(nx_regex_group_count(regex), 4);
    assert_int_equal(nx_regex_groups(regex, NX_VIEW("aacc(?<"), groups, 8), 4);
    assert_true(nx_view_is(groups[0], "aacc(?<"));
    assert_true(nx_view_is(groups[1], "aa"));
    assert_null(groups[2].ptr);
    assert_true(nx_view_is(groups[3], "cc"));
    assert_int_equal(nx_regex_group_index(regex, NX_VIEW("first")), 1);
    assert_int_equal(nx_regex_group_index(regex, NX_VIEW("third")), 3);
    assert_int_equal(nx_regex_group_index(regex, NX_VIEW("x")), -1);
    assert_int_equal(nx_regex_groups(regex, NX_VIEW("zz"), groups, 8), 0);
    assert_int_equal(nx_regex_groups(regex, NX_VIEW("a(?<"), groups, 1), 4);
    nx_regex_free(regex);
}

static void prefix_is_a_prefix_of_every_match(void **state)
{
    (void)state;
    char out[16];
    struct nx_regex *regex = compile("http_.*_total", true);
    size_t len = nx_regex_prefix(regex, out, sizeof out);
    assert_true(len >= 4 && len <= 5);
    assert_memory_equal(out, "http_", len);
    nx_regex_free(regex);
    regex = compile("a|b", true);
    assert_int_equal(nx_regex_prefix(regex, out, sizeof out), 0);
    nx_regex_free(regex);
    regex = compile(".*x", true);
    assert_int_equal(nx_regex_prefix(regex, out, sizeof out), 0);
    nx_regex_free(regex);
}

static void max_bytes_follow_the_size_of_the_program(void **state)
{
    (void)state;
    struct nx_regex *small = compile("5..", true);
    struct nx_regex *words = compile("prom.*|graf.*|alert.*", true);
    struct nx_regex *classes = compile("\\pL+[0-9]{1,5}", true);
    struct nx_regex *counted = compile("(?:[a-f][0-9]){1000}", true);
    assert_true(nx_regex_max_bytes(small) > 0 && nx_regex_max_bytes(small) < 128 << 10);
    assert_true(nx_regex_max_bytes(words) < 256 << 10);
    assert_true(nx_regex_max_bytes(classes) > nx_regex_max_bytes(words));
    assert_true(nx_regex_max_bytes(counted) > nx_regex_max_bytes(classes));
    assert_true(nx_regex_max_bytes(counted) <= (8 << 20) + 4096);
    assert_int_equal(nx_regex_max_bytes(NULL), 0);
    assert_true(nx_regex_matches(classes, NX_VIEW("\xc3\xa9t\xc3\xa9"
                                                  "123")));
    nx_regex_free(small);
    nx_regex_free(words);
    nx_regex_free(classes);
    nx_regex_free(counted);
}

static void new_too_large_for_its_memory_is_refused(void **state)
{
    (void)state;
    struct nx_regex *regex = NULL;
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_regex_new(NX_VIEW("(?:\\pL{100}){10}"), true, &regex, &fail),
                     NX_ERR_INVALID);
    assert_string_equal(fail.text, "error parsing regexp: expression too large");
    assert_null(regex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_anchored_wants_the_whole_text),
        cmocka_unit_test(match_text_with_nul_is_compared_whole),
        cmocka_unit_test(new_bad_expressions_give_go_texts),
        cmocka_unit_test(new_deep_nesting_is_refused_or_served),
        cmocka_unit_test(groups_named_and_unset_are_reported),
        cmocka_unit_test(prefix_is_a_prefix_of_every_match),
        cmocka_unit_test(max_bytes_follow_the_size_of_the_program),
        cmocka_unit_test(new_too_large_for_its_memory_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
