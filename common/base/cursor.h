/* A bounds-checked reader of binary data. Reading past the end, an over-long varint or a length beyond the
 * end sets `failed`, after which every read returns zero or an empty view: a decoder reads a whole
 * record and asks nx_cursor_ok() before it uses it. Integers as in buf.h. */
#ifndef NX_BASE_CURSOR_H
#define NX_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/view.h"

struct nx_cursor {
    const uint8_t *ptr;
    const uint8_t *end;
    bool failed;
};

struct nx_cursor nx_cursor_of(struct nx_view bytes);
static inline bool nx_cursor_ok(const struct nx_cursor *cur)
{
    return !cur->failed;
}
static inline size_t nx_cursor_left(const struct nx_cursor *cur)
{
    return (size_t)(cur->end - cur->ptr);
}
uint8_t nx_cursor_u8(struct nx_cursor *cur);
uint32_t nx_cursor_u32(struct nx_cursor *cur);
uint64_t nx_cursor_u64(struct nx_cursor *cur);
uint64_t nx_cursor_uvarint(struct nx_cursor *cur);
int64_t nx_cursor_varint(struct nx_cursor *cur);
/* `len` raw bytes; they alias the source. */
struct nx_view nx_cursor_take(struct nx_cursor *cur, size_t len);
/* uvarint length, then the bytes; they alias the source. */
struct nx_view nx_cursor_bytes(struct nx_cursor *cur);

#endif
