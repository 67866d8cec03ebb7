#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "querier/api/json.h"

struct fixture {
    struct nx_buf buf;
    struct qry_json json;
};

static int setup(void **state)
{
    static struct fixture fx;
    nx_buf_init(&fx.buf, 1 << 20);
    qry_json_init(&fx.json, &fx.buf);
    *state = &fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    nx_buf_release(&fx->buf);
    return 0;
}

static void assert_json(struct fixture *fx, const char *expected)
{
    nx_buf_append_char(&fx->buf, '\0');
    assert_int_equal(nx_buf_err(&fx->buf), NX_OK);
    assert_string_equal(fx->buf.data, expected);
}

static void nesting_puts_commas_between_items(void **state)
{
    struct fixture *fx = *state;
    struct qry_json *j = &fx->json;
    qry_json_object(j);
    qry_json_key(j, "a");
    qry_json_array(j);
    qry_json_int(j, -1);
    qry_json_array(j);
    qry_json_array_end(j);
    qry_json_object(j);
    qry_json_object_end(j);
    qry_json_array_end(j);
    qry_json_key(j, "b");
    qry_json_bool(j, false);
    qry_json_key(j, "c");
    qry_json_null(j);
    qry_json_key_view(j, NX_VIEW("d\n"));
    qry_json_uint(j, UINT64_MAX);
    qry_json_object_end(j);
    assert_json(fx, "{\"a\":[-1,[],{}],\"b\":false,\"c\":null,\"d\\n\":18446744073709551615}");
}

static void output_changed_in_between_goes_on(void **state)
{
    struct fixture *fx = *state;
    struct nx_buf second;
    nx_buf_init(&second, 100);
    qry_json_array(&fx->json);
    qry_json_int(&fx->json, 1);
    fx->json.out = &second;
    qry_json_int(&fx->json, 2);
    qry_json_array_end(&fx->json);
    assert_json(fx, "[1");
    assert_memory_equal(second.data, ",2]", 3);
    nx_buf_release(&second);
}

static void string_html_is_escaped_label_is_not(void **state)
{
    struct fixture *fx = *state;
    qry_json_array(&fx->json);
    qry_json_text(&fx->json, "<a & b>");
    qry_json_label(&fx->json, NX_VIEW("<a & b>"));
    qry_json_array_end(&fx->json);
    assert_json(fx, "[\"\\u003ca \\u0026 b\\u003e\",\"<a & b>\"]");
}

static void string_controls_and_quotes_are_escaped(void **state)
{
    struct fixture *fx = *state;
    qry_json_string(&fx->json, nx_view_make("\"\\\n\r\t\x01\0x\x7f", 9));
    assert_json(fx, "\"\\\"\\\\\\n\\r\\t\\u0001\\u0000x\x7f\"");
}

static void string_bad_utf8_is_replaced(void **state)
{
    struct fixture *fx = *state;
    qry_json_text(&fx->json, "\xc3\xa9 \xff \xf0\x9f\x98\x80 \xe2\x80\xa8 \xc3");
    assert_json(fx, "\"\xc3\xa9 \\ufffd \xf0\x9f\x98\x80 \\u2028 \\ufffd\"");
}

static void time_has_three_decimals_or_none(void **state)
{
    struct fixture *fx = *state;
    static const int64_t times[] = {0, 1500, 1050, 1000, -1, -1500, 1435781460781, INT64_MIN};
    qry_json_array(&fx->json);
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        qry_json_time(&fx->json, times[i]);
    qry_json_array_end(&fx->json);
    assert_json(fx, "[0,1.500,1.050,1,-0.001,-1.500,1435781460.781,-9223372036854775.808]");
}

static void value_follows_the_api_notation(void **state)
{
    struct fixture *fx = *state;
    const double values[] = {0,      -0.0, 1,        0.1,       1e-6,        1e-7,
                             1.5e21, 1e20, HUGE_VAL, -HUGE_VAL, (double)NAN, 123456789.125};
    qry_json_array(&fx->json);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        qry_json_value(&fx->json, values[i]);
    qry_json_array_end(&fx->json);
    assert_json(fx, "[\"0\",\"-0\",\"1\",\"0.1\",\"0.000001\",\"1e-07\",\"1.5e+21\","
                    "\"100000000000000000000\",\"+Inf\",\"-Inf\",\"NaN\",\"123456789.125\"]");
}

static void labels_are_an_object_in_order(void **state)
{
    struct fixture *fx = *state;
    static const struct nx_label items[] = {{NX_VIEW("__name__"), NX_VIEW("up")},
                                            {NX_VIEW("job"), NX_VIEW("a\"b")}};
    qry_json_labels(&fx->json, (struct nx_labels){items, 2});
    assert_json(fx, "{\"__name__\":\"up\",\"job\":\"a\\\"b\"}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nesting_puts_commas_between_items),   TEST(output_changed_in_between_goes_on),
        TEST(string_html_is_escaped_label_is_not), TEST(string_controls_and_quotes_are_escaped),
        TEST(string_bad_utf8_is_replaced),         TEST(time_has_three_decimals_or_none),
        TEST(value_follows_the_api_notation),      TEST(labels_are_an_object_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
