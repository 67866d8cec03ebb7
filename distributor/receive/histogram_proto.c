/* Which of the two forms a histogram has, integer or float, is known only when all fields were seen
 * (the oneof of its count decides, as in Prometheus), so deltas and counts are collected side by
 * side. */
#include "distributor/receive/histogram_proto.h"

#include <math.h>

#include "common/chunk/sample.h"
#include "distributor/receive/pb_cursor.h"

enum {
    FIELD_COUNT_INT = 1,
    FIELD_COUNT_FLOAT = 2,
    FIELD_SUM = 3,
    FIELD_SCHEMA = 4,
    FIELD_ZERO_THRESHOLD = 5,
    FIELD_ZERO_COUNT_INT = 6,
    FIELD_ZERO_COUNT_FLOAT = 7,
    FIELD_NEGATIVE_SPANS = 8,
    FIELD_NEGATIVE_DELTAS = 9,
    FIELD_NEGATIVE_COUNTS = 10,
    FIELD_POSITIVE_SPANS = 11,
    FIELD_POSITIVE_DELTAS = 12,
    FIELD_POSITIVE_COUNTS = 13,
    FIELD_RESET_HINT = 14,
    FIELD_TIMESTAMP = 15,
    FIELD_CUSTOM_VALUES = 16,
};

enum { MAX_RESOLUTION = 8, MAX_KNOWN_RESOLUTION = 52 };

struct numbers { /* raw elements: zig-zag varints or bits of doubles */
    uint64_t *items;
    size_t count, capacity;
};

struct side {
    struct nx_span *spans;
    size_t span_count, span_capacity;
    struct numbers deltas;
    struct numbers counts;
};

struct decoding {
    struct dist_pb pb;
    struct nx_arena *arena;
    bool no_memory;
    bool float_count, float_zero; /* which one of the oneof came last */
    uint64_t count, zero_count;
    struct side positive, negative;
    struct numbers custom;
    int64_t timestamp;
    struct nx_histogram *out;
};

static void add_numbers(struct decoding *d, const struct dist_pb_field *field,
                        enum dist_pb_wire wire, struct numbers *numbers)
{
    struct dist_pb_run run = dist_pb_run_of(&d->pb, field, wire);
    uint64_t value = 0;
    while (dist_pb_run_next(&d->pb, &run, &value)) {
        if (!nx_arena_grow(d->arena, &numbers->items, numbers->count, &numbers->capacity,
                           numbers->count + 1, sizeof *numbers->items)) {
            d->no_memory = true;
            return;
        }
        numbers->items[numbers->count++] = value;
    }
}

static void add_span(struct decoding *d, const struct dist_pb_field *field, struct side *side)
{
    struct dist_pb pb = dist_pb_of(dist_pb_bytes_of(&d->pb, field));
    struct dist_pb_field inner;
    struct nx_span span = {0, 0};
    while (dist_pb_next(&pb, &inner)) {
        if (inner.number == 1)
            span.offset = dist_pb_zigzag32(dist_pb_varint_of(&pb, &inner));
        else if (inner.number == 2)
            span.length = (uint32_t)dist_pb_varint_of(&pb, &inner);
    }
    if (!dist_pb_ok(&pb)) {
        d->pb.why = pb.why;
        return;
    }
    if (!nx_arena_grow(d->arena, &side->spans, side->span_count, &side->span_capacity,
                       side->span_count + 1, sizeof *side->spans))
        d->no_memory = true;
    else
        side->spans[side->span_count++] = span;
}

static void take_bucket_field(struct decoding *d, const struct dist_pb_field *field)
{
    switch (field->number) {
    case FIELD_NEGATIVE_SPANS:
        add_span(d, field, &d->negative);
        break;
    case FIELD_NEGATIVE_DELTAS:
        add_numbers(d, field, DIST_PB_VARINT, &d->negative.deltas);
        break;
    case FIELD_NEGATIVE_COUNTS:
        add_numbers(d, field, DIST_PB_FIXED64, &d->negative.counts);
        break;
    case FIELD_POSITIVE_SPANS:
        add_span(d, field, &d->positive);
        break;
    case FIELD_POSITIVE_DELTAS:
        add_numbers(d, field, DIST_PB_VARINT, &d->positive.deltas);
        break;
    case FIELD_POSITIVE_COUNTS:
        add_numbers(d, field, DIST_PB_FIXED64, &d->positive.counts);
        break;
    case FIELD_CUSTOM_VALUES:
        add_numbers(d, field, DIST_PB_FIXED64, &d->custom);
        break;
    default:
        break;
    }
}

static enum nx_reset_hint hint_of(uint64_t value)
{
    uint32_t number = (uint32_t)value;
    return number <= NX_HINT_GAUGE ? (enum nx_reset_hint)number : NX_HINT_UNKNOWN;
}

static void take_field(struct decoding *d, const struct dist_pb_field *field)
{
    switch (field->number) {
    case FIELD_COUNT_INT:
    case FIELD_COUNT_FLOAT:
        d->float_count = field->number == FIELD_COUNT_FLOAT;
        d->count =
            d->float_count ? dist_pb_fixed64_of(&d->pb, field) : dist_pb_varint_of(&d->pb, field);
        break;
    case FIELD_SUM:
        d->out->sum = nx_double_from_bits(dist_pb_fixed64_of(&d->pb, field));
        break;
    case FIELD_SCHEMA:
        d->out->schema = dist_pb_zigzag32(dist_pb_varint_of(&d->pb, field));
        break;
    case FIELD_ZERO_THRESHOLD:
        d->out->zero_threshold = nx_double_from_bits(dist_pb_fixed64_of(&d->pb, field));
        break;
    case FIELD_ZERO_COUNT_INT:
    case FIELD_ZERO_COUNT_FLOAT:
        d->float_zero = field->number == FIELD_ZERO_COUNT_FLOAT;
        d->zero_count =
            d->float_zero ? dist_pb_fixed64_of(&d->pb, field) : dist_pb_varint_of(&d->pb, field);
        break;
    case FIELD_RESET_HINT:
        d->out->hint = hint_of(dist_pb_varint_of(&d->pb, field));
        break;
    case FIELD_TIMESTAMP:
        d->timestamp = (int64_t)dist_pb_varint_of(&d->pb, field);
        break;
    default:
        take_bucket_field(d, field);
    }
}

/* In place: both are 8 bytes wide, and the array is ours. */
static double *absolute_counts(struct numbers *numbers, bool deltas)
{
    uint64_t sum = 0;
    double *out = (double *)(void *)numbers->items;
    for (size_t i = 0; i < numbers->count; i++) {
        double value;
        if (deltas) {
            sum += (uint64_t)dist_pb_zigzag(numbers->items[i]);
            value = (double)(int64_t)sum;
        } else {
            value = nx_double_from_bits(numbers->items[i]);
        }
        memcpy(&out[i], &value, sizeof value);
    }
    return out;
}

static void finish(struct decoding *d)
{
    struct nx_histogram *h = d->out;
    h->integer = !d->float_count;
    h->count = d->float_count ? nx_double_from_bits(d->count) : (double)d->count;
    if (d->float_zero == d->float_count)
        h->zero_count = d->float_zero ? nx_double_from_bits(d->zero_count) : (double)d->zero_count;

    struct numbers *positive = h->integer ? &d->positive.deltas : &d->positive.counts;
    struct numbers *negative = h->integer ? &d->negative.deltas : &d->negative.counts;
    h->positive = absolute_counts(positive, h->integer);
    h->positive_count = positive->count;
    h->positive_spans = d->positive.spans;
    h->positive_span_count = d->positive.span_count;
    h->negative = absolute_counts(negative, h->integer);
    h->negative_count = negative->count;
    h->negative_spans = d->negative.spans;
    h->negative_span_count = d->negative.span_count;
    h->custom_bounds = absolute_counts(&d->custom, false);
    h->custom_count = d->custom.count;
}

enum nx_err dist_histogram_decode(struct nx_view message, struct nx_arena *arena,
                                  int64_t *timestamp, struct nx_histogram **out,
                                  struct nx_fail *fail)
{
    struct decoding d = {.pb = dist_pb_of(message), .arena = arena};
    d.out = nx_arena_calloc(arena, 1, sizeof *d.out);
    if (!d.out)
        return NX_ERR_NOMEM;
    struct dist_pb_field field;
    while (dist_pb_next(&d.pb, &field)) {
        take_field(&d, &field);
        if (d.no_memory)
            return NX_ERR_NOMEM;
    }
    if (!dist_pb_ok(&d.pb))
        return nx_fail_set(fail, NX_ERR_INVALID, "%s in Histogram", d.pb.why);
    finish(&d);
    *timestamp = d.timestamp;
    *out = d.out;
    return NX_OK;
}

/* --- resolution --- */

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

/* A bucket goes to the end of the last span, to a span of its own after a gap, or into the bucket
 * before. */
static enum nx_err reduce_side(struct nx_arena *arena, int32_t steps, struct nx_span **spans,
                               size_t *span_count, double *buckets, size_t *bucket_count)
{
    struct nx_span *result = NULL;
    size_t result_count = 0, capacity = 0, kept = 0, next = 0;
    int64_t index = 0, last = 0;
    for (size_t s = 0; s < *span_count; s++) {
        index += (*spans)[s].offset;
        for (uint32_t i = 0; i < (*spans)[s].length; i++, index++, next++) {
            int64_t target = coarser(index, steps);
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

enum nx_err dist_histogram_reduce(struct nx_arena *arena, struct nx_histogram *h)
{
    if (h->schema <= MAX_RESOLUTION || h->schema > MAX_KNOWN_RESOLUTION ||
        !layout_fits(h->positive_spans, h->positive_span_count, h->positive_count) ||
        !layout_fits(h->negative_spans, h->negative_span_count, h->negative_count))
        return NX_OK;
    int32_t steps = h->schema - MAX_RESOLUTION;
    enum nx_err err = reduce_side(arena, steps, &h->positive_spans, &h->positive_span_count,
                                  h->positive, &h->positive_count);
    if (!err)
        err = reduce_side(arena, steps, &h->negative_spans, &h->negative_span_count, h->negative,
                          &h->negative_count);
    if (!err)
        h->schema = MAX_RESOLUTION;
    return err;
}
