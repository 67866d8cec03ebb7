/* Limits are read where they are enforced. Series are counted by the ingesters, each of which has
 * some of the replicas: their sum over the replication factor; one that is away is left out. */
#include "distributor/user_info.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/net/tenant.h"
#include "distributor/distributor_internal.h"
#include "proto/internal.pb-c.h"

enum { TEXT_BYTES = 768, ANSWER_MAX_BYTES = 4096, STATS_TIMEOUT_MS = 5000 };
static const char stats_method[] = "tenant_stats";
static const char json_type[] = "application/json";

static enum nx_err tenant_of(const struct distributor *dist, struct nx_http_request *http,
                             struct nx_view *tenant)
{
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = nx_tenant_of(dist->deps.settings->multitenancy,
                                   nx_http_request_header(http, NX_TENANT_HEADER), tenant, &fail);
    if (err)
        nx_http_respond_text(http, nx_err_http(err), nx_fail_text(&fail));
    return err;
}

static void respond_json(struct nx_http_request *http, const char *text, int len)
{
    nx_http_respond(http, 200, json_type, nx_view_make(text, len > 0 ? (size_t)len : 0));
}

/* --- limits --- */

static void serve_limits(struct nx_http_request *http, void *user)
{
    const struct distributor *dist = user;
    struct nx_tenant_limits limits;
    struct nx_view tenant;
    char text[TEXT_BYTES];
    if (tenant_of(dist, http, &tenant))
        return;
    nx_limits_of(dist->deps.limits, dist->deps.overrides, tenant, &limits);
    int len = snprintf(
        text, sizeof text,
        "{\"ingestion_rate\":%" PRId64 ",\"ingestion_burst_size\":%" PRId64
        ",\"max_global_series_per_user\":%" PRId64 ",\"max_global_series_per_metric\":%" PRId64
        ",\"max_label_names_per_series\":%" PRId64 ",\"max_label_name_length\":%" PRId64
        ",\"max_label_value_length\":%" PRId64 ",\"max_series_per_request\":%" PRId64
        ",\"max_samples_per_request\":%" PRId64 ",\"creation_grace_period_ms\":%" PRId64
        ",\"accept_ha_samples\":%s}",
        limits.ingestion_rate, limits.ingestion_burst, limits.max_series,
        limits.max_series_per_metric, limits.max_label_names, limits.max_label_name_bytes,
        limits.max_label_value_bytes, limits.max_series_per_request, limits.max_samples_per_request,
        limits.creation_grace_ms, limits.accept_ha > 0 ? "true" : "false");
    respond_json(http, text, len);
}

/* --- stats --- */

struct stats {
    struct dist_worker *worker;
    struct nx_http_request *http;
    struct nx_ring_view *view;
    struct nx_view tenant; /* of the request's header */
    size_t open, answered;
    uint64_t series;
    bool starting;
};

static void *pb_alloc(void *data, size_t size)
{
    (void)data;
    return nx_alloc(size);
}

static void pb_free(void *data, void *ptr)
{
    (void)data;
    nx_free(ptr);
}

static void finish(struct stats *stats)
{
    struct distributor *dist = stats->worker->dist;
    uint64_t now_ns = nx_now_ns(dist->deps.clock);
    double rate = dist_rates_of(dist->rates, stats->tenant, now_ns);
    char text[TEXT_BYTES];
    uint32_t rf = stats->view->rf;
    rate *= nx_ring_distributors(dist->deps.ring);
    int len = snprintf(text, sizeof text,
                       "{\"ingestionRate\":%.3f,\"numSeries\":%" PRIu64
                       ",\"APIIngestionRate\":%.3f,\"RuleIngestionRate\":0}",
                       rate, (stats->series + rf / 2) / rf, rate);
    nx_ring_release(stats->view);
    if (stats->answered > 0)
        respond_json(stats->http, text, len);
    else
        nx_http_respond_text(stats->http, 503, "no ingester answers");
    dist_count_push(dist, -1);
}

static void on_stats(void *user, const struct nx_rpc_result *result)
{
    struct stats *stats = user;
    ProtobufCAllocator allocator = {.alloc = pb_alloc, .free = pb_free};
    stats->open--;
    if (result->err == NX_OK) {
        Narthex__TenantStatsResponse *answer = narthex__tenant_stats_response__unpack(
            &allocator, result->body.len, (const uint8_t *)result->body.ptr);
        stats->answered += answer != NULL;
        stats->series += answer ? answer->series : 0;
        narthex__tenant_stats_response__free_unpacked(answer, &allocator);
    }
    if (stats->open == 0 && !stats->starting)
        finish(stats);
}

static enum nx_err ask(struct stats *stats, const struct nx_member *member, const char *tenant)
{
    Narthex__TenantStatsRequest request = NARTHEX__TENANT_STATS_REQUEST__INIT;
    struct nx_buf body;
    request.tenant = (char *)(uintptr_t)tenant;
    nx_buf_init(&body, SIZE_MAX);
    enum nx_err err =
        nx_buf_reserve(&body, narthex__tenant_stats_request__get_packed_size(&request));
    if (err == NX_OK) {
        body.len = narthex__tenant_stats_request__pack(&request, (uint8_t *)body.data);
        struct nx_rpc_call_options call = {.address = member->address,
                                           .method = stats_method,
                                           .body = &body,
                                           .timeout_ms = STATS_TIMEOUT_MS,
                                           .max_frame_bytes = ANSWER_MAX_BYTES,
                                           .done = on_stats,
                                           .user = stats};
        err = stats->worker->cluster.call(&stats->worker->cluster, &call);
    }
    nx_buf_release(&body);
    return err;
}

static void serve_stats(struct nx_http_request *http, void *user)
{
    struct distributor *dist = user;
    struct nx_view tenant;
    if (tenant_of(dist, http, &tenant))
        return;
    struct stats *stats = nx_arena_calloc(nx_http_request_arena(http), 1, sizeof *stats);
    struct nx_view name = nx_arena_copy(nx_http_request_arena(http), tenant);
    if (!stats || !name.ptr) {
        nx_http_respond_text(http, 503, nx_err_text(NX_ERR_NOMEM));
        return;
    }
    size_t worker = nx_worker_index(nx_http_request_worker(http));
    *stats = (struct stats){.worker = &dist->workers[worker],
                            .http = http,
                            .view = nx_ring_acquire(dist->deps.ring),
                            .tenant = name,
                            .starting = true};
    dist_count_push(dist, 1);
    for (size_t i = 0; i < stats->view->member_count; i++)
        if (stats->view->members[i].healthy &&
            ask(stats, &stats->view->members[i], name.ptr) == NX_OK)
            stats->open++;
    stats->starting = false;
    if (stats->open == 0)
        finish(stats);
}

enum nx_err dist_user_info_add(struct distributor *dist)
{
    const struct nx_http_route routes[] = {
        {.methods = NX_HTTP_GET,
         .path = "/api/v1/user_limits",
         .handle = serve_limits,
         .user = dist},
        {.methods = NX_HTTP_GET, .path = "/api/v1/user_stats", .handle = serve_stats, .user = dist},
    };
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0] && err == NX_OK; i++)
        err = nx_http_server_route(dist->deps.http, &routes[i]);
    return err;
}
