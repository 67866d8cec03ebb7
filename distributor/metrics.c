#include "distributor/metrics.h"

static const char *const statuses[] = {"204", "202", "400", "401",   "413", "415",
                                       "429", "500", "503", "other", NULL};
static const int status_numbers[] = {204, 202, 400, 401, 413, 415, 429, 500, 503};
enum { STATUS_COUNT = sizeof status_numbers / sizeof status_numbers[0] };

static const char *const kinds[] = {"float", "histogram", "exemplar", "metadata", NULL};
static const char *const leg_outcomes[] = {"stored", "refused", "failed", "timeout", NULL};
static const char *const row_labels[] = {"with", "without", "number", "unknown", NULL};
static const char *const skips[] = {"unhealthy", "no_owner", "overloaded", NULL};
static const char *const claims[] = {"elected", "not_elected", "failed", NULL};
static const char *const lookups[] = {"hit", "miss", NULL};
static const char *const reasons[] = {
#define X(name, text) (text),
    DIST_REASON_TABLE(X)
#undef X
        NULL,
};

static const double seconds_buckets[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                         0.1,    0.25,  0.5,    1,     2.5,  5,     10};
enum { SECONDS_BUCKETS = sizeof seconds_buckets / sizeof seconds_buckets[0] };

static const struct nx_metric_desc descs[DIST_METRIC_COUNT] = {
    [DIST_METRIC_REQUESTS] = {.kind = NX_COUNTER,
                              .name = "narthex_distributor_requests_total",
                              .help = "Write requests answered, by HTTP status.",
                              .label = "status",
                              .values = statuses},
    [DIST_METRIC_REQUEST_SECONDS] = {.kind = NX_HISTOGRAM,
                                     .name = "narthex_distributor_request_seconds",
                                     .help = "Time from a complete write request to its answer.",
                                     .buckets = seconds_buckets,
                                     .bucket_count = SECONDS_BUCKETS},
    [DIST_METRIC_BODY_BYTES] = {.kind = NX_COUNTER,
                                .name = "narthex_distributor_received_bytes_total",
                                .help = "Bytes of write requests as received."},
    [DIST_METRIC_DECODED_BYTES] = {.kind = NX_COUNTER,
                                   .name = "narthex_distributor_decoded_bytes_total",
                                   .help = "Bytes of write requests after decompression."},
    [DIST_METRIC_RECEIVED] = {.kind = NX_COUNTER,
                              .name = "narthex_distributor_received_samples_total",
                              .help =
                                  "Samples, histograms, exemplars and metadata entries received.",
                              .label = "kind",
                              .values = kinds},
    [DIST_METRIC_ACCEPTED] = {.kind = NX_COUNTER,
                              .name = "narthex_distributor_accepted_samples_total",
                              .help =
                                  "Samples, histograms, exemplars and metadata entries of requests "
                                  "answered as stored, refused ones left out at validation.",
                              .label = "kind",
                              .values = kinds},
    [DIST_METRIC_REFUSED] = {.kind = NX_COUNTER,
                             .name = "narthex_distributor_refused_samples_total",
                             .help = "Samples, exemplars and metadata entries refused, by reason.",
                             .label = "reason",
                             .values = reasons},
    [DIST_METRIC_DROPPED] = {.kind = NX_COUNTER,
                             .name = "narthex_distributor_relabel_dropped_samples_total",
                             .help = "Samples and histograms of series that a tenant's relabeling "
                                     "rules drop."},
    [DIST_METRIC_UNFAIR] = {.kind = NX_COUNTER,
                            .name = "narthex_distributor_tenant_overloaded_requests_total",
                            .help = "Write requests answered with 503 because their tenant had its "
                                    "part of the memory for requests in flight."},
    [DIST_METRIC_HA_DROPPED] = {.kind = NX_COUNTER,
                                .name = "narthex_distributor_ha_deduplicated_samples_total",
                                .help = "Samples and histograms of replicas that are not elected."},
    [DIST_METRIC_HA_CLAIMS] = {.kind = NX_COUNTER,
                               .name = "narthex_distributor_ha_claims_total",
                               .help = "Times the ingesters were asked who of a group is elected.",
                               .label = "outcome",
                               .values = claims},
    [DIST_METRIC_PUSH_SECONDS] = {.kind = NX_HISTOGRAM,
                                  .name = "narthex_distributor_push_seconds",
                                  .help = "Time of a push to one ingester, by outcome.",
                                  .label = "outcome",
                                  .values = leg_outcomes,
                                  .buckets = seconds_buckets,
                                  .bucket_count = SECONDS_BUCKETS},
    [DIST_METRIC_PUSH_ROWS] = {.kind = NX_COUNTER,
                               .name = "narthex_distributor_push_series_total",
                               .help =
                                   "Series rows pushed to ingesters with labels, without (by their "
                                   "id), and by the number "
                                   "that the ingester gave them; and those answered as unknown.",
                               .label = "labels",
                               .values = row_labels},
    [DIST_METRIC_PUSH_SKIPPED] = {.kind = NX_COUNTER,
                                  .name = "narthex_distributor_push_skipped_total",
                                  .help = "Parts of pushes not sent, by reason.",
                                  .label = "reason",
                                  .values = skips},
    [DIST_METRIC_PUSH_BYTES] = {.kind = NX_COUNTER,
                                .name = "narthex_distributor_push_bytes_total",
                                .help = "Bytes of pushes sent to ingesters."},
    [DIST_METRIC_PUSH_SAMPLES] = {.kind = NX_COUNTER,
                                  .name = "narthex_distributor_push_samples_total",
                                  .help = "Samples and histograms of pushes sent to ingesters, "
                                          "each copy counted."},
    [DIST_METRIC_CACHE_REQUESTS] = {.kind = NX_COUNTER,
                                    .name = "narthex_distributor_series_cache_requests_total",
                                    .help = "Look-ups in the series cache.",
                                    .label = "result",
                                    .values = lookups},
    [DIST_METRIC_CACHE_EVICTIONS] =
        {.kind = NX_GAUGE,
         .name = "narthex_distributor_series_cache_evictions",
         .help = "Series that made room for others in the series cache, since the start."},
    [DIST_METRIC_CACHE_SERIES] = {.kind = NX_GAUGE,
                                  .name = "narthex_distributor_series_cache_series",
                                  .help = "Series in the series cache."},
    [DIST_METRIC_CACHE_BYTES] = {.kind = NX_GAUGE,
                                 .name = "narthex_distributor_series_cache_bytes",
                                 .help = "Memory of the series cache."},
    [DIST_METRIC_INFLIGHT_BYTES] = {.kind = NX_GAUGE,
                                    .name = "narthex_distributor_inflight_bytes",
                                    .help = "Memory of write requests in flight, as charged "
                                            "against distributor.max-inflight-bytes."},
    [DIST_METRIC_INFLIGHT_PUSHES] = {.kind = NX_GAUGE,
                                     .name = "narthex_distributor_inflight_pushes",
                                     .help = "Pushes that have not ended with all their replicas."},
};

enum nx_err dist_metrics_register(struct nx_telemetry *telemetry, struct nx_metrics **out)
{
    return nx_telemetry_register(telemetry, descs, DIST_METRIC_COUNT, NULL, NULL, out);
}

void dist_metrics_request(struct nx_metrics *metrics, int status, double seconds)
{
    size_t slot = 0;
    while (slot < STATUS_COUNT && status_numbers[slot] != status)
        slot++;
    nx_metric_add(metrics, DIST_METRIC_REQUESTS, slot, 1);
    nx_metric_observe(metrics, DIST_METRIC_REQUEST_SECONDS, 0, seconds);
}

void dist_metrics_refusals(struct nx_metrics *metrics, const struct dist_refusals *refusals)
{
    for (size_t i = 0; i < DIST_REASON_COUNT; i++) {
        if (refusals->by_reason[i])
            nx_metric_add(metrics, DIST_METRIC_REFUSED, i, (double)refusals->by_reason[i]);
    }
}
