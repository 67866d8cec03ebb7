/* Sides of buckets are rewritten in place: a bucket goes to the end of the last span, to a span of
 * its own after a gap, or into the bucket before. */
#include "distributor/receive/histogram_buckets.h"

enum { MAX_RESOLUTION = 8, MAX_KNOWN_RESOLUTION = 52, MIN_RESOLUTION = -4 };

static bool layout_fits(const struct nx_span *spans, size_t span_count, size_t bucket_count)
{
    uint64_t promised = 0;
    for (size_t i = 0; i < span_count; i++) {
        if (i > 0 && spans[i].offset < 0)
            return false;
        promised += spans[i].length;
    }
    return promised == bucket_count;
}

static int64_t coarser(int64_t index, int32_t steps)
{
    return ((index - 1) >> steps) + 1;
}

/* `steps` schemas coarser; `drop_empty`: buckets of count 0 are left out. */
static enum nx_err rewrite_side(struct nx_arena *arena, int32_t steps, bool drop_empty,
                                struct nx_span **spans, size_t *span_count, double *buckets,
                                size_t *bucket_count)
{
    struct nx_span *result = NULL;
    size_t result_count = 0, capacity = 0, kept = 0, next = 0;
    int64_t index = 0, last = 0;
    for (size_t s = 0; s < *span_count; s++) {
        index += (*spans)[s].offset;
        for (uint32_t i = 0; i < (*spans)[s].length; i++, index++, next++) {
            int64_t target = coarser(index, steps);
            if (drop_empty && !(buckets[next] < 0 || buckets[next] > 0))
                continue;
            if (kept > 0 && target == last) {
                buckets[kept - 1] += buckets[next];
                continue;
            }
            if (kept == 0 || target != last + 1) {
                if (!nx_arena_grow(arena, &result, result_count, &capacity, result_count + 1,
                                   sizeof *result))
                    return NX_ERR_NOMEM;
                int64_t offset = kept == 0 ? target : target - last - 1;
                result[result_count++] = (struct nx_span){.offset = (int32_t)offset, .length = 0};
            }
            result[result_count - 1].length++;
            buckets[kept++] = buckets[next];
            last = target;
        }
    }
    *spans = result;
    *span_count = result_count;
    *bucket_count = kept;
    return NX_OK;
}

static bool is_exponential(const struct nx_histogram *h)
{
    return h->schema >= MIN_RESOLUTION && h->schema <= MAX_KNOWN_RESOLUTION;
}

static enum nx_err rewrite(struct nx_arena *arena, int32_t steps, bool drop_empty,
                           struct nx_histogram *h)
{
    if (!layout_fits(h->positive_spans, h->positive_span_count, h->positive_count) ||
        !layout_fits(h->negative_spans, h->negative_span_count, h->negative_count))
        return NX_OK;
    enum nx_err err = rewrite_side(arena, steps, drop_empty, &h->positive_spans,
                                   &h->positive_span_count, h->positive, &h->positive_count);
    if (!err)
        err = rewrite_side(arena, steps, drop_empty, &h->negative_spans, &h->negative_span_count,
                           h->negative, &h->negative_count);
    if (!err)
        h->schema -= steps;
    return err;
}

enum nx_err dist_histogram_reduce(struct nx_arena *arena, struct nx_histogram *h)
{
    if (h->schema <= MAX_RESOLUTION || h->schema > MAX_KNOWN_RESOLUTION)
        return NX_OK;
    return rewrite(arena, h->schema - MAX_RESOLUTION, false, h);
}

enum nx_err dist_histogram_compact(struct nx_arena *arena, struct nx_histogram *h)
{
    return rewrite(arena, 0, true, h);
}

enum nx_err dist_histogram_limit_schema(struct nx_arena *arena, struct nx_histogram *h,
                                        int32_t max_schema)
{
    if (!is_exponential(h) || h->schema <= max_schema || max_schema < MIN_RESOLUTION)
        return NX_OK;
    return rewrite(arena, h->schema - max_schema, false, h);
}

enum nx_err dist_histogram_limit_buckets(struct nx_arena *arena, struct nx_histogram *h,
                                         size_t max_buckets)
{
    while (h->positive_count + h->negative_count > max_buckets) {
        int32_t schema = h->schema;
        enum nx_err err = NX_OK;
        if (is_exponential(h) && schema > MIN_RESOLUTION)
            err = dist_histogram_limit_schema(arena, h, schema - 1);
        if (err)
            return err;
        if (h->schema == schema)
            return NX_ERR_LIMIT;
    }
    return NX_OK;
}
