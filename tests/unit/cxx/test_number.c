#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/rand.h"
#include "common/cxx/number_shim.h"

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

static void assert_format(size_t (*format)(double, char *), double v, const char *expected)
{
    char out[NX_FLOAT_MAX];
    size_t len = format(v, out);
    assert_string_equal(out, expected);
    assert_int_equal(len, strlen(expected));
}

static void format_values_match_go(void **state)
{
    (void)state;
    static const struct {
        double v;
        const char *f, *e, *g, *api;
    } cases[] = {
        {0, "0", "0e+00", "0", "0"},
        {-0.0, "-0", "-0e+00", "-0", "-0"},
        {1, "1", "1e+00", "1", "1"},
        {-1.5, "-1.5", "-1.5e+00", "-1.5", "-1.5"},
        {0.1, "0.1", "1e-01", "0.1", "0.1"},
        {100000, "100000", "1e+05", "100000", "100000"},
        {1e6, "1000000", "1e+06", "1e+06", "1000000"},
        {123456789, "123456789", "1.23456789e+08", "1.23456789e+08", "123456789"},
        {0.0001, "0.0001", "1e-04", "0.0001", "0.0001"},
        {0.00001, "0.00001", "1e-05", "1e-05", "0.00001"},
        {1e-6, "0.000001", "1e-06", "1e-06", "0.000001"},
        {9.5e-7, "0.00000095", "9.5e-07", "9.5e-07", "9.5e-07"},
        {1e-7, "0.0000001", "1e-07", "1e-07", "1e-07"},
        {1e20, "100000000000000000000", "1e+20", "1e+20", "100000000000000000000"},
        {1e21, "1000000000000000000000", "1e+21", "1e+21", "1e+21"},
        {1.5e21, "1500000000000000000000", "1.5e+21", "1.5e+21", "1.5e+21"},
        {1e23, "100000000000000000000000", "1e+23", "1e+23", "1e+23"},
        {0.30000000000000004, "0.30000000000000004", "3.0000000000000004e-01",
         "0.30000000000000004", "0.30000000000000004"},
        {1234.5678, "1234.5678", "1.2345678e+03", "1234.5678", "1234.5678"},
        {9007199254740992, "9007199254740992", "9.007199254740992e+15", "9.007199254740992e+15",
         "9007199254740992"},
        {1e-300, NULL, "1e-300", "1e-300", "1e-300"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (cases[i].f)
            assert_format(nx_float_format_f, cases[i].v, cases[i].f);
        assert_format(nx_float_format_e, cases[i].v, cases[i].e);
        assert_format(nx_float_format_g, cases[i].v, cases[i].g);
        assert_format(nx_float_format_api, cases[i].v, cases[i].api);
    }
}

static void format_specials_match_go(void **state)
{
    (void)state;
    char out[NX_FLOAT_MAX];
    assert_int_equal(nx_float_format_f((double)NAN, out), 3);
    assert_string_equal(out, "NaN");
    nx_float_format_api(-(double)NAN, out);
    assert_string_equal(out, "NaN");
    nx_float_format_g((double)INFINITY, out);
    assert_string_equal(out, "+Inf");
    nx_float_format_api(-(double)INFINITY, out);
    assert_string_equal(out, "-Inf");
}

static void format_extremes_fit_the_buffer(void **state)
{
    (void)state;
    char out[NX_FLOAT_MAX];
    size_t len = nx_float_format_f(-1.7976931348623157e308, out);
    assert_int_equal(len, 310);
    assert_memory_equal(out, "-179769313486231570000", 22);
    len = nx_float_format_f(-5e-324, out);
    assert_int_equal(len, 327);
    assert_int_equal(out[len - 1], '5');
    len = nx_float_format_f(-2.2250738585072011e-308, out);
    assert_true(len < NX_FLOAT_MAX);
    double back;
    assert_true(nx_float_parse(nx_view_make(out, len), &back));
    assert_true(bits_of(back) == bits_of(-2.2250738585072011e-308));
}

static void format_random_bits_round_trip(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    size_t (*const forms[])(double, char *) = {nx_float_format_f, nx_float_format_e,
                                               nx_float_format_g, nx_float_format_api};
    for (int i = 0; i < 20000; i++) {
        double v = of_bits(nx_rand_u64(&rand));
        if (isnan(v))
            continue;
        for (size_t k = 0; k < 4; k++) {
            char out[NX_FLOAT_MAX];
            size_t len = forms[k](v, out);
            double back;
            assert_true(len < NX_FLOAT_MAX);
            assert_true(nx_float_parse(nx_view_make(out, len), &back));
            assert_true(bits_of(back) == bits_of(v));
        }
    }
}

static void parse_valid_texts_give_values(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double v;
    } cases[] = {
        {"0", 0},
        {"-0", -0.0},
        {"1e3", 1000},
        {"1E3", 1000},
        {"+1e+3", 1000},
        {".5", 0.5},
        {"5.", 5},
        {"-.5e-1", -0.05},
        {"00012", 12},
        {"0x1p-2", 0.25},
        {"0X1P2", 4},
        {"-0x1.8p1", -3},
        {"0x.8p1", 1},
        {"0xAbp0", 171},
        {"1e400", (double)INFINITY},
        {"-1e400", -(double)INFINITY},
        {"1e99999999999999999999", (double)INFINITY},
        {"0e99999999999999999999", 0},
        {"1e-400", 0},
        {"-1e-400", -0.0},
        {"0x1p99999", (double)INFINITY},
        {"0x1p-99999", 0},
        {"0.000000000000000000000001e24", 1},
        {"Inf", (double)INFINITY},
        {"+inf", (double)INFINITY},
        {"-INFINITY", -(double)INFINITY},
        {"4.9e-324", 5e-324},
        {"2.4703282292062328e-324", 5e-324},
        {"2.4703282292062327e-324", 0},
        {"2.2250738585072011e-308", 2.2250738585072011e-308},
        {"0x0.0000000000001p-1022", 5e-324},
        {"1.7976931348623158e308", 1.7976931348623157e308},
        {"1.7976931348623159e308", (double)INFINITY},
        {"9007199254740993", 9007199254740992},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double v = 42;
        if (!nx_float_parse(nx_view_of(cases[i].text), &v) || bits_of(v) != bits_of(cases[i].v))
            fail_msg("%s gave %a, expected %a", cases[i].text, v, cases[i].v);
    }
    double v = 0;
    assert_true(nx_float_parse(NX_VIEW("NaN"), &v));
    assert_true(isnan(v));
}

static void parse_invalid_texts_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",      ".",     "+",    "-",    "e5",   "1e",     "1e+",   "1_000", "0x1", "0x",
        "0xp1",  "0x.p1", "+nan", "-nan", "infi", "nan(1)", "+-1",   "--1",   " 1",  "1 ",
        "1.2.3", "1e5.",  "0b1",  "1f",   "0x1p", "infin",  "1e1e1", "٣",     "1,5", "0x1p1.5"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double v = 42;
        if (nx_float_parse(nx_view_of(cases[i]), &v) || bits_of(v) != bits_of(42))
            fail_msg("%s was taken as %a", cases[i], v);
    }
    double v = 42;
    assert_false(nx_float_parse(NX_VIEW("1\0"), &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format_values_match_go),
        cmocka_unit_test(format_specials_match_go),
        cmocka_unit_test(format_extremes_fit_the_buffer),
        cmocka_unit_test(format_random_bits_round_trip),
        cmocka_unit_test(parse_valid_texts_give_values),
        cmocka_unit_test(parse_invalid_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
