/* All buckets of a histogram in order of value: the negative side from its far end, the zero
 * bucket, the positive side; or the other way round. */
#include "querier/promql/histogram_internal.h"

enum { PHASE_FIRST_SIDE, PHASE_ZERO, PHASE_SECOND_SIDE, PHASE_END };

/* The side walked in a phase; ascending order walks the negative side first. */
static bool phase_is_negative(const struct qry_bucket_iter *it)
{
    return (it->phase == PHASE_FIRST_SIDE) != it->descending;
}

/* The negative side ascends in value where its index descends. */
static bool phase_is_backward(const struct qry_bucket_iter *it)
{
    return it->phase == PHASE_FIRST_SIDE;
}

static int32_t wrap_add(int32_t a, int64_t b)
{
    return (int32_t)(uint32_t)((uint64_t)(int64_t)a + (uint64_t)b);
}

static void enter_forward(struct qry_bucket_iter *it, struct qry_side side)
{
    it->span = it->in_span = it->pos = 0;
    it->index = side.span_count > 0 ? side.spans[0].offset : 0;
}

/* Behind the last bucket that both the spans and the counts have. */
static void enter_backward(struct qry_bucket_iter *it, struct qry_side side)
{
    enter_forward(it, side);
    for (size_t i = 0; i < side.span_count; i++) {
        it->span = i;
        if (i > 0)
            it->index = wrap_add(it->index, side.spans[i].offset);
        size_t length = side.spans[i].length;
        if (length > side.count - it->pos)
            length = side.count - it->pos;
        it->in_span = length;
        it->pos += length;
        it->index = wrap_add(it->index, (int64_t)length);
        if (it->pos == side.count)
            break;
    }
}

static void enter_phase(struct qry_bucket_iter *it, int phase)
{
    it->phase = phase;
    if (phase != PHASE_FIRST_SIDE && phase != PHASE_SECOND_SIDE)
        return;
    struct qry_side side = qry_histogram_side(it->h, NULL, phase_is_negative(it));
    if (phase_is_backward(it))
        enter_backward(it, side);
    else
        enter_forward(it, side);
}

void qry_bucket_iter_init(struct qry_bucket_iter *it, const struct nx_histogram *h, bool descending)
{
    *it = (struct qry_bucket_iter){.h = h, .descending = descending};
    enter_phase(it, PHASE_FIRST_SIDE);
}

static bool side_forward(struct qry_bucket_iter *it, struct qry_side side, int32_t *index,
                         double *count)
{
    while (it->span < side.span_count && it->in_span >= side.spans[it->span].length) {
        it->span++;
        it->in_span = 0;
        if (it->span < side.span_count)
            it->index = wrap_add(it->index, side.spans[it->span].offset);
    }
    if (it->span >= side.span_count || it->pos >= side.count)
        return false;
    *index = it->index;
    *count = side.counts[it->pos++];
    it->in_span++;
    it->index = wrap_add(it->index, 1);
    return true;
}

static bool side_backward(struct qry_bucket_iter *it, struct qry_side side, int32_t *index,
                          double *count)
{
    if (it->pos == 0)
        return false;
    while (it->in_span == 0) {
        if (it->span == 0)
            return false;
        it->index = wrap_add(it->index, -(int64_t)side.spans[it->span].offset);
        it->span--;
        it->in_span = side.spans[it->span].length;
    }
    it->in_span--;
    it->pos--;
    it->index = wrap_add(it->index, -1);
    *index = it->index;
    *count = side.counts[it->pos];
    return true;
}

/* Cuts the bucket at the zero bucket's edge; false where nothing is left of it. */
static bool cut_at_zero_bucket(const struct nx_histogram *h, bool negative, struct qry_bucket *b)
{
    double threshold = h->zero_threshold;
    if (qry_histogram_is_custom(h) || !(threshold > 0))
        return true;
    if (negative) {
        if (b->lower >= -threshold)
            return false;
        if (b->upper > -threshold)
            b->upper = -threshold;
        return true;
    }
    if (b->upper <= threshold)
        return false;
    if (b->lower < threshold)
        b->lower = threshold;
    return true;
}

static bool next_of_side(struct qry_bucket_iter *it, struct qry_bucket *out)
{
    bool negative = phase_is_negative(it);
    struct qry_side side = qry_histogram_side(it->h, NULL, negative);
    int32_t index;
    double count;
    while (phase_is_backward(it) ? side_backward(it, side, &index, &count)
                                 : side_forward(it, side, &index, &count)) {
        if (count == 0)
            continue;
        struct qry_bucket bucket = {.count = count};
        qry_side_bounds(it->h, index, negative, &bucket);
        if (!cut_at_zero_bucket(it->h, negative, &bucket))
            continue;
        *out = bucket;
        return true;
    }
    return false;
}

bool qry_bucket_next(struct qry_bucket_iter *it, struct qry_bucket *out)
{
    while (it->phase != PHASE_END) {
        if (it->phase == PHASE_ZERO) {
            enter_phase(it, PHASE_SECOND_SIDE);
            /* As in Prometheus, a negative or NaN zero count is no bucket. */
            if (!(it->h->zero_count > 0) || qry_histogram_is_custom(it->h))
                continue;
            *out = (struct qry_bucket){.lower = -it->h->zero_threshold,
                                       .upper = it->h->zero_threshold,
                                       .lower_inclusive = true,
                                       .upper_inclusive = true,
                                       .count = it->h->zero_count};
            return true;
        }
        if (next_of_side(it, out))
            return true;
        enter_phase(it, it->phase + 1);
    }
    return false;
}
