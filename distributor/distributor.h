/* The distributor: receives samples, validates them, places every series on its owners and answers
 * when a majority of them has it on disk. */
#ifndef DIST_DISTRIBUTOR_H
#define DIST_DISTRIBUTOR_H

#include "common/config/overrides.h"
#include "common/ring/ring.h"

struct distributor;

/* Settings of the sections `distributor` and `scrape`; filled through dist_setting_group. */
struct dist_settings {
    int64_t push_timeout_ms;
    int64_t ha_failover_ms;
    int64_t ha_update_ms;
    int64_t max_inflight_bytes;
    int64_t max_body_bytes;
    int64_t max_decoded_bytes;
    int64_t series_cache_bytes;
    bool multitenancy;
    const char *scrape_config_file;
    const char *scrape_tenant;
    const char *scrape_peers;
    int64_t scrape_peer_timeout_ms;
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
    const struct nx_etcd_access *etcd; /* where the ring lives in etcd; else NULL */
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
    /* Of scraping: */
    struct nx_rpc_server *rpc; /* for peers and queriers; may be NULL */
    const char *address;       /* as this node is advertised */
    const char *cluster;
    bool serves_targets; /* nobody else in the process serves the API's pages of targets */
};

/* Adds its routes; before the workers start. NX_ERR_CONFIG where the scrape configuration is at
 * fault. */
enum nx_err dist_new(const struct dist_deps *deps, struct distributor **out,
                     struct nx_fail *fail) NX_WARN_UNUSED;
/* On worker 0, when pushes can succeed: scraping begins. */
void dist_start(struct distributor *dist);
/* Of a reload: reads the scrape configuration at `path`; `take` puts it in force, on worker 0. */
enum nx_err dist_reload_check(struct distributor *dist, const char *path,
                              struct nx_fail *fail) NX_WARN_UNUSED;
void dist_reload_take(struct distributor *dist);
/* After the HTTP server has stopped: ends scraping; `done` when no push is in flight any more (or
 * after the push time-out). Called on worker 0; `done` too. */
void dist_drain(struct distributor *dist, void (*done)(void *user), void *user);
/* After the workers have stopped. */
void dist_free(struct distributor *dist);

#endif
