/* The distributor's metrics; distributor/metrics.c has the table. */
#ifndef DIST_METRICS_H
#define DIST_METRICS_H

#include "common/telemetry/telemetry.h"
#include "distributor/refusals.h"

enum dist_metric {
    DIST_METRIC_REQUESTS,
    DIST_METRIC_REQUEST_SECONDS,
    DIST_METRIC_BODY_BYTES,
    DIST_METRIC_DECODED_BYTES,
    DIST_METRIC_RECEIVED,
    DIST_METRIC_ACCEPTED,
    DIST_METRIC_REFUSED,
    DIST_METRIC_DROPPED,
    DIST_METRIC_HA_DROPPED,
    DIST_METRIC_UNFAIR,
    DIST_METRIC_HA_CLAIMS,
    DIST_METRIC_PUSH_SECONDS,
    DIST_METRIC_PUSH_ROWS,
    DIST_METRIC_PUSH_SKIPPED,
    DIST_METRIC_PUSH_BYTES,
    DIST_METRIC_PUSH_SAMPLES,
    DIST_METRIC_CACHE_REQUESTS,
    DIST_METRIC_CACHE_EVICTIONS,
    DIST_METRIC_CACHE_SERIES,
    DIST_METRIC_CACHE_BYTES,
    DIST_METRIC_INFLIGHT_BYTES,
    DIST_METRIC_INFLIGHT_PUSHES,
    DIST_METRIC_COUNT,
};

/* Slots of the labelled families. */
enum dist_kind {
    DIST_KIND_FLOAT,
    DIST_KIND_HISTOGRAM,
    DIST_KIND_EXEMPLAR,
    DIST_KIND_METADATA,
    DIST_KIND_COUNT
};
enum dist_leg_outcome { DIST_LEG_STORED, DIST_LEG_REFUSED, DIST_LEG_FAILED, DIST_LEG_TIMEOUT };
enum dist_row_labels {
    DIST_ROWS_WITH_LABELS,
    DIST_ROWS_BY_ID,
    DIST_ROWS_BY_NUMBER,
    DIST_ROWS_UNKNOWN
};
enum dist_skip { DIST_SKIP_UNHEALTHY, DIST_SKIP_MISSING, DIST_SKIP_OVERLOADED };
enum dist_claim { DIST_CLAIM_TAKEN, DIST_CLAIM_REFUSED, DIST_CLAIM_FAILED };
enum dist_lookup { DIST_CACHE_HIT, DIST_CACHE_MISS };

enum nx_err dist_metrics_register(struct nx_telemetry *telemetry,
                                  struct nx_metrics **out) NX_WARN_UNUSED;
void dist_metrics_request(struct nx_metrics *metrics, int status, double seconds);
void dist_metrics_refusals(struct nx_metrics *metrics, const struct dist_refusals *refusals);

#endif
