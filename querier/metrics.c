#include "querier/api/job.h"
#include "querier/querier_internal.h"

static const char *const endpoint_values[] = {
    "query",  "query_range",  "query_exemplars", "format_query", "parse_query", "series",
    "labels", "label_values", "metadata",        "status_tsdb",  "cardinality", "status",
    "read",   "federate",     "admin",           "other",        NULL};

static const char *const response_values[] = {"success", "client_error", "server_error", "canceled",
                                              NULL};

static const struct nx_metric_desc descs[QRY_METRIC_COUNT] = {
    [QRY_METRIC_REQUESTS] = {.kind = NX_COUNTER,
                             .name = "narthex_query_requests_total",
                             .help = "API requests received.",
                             .label = "endpoint",
                             .values = endpoint_values},
    [QRY_METRIC_RESPONSES] = {.kind = NX_COUNTER,
                              .name = "narthex_query_responses_total",
                              .help = "API requests answered, by outcome.",
                              .label = "outcome",
                              .values = response_values},
    [QRY_METRIC_SECONDS] = {.kind = NX_HISTOGRAM,
                            .name = "narthex_query_duration_seconds",
                            .help = "Time from the arrival of an API request to its answer.",
                            .buckets = nx_latency_buckets,
                            .bucket_count = NX_LATENCY_BUCKETS},
    [QRY_METRIC_IN_FLIGHT] = {.kind = NX_GAUGE,
                              .name = "narthex_query_in_flight",
                              .help = "Queries being fetched or evaluated."},
    [QRY_METRIC_SAMPLES] = {.kind = NX_COUNTER,
                            .name = "narthex_query_samples_read_total",
                            .help = "Samples read by evaluations."},
    [QRY_METRIC_FETCHED] = {.kind = NX_COUNTER,
                            .name = "narthex_query_fetched_bytes_total",
                            .help = "Bytes received from ingesters for queries."},
    [QRY_METRIC_INCOMPLETE] = {.kind = NX_COUNTER,
                               .name = "narthex_query_incomplete_total",
                               .help = "Queries for which too few ingesters answered."},
    [QRY_METRIC_BACKLOG] = {.kind = NX_GAUGE,
                            .name = "narthex_query_backlog",
                            .help = "Evaluations waiting for a thread."},
};

const char *const *qry_endpoint_labels(void)
{
    return endpoint_values;
}

static void collect(void *user)
{
    struct querier *qry = user;
    nx_metric_set(qry->metrics, QRY_METRIC_BACKLOG, 0, (double)nx_lane_backlog(qry->lane));
}

enum nx_err qry_metrics_register(struct querier *qry)
{
    if (!qry->deps.telemetry)
        return NX_OK;
    enum nx_err err = nx_telemetry_register(qry->deps.telemetry, descs, QRY_METRIC_COUNT, NULL,
                                            NULL, &qry->metrics);
    return err ? err : nx_telemetry_on_collect(qry->deps.telemetry, collect, qry);
}
