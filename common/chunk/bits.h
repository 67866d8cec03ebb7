/* Bit streams, most significant bit first, as Prometheus's chunks have them: a scratch buffer that
 * holds the bits of one sample, and a bounds-checked reader. */
#ifndef NX_CHUNK_BITS_H
#define NX_CHUNK_BITS_H

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

struct nx_bits {
    uint8_t bytes[NX_BITS_SCRATCH_BYTES]; /* zero behind `used` */
    unsigned used;                        /* bits */
};

/* The low `n` bits of `v`, 1 <= n <= 64; the others must be zero. */
static inline void nx_bits_put(struct nx_bits *bits, uint64_t v, unsigned n)
{
    uint8_t *at = bits->bytes + (bits->used >> 3);
    unsigned shift = bits->used & 7;
    uint64_t top = v << (64 - n);
    nx_store_be64(at, nx_load_be64(at) | (top >> shift));
    if (shift + n > 64)
        at[8] = (uint8_t)((top << (8 - shift)) & 0xFF);
    bits->used += n;
}

static inline void nx_bits_put_uvarint(struct nx_bits *bits, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        nx_bits_put(bits, (v & 0x7F) | 0x80, 8);
    nx_bits_put(bits, v, 8);
}

struct nx_bit_reader {
    const uint8_t *data;
    size_t bit;
    size_t end; /* bits */
    bool failed;
};

/* Reads 1 <= n <= 64 bits; zero, and `failed`, where there are fewer. */
static inline uint64_t nx_bits_read(struct nx_bit_reader *r, unsigned n)
{
    if (n > r->end - r->bit) {
        r->failed = true;
        r->bit = r->end;
        return 0;
    }
    const uint8_t *at = r->data + (r->bit >> 3);
    unsigned shift = (unsigned)(r->bit & 7);
    uint64_t word = 0;
    if (r->end - (r->bit - shift) >= 64) {
        word = nx_load_be64(at) << shift;
    } else {
        for (size_t i = 0, left = (r->end - (r->bit - shift)) / 8; i < left; i++)
            word |= (uint64_t)at[i] << (56 - 8 * i);
        word <<= shift;
    }
    if (shift + n > 64)
        word |= (uint64_t)at[8] >> (8 - shift);
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
