#include "distributor/scrape/schedule.h"

#include <assert.h>

enum { TOLERANCE_MS = 2 };

void scrape_schedule_begin(struct scrape_schedule *schedule, int64_t interval_ms, int64_t now_ms,
                           int64_t offset_ms)
{
    assert(interval_ms > 0 && offset_ms >= 0);
    *schedule = (struct scrape_schedule){.interval_ms = interval_ms, .due_ms = now_ms + offset_ms};
}

int64_t scrape_schedule_wait_ms(const struct scrape_schedule *schedule, int64_t now_ms)
{
    int64_t wait = schedule->due_ms - now_ms;
    /* a clock that was set back must not silence a target */
    if (wait > schedule->interval_ms)
        return schedule->interval_ms;
    return wait > 0 ? wait : 0;
}

/* The tick that follows on one at or before `now_ms`. */
static void advance(struct scrape_schedule *schedule, int64_t now_ms)
{
    int64_t late = now_ms - schedule->due_ms;
    if (late < -schedule->interval_ms || late > schedule->interval_ms * 1000)
        schedule->due_ms = now_ms; /* the clock was set */
    while (schedule->due_ms + schedule->interval_ms <= now_ms)
        schedule->due_ms += schedule->interval_ms;
    schedule->due_ms += schedule->interval_ms;
}

int64_t scrape_schedule_scrape(struct scrape_schedule *schedule, int64_t now_ms)
{
    int64_t tolerance = schedule->interval_ms / 100;
    assert(schedule->stage == SCRAPE_STAGE_RUNNING);
    advance(schedule, now_ms);
    int64_t tick = schedule->due_ms - schedule->interval_ms;
    int64_t off = now_ms > tick ? now_ms - tick : tick - now_ms;
    return off <= (tolerance < TOLERANCE_MS ? tolerance : TOLERANCE_MS) ? tick : now_ms;
}

void scrape_schedule_leave(struct scrape_schedule *schedule)
{
    if (schedule->stage == SCRAPE_STAGE_RUNNING)
        schedule->stage = SCRAPE_STAGE_GONE;
}

void scrape_schedule_return(struct scrape_schedule *schedule)
{
    /* the grace is no tick: what follows it is */
    if (schedule->stage == SCRAPE_STAGE_GRACE)
        schedule->due_ms += schedule->interval_ms - schedule->interval_ms / 10;
    schedule->stage = SCRAPE_STAGE_RUNNING;
}

void scrape_schedule_pass(struct scrape_schedule *schedule, int64_t now_ms)
{
    switch (schedule->stage) {
    case SCRAPE_STAGE_GONE:
        schedule->stale_ms = now_ms;
        advance(schedule, now_ms);
        schedule->stage = SCRAPE_STAGE_WAITING;
        break;
    case SCRAPE_STAGE_WAITING:
        schedule->due_ms = now_ms + schedule->interval_ms / 10;
        schedule->stage = SCRAPE_STAGE_GRACE;
        break;
    case SCRAPE_STAGE_GRACE:
        schedule->stage = SCRAPE_STAGE_OVER;
        break;
    case SCRAPE_STAGE_RUNNING:
    case SCRAPE_STAGE_OVER:
        break;
    }
}
