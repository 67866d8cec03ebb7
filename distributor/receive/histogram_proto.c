/* Which of the two forms a histogram has, integer or float, is known only when all fields were seen
 * (in remote write the oneof of its count decides, in an exposition whether a float count is there,
 * both as in Prometheus), so deltas and counts are collected side by side. The two schemas have the
 * same fields under other numbers: a table maps them to what remote write calls them. */
#include "distributor/receive/histogram_proto.h"

#include "common/chunk/sample.h"
#include "distributor/receive/pb_cursor.h"

enum field {
    FIELD_NONE,
    FIELD_COUNT_INT,
    FIELD_COUNT_FLOAT,
    FIELD_SUM,
    FIELD_SCHEMA,
    FIELD_ZERO_THRESHOLD,
    FIELD_ZERO_COUNT_INT,
    FIELD_ZERO_COUNT_FLOAT,
    FIELD_NEGATIVE_SPANS,
    FIELD_NEGATIVE_DELTAS,
    FIELD_NEGATIVE_COUNTS,
    FIELD_POSITIVE_SPANS,
    FIELD_POSITIVE_DELTAS,
    FIELD_POSITIVE_COUNTS,
    FIELD_RESET_HINT,
    FIELD_TIMESTAMP,
    FIELD_CUSTOM_VALUES,
};
enum { FIELD_NUMBERS = 17 };

struct dist_histogram_schema {
    uint8_t fields[FIELD_NUMBERS]; /* enum field, by number */
    bool one_of;                   /* the count that came last holds; else a float one above 0 */
};

const struct dist_histogram_schema dist_histogram_remote_write = {
    .fields = {[1] = FIELD_COUNT_INT,
               [2] = FIELD_COUNT_FLOAT,
               [3] = FIELD_SUM,
               [4] = FIELD_SCHEMA,
               [5] = FIELD_ZERO_THRESHOLD,
               [6] = FIELD_ZERO_COUNT_INT,
               [7] = FIELD_ZERO_COUNT_FLOAT,
               [8] = FIELD_NEGATIVE_SPANS,
               [9] = FIELD_NEGATIVE_DELTAS,
               [10] = FIELD_NEGATIVE_COUNTS,
               [11] = FIELD_POSITIVE_SPANS,
               [12] = FIELD_POSITIVE_DELTAS,
               [13] = FIELD_POSITIVE_COUNTS,
               [14] = FIELD_RESET_HINT,
               [15] = FIELD_TIMESTAMP,
               [16] = FIELD_CUSTOM_VALUES},
    .one_of = true,
};

const struct dist_histogram_schema dist_histogram_exposition = {
    .fields = {[1] = FIELD_COUNT_INT,
               [2] = FIELD_SUM,
               [4] = FIELD_COUNT_FLOAT,
               [5] = FIELD_SCHEMA,
               [6] = FIELD_ZERO_THRESHOLD,
               [7] = FIELD_ZERO_COUNT_INT,
               [8] = FIELD_ZERO_COUNT_FLOAT,
               [9] = FIELD_NEGATIVE_SPANS,
               [10] = FIELD_NEGATIVE_DELTAS,
               [11] = FIELD_NEGATIVE_COUNTS,
               [12] = FIELD_POSITIVE_SPANS,
               [13] = FIELD_POSITIVE_DELTAS,
               [14] = FIELD_POSITIVE_COUNTS},
};

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
    uint64_t count_int, zero_int;
    double count_float, zero_float;
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

static void take_bucket_field(struct decoding *d, enum field name,
                              const struct dist_pb_field *field)
{
    switch ((int)name) {
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

static double double_of(struct decoding *d, const struct dist_pb_field *field)
{
    return nx_double_from_bits(dist_pb_fixed64_of(&d->pb, field));
}

static void take_count_field(struct decoding *d, enum field name, const struct dist_pb_field *field)
{
    switch ((int)name) {
    case FIELD_COUNT_INT:
        d->count_int = dist_pb_varint_of(&d->pb, field);
        d->float_count = false;
        break;
    case FIELD_COUNT_FLOAT:
        d->count_float = double_of(d, field);
        d->float_count = true;
        break;
    case FIELD_ZERO_COUNT_INT:
        d->zero_int = dist_pb_varint_of(&d->pb, field);
        d->float_zero = false;
        break;
    case FIELD_ZERO_COUNT_FLOAT:
        d->zero_float = double_of(d, field);
        d->float_zero = true;
        break;
    default:
        take_bucket_field(d, name, field);
    }
}

static void take_field(struct decoding *d, enum field name, const struct dist_pb_field *field)
{
    switch ((int)name) {
    case FIELD_NONE:
        break;
    case FIELD_SUM:
        d->out->sum = double_of(d, field);
        break;
    case FIELD_SCHEMA:
        d->out->schema = dist_pb_zigzag32(dist_pb_varint_of(&d->pb, field));
        break;
    case FIELD_ZERO_THRESHOLD:
        d->out->zero_threshold = double_of(d, field);
        break;
    case FIELD_RESET_HINT:
        d->out->hint = hint_of(dist_pb_varint_of(&d->pb, field));
        break;
    case FIELD_TIMESTAMP:
        d->timestamp = (int64_t)dist_pb_varint_of(&d->pb, field);
        break;
    default:
        take_count_field(d, name, field);
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

static void finish(struct decoding *d, const struct dist_histogram_schema *schema)
{
    struct nx_histogram *h = d->out;
    bool is_float = schema->one_of ? d->float_count : d->count_float > 0 || d->zero_float > 0;
    h->integer = !is_float;
    h->count = is_float ? d->count_float : (double)d->count_int;
    if (!schema->one_of || d->float_zero == is_float)
        h->zero_count = is_float ? d->zero_float : (double)d->zero_int;

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

enum nx_err dist_histogram_decode(const struct dist_histogram_schema *schema,
                                  struct nx_view message, struct nx_arena *arena,
                                  int64_t *timestamp, struct nx_histogram **out,
                                  struct nx_fail *fail)
{
    struct decoding d = {.pb = dist_pb_of(message), .arena = arena};
    d.out = nx_arena_calloc(arena, 1, sizeof *d.out);
    if (!d.out)
        return NX_ERR_NOMEM;
    struct dist_pb_field field;
    while (dist_pb_next(&d.pb, &field)) {
        if (field.number < FIELD_NUMBERS)
            take_field(&d, (enum field)schema->fields[field.number], &field);
        if (d.no_memory)
            return NX_ERR_NOMEM;
    }
    if (!dist_pb_ok(&d.pb))
        return nx_fail_set(fail, NX_ERR_INVALID, "%s in Histogram", d.pb.why);
    finish(&d, schema);
    *timestamp = d.timestamp;
    *out = d.out;
    return NX_OK;
}
