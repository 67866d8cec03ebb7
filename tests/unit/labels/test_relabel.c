/* Relabeling: the table of actions, what is refused, limits and failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/labels/relabel.h"

#define V(text) NX_VIEW(text)
#define NAMES(...)                         \
    (const struct nx_view[]){__VA_ARGS__}, \
        sizeof((const struct nx_view[]){__VA_ARGS__}) / sizeof(struct nx_view)

enum { RULES_MAX = 3, PAIRS_MAX = 8 };

/* What a test writes of a rule; NULL: the default. */
struct spec {
    const struct nx_view *source;
    size_t source_count;
    const char *separator, *regex, *target, *replacement;
    uint64_t modulus;
    const char *action;
};

static struct nx_relabel_rule rule_of(const struct spec *spec)
{
    struct nx_relabel_rule rule = nx_relabel_rule_default();
    rule.source_labels = spec->source;
    rule.source_count = spec->source_count;
    if (spec->separator)
        rule.separator = nx_view_of(spec->separator);
    if (spec->regex)
        rule.regex = nx_view_of(spec->regex);
    if (spec->target)
        rule.target_label = nx_view_of(spec->target);
    if (spec->replacement)
        rule.replacement = nx_view_of(spec->replacement);
    rule.modulus = spec->modulus;
    if (spec->action)
        assert_true(nx_relabel_action_of(nx_view_of(spec->action), &rule.action));
    return rule;
}

static struct nx_relabel *compiled(const struct spec *specs, size_t count)
{
    struct nx_relabel *relabel;
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_relabel_new(&relabel), NX_OK);
    for (size_t i = 0; i < count; i++) {
        struct nx_relabel_rule rule = rule_of(&specs[i]);
        if (nx_relabel_add(relabel, &rule, &fail) != NX_OK)
            fail_msg("%s", fail.text);
    }
    assert_int_equal(nx_relabel_count(relabel), count);
    return relabel;
}

static void set_pairs(struct nx_labels_builder *builder, const char *const *pairs)
{
    for (size_t i = 0; i < PAIRS_MAX && pairs[2 * i]; i++)
        nx_labels_builder_set(builder, nx_view_of(pairs[2 * i]), nx_view_of(pairs[2 * i + 1]));
}

static void actions_do_what_prometheus_says(void **state)
{
    (void)state;
    const struct {
        const char *in[2 * PAIRS_MAX];
        struct spec rules[RULES_MAX];
        size_t count;
        const char *out; /* NULL: dropped */
    } cases[] = {
        /* replace */
        {{"a", "foo", "b", "bar", "c", "baz"},
         {{NAMES(V("a")), NULL, "f(.*)", "d", "ch${1}-ch${1}", 0, "replace"}},
         1,
         "{a=\"foo\", b=\"bar\", c=\"baz\", d=\"choo-choo\"}"},
        {{"a", "foo", "b", "bar", "c", "baz"},
         {{NAMES(V("a"), V("b")), NULL, "f(.*);(.*)r", "a", "b${1}${2}m", 0, NULL},
          {NAMES(V("c"), V("a")), NULL, "(b).*b(.*)ba(.*)", "d", "$1$2$2$3", 0, "Replace"}},
         2,
         "{a=\"boobam\", b=\"bar\", c=\"baz\", d=\"boooom\"}"},
        {{"a", "foo"}, {{NAMES(V("a")), NULL, "nomatch", "a", "x", 0, NULL}}, 1, "{a=\"foo\"}"},
        /* anchored at both ends, '.' takes a newline */
        {{"a", "foo\nbar"},
         {{NAMES(V("a")), NULL, "foo", "d", "x", 0, NULL},
          {NAMES(V("a")), NULL, "foo.(bar)", "e", "$1", 0, NULL}},
         2,
         "{a=\"foo\\nbar\", e=\"bar\"}"},
        /* an empty result deletes */
        {{"a", "foo", "b", "x"},
         {{NAMES(V("a")), NULL, "(f).*(z)?", "b", "$2", 0, NULL}},
         1,
         "{a=\"foo\"}"},
        {{"a", "foo"}, {{NULL, 0, NULL, NULL, "a", "", 0, NULL}}, 1, "{}"},
        /* without source labels the target is set */
        {{"a", "foo"}, {{NULL, 0, NULL, NULL, "b", "set", 0, NULL}}, 1, "{a=\"foo\", b=\"set\"}"},
        /* a target made from groups; one that is empty is left alone */
        {{"a", "some-name-value"},
         {{NAMES(V("a")), NULL, "some-([^-]+)-([^,]+)", "${1}", "${2}", 0, NULL},
          {NAMES(V("a")), NULL, "some-([^-]+)-([^,]+)", "${3}", "${1}", 0, NULL}},
         2,
         "{a=\"some-name-value\", name=\"value\"}"},
        /* named groups, $$, a longest name, a '$' that is none */
        {{"a", "key=v"},
         {{NAMES(V("a")), NULL, "(?P<k>[^=]+)=(.*)", "b", "${k}$$1$1x-$-${2", 0, NULL}},
         1,
         "{a=\"key=v\", b=\"key$1-$-${2\"}"},
        {{"a", "1", "b", "2", "c", "3"},
         {{NAMES(V("a"), V("b"), V("none"), V("c")), "::", NULL, "d", NULL, 0, NULL}},
         1,
         "{a=\"1\", b=\"2\", c=\"3\", d=\"1::2::::3\"}"},
        /* keep and drop */
        {{"a", "foo"}, {{NAMES(V("a")), NULL, ".*o.*", NULL, NULL, 0, "drop"}}, 1, NULL},
        {{"a", "foo"}, {{NAMES(V("a")), NULL, "f|o", NULL, NULL, 0, "drop"}}, 1, "{a=\"foo\"}"},
        {{"a", "foo"}, {{NAMES(V("a")), NULL, "no-match", NULL, NULL, 0, "keep"}}, 1, NULL},
        {{"a", "foo"}, {{NAMES(V("a")), NULL, "f.*", NULL, NULL, 0, "keep"}}, 1, "{a=\"foo\"}"},
        {{"a", "foo"}, {{NAMES(V("none")), NULL, "", NULL, NULL, 0, "drop"}}, 1, NULL},
        /* what follows a drop is not run */
        {{"a", "foo"},
         {{NAMES(V("a")), NULL, "foo", NULL, NULL, 0, "drop"},
          {NAMES(V("a")), NULL, NULL, "d", "x", 0, NULL}},
         2,
         NULL},
        /* keepequal and dropequal */
        {{"p", "80", "q", "80"},
         {{NAMES(V("p")), NULL, NULL, "q", NULL, 0, "keepequal"}},
         1,
         "{p=\"80\", q=\"80\"}"},
        {{"p", "80", "q", "81"}, {{NAMES(V("p")), NULL, NULL, "q", NULL, 0, "KeepEqual"}}, 1, NULL},
        {{"p", "80", "q", "80"}, {{NAMES(V("p")), NULL, NULL, "q", NULL, 0, "dropequal"}}, 1, NULL},
        {{"p", "80", "q", "81"},
         {{NAMES(V("p")), NULL, NULL, "q", NULL, 0, "dropequal"}},
         1,
         "{p=\"80\", q=\"81\"}"},
        /* hashmod: the figures of md5sum */
        {{"c", "baz"},
         {{NAMES(V("c")), ";", NULL, "d", NULL, 1000, "hashmod"}},
         1,
         "{c=\"baz\", d=\"976\"}"},
        {{"a", "foo\nbar"},
         {{NAMES(V("a")), ";", NULL, "b", NULL, 1000, "hashmod"}},
         1,
         "{a=\"foo\\nbar\", b=\"734\"}"},
        /* labelmap: group 1, and the value that was there before */
        {{"a", "foo", "b1", "bar", "b2", "baz"},
         {{NULL, 0, NULL, "(b.*)", NULL, "bar_${1}", 0, "labelmap"}},
         1,
         "{a=\"foo\", b1=\"bar\", b2=\"baz\", bar_b1=\"bar\", bar_b2=\"baz\"}"},
        {{"__meta_my_bar", "aaa", "a", "foo", "bar", "x"},
         {{NULL, 0, NULL, "__meta_(my.*)", NULL, "${1}", 0, "labelmap"},
          {NULL, 0, NULL, "__.*", NULL, NULL, 0, "labeldrop"}},
         2,
         "{a=\"foo\", bar=\"x\", my_bar=\"aaa\"}"},
        {{"a", "1", "b", "2"},
         {{NULL, 0, NULL, "a|b", NULL, "b", 0, "labelmap"}},
         1,
         "{a=\"1\", b=\"2\"}"},
        /* labelkeep */
        {{"a", "foo", "b1", "bar", "b2", "baz"},
         {{NULL, 0, NULL, "(b.*)", NULL, NULL, 0, "labelkeep"}},
         1,
         "{b1=\"bar\", b2=\"baz\"}"},
        /* cases, of letters outside ASCII too */
        {{"foo", "bAr123F\xc3\x89\xc3\x9f\xe2\xb1\xa5"},
         {{NAMES(V("foo")), NULL, NULL, "up", NULL, 0, "uppercase"},
          {NAMES(V("foo")), NULL, NULL, "low", NULL, 0, "lowercase"}},
         2,
         "{foo=\"bAr123F\xc3\x89\xc3\x9f\xe2\xb1\xa5\", "
         "low=\"bar123f\xc3\xa9\xc3\x9f\xe2\xb1\xa5\", "
         "up=\"BAR123F\xc3\x89\xc3\x9f\xc8\xba\"}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_relabel *relabel = compiled(cases[i].rules, cases[i].count);
        struct nx_labels_builder builder;
        struct nx_labels labels;
        struct nx_arena arena;
        struct nx_buf text;
        bool keep;
        nx_arena_init(&arena, 0);
        nx_labels_builder_init(&builder, &arena, (struct nx_labels){NULL, 0});
        set_pairs(&builder, cases[i].in);
        assert_int_equal(nx_relabel_apply(relabel, &builder, &keep), NX_OK);
        assert_int_equal(nx_labels_builder_take(&builder, &labels), NX_OK);
        if (keep != (cases[i].out != NULL))
            fail_msg("case %zu: keep is %d", i, keep);
        nx_buf_init(&text, 4096);
        nx_labels_print_plain(&text, labels);
        nx_buf_append_char(&text, '\0');
        if (cases[i].out)
            assert_string_equal(text.data, cases[i].out);
        nx_buf_release(&text);
        nx_arena_release(&arena);
        nx_relabel_free(relabel);
    }
}

static void wrong_rules_are_refused_in_prometheus_words(void **state)
{
    (void)state;
    const struct {
        struct spec rule;
        const char *text;
    } cases[] = {
        {{.action = "replace"},
         "relabel configuration for replace action requires 'target_label' value"},
        {{.action = "hashmod", .target = "a"},
         "relabel configuration for hashmod requires non-zero modulus"},
        {{.action = "hashmod", .modulus = 3},
         "relabel configuration for hashmod action requires 'target_label' value"},
        {{.action = "lowercase"},
         "relabel configuration for lowercase action requires 'target_label' value"},
        {{.action = "lowercase", .target = "a", .replacement = "x"},
         "'replacement' can not be set for lowercase action"},
        {{.action = "uppercase", .target = "\xff"},
         "\"\xff\" is invalid 'target_label' for uppercase action"},
        {{.action = "labelmap", .replacement = ""},
         "\"\" is invalid 'replacement' for labelmap action"},
        {{.action = "keepequal", .target = "a", .regex = "x"},
         "keepequal action requires only 'source_labels' and 'target_label', and no other fields"},
        {{.action = "dropequal", .target = "a", .separator = "x"},
         "dropequal action requires only 'source_labels' and 'target_label', and no other fields"},
        {{.action = "labeldrop", .target = "a"},
         "labeldrop action requires only 'regex', and no other fields"},
        {{.action = "labelkeep", .regex = "x", .replacement = "y"},
         "labelkeep action requires only 'regex', and no other fields"},
        {{.action = "keep", .regex = "(a"}, "error parsing regexp: missing closing ): `(a`"},
        {{NAMES({"\xc3", 1}), .action = "keep"}, "\"\xc3\" is not a valid label name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_relabel *relabel;
        struct nx_fail fail = {.code = NX_OK};
        struct nx_relabel_rule rule = rule_of(&cases[i].rule);
        assert_int_equal(nx_relabel_new(&relabel), NX_OK);
        assert_int_equal(nx_relabel_add(relabel, &rule, &fail), NX_ERR_INVALID);
        assert_string_equal(fail.text, cases[i].text);
        assert_int_equal(nx_relabel_count(relabel), 0);
        nx_relabel_free(relabel);
    }
    enum nx_relabel_action action;
    assert_false(nx_relabel_action_of(NX_VIEW("replaces"), &action));
    assert_false(nx_relabel_action_of(NX_VIEW(""), &action));
}

/* labelmap of every name to a longer one doubles the set. */
static void sets_that_grow_without_end_are_stopped(void **state)
{
    (void)state;
    const struct spec doubling = {.regex = "(.*)", .replacement = "x${1}", .action = "labelmap"};
    const struct spec longer = {.source = (const struct nx_view[]){NX_VIEW("a")},
                                .source_count = 1,
                                .target = "a",
                                .replacement = "$1$1$1$1$1$1$1$1"};
    for (int round = 0; round < 2; round++) {
        struct nx_relabel *relabel = compiled(NULL, 0);
        struct nx_relabel_rule rule = rule_of(round == 0 ? &doubling : &longer);
        struct nx_labels_builder builder;
        struct nx_arena arena;
        bool keep;
        for (int i = 0; i < 100; i++)
            assert_int_equal(nx_relabel_add(relabel, &rule, NULL), NX_OK);
        nx_arena_init(&arena, 0);
        nx_labels_builder_init(&builder, &arena, (struct nx_labels){NULL, 0});
        /* 100 rounds from 41 labels each one longer than the last would make more than is allowed
         */
        static char names[60][64];
        for (size_t i = 0; i < 60; i++) {
            memset(names[i], 'a', i + 1);
            names[i][0] = (char)('A' + (int)i);
            nx_labels_builder_set(&builder, nx_view_of(names[i]), NX_VIEW("v"));
        }
        nx_labels_builder_set(&builder, NX_VIEW("a"), NX_VIEW("12345678"));
        assert_int_equal(nx_relabel_apply(relabel, &builder, &keep), NX_ERR_LIMIT);
        assert_true(builder.count <= NX_RELABEL_LABELS_MAX);
        assert_true(arena.used_bytes < 64 * NX_RELABEL_TEXT_MAX);
        nx_arena_release(&arena);
        nx_relabel_free(relabel);
    }
}

static void no_rules_keep_everything(void **state)
{
    (void)state;
    struct nx_labels_builder builder;
    struct nx_arena arena;
    bool keep = false;
    nx_arena_init(&arena, 0);
    nx_labels_builder_init(&builder, &arena, (struct nx_labels){NULL, 0});
    assert_int_equal(nx_relabel_apply(NULL, &builder, &keep), NX_OK);
    assert_true(keep);
    assert_int_equal(nx_relabel_count(NULL), 0);
    nx_relabel_free(NULL);
    nx_arena_release(&arena);
}

static void more_rules_than_the_limit_are_refused(void **state)
{
    (void)state;
    struct nx_relabel *relabel = compiled(NULL, 0);
    struct nx_relabel_rule rule = nx_relabel_rule_default();
    struct nx_fail fail;
    rule.target_label = NX_VIEW("a");
    for (size_t i = 0; i < NX_RELABEL_RULES_MAX; i++)
        assert_int_equal(nx_relabel_add(relabel, &rule, &fail), NX_OK);
    assert_int_equal(nx_relabel_add(relabel, &rule, &fail), NX_ERR_LIMIT);
    nx_relabel_free(relabel);
}

/* --- memory --- */

static bool fail_at(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static enum nx_err compile_and_apply(void)
{
    static const char *const pairs[2 * PAIRS_MAX] = {"a", "some-name-value", "b", "x", "c", "y"};
    const struct spec specs[] = {
        {NAMES(V("a"), V("b")), NULL, "some-([^-]+)-([^,]+);(.)", "${1}", "${2}$3", 0, NULL},
        {NULL, 0, NULL, "(a)(a)?(a)?(a)?(a)?(a)?(a)?(a)?(a)?(a)?(a)?", NULL, "m_$1", 0, "labelmap"},
        {NAMES(V("c")), NULL, NULL, "d", NULL, 17, "hashmod"},
    };
    struct nx_relabel *relabel = NULL;
    struct nx_labels_builder builder;
    struct nx_labels labels;
    struct nx_arena arena;
    struct nx_fail fail = {.code = NX_OK};
    bool keep;
    nx_arena_init(&arena, 0);
    enum nx_err err = nx_relabel_new(&relabel);
    for (size_t i = 0; err == NX_OK && i < sizeof specs / sizeof specs[0]; i++) {
        struct nx_relabel_rule rule = rule_of(&specs[i]);
        err = nx_relabel_add(relabel, &rule, &fail);
    }
    if (err == NX_OK) {
        nx_labels_builder_init(&builder, &arena, (struct nx_labels){NULL, 0});
        set_pairs(&builder, pairs);
        err = nx_relabel_apply(relabel, &builder, &keep);
    }
    if (err == NX_OK)
        err = nx_labels_builder_take(&builder, &labels);
    if (err == NX_OK) {
        assert_true(keep);
        assert_true(nx_view_is(nx_labels_get(labels, NX_VIEW("name")), "valuex"));
        assert_true(nx_view_is(nx_labels_get(labels, NX_VIEW("m_a")), "some-name-value"));
    }
    nx_arena_release(&arena);
    nx_relabel_free(relabel);
    return err;
}

static void failing_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    enum nx_err err = NX_ERR_NOMEM;
    for (size_t n = 0; err != NX_OK; n++) {
        size_t left = n;
        assert_true(n < 200);
        nx_alloc_set_hook(fail_at, &left);
        err = compile_and_apply();
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM);
        assert_true(n > 0 || err == NX_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actions_do_what_prometheus_says),
        cmocka_unit_test(wrong_rules_are_refused_in_prometheus_words),
        cmocka_unit_test(sets_that_grow_without_end_are_stopped),
        cmocka_unit_test(no_rules_keep_everything),
        cmocka_unit_test(more_rules_than_the_limit_are_refused),
        cmocka_unit_test(failing_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
