/* A full group of width w is w words of 128 bits. Up to 32 bits a word is four lanes of 32, and
 * integer i lies in lane i % 4, its bits right after those of integer i - 4; beyond that it is two
 * lanes of 64 and i - 2. Neighbours so share their shift, and come out in order. */
#include "common/chunk/column/pack.h"

#include <assert.h>
#include <string.h>

#include "common/chunk/column/unpack32.h"
#include "common/chunk/column/vectors.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { LANES_32 = 4, LANES_64 = 2, WORD_BYTES = 16 };

static uint32_t load32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t load64(const uint8_t *at)
{
    return (uint64_t)load32(at) | (uint64_t)load32(at + 4) << 32;
}

static void store64(uint8_t *at, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t mask_of(unsigned width)
{
    return width == 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1;
}

/* --- writing --- */

static void pack_stream(const uint64_t *values, size_t count, unsigned width, uint8_t *out)
{
    uint64_t word = 0;
    unsigned fill = 0;
    for (size_t i = 0; i < count; i++) {
        word |= values[i] << fill;
        if (fill + width >= 64) {
            store64(out, word);
            out += 8;
            word = fill ? values[i] >> (64 - fill) : 0;
            fill = fill + width - 64;
        } else {
            fill += width;
        }
    }
    for (; fill > 0; fill = fill > 8 ? fill - 8 : 0) {
        *out++ = (uint8_t)word;
        word >>= 8;
    }
}

/* One lane of a full group: every `step`-th value, in words of `bits` every WORD_BYTES. */
static void pack_lane(const uint64_t *values, size_t step, unsigned width, unsigned bits,
                      uint8_t *out)
{
    uint64_t word = 0;
    unsigned fill = 0;
    for (size_t i = 0; i < NX_PACK_GROUP; i += step) {
        word |= values[i] << fill;
        fill += width;
        if (fill < bits)
            continue;
        for (unsigned b = 0; b < bits; b += 8)
            out[b / 8] = (uint8_t)(word >> b);
        out += WORD_BYTES;
        fill -= bits;
        word = fill ? values[i] >> (width - fill) : 0;
    }
}

void nx_pack(const uint64_t *values, size_t count, unsigned width, uint8_t *out)
{
    assert(count <= NX_PACK_GROUP && width <= 64);
    if (width == 0)
        return;
    if (count < NX_PACK_GROUP) {
        pack_stream(values, count, width, out);
    } else if (width <= 32) {
        for (size_t lane = 0; lane < LANES_32; lane++)
            pack_lane(values + lane, LANES_32, width, 32, out + lane * 4);
    } else {
        for (size_t lane = 0; lane < LANES_64; lane++)
            pack_lane(values + lane, LANES_64, width, 64, out + lane * 8);
    }
}

/* --- reading --- */

static void unpack_stream(const uint8_t *in, size_t count, unsigned width, uint64_t *out)
{
    /* room to read a word and a byte past any position */
    uint8_t padded[NX_PACK_GROUP * 8 + 16];
    size_t len = nx_pack_bytes(count, width);
    memcpy(padded, in, len);
    memset(padded + len, 0, 16);
    uint64_t mask = mask_of(width);
    size_t bit = 0;
    for (size_t i = 0; i < count; i++, bit += width) {
        const uint8_t *at = padded + bit / 8;
        unsigned shift = bit % 8;
        uint64_t v = load64(at) >> shift;
        if (shift + width > 64)
            v |= (uint64_t)at[8] << (64 - shift);
        out[i] = v & mask;
    }
}

static void unpack_32(const uint8_t *in, unsigned width, uint64_t *out)
{
    uint64_t mask = mask_of(width);
    for (size_t j = 0; j < NX_PACK_GROUP / LANES_32; j++) {
        size_t bit = j * width;
        size_t word = bit / 32;
        size_t next = word + 1 < width ? word + 1 : word;
        unsigned shift = bit % 32;
        for (size_t lane = 0; lane < LANES_32; lane++) {
            const uint8_t *at = in + lane * 4;
            uint64_t both = (uint64_t)load32(at + word * WORD_BYTES) |
                            (uint64_t)load32(at + next * WORD_BYTES) << 32;
            out[j * LANES_32 + lane] = both >> shift & mask;
        }
    }
}

static void unpack_64(const uint8_t *in, unsigned width, uint64_t *out)
{
    uint64_t mask = mask_of(width);
    for (size_t j = 0; j < NX_PACK_GROUP / LANES_64; j++) {
        size_t bit = j * width;
        size_t word = bit / 64;
        unsigned shift = bit % 64;
        for (size_t lane = 0; lane < LANES_64; lane++) {
            const uint8_t *at = in + lane * 8 + word * WORD_BYTES;
            uint64_t v = load64(at) >> shift;
            if (shift + width > 64)
                v |= load64(at + WORD_BYTES) << (64 - shift);
            out[j * LANES_64 + lane] = v & mask;
        }
    }
}

void nx_unpack_portable(const uint8_t *in, size_t count, unsigned width, uint64_t *out)
{
    assert(count <= NX_PACK_GROUP && width <= 64);
    if (width == 0)
        memset(out, 0, NX_PACK_GROUP * sizeof *out);
    else if (count < NX_PACK_GROUP)
        unpack_stream(in, count, width, out);
    else if (width <= 32)
        unpack_32(in, width, out);
    else
        unpack_64(in, width, out);
}

#if defined(__x86_64__)

static void unpack_narrow(const uint8_t *in, unsigned width, uint64_t *out)
{
    uint32_t narrow[NX_PACK_GROUP];
    nx_unpack32(in, NX_PACK_GROUP, width, narrow);
    for (size_t i = 0; i < NX_PACK_GROUP; i++)
        out[i] = narrow[i];
}

/* The last word is read twice where there is none after it: its bits are masked away. */
__attribute__((target("avx2"))) static void unpack_64_avx2(const uint8_t *in, unsigned width,
                                                           uint64_t *out)
{
    const __m128i mask = _mm_set1_epi64x((long long)mask_of(width));
    size_t bit = 0;
    for (size_t i = 0; i < NX_PACK_GROUP; i += LANES_64, bit += width) {
        size_t word = bit / 64;
        size_t next = word + 1 < width ? word + 1 : word;
        unsigned shift = bit % 64;
        const void *at = in + word * WORD_BYTES;
        const void *after = in + next * WORD_BYTES;
        __m128i low = _mm_srl_epi64(_mm_loadu_si128(at), _mm_cvtsi32_si128((int)shift));
        __m128i high = _mm_sll_epi64(_mm_loadu_si128(after), _mm_cvtsi32_si128((int)(64 - shift)));
        void *to = out + i;
        _mm_storeu_si128(to, _mm_and_si128(_mm_or_si128(low, high), mask));
    }
}

void nx_unpack(const uint8_t *in, size_t count, unsigned width, uint64_t *out)
{
    if (count < NX_PACK_GROUP || width == 0 || !nx_column_has_vectors())
        nx_unpack_portable(in, count, width, out);
    else if (width <= 32)
        unpack_narrow(in, width, out);
    else
        unpack_64_avx2(in, width, out);
}

#else

void nx_unpack(const uint8_t *in, size_t count, unsigned width, uint64_t *out)
{
    nx_unpack_portable(in, count, width, out);
}

#endif
