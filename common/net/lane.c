/* A lane's queue is a list under one mutex: its jobs block for far longer than a lock is held. */
#include "common/net/lane.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/net/thread.h"

enum { THREAD_NAME_MAX = 16 };

struct nx_lane {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct nx_job *first; /* under lock, as all below */
    struct nx_job **last;
    size_t waiting;
    bool ending;
    bool gives_way;
    size_t capacity;
    size_t thread_count;
    pthread_t *threads;
    char name[THREAD_NAME_MAX];
    struct nx_metrics *metrics;
};

enum lane_metric { LANE_WAITING, LANE_JOBS, LANE_REFUSED, LANE_METRICS };

static const struct nx_metric_desc lane_descs[LANE_METRICS] = {
    [LANE_WAITING] = {.kind = NX_GAUGE,
                      .name = "narthex_lane_waiting_jobs",
                      .help = "Blocking jobs that wait for a thread of the lane."},
    [LANE_JOBS] = {.kind = NX_COUNTER,
                   .name = "narthex_lane_jobs_total",
                   .help = "Blocking jobs given to the lane."},
    [LANE_REFUSED] = {.kind = NX_COUNTER,
                      .name = "narthex_lane_refused_total",
                      .help = "Blocking jobs refused because the lane's queue was full."},
};

static void run_done(struct nx_task *task)
{
    struct nx_job *job = NX_OWNER(struct nx_job, task, task);
    job->done(job);
}

static void run_job(struct nx_job *job)
{
    struct nx_worker *home = job->home;
    job->run(job);
    if (home) {
        job->task.run = run_done;
        nx_worker_reply(home, &job->task);
    } else {
        job->done(job);
    }
}

static void *lane_main(void *arg)
{
    struct nx_lane *lane = arg;
    bool gives_way = false;
    pthread_mutex_lock(&lane->lock);
    for (;;) {
        while (!lane->first && !lane->ending) {
            pthread_cond_wait(&lane->work, &lane->lock);
        }
        struct nx_job *job = lane->first;
        if (!job) {
            break;
        }
        lane->first = job->next;
        if (!lane->first) {
            lane->last = &lane->first;
        }
        lane->waiting--;
        nx_metric_add(lane->metrics, LANE_WAITING, 0, -1);
        if (lane->gives_way && !gives_way) {
            nx_thread_give_way();
            gives_way = true;
        }
        pthread_mutex_unlock(&lane->lock);
        run_job(job);
        pthread_mutex_lock(&lane->lock);
    }
    pthread_mutex_unlock(&lane->lock);
    return NULL;
}

static enum nx_err start_threads(struct nx_lane *lane, size_t threads)
{
    for (; lane->thread_count < threads; lane->thread_count++) {
        pthread_t *thread = &lane->threads[lane->thread_count];
        if (nx_thread_start(lane->name, lane_main, lane, thread) != NX_OK) {
            break;
        }
    }
    return lane->thread_count == threads ? NX_OK : NX_ERR_NOMEM;
}

enum nx_err nx_lane_new(const char *name, size_t threads, size_t capacity, struct nx_lane **out)
{
    assert(threads > 0 && capacity > 0);
    struct nx_lane *lane = nx_calloc(1, sizeof(*lane));
    if (!lane) {
        return NX_ERR_NOMEM;
    }
    pthread_mutex_init(&lane->lock, NULL);
    pthread_cond_init(&lane->work, NULL);
    lane->last = &lane->first;
    lane->capacity = capacity;
    (void)snprintf(lane->name, sizeof(lane->name), "%s", name);
    lane->threads = nx_alloc_array(threads, sizeof(*lane->threads));
    enum nx_err err = lane->threads ? start_threads(lane, threads) : NX_ERR_NOMEM;
    if (err != NX_OK) {
        nx_lane_free(lane);
        return err;
    }
    *out = lane;
    return NX_OK;
}

void nx_lane_free(struct nx_lane *lane)
{
    if (!lane) {
        return;
    }
    pthread_mutex_lock(&lane->lock);
    lane->ending = true;
    pthread_cond_broadcast(&lane->work);
    pthread_mutex_unlock(&lane->lock);
    for (size_t i = 0; i < lane->thread_count; i++) {
        pthread_join(lane->threads[i], NULL);
    }
    assert(!lane->first);
    nx_free(lane->threads);
    pthread_cond_destroy(&lane->work);
    pthread_mutex_destroy(&lane->lock);
    nx_free(lane);
}

void nx_lane_give_way(struct nx_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    lane->gives_way = true;
    pthread_mutex_unlock(&lane->lock);
}

enum nx_err nx_lane_submit(struct nx_lane *lane, struct nx_job *job)
{
    enum nx_err err = NX_OK;
    pthread_mutex_lock(&lane->lock);
    if (lane->ending) {
        err = NX_ERR_CLOSED;
    } else if (lane->waiting >= lane->capacity) {
        err = NX_ERR_OVERLOADED;
        nx_metric_inc(lane->metrics, LANE_REFUSED);
    } else {
        job->home = nx_worker_current();
        job->next = NULL;
        *lane->last = job;
        lane->last = &job->next;
        lane->waiting++;
        nx_metric_add(lane->metrics, LANE_WAITING, 0, 1);
        nx_metric_inc(lane->metrics, LANE_JOBS);
        pthread_cond_signal(&lane->work);
    }
    pthread_mutex_unlock(&lane->lock);
    return err;
}

enum nx_err nx_lane_observe(struct nx_lane *lane, struct nx_telemetry *telemetry)
{
    return nx_telemetry_register(telemetry, lane_descs, LANE_METRICS, "lane", lane->name,
                                 &lane->metrics);
}

size_t nx_lane_backlog(struct nx_lane *lane)
{
    pthread_mutex_lock(&lane->lock);
    size_t waiting = lane->waiting;
    pthread_mutex_unlock(&lane->lock);
    return waiting;
}
