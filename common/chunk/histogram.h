/* Native histograms, in the float form that PromQL computes with and in which they travel between
 * nodes. Field semantics as in Prometheus (model/histogram FloatHistogram): bucket counts are
 * absolute. */
#ifndef NX_CHUNK_HISTOGRAM_H
#define NX_CHUNK_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"

#define NX_HISTOGRAM_CUSTOM_SCHEMA (-53)
/* Of each side, and of custom bounds: what validation, the codec and the chunks take at most. */
#define NX_HISTOGRAM_MAX_BUCKETS 65536u

enum nx_reset_hint {
    NX_HINT_UNKNOWN = 0,
    NX_HINT_RESET = 1,
    NX_HINT_NOT_RESET = 2,
    NX_HINT_GAUGE = 3
};

struct nx_span {
    int32_t
        offset; /* the first: index of its first bucket; later ones: gap after the span before */
    uint32_t length; /* buckets */
};

struct nx_histogram {
    enum nx_reset_hint hint;
    int32_t schema; /* -4..8 exponential, -53 custom */
    bool integer;   /* all counts were integers on the wire (kept for lossless export) */
    double zero_threshold;
    double zero_count;
    double count;
    double sum;
    struct nx_span *positive_spans;
    size_t positive_span_count;
    double *positive; /* one a bucket, absolute */
    size_t positive_count;
    struct nx_span *negative_spans;
    size_t negative_span_count;
    double *negative;
    size_t negative_count;
    double *custom_bounds; /* schema -53 only */
    size_t custom_count;
};

/* A deep copy into the arena, NULL without memory. */
struct nx_histogram *nx_histogram_copy(struct nx_arena *arena, const struct nx_histogram *h);
/* Prometheus's validation with its texts (reference: promql-reference section 14.2);
 * NX_ERR_INVALID. */
enum nx_err nx_histogram_validate(const struct nx_histogram *h,
                                  struct nx_fail *fail) NX_WARN_UNUSED;
/* Whether code may walk it: the schema is -4..8 or -53, spans and buckets agree, later offsets are
 * not negative, bucket indexes lie within +-2^30, custom bounds cover the buckets, nothing is
 * beyond NX_HISTOGRAM_MAX_BUCKETS. Whatever comes out of a codec or a chunk is sound; counts may be
 * anything. */
bool nx_histogram_is_sound(const struct nx_histogram *h);
/* Schema, zero threshold, spans and bounds equal bit for bit. */
bool nx_histogram_same_layout(const struct nx_histogram *a, const struct nx_histogram *b);
/* Sum carries the stale marker's bits. */
bool nx_histogram_is_stale(const struct nx_histogram *h);
/* Every field equal bit for bit, hint and span layout included. */
bool nx_histogram_identical(const struct nx_histogram *a, const struct nx_histogram *b);

#endif
