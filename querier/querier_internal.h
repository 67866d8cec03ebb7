/* The querier's own state, shared by its rooms. */
#ifndef QRY_QUERIER_INTERNAL_H
#define QRY_QUERIER_INTERNAL_H

#include <stdatomic.h>

#include "common/net/lane.h"
#include "querier/features.h"
#include "querier/querier.h"
#include "querier/select/fanout.h"

struct qry_job;
struct querier;

enum qry_metric {
    QRY_METRIC_REQUESTS,
    QRY_METRIC_RESPONSES,
    QRY_METRIC_SECONDS,
    QRY_METRIC_IN_FLIGHT,
    QRY_METRIC_SAMPLES,
    QRY_METRIC_FETCHED,
    QRY_METRIC_INCOMPLETE,
    QRY_METRIC_BACKLOG,
    QRY_METRIC_COUNT,
};

/* What belongs to one worker: touched on its thread only. */
struct qry_worker {
    struct querier *qry;
    struct nx_worker *worker;
    struct nx_rpc_client *client;
    struct qry_job *active; /* doubly linked */
    bool stopping;
    bool reported;
    struct nx_task stop;    /* to this worker: cancel everything */
    struct nx_task stopped; /* to worker 0: nothing is left here */
};

struct querier {
    struct qry_deps deps;
    struct qry_features features;
    struct nx_lane *lane; /* evaluation; `concurrency` threads */
    struct nx_metrics *metrics;
    struct qry_worker *workers;
    size_t worker_count;
    struct qry_route *routes;
    struct qry_fetch_budget fetch_budget;
    struct nx_regex *cors_origin;
    atomic_size_t telling;   /* ingesters of deletions they missed */
    atomic_size_t in_flight; /* requests with a fetch or an evaluation */
    int64_t started_ms;
    size_t workers_left; /* worker 0, while stopping */
    void (*stopped)(void *user);
    void *stop_user;
};

/* querier.c: an operation has ended; on its worker. */
void qry_worker_idle(struct qry_worker *home);
/* metrics.c */
enum nx_err qry_metrics_register(struct querier *qry) NX_WARN_UNUSED;

#endif
