/* The builder keeps copies of a chunk's samples, together with the indexes of their buckets, and
 * encodes them when the layout of all is known: Prometheus, which encodes as samples come, rewrites
 * the chunk for every new bucket instead. The bytes are the same. */
#include "common/chunk/prom_histogram_chunk.h"

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"
#include "common/chunk/prom_histogram_bits.h"
#include "common/chunk/sample.h"

/* Beyond ten samples, no more of them than make about this many numbers (Prometheus: 1024 bytes).
 */
#define FULL_NUMBERS 2048
#define MIN_SAMPLES 10
#define MAX_DATA_BYTES ((size_t)256 << 20)

/* Bits 6 and 7 of the flags. */
enum reset { RESET_UNKNOWN = 0x00, RESET_NO = 0x40, RESET_YES = 0x80, RESET_GAUGE = 0xC0 };

/* The buckets of one sign, by ascending index. */
struct side {
    const int32_t *index;
    size_t count;
};

struct item {
    int64_t t;
    const struct nx_histogram *h;
    struct side positive, negative;
    bool stale;
};

struct nx_prom_histogram_builder {
    struct nx_arena arena; /* the samples and the layout */
    struct item items[NX_PROM_CHUNK_SAMPLES];
    size_t count;
    bool integers; /* HISTOGRAM, else FLOAT_HISTOGRAM */
    bool gauge;
    bool stale; /* began with a stale marker: it has no layout */
    struct side positive, negative;
    enum reset reset;
    enum reset next_reset; /* what the refused sample is to the last one */
    bool refused;
    bool keep_layouts;
    struct nx_buf data;
};

enum nx_err nx_prom_histogram_builder_new(struct nx_prom_histogram_builder **out)
{
    struct nx_prom_histogram_builder *b = nx_calloc(1, sizeof *b);
    if (!b)
        return NX_ERR_NOMEM;
    nx_arena_init(&b->arena, 0);
    nx_buf_init(&b->data, MAX_DATA_BYTES);
    *out = b;
    return NX_OK;
}

void nx_prom_histogram_builder_keep_layouts(struct nx_prom_histogram_builder *b)
{
    b->keep_layouts = true;
}

void nx_prom_histogram_builder_free(struct nx_prom_histogram_builder *b)
{
    if (!b)
        return;
    nx_arena_release(&b->arena);
    nx_buf_release(&b->data);
    nx_free(b);
}

/* --- what fits together --- */

static bool all_integers(const double *values, size_t count)
{
    int64_t v;
    for (size_t i = 0; i < count; i++)
        if (!nx_count_is_integer(values[i], &v) || v < 0)
            return false;
    return true;
}

bool nx_prom_histogram_has_integers(const struct nx_histogram *h)
{
    return h->integer && all_integers(&h->count, 1) && all_integers(&h->zero_count, 1) &&
           all_integers(h->positive, h->positive_count) &&
           all_integers(h->negative, h->negative_count);
}

static bool expand(struct nx_arena *arena, const struct nx_span *spans, size_t span_count,
                   size_t count, struct side *out)
{
    int32_t *index = nx_arena_array(arena, count + 1, sizeof *index);
    if (!index)
        return false;
    size_t n = 0;
    int64_t at = 0;
    for (size_t i = 0; i < span_count; i++) {
        at += spans[i].offset;
        for (uint32_t k = 0; k < spans[i].length && n < count; k++)
            index[n++] = (int32_t)at++;
    }
    *out = (struct side){index, n};
    return true;
}

/* Whether a bucket holds less than before; one that is not there holds 0. */
static bool decreased(struct side before, const double *old, struct side after, const double *new)
{
    size_t k = 0;
    for (size_t i = 0; i < before.count; i++) {
        while (k < after.count && after.index[k] < before.index[i])
            k++;
        bool there = k < after.count && after.index[k] == before.index[i];
        if ((there ? new[k] : 0) < old[i])
            return true;
    }
    return false;
}

static bool counter_was_reset(const struct item *last, const struct item *item)
{
    return item->h->count < last->h->count || item->h->zero_count < last->h->zero_count ||
           decreased(last->positive, last->h->positive, item->positive, item->h->positive) ||
           decreased(last->negative, last->h->negative, item->negative, item->h->negative);
}

static bool same_scale(const struct nx_histogram *a, const struct nx_histogram *b)
{
    return a->schema == b->schema &&
           nx_double_bits(a->zero_threshold) == nx_double_bits(b->zero_threshold) &&
           a->custom_count == b->custom_count &&
           (a->custom_count == 0 || memcmp(a->custom_bounds, b->custom_bounds,
                                           a->custom_count * sizeof *a->custom_bounds) == 0);
}

static bool is_full(const struct nx_prom_histogram_builder *b)
{
    size_t numbers = 3 + b->positive.count + b->negative.count;
    return b->count == NX_PROM_CHUNK_SAMPLES ||
           (b->count >= MIN_SAMPLES && b->count * numbers >= FULL_NUMBERS);
}

/* Whether the sample belongs into the open chunk; else what it is to the last one in there. */
static bool belongs(const struct nx_prom_histogram_builder *b, const struct item *item,
                    enum reset *reset)
{
    const struct item *last = &b->items[b->count - 1];
    bool gauge = item->h->hint == NX_HINT_GAUGE;
    *reset = gauge ? RESET_GAUGE : RESET_UNKNOWN;
    if (item->stale) {
        *reset = b->gauge ? RESET_GAUGE : RESET_UNKNOWN;
        return !is_full(b);
    }
    if (item->h->hint == NX_HINT_RESET) {
        *reset = RESET_YES;
        return false;
    }
    if (last->stale || gauge != b->gauge ||
        nx_prom_histogram_has_integers(item->h) != b->integers || !same_scale(item->h, last->h))
        return false;
    if (!gauge) {
        bool was_reset = counter_was_reset(last, item);
        *reset = was_reset ? RESET_YES : RESET_NO;
        if (was_reset)
            return false;
    }
    if (b->keep_layouts && !nx_histogram_same_layout(item->h, last->h))
        return false;
    return !is_full(b);
}

/* --- adding --- */

static bool join(struct nx_arena *arena, struct side *layout, struct side more)
{
    size_t extra = 0, k = 0;
    for (size_t i = 0; i < more.count; i++) {
        while (k < layout->count && layout->index[k] < more.index[i])
            k++;
        extra += k == layout->count || layout->index[k] != more.index[i];
    }
    if (extra == 0)
        return true;
    int32_t *index = nx_arena_array(arena, layout->count + extra, sizeof *index);
    if (!index)
        return false;
    size_t n = 0, i = 0;
    k = 0;
    while (i < more.count || k < layout->count) {
        bool take_more = k == layout->count || (i < more.count && more.index[i] < layout->index[k]);
        if (!take_more && i < more.count && more.index[i] == layout->index[k])
            i++;
        index[n++] = take_more ? more.index[i++] : layout->index[k++];
    }
    *layout = (struct side){index, n};
    return true;
}

static void begin_chunk(struct nx_prom_histogram_builder *b, const struct item *item)
{
    const struct nx_histogram *h = item->h;
    b->integers = nx_prom_histogram_has_integers(h);
    b->gauge = h->hint == NX_HINT_GAUGE;
    b->stale = item->stale;
    b->positive = item->positive;
    b->negative = item->negative;
    b->reset = h->hint == NX_HINT_RESET ? RESET_YES : b->gauge ? RESET_GAUGE : RESET_UNKNOWN;
    if (b->refused)
        b->reset = b->next_reset;
    b->refused = false;
}

static enum nx_err make_item(struct nx_prom_histogram_builder *b, int64_t t,
                             const struct nx_histogram *h, struct item *out)
{
    struct item item = {.t = t, .stale = nx_histogram_is_stale(h)};
    struct nx_histogram empty = {.hint = h->hint, .integer = h->integer, .sum = h->sum};
    if (b->count > 0 && nx_histogram_same_layout(b->items[b->count - 1].h, h) && !item.stale) {
        item.positive = b->items[b->count - 1].positive;
        item.negative = b->items[b->count - 1].negative;
    } else if (!item.stale && (!expand(&b->arena, h->positive_spans, h->positive_span_count,
                                       h->positive_count, &item.positive) ||
                               !expand(&b->arena, h->negative_spans, h->negative_span_count,
                                       h->negative_count, &item.negative))) {
        return NX_ERR_NOMEM;
    }
    item.h = nx_histogram_copy(&b->arena, item.stale ? &empty : h);
    if (!item.h)
        return NX_ERR_NOMEM;
    *out = item;
    return NX_OK;
}

enum nx_err nx_prom_histogram_builder_add(struct nx_prom_histogram_builder *b, int64_t t,
                                          const struct nx_histogram *h, bool *taken)
{
    struct item item;
    enum nx_err err = make_item(b, t, h, &item);
    if (err)
        return err;
    if (b->count == 0) {
        begin_chunk(b, &item);
    } else if (!belongs(b, &item, &b->next_reset)) {
        b->refused = true;
        *taken = false;
        return NX_OK;
    } else if (!b->stale && (!join(&b->arena, &b->positive, item.positive) ||
                             !join(&b->arena, &b->negative, item.negative))) {
        return NX_ERR_NOMEM;
    }
    b->items[b->count++] = item;
    *taken = true;
    return NX_OK;
}

/* --- encoding --- */

/* The counts of the layout's buckets. */
static void spread(struct side layout, struct side side, const double *counts, double *out)
{
    size_t k = 0;
    for (size_t i = 0; i < layout.count; i++) {
        bool there = k < side.count && side.index[k] == layout.index[i];
        out[i] = there ? counts[k++] : 0;
    }
}

/* The spans as the first sample wrote them where they cover the layout, else the fewest. */
static void put_spans(struct nx_prom_bits *out, struct side layout, const struct nx_span *spans,
                      size_t span_count, size_t first_count)
{
    if (layout.count == first_count) {
        nx_prom_put_uint(out, span_count);
        for (size_t i = 0; i < span_count; i++) {
            nx_prom_put_uint(out, spans[i].length);
            nx_prom_put_int(out, spans[i].offset);
        }
        return;
    }
    size_t count = 0;
    for (size_t i = 0; i < layout.count; i++)
        count += i == 0 || layout.index[i] != layout.index[i - 1] + 1;
    nx_prom_put_uint(out, count);
    for (size_t i = 0; i < layout.count;) {
        size_t end = i + 1;
        while (end < layout.count && layout.index[end] == layout.index[end - 1] + 1)
            end++;
        int64_t before = i == 0 ? 0 : (int64_t)layout.index[i - 1] + 1;
        nx_prom_put_uint(out, end - i);
        nx_prom_put_int(out, layout.index[i] - before);
        i = end;
    }
}

static void put_layout(const struct nx_prom_histogram_builder *b, struct nx_prom_bits *out)
{
    const struct nx_histogram *h = b->items[0].h;
    nx_prom_put_threshold(out, h->zero_threshold);
    nx_prom_put_int(out, h->schema);
    put_spans(out, b->positive, h->positive_spans, h->positive_span_count, h->positive_count);
    put_spans(out, b->negative, h->negative_spans, h->negative_span_count, h->negative_count);
    if (h->schema != NX_HISTOGRAM_CUSTOM_SCHEMA)
        return;
    nx_prom_put_uint(out, h->custom_count);
    for (size_t i = 0; i < h->custom_count; i++)
        nx_prom_put_bound(out, h->custom_bounds[i]);
}

/* What the coding of the next sample refers to; arrays of one number a bucket of the layout. */
struct coder {
    struct nx_prom_bits *out;
    size_t buckets;
    double *values;               /* of this sample: positive, then negative */
    int64_t *last, *step;         /* integers: the number, and its change at the last sample */
    struct nx_prom_float *floats; /* 3 totals, then the buckets */
    int64_t t, t_step, count, count_step, zero, zero_step;
};

static bool coder_init(struct coder *c, struct nx_prom_histogram_builder *b,
                       struct nx_prom_bits *out)
{
    size_t n = b->positive.count + b->negative.count;
    *c = (struct coder){.out = out, .buckets = n};
    c->values = nx_arena_calloc(&b->arena, n + 1, sizeof *c->values);
    c->floats = nx_arena_calloc(&b->arena, b->integers ? 3 : n + 3, sizeof *c->floats);
    c->last = nx_arena_calloc(&b->arena, n + 1, sizeof *c->last);
    c->step = nx_arena_calloc(&b->arena, n + 1, sizeof *c->step);
    return c->values && c->floats && c->last && c->step;
}

/* By the difference of the difference, modulo 2^64. */
static void put_second(struct nx_prom_bits *out, int64_t value, int64_t *last, int64_t *step)
{
    uint64_t now = (uint64_t)value - (uint64_t)*last;
    nx_prom_put_int(out, (int64_t)(now - (uint64_t)*step));
    *last = value;
    *step = (int64_t)now;
}

static void put_integers(struct coder *c, const struct nx_prom_histogram_builder *b,
                         const struct item *item, bool first)
{
    const struct nx_histogram *h = item->h;
    if (first) {
        c->count = (int64_t)h->count;
        c->zero = (int64_t)h->zero_count;
        nx_prom_put_uint(c->out, (uint64_t)c->count);
        nx_prom_put_uint(c->out, (uint64_t)c->zero);
    } else if (item->stale) {
        nx_prom_put_int(c->out, 0);
        nx_prom_put_int(c->out, 0);
    } else {
        put_second(c->out, (int64_t)h->count, &c->count, &c->count_step);
        put_second(c->out, (int64_t)h->zero_count, &c->zero, &c->zero_step);
    }
    nx_prom_put_float(c->out, &c->floats[2], h->sum, first);
    int64_t before = 0;
    for (size_t i = 0; !item->stale && i < c->buckets; i++) {
        if (i == b->positive.count)
            before = 0;
        int64_t value = (int64_t)c->values[i], delta = value - before;
        before = value;
        if (first) {
            nx_prom_put_int(c->out, delta);
            c->last[i] = delta;
        } else {
            put_second(c->out, delta, &c->last[i], &c->step[i]);
        }
    }
}

static void put_floats(struct coder *c, const struct item *item, bool first)
{
    const struct nx_histogram *h = item->h;
    nx_prom_put_float(c->out, &c->floats[0], h->count, first);
    nx_prom_put_float(c->out, &c->floats[1], h->zero_count, first);
    nx_prom_put_float(c->out, &c->floats[2], h->sum, first);
    for (size_t i = 0; !item->stale && i < c->buckets; i++)
        nx_prom_put_float(c->out, &c->floats[3 + i], c->values[i], first);
}

static void put_sample(struct coder *c, const struct nx_prom_histogram_builder *b, size_t i)
{
    const struct item *item = &b->items[i];
    if (i == 0) {
        nx_prom_put_int(c->out, item->t);
        c->t = item->t;
    } else {
        put_second(c->out, item->t, &c->t, &c->t_step);
    }
    if (!item->stale) {
        spread(b->positive, item->positive, item->h->positive, c->values);
        spread(b->negative, item->negative, item->h->negative, c->values + b->positive.count);
    }
    if (b->integers)
        put_integers(c, b, item, i == 0);
    else
        put_floats(c, item, i == 0);
}

enum nx_err nx_prom_histogram_builder_finish(struct nx_prom_histogram_builder *b,
                                             struct nx_prom_chunk *out)
{
    struct nx_prom_bits bits;
    struct coder coder;
    nx_buf_clear(&b->data);
    nx_buf_put_u8(&b->data, (uint8_t)(b->count >> 8));
    nx_buf_put_u8(&b->data, (uint8_t)b->count);
    nx_buf_put_u8(&b->data, (uint8_t)b->reset);
    nx_prom_bits_init(&bits, &b->data);
    if (!coder_init(&coder, b, &bits))
        return NX_ERR_NOMEM;
    put_layout(b, &bits);
    for (size_t i = 0; i < b->count; i++)
        put_sample(&coder, b, i);
    nx_prom_bits_finish(&bits);
    if (nx_buf_err(&b->data) != NX_OK)
        return nx_buf_err(&b->data);
    *out = (struct nx_prom_chunk){.encoding =
                                      b->integers ? NX_PROM_HISTOGRAM : NX_PROM_FLOAT_HISTOGRAM,
                                  .count = (uint32_t)b->count,
                                  .min_t = b->items[0].t,
                                  .max_t = b->items[b->count - 1].t,
                                  .data = nx_buf_view(&b->data)};
    b->count = 0;
    nx_arena_clear(&b->arena);
    return NX_OK;
}
