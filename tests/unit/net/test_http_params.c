#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/rand.h"
#include "common/net/http_params.h"

static const struct nx_view no_body = {.ptr = NULL};

static enum nx_err parse(struct nx_arena *arena, const char *query, const char *type,
                         const char *body, struct nx_http_params *params, struct nx_fail *fail)
{
    nx_arena_init(arena, 0);
    *params = (struct nx_http_params){.count = 0};
    return nx_http_params_parse(arena, nx_view_of(query), nx_view_of(type), nx_view_of(body),
                                params, fail);
}

static void expect_param(const struct nx_http_params *params, const char *name, size_t i,
                         const char *value)
{
    struct nx_view got = nx_http_params_nth(params, name, i);
    if (!value) {
        assert_null(got.ptr);
    } else {
        assert_non_null(got.ptr);
        assert_int_equal(got.len, strlen(value));
        assert_memory_equal(got.ptr, value, got.len);
    }
}

static void query_is_split_and_decoded(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_http_params params;
    assert_int_equal(parse(&arena,
                           "query=up%7Bjob%3D%22a+b%22%7D&match[]=a&match%5B%5D=b&&empty=&bare&=v",
                           NULL, NULL, &params, NULL),
                     NX_OK);
    expect_param(&params, "query", 0, "up{job=\"a b\"}");
    expect_param(&params, "match[]", 0, "a");
    expect_param(&params, "match[]", 1, "b");
    expect_param(&params, "match[]", 2, NULL);
    expect_param(&params, "empty", 0, "");
    expect_param(&params, "bare", 0, "");
    expect_param(&params, "", 0, "v");
    expect_param(&params, "absent", 0, NULL);
    assert_int_equal(params.count, 6);
    assert_int_equal(nx_http_params_get(&params, "match[]").len, 1);
    nx_arena_release(&arena);
}

static void form_body_comes_before_the_query(void **state)
{
    (void)state;
    static const char *const types[] = {"application/x-www-form-urlencoded",
                                        "Application/X-WWW-Form-Urlencoded; charset=UTF-8"};
    for (size_t i = 0; i < 2; i++) {
        struct nx_arena arena;
        struct nx_http_params params;
        assert_int_equal(parse(&arena, "a=url&b=2", types[i], "a=body&c=%C3%A9", &params, NULL),
                         NX_OK);
        expect_param(&params, "a", 0, "body");
        expect_param(&params, "a", 1, "url");
        expect_param(&params, "b", 0, "2");
        expect_param(&params, "c", 0, "\xc3\xa9");
        nx_arena_release(&arena);
    }
}

static void body_of_another_type_is_not_read(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_http_params params;
    assert_int_equal(parse(&arena, "a=1", "application/json", "{%zz", &params, NULL), NX_OK);
    assert_int_equal(params.count, 1);
    nx_arena_release(&arena);
}

static void malformed_query_is_refused_as_go_does(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *text;
    } cases[] = {
        {"a=%zz", "invalid URL escape \"%zz\""},
        {"a=%", "invalid URL escape \"%\""},
        {"a=b%2", "invalid URL escape \"%2\""},
        {"a%2x=b", "invalid URL escape \"%2x\""},
        {"a=%2Gxyz", "invalid URL escape \"%2G\""},
        {"a=1;b=2", "invalid semicolon separator in query"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_arena arena;
        struct nx_http_params params;
        struct nx_fail fail;
        assert_int_equal(parse(&arena, cases[i].query, NULL, NULL, &params, &fail), NX_ERR_INVALID);
        assert_string_equal(nx_fail_text(&fail), cases[i].text);
        assert_int_equal(params.count, 0);
        nx_arena_release(&arena);
        assert_int_equal(
            parse(&arena, "", "application/x-www-form-urlencoded", cases[i].query, &params, &fail),
            NX_ERR_INVALID);
        nx_arena_release(&arena);
    }
}

static void malformed_pairs_leave_the_others(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_http_params params;
    struct nx_fail fail;
    assert_int_equal(parse(&arena, "a=1&b=%zz&c=2;d=3&e=4", "application/x-www-form-urlencoded",
                           "f=5&%g&h=6", &params, &fail),
                     NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail), "invalid URL escape \"%g\"");
    static const char *const names[] = {"f", "h", "a", "e"};
    assert_int_equal(params.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_true(nx_view_is(params.items[i].name, names[i]));
    }
    nx_arena_release(&arena);
    assert_int_equal(
        parse(&arena, "a=1&b=%zz", "application/x-www-form-urlencoded", "f=5", &params, &fail),
        NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail), "invalid URL escape \"%zz\"");
    assert_int_equal(params.count, 2);
    nx_arena_release(&arena);
}

static void more_than_ten_thousand_parameters_are_refused(void **state)
{
    (void)state;
    struct nx_buf query;
    nx_buf_init(&query, 1 << 20);
    for (int i = 0; i < 10000; i++) {
        nx_buf_append_str(&query, "a&");
    }
    struct nx_arena arena;
    struct nx_http_params params;
    struct nx_fail fail;
    nx_arena_init(&arena, 0);
    assert_int_equal(
        nx_http_params_parse(&arena, nx_buf_view(&query), no_body, no_body, &params, &fail), NX_OK);
    assert_int_equal(params.count, 10000);
    nx_buf_append_str(&query, "a");
    assert_int_equal(
        nx_http_params_parse(&arena, nx_buf_view(&query), no_body, no_body, &params, &fail),
        NX_ERR_TOO_LARGE);
    nx_arena_release(&arena);
    nx_buf_release(&query);
}

static void percent_decode_leaves_plus_alone(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_view out;
    nx_arena_init(&arena, 0);
    assert_int_equal(nx_percent_decode(&arena, NX_VIEW("a+b%2Fc%00"), &out), NX_OK);
    assert_int_equal(out.len, 6);
    assert_memory_equal(out.ptr, "a+b/c\0", 6);
    assert_int_equal(nx_percent_decode(&arena, NX_VIEW(""), &out), NX_OK);
    assert_int_equal(out.len, 0);
    assert_int_equal(nx_percent_decode(&arena, NX_VIEW("%a"), &out), NX_ERR_INVALID);
    nx_arena_release(&arena);
}

#define FORM "multipart/form-data; boundary="

static void multipart_form_gives_its_fields(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_http_params params;
    struct nx_fail fail;
    static const char body[] =
        "preamble\r\n--B\r\n"
        "Content-Disposition: form-data; name=\"query\"\r\n\r\nup == 1\r\n"
        "--B \r\ncontent-disposition: form-data; name=\"a \\\"q\\\"\"\r\n"
        "Content-Type: text/plain\r\n\r\nline\r\n--Bnot\r\n\r\n--B\r\n"
        "Content-Disposition: form-data; name=file; filename=\"x\"\r\n\r\nf\r\n"
        "--B\r\nContent-Disposition: form-data; name=bare\r\n\r\n\r\n--B--\r\n";
    enum nx_err err = parse(&arena, "query=url", FORM "B", body, &params, &fail);
    assert_int_equal(err, NX_OK);
    expect_param(&params, "query", 0, "up == 1");
    expect_param(&params, "query", 1, "url");
    expect_param(&params, "a \"q\"", 0, "line\r\n--Bnot\r\n");
    expect_param(&params, "file", 0, NULL);
    expect_param(&params, "bare", 0, "");
    nx_arena_release(&arena);
}

static void malformed_multipart_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        const char *body;
    } cases[] = {
        {"multipart/form-data", "--B\r\n"},
        {FORM "\"\"", "--\r\n"},
        {FORM "B", ""},
        {FORM "B", "--B"},
        {FORM "B", "--B\r\n"},
        {FORM "B", "--B\r\nno end of header"},
        {FORM "B", "--B\r\nContent-Disposition: form-data; name=a\r\n--B--"},
        {FORM "B", "--B\r\nContent-Disposition: form-data; name=a\r\n\r\nvalue"},
        {FORM "0123456789012345678901234567890123456789012345678901234567890123456789x",
         "--0123456789012345678901234567890123456789012345678901234567890123456789x--"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_arena arena;
        struct nx_http_params params;
        struct nx_fail fail = {.text = ""};
        assert_int_equal(parse(&arena, "", cases[i].type, cases[i].body, &params, &fail),
                         NX_ERR_INVALID);
        assert_true(strlen(fail.text) > 0);
        nx_arena_release(&arena);
    }
}

static void any_bytes_are_parsed_or_refused(void **state)
{
    (void)state;
    static const char spice[] = "%&=;+-B\r\n:\"\\ a/";
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    for (int i = 0; i < 5000; i++) {
        char text[200];
        size_t len = nx_rand_below(&rand, sizeof(text));
        for (size_t k = 0; k < len; k++) {
            text[k] = spice[nx_rand_below(&rand, sizeof(spice) - 1)];
        }
        /* an exact copy, so that reading past the end is seen */
        char *exact = nx_alloc(len);
        memcpy(exact, text, len);
        struct nx_arena arena;
        struct nx_http_params params;
        nx_arena_init(&arena, 0);
        struct nx_view view = nx_view_make(exact, len);
        (void)!nx_http_params_parse(&arena, view, NX_VIEW(FORM "B"), view, &params, NULL);
        (void)!nx_http_params_parse(&arena, view, view, view, &params, NULL);
        nx_arena_release(&arena);
        nx_free(exact);
    }
}

static void without_memory_it_fails_cleanly(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_http_params params;
    nx_arena_init(&arena, 1);
    assert_int_equal(nx_http_params_parse(&arena, NX_VIEW("a=b"), no_body, no_body, &params, NULL),
                     NX_ERR_NOMEM);
    assert_int_equal(
        nx_http_params_parse(&arena, NX_VIEW("a=%20"), no_body, no_body, &params, NULL),
        NX_ERR_NOMEM);
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(query_is_split_and_decoded),
        cmocka_unit_test(form_body_comes_before_the_query),
        cmocka_unit_test(body_of_another_type_is_not_read),
        cmocka_unit_test(malformed_query_is_refused_as_go_does),
        cmocka_unit_test(malformed_pairs_leave_the_others),
        cmocka_unit_test(more_than_ten_thousand_parameters_are_refused),
        cmocka_unit_test(percent_decode_leaves_plus_alone),
        cmocka_unit_test(multipart_form_gives_its_fields),
        cmocka_unit_test(malformed_multipart_is_refused),
        cmocka_unit_test(any_bytes_are_parsed_or_refused),
        cmocka_unit_test(without_memory_it_fails_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
