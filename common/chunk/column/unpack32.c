/* A row is four neighbours, one a lane (pack.c). The function of a width is unrolled over the 32
 * rows of a group, so that every shift is a constant and a word is loaded once. */
#include "common/chunk/column/unpack32.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

enum { LANES = 4, WORD_BITS = 32, WORD_BYTES = 16 };

/* What is no full group: a plain stream of bits. */
static void unpack_stream(const uint8_t *in, size_t count, unsigned width, uint32_t *out)
{
    uint8_t padded[NX_PACK_GROUP * 4 + 8] = {0}; /* room to read a word at any position */
    const uint32_t mask = (uint32_t)((UINT64_C(1) << width) - 1);
    size_t bit = 0;
    memcpy(padded, in, nx_pack_bytes(count, width));
    for (size_t i = 0; i < count; i++, bit += width) {
        uint64_t word;
        memcpy(&word, padded + bit / 8, sizeof word);
        out[i] = (uint32_t)(le64toh(word) >> (bit % 8)) & mask;
    }
    for (size_t i = count; i % LANES != 0; i++)
        out[i] = 0;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* `width` and `row` are constants where it is inlined. */
__attribute__((target("avx2"), always_inline)) static inline void
unpack_row(const uint8_t *in, unsigned width, unsigned row, uint32_t *out)
{
    const unsigned word = row * width / WORD_BITS;
    const unsigned shift = row * width % WORD_BITS;
    const void *at = in + (size_t)word * WORD_BYTES;
    const void *after = in + (size_t)(word + 1) * WORD_BYTES;
    void *to = out + (size_t)row * LANES;
    __m128i v = _mm_srli_epi32(_mm_loadu_si128(at), (int)shift);
    if (shift + width > WORD_BITS)
        v = _mm_or_si128(v, _mm_slli_epi32(_mm_loadu_si128(after), (int)(WORD_BITS - shift)));
    if (shift + width != WORD_BITS)
        v = _mm_and_si128(v, _mm_set1_epi32((int)(uint32_t)((UINT64_C(1) << width) - 1)));
    _mm_storeu_si128(to, v);
}

#define ROW(n) unpack_row(in, width, n, out);
#define ROWS_4(n) ROW(n) ROW((n) + 1) ROW((n) + 2) ROW((n) + 3)
#define ROWS_16(n) ROWS_4(n) ROWS_4((n) + 4) ROWS_4((n) + 8) ROWS_4((n) + 12)

__attribute__((target("avx2"), always_inline)) static inline void
unpack_width(const uint8_t *in, unsigned width, uint32_t *out)
{
    ROWS_16(0)
    ROWS_16(16)
}

#define WIDTH(n)                  \
    case n:                       \
        unpack_width(in, n, out); \
        break;
#define WIDTHS_4(n) WIDTH(n) WIDTH((n) + 1) WIDTH((n) + 2) WIDTH((n) + 3)
#define WIDTHS_16(n) WIDTHS_4(n) WIDTHS_4((n) + 4) WIDTHS_4((n) + 8) WIDTHS_4((n) + 12)

__attribute__((target("avx2"))) static void unpack_full(const uint8_t *in, unsigned width,
                                                        uint32_t *out)
{
    switch (width) {
        WIDTHS_16(1)
        WIDTHS_16(17)
    default:
        break;
    }
}

#else

static void unpack_full(const uint8_t *in, unsigned width, uint32_t *out)
{
    uint64_t wide[NX_PACK_GROUP];
    nx_unpack_portable(in, NX_PACK_GROUP, width, wide);
    for (size_t i = 0; i < NX_PACK_GROUP; i++)
        out[i] = (uint32_t)wide[i];
}

#endif

void nx_unpack32(const uint8_t *in, size_t count, unsigned width, uint32_t *out)
{
    assert(width <= WORD_BITS && count <= NX_PACK_GROUP);
    if (width == 0)
        memset(out, 0, NX_PACK_GROUP * sizeof *out);
    else if (count == NX_PACK_GROUP)
        unpack_full(in, width, out);
    else
        unpack_stream(in, count, width, out);
}
