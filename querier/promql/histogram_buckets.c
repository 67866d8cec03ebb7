/* Walking and rebuilding the bucket layouts. A side is a run of spans over one array of counts;
 * everything here reads it through qry_side_iter, which trusts the number of counts and not the
 * spans' lengths, and writes it through qry_side_builder, whose spans are canonical (adjacent
 * buckets share one). */
#include "querier/promql/histogram_internal.h"

static int32_t index_add(int32_t index, int64_t offset)
{
    int64_t sum = index + offset;
    if (sum > INT32_MAX)
        return INT32_MAX;
    return sum < INT32_MIN ? INT32_MIN : (int32_t)sum;
}

struct qry_side qry_histogram_side(const struct nx_histogram *h, const struct nx_histogram *comp,
                                   bool negative)
{
    if (negative)
        return (struct qry_side){h->negative_spans, h->negative_span_count, h->negative,
                                 comp ? comp->negative : NULL, h->negative_count};
    return (struct qry_side){h->positive_spans, h->positive_span_count, h->positive,
                             comp ? comp->positive : NULL, h->positive_count};
}

void qry_side_iter_init(struct qry_side_iter *it, struct qry_side side, int32_t schema,
                        int32_t target_schema, double skip_threshold)
{
    *it = (struct qry_side_iter){.side = side, .schema = schema, .skip_threshold = skip_threshold};
    it->shift = schema > target_schema ? (unsigned)(schema - target_schema) : 0;
    if (it->shift > 31)
        it->shift = 31;
    if (side.span_count > 0)
        it->index = side.spans[0].offset;
}

/* Brings (span, in_span, index) to the bucket at `pos`; false at the end. */
static bool side_settle(struct qry_side_iter *it)
{
    if (it->pos >= it->side.count)
        return false;
    while (it->span < it->side.span_count && it->in_span >= it->side.spans[it->span].length) {
        it->span++;
        it->in_span = 0;
        if (it->span < it->side.span_count)
            it->index = index_add(it->index, it->side.spans[it->span].offset);
    }
    return it->span < it->side.span_count;
}

static int32_t side_target(const struct qry_side_iter *it)
{
    if (it->map) {
        size_t i = it->index < 0 ? 0 : (size_t)it->index;
        return it->map[i < it->map_len ? i : it->map_len - 1];
    }
    return it->shift == 0 ? it->index : ((it->index - 1) >> it->shift) + 1;
}

static bool side_skipped(const struct qry_side_iter *it)
{
    return it->skip_threshold >= 0 &&
           qry_histogram_bound(it->index, it->schema) <= it->skip_threshold;
}

static void side_step(struct qry_side_iter *it)
{
    it->pos++;
    it->in_span++;
    it->index = index_add(it->index, 1);
}

bool qry_side_next(struct qry_side_iter *it, struct qry_side_bucket *out)
{
    while (side_settle(it) && side_skipped(it))
        side_step(it);
    if (!side_settle(it))
        return false;
    out->index = side_target(it);
    out->count = it->side.counts[it->pos];
    out->comp = it->side.comps ? it->side.comps[it->pos] : 0;
    side_step(it);
    while (side_settle(it) && side_target(it) == out->index) {
        if (it->side.comps) {
            qry_kahan_inc(it->side.counts[it->pos], &out->count, &out->comp);
            out->comp += it->side.comps[it->pos];
        } else {
            out->count += it->side.counts[it->pos];
        }
        side_step(it);
    }
    return true;
}

void qry_side_builder_init(struct qry_side_builder *builder, struct nx_arena *arena,
                           size_t capacity, bool with_comps)
{
    *builder = (struct qry_side_builder){.arena = arena, .capacity = capacity};
    if (capacity == 0)
        return;
    builder->counts = nx_arena_array(arena, capacity, sizeof(double));
    if (with_comps)
        builder->comps = nx_arena_array(arena, capacity, sizeof(double));
    builder->failed = !builder->counts || (with_comps && !builder->comps);
}

void qry_side_builder_add(struct qry_side_builder *builder, struct qry_side_bucket bucket)
{
    if (builder->failed)
        return;
    if (builder->count == builder->capacity) {
        builder->failed = true;
        return;
    }
    bool adjacent = builder->span_count > 0 && bucket.index == builder->next_index;
    if (!adjacent) {
        if (!nx_arena_grow(builder->arena, &builder->spans, builder->span_count,
                           &builder->span_capacity, builder->span_count + 1,
                           sizeof *builder->spans)) {
            builder->failed = true;
            return;
        }
        int32_t from = builder->span_count > 0 ? builder->next_index : 0;
        builder->spans[builder->span_count++] =
            (struct nx_span){.offset = index_add(bucket.index, -(int64_t)from)};
    }
    builder->spans[builder->span_count - 1].length++;
    builder->counts[builder->count] = bucket.count;
    if (builder->comps)
        builder->comps[builder->count] = bucket.comp;
    builder->count++;
    builder->next_index = index_add(bucket.index, 1);
}

static void put_side(struct nx_histogram *h, const struct qry_side_builder *builder, double *counts,
                     bool negative)
{
    if (negative) {
        h->negative_spans = builder->spans;
        h->negative_span_count = builder->span_count;
        h->negative = counts;
        h->negative_count = builder->count;
    } else {
        h->positive_spans = builder->spans;
        h->positive_span_count = builder->span_count;
        h->positive = counts;
        h->positive_count = builder->count;
    }
}

bool qry_side_builder_finish(struct qry_side_builder *builder, struct nx_histogram *h,
                             struct nx_histogram *comp, bool negative)
{
    if (builder->failed)
        return false;
    put_side(h, builder, builder->counts, negative);
    if (comp)
        put_side(comp, builder, builder->comps, negative);
    return true;
}

void qry_side_bounds(const struct nx_histogram *h, int32_t index, bool negative,
                     struct qry_bucket *out)
{
    out->index = index;
    if (qry_histogram_is_custom(h)) {
        size_t i = index < 0 ? 0 : (size_t)index;
        out->lower = i == 0 ? -HUGE_VAL : h->custom_bounds[i - 1 < h->custom_count ? i - 1 : 0];
        if (i > h->custom_count)
            out->lower = HUGE_VAL;
        out->upper = i < h->custom_count ? h->custom_bounds[i] : HUGE_VAL;
        out->lower_inclusive = i == 0;
        out->upper_inclusive = true;
        return;
    }
    double far = qry_histogram_bound(index, h->schema);
    double near = qry_histogram_bound(index_add(index, -1), h->schema);
    out->lower = negative ? -far : near;
    out->upper = negative ? -near : far;
    out->lower_inclusive = negative;
    out->upper_inclusive = !negative;
}

struct nx_histogram *qry_histogram_reduce(struct nx_arena *arena, const struct nx_histogram *h,
                                          int32_t schema)
{
    struct nx_histogram *out = nx_histogram_copy(arena, h);
    if (!out || qry_histogram_is_custom(h) || schema >= h->schema)
        return out;
    for (int negative = 0; negative < 2; negative++) {
        struct qry_side_iter it;
        struct qry_side_builder builder;
        struct qry_side_bucket bucket;
        struct qry_side side = qry_histogram_side(h, NULL, negative);
        qry_side_iter_init(&it, side, h->schema, schema, -1);
        qry_side_builder_init(&builder, arena, side.count, false);
        while (qry_side_next(&it, &bucket))
            qry_side_builder_add(&builder, bucket);
        if (!qry_side_builder_finish(&builder, out, NULL, negative))
            return NULL;
    }
    out->schema = schema;
    return out;
}

struct nx_histogram *qry_histogram_compact(struct nx_arena *arena, const struct nx_histogram *h)
{
    struct nx_histogram *out = nx_histogram_copy(arena, h);
    if (!out)
        return NULL;
    for (int negative = 0; negative < 2; negative++) {
        struct qry_side_iter it;
        struct qry_side_builder builder;
        struct qry_side_bucket bucket;
        struct qry_side side = qry_histogram_side(h, NULL, negative);
        qry_side_iter_init(&it, side, h->schema, h->schema, -1);
        qry_side_builder_init(&builder, arena, side.count, false);
        while (qry_side_next(&it, &bucket))
            if (bucket.count != 0)
                qry_side_builder_add(&builder, bucket);
        if (!qry_side_builder_finish(&builder, out, NULL, negative))
            return NULL;
    }
    return out;
}

uint64_t qry_histogram_samples(const struct nx_histogram *h)
{
    uint64_t words = (uint64_t)h->positive_span_count + h->negative_span_count + h->positive_count +
                     h->negative_count + h->custom_count;
    return (168 + 8 * words + 8) / 16;
}
