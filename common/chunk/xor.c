/* Prometheus's XOR encoding (tsdb/chunkenc/xor.go), bit for bit; described in
 * docs/formats/chunk.md.
 *
 * A sample is laid out in a scratch buffer that begins with the last, unfinished byte of the chunk,
 * and is copied over when there is room for it: a failed append has touched nothing. Times are
 * added modulo 2^64, and what does not ascend as a signed number is damage. */
#include "common/base/alloc.h"
#include "common/chunk/chunk_internal.h"

static bool fits(int64_t v, unsigned bits)
{
    return v >= -((INT64_C(1) << (bits - 1)) - 1) && v <= INT64_C(1) << (bits - 1);
}

static void put_time(struct nx_bits *bits, int64_t dod)
{
    uint64_t raw = (uint64_t)dod;
    if (dod == 0) {
        nx_bits_put(bits, 0, 1);
    } else if (fits(dod, 14)) {
        nx_bits_put(bits, UINT64_C(0x2) << 14 | (raw & 0x3FFF), 2 + 14);
    } else if (fits(dod, 17)) {
        nx_bits_put(bits, UINT64_C(0x6) << 17 | (raw & 0x1FFFF), 3 + 17);
    } else if (fits(dod, 20)) {
        nx_bits_put(bits, UINT64_C(0xE) << 20 | (raw & 0xFFFFF), 4 + 20);
    } else {
        nx_bits_put(bits, 0xF, 4);
        nx_bits_put(bits, raw, 64);
    }
}

/* The window is the appender's; a new one is left in `*leading` and `*trailing`. */
static void put_value(struct nx_bits *bits, uint64_t delta, uint8_t *leading, uint8_t *trailing)
{
    if (delta == 0) {
        nx_bits_put(bits, 0, 1);
        return;
    }
    unsigned lead = (unsigned)__builtin_clzll(delta);
    unsigned trail = (unsigned)__builtin_ctzll(delta);
    if (lead > 31)
        lead = 31;
    if (*leading != NX_XOR_NO_WINDOW && lead >= *leading && trail >= *trailing) {
        nx_bits_put(bits, 0x2, 2);
        nx_bits_put(bits, delta >> *trailing, 64u - *leading - *trailing);
        return;
    }
    unsigned significant = 64 - lead - trail;
    nx_bits_put(bits, UINT64_C(0x3) << 11 | (uint64_t)lead << 6 | (significant & 0x3F), 2 + 5 + 6);
    nx_bits_put(bits, delta >> trail, significant);
    *leading = (uint8_t)lead;
    *trailing = (uint8_t)trail;
}

enum nx_err nx_xor_append(struct nx_chunk_appender *app, int64_t t, uint64_t value_bits)
{
    struct nx_bits bits = {.used = 0};
    size_t whole = app->count ? app->len : NX_CHUNK_HEADER_BYTES;
    if (app->free_bits) {
        bits.bytes[0] = app->data[--whole];
        bits.used = 8u - app->free_bits;
    }
    uint64_t delta = (uint64_t)t - (uint64_t)app->last_t;
    uint8_t leading = app->leading;
    uint8_t trailing = app->trailing;
    if (app->count == 0) {
        uint64_t sign = t < 0 ? UINT64_MAX : 0;
        nx_bits_put_uvarint(&bits, ((uint64_t)t << 1) ^ sign);
        nx_bits_put(&bits, value_bits, 64);
        delta = 0;
    } else {
        if (app->count == 1)
            nx_bits_put_uvarint(&bits, delta);
        else
            put_time(&bits, (int64_t)(delta - app->delta));
        put_value(&bits, value_bits ^ app->value_bits, &leading, &trailing);
    }
    size_t bytes = (bits.used + 7) / 8;
    enum nx_err err = nx_chunk_reserve(app, whole + bytes);
    if (err != NX_OK)
        return err;
    memcpy(app->data + whole, bits.bytes, bytes);
    app->len = (uint32_t)(whole + bytes);
    app->free_bits = (uint8_t)(bytes * 8 - bits.used);
    app->leading = leading;
    app->trailing = trailing;
    app->delta = delta;
    app->value_bits = value_bits;
    app->last_t = t;
    if (app->count == 0)
        app->min_t = t;
    nx_chunk_set_count(app, (uint16_t)(app->count + 1));
    return NX_OK;
}

/* --- reading
 * ---------------------------------------------------------------------------------------------- */

struct xor_iter {
    struct nx_sample_iter base;
    struct nx_bit_reader reader;
    uint32_t count; /* in the header */
    uint32_t read;
    int ended; /* 1 while samples come; then what next returns for ever: 0 or an error */
    uint8_t leading;
    uint8_t trailing;
    int64_t t;
    uint64_t delta;
    uint64_t value_bits;
};

static uint64_t read_time(struct nx_bit_reader *r)
{
    static const uint8_t sizes[] = {14, 17, 20};
    for (unsigned i = 0; i < 4; i++) {
        if (nx_bits_read(r, 1) != 0)
            continue;
        if (i == 0)
            return 0;
        unsigned size = sizes[i - 1];
        uint64_t raw = nx_bits_read(r, size);
        return raw > UINT64_C(1) << (size - 1) ? raw - (UINT64_C(1) << size) : raw;
    }
    return nx_bits_read(r, 64);
}

static void read_value(struct xor_iter *x)
{
    struct nx_bit_reader *r = &x->reader;
    if (nx_bits_read(r, 1) == 0)
        return;
    if (nx_bits_read(r, 1) != 0) {
        uint64_t window = nx_bits_read(r, 5 + 6);
        unsigned leading = (unsigned)(window >> 6);
        unsigned significant = (unsigned)(window & 0x3F);
        if (significant == 0)
            significant = 64;
        if (leading + significant > 64) {
            r->failed = true;
            return;
        }
        x->leading = (uint8_t)leading;
        x->trailing = (uint8_t)(64 - leading - significant);
    }
    x->value_bits ^= nx_bits_read(r, 64u - x->leading - x->trailing) << x->trailing;
}

static bool read_sample(struct xor_iter *x)
{
    struct nx_bit_reader *r = &x->reader;
    if (x->read == 0) {
        uint64_t raw = nx_bits_read_uvarint(r);
        x->t = (int64_t)((raw >> 1) ^ (0 - (raw & 1)));
        x->value_bits = nx_bits_read(r, 64);
        return !r->failed;
    }
    x->delta = x->read == 1 ? nx_bits_read_uvarint(r) : x->delta + read_time(r);
    int64_t t = (int64_t)((uint64_t)x->t + x->delta);
    read_value(x);
    if (r->failed || t <= x->t)
        return false;
    x->t = t;
    return true;
}

static int current(const struct xor_iter *x, struct nx_sample *out)
{
    *out = (struct nx_sample){.t = x->t, .value = nx_double_from_bits(x->value_bits)};
    return 1;
}

static int advance(struct xor_iter *x)
{
    if (x->ended <= 0)
        return x->ended;
    if (x->read == x->count)
        x->ended = 0;
    else if (!read_sample(x))
        x->ended = NX_ERR_CORRUPT;
    else
        x->read++;
    return x->ended;
}

static int xor_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct xor_iter *x = (struct xor_iter *)it;
    int got = advance(x);
    return got > 0 ? current(x, out) : got;
}

static int xor_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    struct xor_iter *x = (struct xor_iter *)it;
    while (x->read == 0 || x->t < t || x->ended <= 0) {
        int got = advance(x);
        if (got <= 0)
            return got;
    }
    return current(x, out);
}

static void xor_free(struct nx_sample_iter *it)
{
    nx_free(it);
}

enum nx_err nx_xor_iter_new(struct nx_view data, struct nx_sample_iter **out)
{
    static const struct nx_sample_iter_ops ops = {
        .next = xor_next, .seek = xor_seek, .free = xor_free};
    if (data.len < NX_CHUNK_HEADER_BYTES || data.len > NX_CHUNK_MAX_BYTES)
        return NX_ERR_CORRUPT;
    struct xor_iter *x = nx_calloc(1, sizeof *x);
    if (!x)
        return NX_ERR_NOMEM;
    const uint8_t *bytes = (const uint8_t *)data.ptr;
    x->base.ops = &ops;
    x->count = (uint32_t)bytes[0] << 8 | bytes[1];
    x->ended = 1;
    x->reader.data = bytes;
    x->reader.bit = NX_CHUNK_HEADER_BYTES * 8;
    x->reader.end = data.len * 8;
    *out = &x->base;
    return NX_OK;
}

size_t nx_xor_iter_left(const struct nx_sample_iter *it)
{
    const struct xor_iter *x = (const struct xor_iter *)it;
    return (x->reader.end - x->reader.bit) / 8;
}
