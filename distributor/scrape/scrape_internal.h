/* What the files of scraping share about its threads: the manager on worker 0, a shard on each
 * worker, a loop for each target. */
#ifndef DIST_SCRAPE_SCRAPE_INTERNAL_H
#define DIST_SCRAPE_SCRAPE_INTERNAL_H

#include <pthread.h>
#include <uv.h>

#include "common/net/http_client.h"
#include "common/net/lane.h"
#include "distributor/scrape/metrics.h"
#include "distributor/scrape/plan.h"
#include "distributor/scrape/samples.h"
#include "distributor/scrape/schedule.h"
#include "distributor/scrape/scrape.h"

/* --- loop.c: one target on its shard's thread --- */

struct scrape_shard;

struct scrape_loop {
    struct scrape_shard *shard;
    struct scrape_plan *plan; /* holds the target */
    const struct scrape_target *target;
    struct scrape_cache *cache;
    struct scrape_schedule schedule;
    uv_timer_t timer;
    struct nx_http_call *call; /* NULL: none out */
    uint64_t call_began_ns;
    int64_t at_ms; /* time of the scrape that is out */
    bool scraped;  /* at least once */
    bool closing;  /* frees itself when the timer and the call are gone */
    bool timer_closed;
    uint64_t metadata_hash; /* of what was last sent on */
    int64_t metadata_ms;    /* when */
};

/* NULL without memory. */
struct scrape_loop *scrape_loop_new(struct scrape_shard *shard, struct scrape_plan *plan,
                                    const struct scrape_target *target);
/* The same target in a new plan. */
void scrape_loop_update(struct scrape_loop *loop, struct scrape_plan *plan,
                        const struct scrape_target *target);
/* The target is in no plan any more: its series end after a while, and with them the loop. */
void scrape_loop_leave(struct scrape_loop *loop);
/* Ends without a word about its series. */
void scrape_loop_close(struct scrape_loop *loop);

/* --- store.c --- */
/* Resolves and pushes the batch, which it takes. Failures are counted and logged. */
void scrape_store(struct scrape_shard *shard, struct dist_batch *batch);

/* --- shard.c --- */

struct scrape_shard {
    struct dist_scrape *scrape;
    size_t index;
    struct nx_worker *worker;
    struct nx_http_client *client;
    struct dist_pusher *pusher;
    struct scrape_plan *plan;   /* NULL before the first */
    struct scrape_loop **loops; /* sorted by key */
    size_t loop_count, loop_capacity;
    size_t open_loops; /* closing ones included */
    bool stopping;
    int64_t complained_ms; /* last log line about pushes */
    struct nx_task stop_task;
    bool client_closing;
};

/* On its thread: makes its client, if it has none. */
enum nx_err scrape_shard_open(struct scrape_shard *shard) NX_WARN_UNUSED;
/* From worker 0: ends all loops, then the client; scrape->open_shards then counts one less. */
void scrape_shard_stop(struct scrape_shard *shard);
/* After the workers have stopped. */
void scrape_shard_release(struct scrape_shard *shard);

/* Takes a reference of the plan. From worker 0. NX_ERR_NOMEM. */
enum nx_err scrape_shard_send(struct scrape_shard *shard, struct scrape_plan *plan) NX_WARN_UNUSED;
/* Takes a loop that closes off the list. */
void scrape_shard_forget(struct scrape_shard *shard, struct scrape_loop *loop);
/* A loop has freed itself: goes on with the end, if that waits for it. */
void scrape_shard_closed(struct scrape_shard *shard);

/* --- discovery.c: the sources of targets, on worker 0 --- */

struct scrape_source {
    struct dist_scrape *scrape;
    struct scrape_config *config; /* holds the sd */
    const struct scrape_sd *sd;
    const char *job_name;
    struct scrape_groups *groups; /* NULL: nothing yet */
    int64_t due_ms;               /* of the monotonic clock; the next look */
    int64_t refresh_ms;           /* when it is to be read although nothing seems to have changed */
    uint64_t signature;           /* of the files, as last seen */
    bool busy;                    /* a job or a call is out */
    bool orphan;                  /* freed once it is not busy */
    /* of the job: */
    struct nx_job job;
    bool forced;
    struct scrape_groups *found; /* NULL: nothing new */
    enum nx_err err;
    struct nx_fail fail;
    char last_error[512];
};

/* On the lane. Each leaves `found` (NULL where nothing has changed) or `err` and `fail`. */
void scrape_discover_files(struct scrape_source *source);
void scrape_discover_dns(struct scrape_source *source);

/* --- scrape.c --- */

struct scrape_builder {
    struct dist_scrape *scrape;
    struct nx_job job;
    struct scrape_plan_input input;
    const char **peers;
    struct scrape_plan *plan;
    enum nx_err err;
};

#define SCRAPE_PEERS_MAX 1000

struct scrape_peer {
    struct dist_scrape *scrape;
    const char *address; /* in peer_arena, or, of a found one, of nx_alloc */
    bool self;
    bool asking;
    bool live;
    int64_t heard_ms; /* monotonic */
};

struct dist_scrape {
    struct dist_scrape_deps deps;
    struct nx_metrics *metrics;
    struct nx_lane *lane;
    struct scrape_shard *shards;
    size_t shard_count;
    uint64_t seed;

    /* worker 0 */
    struct scrape_config *config;
    struct scrape_config *next;     /* checked, to be taken */
    struct scrape_source **sources; /* of each job in turn, as the configuration lists them */
    size_t source_count;
    size_t busy_sources; /* orphans included */
    struct scrape_peer *peers;
    size_t peer_count;
    bool peers_found;     /* scrape.peers is empty: ingesters tell of them (found.c) */
    bool peers_known;     /* they have told, or need not */
    int64_t peers_due_ms; /* monotonic; when they are asked next */
    uint64_t rounds;      /* of asking so far */
    struct nx_arena peer_arena;
    struct scrape_builder *building; /* NULL: none */
    bool dirty;                      /* a new plan is due */
    bool started;
    bool stopping;
    bool may_begin;   /* ingesters are there; scrapes can be stored */
    int64_t began_ms; /* monotonic: the first tick */
    uv_timer_t tick;
    bool tick_open;
    size_t open_shards;
    void (*stopped)(void *user);
    void *stopped_user;
    uint64_t last_problems; /* hash of what was logged */

    pthread_mutex_t lock; /* guards `plan`, which the API reads on any worker */
    struct scrape_plan *plan;
};

/* Monotonic, ms. */
int64_t scrape_mono_ms(const struct dist_scrape *scrape);
struct scrape_plan *scrape_current_plan(struct dist_scrape *scrape); /* a reference, or NULL */
/* On worker 0: something about sources or peers has changed. */
void scrape_touch(struct dist_scrape *scrape);
/* On worker 0: calls `stopped` when nothing is out any more. */
void scrape_settle(struct dist_scrape *scrape);

/* discovery.c */
enum nx_err scrape_sources_replace(struct dist_scrape *scrape,
                                   struct scrape_config *config) NX_WARN_UNUSED;
void scrape_sources_tick(struct dist_scrape *scrape);
void scrape_sources_free(struct dist_scrape *scrape);

/* peers.c */
enum nx_err scrape_peers_init(struct dist_scrape *scrape, struct nx_fail *fail) NX_WARN_UNUSED;
void scrape_peers_tick(struct dist_scrape *scrape);
/* Addresses of the live ones, NULL-terminated (nx_free); NULL without memory. */
const char **scrape_peers_live(const struct dist_scrape *scrape);

/* found.c: peers that ingesters tell of, because they scrape by the same file. On worker 0. */
/* Asks when it is due, and forgets those silent for long. */
void scrape_found_tick(struct dist_scrape *scrape);

/* client.c */
struct scrape_call {
    const char *url;
    const struct scrape_http *http;
    const char *accept;
    int64_t timeout_ms;
    size_t max_body_bytes;
    bool tell_timeout; /* X-Prometheus-Scrape-Timeout-Seconds */
    void (*done)(void *user, const struct nx_http_response *response);
    void *user;
};
/* A GET with the credentials and TLS of `http`. NX_ERR_CONFIG where a file of them cannot be read.
 */
enum nx_err scrape_call_send(struct nx_http_client *client, const struct scrape_call *call,
                             struct nx_http_call **out, struct nx_fail *fail) NX_WARN_UNUSED;

/* api.c */
enum nx_err scrape_api_add(struct dist_scrape *scrape) NX_WARN_UNUSED;

#endif
