/* Bytes are paid for in time: each one moves the due time on, and who is ahead of it sleeps. What
 * was not used for a second is lost, so that a pause does not end in a burst. */
#include <time.h>

#include "ingester/compact/merge.h"

#define SECOND_NS UINT64_C(1000000000)
#define SLEEP_MIN_NS (SECOND_NS / 200)
#define SLEEP_MAX_NS (SECOND_NS / 10)

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void ing_pace_spend(struct ing_pace *pace, uint64_t bytes)
{
    if (pace->bytes_per_s <= 0)
        return;
    uint64_t now = monotonic_ns();
    if (pace->due_ns + SECOND_NS < now)
        pace->due_ns = now - SECOND_NS;
    pace->due_ns += (uint64_t)((double)bytes * (double)SECOND_NS / (double)pace->bytes_per_s);
    if (pace->due_ns < now + SLEEP_MIN_NS)
        return;
    uint64_t left = pace->due_ns - now;
    left = left < SLEEP_MAX_NS ? left : SLEEP_MAX_NS; /* the caller looks whether to go on */
    struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)left};
    (void)nanosleep(&pause, NULL);
}
