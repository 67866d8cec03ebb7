/* Remote write 2.0: io.prometheus.write.v2.Request (docs/formats/remote-write.md). */
#ifndef DIST_RECEIVE_REMOTE_WRITE_V2_H
#define DIST_RECEIVE_REMOTE_WRITE_V2_H

#include "distributor/receive/rw_points.h"

/* Labels as runs of symbol numbers, pairs of name and value, u32 in host order. */
extern const struct dist_label_format dist_rw2_format;

/* Decodes the message into the (cleared) batch; views alias `message`. A series or exemplar whose
 * references do not hold (an odd number, beyond the symbols), and a series without a sample,
 * histogram or exemplar, is marked broken, with the reason. The metadata of a series becomes an
 * entry of its metric family; the same entry twice in a request is kept once, an empty one not at
 * all. Errors as of dist_rw1_decode. */
enum nx_err dist_rw2_decode(struct nx_view message, const struct dist_decode_limits *limits,
                            struct dist_batch *batch, struct nx_fail *fail) NX_WARN_UNUSED;

#endif
