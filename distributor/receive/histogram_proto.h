/* The Histogram message: that which remote write 1.0 and 2.0 share (docs/formats/remote-write.md),
 * and that of the exposition format of targets (docs/scraping.md). */
#ifndef DIST_RECEIVE_HISTOGRAM_PROTO_H
#define DIST_RECEIVE_HISTOGRAM_PROTO_H

#include "common/base/arena.h"
#include "common/chunk/histogram.h"

struct dist_histogram_schema;
extern const struct dist_histogram_schema dist_histogram_remote_write;
extern const struct dist_histogram_schema dist_histogram_exposition;

/* Decodes the message into the arena, bucket deltas added up to absolute counts, all as it came:
 * nothing is validated but the protobuf. The start timestamp (field 17 of 2.0) is skipped, and so
 * is the classic form in an exposition, which has no timestamp in here (0).
 * NX_ERR_INVALID with the reason in `fail`, NX_ERR_NOMEM also at the arena's cap. */
enum nx_err dist_histogram_decode(const struct dist_histogram_schema *schema,
                                  struct nx_view message, struct nx_arena *arena,
                                  int64_t *timestamp, struct nx_histogram **out,
                                  struct nx_fail *fail) NX_WARN_UNUSED;

#endif
