/* Bit streams, most significant bit first, as Prometheus's chunks have them: a scratch buffer that
 * holds the bits of one sample, and a bounds-checked reader. */
#ifndef NX_CHUNK_BITS_H
#define NX_CHUNK_BITS_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t nx_load_be64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

static inline void nx_store_be64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    memcpy(p, &v, sizeof v);
}

/* A float sample takes at most 7 bits carried over, a varint of 80 bits and a value of 77. */
enum { NX_BITS_SCRATCH_BYTES = 40 };

/* The last bits are kept in a register until they make a word: writing them to memory one by one
 * would have each write wait for the one before. */
struct nx_bits {
    uint64_t word; /* from the top */
    unsigned fill; /* bits in it, at most 64 */
    unsigned len;  /* whole words before it, in bytes */
    uint8_t bytes[NX_BITS_SCRATCH_BYTES];
};

/* Begins with the top `fill` bits of `first`. */
static inline void nx_bits_init(struct nx_bits *bits, uint8_t first, unsigned fill)
{
    bits->word = (uint64_t)first << 56;
    bits->fill = fill;
    bits->len = 0;
}

/* The low `n` bits of `v`, 1 <= n <= 64; the others must be zero. */
static inline void nx_bits_put(struct nx_bits *bits, uint64_t v, unsigned n)
{
    unsigned room = 64 - bits->fill;
    if (n <= room) {
        bits->word |= v << (room - n);
        bits->fill += n;
        return;
    }
    unsigned low = n - room;
    nx_store_be64(bits->bytes + bits->len, bits->word | (room ? v >> low : 0));
    bits->len += 8;
    bits->word = v << (64 - low);
    bits->fill = low;
}

static inline void nx_bits_put_uvarint(struct nx_bits *bits, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        nx_bits_put(bits, (v & 0x7F) | 0x80, 8);
    nx_bits_put(bits, v, 8);
}

/* Writes the rest to `bytes`, padded with zeros; the number of bits in all. */
static inline unsigned nx_bits_finish(struct nx_bits *bits)
{
    nx_store_be64(bits->bytes + bits->len, bits->word);
    return bits->len * 8 + bits->fill;
}

struct nx_bit_reader {
    const uint8_t *data;
    size_t bit;
    size_t end; /* bits */
    bool failed;
};

/* The bits that come next, from the top, at least 57 of them, zeros where the data has ended;
 * nothing is read. */
static inline uint64_t nx_bits_peek(const struct nx_bit_reader *r)
{
    const uint8_t *at = r->data + (r->bit >> 3);
    unsigned shift = (unsigned)(r->bit & 7);
    size_t left = (r->end - (r->bit - shift)) / 8;
    if (left >= 8)
        return nx_load_be64(at) << shift;
    uint64_t word = 0;
    for (size_t i = 0; i < left; i++)
        word |= (uint64_t)at[i] << (56 - 8 * i);
    return word << shift;
}

/* Takes `n` bits; fails where there are fewer. */
static inline void nx_bits_skip(struct nx_bit_reader *r, unsigned n)
{
    if (n > r->end - r->bit) {
        r->failed = true;
        r->bit = r->end;
    } else {
        r->bit += n;
    }
}

/* Reads 1 <= n <= 64 bits; zero, and `failed`, where there are fewer. */
static inline uint64_t nx_bits_read(struct nx_bit_reader *r, unsigned n)
{
    assert(n >= 1 && n <= 64);
    if (n > r->end - r->bit) {
        nx_bits_skip(r, n);
        return 0;
    }
    uint64_t word = nx_bits_peek(r);
    unsigned shift = (unsigned)(r->bit & 7);
    if (shift + n > 64)
        word |= (uint64_t)r->data[(r->bit >> 3) + 8] >> (8 - shift);
    r->bit += n;
    return word >> (64 - n);
}

static inline uint64_t nx_bits_read_uvarint(struct nx_bit_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint64_t byte = nx_bits_read(r, 8);
        if (shift == 63 && byte > 1)
            break;
        v |= (byte & 0x7F) << shift;
        if (byte < 0x80)
            return v;
    }
    r->failed = true;
    return 0;
}

#endif
