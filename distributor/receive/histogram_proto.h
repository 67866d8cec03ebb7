/* The Histogram message, which remote write 1.0 and 2.0 share (docs/formats/remote-write.md). */
#ifndef DIST_RECEIVE_HISTOGRAM_PROTO_H
#define DIST_RECEIVE_HISTOGRAM_PROTO_H

#include "common/base/arena.h"
#include "common/chunk/histogram.h"

/* Decodes the message into the arena, bucket deltas added up to absolute counts, all as it came:
 * nothing is validated but the protobuf. The start timestamp (field 17 of 2.0) is skipped.
 * NX_ERR_INVALID with the reason in `fail`, NX_ERR_NOMEM also at the arena's cap. */
enum nx_err dist_histogram_decode(struct nx_view message, struct nx_arena *arena,
                                  int64_t *timestamp, struct nx_histogram **out,
                                  struct nx_fail *fail) NX_WARN_UNUSED;

/* Merges neighbouring buckets until the schema is 8, where it is 9 to 52; bucket layouts that are
 * not consistent (spans that promise more or fewer buckets than there are) are left alone for the
 * validation to refuse. */
enum nx_err dist_histogram_reduce(struct nx_arena *arena, struct nx_histogram *h) NX_WARN_UNUSED;

#endif
