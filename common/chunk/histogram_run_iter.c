/* Reads HISTOGRAM_RUN. The current counts and layout live in the iterator's arena, which is emptied
 * when a new layout comes; a layout's buckets must be covered by a map of changed ones, so that a
 * few bytes cannot ask for much memory. */
#include "common/base/alloc.h"
#include "common/chunk/chunk_internal.h"
#include "common/chunk/counted_iter.h"
#include "common/chunk/histogram_run.h"

struct run_iter {
    struct nx_counted_iter counted;
    struct nx_cursor cur;
    uint64_t delta;
    struct nx_arena arena;
    struct nx_histogram full; /* the last full one */
    struct nx_histogram shown;
    double *values; /* of `full`; NULL before the first */
    size_t value_count;
};

static bool read_time(struct run_iter *x)
{
    struct nx_cursor *cur = &x->cur;
    int64_t t;
    if (x->counted.read == 0) {
        t = nx_cursor_varint(cur);
    } else {
        x->delta = x->counted.read == 1 ? nx_cursor_uvarint(cur)
                                        : x->delta + (uint64_t)nx_cursor_varint(cur);
        t = (int64_t)((uint64_t)x->counted.t + x->delta);
        if (t <= x->counted.t)
            return false;
    }
    x->counted.t = t;
    return nx_cursor_ok(cur);
}

static double read_changed_bits(struct nx_cursor *cur, double before)
{
    unsigned head = nx_cursor_u8(cur);
    unsigned leading = head >> 4;
    unsigned count = head & 0xF;
    if (leading + count > 8)
        nx_cursor_fail(cur);
    uint64_t delta = 0;
    for (unsigned i = 0; i < count && nx_cursor_ok(cur); i++)
        delta |= (uint64_t)nx_cursor_u8(cur) << (56 - 8 * (leading + i));
    return nx_double_from_bits(nx_double_bits(before) ^ delta);
}

static void read_value(struct nx_cursor *cur, double *value, bool integers)
{
    if (integers)
        *value = (double)(int64_t)((uint64_t)nx_run_base(*value) + (uint64_t)nx_cursor_varint(cur));
    else
        *value = read_changed_bits(cur, *value);
}

/* The new layout's counts start from zero. */
static enum nx_err read_layout(struct run_iter *x)
{
    struct nx_histogram *h = &x->full;
    nx_arena_clear(&x->arena);
    x->values = NULL;
    enum nx_err err = nx_histogram_read_layout(&x->cur, &x->arena, h);
    if (err != NX_OK)
        return err;
    size_t buckets = h->positive_count + h->negative_count;
    if ((buckets + 7) / 8 > nx_cursor_left(&x->cur))
        return NX_ERR_CORRUPT;
    x->value_count = NX_RUN_TOTALS + buckets;
    x->values = nx_arena_calloc(&x->arena, x->value_count, sizeof *x->values);
    if (!x->values)
        return NX_ERR_NOMEM;
    h->positive = x->values + NX_RUN_TOTALS;
    h->negative = h->positive + h->positive_count;
    return NX_OK;
}

static enum nx_err read_buckets(struct run_iter *x, bool integers)
{
    size_t buckets = x->value_count - NX_RUN_TOTALS;
    struct nx_view map = nx_cursor_take(&x->cur, (buckets + 7) / 8);
    if (!nx_cursor_ok(&x->cur))
        return NX_ERR_CORRUPT;
    for (size_t i = 0; i < buckets; i++) {
        if (((unsigned char)map.ptr[i / 8] >> (i % 8)) & 1)
            read_value(&x->cur, &x->values[NX_RUN_TOTALS + i], integers);
        else if (i % 8 == 0 && map.ptr[i / 8] == 0)
            i += 7;
    }
    return nx_cursor_ok(&x->cur) ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err read_full(struct run_iter *x, unsigned flags)
{
    bool layout = (flags & NX_RUN_LAYOUT) != 0;
    bool integers = (flags & NX_RUN_INTEGER_CODES) != 0;
    bool same = (flags & NX_RUN_SAME_BUCKETS) != 0;
    if (layout) {
        enum nx_err err = read_layout(x);
        if (err != NX_OK)
            return err;
        if (same && x->value_count > NX_RUN_TOTALS)
            return NX_ERR_CORRUPT;
    }
    if (!x->values)
        return NX_ERR_CORRUPT;
    struct nx_histogram *h = &x->full;
    h->sum = read_changed_bits(&x->cur, h->sum);
    for (size_t i = 0; i < NX_RUN_TOTALS; i++)
        read_value(&x->cur, &x->values[i], integers);
    enum nx_err err = nx_cursor_ok(&x->cur) ? NX_OK : NX_ERR_CORRUPT;
    if (err == NX_OK && !same)
        err = read_buckets(x, integers);
    if (err != NX_OK)
        return err;
    h->count = x->values[0];
    h->zero_count = x->values[1];
    x->shown = *h;
    return NX_OK;
}

static enum nx_err read_sample(struct run_iter *x)
{
    unsigned flags = nx_cursor_u8(&x->cur);
    if ((flags & ~(unsigned)NX_RUN_FLAGS_KNOWN) != 0 || !read_time(x))
        return NX_ERR_CORRUPT;
    if (flags & NX_RUN_EMPTY) {
        if ((flags & (NX_RUN_LAYOUT | NX_RUN_INTEGER_CODES | NX_RUN_SAME_BUCKETS)) != 0)
            return NX_ERR_CORRUPT;
        x->shown = (struct nx_histogram){.sum = nx_double_from_bits(NX_STALE_NAN_BITS)};
    } else {
        enum nx_err err = read_full(x, flags);
        if (err != NX_OK)
            return err;
    }
    x->shown.hint = (enum nx_reset_hint)(flags & NX_RUN_HINT);
    x->shown.integer = (flags & NX_RUN_INTEGER) != 0;
    return NX_OK;
}

static enum nx_err read_next(struct nx_counted_iter *it)
{
    return read_sample((struct run_iter *)it);
}

static void show(const struct nx_counted_iter *it, struct nx_sample *out)
{
    const struct run_iter *x = (const struct run_iter *)it;
    *out = (struct nx_sample){.t = it->t, .histogram = &x->shown};
}

static int run_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    return nx_counted_next((struct nx_counted_iter *)it, read_next, show, out);
}

static int run_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    return nx_counted_seek((struct nx_counted_iter *)it, t, read_next, show, out);
}

static void run_free(struct nx_sample_iter *it)
{
    struct run_iter *x = (struct run_iter *)it;
    nx_arena_release(&x->arena);
    nx_free(x);
}

enum nx_err nx_run_iter_new(struct nx_view data, struct nx_sample_iter **out)
{
    static const struct nx_sample_iter_ops ops = {
        .next = run_next, .seek = run_seek, .free = run_free};
    if (data.len < NX_CHUNK_HEADER_BYTES || data.len > NX_CHUNK_MAX_BYTES)
        return NX_ERR_CORRUPT;
    struct run_iter *x = nx_calloc(1, sizeof *x);
    if (!x)
        return NX_ERR_NOMEM;
    nx_counted_init(&x->counted, &ops, (const uint8_t *)data.ptr);
    x->cur = nx_cursor_of(
        nx_view_make(data.ptr + NX_CHUNK_HEADER_BYTES, data.len - NX_CHUNK_HEADER_BYTES));
    nx_arena_init(&x->arena, 0);
    *out = &x->counted.base;
    return NX_OK;
}

size_t nx_run_iter_left(const struct nx_sample_iter *it)
{
    const struct run_iter *x = (const struct run_iter *)it;
    return nx_cursor_left(&x->cur);
}
