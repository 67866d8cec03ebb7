/* One write request from headers to answer: negotiate (before the body is read), decompress,
 * decode, resolve, push.
 *
 * Everything the request keeps until its answer lies in the HTTP request's arena; the decoded body
 * and the columns lie in a batch, which goes over to the push. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/net/tenant.h"
#include "distributor/distributor_internal.h"
#include "distributor/ha_claim.h"
#include "distributor/ha_pair.h"
#include "distributor/metrics.h"
#include "distributor/resolve.h"

/* Columns and labels take about as much as the decoded body itself. */
enum { MEMORY_PER_DECODED_BYTE = 2, ANSWER_TEXT_BYTES = 1000, MAX_RETRY_AFTER_S = 60 };

#define NS_PER_MS UINT64_C(1000000)

static const char overloaded_text[] =
    "too many bytes of write requests in flight; retry, or raise distributor.max-inflight-bytes";

static const char unfair_text[] =
    "the tenant has its part of the memory for write requests in flight; retry, or raise "
    "distributor.max-inflight-bytes";

struct write_request {
    struct dist_worker *worker;
    struct nx_http_request *http;
    const struct dist_stream *stream;
    struct dist_form form;
    uint64_t started_ns;
    unsigned retry_after_s; /* 0: a few seconds at random */
    struct nx_view tenant;
    struct dist_limits limits;
    struct dist_batch *batch; /* until it is pushed */
    size_t charged;           /* for it */
    size_t share;             /* of the tenant's part; until the answer */
    struct dist_ha_pair pair;
    uint64_t received[DIST_KIND_COUNT];
    uint64_t valid[DIST_KIND_COUNT];
    struct dist_refusals refusals; /* found before the push */
};

/* --- answers --- */

/* `stored` may be NULL: nothing. */
static void put_written_headers(struct nx_http_request *http, const uint64_t *stored)
{
    static const char *const names[] = {
        [DIST_KIND_FLOAT] = "X-Prometheus-Remote-Write-Samples-Written",
        [DIST_KIND_HISTOGRAM] = "X-Prometheus-Remote-Write-Histograms-Written",
        [DIST_KIND_EXEMPLAR] = "X-Prometheus-Remote-Write-Exemplars-Written",
    };
    for (size_t kind = 0; kind <= DIST_KIND_EXEMPLAR; kind++) {
        char count[24];
        (void)snprintf(count, sizeof count, "%" PRIu64, stored ? stored[kind] : 0);
        nx_http_response_header(http, names[kind], count);
    }
}

/* Spread over a few seconds, so that senders turned away together do not come back together. */
static void put_retry_after(struct dist_worker *worker, struct nx_http_request *http,
                            unsigned at_least_s)
{
    char seconds[16];
    unsigned from = at_least_s > 0 ? at_least_s : 1;
    (void)snprintf(seconds, sizeof seconds, "%u", from + (unsigned)nx_rand_below(&worker->rand, 3));
    nx_http_response_header(http, "Retry-After", seconds);
}

static void respond(const struct write_request *request, int status, const char *text,
                    const uint64_t *stored)
{
    struct dist_worker *worker = request->worker;
    struct nx_http_request *http = request->http;
    dist_shares_give(worker->dist->shares, request->tenant, request->share);
    uint64_t now = nx_now_ns(worker->dist->deps.clock);
    dist_metrics_request(worker->dist->metrics, status, (double)(now - request->started_ns) * 1e-9);
    if (request->stream->remote_write)
        put_written_headers(http, request->form.tells_written ? stored : NULL);
    if (status == 429 || status == 503)
        put_retry_after(worker, http, request->retry_after_s);
    if (status < 300)
        nx_http_respond(http, status, NULL, NX_VIEW(""));
    else
        nx_http_respond_text(http, status, text);
}

static void respond_fail(struct write_request *request, enum nx_err err, const struct nx_fail *fail,
                         const uint64_t *stored)
{
    const char *text = fail->code == NX_OK ? nx_err_text(err) : fail->text;
    respond(request, nx_err_http(err), text, stored);
}

/* The first offender, and how much was refused with it. `limit` is what the tenant has reached, or
 * NULL. */
static void respond_refused(struct write_request *request, const struct nx_fail *limit,
                            const struct dist_refusals *pushed, const uint64_t *stored)
{
    const struct dist_refusals *own = &request->refusals;
    const struct nx_fail *first = limit                    ? limit
                                  : dist_refusals_any(own) ? &own->first
                                                           : &pushed->first;
    uint64_t points = request->received[DIST_KIND_FLOAT] + request->received[DIST_KIND_HISTOGRAM];
    uint64_t samples = own->samples + pushed->samples;
    uint64_t metadata = own->metadata;
    char text[ANSWER_TEXT_BYTES];
    if (metadata > 0)
        (void)snprintf(text, sizeof text,
                       "%s (refused: %" PRIu64 " of %" PRIu64 " samples, %" PRIu64 " of %" PRIu64
                       " metadata entries; the others are stored)",
                       first->text, samples, points, metadata,
                       request->received[DIST_KIND_METADATA]);
    else
        (void)snprintf(text, sizeof text,
                       "%s (refused: %" PRIu64 " of %" PRIu64 " samples; the others are stored)",
                       first->text, samples, points);
    respond(request, limit ? 429 : 400, text, stored);
}

static void count_accepted(const struct write_request *request)
{
    struct nx_metrics *metrics = request->worker->dist->metrics;
    for (size_t kind = 0; kind < DIST_KIND_COUNT; kind++)
        nx_metric_add(metrics, DIST_METRIC_ACCEPTED, kind, (double)request->valid[kind]);
}

static void on_pushed(void *user, const struct dist_push_result *result)
{
    struct write_request *request = user;
    dist_metrics_refusals(request->worker->dist->metrics, result->refusals);
    if (result->err == NX_ERR_RATE_LIMITED && dist_refusals_any(result->refusals)) {
        respond_refused(request, &result->fail, result->refusals, result->stored);
        return;
    }
    if (result->err) {
        respond_fail(request, result->err, &result->fail, result->stored);
        return;
    }
    count_accepted(request);
    if (dist_refusals_any(&request->refusals) || dist_refusals_any(result->refusals))
        respond_refused(request, NULL, result->refusals, result->stored);
    else
        respond(request, request->stream->success, "", result->stored);
}

/* --- the way in --- */

static void count_batch(const struct dist_batch *batch, uint64_t counts[DIST_KIND_COUNT])
{
    for (size_t i = 0; i < batch->series_count; i++) {
        const struct dist_series *series = &batch->series[i];
        if (series->refused)
            continue;
        counts[DIST_KIND_FLOAT] += series->sample_count;
        counts[DIST_KIND_HISTOGRAM] += series->histogram_count;
        counts[DIST_KIND_EXEMPLAR] += series->exemplar_count;
    }
    for (size_t i = 0; i < batch->metadata_count; i++)
        counts[DIST_KIND_METADATA] += !batch->metadata[i].refused;
}

static enum nx_err decode(struct write_request *request, size_t expected_len,
                          struct dist_batch *batch, struct nx_fail *fail)
{
    const struct dist_settings *settings = request->worker->dist->deps.settings;
    const struct nx_tenant_limits *max = &request->limits.max;
    struct nx_metrics *metrics = request->worker->dist->metrics;
    size_t max_bytes = (size_t)settings->max_decoded_bytes;
    batch->arena.max_bytes = max_bytes * MEMORY_PER_DECODED_BYTE;
    enum nx_err err =
        dist_body_decode(request->form.encoding, nx_http_request_body(request->http), expected_len,
                         max_bytes, &batch->body, &batch->body_len, fail);
    if (err)
        return err;
    nx_metric_add(metrics, DIST_METRIC_DECODED_BYTES, 0, (double)batch->body_len);
    struct dist_decode_limits limits = {.max_series = (size_t)max->max_series_per_request,
                                        .max_samples = (size_t)max->max_samples_per_request};
    struct dist_intake intake = {.message = nx_view_make(batch->body, batch->body_len),
                                 .path_rest = nx_http_request_param(request->http),
                                 .query = nx_http_request_query(request->http),
                                 .now_ms = nx_now_ms(request->worker->dist->deps.clock),
                                 .limits = &limits};
    return request->form.decode(&intake, batch, fail);
}

/* Before anything is made of the request: a tenant beyond its rate costs little. */
static enum nx_err take_rate(struct write_request *request, struct nx_fail *fail)
{
    struct distributor *dist = request->worker->dist;
    const struct nx_tenant_limits *max = &request->limits.max;
    uint64_t count = 0;
    double wait_s;
    for (size_t kind = 0; kind < DIST_KIND_COUNT; kind++)
        count += request->received[kind];
    uint64_t now_ns = nx_now_ns(dist->deps.clock);
    dist_rates_count(dist->rates, request->tenant, (double)count, now_ns);
    if (max->ingestion_rate <= 0)
        return NX_OK;
    uint32_t distributors = nx_ring_distributors(dist->deps.ring);
    if (dist_rates_take(dist->rates, request->tenant, (double)max->ingestion_rate / distributors,
                        (double)max->ingestion_burst, (double)count, now_ns, &wait_s))
        return NX_OK;
    nx_metric_add(dist->metrics, DIST_METRIC_REFUSED, DIST_REASON_RATE_LIMITED, (double)count);
    if (wait_s < 0)
        return nx_fail_set(fail, NX_ERR_RATE_LIMITED,
                           "the request holds %" PRIu64
                           " samples, exemplars and metadata entries, more than the tenant's burst "
                           "of %" PRId64 "; send smaller requests or raise "
                           "limits.ingestion-burst-size",
                           count, max->ingestion_burst);
    request->retry_after_s = wait_s < MAX_RETRY_AFTER_S ? (unsigned)wait_s + 1 : MAX_RETRY_AFTER_S;
    return nx_fail_set(fail, NX_ERR_RATE_LIMITED,
                       "the tenant is beyond its ingestion rate of %" PRId64
                       " samples, exemplars and metadata entries a second (burst %" PRId64
                       ", distributors %" PRIu32
                       "); raise limits.ingestion-rate or limits.ingestion-burst-size",
                       max->ingestion_rate, max->ingestion_burst, distributors);
}

static enum nx_err resolve(struct write_request *request, struct dist_batch *batch,
                           struct nx_fail *fail)
{
    struct dist_worker *worker = request->worker;
    struct distributor *dist = worker->dist;
    struct dist_resolver resolver = {.limits = &request->limits,
                                     .cache = dist->cache,
                                     .tenant = request->tenant,
                                     .now_ms = nx_now_ms(dist->deps.clock)};
    count_batch(batch, request->received);
    for (size_t kind = 0; kind < DIST_KIND_COUNT; kind++)
        nx_metric_add(dist->metrics, DIST_METRIC_RECEIVED, kind, (double)request->received[kind]);
    enum nx_err err = take_rate(request, fail);
    if (!err)
        err = dist_resolve(&resolver, batch, &request->refusals, fail);
    if (resolver.dropped > 0)
        nx_metric_add(dist->metrics, DIST_METRIC_DROPPED, 0, (double)resolver.dropped);
    nx_metric_add(dist->metrics, DIST_METRIC_CACHE_REQUESTS, DIST_CACHE_HIT, (double)resolver.hits);
    nx_metric_add(dist->metrics, DIST_METRIC_CACHE_REQUESTS, DIST_CACHE_MISS,
                  (double)resolver.misses);
    dist_metrics_refusals(dist->metrics, &request->refusals);
    count_batch(batch, request->valid);
    return err;
}

static enum nx_err read_tenant(const struct distributor *dist, struct nx_http_request *http,
                               struct nx_view *tenant, struct nx_fail *fail)
{
    return nx_tenant_of(dist->deps.settings->multitenancy,
                        nx_http_request_header(http, NX_TENANT_HEADER), tenant, fail);
}

/* Makes `bytes`, which are charged to the budget, the tenant's too. */
static enum nx_err take_share(struct write_request *request, size_t bytes, struct nx_fail *fail)
{
    struct distributor *dist = request->worker->dist;
    size_t used = atomic_load_explicit(&dist->budget.used_bytes, memory_order_relaxed);
    size_t others = used > bytes ? used - bytes : 0;
    if (!dist_shares_take(dist->shares, request->tenant, bytes, others, dist->budget.max_bytes)) {
        nx_metric_add(dist->metrics, DIST_METRIC_UNFAIR, 0, 1);
        return nx_fail_set(fail, NX_ERR_OVERLOADED, "%s", unfair_text);
    }
    request->share += bytes;
    return NX_OK;
}

/* A request of many small elements takes more than its size let expect: the rest is charged once it
 * is known. */
static enum nx_err charge_rest(struct write_request *request, struct nx_fail *fail)
{
    struct distributor *dist = request->worker->dist;
    size_t taken = dist_batch_memory_bytes(request->batch);
    if (taken <= request->charged)
        return NX_OK;
    size_t rest = taken - request->charged;
    if (!dist_budget_charge(&dist->budget, rest))
        return nx_fail_set(fail, NX_ERR_OVERLOADED, "%s", overloaded_text);
    request->charged = taken;
    return take_share(request, rest, fail);
}

/* Gives back what the request holds, and answers. */
static void give_up(struct write_request *request, enum nx_err err, const struct nx_fail *fail)
{
    dist_limits_release(&request->limits);
    dist_pusher_give_batch(request->worker->pusher, request->batch);
    dist_budget_discharge(&request->worker->dist->budget, request->charged);
    request->batch = NULL;
    if (err)
        respond_fail(request, err, fail, NULL);
}

/* The batch is decoded, and wanted. */
static void store(struct write_request *request)
{
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = resolve(request, request->batch, &fail);
    if (!err)
        err = charge_rest(request, &fail);
    if (err) {
        give_up(request, err, &fail);
        return;
    }
    dist_limits_release(&request->limits);
    struct dist_push_request push = {.batch = request->batch,
                                     .charged_bytes = request->charged,
                                     .tenant = request->tenant,
                                     .done = on_pushed,
                                     .user = request};
    dist_push_start(request->worker->pusher, &push);
}

/* --- replicas --- */

/* Taken note of and not kept: to the sender it is done. */
static void drop(struct write_request *request)
{
    nx_metric_add(request->worker->dist->metrics, DIST_METRIC_HA_DROPPED, 0,
                  (double)dist_ha_count(request->batch));
    give_up(request, NX_OK, NULL);
    respond(request, 202, "", NULL);
}

static void count_claim(const struct distributor *dist, enum nx_err err, enum dist_ha_verdict v)
{
    nx_metric_add(dist->metrics, DIST_METRIC_HA_CLAIMS,
                  err                 ? DIST_CLAIM_FAILED
                  : v == DIST_HA_TAKE ? DIST_CLAIM_TAKEN
                                      : DIST_CLAIM_REFUSED,
                  1);
}

static void on_claimed(void *user, enum nx_err err, enum dist_ha_verdict verdict)
{
    struct write_request *request = user;
    struct nx_fail fail = {.code = NX_OK};
    count_claim(request->worker->dist, err, verdict);
    if (err)
        (void)nx_fail_set(&fail, NX_ERR_UNAVAILABLE, "%s",
                          request->worker->dist->ha_etcd
                              ? "etcd does not say which replica is elected"
                              : "no majority: the ingesters do not say which replica is elected");
    if (err)
        give_up(request, NX_ERR_UNAVAILABLE, &fail);
    else if (verdict == DIST_HA_TAKE)
        store(request);
    else
        drop(request);
}

static void on_refreshed(void *user, enum nx_err err, enum dist_ha_verdict verdict)
{
    count_claim(user, err, verdict);
}

static void claim(struct write_request *request, bool held, bool wait)
{
    struct distributor *dist = request->worker->dist;
    const struct dist_settings *settings = dist->deps.settings;
    struct dist_ha_claim_options options = {.cluster = &request->worker->cluster,
                                            .ha = dist->ha,
                                            .clock = dist->deps.clock,
                                            .pair = request->pair,
                                            .held = held,
                                            .failover_ms = (uint64_t)settings->ha_failover_ms,
                                            .timeout_ms = (uint64_t)settings->push_timeout_ms,
                                            .count = dist_count_push,
                                            .count_user = dist,
                                            .done = wait ? on_claimed : on_refreshed,
                                            .user = wait ? (void *)request : (void *)dist};
    if (dist->ha_etcd)
        dist_ha_etcd_claim(dist->ha_etcd, &options);
    else
        dist_ha_claim_start(&options);
}

/* Whether the batch is wanted; it may be known only later. */
static void elect(struct write_request *request)
{
    struct distributor *dist = request->worker->dist;
    const struct dist_settings *settings = dist->deps.settings;
    bool refresh, held;
    if (!dist_ha_pair_of(&request->limits, request->tenant, request->batch, &request->pair)) {
        store(request);
        return;
    }
    enum dist_ha_verdict verdict =
        dist_ha_look(dist->ha, &request->pair, nx_now_ns(dist->deps.clock),
                     (uint64_t)settings->ha_update_ms * NS_PER_MS,
                     (uint64_t)settings->ha_failover_ms * NS_PER_MS, &refresh, &held);
    if (refresh)
        claim(request, held, false);
    if (verdict == DIST_HA_ASK)
        claim(request, held, true);
    else if (verdict == DIST_HA_TAKE)
        store(request);
    else
        drop(request);
}

/* Takes over the batch and what was charged for it, in every case. */
static void run(struct write_request *request, size_t expected_len, struct dist_batch *batch,
                size_t charged)
{
    struct distributor *dist = request->worker->dist;
    struct nx_fail fail = {.code = NX_OK};
    request->batch = batch;
    request->charged = charged;
    enum nx_err err = read_tenant(dist, request->http, &request->tenant, &fail);
    if (!err)
        err = take_share(request, charged + nx_http_request_body(request->http).len, &fail);
    if (!err) {
        dist_limits_get(dist->deps.limits, dist->deps.overrides, request->tenant, &request->limits);
        err = decode(request, expected_len, batch, &fail);
    }
    if (err)
        give_up(request, err, &fail);
    else
        elect(request);
}

static enum nx_err negotiate(struct write_request *request, struct nx_fail *fail)
{
    struct dist_headers headers = {
        .content_type = nx_http_request_header(request->http, "Content-Type"),
        .content_encoding = nx_http_request_header(request->http, "Content-Encoding")};
    return request->stream->negotiate(&headers, &request->form, fail);
}

static void begin(struct write_request *request, const struct dist_route *route,
                  struct nx_http_request *http)
{
    size_t worker = nx_worker_index(nx_http_request_worker(http));
    *request = (struct write_request){.worker = &route->dist->workers[worker],
                                      .http = http,
                                      .stream = route->stream,
                                      .started_ns = nx_now_ns(route->dist->deps.clock)};
}

/* Charges what the request will take, decodes and goes on. */
static void take_in(struct write_request *request, size_t expected_len)
{
    struct dist_worker *worker = request->worker;
    struct nx_http_budget *budget = &worker->dist->budget;
    struct nx_fail fail = {.code = NX_OK};
    size_t charged = expected_len * MEMORY_PER_DECODED_BYTE;
    if (!dist_budget_charge(budget, charged)) {
        respond(request, 503, overloaded_text, NULL);
        return;
    }
    struct dist_batch *batch = dist_pusher_take_batch(worker->pusher);
    if (!batch) {
        dist_budget_discharge(budget, charged);
        respond_fail(request, NX_ERR_NOMEM, &fail, NULL);
        return;
    }
    run(request, expected_len, batch, charged);
}

void dist_write_handle(struct nx_http_request *http, void *user)
{
    const struct dist_route *route = user;
    struct distributor *dist = route->dist;
    struct write_request *request = nx_arena_alloc(nx_http_request_arena(http), sizeof *request);
    if (!request) {
        struct write_request unkept;
        begin(&unkept, route, http);
        respond(&unkept, 503, nx_err_text(NX_ERR_NOMEM), NULL);
        return;
    }
    begin(request, route, http);
    struct nx_view body = nx_http_request_body(http);
    struct nx_fail fail = {.code = NX_OK};
    size_t expected_len = 0;
    nx_metric_add(dist->metrics, DIST_METRIC_BODY_BYTES, 0, (double)body.len);
    enum nx_err err = negotiate(request, &fail);
    if (!err)
        err =
            dist_body_length(request->form.encoding, body,
                             (size_t)dist->deps.settings->max_decoded_bytes, &expected_len, &fail);
    if (err)
        respond_fail(request, err, &fail, NULL);
    else
        take_in(request, expected_len);
}

bool dist_write_check(struct nx_http_request *http, void *user)
{
    const struct dist_route *route = user;
    struct write_request request;
    struct nx_fail fail = {.code = NX_OK};
    struct nx_view tenant;
    begin(&request, route, http);
    enum nx_err err = read_tenant(route->dist, http, &tenant, &fail);
    if (!err)
        err = negotiate(&request, &fail);
    if (!err)
        return true;
    respond_fail(&request, err, &fail, NULL);
    return false;
}
