/* Days and civil dates after Howard Hinnant, "chrono-compatible low-level date algorithms": the
 * year is counted from March, so that the leap day is its last. */
#include "common/base/time.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

enum { DAY_S = 86400, DAYS_PER_ERA = 146097 };

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - 719468;
}

void nx_civil_from_unix(int64_t seconds, struct nx_civil *out)
{
    int64_t days = floor_div(seconds, DAY_S);
    int rest = (int)((seconds % DAY_S + DAY_S) % DAY_S);
    int64_t shifted = days + 719468;
    int64_t era = floor_div(shifted, DAYS_PER_ERA);
    int64_t day_of_era = shifted - era * DAYS_PER_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    out->day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1);
    out->month = (int)(march_month < 10 ? march_month + 3 : march_month - 9);
    out->year = year_of_era + era * 400 + (out->month <= 2);
    out->hour = rest / 3600;
    out->minute = rest / 60 % 60;
    out->second = rest % 60;
    out->wday = (int)(((days + 4) % 7 + 7) % 7);
    out->yday = (int)(days - days_from_civil(out->year, 1, 1)) + 1;
    out->days_in_month = month_days(out->year, out->month);
}

void nx_time_format_rfc3339(int64_t ms, char *out, size_t size)
{
    int64_t seconds = floor_div(ms, 1000);
    struct nx_civil c;
    nx_civil_from_unix(seconds, &c);
    (void)snprintf(out, size, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year, c.month,
                   c.day, c.hour, c.minute, c.second, (int)((ms % 1000 + 1000) % 1000));
}

/* `count` digits at *at, a number of at most `max`; false otherwise. */
static bool take_digits(struct nx_view text, size_t *at, size_t count, int max, int *out)
{
    if (text.len - *at < count)
        return false;
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        char c = text.ptr[(*at)++];
        if (c < '0' || c > '9')
            return false;
        value = value * 10 + (c - '0');
    }
    *out = value;
    return value <= max;
}

static bool take_char(struct nx_view text, size_t *at, char c)
{
    return *at < text.len && text.ptr[*at] == c && (++*at, true);
}

/* Optional: '.' or ',' and digits, of which milliseconds are kept. */
static bool take_fraction(struct nx_view text, size_t *at, int *ms)
{
    *ms = 0;
    if (!take_char(text, at, '.') && !take_char(text, at, ','))
        return true;
    size_t start = *at;
    int scale = 100;
    while (*at < text.len && text.ptr[*at] >= '0' && text.ptr[*at] <= '9') {
        *ms += (text.ptr[(*at)++] - '0') * scale;
        scale /= 10;
    }
    return *at > start;
}

static bool take_zone(struct nx_view text, size_t *at, int *offset_s)
{
    *offset_s = 0;
    if (take_char(text, at, 'Z'))
        return true;
    int sign = take_char(text, at, '-') ? -1 : take_char(text, at, '+') ? 1 : 0;
    int hours;
    int minutes;
    if (sign == 0 || !take_digits(text, at, 2, 23, &hours) || !take_char(text, at, ':') ||
        !take_digits(text, at, 2, 59, &minutes))
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static bool take_date(struct nx_view text, size_t *at, int64_t *days)
{
    int year;
    int month;
    int day;
    if (!take_digits(text, at, 4, 9999, &year) || !take_char(text, at, '-') ||
        !take_digits(text, at, 2, 12, &month) || month < 1 || !take_char(text, at, '-') ||
        !take_digits(text, at, 2, month_days(year, month), &day) || day < 1)
        return false;
    *days = days_from_civil(year, month, day);
    return true;
}

enum nx_err nx_time_parse_rfc3339(struct nx_view text, int64_t *ms)
{
    size_t at = 0;
    int64_t days;
    int hour;
    int minute;
    int second;
    int fraction_ms;
    int offset_s;
    if (!take_date(text, &at, &days) || !take_char(text, &at, 'T') ||
        !take_digits(text, &at, 2, 23, &hour) || !take_char(text, &at, ':') ||
        !take_digits(text, &at, 2, 59, &minute) || !take_char(text, &at, ':') ||
        !take_digits(text, &at, 2, 59, &second) || !take_fraction(text, &at, &fraction_ms) ||
        !take_zone(text, &at, &offset_s) || at != text.len)
        return NX_ERR_INVALID;
    int64_t seconds = days * DAY_S + hour * 3600 + minute * 60 + second - offset_s;
    *ms = seconds * 1000 + fraction_ms;
    return NX_OK;
}
