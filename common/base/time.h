/* Clocks behind an interface, and Prometheus durations.
 *
 * Wall time is milliseconds since the Unix epoch; monotonic time is nanoseconds from an arbitrary
 * origin. Tests pass a manual clock, so that nothing needs to sleep. */
#ifndef NX_BASE_TIME_H
#define NX_BASE_TIME_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/view.h"

struct nx_clock {
    int64_t (*wall_ms)(const struct nx_clock *clock);
    uint64_t (*mono_ns)(const struct nx_clock *clock);
};

/* The system's clocks; a constant. */
const struct nx_clock *nx_clock_system(void);

/* A clock that stands still until it is moved. */
struct nx_clock_manual {
    struct nx_clock base;
    _Atomic int64_t now_ms;
    _Atomic uint64_t now_ns;
};
void nx_clock_manual_init(struct nx_clock_manual *clock, int64_t now_ms);
void nx_clock_manual_advance(struct nx_clock_manual *clock, int64_t ms);

static inline int64_t nx_now_ms(const struct nx_clock *clock)
{
    return clock->wall_ms(clock);
}
static inline uint64_t nx_now_ns(const struct nx_clock *clock)
{
    return clock->mono_ns(clock);
}

/* A Prometheus duration ("1h30m", "15d", "500ms", "0"; units y w d h m s ms, each once, in that
 * order) to milliseconds. NX_ERR_INVALID with Prometheus's text otherwise. */
enum nx_err nx_duration_parse(struct nx_view text, int64_t *ms,
                              struct nx_fail *fail) NX_WARN_UNUSED;
/* The canonical text ("1h30m", "0s"); needs at most NX_DURATION_MAX bytes with the NUL. */
#define NX_DURATION_MAX 48
void nx_duration_format(int64_t ms, char *out, size_t size);

/* "2006-01-02T15:04:05.000Z" (RFC 3339, UTC). Needs 32 bytes. */
void nx_time_format_rfc3339(int64_t ms, char *out, size_t size);
/* RFC 3339: "2006-01-02T15:04:05", an optional fraction (kept to the millisecond), then "Z" or
 * "+hh:mm". */
enum nx_err nx_time_parse_rfc3339(struct nx_view text, int64_t *ms) NX_WARN_UNUSED;

/* Proleptic Gregorian calendar in UTC, any year; `wday` 0 = Sunday, `yday` 1 = January 1st. */
struct nx_civil {
    int64_t year;
    int month, day, hour, minute, second, wday, yday, days_in_month;
};
void nx_civil_from_unix(int64_t seconds, struct nx_civil *out);

#endif
