/* Life cycle: one dist_worker a worker (cache, pusher), shared loads and budget. A push counts in
 * `pushes`; the running distributor holds one of its own, which drain gives back, so that whoever
 * brings the number to zero (any worker) knows that the drain is over and tells worker 0. */
#include "distributor/distributor.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "distributor/distributor_internal.h"
#include "distributor/metrics.h"
#include "distributor/user_info.h"

enum { DRAIN_SLACK_MS = 1000, RETRY_AFTER_S = 1 };

/* --- the real cluster --- */

static struct dist_worker *worker_of(struct dist_cluster *cluster)
{
    return NX_OWNER(struct dist_worker, cluster, cluster);
}

static struct nx_ring_view *acquire(struct dist_cluster *cluster)
{
    return nx_ring_acquire(worker_of(cluster)->dist->deps.ring);
}

static void release(struct dist_cluster *cluster, struct nx_ring_view *view)
{
    (void)cluster;
    nx_ring_release(view);
}

static void report(struct dist_cluster *cluster, const char *member_name, enum nx_err outcome)
{
    nx_ring_report(worker_of(cluster)->dist->deps.ring, member_name, outcome);
}

static enum nx_err call(struct dist_cluster *cluster, const struct nx_rpc_call_options *options)
{
    struct nx_rpc_call *handle = NULL;
    return nx_rpc_call(worker_of(cluster)->client, options, &handle);
}

/* --- drain --- */

static void on_drain_timer_closed(uv_handle_t *handle)
{
    struct distributor *dist = handle->data;
    dist->drained(dist->drained_user);
}

static bool finish_drain(struct distributor *dist)
{
    int expected = DIST_DRAINING;
    return atomic_compare_exchange_strong(&dist->drain_state, &expected, DIST_DRAINED);
}

static void run_drain_task(struct nx_task *task)
{
    struct distributor *dist = NX_OWNER(struct distributor, drain_task, task);
    uv_close((uv_handle_t *)&dist->drain_timer, on_drain_timer_closed);
}

static void on_drain_timeout(uv_timer_t *timer)
{
    struct distributor *dist = timer->data;
    if (finish_drain(dist))
        uv_close((uv_handle_t *)&dist->drain_timer, on_drain_timer_closed);
}

static void drop_push(struct distributor *dist)
{
    if (atomic_fetch_sub(&dist->pushes, 1) == 1 && finish_drain(dist))
        nx_worker_reply(nx_workers_at(dist->deps.workers, 0), &dist->drain_task);
}

void dist_count_push(void *user, int delta)
{
    struct distributor *dist = user;
    if (delta > 0)
        (void)atomic_fetch_add(&dist->pushes, 1);
    else
        drop_push(dist);
}

static void drain_pushes(void *user)
{
    struct distributor *dist = user;
    struct nx_worker *home = nx_workers_at(dist->deps.workers, 0);
    dist->drain_timer.data = dist;
    dist->drain_task.run = run_drain_task;
    int err = uv_timer_init(nx_worker_loop(home), &dist->drain_timer);
    assert(err == 0); /* neither call can fail with a callback given */
    err = uv_timer_start(&dist->drain_timer, on_drain_timeout,
                         (uint64_t)dist->deps.settings->push_timeout_ms + DRAIN_SLACK_MS, 0);
    assert(err == 0);
    (void)err;
    atomic_store(&dist->drain_state, DIST_DRAINING);
    drop_push(dist);
}

void dist_drain(struct distributor *dist, void (*done)(void *user), void *user)
{
    assert(nx_worker_is_current(nx_workers_at(dist->deps.workers, 0)));
    dist->drained = done;
    dist->drained_user = user;
    dist_ha_etcd_stop(dist->ha_etcd);
    dist_scrape_stop(dist->scrape, drain_pushes, dist);
}

/* --- scraping --- */

static enum nx_err open_scrape(struct distributor *dist, struct nx_fail *fail)
{
    struct dist_scrape_deps deps = {.settings = dist->deps.settings,
                                    .limits = dist->deps.limits,
                                    .overrides = dist->deps.overrides,
                                    .rates = dist->rates,
                                    .workers = dist->deps.workers,
                                    .http = dist->deps.serves_targets ? dist->deps.http : NULL,
                                    .ring = dist->deps.ring,
                                    .rpc = dist->deps.rpc,
                                    .clients = dist->deps.clients,
                                    .pushers = dist->pushers,
                                    .cache = dist->cache,
                                    .budget = &dist->budget,
                                    .dist_metrics = dist->metrics,
                                    .self = dist->deps.address,
                                    .cluster = dist->deps.cluster,
                                    .clock = dist->deps.clock,
                                    .log = dist->deps.log,
                                    .telemetry = dist->deps.telemetry};
    dist->pushers = nx_calloc(dist->worker_count, sizeof(struct dist_pusher *));
    if (!dist->pushers)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < dist->worker_count; i++)
        dist->pushers[i] = dist->workers[i].pusher;
    deps.pushers = dist->pushers;
    return dist_scrape_new(&deps, &dist->scrape, fail);
}

void dist_start(struct distributor *dist)
{
    dist_scrape_start(dist->scrape);
}

enum nx_err dist_reload_check(struct distributor *dist, const char *path, struct nx_fail *fail)
{
    return dist_scrape_check(dist->scrape, path, fail);
}

void dist_reload_take(struct distributor *dist)
{
    dist_scrape_take(dist->scrape);
}

/* --- set-up --- */

static void collect(void *user)
{
    struct distributor *dist = user;
    struct dist_cache_stats cache = dist_cache_stats(dist->cache);
    size_t used = atomic_load_explicit(&dist->budget.used_bytes, memory_order_relaxed);
    size_t pushes = atomic_load_explicit(&dist->pushes, memory_order_relaxed);
    nx_metric_set(dist->metrics, DIST_METRIC_CACHE_SERIES, 0, (double)cache.series);
    nx_metric_set(dist->metrics, DIST_METRIC_CACHE_BYTES, 0, (double)cache.bytes);
    nx_metric_set(dist->metrics, DIST_METRIC_CACHE_EVICTIONS, 0, (double)cache.evictions);
    nx_metric_set(dist->metrics, DIST_METRIC_INFLIGHT_BYTES, 0, (double)used);
    nx_metric_set(dist->metrics, DIST_METRIC_INFLIGHT_PUSHES, 0,
                  pushes > 0 ? (double)(pushes - 1) : 0);
}

static enum nx_err init_worker(struct distributor *dist, size_t i)
{
    struct dist_worker *worker = &dist->workers[i];
    worker->dist = dist;
    worker->client = dist->deps.clients[i];
    worker->cluster = (struct dist_cluster){
        .acquire = acquire, .release = release, .report = report, .call = call};
    nx_rand_system(&worker->rand);
    struct dist_pusher_options options = {.settings = dist->deps.settings,
                                          .cluster = &worker->cluster,
                                          .loads = dist->loads,
                                          .cache = dist->cache,
                                          .budget = &dist->budget,
                                          .clock = dist->deps.clock,
                                          .metrics = dist->metrics,
                                          .log = dist->deps.log,
                                          .count = dist_count_push,
                                          .user = dist};
    return dist_pusher_new(&options, &worker->pusher);
}

static enum nx_err add_routes(struct distributor *dist)
{
    for (size_t i = 0; i < DIST_STREAM_PATHS; i++) {
        const struct dist_stream_path *path = &dist_stream_paths[i];
        dist->routes[i] = (struct dist_route){.dist = dist, .stream = path->stream};
        struct nx_http_route route = {.methods = path->methods,
                                      .path = path->path,
                                      .handle = dist_write_handle,
                                      .check = dist_write_check,
                                      .user = &dist->routes[i],
                                      .max_body_bytes = (size_t)dist->deps.settings->max_body_bytes,
                                      .body_setting = "distributor.max-body-bytes",
                                      .budget = &dist->budget};
        enum nx_err err = nx_http_server_route(dist->deps.http, &route);
        if (err)
            return err;
    }
    return NX_OK;
}

static enum nx_err set_up(struct distributor *dist, struct nx_fail *fail)
{
    enum nx_err err = dist_loads_new(&dist->loads);
    if (!err)
        err = dist_rates_new(&dist->rates);
    if (!err)
        err = dist_ha_new(&dist->ha);
    if (!err && dist->deps.etcd)
        err = dist_ha_etcd_new(dist->deps.etcd, dist->deps.cluster, dist->deps.telemetry,
                               &dist->ha_etcd, fail);
    if (!err)
        err = dist_shares_new(&dist->shares);
    if (!err)
        err = dist_cache_new((size_t)dist->deps.settings->series_cache_bytes, &dist->cache);
    if (!err)
        err = dist_metrics_register(dist->deps.telemetry, &dist->metrics);
    if (!err)
        err = nx_telemetry_on_collect(dist->deps.telemetry, collect, dist);
    for (size_t i = 0; i < dist->worker_count && !err; i++)
        err = init_worker(dist, i);
    if (!err)
        err = add_routes(dist);
    if (!err)
        err = dist_user_info_add(dist);
    return err ? err : open_scrape(dist, fail);
}

enum nx_err dist_new(const struct dist_deps *deps, struct distributor **out, struct nx_fail *fail)
{
    struct distributor *dist = nx_calloc(1, sizeof *dist);
    if (!dist)
        return NX_ERR_NOMEM;
    dist->deps = *deps;
    dist->worker_count = nx_workers_count(deps->workers);
    dist->budget.max_bytes = (size_t)deps->settings->max_inflight_bytes;
    dist->budget.setting = "distributor.max-inflight-bytes";
    dist->budget.retry_after_s = RETRY_AFTER_S;
    atomic_init(&dist->budget.used_bytes, 0);
    atomic_init(&dist->pushes, 1);
    atomic_init(&dist->drain_state, DIST_RUNNING);
    dist->workers = nx_calloc(dist->worker_count, sizeof *dist->workers);
    enum nx_err err = dist->workers ? set_up(dist, fail) : NX_ERR_NOMEM;
    if (err) {
        dist_free(dist);
        return err;
    }
    *out = dist;
    return NX_OK;
}

void dist_free(struct distributor *dist)
{
    if (!dist)
        return;
    dist_scrape_free(dist->scrape);
    nx_free(dist->pushers);
    for (size_t i = 0; dist->workers && i < dist->worker_count; i++) {
        dist_pusher_free(dist->workers[i].pusher);
    }
    dist_cache_free(dist->cache);
    nx_free(dist->workers);
    dist_loads_free(dist->loads);
    dist_rates_free(dist->rates);
    dist_ha_etcd_free(dist->ha_etcd);
    dist_ha_free(dist->ha);
    dist_shares_free(dist->shares);
    nx_free(dist);
}
