/* What the files of the histogram arithmetic share. Not for others. */
#ifndef QRY_PROMQL_HISTOGRAM_INTERNAL_H
#define QRY_PROMQL_HISTOGRAM_INTERNAL_H

#include <math.h>

#include "querier/promql/histogram_math.h"

static inline bool qry_histogram_is_custom(const struct nx_histogram *h)
{
    return h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA;
}

/* Neumaier's step: adds `inc` to the pair of sum and compensation. */
static inline void qry_kahan_inc(double inc, double *sum, double *comp)
{
    double t = *sum + inc;
    if (isinf(t))
        *comp = 0;
    else if (fabs(*sum) >= fabs(inc))
        *comp += (*sum - t) + inc;
    else
        *comp += (inc - t) + *sum;
    *sum = t;
}

/* One side of a histogram as its spans hold it. */
struct qry_side {
    const struct nx_span *spans;
    size_t span_count;
    const double *counts;
    const double *comps; /* compensations, parallel to counts; NULL: none */
    size_t count;
};

struct qry_side_bucket {
    int32_t index;
    double count;
    double comp;
};

/* Reads a side bucket by bucket in ascending index, at a lower resolution where asked: by `shift`
 * schemas, or with custom bounds through `map` (old index -> new one, never descending). Buckets
 * that end at or below `skip_threshold` are passed over. Never reads beyond `count` buckets,
 * whatever the spans say. */
struct qry_side_iter {
    struct qry_side side;
    unsigned shift;
    const int32_t *map;
    size_t map_len;
    int32_t schema; /* of the source */
    double skip_threshold;
    size_t span, pos;
    uint32_t in_span;
    int32_t index; /* of the bucket at `pos` */
};

struct qry_side qry_histogram_side(const struct nx_histogram *h, const struct nx_histogram *comp,
                                   bool negative);
/* `skip_threshold` negative: nothing is passed over. */
void qry_side_iter_init(struct qry_side_iter *it, struct qry_side side, int32_t schema,
                        int32_t target_schema, double skip_threshold);
bool qry_side_next(struct qry_side_iter *it, struct qry_side_bucket *out);

/* Collects buckets in ascending index and builds spans from them. */
struct qry_side_builder {
    struct nx_span *spans;
    size_t span_count, span_capacity;
    double *counts;
    double *comps; /* NULL: none */
    size_t count, capacity;
    int32_t next_index; /* one past the last bucket */
    bool failed;
    struct nx_arena *arena;
};
void qry_side_builder_init(struct qry_side_builder *builder, struct nx_arena *arena,
                           size_t capacity, bool with_comps);
void qry_side_builder_add(struct qry_side_builder *builder, struct qry_side_bucket bucket);
/* Puts the side into `h` (and the compensations, with the same spans, into `comp`); false without
 * memory. */
bool qry_side_builder_finish(struct qry_side_builder *builder, struct nx_histogram *h,
                             struct nx_histogram *comp, bool negative);

/* Bounds of one bucket of a side, custom or exponential. */
void qry_side_bounds(const struct nx_histogram *h, int32_t index, bool negative,
                     struct qry_bucket *out);

/* The zero count of `h` when its threshold is grown to `threshold` or, where that falls into a
 * populated bucket, to that bucket's end (*grown). `comp` may be NULL. */
struct qry_side_bucket qry_zero_grow(const struct nx_histogram *h, const struct nx_histogram *comp,
                                     double threshold, double *grown);

#endif
