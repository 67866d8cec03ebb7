/* What the distributor's routes and its life cycle share. */
#ifndef DIST_DISTRIBUTOR_INTERNAL_H
#define DIST_DISTRIBUTOR_INTERNAL_H

#include <stdatomic.h>
#include <uv.h>

#include "common/base/rand.h"
#include "common/net/http_server.h"
#include "distributor/distributor.h"
#include "distributor/ha.h"
#include "distributor/ha_etcd.h"
#include "distributor/push.h"
#include "distributor/rates.h"
#include "distributor/scrape/scrape.h"
#include "distributor/shares.h"
#include "distributor/streams.h"

/* Touched by its worker's thread only. */
struct dist_worker {
    struct distributor *dist;
    struct dist_cluster cluster;
    struct nx_rpc_client *client;
    struct dist_pusher *pusher;
    struct nx_rand rand;
};

enum dist_drain_state { DIST_RUNNING, DIST_DRAINING, DIST_DRAINED };

/* A path of a stream; what its handlers are given. */
struct dist_route {
    struct distributor *dist;
    const struct dist_stream *stream;
};

struct distributor {
    struct dist_deps deps;
    struct nx_http_budget budget;
    struct nx_metrics *metrics;
    struct dist_loads *loads;
    struct dist_rates *rates;
    struct dist_ha *ha;
    struct dist_ha_etcd *ha_etcd; /* NULL: elections live in the ingesters */
    struct dist_shares *shares;
    struct dist_cache *cache;
    struct dist_worker *workers;
    size_t worker_count;
    struct dist_pusher **pushers; /* of the workers */
    struct dist_scrape *scrape;
    struct dist_route routes[DIST_STREAM_PATHS];
    /* Pushes that have not ended, and one for the running distributor itself. */
    atomic_size_t pushes;
    atomic_int drain_state;
    uv_timer_t drain_timer; /* on worker 0 */
    struct nx_task drain_task;
    void (*drained)(void *user);
    void *drained_user;
};

/* Counts what must end before the distributor has drained; any worker. */
void dist_count_push(void *dist, int delta);

/* Of every stream; `user` is a struct dist_route. */
bool dist_write_check(struct nx_http_request *req, void *user);
void dist_write_handle(struct nx_http_request *req, void *user);

#endif
