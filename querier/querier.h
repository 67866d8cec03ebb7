/* The querier: answers the Prometheus HTTP API by fanning out to the ingesters, merging the
 * replicas and evaluating PromQL. */
#ifndef QRY_QUERIER_H
#define QRY_QUERIER_H

#include "common/config/config.h"
#include "common/ring/ring.h"
#include "common/telemetry/notices.h"

struct querier;

/* Settings of the section `query`. */
struct qry_settings {
    int64_t lookback_ms;
    int64_t default_step_ms;
    int64_t timeout_ms;
    int64_t concurrency;
    int64_t max_samples;
    int64_t max_memory_bytes;   /* a query */
    int64_t max_fetched_bytes;  /* encoded chunks a query */
    int64_t max_inflight_bytes; /* the same, of all queries together */
    int64_t max_query_bytes;    /* length of the text */
    bool partial_response;
    const char *features; /* comma list, names of Prometheus's --enable-feature */
    const char *cors_origin;
    const char *distributors; /* host:port,...; "": nobody scrapes */
    bool enable_admin_api;
    bool multitenancy;
};
struct nx_setting_group qry_setting_group(struct qry_settings *settings);

struct qry_deps {
    const struct qry_settings *settings;
    const struct nx_config *config; /* for /api/v1/status/config */
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_rpc_client *const *clients; /* one a worker */
    struct nx_ring *ring;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
    struct nx_notices *notices; /* of the process; may be NULL */
};

/* Adds its routes and starts the evaluation lanes; before the workers start. NX_ERR_CONFIG names a
 * bad feature. */
enum nx_err qry_new(const struct qry_deps *deps, struct querier **out,
                    struct nx_fail *fail) NX_WARN_UNUSED;
/* After the HTTP server has stopped, on worker 0: cancels what still runs; then `done`, on worker
 * 0. */
void qry_stop(struct querier *qry, void (*done)(void *user), void *user);
void qry_free(struct querier *qry);

#endif
