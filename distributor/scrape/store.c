/* A scrape's samples go the way of a write request: resolved (cache, limits), then pushed. There is
 * nobody to retry: what fails is lost, counted and logged. */
#include "common/base/alloc.h"
#include "distributor/refusals.h"
#include "distributor/scrape/scrape_internal.h"

#define COMPLAIN_EVERY_MS 10000

struct store {
    struct scrape_shard *shard;
    size_t samples;
};

/* One line every ten seconds a worker. */
static void complain(struct scrape_shard *shard, const char *what, const char *why)
{
    struct dist_scrape *scrape = shard->scrape;
    int64_t now = scrape_mono_ms(scrape);
    if (shard->complained_ms && now - shard->complained_ms < COMPLAIN_EVERY_MS)
        return;
    shard->complained_ms = now;
    nx_log(scrape->deps.log, NX_LOG_WARN, what, NX_S("reason", why));
}

static void on_pushed(void *user, const struct dist_push_result *result)
{
    struct store *store = user;
    struct scrape_shard *shard = store->shard;
    struct dist_scrape *scrape = shard->scrape;
    dist_metrics_refusals(scrape->deps.dist_metrics, result->refusals);
    if (result->err) {
        nx_metric_inc(scrape->metrics, SCRAPE_METRIC_PUSH_FAILURES);
        complain(shard, "samples of a scrape are not stored",
                 result->fail.code ? nx_fail_text(&result->fail) : nx_err_text(result->err));
    } else {
        nx_metric_add(scrape->metrics, SCRAPE_METRIC_SAMPLES, 0, (double)store->samples);
        nx_metric_add(scrape->deps.dist_metrics, DIST_METRIC_ACCEPTED, DIST_KIND_FLOAT,
                      (double)store->samples);
        if (dist_refusals_any(result->refusals))
            complain(shard, "samples of a scrape are refused",
                     nx_fail_text(&result->refusals->first));
    }
    nx_free(store);
}

static size_t count_samples(const struct dist_batch *batch)
{
    size_t samples = 0;
    for (size_t i = 0; i < batch->series_count; i++)
        if (!batch->series[i].refused)
            samples += (size_t)batch->series[i].sample_count + batch->series[i].histogram_count;
    return samples;
}

/* The tenant's rate is counted, but it does not hold back: nobody would send the samples again. */
static enum nx_err resolve(struct scrape_shard *shard, struct dist_batch *batch,
                           struct nx_fail *fail)
{
    const struct dist_scrape_deps *deps = &shard->scrape->deps;
    struct nx_view tenant = nx_view_of(deps->settings->scrape_tenant);
    struct dist_limits limits;
    struct dist_refusals refusals = {.samples = 0};
    struct dist_resolver resolver = {.limits = &limits,
                                     .cache = deps->cache,
                                     .tenant = tenant,
                                     .now_ms = nx_now_ms(deps->clock)};
    double samples = (double)count_samples(batch);
    nx_metric_add(deps->dist_metrics, DIST_METRIC_RECEIVED, DIST_KIND_FLOAT, samples);
    dist_rates_count(deps->rates, tenant, samples, nx_now_ns(deps->clock));
    dist_limits_get(deps->limits, deps->overrides, tenant, &limits);
    enum nx_err err = dist_resolve(&resolver, batch, &refusals, fail);
    dist_limits_release(&limits);
    if (resolver.dropped > 0)
        nx_metric_add(deps->dist_metrics, DIST_METRIC_DROPPED, 0, (double)resolver.dropped);
    nx_metric_add(deps->dist_metrics, DIST_METRIC_CACHE_REQUESTS, DIST_CACHE_HIT,
                  (double)resolver.hits);
    nx_metric_add(deps->dist_metrics, DIST_METRIC_CACHE_REQUESTS, DIST_CACHE_MISS,
                  (double)resolver.misses);
    dist_metrics_refusals(deps->dist_metrics, &refusals);
    if (!err && dist_refusals_any(&refusals))
        complain(shard, "samples of a scrape are refused", nx_fail_text(&refusals.first));
    return err;
}

void scrape_store(struct scrape_shard *shard, struct dist_batch *batch)
{
    const struct dist_scrape_deps *deps = &shard->scrape->deps;
    struct nx_fail fail = {.code = NX_OK};
    struct store *store = nx_calloc(1, sizeof *store);
    size_t charged = 0;
    enum nx_err err = store ? resolve(shard, batch, &fail) : NX_ERR_NOMEM;
    if (!err) {
        charged = dist_batch_memory_bytes(batch);
        if (!dist_budget_charge(deps->budget, charged))
            err = nx_fail_set(&fail, NX_ERR_OVERLOADED,
                              "too many bytes of writes in flight "
                              "(distributor.max-inflight-bytes)");
    }
    if (err) {
        nx_free(store);
        dist_pusher_give_batch(shard->pusher, batch);
        nx_metric_inc(shard->scrape->metrics, SCRAPE_METRIC_PUSH_FAILURES);
        complain(shard, "samples of a scrape are not stored",
                 fail.code ? nx_fail_text(&fail) : nx_err_text(err));
        return;
    }
    *store = (struct store){.shard = shard, .samples = count_samples(batch)};
    struct dist_push_request push = {.batch = batch,
                                     .charged_bytes = charged,
                                     .tenant = nx_view_of(deps->settings->scrape_tenant),
                                     .done = on_pushed,
                                     .user = store};
    dist_push_start(shard->pusher, &push);
}
