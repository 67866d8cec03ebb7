/* When a target is scraped, and when its series are given up after it has gone; pure, in
 * milliseconds of the wall clock.
 *
 * Ticks are an interval apart. A scrape that comes up to 2 ms (at most 1 % of the interval) late
 * carries the time of its tick, so that intervals are regular (Prometheus's
 * timestamp-tolerance). After a target has gone, its series are marked stale as of the next tick,
 * but only after one more tick and a tenth of the interval have passed without its coming back. */
#ifndef DIST_SCRAPE_SCHEDULE_H
#define DIST_SCRAPE_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct scrape_schedule {
    int64_t interval_ms;
    int64_t due_ms;   /* of the next tick */
    int64_t stale_ms; /* time of the markers */
    enum scrape_stage {
        SCRAPE_STAGE_RUNNING,
        SCRAPE_STAGE_GONE,    /* until the next tick */
        SCRAPE_STAGE_WAITING, /* for one tick more */
        SCRAPE_STAGE_GRACE,   /* a tenth of the interval */
        SCRAPE_STAGE_OVER,    /* the markers are to be written */
    } stage;
};

void scrape_schedule_begin(struct scrape_schedule *schedule, int64_t interval_ms, int64_t now_ms,
                           int64_t offset_ms);
/* Time until the next tick, 0 where it has passed. */
int64_t scrape_schedule_wait_ms(const struct scrape_schedule *schedule, int64_t now_ms);
/* A tick, while running: the timestamp of its scrape. The next tick is set; those missed meanwhile
 * are left out. */
int64_t scrape_schedule_scrape(struct scrape_schedule *schedule, int64_t now_ms);
/* The target has gone, or has come back before its series were given up. */
void scrape_schedule_leave(struct scrape_schedule *schedule);
void scrape_schedule_return(struct scrape_schedule *schedule);
/* A tick after the target has gone. */
void scrape_schedule_pass(struct scrape_schedule *schedule, int64_t now_ms);

#endif
