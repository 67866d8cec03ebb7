/* Remote write 1.0: prometheus.WriteRequest (docs/formats/remote-write.md). */
#ifndef DIST_RECEIVE_REMOTE_WRITE_V1_H
#define DIST_RECEIVE_REMOTE_WRITE_V1_H

#include "distributor/batch.h"

struct dist_decode_limits {
    size_t max_series;  /* TimeSeries, and MetricMetadata, a request */
    size_t max_samples; /* samples, histograms and exemplars together */
};

/* Decodes the message into the (cleared) batch; views alias `message`. Label fields of TimeSeries
 * and exemplars are only delimited, so that a known series costs no parsing: dist_rw1_labels reads
 * them. NX_ERR_INVALID: not a WriteRequest; NX_ERR_TOO_LARGE: a limit, or the arena's cap;
 * NX_ERR_NOMEM. */
enum nx_err dist_rw1_decode(struct nx_view message, const struct dist_decode_limits *limits,
                            struct dist_batch *batch, struct nx_fail *fail) NX_WARN_UNUSED;

/* Reads the label fields (number 1) of `raw`, other fields skipped, in the order they came into an
 * array of the arena. At most `max` labels are taken, *count says how many there are.
 * NX_ERR_INVALID or NX_ERR_NOMEM. */
enum nx_err dist_rw1_labels(struct nx_view raw, struct nx_arena *arena, size_t max,
                            struct nx_label **labels, size_t *count,
                            struct nx_fail *fail) NX_WARN_UNUSED;

#endif
