/* The clocks of time.h. */
#include "common/base/time.h"

#include <time.h>

static int64_t system_wall_ms(const struct nx_clock *clock)
{
    (void)clock;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t system_mono_ns(const struct nx_clock *clock)
{
    (void)clock;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

const struct nx_clock *nx_clock_system(void)
{
    static const struct nx_clock clock = {.wall_ms = system_wall_ms, .mono_ns = system_mono_ns};
    return &clock;
}

static int64_t manual_wall_ms(const struct nx_clock *clock)
{
    return ((const struct nx_clock_manual *)clock)->now_ms;
}

static uint64_t manual_mono_ns(const struct nx_clock *clock)
{
    return ((const struct nx_clock_manual *)clock)->now_ns;
}

void nx_clock_manual_init(struct nx_clock_manual *clock, int64_t now_ms)
{
    *clock =
        (struct nx_clock_manual){.base = {.wall_ms = manual_wall_ms, .mono_ns = manual_mono_ns},
                                 .now_ms = now_ms,
                                 .now_ns = UINT64_C(1000000000)};
}

void nx_clock_manual_advance(struct nx_clock_manual *clock, int64_t ms)
{
    clock->now_ms += ms;
    clock->now_ns += (uint64_t)ms * UINT64_C(1000000);
}
