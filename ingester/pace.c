/* Bytes are paid for in time: each one moves the due time on, and who is ahead of it sleeps. What
 * was not used for a second is lost, so that a pause does not end in a burst.
 *
 * Low priority alone is not enough for the processor: a thread that computes without a pause is
 * left running for its whole time slice (some milliseconds) by whatever wakes beside it, among that
 * the system's own threads that a sync of the log waits for, several times one after another. */
#include "ingester/pace.h"

#include <stddef.h>
#include <time.h>

#define SECOND_NS UINT64_C(1000000000)
#define SLEEP_MIN_NS (SECOND_NS / 200)
#define SLEEP_MAX_NS (SECOND_NS / 10)
#define WORK_MAX_NS (SECOND_NS / 1000)

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static void sleep_ns(uint64_t ns)
{
    ns = ns < SLEEP_MAX_NS ? ns : SLEEP_MAX_NS; /* the caller looks whether to go on */
    struct timespec pause = {.tv_sec = 0, .tv_nsec = (long)ns};
    (void)nanosleep(&pause, NULL);
}

void ing_pace_spend(struct ing_pace *pace, uint64_t bytes)
{
    if (!pace || pace->bytes_per_s <= 0)
        return;
    uint64_t now = clock_ns(CLOCK_MONOTONIC);
    if (pace->due_ns + SECOND_NS < now)
        pace->due_ns = now - SECOND_NS;
    pace->due_ns += (uint64_t)((double)bytes * (double)SECOND_NS / (double)pace->bytes_per_s);
    if (pace->due_ns >= now + SLEEP_MIN_NS)
        sleep_ns(pace->due_ns - now);
}

void ing_pace_rest(struct ing_pace *pace)
{
    if (!pace || pace->bytes_per_s <= 0)
        return;
    uint64_t used = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    uint64_t worked = used - pace->rested_ns;
    if (used < pace->rested_ns || pace->rested_ns == 0)
        worked = 0; /* the first call, or another thread than before */
    else if (worked < WORK_MAX_NS)
        return;
    if (worked > 0)
        sleep_ns(worked);
    pace->rested_ns = used;
}
