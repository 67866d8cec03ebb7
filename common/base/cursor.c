/* The long forms. A failed cursor stands at its end, so that every later read fails too and returns
 * zero. */
#include "common/base/cursor.h"

/* The low seven bits of each of eight bytes, joined. */
static uint64_t join_sevens(uint64_t word)
{
    word = (word & UINT64_C(0x007F007F007F007F)) | (word & UINT64_C(0x7F007F007F007F00)) >> 1;
    word = (word & UINT64_C(0x00003FFF00003FFF)) | (word & UINT64_C(0x3FFF00003FFF0000)) >> 2;
    return (word & UINT64_C(0x000000000FFFFFFF)) | (word & UINT64_C(0x0FFFFFFF00000000)) >> 4;
}

uint64_t nx_cursor_uvarint_slow(struct nx_cursor *cur)
{
    uint64_t v = 0;
    if (nx_cursor_left(cur) >= sizeof v) { /* as a word, where it ends within it */
        v = nx_le64_load(cur->ptr);
        uint64_t ends = ~v & UINT64_C(0x8080808080808080);
        if (ends != 0) {
            unsigned bits = (unsigned)__builtin_ctzll(ends) + 1;
            cur->ptr += bits / 8;
            return join_sevens(v & (UINT64_MAX >> (64 - bits)));
        }
        v = 0;
    }
    const uint8_t *p = cur->ptr;
    for (unsigned shift = 0; shift < 64 && p < cur->end; shift += 7) {
        uint8_t byte = *p++;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            if (shift == 63 && byte > 1)
                break;
            cur->ptr = p;
            return v;
        }
    }
    nx_cursor_fail(cur);
    return 0;
}
