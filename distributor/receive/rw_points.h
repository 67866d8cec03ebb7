/* What remote write 1.0 and 2.0 have in common: the limits of a request, and the messages Sample
 * and Histogram. */
#ifndef DIST_RECEIVE_RW_POINTS_H
#define DIST_RECEIVE_RW_POINTS_H

#include "distributor/batch.h"
#include "distributor/receive/pb_cursor.h"

struct dist_decode_limits {
    size_t max_series;  /* TimeSeries, and MetricMetadata, a request */
    size_t max_samples; /* samples, histograms and exemplars together */
};

struct dist_decoding {
    const struct dist_decode_limits *limits;
    struct dist_batch *batch;
    size_t points; /* samples, histograms and exemplars so far */
    struct nx_fail *fail;
};

/* NX_ERR_INVALID: the cursor has failed inside `message`. */
enum nx_err dist_decoding_broken(struct dist_decoding *d, const struct dist_pb *pb,
                                 const char *message) NX_WARN_UNUSED;
/* Every repeated element is counted against its limit before room is made for it, so a request of
 * many empty elements cannot take more memory than a request of full ones. NX_ERR_TOO_LARGE beyond.
 */
enum nx_err dist_decoding_point(struct dist_decoding *d) NX_WARN_UNUSED;
/* `count`: how many there are already; `what` names them. */
enum nx_err dist_decoding_element(struct dist_decoding *d, size_t count,
                                  const char *what) NX_WARN_UNUSED;
/* The start timestamp (field 3 of 2.0) is skipped. */
enum nx_err dist_decoding_sample(struct dist_decoding *d, struct nx_view message) NX_WARN_UNUSED;
enum nx_err dist_decoding_histogram(struct dist_decoding *d, struct nx_view message) NX_WARN_UNUSED;
/* The outcome of a whole request: says so where it was the arena's cap that ended it. */
enum nx_err dist_decoding_end(struct dist_decoding *d, enum nx_err err) NX_WARN_UNUSED;

#endif
