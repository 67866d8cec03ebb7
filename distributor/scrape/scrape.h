/* Scraping: the distributor fetches samples from targets itself, as Prometheus does
 * (docs/scraping.md).
 *
 * Worker 0 keeps the configuration, runs discovery (on a lane of its own) and makes plans; each
 * worker scrapes those targets of the plan whose hash is its own, and pushes what it gets like any
 * write request. Distributors that know each other (scrape.peers) share the targets: each one
 * belongs to one live distributor. */
#ifndef DIST_SCRAPE_SCRAPE_H
#define DIST_SCRAPE_SCRAPE_H

#include "common/net/http_server.h"
#include "common/net/rpc.h"
#include "distributor/distributor.h"
#include "distributor/limits.h"
#include "distributor/push.h"
#include "distributor/rates.h"

struct dist_scrape;

struct dist_scrape_deps {
    const struct dist_settings *settings;
    const struct nx_limit_settings *limits;
    struct nx_overrides *overrides; /* may be NULL */
    struct dist_rates *rates;
    struct nx_workers *workers;
    struct nx_http_server *http; /* for the API's pages; NULL: somebody else serves them */
    struct nx_ring *ring;
    struct nx_rpc_server *rpc;            /* for peers and queriers; may be NULL */
    struct nx_rpc_client *const *clients; /* one a worker */
    struct dist_pusher *const *pushers;   /* one a worker */
    struct dist_cache *cache;
    struct nx_http_budget *budget;
    struct nx_metrics *dist_metrics;
    const char *self; /* as scrape.peers names this distributor */
    const char *cluster;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
};

/* Before the workers start. Reads the configuration: NX_ERR_CONFIG. */
enum nx_err dist_scrape_new(const struct dist_scrape_deps *deps, struct dist_scrape **out,
                            struct nx_fail *fail) NX_WARN_UNUSED;
/* On worker 0: discovery and scraping begin. */
void dist_scrape_start(struct dist_scrape *scrape);
/* Reads the file for a reload (path empty: nothing is scraped); `take` puts it in force, as the
 * next thing on worker 0. */
enum nx_err dist_scrape_check(struct dist_scrape *scrape, const char *path,
                              struct nx_fail *fail) NX_WARN_UNUSED;
void dist_scrape_take(struct dist_scrape *scrape);
/* On worker 0: ends all scrapes; `done` there, when no call and no timer is left. Pushes may still
 * be in flight. */
void dist_scrape_stop(struct dist_scrape *scrape, void (*done)(void *user), void *user);
/* After the workers have stopped. NULL: nothing. */
void dist_scrape_free(struct dist_scrape *scrape);

#endif
