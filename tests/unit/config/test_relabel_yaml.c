/* Relabeling rules in YAML: defaults, fields, and how mistakes are named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/config/relabel_yaml.h"

static const char rules[] = "# of a job\n"
                            "- source_labels: [__name__, job]\n"
                            "  separator: '/'\n"
                            "  regex: go_.*/api\n"
                            "  action: Drop\n"
                            "- {target_label: site, replacement: \"x\"}\n"
                            "- source_labels: [job]\n"
                            "  regex:\n"
                            "  target_label: copy\n"
                            "- source_labels: [job]\n"
                            "  target_label: shard\n"
                            "  modulus: 18446744073709551615\n"
                            "  action: hashmod\n";

static void rules_are_read_with_defaults(void **state)
{
    (void)state;
    struct nx_relabel *relabel;
    struct nx_fail fail = {.code = NX_OK};
    if (nx_relabel_read_text("f", nx_view_of(rules), &relabel, &fail) != NX_OK)
        fail_msg("%s", fail.text);
    assert_int_equal(nx_relabel_count(relabel), 4);
    for (int round = 0; round < 2; round++) {
        struct nx_arena arena;
        struct nx_labels_builder builder;
        bool keep;
        nx_arena_init(&arena, 0);
        nx_labels_builder_init(&builder, &arena, (struct nx_labels){NULL, 0});
        nx_labels_builder_set(&builder, NX_VIEW("job"), NX_VIEW("api"));
        nx_labels_builder_set(&builder, NX_VIEW("__name__"),
                              round == 0 ? NX_VIEW("go_gc") : NX_VIEW("up"));
        assert_int_equal(nx_relabel_apply(relabel, &builder, &keep), NX_OK);
        assert_true(keep == (round == 1));
        if (keep) {
            assert_true(nx_view_is(nx_labels_builder_get(&builder, NX_VIEW("site")), "x"));
            assert_true(nx_view_is(nx_labels_builder_get(&builder, NX_VIEW("copy")), "api"));
            assert_true(nx_labels_builder_get(&builder, NX_VIEW("shard")).len > 10);
        }
        nx_arena_release(&arena);
    }
    nx_relabel_free(relabel);
}

static void nothing_is_no_rules(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "~", "[]", "# comment\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct nx_relabel *relabel;
        struct nx_fail fail;
        assert_int_equal(nx_relabel_read_text("f", nx_view_of(texts[i]), &relabel, &fail), NX_OK);
        assert_int_equal(nx_relabel_count(relabel), 0);
        nx_relabel_free(relabel);
    }
}

static void mistakes_are_named_with_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"a: b\n", "f:1: expected a list of relabeling rules"},
        {"- x\n", "f:1: expected a relabeling rule (\"action: ...\")"},
        {"- action: keep\n  regx: a\n", "f:2: unknown field of a relabeling rule; expected "
                                        "source_labels, separator, regex, modulus, target_label, "
                                        "replacement or action"},
        {"- action: kept\n", "f:1: unknown relabel action \"kept\""},
        {"- action: keep\n  source_labels: job\n", "f:2: expected a list of label names"},
        {"- action: keep\n  source_labels: [[a]]\n", "f:2: expected a label name"},
        {"- action: keep\n  regex: [a]\n", "f:2: expected a single value"},
        {"- target_label: a\n- modulus: -1\n", "f:2: \"modulus\": expected a whole number"},
        {"- modulus: 18446744073709551616\n", "f:1: \"modulus\": expected a whole number"},
        {"- target_label: a\n\n- action: keep\n  regex: (\n",
         "f:3: error parsing regexp: missing closing ): `(`"},
        {"- action: keep\n  action: drop\n", "f:2: a field of a relabeling rule appears twice"},
        {"- action: replace\n",
         "f:1: relabel configuration for replace action requires 'target_label' value"},
        {"- [\n", "f:2: not valid YAML: did not find expected node content"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_relabel *relabel = NULL;
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(nx_relabel_read_text("f", nx_view_of(cases[i].text), &relabel, &fail),
                         NX_ERR_CONFIG);
        assert_string_equal(fail.text, cases[i].message);
        assert_null(relabel);
    }
}

static bool fail_at(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void failing_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    enum nx_err err = NX_ERR_NOMEM;
    for (size_t n = 0; err != NX_OK; n++) {
        struct nx_relabel *relabel = NULL;
        struct nx_fail fail;
        size_t left = n;
        assert_true(n < 200);
        nx_alloc_set_hook(fail_at, &left);
        err = nx_relabel_read_text("f", nx_view_of(rules), &relabel, &fail);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM);
        nx_relabel_free(relabel);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_are_read_with_defaults),
        cmocka_unit_test(nothing_is_no_rules),
        cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(failing_memory_is_reported_and_nothing_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
