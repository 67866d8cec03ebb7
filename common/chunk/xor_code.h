/* The code of a float by its difference from the one before, as XOR chunks and Prometheus's chunks
 * of histograms have it. */
#ifndef NX_CHUNK_XOR_CODE_H
#define NX_CHUNK_XOR_CODE_H

#include "common/chunk/bits.h"

enum { NX_XOR_NO_WINDOW = 0xFF };

/* `delta`: the bits of both values, exclusive or. The window is that of the last value, its leading
 * zeros NX_XOR_NO_WINDOW where there was none; a new one is left in `*leading` and `*trailing`. */
static inline void nx_xor_put(struct nx_bits *bits, uint64_t delta, uint8_t *leading,
                              uint8_t *trailing)
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

#endif
