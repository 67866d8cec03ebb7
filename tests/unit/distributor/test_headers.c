/* What is decided by headers and by the first bytes: message, decoded length. */
#include "distributor/receive/stream.h"
#include "tests/unit/distributor/dist_test.h"

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
        cmocka_unit_test(headers_negotiate_as_the_table_says),
        cmocka_unit_test(headers_long_value_is_cut_in_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
