/* Exponential histograms as native histograms. A bucket of scale s and index i of OTLP is bucket
 * i + 1 of schema s: OTLP's bounds are exclusive below and inclusive above, its index names the
 * lower one, ours the upper one. Schemas above 8 are halved until they fit, which joins
 * neighbouring buckets. */
#include "common/chunk/sample.h"
#include "distributor/receive/otlp_points.h"

enum { MIN_SCALE = -4, MAX_SCALE = 8, MAX_GAP = 2, INDEX_LIMIT = 1 << 30 };

/* Prometheus's, for every such histogram. */
static const double zero_threshold = 1e-128;

static const char scale_too_small[] =
    "cannot convert exponential to native histogram: the scale must be -4 or more";
static const char index_too_far[] =
    "cannot convert exponential to native histogram: a bucket's index is out of range";

struct side {
    struct nx_span *spans;
    size_t span_count, span_capacity;
    double *counts;
    size_t count, capacity;
    int64_t next; /* the index behind the last bucket */
};

static enum nx_err add_count(struct nx_arena *arena, struct side *side, double count)
{
    if (!nx_arena_grow(arena, &side->counts, side->count, &side->capacity, side->count + 1,
                       sizeof *side->counts))
        return NX_ERR_NOMEM;
    side->counts[side->count++] = count;
    side->spans[side->span_count - 1].length++;
    side->next++;
    return NX_OK;
}

/* A short gap is filled with empty buckets, a long one begins a span. */
static enum nx_err add_bucket(struct nx_arena *arena, struct side *side, int64_t index,
                              double count)
{
    int64_t gap = index - side->next;
    enum nx_err err = NX_OK;
    if (side->span_count == 0 || gap > MAX_GAP) {
        if (!nx_arena_grow(arena, &side->spans, side->span_count, &side->span_capacity,
                           side->span_count + 1, sizeof *side->spans))
            return NX_ERR_NOMEM;
        side->spans[side->span_count++] = (struct nx_span){.offset = (int32_t)gap};
        side->next = index;
    }
    while (!err && side->next < index)
        err = add_count(arena, side, 0);
    return err ? err : add_count(arena, side, count);
}

/* NX_ERR_INVALID: an index that no schema has. */
static enum nx_err convert_side(struct nx_arena *arena, const Narthex__Otlp__Buckets *buckets,
                                int scale_down, struct side *side)
{
    enum nx_err err = NX_OK;
    *side = (struct side){.next = 0};
    if (!buckets)
        return NX_OK;
    for (size_t i = 0; i < buckets->n_counts && !err;) {
        int64_t index = (((int64_t)buckets->offset + (int64_t)i) >> scale_down) + 1;
        uint64_t count = 0;
        for (; i < buckets->n_counts &&
               (((int64_t)buckets->offset + (int64_t)i) >> scale_down) + 1 == index;
             i++)
            count += buckets->counts[i];
        if (count == 0)
            continue;
        if (index < -INDEX_LIMIT || index > INDEX_LIMIT)
            return NX_ERR_INVALID;
        err = add_bucket(arena, side, index, (double)count);
    }
    return err;
}

static enum nx_err convert(struct nx_arena *arena, const Narthex__Otlp__ExponentialPoint *point,
                           struct nx_histogram **out, const char **broken)
{
    int scale_down = point->scale > MAX_SCALE ? point->scale - MAX_SCALE : 0;
    struct side positive, negative;
    /* Beyond it all indexes of 32 bits are one of two. */
    if (scale_down > 40)
        scale_down = 40;
    if (point->scale < MIN_SCALE) {
        *broken = scale_too_small;
        return NX_OK;
    }
    enum nx_err err = convert_side(arena, point->positive, scale_down, &positive);
    if (!err)
        err = convert_side(arena, point->negative, scale_down, &negative);
    if (err == NX_ERR_INVALID) {
        *broken = index_too_far;
        return NX_OK;
    }
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    if (err || !h)
        return err ? err : NX_ERR_NOMEM;
    *h = (struct nx_histogram){.schema = point->scale > MAX_SCALE ? MAX_SCALE : point->scale,
                               .integer = true,
                               .zero_threshold = zero_threshold,
                               .zero_count = (double)point->zero_count,
                               .count = (double)point->count,
                               .positive_spans = positive.spans,
                               .positive_span_count = positive.span_count,
                               .positive = positive.counts,
                               .positive_count = positive.count,
                               .negative_spans = negative.spans,
                               .negative_span_count = negative.span_count,
                               .negative = negative.counts,
                               .negative_count = negative.count};
    if (point->sum_if_set_case == NARTHEX__OTLP__EXPONENTIAL_POINT__SUM_IF_SET_SUM)
        h->sum = point->sum;
    *out = h;
    return NX_OK;
}

static enum nx_err stale_histogram(struct nx_arena *arena, struct nx_histogram **out)
{
    *out = nx_arena_calloc(arena, 1, sizeof **out);
    if (!*out)
        return NX_ERR_NOMEM;
    (*out)->integer = true;
    (*out)->sum = nx_double_from_bits(NX_STALE_NAN_BITS);
    return NX_OK;
}

static enum nx_err add_point(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                             const Narthex__Otlp__ExponentialPoint *point)
{
    struct dist_batch *batch = o->decoding.batch;
    struct dist_otlp_labels labels;
    struct dist_series *series = NULL;
    struct nx_histogram *histogram = NULL;
    struct dist_histogram *row = NULL;
    const char *broken = NULL;
    enum nx_err err = dist_otlp_begin_point(o, metric, point->time_ns, point->attributes,
                                            point->n_attributes, &labels);
    if (err || !labels.items)
        return err;
    if (point->flags & DIST_OTLP_NO_RECORDED_VALUE)
        err = stale_histogram(&batch->arena, &histogram);
    else
        err = convert(&batch->arena, point, &histogram, &broken);
    if (broken)
        return dist_otlp_refuse(o, metric->name, broken);
    if (!err)
        err = dist_otlp_add_series(o, &labels, metric->name, NX_VIEW(""), NULL, &series);
    if (!err)
        err = dist_decoding_point(&o->decoding);
    if (!err)
        err = dist_batch_add_histogram(batch, &row);
    if (err)
        return err;
    row->timestamp = (int64_t)(point->time_ns / 1000000);
    row->histogram = histogram;
    series->histogram_count = 1;
    for (size_t i = 0; i < point->n_exemplars && !err; i++)
        err = dist_otlp_add_exemplar(o, series, point->exemplars[i]);
    return err;
}

enum nx_err dist_otlp_exponential(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                                  const Narthex__Otlp__ExponentialHistogram *histogram)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < histogram->n_points && !err; i++)
        err = add_point(o, metric, histogram->points[i]);
    return err;
}
