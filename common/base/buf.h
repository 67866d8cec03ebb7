/* A growing byte buffer with a cap. Once an append fails (cap or memory) the buffer keeps what it
 * had and remembers the failure: writers append without checking and ask nx_buf_err() once at the
 * end. */
#ifndef NX_BASE_BUF_H
#define NX_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/endian.h"
#include "common/base/err.h"
#include "common/base/view.h"

struct nx_buf {
    char *data;
    size_t len;
    size_t capacity;
    size_t max; /* bytes; an append beyond it fails with NX_ERR_TOO_LARGE. SIZE_MAX: no cap */
    enum nx_err err;
};

void nx_buf_init(struct nx_buf *buf, size_t max_bytes);
void nx_buf_release(struct nx_buf *buf);
/* Empties it and forgets a failure; keeps the memory. */
void nx_buf_clear(struct nx_buf *buf);
enum nx_err nx_buf_err(const struct nx_buf *buf) NX_WARN_UNUSED;
/* Gives the bytes to the caller (nx_free them) and leaves the buffer empty. */
char *nx_buf_take(struct nx_buf *buf, size_t *len);

/* Room for `len` more bytes at data + len, which the caller fills and then adds to `len`. */
enum nx_err nx_buf_reserve_slow(struct nx_buf *buf, size_t len) NX_WARN_UNUSED;
static inline enum nx_err nx_buf_reserve(struct nx_buf *buf, size_t len)
{
    if (len <= buf->capacity - buf->len && buf->err == NX_OK)
        return NX_OK;
    return nx_buf_reserve_slow(buf, len);
}
static inline void nx_buf_append(struct nx_buf *buf, const void *bytes, size_t len)
{
    if (len == 0 || nx_buf_reserve(buf, len) != NX_OK)
        return;
    memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
}
static inline void nx_buf_append_view(struct nx_buf *buf, struct nx_view view)
{
    nx_buf_append(buf, view.ptr, view.len);
}
static inline void nx_buf_append_str(struct nx_buf *buf, const char *text)
{
    nx_buf_append(buf, text, strlen(text));
}
static inline void nx_buf_append_char(struct nx_buf *buf, char c)
{
    if (nx_buf_reserve(buf, 1) == NX_OK)
        buf->data[buf->len++] = c;
}
void nx_buf_printf(struct nx_buf *buf, const char *format, ...) NX_PRINTF(2, 3);
void nx_buf_vprintf(struct nx_buf *buf, const char *format, va_list args) NX_PRINTF(2, 0);

/* Fixed-width little-endian and LEB128 integers (varint = zig-zag), the encodings of the disk
 * formats. */
static inline void nx_buf_put_u8(struct nx_buf *buf, uint8_t v)
{
    nx_buf_append_char(buf, (char)v);
}
static inline void nx_buf_put_u32(struct nx_buf *buf, uint32_t v)
{
    v = htole32(v);
    nx_buf_append(buf, &v, sizeof v);
}
static inline void nx_buf_put_u64(struct nx_buf *buf, uint64_t v)
{
    v = htole64(v);
    nx_buf_append(buf, &v, sizeof v);
}
void nx_buf_put_uvarint_slow(struct nx_buf *buf, uint64_t v);
static inline void nx_buf_put_uvarint(struct nx_buf *buf, uint64_t v)
{
    if (v < 0x80)
        nx_buf_append_char(buf, (char)v);
    else
        nx_buf_put_uvarint_slow(buf, v);
}
static inline void nx_buf_put_varint(struct nx_buf *buf, int64_t v)
{
    nx_buf_put_uvarint(buf, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}
/* uvarint length, then the bytes. */
void nx_buf_put_bytes(struct nx_buf *buf, struct nx_view bytes);

static inline struct nx_view nx_buf_view(const struct nx_buf *buf)
{
    return (struct nx_view){.ptr = buf->data, .len = buf->len};
}

#endif
