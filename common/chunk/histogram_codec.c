#include "common/chunk/histogram_codec.h"

#include "common/chunk/sample.h"

enum {
    FLAG_HINT = 0x03,
    FLAG_INTEGER = 0x04,       /* the histogram's own mark */
    FLAG_INTEGER_CODES = 0x08, /* counts are written as integers */
    FLAGS_KNOWN = 0x0F,
    SPAN_MIN_BYTES = 2,
};

bool nx_count_is_integer(double v, int64_t *out)
{
    if (!(v >= -9007199254740992.0 && v <= 9007199254740992.0))
        return false;
    int64_t integer = (int64_t)v;
    if (nx_double_bits((double)integer) != nx_double_bits(v))
        return false;
    *out = integer;
    return true;
}

/* --- layout --- */

static void put_spans(struct nx_buf *buf, const struct nx_span *spans, size_t count)
{
    nx_buf_put_uvarint(buf, count);
    for (size_t i = 0; i < count; i++) {
        nx_buf_put_varint(buf, spans[i].offset);
        nx_buf_put_uvarint(buf, spans[i].length);
    }
}

void nx_histogram_put_layout(struct nx_buf *buf, const struct nx_histogram *h)
{
    nx_buf_put_varint(buf, h->schema);
    nx_buf_put_u64(buf, nx_double_bits(h->zero_threshold));
    put_spans(buf, h->positive_spans, h->positive_span_count);
    put_spans(buf, h->negative_spans, h->negative_span_count);
    if (h->schema != NX_HISTOGRAM_CUSTOM_SCHEMA)
        return;
    nx_buf_put_uvarint(buf, h->custom_count);
    for (size_t i = 0; i < h->custom_count; i++)
        nx_buf_put_u64(buf, nx_double_bits(h->custom_bounds[i]));
}

static enum nx_err read_spans(struct nx_cursor *cur, struct nx_arena *arena, struct nx_span **spans,
                              size_t *span_count, size_t *bucket_count)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > NX_HISTOGRAM_MAX_BUCKETS ||
        count > nx_cursor_left(cur) / SPAN_MIN_BYTES)
        return NX_ERR_CORRUPT;
    *spans = NULL;
    *span_count = (size_t)count;
    *bucket_count = 0;
    if (count == 0)
        return NX_OK;
    *spans = nx_arena_array(arena, (size_t)count, sizeof **spans);
    if (!*spans)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        int64_t offset = nx_cursor_varint(cur);
        uint64_t length = nx_cursor_uvarint(cur);
        if (offset < INT32_MIN || offset > INT32_MAX || length > NX_HISTOGRAM_MAX_BUCKETS)
            return NX_ERR_CORRUPT;
        (*spans)[i] = (struct nx_span){.offset = (int32_t)offset, .length = (uint32_t)length};
        *bucket_count += (size_t)length;
    }
    return nx_cursor_ok(cur) ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err read_bounds(struct nx_cursor *cur, struct nx_arena *arena,
                               struct nx_histogram *h)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > NX_HISTOGRAM_MAX_BUCKETS || count > nx_cursor_left(cur) / 8)
        return NX_ERR_CORRUPT;
    h->custom_count = (size_t)count;
    if (count == 0)
        return NX_OK;
    h->custom_bounds = nx_arena_array(arena, (size_t)count, sizeof *h->custom_bounds);
    if (!h->custom_bounds)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        h->custom_bounds[i] = nx_double_from_bits(nx_cursor_u64(cur));
    return NX_OK;
}

enum nx_err nx_histogram_read_layout(struct nx_cursor *cur, struct nx_arena *arena,
                                     struct nx_histogram *h)
{
    int64_t schema = nx_cursor_varint(cur);
    if (schema < NX_HISTOGRAM_CUSTOM_SCHEMA || schema > 8)
        return NX_ERR_CORRUPT;
    h->schema = (int32_t)schema;
    h->zero_threshold = nx_double_from_bits(nx_cursor_u64(cur));
    h->custom_bounds = NULL;
    h->custom_count = 0;
    enum nx_err err =
        read_spans(cur, arena, &h->positive_spans, &h->positive_span_count, &h->positive_count);
    if (err == NX_OK)
        err =
            read_spans(cur, arena, &h->negative_spans, &h->negative_span_count, &h->negative_count);
    if (err == NX_OK && h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA)
        err = read_bounds(cur, arena, h);
    if (err == NX_OK && (!nx_cursor_ok(cur) || !nx_histogram_is_sound(h)))
        err = NX_ERR_CORRUPT;
    return err;
}

/* --- counts --- */

static bool all_integers(const double *values, size_t count)
{
    int64_t integer;
    for (size_t i = 0; i < count; i++)
        if (!nx_count_is_integer(values[i], &integer))
            return false;
    return true;
}

/* Neighbouring buckets are alike: each is written as the difference to the one before it. */
static void put_counts(struct nx_buf *buf, const double *values, size_t count, bool integers)
{
    int64_t before = 0;
    for (size_t i = 0; i < count; i++) {
        if (integers) {
            int64_t integer = (int64_t)values[i];
            nx_buf_put_varint(buf, integer - before);
            before = integer;
        } else {
            nx_buf_put_u64(buf, nx_double_bits(values[i]));
        }
    }
}

static enum nx_err read_counts(struct nx_cursor *cur, double *values, size_t count, bool integers)
{
    uint64_t running = 0;
    for (size_t i = 0; i < count; i++) {
        if (integers) {
            running += (uint64_t)nx_cursor_varint(cur);
            values[i] = (double)(int64_t)running;
        } else {
            values[i] = nx_double_from_bits(nx_cursor_u64(cur));
        }
    }
    return nx_cursor_ok(cur) ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err read_buckets(struct nx_cursor *cur, struct nx_arena *arena, size_t count,
                                bool integers, double **out)
{
    *out = NULL;
    if (count == 0)
        return NX_OK;
    if (count > nx_cursor_left(cur) / (integers ? 1 : 8))
        return NX_ERR_CORRUPT;
    *out = nx_arena_array(arena, count, sizeof **out);
    return *out ? read_counts(cur, *out, count, integers) : NX_ERR_NOMEM;
}

enum nx_err nx_histogram_encode(struct nx_buf *buf, const struct nx_histogram *h)
{
    if (!nx_histogram_is_sound(h))
        return NX_ERR_INVALID;
    double totals[2] = {h->count, h->zero_count};
    bool integers = all_integers(totals, 2) && all_integers(h->positive, h->positive_count) &&
                    all_integers(h->negative, h->negative_count);
    unsigned flags = (unsigned)h->hint & FLAG_HINT;
    flags |= h->integer ? FLAG_INTEGER : 0u;
    flags |= integers ? FLAG_INTEGER_CODES : 0u;
    nx_buf_put_u8(buf, (uint8_t)flags);
    nx_buf_put_u64(buf, nx_double_bits(h->sum));
    nx_histogram_put_layout(buf, h);
    put_counts(buf, totals, 2, integers);
    put_counts(buf, h->positive, h->positive_count, integers);
    put_counts(buf, h->negative, h->negative_count, integers);
    return nx_buf_err(buf);
}

enum nx_err nx_histogram_decode(struct nx_cursor *cur, struct nx_arena *arena,
                                struct nx_histogram **out)
{
    uint8_t flags = nx_cursor_u8(cur);
    bool integers = (flags & FLAG_INTEGER_CODES) != 0;
    double sum = nx_double_from_bits(nx_cursor_u64(cur));
    if (!nx_cursor_ok(cur) || (flags & ~(unsigned)FLAGS_KNOWN) != 0)
        return NX_ERR_CORRUPT;
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    if (!h)
        return NX_ERR_NOMEM;
    h->hint = (enum nx_reset_hint)(flags & FLAG_HINT);
    h->integer = (flags & FLAG_INTEGER) != 0;
    h->sum = sum;
    double totals[2];
    enum nx_err err = nx_histogram_read_layout(cur, arena, h);
    if (err == NX_OK)
        err = read_counts(cur, totals, 2, integers);
    if (err == NX_OK)
        err = read_buckets(cur, arena, h->positive_count, integers, &h->positive);
    if (err == NX_OK)
        err = read_buckets(cur, arena, h->negative_count, integers, &h->negative);
    if (err != NX_OK)
        return err;
    h->count = totals[0];
    h->zero_count = totals[1];
    *out = h;
    return NX_OK;
}
