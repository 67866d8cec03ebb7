/* The appender keeps the counts of the last full histogram and its layout in one block, against
 * which the next sample is written. A record is built in a scratch buffer; only when the chunk and
 * the new block have their memory is anything changed. */
#include "common/base/alloc.h"
#include "common/chunk/chunk_internal.h"
#include "common/chunk/histogram_run.h"

struct nx_run_state {
    struct nx_histogram last; /* as appended, stale markers too; arrays as in `base` */
    struct nx_histogram base; /* the last full one; arrays in `block` */
    double *values;           /* NX_RUN_TOTALS and the buckets, in `block` */
    size_t value_count;
    double sum;  /* of the last full one */
    void *block; /* NULL before the first full one */
    size_t block_bytes;
};

void nx_run_state_free(struct nx_run_state *run)
{
    if (!run)
        return;
    nx_free(run->block);
    nx_free(run);
}

const struct nx_histogram *nx_run_state_last(const struct nx_run_state *run)
{
    return &run->last;
}

size_t nx_run_state_memory_bytes(const struct nx_run_state *run)
{
    return run ? sizeof *run + run->block_bytes : 0;
}

static bool is_empty(const struct nx_histogram *h)
{
    return nx_histogram_is_stale(h) && h->schema == 0 && nx_double_bits(h->zero_threshold) == 0 &&
           nx_double_bits(h->zero_count) == 0 && nx_double_bits(h->count) == 0 &&
           h->positive_span_count == 0 && h->negative_span_count == 0 && h->positive_count == 0 &&
           h->negative_count == 0 && h->custom_count == 0;
}

static double value_at(const struct nx_histogram *h, size_t i)
{
    if (i == 0)
        return h->count;
    if (i == 1)
        return h->zero_count;
    i -= NX_RUN_TOTALS;
    return i < h->positive_count ? h->positive[i] : h->negative[i - h->positive_count];
}

/* --- writing a record --- */

/* Changed bits: 0, or (leading zero bytes << 4 | bytes that follow), the bytes from the most
 * significant. */
static void put_changed_bits(struct nx_buf *buf, double value, double before)
{
    uint64_t delta = nx_double_bits(value) ^ nx_double_bits(before);
    if (delta == 0) {
        nx_buf_put_u8(buf, 0);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(delta) / 8;
    unsigned count = 8 - leading - (unsigned)__builtin_ctzll(delta) / 8;
    nx_buf_put_u8(buf, (uint8_t)(leading << 4 | count));
    for (unsigned i = 0; i < count; i++)
        nx_buf_put_u8(buf, (uint8_t)(delta >> (56 - 8 * (leading + i))));
}

static void put_value(struct nx_buf *buf, double value, double before, bool integers)
{
    if (integers)
        nx_buf_put_varint(buf, (int64_t)value - nx_run_base(before));
    else
        put_changed_bits(buf, value, before);
}

/* What a sample is written against: NULL values read as zero. */
struct reference {
    const double *values;
    double sum;
};

static double reference_at(const struct reference *ref, size_t i)
{
    return ref->values ? ref->values[i] : 0;
}

static bool differs(const struct nx_histogram *h, const struct reference *ref, size_t i)
{
    return nx_double_bits(value_at(h, i)) != nx_double_bits(reference_at(ref, i));
}

static void put_map(struct nx_buf *buf, const struct nx_histogram *h, const struct reference *ref,
                    size_t value_count)
{
    for (size_t i = NX_RUN_TOTALS; i < value_count; i += 8) {
        unsigned byte = 0;
        for (size_t k = i; k < i + 8 && k < value_count; k++)
            byte |= (unsigned)differs(h, ref, k) << (k - i);
        nx_buf_put_u8(buf, (uint8_t)byte);
    }
}

static unsigned choose_flags(const struct nx_histogram *h, const struct reference *ref,
                             size_t value_count)
{
    unsigned flags = (unsigned)h->hint & NX_RUN_HINT;
    flags |= h->integer ? NX_RUN_INTEGER : 0u;
    bool integers = true;
    bool same = true;
    int64_t integer;
    for (size_t i = 0; i < value_count; i++) {
        integers = integers && nx_count_is_integer(value_at(h, i), &integer);
        same = same && (i < NX_RUN_TOTALS || !differs(h, ref, i));
    }
    flags |= integers ? NX_RUN_INTEGER_CODES : 0u;
    if (same && (ref->values || value_count == NX_RUN_TOTALS))
        flags |= NX_RUN_SAME_BUCKETS;
    return flags;
}

static void put_time(struct nx_buf *buf, const struct nx_chunk_appender *app, int64_t t)
{
    uint64_t delta = (uint64_t)t - (uint64_t)app->last_t;
    if (app->count == 0)
        nx_buf_put_varint(buf, t);
    else if (app->count == 1)
        nx_buf_put_uvarint(buf, delta);
    else
        nx_buf_put_varint(buf, (int64_t)(delta - app->delta));
}

static void put_full(struct nx_buf *buf, const struct nx_chunk_appender *app, int64_t t,
                     const struct nx_histogram *h, bool new_layout)
{
    size_t value_count = NX_RUN_TOTALS + h->positive_count + h->negative_count;
    struct reference ref = {.values = new_layout ? NULL : app->run->values, .sum = app->run->sum};
    unsigned flags = choose_flags(h, &ref, value_count) | (new_layout ? NX_RUN_LAYOUT : 0u);
    bool integers = (flags & NX_RUN_INTEGER_CODES) != 0;
    nx_buf_put_u8(buf, (uint8_t)flags);
    put_time(buf, app, t);
    if (new_layout)
        nx_histogram_put_layout(buf, h);
    put_changed_bits(buf, h->sum, ref.sum);
    for (size_t i = 0; i < NX_RUN_TOTALS; i++)
        put_value(buf, value_at(h, i), reference_at(&ref, i), integers);
    if (flags & NX_RUN_SAME_BUCKETS)
        return;
    put_map(buf, h, &ref, value_count);
    for (size_t i = NX_RUN_TOTALS; i < value_count; i++)
        if (differs(h, &ref, i))
            put_value(buf, value_at(h, i), reference_at(&ref, i), integers);
}

static void put_empty(struct nx_buf *buf, const struct nx_chunk_appender *app, int64_t t,
                      const struct nx_histogram *h)
{
    unsigned flags =
        ((unsigned)h->hint & NX_RUN_HINT) | (h->integer ? NX_RUN_INTEGER : 0u) | NX_RUN_EMPTY;
    nx_buf_put_u8(buf, (uint8_t)flags);
    put_time(buf, app, t);
}

/* --- state --- */

static void *carve(char **at, const void *from, size_t size_bytes)
{
    void *to = *at;
    if (size_bytes > 0)
        memcpy(to, from, size_bytes);
    *at += size_bytes;
    return to;
}

/* A block with the layout of `h` and room for its counts. Doubles first, so that all is aligned. */
static enum nx_err block_new(const struct nx_histogram *h, struct nx_run_state *out)
{
    size_t value_count = NX_RUN_TOTALS + h->positive_count + h->negative_count;
    size_t values = value_count * sizeof(double);
    size_t bounds = h->custom_count * sizeof(double);
    size_t positive = h->positive_span_count * sizeof(struct nx_span);
    size_t negative = h->negative_span_count * sizeof(struct nx_span);
    char *block = nx_alloc(values + bounds + positive + negative);
    if (!block)
        return NX_ERR_NOMEM;
    char *at = block + values;
    out->block = block;
    out->block_bytes = values + bounds + positive + negative;
    out->values = (double *)out->block;
    out->value_count = value_count;
    out->base = *h;
    out->base.custom_bounds = carve(&at, h->custom_bounds, bounds);
    out->base.positive_spans = carve(&at, h->positive_spans, positive);
    out->base.negative_spans = carve(&at, h->negative_spans, negative);
    out->base.positive = out->values + NX_RUN_TOTALS;
    out->base.negative = out->base.positive + h->positive_count;
    return NX_OK;
}

static void keep_full(struct nx_run_state *run, const struct nx_histogram *h)
{
    for (size_t i = 0; i < run->value_count; i++)
        run->values[i] = value_at(h, i);
    run->sum = h->sum;
    run->base.hint = h->hint;
    run->base.integer = h->integer;
    run->base.sum = h->sum;
    run->base.count = h->count;
    run->base.zero_count = h->zero_count;
    run->last = run->base;
}

static void keep_empty(struct nx_run_state *run, const struct nx_histogram *h)
{
    run->last = (struct nx_histogram){.hint = h->hint, .integer = h->integer, .sum = h->sum};
}

static enum nx_err append_record(struct nx_chunk_appender *app, int64_t t,
                                 const struct nx_buf *record)
{
    size_t whole = app->count ? app->len : NX_CHUNK_HEADER_BYTES;
    enum nx_err err = nx_chunk_reserve(app, whole + record->len);
    if (err != NX_OK)
        return err;
    memcpy(app->data + whole, record->data, record->len);
    app->len = (uint32_t)(whole + record->len);
    if (app->count == 0)
        app->min_t = t;
    else
        app->delta = (uint64_t)t - (uint64_t)app->last_t;
    app->last_t = t;
    nx_chunk_set_count(app, (uint16_t)(app->count + 1));
    return NX_OK;
}

enum nx_err nx_run_append(struct nx_chunk_appender *app, const struct nx_sample *sample)
{
    const struct nx_histogram *h = sample->histogram;
    if (!nx_histogram_is_sound(h))
        return NX_ERR_INVALID;
    if (!app->run && !(app->run = nx_calloc(1, sizeof *app->run)))
        return NX_ERR_NOMEM;
    struct nx_run_state *run = app->run;
    struct nx_run_state fresh = {.block = NULL};
    bool empty = is_empty(h);
    bool new_layout = !empty && (!run->block || !nx_histogram_same_layout(&run->base, h));
    struct nx_buf record;
    nx_buf_init(&record, NX_CHUNK_MAX_BYTES);
    if (empty)
        put_empty(&record, app, sample->t, h);
    else
        put_full(&record, app, sample->t, h, new_layout);
    enum nx_err err = nx_buf_err(&record);
    if (err == NX_OK && new_layout)
        err = block_new(h, &fresh);
    if (err == NX_OK)
        err = append_record(app, sample->t, &record);
    nx_buf_release(&record);
    if (err != NX_OK) {
        nx_free(fresh.block);
        return err == NX_ERR_TOO_LARGE ? NX_ERR_LIMIT : err;
    }
    if (new_layout) {
        nx_free(run->block);
        *run = fresh;
    }
    if (empty)
        keep_empty(run, h);
    else
        keep_full(run, h);
    return NX_OK;
}
