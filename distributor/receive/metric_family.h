/* The exposition format of targets as protobuf: io.prometheus.client.MetricFamily messages, each
 * behind its length (proto/metrics.proto; docs/scraping.md). It is the form in which
 * targets expose native histograms. */
#ifndef DIST_RECEIVE_METRIC_FAMILY_H
#define DIST_RECEIVE_METRIC_FAMILY_H

#include "distributor/receive/rw_points.h"

struct dist_metric_families {
    /* A histogram with native buckets becomes one; false: its classic buckets are taken. */
    bool native_histograms;
    bool classic_too;   /* both of them */
    int64_t default_ms; /* of samples without a timestamp, and of their exemplars */
    const struct dist_decode_limits *limits;
};

/* Decodes the messages into the (cleared) batch, whose views may alias them: names, labels and
 * exemplars are those that Prometheus makes of them (le and quantile as OpenMetrics writes
 * floats). Families that have metrics become metadata. NX_ERR_INVALID where the bytes are no such
 * messages or a family has no name or an unknown type; then nothing is to be used. */
enum nx_err dist_metric_families_decode(const struct dist_metric_families *options,
                                        struct nx_view body, struct dist_batch *batch,
                                        struct nx_fail *fail) NX_WARN_UNUSED;

#endif
