/* The layout is read once; then each sample changes the numbers of the one before, in place. The
 * histogram handed out lives in the iterator. */
#include "common/base/alloc.h"
#include "common/chunk/counted_iter.h"
#include "common/chunk/prom_chunk_internal.h"

enum { HEADER_BYTES = 3, RESET_SHIFT = 6, ST_COUNT_MASK = 0x3FFF };

/* An integer that is coded by the difference of its differences. */
struct second {
    int64_t value;
    int64_t step;
};

struct histogram_iter {
    struct nx_counted_iter counted;
    struct nx_bit_reader reader;
    struct nx_arena arena; /* the layout and what follows from it */
    bool integers;
    bool with_st;
    enum nx_reset_hint hint; /* of the header */
    struct nx_prom_st st;
    struct second t, total, zero;
    struct nx_prom_float total_float, zero_float, sum;
    size_t buckets;
    struct second *numbers;       /* one a bucket, integers only: its difference to its neighbour */
    struct nx_prom_float *floats; /* one a bucket */
    struct nx_histogram layout;   /* with room for the buckets */
    struct nx_histogram current;
};

/* --- the layout --- */

static enum nx_err read_spans(struct histogram_iter *x, struct nx_span **out, size_t *count,
                              size_t *buckets)
{
    struct nx_bit_reader *r = &x->reader;
    uint64_t n = nx_prom_read_uint(r);
    uint64_t total = 0;
    if (n > (r->end - r->bit) / 2 || n > NX_HISTOGRAM_MAX_BUCKETS)
        return NX_ERR_CORRUPT;
    struct nx_span *spans = nx_arena_array(&x->arena, (size_t)n, sizeof *spans);
    if (!spans)
        return NX_ERR_NOMEM;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t length = nx_prom_read_uint(r);
        int64_t offset = nx_prom_read_int(r);
        total += length < UINT32_MAX ? length : UINT32_MAX;
        if (r->failed || total > NX_HISTOGRAM_MAX_BUCKETS || offset < INT32_MIN ||
            offset > INT32_MAX)
            return NX_ERR_CORRUPT;
        spans[i] = (struct nx_span){.offset = (int32_t)offset, .length = (uint32_t)length};
    }
    *out = spans;
    *count = (size_t)n;
    *buckets = (size_t)total;
    return NX_OK;
}

static enum nx_err read_bounds(struct histogram_iter *x)
{
    struct nx_bit_reader *r = &x->reader;
    uint64_t n = nx_prom_read_uint(r);
    if (n > (r->end - r->bit) / 4 || n > NX_HISTOGRAM_MAX_BUCKETS)
        return NX_ERR_CORRUPT;
    x->layout.custom_bounds = nx_arena_array(&x->arena, (size_t)n, sizeof(double));
    if (!x->layout.custom_bounds)
        return NX_ERR_NOMEM;
    x->layout.custom_count = (size_t)n;
    for (size_t i = 0; i < n; i++)
        x->layout.custom_bounds[i] = nx_prom_read_bound(r);
    return NX_OK;
}

/* Arrays of one element a bucket; a bucket takes a bit at least, so they follow from the bytes. */
static enum nx_err make_room(struct histogram_iter *x)
{
    struct nx_histogram *h = &x->layout;
    x->buckets = h->positive_count + h->negative_count;
    if (x->buckets > x->reader.end - x->reader.bit)
        return NX_ERR_CORRUPT;
    h->positive = nx_arena_calloc(&x->arena, h->positive_count, sizeof(double));
    h->negative = nx_arena_calloc(&x->arena, h->negative_count, sizeof(double));
    if (x->integers)
        x->numbers = nx_arena_calloc(&x->arena, x->buckets, sizeof *x->numbers);
    else
        x->floats = nx_arena_calloc(&x->arena, x->buckets, sizeof *x->floats);
    return h->positive && h->negative && (x->numbers || x->floats) ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err read_layout(struct histogram_iter *x)
{
    struct nx_histogram *h = &x->layout;
    h->integer = x->integers;
    h->zero_threshold = nx_prom_read_threshold(&x->reader);
    int64_t schema = nx_prom_read_int(&x->reader);
    h->schema = schema < INT32_MIN || schema > INT32_MAX ? INT32_MIN : (int32_t)schema;
    enum nx_err err =
        read_spans(x, &h->positive_spans, &h->positive_span_count, &h->positive_count);
    if (!err)
        err = read_spans(x, &h->negative_spans, &h->negative_span_count, &h->negative_count);
    if (!err && h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA)
        err = read_bounds(x);
    if (!err && x->reader.failed)
        err = NX_ERR_CORRUPT;
    bool known = (h->schema >= -4 && h->schema <= 8) || h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA;
    if (!err && !known)
        err = h->schema >= -9 && h->schema <= 52 ? NX_ERR_UNSUPPORTED : NX_ERR_CORRUPT;
    if (!err)
        err = make_room(x);
    return !err && !nx_histogram_is_sound(h) ? NX_ERR_CORRUPT : err;
}

/* --- the samples --- */

static int64_t read_second(struct nx_bit_reader *r, struct second *s)
{
    s->step = (int64_t)((uint64_t)s->step + (uint64_t)nx_prom_read_int(r));
    s->value = (int64_t)((uint64_t)s->value + (uint64_t)s->step);
    return s->value;
}

static void read_totals(struct histogram_iter *x, struct nx_histogram *h, bool first)
{
    struct nx_bit_reader *r = &x->reader;
    if (!x->integers) {
        h->count = nx_prom_read_float(r, &x->total_float, first);
        h->zero_count = nx_prom_read_float(r, &x->zero_float, first);
    } else if (first) {
        x->total.value = (int64_t)nx_prom_read_uint(r);
        x->zero.value = (int64_t)nx_prom_read_uint(r);
    } else {
        (void)read_second(r, &x->total);
        (void)read_second(r, &x->zero);
    }
    if (x->integers) {
        h->count = (double)(uint64_t)x->total.value;
        h->zero_count = (double)(uint64_t)x->zero.value;
    }
    h->sum = nx_prom_read_float(r, &x->sum, first);
}

static void read_integer_buckets(struct histogram_iter *x, size_t from, size_t count, double *out,
                                 bool first)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        struct second *number = &x->numbers[from + i];
        if (first)
            number->value = nx_prom_read_int(&x->reader);
        else
            (void)read_second(&x->reader, number);
        total += (uint64_t)number->value;
        out[i] = (double)(int64_t)total;
    }
}

static void read_float_buckets(struct histogram_iter *x, size_t from, size_t count, double *out,
                               bool first)
{
    for (size_t i = 0; i < count; i++)
        out[i] = nx_prom_read_float(&x->reader, &x->floats[from + i], first);
}

static void read_buckets(struct histogram_iter *x, const struct nx_histogram *h, bool first)
{
    if (x->integers) {
        read_integer_buckets(x, 0, h->positive_count, h->positive, first);
        read_integer_buckets(x, h->positive_count, h->negative_count, h->negative, first);
    } else {
        read_float_buckets(x, 0, h->positive_count, h->positive, first);
        read_float_buckets(x, h->positive_count, h->negative_count, h->negative, first);
    }
}

static enum nx_reset_hint hint_of(const struct histogram_iter *x, bool first)
{
    return first || x->hint == NX_HINT_GAUGE ? x->hint : NX_HINT_NOT_RESET;
}

static bool read_sample(struct histogram_iter *x)
{
    bool first = x->counted.read == 0;
    int64_t before = x->t.value;
    struct nx_histogram h = x->layout;
    if (first)
        x->t.value = nx_prom_read_int(&x->reader);
    else
        (void)read_second(&x->reader, &x->t);
    read_totals(x, &h, first);
    h.hint = hint_of(x, first);
    if (nx_histogram_is_stale(&h))
        h = (struct nx_histogram){.integer = x->integers, .sum = h.sum, .hint = NX_HINT_UNKNOWN};
    else
        read_buckets(x, &h, first);
    if (x->with_st)
        nx_prom_st_read(&x->st, &x->reader, x->counted.read, x->t.value, before);
    x->current = h;
    x->counted.t = x->t.value;
    return !x->reader.failed && (first || x->t.value > before);
}

static enum nx_err read_next(struct nx_counted_iter *it)
{
    return read_sample((struct histogram_iter *)it) ? NX_OK : NX_ERR_CORRUPT;
}

static void show(const struct nx_counted_iter *it, struct nx_sample *out)
{
    const struct histogram_iter *x = (const struct histogram_iter *)it;
    *out = (struct nx_sample){.t = it->t, .st = x->st.st, .histogram = &x->current};
}

static int histogram_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    return nx_counted_next((struct nx_counted_iter *)it, read_next, show, out);
}

static int histogram_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    return nx_counted_seek((struct nx_counted_iter *)it, t, read_next, show, out);
}

static void histogram_free(struct nx_sample_iter *it)
{
    struct histogram_iter *x = (struct histogram_iter *)it;
    nx_arena_release(&x->arena);
    nx_free(x);
}

enum nx_err nx_prom_histogram_iter_new(bool integers, bool with_st, struct nx_view data,
                                       struct nx_sample_iter **out)
{
    static const struct nx_sample_iter_ops ops = {
        .next = histogram_next, .seek = histogram_seek, .free = histogram_free};
    static const enum nx_reset_hint hints[] = {NX_HINT_UNKNOWN, NX_HINT_NOT_RESET, NX_HINT_RESET,
                                               NX_HINT_GAUGE};
    if (data.len < HEADER_BYTES)
        return NX_ERR_CORRUPT;
    struct histogram_iter *x = nx_calloc(1, sizeof *x);
    if (!x)
        return NX_ERR_NOMEM;
    const uint8_t *bytes = (const uint8_t *)data.ptr;
    nx_counted_init(&x->counted, &ops, bytes);
    x->hint = hints[(with_st ? bytes[0] : bytes[2]) >> RESET_SHIFT];
    x->integers = integers;
    x->with_st = with_st;
    if (with_st) {
        x->counted.count &= ST_COUNT_MASK;
        nx_prom_st_init(&x->st, bytes[2]);
    }
    x->reader.data = bytes;
    x->reader.bit = (size_t)HEADER_BYTES * 8;
    x->reader.end = data.len * 8;
    nx_arena_init(&x->arena, 0);
    enum nx_err err = read_layout(x);
    if (err) {
        histogram_free(&x->counted.base);
        return err;
    }
    *out = &x->counted.base;
    return NX_OK;
}
