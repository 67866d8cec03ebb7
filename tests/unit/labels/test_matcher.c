#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/cxx/re2_shim.h"
#include "common/labels/match_plan.h"
#include "common/labels/matcher.h"

static struct nx_matcher make(struct nx_arena *arena, enum nx_match_type type, const char *value)
{
    struct nx_matcher m;
    struct nx_fail fail = {.code = NX_OK};
    if (nx_matcher_init(&m, arena, type, NX_VIEW("job"), nx_view_of(value), &fail) != NX_OK)
        fail_msg("%s: %s", value, fail.text);
    return m;
}

static bool matches(enum nx_match_type type, const char *pattern, const char *value)
{
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_matcher m = make(&arena, type, pattern);
    bool result = nx_matcher_matches(&m, nx_view_of(value));
    nx_matcher_release(&m);
    nx_arena_release(&arena);
    return result;
}

static void match_each_type(void **state)
{
    (void)state;
    assert_true(matches(NX_MATCH_EQ, "a", "a"));
    assert_false(matches(NX_MATCH_EQ, "a", "b"));
    assert_true(matches(NX_MATCH_EQ, "", ""));
    assert_true(matches(NX_MATCH_NE, "a", "b"));
    assert_true(matches(NX_MATCH_NE, "a", ""));
    assert_true(matches(NX_MATCH_RE, "a.c", "abc"));
    assert_true(matches(NX_MATCH_RE, "a.c", "a\nc"));
    assert_false(matches(NX_MATCH_RE, "a.c", "xabc"));
    assert_false(matches(NX_MATCH_RE, "a.c", "abcx"));
    assert_true(matches(NX_MATCH_NRE, "a.+", "a"));
    assert_false(matches(NX_MATCH_NRE, "a.+", "ab"));
    assert_string_equal(nx_match_type_text(NX_MATCH_NRE), "!~");
    assert_string_equal(nx_match_type_text(NX_MATCH_EQ), "=");
}

static void match_missing_label_is_the_empty_string(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_label label = {.name = NX_VIEW("a"), .value = NX_VIEW("b")};
    struct nx_labels set = {.items = &label, .count = 1};
    struct nx_matcher m[2] = {make(&arena, NX_MATCH_RE, "x|"), make(&arena, NX_MATCH_NE, "z")};
    assert_true(nx_matchers_match(m, 2, set));
    assert_true(nx_matcher_matches_empty(&m[0]));
    struct nx_matcher other = make(&arena, NX_MATCH_RE, ".+");
    assert_false(nx_matchers_match(&other, 1, set));
    assert_false(nx_matcher_matches_empty(&other));
    nx_matcher_release(&m[0]);
    nx_matcher_release(&m[1]);
    nx_matcher_release(&other);
    nx_arena_release(&arena);
}

static void init_bad_expression_explains(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_matcher m;
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_matcher_init(&m, &arena, NX_MATCH_RE, NX_VIEW("a"), NX_VIEW("a)(b"), &fail),
                     NX_ERR_INVALID);
    assert_string_equal(fail.text, "error parsing regexp: unexpected ): `a)(b`");
    assert_int_equal(
        nx_matcher_init(&m, &arena, NX_MATCH_NRE, NX_VIEW("a"), NX_VIEW("a\xff|b"), &fail),
        NX_ERR_INVALID);
    assert_int_equal(
        nx_matcher_init(&m, &arena, (enum nx_match_type)9, NX_VIEW("a"), NX_VIEW(""), &fail),
        NX_ERR_INVALID);
    nx_arena_release(&arena);
}

static void assert_literals(const char *expr, size_t count, const char *const *expected)
{
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_matcher m = make(&arena, NX_MATCH_RE, expr);
    struct nx_view got[16];
    if (nx_matcher_literals(&m, got, 16) != count)
        fail_msg("%s: %zu literals, expected %zu", expr, nx_matcher_literals(&m, got, 16), count);
    for (size_t i = 0; i < count; i++)
        if (!nx_view_is(got[i], expected[i]))
            fail_msg("%s: %.*s, expected %s", expr, NX_VIEW_ARG(got[i]), expected[i]);
    nx_matcher_release(&m);
    nx_arena_release(&arena);
}

static void literals_are_found_in_order(void **state)
{
    (void)state;
#define LITERALS(expr, n, ...) assert_literals(expr, n, (const char *const[]){__VA_ARGS__})
    LITERALS("a", 1, "a");
    LITERALS("b|a|c", 3, "b", "a", "c");
    LITERALS("(b|a)", 2, "b", "a");
    LITERALS("(?:api|web)-(?:1|2)", 4, "api-1", "api-2", "web-1", "web-2");
    LITERALS("10\\.0\\.0\\.1:9100|x", 2, "10.0.0.1:9100", "x");
    LITERALS("a|", 2, "a", "");
    LITERALS("", 1, "");
    LITERALS("^a$|^b$", 2, "a", "b");
    LITERALS("((a|b)|c)", 3, "a", "b", "c");
    LITERALS("é|ü", 2, "é", "ü");
    LITERALS("a]b}", 1, "a]b}");
    static const char *const none[] = {".*",      "a.b",  "a*",    "ab+", "(a|b)?",
                                       "[ab]",    "a{2}", "(?i)a", "\\d", "a|.+",
                                       "\\Qa\\E", "a$b",  "(^a)",  "a^b", "(?P<n>a)"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_literals(none[i], 0, NULL);
#undef LITERALS
}

static void literals_of_equality_are_its_value(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_matcher m = make(&arena, NX_MATCH_EQ, "a|b");
    struct nx_view got;
    assert_int_equal(nx_matcher_literals(&m, &got, 1), 1);
    assert_true(nx_view_is(got, "a|b"));
    m = make(&arena, NX_MATCH_RE, "a|b|c");
    assert_int_equal(nx_matcher_literals(&m, &got, 1), 3);
    assert_true(nx_view_is(got, "a"));
    nx_arena_release(&arena);
}

static void literals_in_great_numbers_are_served(void **state)
{
    (void)state;
    struct nx_buf expr;
    nx_buf_init(&expr, 1 << 20);
    for (int i = 0; i < 5000; i++)
        nx_buf_printf(&expr, "%spod-%d", i ? "|" : "(", i * 7);
    nx_buf_append_char(&expr, ')');
    nx_buf_append_char(&expr, '\0');
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_matcher m = make(&arena, NX_MATCH_RE, expr.data);
    assert_null(m.regex);
    assert_int_equal(nx_matcher_literals(&m, NULL, 0), 5000);
    assert_true(nx_matcher_matches(&m, NX_VIEW("pod-34993")));
    assert_false(nx_matcher_matches(&m, NX_VIEW("pod-34994")));
    assert_true(nx_view_is(nx_matcher_prefix(&m), "pod-"));
    nx_matcher_release(&m);
    nx_arena_release(&arena);
    nx_buf_release(&expr);
}

static void plan_forms_and_prefixes(void **state)
{
    (void)state;
    static const struct {
        const char *expr;
        enum nx_match_form form;
        const char *prefix;
    } cases[] = {
        {".*", NX_FORM_ANY, ""},
        {".*.*", NX_FORM_ANY, ""},
        {".+", NX_FORM_NONEMPTY, ""},
        {"http_.*", NX_FORM_PREFIX, "http_"},
        {"^http_.*", NX_FORM_PREFIX, "http_"},
        {".*_total", NX_FORM_SUFFIX, ""},
        {".*err.*", NX_FORM_CONTAINS, ""},
        {"http_.+", NX_FORM_REGEX, "http_"},
        {"http_\\w+", NX_FORM_REGEX, "http_"},
        {"ab*", NX_FORM_REGEX, "a"},
        {"aé?", NX_FORM_REGEX, "a"},
        {"ab+", NX_FORM_REGEX, "ab"},
        {"ab{0}", NX_FORM_REGEX, "a"},
        {"a(b|c)d*", NX_FORM_REGEX, "a"},
        {"ab.*|ac", NX_FORM_REGEX, ""},
        {"a[|]b.*", NX_FORM_REGEX, "a"},
        {"(?i)abc", NX_FORM_REGEX, ""},
        {"abc|abd", NX_FORM_LITERALS, "ab"},
        {"a\\.b.*", NX_FORM_PREFIX, "a.b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_arena arena;
        nx_arena_init(&arena, 0);
        struct nx_matcher m = make(&arena, NX_MATCH_RE, cases[i].expr);
        if (m.plan->form != cases[i].form || !nx_view_is(nx_matcher_prefix(&m), cases[i].prefix))
            fail_msg("%s: form %d, prefix %.*s", cases[i].expr, (int)m.plan->form,
                     NX_VIEW_ARG(nx_matcher_prefix(&m)));
        nx_matcher_release(&m);
        nx_arena_release(&arena);
    }
}

/* Whatever the plan finds out about an expression, RE2 must agree. */
static void plan_random_expressions_agree_with_re2(void **state)
{
    (void)state;
    static const char *const atoms[] = {
        "a", "b",   "c", "ab", "|", "|", "(",    ")",    "(?:", ".*", ".",   "*",
        "+", "\\.", "é", "^",  "$", "?", "[ab]", "[^|]", "{2}", ".+", "\\d", "\\Q|\\E"};
    static const char *const letters[] = {"a", "b", "c", ".", "é", "", "\n", "|"};
    struct nx_rand rand;
    nx_rand_seeded(&rand, 2024);
    size_t planned = 0;
    for (int round = 0; round < 20000; round++) {
        char expr[64] = "";
        size_t len = 0;
        for (uint64_t n = nx_rand_below(&rand, 8); n > 0; n--) {
            const char *atom = atoms[nx_rand_below(&rand, sizeof atoms / sizeof atoms[0])];
            memcpy(expr + len, atom, strlen(atom) + 1);
            len += strlen(atom);
        }
        struct nx_arena arena;
        nx_arena_init(&arena, 0);
        struct nx_matcher m;
        struct nx_regex *regex = NULL;
        enum nx_err err =
            nx_matcher_init(&m, &arena, NX_MATCH_RE, NX_VIEW("x"), nx_view_of(expr), NULL);
        enum nx_err expected = nx_regex_new(nx_view_of(expr), true, &regex, NULL);
        if (err != expected)
            fail_msg("%s: %s, RE2 says %s", expr, nx_err_name(err), nx_err_name(expected));
        for (int i = 0; err == NX_OK && i < 12; i++) {
            char text[32] = "";
            size_t text_len = 0;
            for (uint64_t n = nx_rand_below(&rand, 6); n > 0; n--) {
                const char *letter = letters[nx_rand_below(&rand, 8)];
                memcpy(text + text_len, letter, strlen(letter) + 1);
                text_len += strlen(letter);
            }
            struct nx_view v = nx_view_make(text, text_len);
            bool found = nx_matcher_matches(&m, v);
            if (found != nx_regex_matches(regex, v))
                fail_msg("%s on '%s': form %d says %d", expr, text, (int)m.plan->form, found);
            if (found)
                assert_true(nx_view_has_prefix(v, nx_matcher_prefix(&m)));
        }
        if (err == NX_OK) {
            planned += m.plan->form != NX_FORM_REGEX;
            nx_matcher_release(&m);
        }
        nx_regex_free(regex);
        nx_arena_release(&arena);
    }
    assert_true(planned > 1000);
}

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void init_fails_cleanly_at_each_allocation(void **state)
{
    (void)state;
    for (int n = 0; n < 50; n++) {
        int left = n;
        struct nx_arena arena;
        nx_arena_init(&arena, 0);
        struct nx_matcher m;
        nx_alloc_set_hook(countdown, &left);
        enum nx_err err =
            nx_matcher_init(&m, &arena, NX_MATCH_RE, NX_VIEW("x"), NX_VIEW("(a|b)(c|d)\\.e"), NULL);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM);
        if (err == NX_OK)
            nx_matcher_release(&m);
        nx_arena_release(&arena);
        if (err == NX_OK)
            return;
    }
    fail_msg("never succeeded");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_each_type),
        cmocka_unit_test(match_missing_label_is_the_empty_string),
        cmocka_unit_test(init_bad_expression_explains),
        cmocka_unit_test(literals_are_found_in_order),
        cmocka_unit_test(literals_of_equality_are_its_value),
        cmocka_unit_test(literals_in_great_numbers_are_served),
        cmocka_unit_test(plan_forms_and_prefixes),
        cmocka_unit_test(plan_random_expressions_agree_with_re2),
        cmocka_unit_test(init_fails_cleanly_at_each_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
