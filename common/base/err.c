/* The tables behind enum nx_err, and the translation of foreign codes at the edge. */
#include "common/base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

const char *nx_err_name(enum nx_err err)
{
    switch (err) {
#define X(name, value, text, http) \
    case NX_##name:                \
        return #name;
        NX_ERR_TABLE(X)
#undef X
    }
    return "ERR_INTERNAL";
}

const char *nx_err_text(enum nx_err err)
{
    switch (err) {
#define X(name, value, text, http) \
    case NX_##name:                \
        return text;
        NX_ERR_TABLE(X)
#undef X
    }
    return "internal error";
}

int nx_err_http(enum nx_err err)
{
    switch (err) {
#define X(name, value, text, http) \
    case NX_##name:                \
        return http;
        NX_ERR_TABLE(X)
#undef X
    }
    return 500;
}

enum nx_err nx_err_from_errno(int error_number)
{
    switch (error_number) {
    case 0:
        return NX_OK;
    case ENOMEM:
    case ENOBUFS:
        return NX_ERR_NOMEM;
    case EINVAL:
        return NX_ERR_INVALID;
    case ENOSPC:
    case EDQUOT:
        return NX_ERR_NOSPACE;
    case ENOENT:
    case ENOTDIR:
        return NX_ERR_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return NX_ERR_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return NX_ERR_FORBIDDEN;
    case EFBIG:
    case E2BIG:
    case EMSGSIZE:
    case ENAMETOOLONG:
        return NX_ERR_TOO_LARGE;
    case EMFILE:
    case ENFILE:
        return NX_ERR_OVERLOADED;
    case ETIMEDOUT:
        return NX_ERR_TIMEOUT;
    case ECANCELED:
        return NX_ERR_CANCELED;
    case EAGAIN:
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case ECONNABORTED:
    case ECONNREFUSED:
    case ECONNRESET:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENETDOWN:
    case ENETUNREACH:
    case ENOTCONN:
    case EPIPE:
        return NX_ERR_UNAVAILABLE;
    default:
        return NX_ERR_IO;
    }
}

enum nx_err nx_err_from_uv(int status)
{
    if (status >= 0)
        return NX_OK;
    if (status == UV_EOF)
        return NX_ERR_CLOSED;
    /* Name resolution has codes of its own, between UV_EAI_BADHINTS and UV_EAI_ADDRFAMILY. */
    if (status <= UV_EAI_ADDRFAMILY && status >= UV_EAI_PROTOCOL) {
        if (status == UV_EAI_MEMORY)
            return NX_ERR_NOMEM;
        return status == UV_EAI_CANCELED ? NX_ERR_CANCELED : NX_ERR_UNAVAILABLE;
    }
    return nx_err_from_errno(-status);
}

/* Where a text of `len` bytes, cut anywhere, ends with an incomplete UTF-8 sequence: the length
 * without it. */
static size_t utf8_floor(const char *text, size_t len)
{
    size_t start = len;
    while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0)
        return len;
    unsigned char lead = (unsigned char)text[start - 1];
    size_t want = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return len - (start - 1) < want ? start - 1 : len;
}

enum nx_err(nx_fail_set)(struct nx_fail *fail, enum nx_err code, const char *format, ...)
{
    if (!fail)
        return code;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(fail->text, sizeof fail->text, format, args);
    va_end(args);
    fail->code = code;
    if (n < 0)
        fail->text[0] = '\0';
    else if ((size_t)n >= sizeof fail->text)
        fail->text[utf8_floor(fail->text, sizeof fail->text - 1)] = '\0';
    return code;
}

const char *nx_fail_text(const struct nx_fail *fail)
{
    return fail->text[0] ? fail->text : nx_err_text(fail->code);
}
