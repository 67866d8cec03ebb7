/* The replicated push: sends each series of a batch to its owners and says when a majority has it
 * on disk.
 *
 * One pusher a worker; everything on its thread. A push lives until its last leg (the call to one
 * ingester) has ended, which may be after it has answered. */
#ifndef DIST_PUSH_H
#define DIST_PUSH_H

#include "common/base/log.h"
#include "common/base/time.h"
#include "common/net/rpc.h"
#include "common/ring/ring.h"
#include "distributor/batch.h"
#include "distributor/distributor.h"
#include "distributor/metrics.h"
#include "distributor/push_peer.h"
#include "distributor/refusals.h"
#include "distributor/resolve.h"
#include "distributor/series_cache.h"

/* The cluster as a push sees it; the real one stands on the ring and the RPC client, tests bring
 * their own. */
struct dist_cluster {
    struct nx_ring_view *(*acquire)(struct dist_cluster *cluster);
    void (*release)(struct dist_cluster *cluster, struct nx_ring_view *view);
    void (*report)(struct dist_cluster *cluster, const char *member_name, enum nx_err outcome);
    /* As nx_rpc_call, without a handle to cancel by. */
    enum nx_err (*call)(struct dist_cluster *cluster, const struct nx_rpc_call_options *options);
};

struct dist_push_result {
    /* NX_OK: every row is stored, or refused for good (`refusals`). NX_ERR_RATE_LIMITED: refused
     * for now. NX_ERR_UNAVAILABLE, NX_ERR_TIMEOUT, NX_ERR_OVERLOADED, NX_ERR_NOMEM: no majority. */
    enum nx_err err;
    struct nx_fail fail;                  /* says more where err is not NX_OK */
    const struct dist_refusals *refusals; /* by the ingesters */
    uint64_t stored[DIST_KIND_COUNT];     /* what a majority has on disk, whatever `err` is */
};

struct dist_push_request {
    struct dist_batch *batch; /* resolved; from dist_pusher_take_batch, and taken over */
    size_t charged_bytes;     /* given back to the budget with the batch */
    struct nx_view tenant;    /* copied */
    /* Exactly once, perhaps from inside dist_push_start. The result is valid during the call. */
    void (*done)(void *user, const struct dist_push_result *result);
    void *user;
};

struct dist_pusher_options {
    const struct dist_settings *settings;
    struct dist_cluster *cluster;
    struct dist_loads *loads;
    struct dist_cache *cache;
    struct nx_http_budget *budget; /* may be NULL */
    const struct nx_clock *clock;
    struct nx_metrics *metrics; /* metrics.h; may be NULL */
    struct nx_log *log;
    /* Called when a push begins (+1) and has ended with all its legs (-1); may be NULL. */
    void (*count)(void *user, int delta);
    void *user;
};

struct dist_pusher;
enum nx_err dist_pusher_new(const struct dist_pusher_options *options,
                            struct dist_pusher **out) NX_WARN_UNUSED;
/* No push may be in flight. */
void dist_pusher_free(struct dist_pusher *pusher);

/* A cleared batch, NULL without memory; goes back with a push or with give_batch. */
struct dist_batch *dist_pusher_take_batch(struct dist_pusher *pusher);
void dist_pusher_give_batch(struct dist_pusher *pusher, struct dist_batch *batch);

/* Takes the batch in every case; failures are told through `done`. */
void dist_push_start(struct dist_pusher *pusher, const struct dist_push_request *request);

/* Bytes in the budget: false, and nothing charged, beyond its end. */
bool dist_budget_charge(struct nx_http_budget *budget, size_t bytes);
void dist_budget_discharge(struct nx_http_budget *budget, size_t bytes);

#endif
