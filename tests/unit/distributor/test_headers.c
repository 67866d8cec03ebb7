/* What is decided by headers and by the first bytes: tenant, message, decoded length. */
#include "distributor/receive/stream.h"
#include "distributor/tenant.h"
#include "tests/unit/distributor/dist_test.h"

static void tenant_without_multitenancy_is_anonymous(void **state)
{
    (void)state;
    struct nx_view tenant;
    assert_int_equal(dist_tenant_of(false, nx_view_make(NULL, 0), &tenant, NULL), NX_OK);
    assert_true(nx_view_is(tenant, "anonymous"));
    assert_int_equal(dist_tenant_of(false, NX_VIEW("other"), &tenant, NULL), NX_OK);
    assert_true(nx_view_is(tenant, "anonymous"));
}

static void tenant_header_is_checked(void **state)
{
    (void)state;
    char longest[152];
    memset(longest, 'a', sizeof longest);
    longest[150] = '\0';
    char too_long[152];
    memset(too_long, 'a', sizeof too_long);
    too_long[151] = '\0';
    const struct {
        const char *header;
        enum nx_err err;
    } cases[] = {
        {NULL, NX_ERR_UNAUTHORIZED},
        {"", NX_ERR_UNAUTHORIZED},
        {"  ", NX_ERR_UNAUTHORIZED},
        {"team-a", NX_OK},
        {" team-a ", NX_OK},
        {"A0!-_.*'()", NX_OK},
        {longest, NX_OK},
        {too_long, NX_ERR_INVALID},
        {".", NX_ERR_INVALID},
        {"..", NX_ERR_INVALID},
        {"...", NX_OK},
        {"a/b", NX_ERR_INVALID},
        {"a|b", NX_ERR_INVALID},
        {"a b", NX_ERR_INVALID},
        {"\xc3\xa4", NX_ERR_INVALID},
        {"a\\b", NX_ERR_INVALID},
        {"a$b", NX_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_view tenant = NX_VIEW("untouched");
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(dist_tenant_of(true, nx_view_of(cases[i].header), &tenant, &fail),
                         cases[i].err);
        if (cases[i].err)
            assert_true(nx_view_is(tenant, "untouched") && fail.text[0]);
        else
            assert_true(nx_view_eq(tenant, nx_view_trim(nx_view_of(cases[i].header))));
    }
}

static void headers_negotiate_as_the_table_says(void **state)
{
    (void)state;
    static const struct {
        const char *type, *encoding;
        const char *text; /* NULL: accepted */
    } cases[] = {
        {NULL, NULL, NULL},
        {"", "", NULL},
        {"application/x-protobuf", "snappy", NULL},
        {"application/x-protobuf", NULL, NULL},
        {"Application/X-Protobuf", "Snappy", NULL},
        {" application/x-protobuf ; proto=prometheus.WriteRequest", "snappy", NULL},
        {"application/x-protobuf;proto=prometheus.WriteRequest", "snappy", NULL},
        {"application/x-protobuf;proto=\"prometheus.WriteRequest\"", "snappy", NULL},
        {"application/x-protobuf; charset=utf-8; PROTO=prometheus.WriteRequest", "snappy", NULL},
        {"application/x-protobuf;", "snappy", NULL},
        {"application/json", "snappy", "\"application/json\""},
        {"image/png", "snappy", "expected application/x-protobuf"},
        {"application/x-protobuf2", "snappy", "application/x-protobuf2"},
        {"application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", NULL},
        {"application/x-protobuf;proto=other.Message", "snappy",
         "unknown message \"other.Message\""},
        {"application/x-protobuf;proto=", "snappy", "unknown message"},
        {"application/x-protobuf;proto", "snappy", "name=value"},
        {"application/x-protobuf", "gzip", "Content-Encoding is \"gzip\"; expected snappy"},
        {"application/x-protobuf", "deflate", "deflate"},
        {"application/x-protobuf", "zstd", NULL},
        {"application/x-protobuf", "snappy, gzip", "snappy, gzip"},
        {"application/json", "gzip", "Content-Type"}, /* the type is looked at first */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dist_form form = {.tells_written = false};
        struct dist_headers headers = {.content_type = nx_view_of(cases[i].type),
                                       .content_encoding = nx_view_of(cases[i].encoding)};
        struct nx_fail fail = {.code = NX_OK, .text = ""};
        enum nx_err err = dist_remote_write.negotiate(&headers, &form, &fail);
        if (err != (cases[i].text ? NX_ERR_UNSUPPORTED : NX_OK))
            fail_msg("case %zu: %d %s", i, err, fail.text);
        if (!err)
            assert_true(form.tells_written == (cases[i].type && strstr(cases[i].type, "write.v2")));
        else if (!strstr(fail.text, cases[i].text))
            fail_msg("case %zu: %s", i, fail.text);
    }
}

static void headers_long_value_is_cut_in_the_text(void **state)
{
    (void)state;
    char type[5000];
    memset(type, 'x', sizeof type);
    struct nx_fail fail = {.code = NX_OK};
    struct dist_form form;
    struct dist_headers headers = {.content_type = nx_view_make(type, sizeof type)};
    assert_int_equal(dist_remote_write.negotiate(&headers, &form, &fail), NX_ERR_UNSUPPORTED);
    assert_true(strlen(fail.text) < 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenant_without_multitenancy_is_anonymous),
        cmocka_unit_test(tenant_header_is_checked),
        cmocka_unit_test(headers_negotiate_as_the_table_says),
        cmocka_unit_test(headers_long_value_is_cut_in_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
