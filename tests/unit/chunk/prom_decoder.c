#include "prom_decoder.h"

#include <assert.h>
#include <math.h>

#include "common/chunk/bits.h"
#include "common/chunk/sample.h"

struct xor_state {
    uint64_t bits;
    unsigned leading, trailing;
};

struct decoder {
    struct nx_arena *arena;
    struct nx_bit_reader r;
    bool integers;
    struct nx_histogram layout;
    size_t buckets;
    int64_t t, t_step, count, count_step, zero, zero_step;
    int64_t *last, *step;
    struct xor_state *floats; /* count, zero count, sum, buckets */
};

static unsigned read_class(struct nx_bit_reader *r)
{
    static const unsigned bits[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
    unsigned class = 0;
    while (class < 8 && nx_bits_read(r, 1))
        class ++;
    return bits[class];
}

static uint64_t read_uint(struct nx_bit_reader *r)
{
    unsigned n = read_class(r);
    return n ? nx_bits_read(r, n) : 0;
}

static int64_t read_int(struct nx_bit_reader *r)
{
    unsigned n = read_class(r);
    uint64_t v = n ? nx_bits_read(r, n) : 0;
    if (n > 0 && n < 64 && v > UINT64_C(1) << (n - 1))
        return (int64_t)v - (INT64_C(1) << n);
    return (int64_t)v;
}

static double read_float(struct nx_bit_reader *r, struct xor_state *s, bool first)
{
    if (first) {
        s->bits = nx_bits_read(r, 64);
    } else if (nx_bits_read(r, 1)) {
        if (nx_bits_read(r, 1)) {
            s->leading = (unsigned)nx_bits_read(r, 5);
            unsigned significant = (unsigned)nx_bits_read(r, 6);
            s->trailing = 64 - s->leading - (significant ? significant : 64);
        }
        s->bits ^= nx_bits_read(r, 64 - s->leading - s->trailing) << s->trailing;
    }
    return nx_double_from_bits(s->bits);
}

static struct nx_span *read_spans(struct decoder *d, size_t *count, size_t *buckets)
{
    *count = (size_t)read_uint(&d->r);
    *buckets = 0;
    assert(*count < 100000);
    struct nx_span *spans = nx_arena_calloc(d->arena, *count + 1, sizeof *spans);
    for (size_t i = 0; i < *count; i++) {
        spans[i].length = (uint32_t)read_uint(&d->r);
        spans[i].offset = (int32_t)read_int(&d->r);
        *buckets += spans[i].length;
    }
    return spans;
}

static void read_layout(struct decoder *d)
{
    struct nx_histogram *h = &d->layout;
    uint64_t threshold = nx_bits_read(&d->r, 8);
    if (threshold == 255)
        h->zero_threshold = nx_double_from_bits(nx_bits_read(&d->r, 64));
    else
        h->zero_threshold = threshold ? ldexp(0.5, (int)threshold - 243) : 0;
    h->schema = (int32_t)read_int(&d->r);
    h->positive_spans = read_spans(d, &h->positive_span_count, &h->positive_count);
    h->negative_spans = read_spans(d, &h->negative_span_count, &h->negative_count);
    if (h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA) {
        h->custom_count = (size_t)read_uint(&d->r);
        h->custom_bounds = nx_arena_calloc(d->arena, h->custom_count + 1, sizeof(double));
        for (size_t i = 0; i < h->custom_count; i++) {
            uint64_t v = read_uint(&d->r);
            h->custom_bounds[i] =
                v ? (double)(v - 1) / 1000 : nx_double_from_bits(nx_bits_read(&d->r, 64));
        }
    }
    d->buckets = h->positive_count + h->negative_count;
}

static int64_t read_second(struct decoder *d, int64_t *last, int64_t *step)
{
    *step = (int64_t)((uint64_t)*step + (uint64_t)read_int(&d->r));
    *last = (int64_t)((uint64_t)*last + (uint64_t)*step);
    return *last;
}

static void read_totals(struct decoder *d, struct nx_histogram *h, bool first)
{
    if (!d->integers) {
        h->count = read_float(&d->r, &d->floats[0], first);
        h->zero_count = read_float(&d->r, &d->floats[1], first);
    } else if (first) {
        h->count = (double)(d->count = (int64_t)read_uint(&d->r));
        h->zero_count = (double)(d->zero = (int64_t)read_uint(&d->r));
    } else {
        h->count = (double)read_second(d, &d->count, &d->count_step);
        h->zero_count = (double)read_second(d, &d->zero, &d->zero_step);
    }
    h->sum = read_float(&d->r, &d->floats[2], first);
}

static void read_buckets(struct decoder *d, struct nx_histogram *h, bool first)
{
    int64_t total = 0;
    for (size_t i = 0; i < d->buckets; i++) {
        double *out = i < h->positive_count ? &h->positive[i] : &h->negative[i - h->positive_count];
        if (i == h->positive_count)
            total = 0;
        if (!d->integers) {
            *out = read_float(&d->r, &d->floats[3 + i], first);
            continue;
        }
        if (first)
            d->last[i] = read_int(&d->r);
        else
            read_second(d, &d->last[i], &d->step[i]);
        total += d->last[i];
        *out = (double)total;
    }
}

static struct decoded_sample read_sample(struct decoder *d, bool first)
{
    struct nx_histogram *h = nx_arena_calloc(d->arena, 1, sizeof *h);
    if (first)
        d->t = read_int(&d->r);
    else
        read_second(d, &d->t, &d->t_step);
    *h = d->layout;
    h->integer = d->integers;
    read_totals(d, h, first);
    if (nx_histogram_is_stale(h)) {
        *h = (struct nx_histogram){.integer = d->integers, .sum = h->sum};
    } else {
        h->positive = nx_arena_calloc(d->arena, h->positive_count + 1, sizeof(double));
        h->negative = nx_arena_calloc(d->arena, h->negative_count + 1, sizeof(double));
        read_buckets(d, h, first);
    }
    return (struct decoded_sample){d->t, h};
}

struct decoded_chunk decode_prom_chunk(struct nx_arena *arena, const struct nx_prom_chunk *chunk)
{
    const uint8_t *bytes = (const uint8_t *)chunk->data.ptr;
    assert(chunk->data.len > 3);
    struct decoder d = {.arena = arena, .integers = chunk->encoding == NX_PROM_HISTOGRAM};
    struct decoded_chunk out = {.flags = bytes[2], .count = (size_t)bytes[0] << 8 | bytes[1]};
    d.r = (struct nx_bit_reader){.data = bytes + 3, .end = (chunk->data.len - 3) * 8};
    read_layout(&d);
    d.last = nx_arena_calloc(arena, d.buckets + 1, sizeof *d.last);
    d.step = nx_arena_calloc(arena, d.buckets + 1, sizeof *d.step);
    d.floats = nx_arena_calloc(arena, d.buckets + 3, sizeof *d.floats);
    out.samples = nx_arena_calloc(arena, out.count + 1, sizeof *out.samples);
    for (size_t i = 0; i < out.count; i++)
        out.samples[i] = read_sample(&d, i == 0);
    assert(!d.r.failed);
    assert(d.r.end - d.r.bit < 8);
    return out;
}
