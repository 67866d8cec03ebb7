/* Set-up and stopping. A stop goes to every worker, which cancels its operations; the last
 * operation of a worker reports back to worker 0, and the last worker's report ends the stop. */
#include "querier/querier.h"

#include <assert.h>
#include <stddef.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/cxx/re2_shim.h"
#include "querier/api/job.h"
#include "querier/querier_internal.h"

#define LANE_CAPACITY 1024

static void report_stopped(struct nx_task *task)
{
    struct qry_worker *home = NX_OWNER(struct qry_worker, stopped, task);
    struct querier *qry = home->qry;
    if (--qry->workers_left == 0)
        qry->stopped(qry->stop_user);
}

void qry_worker_idle(struct qry_worker *home)
{
    if (!home->stopping || home->active || home->reported)
        return;
    home->reported = true;
    home->stopped.run = report_stopped;
    nx_worker_reply(nx_workers_at(home->qry->deps.workers, 0), &home->stopped);
}

static void stop_worker(struct nx_task *task)
{
    struct qry_worker *home = NX_OWNER(struct qry_worker, stop, task);
    home->stopping = true;
    for (struct qry_job *op = home->active; op; op = op->next)
        qry_job_cancel(op);
    qry_worker_idle(home);
}

void qry_stop(struct querier *qry, void (*done)(void *user), void *user)
{
    qry->stopped = done;
    qry->stop_user = user;
    qry->workers_left = qry->worker_count;
    for (size_t i = 0; i < qry->worker_count; i++) {
        qry->workers[i].stop.run = stop_worker;
        nx_worker_reply(qry->workers[i].worker, &qry->workers[i].stop);
    }
}

static enum nx_err take_settings(struct querier *qry, struct nx_fail *fail)
{
    const struct qry_settings *settings = qry->deps.settings;
    struct nx_fail cause = {0};
    qry->fetch_budget.max_bytes = (size_t)settings->max_inflight_bytes;
    atomic_init(&qry->fetch_budget.used_bytes, 0);
    if (nx_regex_new(nx_view_of(settings->cors_origin), true, &qry->cors_origin, &cause) != NX_OK)
        return nx_fail_set(fail, NX_ERR_CONFIG, "query.cors-origin: \"%s\": %s",
                           settings->cors_origin, nx_fail_text(&cause));
    return qry_features_parse(settings->features, &qry->features, fail);
}

static enum nx_err open_workers(struct querier *qry)
{
    qry->worker_count = nx_workers_count(qry->deps.workers);
    qry->workers = nx_calloc(qry->worker_count, sizeof *qry->workers);
    if (!qry->workers)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < qry->worker_count; i++) {
        qry->workers[i].qry = qry;
        qry->workers[i].worker = nx_workers_at(qry->deps.workers, i);
        qry->workers[i].client = qry->deps.clients[i];
    }
    return NX_OK;
}

enum nx_err qry_new(const struct qry_deps *deps, struct querier **out, struct nx_fail *fail)
{
    struct querier *qry = nx_calloc(1, sizeof *qry);
    if (!qry)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    qry->deps = *deps;
    qry->started_ms = nx_now_ms(deps->clock);
    atomic_init(&qry->in_flight, 0);
    enum nx_err err = take_settings(qry, fail);
    if (err) {
        qry_free(qry);
        return err;
    }
    err = open_workers(qry);
    if (!err)
        err = nx_lane_new("query", (size_t)deps->settings->concurrency, LANE_CAPACITY, &qry->lane);
    if (!err)
        err = nx_lane_observe(qry->lane, deps->telemetry);
    if (!err)
        err = qry_metrics_register(qry);
    if (!err)
        err = qry_add_routes(qry);
    if (err) {
        qry_free(qry);
        return nx_fail_set(fail, err, "querier: %s", nx_err_text(err));
    }
    *out = qry;
    return NX_OK;
}

void qry_free(struct querier *qry)
{
    if (!qry)
        return;
    if (qry->lane)
        nx_lane_free(qry->lane);
    nx_regex_free(qry->cors_origin);
    nx_free(qry->workers);
    nx_free(qry->routes);
    nx_free(qry);
}
