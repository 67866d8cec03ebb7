/* A bounds-checked reader of binary data. Reading past the end, an over-long varint or a length
 * beyond the end sets `failed`, after which every read returns zero or an empty view: a decoder
 * reads a whole record and asks nx_cursor_ok() before it uses it. Integers as in buf.h. */
#ifndef NX_BASE_CURSOR_H
#define NX_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/endian.h"
#include "common/base/view.h"

struct nx_cursor {
    const uint8_t *ptr;
    const uint8_t *end;
    bool failed;
};

static inline struct nx_cursor nx_cursor_of(struct nx_view bytes)
{
    /* An empty view may carry NULL, on which there is no arithmetic. */
    const uint8_t *ptr = (const uint8_t *)(bytes.len ? bytes.ptr : "");
    return (struct nx_cursor){.ptr = ptr, .end = ptr + bytes.len};
}
static inline bool nx_cursor_ok(const struct nx_cursor *cur)
{
    return !cur->failed;
}
static inline size_t nx_cursor_left(const struct nx_cursor *cur)
{
    return (size_t)(cur->end - cur->ptr);
}
/* Fails the cursor: nothing more can be read. For a decoder that meets a value it refuses. */
static inline void nx_cursor_fail(struct nx_cursor *cur)
{
    cur->failed = true;
    cur->ptr = cur->end;
}
static inline uint32_t nx_cursor_u32(struct nx_cursor *cur)
{
    if (nx_cursor_left(cur) < 4) {
        nx_cursor_fail(cur);
        return 0;
    }
    cur->ptr += 4;
    return nx_le32_load(cur->ptr - 4);
}
static inline uint64_t nx_cursor_u64(struct nx_cursor *cur)
{
    if (nx_cursor_left(cur) < 8) {
        nx_cursor_fail(cur);
        return 0;
    }
    cur->ptr += 8;
    return nx_le64_load(cur->ptr - 8);
}
uint64_t nx_cursor_uvarint_slow(struct nx_cursor *cur);
static inline uint8_t nx_cursor_u8(struct nx_cursor *cur)
{
    if (cur->ptr == cur->end) {
        nx_cursor_fail(cur);
        return 0;
    }
    return *cur->ptr++;
}
static inline uint64_t nx_cursor_uvarint(struct nx_cursor *cur)
{
    if (cur->ptr < cur->end && *cur->ptr < 0x80)
        return *cur->ptr++;
    return nx_cursor_uvarint_slow(cur);
}
static inline int64_t nx_cursor_varint(struct nx_cursor *cur)
{
    uint64_t v = nx_cursor_uvarint(cur);
    return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}
/* `len` raw bytes; they alias the source. */
static inline struct nx_view nx_cursor_take(struct nx_cursor *cur, size_t len)
{
    if (len > nx_cursor_left(cur)) {
        nx_cursor_fail(cur);
        return (struct nx_view){.ptr = NULL, .len = 0};
    }
    struct nx_view out = {.ptr = (const char *)cur->ptr, .len = len};
    cur->ptr += len;
    return out;
}
/* uvarint length, then the bytes; they alias the source. */
static inline struct nx_view nx_cursor_bytes(struct nx_cursor *cur)
{
    uint64_t len = nx_cursor_uvarint(cur);
    if (len > nx_cursor_left(cur)) {
        nx_cursor_fail(cur);
        return (struct nx_view){.ptr = NULL, .len = 0};
    }
    return nx_cursor_take(cur, (size_t)len);
}

#endif
