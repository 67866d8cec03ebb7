/* The table of functions: found by name, consistent, and documented as committed. */
#include "promql_test.h"

#include "querier/promql/function_table.h"

static void find_gives_every_function_by_its_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < QRY_FUNCTION_COUNT; i++) {
        const struct qry_function *function = qry_function_at(i);
        assert_ptr_equal(qry_function_find(nx_view_of(function->name)), function);
        assert_int_equal(function->id, i);
    }
    assert_null(qry_function_at(QRY_FUNCTION_COUNT));
    assert_int_equal(QRY_FUNCTION_COUNT, 90);
}

static void find_refuses_other_names(void **state)
{
    (void)state;
    static const char *const names[] = {"", "ab", "absx", "ABS", "sum", "zzz", "holt_winters"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_null(qry_function_find(nx_view_of(names[i])));
}

static void table_is_sorted_and_complete(void **state)
{
    (void)state;
    size_t experimental = 0;
    for (size_t i = 0; i < QRY_FUNCTION_COUNT; i++) {
        const struct qry_function *function = qry_function_at(i);
        if (i > 0)
            assert_true(strcmp(qry_function_at(i - 1)->name, function->name) < 0);
        assert_true(function->arg_count <= QRY_FUNCTION_MAX_ARGS);
        for (size_t n = 0; n < function->arg_count; n++)
            assert_int_not_equal(function->args[n], QRY_TYPE_NONE);
        assert_true(function->variadic == 0 || function->arg_count > 0);
        assert_true(function->result == QRY_TYPE_VECTOR || function->result == QRY_TYPE_SCALAR);
        assert_true(strlen(function->doc) > 10);
        assert_null(strchr(function->doc, '|'));
        experimental += function->experimental;
    }
    assert_int_equal(experimental, 17);
}

static void table_types_are_those_of_the_reference(void **state)
{
    (void)state;
    const struct qry_function *function = qry_function_find(NX_VIEW("label_replace"));
    assert_int_equal(function->arg_count, 5);
    assert_int_equal(function->args[0], QRY_TYPE_VECTOR);
    assert_int_equal(function->args[4], QRY_TYPE_STRING);
    function = qry_function_find(NX_VIEW("time"));
    assert_int_equal(function->arg_count, 0);
    assert_int_equal(function->result, QRY_TYPE_SCALAR);
    function = qry_function_find(NX_VIEW("quantile_over_time"));
    assert_int_equal(function->args[0], QRY_TYPE_SCALAR);
    assert_int_equal(function->args[1], QRY_TYPE_MATRIX);
    assert_int_equal(qry_function_find(NX_VIEW("label_join"))->variadic, -1);
    assert_int_equal(qry_function_find(NX_VIEW("round"))->variadic, 1);
}

static void page_in_docs_is_the_one_written_from_the_table(void **state)
{
    (void)state;
    const char *path = NARTHEX_SOURCE_DIR "/docs/promql-functions.md";
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s is missing", path);
    char *committed = malloc(1 << 20);
    assert_non_null(committed);
    size_t size = fread(committed, 1, 1 << 20, file);
    fclose(file);

    struct nx_buf page;
    nx_buf_init(&page, 1 << 20);
    qry_function_markdown(&page);
    assert_int_equal(nx_buf_err(&page), NX_OK);
    if (size != page.len || memcmp(committed, page.data, size) != 0)
        fail_msg(
            "docs/promql-functions.md is stale: write it with build/tests/promql_functions_md");
    nx_buf_release(&page);
    free(committed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_gives_every_function_by_its_name),
        cmocka_unit_test(find_refuses_other_names),
        cmocka_unit_test(table_is_sorted_and_complete),
        cmocka_unit_test(table_types_are_those_of_the_reference),
        cmocka_unit_test(page_in_docs_is_the_one_written_from_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
