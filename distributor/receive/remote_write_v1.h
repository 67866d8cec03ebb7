/* Remote write 1.0: prometheus.WriteRequest (docs/formats/remote-write.md). */
#ifndef DIST_RECEIVE_REMOTE_WRITE_V1_H
#define DIST_RECEIVE_REMOTE_WRITE_V1_H

#include "distributor/receive/rw_points.h"

/* Decodes the message into the (cleared) batch; views alias `message`. Label fields of TimeSeries
 * and exemplars are only delimited. NX_ERR_INVALID: not a WriteRequest; NX_ERR_TOO_LARGE: a limit,
 * or the arena's cap; NX_ERR_NOMEM. */
enum nx_err dist_rw1_decode(struct nx_view message, const struct dist_decode_limits *limits,
                            struct dist_batch *batch, struct nx_fail *fail) NX_WARN_UNUSED;

/* The label fields (number 1) of a message, other fields skipped. Of a series they are the run of
 * bytes as they came; where they were not in one run, the whole TimeSeries message, and no key for
 * a cache. Of an exemplar, its message. */
extern const struct dist_label_format dist_rw1_format;

#endif
