/* A lane: one named thread for calls that block (fsync, compaction, query evaluation), with a bounded queue.
 * Jobs run in order. `run` is called on the lane; then `done` on the worker that submitted it. */
#ifndef NX_NET_LANE_H
#define NX_NET_LANE_H

#include "common/net/worker.h"

struct nx_lane;

struct nx_job {
    void (*run)(struct nx_job *job);
    void (*done)(struct nx_job *job); /* on `home`, exactly once; may free the job */
    struct nx_worker *home;           /* NULL: `done` is called on the lane */
    struct nx_job *next;
    struct nx_task task;
};

/* Both counts above 0; `threads` > 1 makes it a pool: jobs start in order but run side by side. */
enum nx_err nx_lane_new(const char *name, size_t threads, size_t capacity, struct nx_lane **out)
    NX_WARN_UNUSED;
/* Runs what is queued, then joins. The homes must still run. */
void nx_lane_free(struct nx_lane *lane);
/* Sets job->home to the calling worker. NX_ERR_OVERLOADED when the queue is full, NX_ERR_CLOSED once it is being
 * freed: nothing is called. */
enum nx_err nx_lane_submit(struct nx_lane *lane, struct nx_job *job) NX_WARN_UNUSED;
/* Its jobs may wait for those of others: its threads give way where the CPU is short. Before the first submit. */
void nx_lane_give_way(struct nx_lane *lane);
/* Exposes the lane's queue under lane="<name>" (lanes of one name are added up). Before the first submit. */
enum nx_err nx_lane_observe(struct nx_lane *lane, struct nx_telemetry *telemetry) NX_WARN_UNUSED;
/* Jobs that wait for a thread; any thread. */
size_t nx_lane_backlog(struct nx_lane *lane);

#endif
