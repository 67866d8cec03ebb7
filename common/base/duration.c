/* Prometheus's duration syntax with its error texts (github.com/prometheus/common/model). */
#include "common/base/time.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/base/quote.h"

struct unit {
    const char *name;
    uint64_t ns;
};

/* In the order in which they must be written. */
static const struct unit units[] = {
    {"y", UINT64_C(365) * 24 * 3600 * 1000000000},
    {"w", UINT64_C(7) * 24 * 3600 * 1000000000},
    {"d", UINT64_C(24) * 3600 * 1000000000},
    {"h", UINT64_C(3600) * 1000000000},
    {"m", UINT64_C(60) * 1000000000},
    {"s", UINT64_C(1000000000)},
    {"ms", UINT64_C(1000000)},
};
enum { UNIT_COUNT = sizeof units / sizeof units[0] };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum nx_err fail_syntax(struct nx_view text, struct nx_fail *fail)
{
    char quoted[256];
    return nx_fail_set(fail, NX_ERR_INVALID, "not a valid duration string: %s",
                       nx_quote_into(text, quoted, sizeof quoted));
}

static enum nx_err fail_range(struct nx_fail *fail)
{
    return nx_fail_set(fail, NX_ERR_INVALID, "duration out of range");
}

static enum nx_err fail_unit(struct nx_view unit, struct nx_view text, struct nx_fail *fail)
{
    char quoted_unit[128];
    char quoted[256];
    return nx_fail_set(fail, NX_ERR_INVALID, "unknown unit %s in duration %s",
                       nx_quote_into(unit, quoted_unit, sizeof quoted_unit),
                       nx_quote_into(text, quoted, sizeof quoted));
}

/* Takes the digits at `*at`; false where there are none or too many. */
static bool take_number(struct nx_view text, size_t *at, uint64_t *out)
{
    size_t start = *at;
    uint64_t value = 0;
    for (; *at < text.len && is_digit(text.ptr[*at]); ++*at) {
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text.ptr[*at] - '0'), &value))
            return false;
    }
    *out = value;
    return *at > start;
}

static struct nx_view take_unit(struct nx_view text, size_t *at)
{
    size_t start = *at;
    while (*at < text.len && !is_digit(text.ptr[*at]))
        ++*at;
    return (struct nx_view){.ptr = text.ptr + start, .len = *at - start};
}

static size_t unit_position(struct nx_view name)
{
    size_t i = 0;
    while (i < UNIT_COUNT && !nx_view_is(name, units[i].name))
        i++;
    return i;
}

enum nx_err nx_duration_parse(struct nx_view text, int64_t *ms, struct nx_fail *fail)
{
    if (text.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "empty duration string");
    if (nx_view_is(text, "0")) {
        *ms = 0;
        return NX_OK;
    }
    uint64_t total = 0;
    size_t next_unit = 0;
    for (size_t at = 0; at < text.len;) {
        uint64_t value;
        if (!take_number(text, &at, &value))
            return fail_syntax(text, fail);
        struct nx_view name = take_unit(text, &at);
        if (name.len == 0)
            return fail_syntax(text, fail);
        size_t position = unit_position(name);
        if (position == UNIT_COUNT)
            return fail_unit(name, text, fail);
        if (position < next_unit)
            return fail_syntax(text, fail);
        next_unit = position + 1;
        if (value > (UINT64_C(1) << 63) / units[position].ns)
            return fail_range(fail);
        total += value * units[position].ns;
        if (total > INT64_MAX)
            return fail_range(fail);
    }
    *ms = (int64_t)(total / 1000000);
    return NX_OK;
}

/* Years and weeks only where nothing is left over: 90d reads better than 12w6d. */
void nx_duration_format(int64_t ms, char *out, size_t size)
{
    char text[NX_DURATION_MAX];
    uint64_t left = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    int len = snprintf(text, sizeof text, "%s", ms < 0 ? "-" : left == 0 ? "0s" : "");
    for (size_t i = 0; i < UNIT_COUNT && left > 0; i++) {
        uint64_t unit_ms = units[i].ns / 1000000;
        if (left < unit_ms || (i < 2 && left % unit_ms != 0))
            continue;
        len += snprintf(text + len, sizeof text - (size_t)len, "%" PRIu64 "%s", left / unit_ms,
                        units[i].name);
        left %= unit_ms;
    }
    (void)snprintf(out, size, "%s", text);
}
