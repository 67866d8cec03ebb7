#include "common/net/http_server_internal.h"

enum route_metric { ROUTE_REQUESTS, ROUTE_SECONDS, ROUTE_METRICS };

static const char *const timeout_kinds[] = {[NX_TIMEOUT_HEADER] = "header",
                                            [NX_TIMEOUT_BODY] = "body",
                                            [NX_TIMEOUT_IDLE] = "idle",
                                            [NX_TIMEOUT_WRITE] = "write",
                                            NULL};

static const struct nx_metric_desc server_descs[NX_HTTP_METRICS] = {
    [NX_HTTP_IN_FLIGHT] =
        {.kind = NX_GAUGE,
         .name = "narthex_http_requests_in_flight",
         .help = "HTTP requests whose header has come and whose answer has not ended."},
    [NX_HTTP_CONNECTIONS] = {.kind = NX_GAUGE,
                             .name = "narthex_http_connections",
                             .help = "Open HTTP connections."},
    [NX_HTTP_ACCEPTED] = {.kind = NX_COUNTER,
                          .name = "narthex_http_connections_accepted_total",
                          .help = "HTTP connections accepted."},
    [NX_HTTP_REFUSED] = {.kind = NX_COUNTER,
                         .name = "narthex_http_connections_refused_total",
                         .help = "HTTP connections refused because there were too many."},
    [NX_HTTP_RECEIVED_BYTES] = {.kind = NX_COUNTER,
                                .name = "narthex_http_received_bytes_total",
                                .help = "Bytes read from HTTP connections."},
    [NX_HTTP_SENT_BYTES] = {.kind = NX_COUNTER,
                            .name = "narthex_http_sent_bytes_total",
                            .help = "Bytes written to HTTP connections."},
    [NX_HTTP_TIMEOUTS] = {.kind = NX_COUNTER,
                          .name = "narthex_http_timeouts_total",
                          .help = "HTTP connections closed by a time-out, by what was waited for.",
                          .label = "kind",
                          .values = timeout_kinds},
    [NX_HTTP_MALFORMED] = {.kind = NX_COUNTER,
                           .name = "narthex_http_malformed_requests_total",
                           .help = "HTTP requests that could not be parsed."},
};

static const char *const code_classes[] = {"1xx", "2xx", "3xx", "4xx", "5xx", NULL};

static const struct nx_metric_desc route_descs[ROUTE_METRICS] = {
    [ROUTE_REQUESTS] = {.kind = NX_COUNTER,
                        .name = "narthex_http_requests_total",
                        .help = "HTTP requests answered, by route and class of status.",
                        .label = "code",
                        .values = code_classes},
    [ROUTE_SECONDS] = {.kind = NX_HISTOGRAM,
                       .name = "narthex_http_request_duration_seconds",
                       .help =
                           "From a request's complete header to the end of its answer, by route.",
                       .buckets = nx_latency_buckets,
                       .bucket_count = NX_LATENCY_BUCKETS},
};

enum nx_err nx_http_metrics_route(struct nx_http_server *server, const char *path,
                                  struct nx_metrics **out)
{
    if (!server->telemetry) {
        return NX_OK;
    }
    return nx_telemetry_register(server->telemetry, route_descs, ROUTE_METRICS, "route",
                                 path ? path : "unmatched", out);
}

enum nx_err nx_http_metrics_register(struct nx_http_server *server)
{
    if (!server->telemetry) {
        return NX_OK;
    }
    enum nx_err err = nx_telemetry_register(server->telemetry, server_descs, NX_HTTP_METRICS, NULL,
                                            NULL, &server->metrics);
    return err == NX_OK ? nx_http_metrics_route(server, NULL, &server->unrouted) : err;
}

void nx_http_metrics_answered(const struct nx_http_request *req)
{
    const struct nx_http_server *server = req->conn->shard->server;
    struct nx_metrics *metrics = req->route ? req->route->metrics : server->unrouted;
    size_t code = req->status >= 100 && req->status < 600 ? (size_t)req->status / 100 - 1 : 4;
    nx_metric_add(metrics, ROUTE_REQUESTS, code, 1);
    if (req->head_complete) {
        nx_metric_add(server->metrics, NX_HTTP_IN_FLIGHT, 0, -1);
        nx_metric_observe(metrics, ROUTE_SECONDS, 0,
                          (double)(uv_hrtime() - req->started_ns) * 1e-9);
    }
}
