/* The distributor: receives samples, validates them, places every series on its owners and answers
 * when a majority of them has it on disk. */
#ifndef DIST_DISTRIBUTOR_H
#define DIST_DISTRIBUTOR_H

#include "common/config/overrides.h"
#include "common/ring/ring.h"

struct distributor;

/* Settings of the section `distributor`; filled through dist_setting_group. */
struct dist_settings {
    int64_t push_timeout_ms;
    int64_t ha_failover_ms;
    int64_t ha_update_ms;
    int64_t max_inflight_bytes;
    int64_t max_body_bytes;
    int64_t max_decoded_bytes;
    int64_t series_cache_bytes;
    bool multitenancy;
};
struct nx_setting_group dist_setting_group(struct dist_settings *settings);

struct dist_deps {
    const struct dist_settings *settings;
    const struct nx_limit_settings *limits;
    struct nx_overrides *overrides; /* may be NULL */
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_rpc_client *const *clients; /* one a worker */
    struct nx_ring *ring;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
};

/* Adds its routes; before the workers start. */
enum nx_err dist_new(const struct dist_deps *deps, struct distributor **out) NX_WARN_UNUSED;
/* After the HTTP server has stopped: `done` when no push is in flight any more (or after the push
 * time-out). Called on worker 0; `done` too. */
void dist_drain(struct distributor *dist, void (*done)(void *user), void *user);
/* After the workers have stopped. */
void dist_free(struct distributor *dist);

#endif
