#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/rand.h"
#include "common/base/time.h"

static void duration_valid_texts_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"0", 0},
        {"0s", 0},
        {"1ms", 1},
        {"1h30m", 5400000},
        {"15d", 1296000000},
        {"00005m", 300000},
        {"10y", INT64_C(315360000000)},
        {"292y", INT64_C(9208512000000)},
        {"1y1w1d1h1m1s1ms", INT64_C(32230861001)},
        {"9223372036s854ms", INT64_C(9223372036854)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = -1;
        assert_int_equal(nx_duration_parse(nx_view_of(cases[i].text), &ms, NULL), NX_OK);
        assert_true(ms == cases[i].ms);
    }
}

static void duration_invalid_texts_give_prometheus_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "empty duration string"},
        {"1", "not a valid duration string: \"1\""},
        {"m", "not a valid duration string: \"m\""},
        {"30m1h", "not a valid duration string: \"30m1h\""},
        {"1h1h", "not a valid duration string: \"1h1h\""},
        {"1h30", "not a valid duration string: \"1h30\""},
        {"-5m", "not a valid duration string: \"-5m\""},
        {"1.5h", "unknown unit \".\" in duration \"1.5h\""},
        {"5x", "unknown unit \"x\" in duration \"5x\""},
        {"1h ", "unknown unit \"h \" in duration \"1h \""},
        {"5é", "unknown unit \"é\" in duration \"5é\""},
        {"1d\"\n", "unknown unit \"d\\\"\\n\" in duration \"1d\\\"\\n\""},
        {"293y", "duration out of range"},
        {"9223372036s855ms", "duration out of range"},
        {"10000000000s", "duration out of range"},
        {"99999999999999999999s", "not a valid duration string: \"99999999999999999999s\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = 77;
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(nx_duration_parse(nx_view_of(cases[i].text), &ms, &fail), NX_ERR_INVALID);
        assert_int_equal(ms, 77);
        assert_string_equal(fail.text, cases[i].error);
    }
}

static void duration_format_is_canonical(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ms"},
        {90000, "1m30s"},
        {604800000, "1w"},
        {INT64_C(31536000000), "1y"},
        {INT64_C(31536000001), "365d1ms"},
        {INT64_C(7776000000), "90d"},
        {-1500, "-1s500ms"},
        {INT64_MAX, "106751991167d7h12m55s807ms"},
        {INT64_MIN, "-106751991167d7h12m55s808ms"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[NX_DURATION_MAX];
        nx_duration_format(cases[i].ms, out, sizeof out);
        assert_string_equal(out, cases[i].text);
    }
    char small[4];
    nx_duration_format(90000, small, sizeof small);
    assert_string_equal(small, "1m3");
}

static void duration_random_values_round_trip(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    for (int i = 0; i < 5000; i++) {
        int64_t ms =
            (int64_t)(nx_rand_u64(&rand) % UINT64_C(9223372036854)) >> nx_rand_below(&rand, 40);
        char out[NX_DURATION_MAX];
        int64_t back;
        nx_duration_format(ms, out, sizeof out);
        assert_int_equal(nx_duration_parse(nx_view_of(out), &back, NULL), NX_OK);
        assert_true(back == ms);
    }
}

static void rfc3339_texts_parse_as_in_go(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"2015-07-01T20:10:51Z", INT64_C(1435781451000)},
        {"2015-07-01T20:10:51.781Z", INT64_C(1435781451781)},
        {"2015-07-01T20:10:51.7819999+02:30", INT64_C(1435772451781)},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2000-02-29T00:00:00-23:59", INT64_C(951868740000)},
        {"0000-01-01T00:00:00Z", INT64_C(-62167219200000)},
        {"9999-12-31T23:59:59.9Z", INT64_C(253402300799900)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ms = 0;
        assert_int_equal(nx_time_parse_rfc3339(nx_view_of(cases[i].text), &ms), NX_OK);
        assert_true(ms == cases[i].ms);
    }
    static const char *const bad[] = {
        "",
        "2015-07-01",
        "2015-07-01T20:10:51",
        "2015-07-01T20:10:51.Z",
        "2015-07-01 20:10:51Z",
        "2015-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2015-13-01T00:00:00Z",
        "2015-00-01T00:00:00Z",
        "2015-01-00T00:00:00Z",
        "2015-01-32T00:00:00Z",
        "2015-01-01T24:00:00Z",
        "2015-01-01T00:60:00Z",
        "2015-01-01T00:00:60Z",
        "2015-01-01T00:00:00+24:00",
        "2015-01-01T00:00:00+0100",
        "2015-01-01T00:00:00Zx",
        "+015-01-01T00:00:00Z",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t ms = 5;
        assert_int_equal(nx_time_parse_rfc3339(nx_view_of(bad[i]), &ms), NX_ERR_INVALID);
        assert_int_equal(ms, 5);
    }
}

static void rfc3339_formats_and_round_trips(void **state)
{
    (void)state;
    char out[32];
    nx_time_format_rfc3339(0, out, sizeof out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    nx_time_format_rfc3339(-1, out, sizeof out);
    assert_string_equal(out, "1969-12-31T23:59:59.999Z");
    nx_time_format_rfc3339(INT64_MAX, out, sizeof out);
    assert_string_equal(out, "292278994-08-17T07:12:55.807Z");
    nx_time_format_rfc3339(INT64_MIN, out, sizeof out);
    assert_string_equal(out, "-292275055-05-16T16:47:04.192Z");
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    for (int i = 0; i < 5000; i++) {
        int64_t ms =
            (int64_t)nx_rand_below(&rand, UINT64_C(315569520000000)) - INT64_C(62167219200000);
        int64_t back;
        nx_time_format_rfc3339(ms, out, sizeof out);
        assert_int_equal(nx_time_parse_rfc3339(nx_view_of(out), &back), NX_OK);
        assert_true(back == ms);
    }
}

/* The inverse in the C library is the oracle; it also works out the days of week and year. */
static void civil_agrees_with_the_c_library(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 5);
    for (int i = 0; i < 50000; i++) {
        int64_t at = (int64_t)nx_rand_u64(&rand) >> (20 + nx_rand_below(&rand, 30));
        struct nx_civil civil;
        nx_civil_from_unix(at, &civil);
        struct tm tm = {.tm_year = (int)(civil.year - 1900),
                        .tm_mon = civil.month - 1,
                        .tm_mday = civil.day,
                        .tm_hour = civil.hour,
                        .tm_min = civil.minute,
                        .tm_sec = civil.second};
        assert_true((int64_t)timegm(&tm) == at);
        assert_int_equal(civil.month, tm.tm_mon + 1);
        assert_int_equal(civil.day, tm.tm_mday);
        assert_int_equal(civil.wday, tm.tm_wday);
        assert_int_equal(civil.yday, tm.tm_yday + 1);
        assert_in_range(civil.days_in_month, civil.day, 31);
    }
    struct nx_civil c;
    nx_civil_from_unix(951782400, &c); /* 2000-02-29 */
    assert_int_equal(c.days_in_month, 29);
    nx_civil_from_unix(1677628799, &c); /* 2023-02-28 */
    assert_int_equal(c.days_in_month, 28);
    nx_civil_from_unix(INT64_MIN, &c);
    nx_civil_from_unix(INT64_MAX, &c);
}

static void clocks_move(void **state)
{
    (void)state;
    struct nx_clock_manual manual;
    nx_clock_manual_init(&manual, 1000);
    uint64_t ns = nx_now_ns(&manual.base);
    assert_int_equal(nx_now_ms(&manual.base), 1000);
    nx_clock_manual_advance(&manual, 250);
    assert_int_equal(nx_now_ms(&manual.base), 1250);
    assert_true(nx_now_ns(&manual.base) - ns == 250000000);
    const struct nx_clock *clock = nx_clock_system();
    assert_true(nx_now_ms(clock) > INT64_C(1600000000000));
    uint64_t first = nx_now_ns(clock);
    assert_true(nx_now_ns(clock) >= first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(duration_valid_texts_parse),
        cmocka_unit_test(duration_invalid_texts_give_prometheus_errors),
        cmocka_unit_test(duration_format_is_canonical),
        cmocka_unit_test(duration_random_values_round_trip),
        cmocka_unit_test(rfc3339_texts_parse_as_in_go),
        cmocka_unit_test(rfc3339_formats_and_round_trips),
        cmocka_unit_test(civil_agrees_with_the_c_library),
        cmocka_unit_test(clocks_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
