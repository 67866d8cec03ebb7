/* What is decided by headers and by the first bytes: tenant, message, decoded length. */
#include "distributor/receive/negotiate.h"
#include "distributor/receive/snappy_body.h"
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
        {"application/x-protobuf", "snappy, gzip", "snappy, gzip"},
        {"application/json", "gzip", "Content-Type"}, /* the type is looked at first */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum dist_message message;
        struct nx_fail fail = {.code = NX_OK, .text = ""};
        enum nx_err err = dist_negotiate(nx_view_of(cases[i].type), nx_view_of(cases[i].encoding),
                                         &message, &fail);
        if (err != (cases[i].text ? NX_ERR_UNSUPPORTED : NX_OK))
            fail_msg("case %zu: %d %s", i, err, fail.text);
        if (!err)
            assert_int_equal(message, cases[i].type && strstr(cases[i].type, "write.v2")
                                          ? DIST_MESSAGE_RW2
                                          : DIST_MESSAGE_RW1);
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
    enum dist_message message;
    assert_int_equal(dist_negotiate(nx_view_make(type, sizeof type), NX_VIEW(""), &message, &fail),
                     NX_ERR_UNSUPPORTED);
    assert_true(strlen(fail.text) < 200);
}

static void snappy_length_is_checked_before_memory_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum nx_err err;
    } cases[] = {
        {"", 0, NX_ERR_INVALID},
        {"\x80", 1, NX_ERR_INVALID},
        {"\xff\xff\xff\xff\xff\xff", 6, NX_ERR_INVALID},
        {"\x00", 1, NX_OK},
        {"\xff\xff\xff\xff\x0f\x00\x00", 7, NX_ERR_TOO_LARGE}, /* 4 GiB - 1 */
        {"\x80\x80\x80\x80\x10", 5, NX_ERR_INVALID},           /* 4 GiB: no length in this format */
        {"\xe9\x07", 2, NX_ERR_TOO_LARGE},                     /* 1001 */
        {"\xe8\x07", 2, NX_ERR_INVALID},                       /* 1000 in no bytes at all */
        {"\xe8\x07zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 45, NX_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = 99999;
        struct nx_fail fail = {.code = NX_OK, .text = ""};
        enum nx_err err =
            dist_snappy_length(nx_view_make(cases[i].bytes, cases[i].len), 1000, &len, &fail);
        if (err != cases[i].err)
            fail_msg("case %zu: %d %s", i, err, fail.text);
        if (err) {
            assert_int_equal(len, 99999);
            assert_true(fail.text[0]);
        }
    }
}

static void snappy_best_ratio_passes_the_guard(void **state)
{
    (void)state;
    char *zeros = nx_calloc(1 << 20, 1);
    struct nx_buf body = test_snappy(nx_view_make(zeros, 1 << 20));
    size_t len = 0;
    assert_int_equal(dist_snappy_length(nx_buf_view(&body), 1 << 20, &len, NULL), NX_OK);
    assert_int_equal(len, 1 << 20);
    char *out = nx_alloc(len);
    memset(out, 1, len);
    assert_int_equal(dist_snappy_decode(nx_buf_view(&body), out, len, NULL), NX_OK);
    assert_memory_equal(out, zeros, len);
    nx_free(out);
    nx_free(zeros);
    nx_buf_release(&body);
}

static void snappy_damaged_block_is_invalid(void **state)
{
    (void)state;
    char text[400];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + nx_rand_below(&rand, 3));
    struct nx_buf body = test_snappy(nx_view_make(text, sizeof text));
    size_t refused = 0;
    for (size_t cut = 0; cut < body.len; cut++) {
        size_t len = 0;
        char *exact = nx_alloc(cut);
        memcpy(exact, body.data, cut);
        struct nx_view part = nx_view_make(exact, cut);
        char out[400];
        if (dist_snappy_length(part, sizeof out, &len, NULL) ||
            dist_snappy_decode(part, out, len, NULL) == NX_ERR_INVALID)
            refused++;
        nx_free(exact);
    }
    assert_int_equal(refused, body.len);
    nx_buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenant_without_multitenancy_is_anonymous),
        cmocka_unit_test(tenant_header_is_checked),
        cmocka_unit_test(headers_negotiate_as_the_table_says),
        cmocka_unit_test(headers_long_value_is_cut_in_the_text),
        cmocka_unit_test(snappy_length_is_checked_before_memory_is_taken),
        cmocka_unit_test(snappy_best_ratio_passes_the_guard),
        cmocka_unit_test(snappy_damaged_block_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
