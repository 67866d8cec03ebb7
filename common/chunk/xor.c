/* Prometheus's XOR encoding (tsdb/chunkenc/xor.go), bit for bit; described in
 * docs/formats/chunk.md.
 *
 * A sample is laid out in a scratch buffer that begins with the last, unfinished byte of the chunk,
 * and is copied over when there is room for it: a failed append has touched nothing. Times are
 * added modulo 2^64, and what does not ascend as a signed number is damage. */
#include "common/base/alloc.h"
#include "common/chunk/chunk_internal.h"
#include "common/chunk/counted_iter.h"
#include "common/chunk/xor_stream.h"

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

unsigned nx_xor_stream_add(struct nx_xor_state *state, int64_t t, uint64_t value_bits,
                           uint8_t last_byte, struct nx_bits *bits)
{
    if (state->free_bits)
        nx_bits_init(bits, last_byte, 8u - state->free_bits);
    else
        nx_bits_init(bits, 0, 0);
    uint64_t delta = (uint64_t)t - (uint64_t)state->t;
    if (state->count == 0) {
        uint64_t sign = t < 0 ? UINT64_MAX : 0;
        nx_bits_put_uvarint(bits, ((uint64_t)t << 1) ^ sign);
        nx_bits_put(bits, value_bits, 64);
        delta = 0;
    } else {
        if (state->count == 1)
            nx_bits_put_uvarint(bits, delta);
        else
            put_time(bits, (int64_t)(delta - state->delta));
        nx_xor_put(bits, value_bits ^ state->value_bits, &state->leading, &state->trailing);
    }
    unsigned used = nx_bits_finish(bits);
    unsigned bytes = (used + 7) / 8;
    state->free_bits = (uint8_t)(bytes * 8 - used);
    state->delta = delta;
    state->value_bits = value_bits;
    state->t = t;
    state->count++;
    return bytes;
}

int64_t nx_xor_stream_first_time(const uint8_t *stream)
{
    uint64_t raw = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        raw |= (uint64_t)(*stream & 0x7F) << shift;
        if (!(*stream++ & 0x80))
            break;
    }
    return (int64_t)((raw >> 1) ^ (0 - (raw & 1)));
}

enum nx_err nx_xor_append(struct nx_chunk_appender *app, int64_t t, uint64_t value_bits)
{
    struct nx_bits bits;
    struct nx_xor_state state = {.t = app->last_t,
                                 .value_bits = app->value_bits,
                                 .delta = app->delta,
                                 .count = app->count,
                                 .leading = app->leading,
                                 .trailing = app->trailing,
                                 .free_bits = app->free_bits};
    size_t whole = app->count ? app->len : NX_CHUNK_HEADER_BYTES;
    whole -= app->free_bits > 0;
    uint8_t last_byte = app->free_bits ? app->data[whole] : 0;
    unsigned bytes = nx_xor_stream_add(&state, t, value_bits, last_byte, &bits);
    enum nx_err err = nx_chunk_reserve(app, whole + bytes);
    if (err != NX_OK)
        return err;
    memcpy(app->data + whole, bits.bytes, bytes);
    app->len = (uint32_t)(whole + bytes);
    app->free_bits = state.free_bits;
    app->leading = state.leading;
    app->trailing = state.trailing;
    app->delta = state.delta;
    app->value_bits = value_bits;
    app->last_t = t;
    if (app->count == 0)
        app->min_t = t;
    nx_chunk_set_count(app, (uint16_t)state.count);
    return NX_OK;
}

/* --- reading --- */

struct xor_iter {
    struct nx_counted_iter counted;
    struct nx_bit_reader reader;
    uint8_t leading;
    uint8_t trailing;
    uint64_t delta;
    uint64_t value_bits;
};

/* The codes of a time and the head of a value are 4 + 20 and 2 + 11 bits at most, so both come out
 * of one look at the stream; only the long form of a time and the bits of a value take another. */
enum { LONG_TIME = 4 };

/* The change of delta; `*used` is what it took of `word`, or LONG_TIME where 64 bits follow. */
static uint64_t decode_time(uint64_t word, unsigned *used)
{
    static const uint8_t sizes[] = {0, 14, 17, 20};
    unsigned ones = word == UINT64_MAX ? LONG_TIME : (unsigned)__builtin_clzll(~word);
    if (ones == 0 || ones >= LONG_TIME) {
        *used = ones ? LONG_TIME : 1;
        return 0;
    }
    unsigned size = sizes[ones];
    uint64_t raw = word << (ones + 1) >> (64 - size);
    *used = ones + 1 + size;
    return raw > UINT64_C(1) << (size - 1) ? raw - (UINT64_C(1) << size) : raw;
}

/* `word` is what comes next, of which `used` bits have been decoded. */
static void read_value(struct xor_iter *x, uint64_t word, unsigned used)
{
    struct nx_bit_reader *r = &x->reader;
    word <<= used;
    if (word >> 63 == 0) {
        nx_bits_skip(r, used + 1);
        return;
    }
    if (word >> 62 == 2) {
        nx_bits_skip(r, used + 2);
    } else {
        nx_bits_skip(r, used + 2 + 5 + 6);
        unsigned leading = (unsigned)(word >> 57) & 0x1F;
        unsigned significant = (unsigned)(word >> 51) & 0x3F;
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

/* The time of a sample from the third on. */
static uint64_t read_time(struct nx_bit_reader *r, uint64_t *word, unsigned *used)
{
    *word = nx_bits_peek(r);
    uint64_t dod = decode_time(*word, used);
    if (*used == LONG_TIME) {
        nx_bits_skip(r, LONG_TIME);
        dod = nx_bits_read(r, 64);
        *word = nx_bits_peek(r);
        *used = 0;
    }
    return dod;
}

static bool read_sample(struct xor_iter *x)
{
    struct nx_bit_reader *r = &x->reader;
    if (x->counted.read == 0) {
        uint64_t raw = nx_bits_read_uvarint(r);
        x->counted.t = (int64_t)((raw >> 1) ^ (0 - (raw & 1)));
        x->value_bits = nx_bits_read(r, 64);
        return !r->failed;
    }
    uint64_t word;
    unsigned used = 0;
    if (x->counted.read == 1) {
        x->delta = nx_bits_read_uvarint(r);
        word = nx_bits_peek(r);
    } else {
        x->delta += read_time(r, &word, &used);
    }
    int64_t t = (int64_t)((uint64_t)x->counted.t + x->delta);
    read_value(x, word, used);
    if (r->failed || t <= x->counted.t)
        return false;
    x->counted.t = t;
    return true;
}

static enum nx_err read_next(struct nx_counted_iter *it)
{
    return read_sample((struct xor_iter *)it) ? NX_OK : NX_ERR_CORRUPT;
}

static void show(const struct nx_counted_iter *it, struct nx_sample *out)
{
    const struct xor_iter *x = (const struct xor_iter *)it;
    *out = (struct nx_sample){.t = it->t, .value = nx_double_from_bits(x->value_bits)};
}

static int xor_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    return nx_counted_next((struct nx_counted_iter *)it, read_next, show, out);
}

static int xor_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    return nx_counted_seek((struct nx_counted_iter *)it, t, read_next, show, out);
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
    nx_counted_init(&x->counted, &ops, bytes);
    x->reader.data = bytes;
    x->reader.bit = NX_CHUNK_HEADER_BYTES * 8;
    x->reader.end = data.len * 8;
    *out = &x->counted.base;
    return NX_OK;
}

size_t nx_xor_iter_left(const struct nx_sample_iter *it)
{
    const struct xor_iter *x = (const struct xor_iter *)it;
    return (x->reader.end - x->reader.bit) / 8;
}
