#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/base/arena.h"
#include "querier/api/params.h"
#include "querier/select/request.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void time_of_every_form_is_milliseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"1435781451.781", 1435781451781},
        {"1.5e3", 1500000},
        {"-1.0006", -1001},
        {"0.0004", 0},
        {"1435781451.7816", 1435781451782},
        {"2015-07-01T20:10:51.781Z", 1435781451781},
        {"2015-07-01T22:10:51+02:00", 1435781451000},
        {"-292273086-05-16T16:47:06Z", QRY_TIME_MIN},
        {"292277025-08-18T07:12:54.999999999Z", QRY_TIME_MAX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = -1;
        struct nx_fail fail;
        assert_int_equal(qry_param_time(nx_view_of(cases[i].text), &ms, &fail), NX_OK);
        assert_int_equal(ms, cases[i].ms);
    }
}

static void time_that_is_none_names_the_text(void **state)
{
    (void)state;
    static const char *const cases[] = {"", "foo", "30s", "2015-07-01", "NaN", "Inf", "1e300"};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ms = 7;
        struct nx_fail fail;
        char expected[100];
        assert_int_equal(qry_param_time(nx_view_of(cases[i]), &ms, &fail), NX_ERR_INVALID);
        snprintf(expected, sizeof expected, "cannot parse \"%s\" to a valid timestamp", cases[i]);
        assert_string_equal(nx_fail_text(&fail), expected);
        assert_int_equal(ms, 7);
    }
}

static void optional_time_has_a_default_and_its_own_text(void **state)
{
    (void)state;
    int64_t ms = 0;
    struct nx_fail fail;
    assert_int_equal(qry_param_optional_time((struct nx_view){0}, "start", 42, &ms, &fail), NX_OK);
    assert_int_equal(ms, 42);
    assert_int_equal(qry_param_optional_time(NX_VIEW("x"), "start", 42, &ms, &fail),
                     NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail),
                        "invalid time value for 'start': cannot parse \"x\" to a valid timestamp");
}

static void duration_of_both_forms_is_nanoseconds(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {{"1", 1000000000},    {"0.25", 250000000},      {"-2", -2000000000},
                 {"5m", 300000000000}, {"1h30m", 5400000000000}, {"0", 0},
                 {"15ms", 15000000}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        int64_t ns = -1;
        struct nx_fail fail;
        assert_int_equal(qry_param_duration(nx_view_of(cases[i].text), &ns, &fail), NX_OK);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void duration_that_is_none_is_refused(void **state)
{
    (void)state;
    int64_t ns;
    struct nx_fail fail;
    assert_int_equal(qry_param_duration(NX_VIEW("1.5h"), &ns, &fail), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail), "cannot parse \"1.5h\" to a valid duration");
    assert_int_equal(qry_param_duration(NX_VIEW(""), &ns, &fail), NX_ERR_INVALID);
    assert_int_equal(qry_param_duration(NX_VIEW("NaN"), &ns, &fail), NX_ERR_INVALID);
    assert_int_equal(qry_param_duration(NX_VIEW("1e10"), &ns, &fail), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail),
                        "cannot parse \"1e10\" to a valid duration. It overflows int64");
}

static void limit_follows_atoi(void **state)
{
    (void)state;
    uint64_t limit = 9;
    struct nx_fail fail;
    assert_int_equal(qry_param_limit((struct nx_view){0}, &limit, &fail), NX_OK);
    assert_int_equal(limit, 0);
    assert_int_equal(qry_param_limit(NX_VIEW("+12"), &limit, &fail), NX_OK);
    assert_int_equal(limit, 12);
    assert_int_equal(qry_param_limit(NX_VIEW("-1"), &limit, &fail), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail), "limit must be non-negative");
    assert_int_equal(qry_param_limit(NX_VIEW("1.5"), &limit, &fail), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail), "strconv.Atoi: parsing \"1.5\": invalid syntax");
    assert_int_equal(qry_param_limit(NX_VIEW("99999999999999999999"), &limit, &fail),
                     NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&fail),
                        "strconv.Atoi: parsing \"99999999999999999999\": value out of range");
    assert_int_equal(qry_param_limit(NX_VIEW("9223372036854775807"), &limit, &fail), NX_OK);
    assert_int_equal(qry_param_limit(NX_VIEW("9223372036854775808"), &limit, &fail),
                     NX_ERR_INVALID);
}

static void label_name_escapes_are_undone(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"job", "job"},
        {"U__http_2e_status", "http.status"},
        {"U__a__b", "a_b"},
        {"U___1f600_", "\xf0\x9f\x98\x80"},
        {"U__e9", "e9"},
        {"U__a_zz_", "U__a_zz_"},
        {"U__a_2e", "U__a_2e"},
        {"U__a_d800_", "U__a_d800_"},
        {"U__", ""},
    };
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct nx_view out;
        assert_int_equal(qry_unescape_label_name(&arena, nx_view_of(cases[i].in), &out), NX_OK);
        assert_int_equal(out.len, strlen(cases[i].out));
        assert_memory_equal(out.ptr, cases[i].out, out.len);
    }
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_of_every_form_is_milliseconds),
        cmocka_unit_test(time_that_is_none_names_the_text),
        cmocka_unit_test(optional_time_has_a_default_and_its_own_text),
        cmocka_unit_test(duration_of_both_forms_is_nanoseconds),
        cmocka_unit_test(duration_that_is_none_is_refused),
        cmocka_unit_test(limit_follows_atoi),
        cmocka_unit_test(label_name_escapes_are_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
