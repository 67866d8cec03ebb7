/* Capacity doubles from 64 bytes up to the cap. The fast path of every append is inline in the
 * header. */
#include "common/base/buf.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/base/alloc.h"

enum { FIRST_CAPACITY = 64, VARINT_MAX_BYTES = 10 };

void nx_buf_init(struct nx_buf *buf, size_t max_bytes)
{
    *buf = (struct nx_buf){.max = max_bytes};
}

void nx_buf_release(struct nx_buf *buf)
{
    nx_free(buf->data);
    *buf = (struct nx_buf){.max = buf->max};
}

void nx_buf_clear(struct nx_buf *buf)
{
    buf->len = 0;
    buf->err = NX_OK;
}

enum nx_err nx_buf_err(const struct nx_buf *buf)
{
    return buf->err;
}

char *nx_buf_take(struct nx_buf *buf, size_t *len)
{
    char *data = buf->data;
    *len = buf->len;
    *buf = (struct nx_buf){.max = buf->max};
    return data;
}

enum nx_err nx_buf_reserve_slow(struct nx_buf *buf, size_t len)
{
    if (buf->err != NX_OK)
        return buf->err;
    if (buf->len > buf->max || len > buf->max - buf->len)
        return buf->err = NX_ERR_TOO_LARGE;
    size_t need = buf->len + len;
    if (need <= buf->capacity)
        return NX_OK;
    size_t target = buf->capacity ? buf->capacity : FIRST_CAPACITY;
    while (target < need)
        target = target > buf->max / 2 ? buf->max : target * 2;
    if (target > buf->max)
        target = buf->max;
    char *grown = nx_realloc(buf->data, target);
    if (!grown)
        return buf->err = NX_ERR_NOMEM;
    buf->data = grown;
    buf->capacity = target;
    return NX_OK;
}

void nx_buf_printf(struct nx_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    nx_buf_vprintf(buf, format, args);
    va_end(args);
}

void nx_buf_vprintf(struct nx_buf *buf, const char *format, va_list args)
{
    char small[256];
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    if (n < 0) {
        if (buf->err == NX_OK)
            buf->err = NX_ERR_INVALID;
    } else if ((size_t)n < sizeof small) {
        nx_buf_append(buf, small, (size_t)n);
    } else {
        /* vsnprintf wants room for its NUL, which is not content. */
        char *text = buf->err == NX_OK ? nx_alloc((size_t)n + 1) : NULL;
        if (text) {
            n = vsnprintf(text, (size_t)n + 1, format, again);
            nx_buf_append(buf, text, (size_t)n);
            nx_free(text);
        } else if (buf->err == NX_OK) {
            buf->err = NX_ERR_NOMEM;
        }
    }
    va_end(again);
}

void nx_buf_put_uvarint_slow(struct nx_buf *buf, uint64_t v)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    size_t len = 0;
    while (v >= 0x80) {
        bytes[len++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    bytes[len++] = (uint8_t)v;
    nx_buf_append(buf, bytes, len);
}

void nx_buf_put_bytes(struct nx_buf *buf, struct nx_view bytes)
{
    nx_buf_put_uvarint(buf, bytes.len);
    nx_buf_append_view(buf, bytes);
}
