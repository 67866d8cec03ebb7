/* The long forms. A failed cursor stands at its end, so that every later read fails too and returns
 * zero. */
#include "common/base/cursor.h"

uint32_t nx_cursor_u32(struct nx_cursor *cur)
{
    if (nx_cursor_left(cur) < 4) {
        nx_cursor_fail(cur);
        return 0;
    }
    const uint8_t *p = cur->ptr;
    cur->ptr += 4;
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t nx_cursor_u64(struct nx_cursor *cur)
{
    if (nx_cursor_left(cur) < 8) {
        nx_cursor_fail(cur);
        return 0;
    }
    uint64_t v = 0;
    for (unsigned i = 0; i < 8; i++)
        v |= (uint64_t)cur->ptr[i] << (8 * i);
    cur->ptr += 8;
    return v;
}

uint64_t nx_cursor_uvarint_slow(struct nx_cursor *cur)
{
    uint64_t v = 0;
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
