/* Stands in for common/net/lane.c: a job runs as an event of its own after the time that a blocking
 * call may take, so that other things happen meanwhile; at most `threads` at once, the rest wait in
 * order. */
#include "common/net/lane.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "tests/sim/process.h"
#include "tests/sim/turn.h"

struct running {
    struct sim_event event;
    struct running *next;
    struct nx_lane *lane;
    struct nx_job *job;
};

struct nx_lane {
    struct sim_process *process;
    size_t threads, capacity;
    struct running *running; /* their order does not matter */
    size_t busy;
    struct nx_job *first, **last;
    size_t waiting;
    bool ending;
};

static void start_next(struct nx_lane *lane);

static void run_done(struct nx_task *task)
{
    struct nx_job *job = NX_OWNER(struct nx_job, task, task);
    job->done(job);
}

static void run_job(struct nx_job *job)
{
    struct nx_worker *home = job->home;
    struct nx_worker *before = sim_turn(NULL);
    job->run(job);
    (void)sim_turn(before);
    if (home) {
        job->task.run = run_done;
        nx_worker_reply(home, &job->task);
    } else {
        job->done(job);
    }
}

static void running_drop(struct sim_event *event)
{
    free(NX_OWNER(struct running, event, event));
}

static void unlink_running(struct running *running)
{
    struct running **at = &running->lane->running;
    while (*at != running)
        at = &(*at)->next;
    *at = running->next;
    running->lane->busy--;
}

static void running_run(struct sim_event *event)
{
    struct running *running = NX_OWNER(struct running, event, event);
    struct nx_lane *lane = running->lane;
    struct nx_job *job = running->job;
    unlink_running(running);
    free(running);
    run_job(job);
    start_next(lane);
}

/* Mostly what a fast disk takes; now and then a stall. */
static uint64_t duration_ns(const struct sim_process *process)
{
    uint64_t usual = (uint64_t)((double)(sim_between(20, 400) * SIM_US) * process->lane_slow);
    return sim_chance(0.002) ? usual + sim_between(1, 2000) * SIM_MS : usual;
}

static void start_next(struct nx_lane *lane)
{
    while (lane->first && lane->busy < lane->threads) {
        struct running *running = sim_calloc(1, sizeof *running);
        running->lane = lane;
        running->job = lane->first;
        lane->first = lane->first->next;
        if (!lane->first)
            lane->last = &lane->first;
        lane->waiting--;
        running->next = lane->running;
        lane->running = running;
        lane->busy++;
        running->event =
            (struct sim_event){.kind = SIM_LANE, .run = running_run, .drop = running_drop};
        sim_after(&running->event, lane->process, duration_ns(lane->process));
    }
}

enum nx_err nx_lane_new(const char *name, size_t threads, size_t capacity, struct nx_lane **out)
{
    (void)name;
    struct nx_lane *lane = sim_process_calloc(1, sizeof *lane);
    lane->process = sim_current();
    lane->threads = threads;
    lane->capacity = capacity;
    lane->last = &lane->first;
    *out = lane;
    return NX_OK;
}

void nx_lane_free(struct nx_lane *lane)
{
    if (!lane)
        return;
    lane->ending = true;
    while (lane->running) {
        struct running *running = lane->running;
        struct nx_job *job = running->job;
        unlink_running(running);
        sim_cancel(&running->event);
        run_job(job);
    }
    while (lane->first) {
        struct nx_job *job = lane->first;
        lane->first = job->next;
        run_job(job);
    }
    nx_free(lane);
}

void nx_lane_give_way(struct nx_lane *lane)
{
    (void)lane;
}

enum nx_err nx_lane_submit(struct nx_lane *lane, struct nx_job *job)
{
    if (lane->ending)
        return NX_ERR_CLOSED;
    if (lane->waiting >= lane->capacity)
        return NX_ERR_OVERLOADED;
    job->home = nx_worker_current();
    job->next = NULL;
    *lane->last = job;
    lane->last = &job->next;
    lane->waiting++;
    start_next(lane);
    return NX_OK;
}

enum nx_err nx_lane_observe(struct nx_lane *lane, struct nx_telemetry *telemetry)
{
    (void)lane;
    (void)telemetry;
    return NX_OK;
}

size_t nx_lane_backlog(struct nx_lane *lane)
{
    return lane->waiting;
}
