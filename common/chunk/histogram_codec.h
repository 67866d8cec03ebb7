/* The binary form of one native histogram, for RPC and the log: self-contained and lossless to the
 * bit (docs/formats/chunk.md). Chunks of histograms use its layout part. Pure functions, any
 * thread. */
#ifndef NX_CHUNK_HISTOGRAM_CODEC_H
#define NX_CHUNK_HISTOGRAM_CODEC_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/chunk/histogram.h"

/* NX_ERR_INVALID for a histogram that is not sound (nothing is written then), or the buffer's own
 * failure. */
enum nx_err nx_histogram_encode(struct nx_buf *buf, const struct nx_histogram *h) NX_WARN_UNUSED;
/* Reads one histogram, all of it in the arena. NX_ERR_CORRUPT for anything but what encode writes:
 * the result is sound, and no count is trusted beyond what the bytes left can hold. */
enum nx_err nx_histogram_decode(struct nx_cursor *cur, struct nx_arena *arena,
                                struct nx_histogram **out) NX_WARN_UNUSED;

/* Schema, zero threshold, spans, custom bounds. */
void nx_histogram_put_layout(struct nx_buf *buf, const struct nx_histogram *h);
/* Fills those fields and the bucket counts of `h`, and leaves the others; the buckets' arrays are
 * not allocated. The result is sound. */
enum nx_err nx_histogram_read_layout(struct nx_cursor *cur, struct nx_arena *arena,
                                     struct nx_histogram *h) NX_WARN_UNUSED;

/* Whether `v` is exactly an integer of at most 2^53 (so not -0), which *out then is. */
bool nx_count_is_integer(double v, int64_t *out);

#endif
