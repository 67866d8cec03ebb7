/* A query string, a content type and a body, a line each (the body: all that follows). What comes
 * out lies within what went in, and a form that is written anew from it reads the same. */
#include <stdint.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/net/http_params.h"

#define MAX_INPUT 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct nx_view take_line(struct nx_view *rest)
{
    size_t len = nx_view_find(*rest, '\n');
    size_t step = len < rest->len ? len + 1 : len;
    struct nx_view line = {.ptr = rest->ptr, .len = len};
    *rest = (struct nx_view){.ptr = rest->ptr + step, .len = rest->len - step};
    return line;
}

static void put_encoded(struct nx_buf *out, struct nx_view text)
{
    for (size_t i = 0; i < text.len; i++)
        nx_buf_printf(out, "%%%02x", (unsigned)(unsigned char)text.ptr[i]);
}

static void read_again(struct nx_arena *arena, const struct nx_http_params *params)
{
    struct nx_buf form;
    struct nx_http_params again;
    struct nx_fail fail = {.code = NX_OK};
    nx_buf_init(&form, (size_t)16 << 20);
    for (size_t i = 0; i < params->count; i++) {
        if (i > 0)
            nx_buf_append_char(&form, '&');
        put_encoded(&form, params->items[i].name);
        nx_buf_append_char(&form, '=');
        put_encoded(&form, params->items[i].value);
    }
    require(nx_buf_err(&form) == NX_OK);
    require(nx_http_params_parse(arena, nx_buf_view(&form), NX_VIEW(""), NX_VIEW(""), &again,
                                 &fail) == NX_OK);
    require(again.count == params->count);
    for (size_t i = 0; i < again.count; i++)
        require(nx_view_eq(again.items[i].name, params->items[i].name) &&
                nx_view_eq(again.items[i].value, params->items[i].value));
    nx_buf_release(&form);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > MAX_INPUT)
        return 0;
    struct nx_view rest = nx_view_make(data, size);
    struct nx_view query = take_line(&rest);
    struct nx_view type = take_line(&rest);
    struct nx_arena arena;
    struct nx_http_params params = {0};
    struct nx_fail fail = {.code = NX_OK};
    nx_arena_init(&arena, 0);
    enum nx_err err = nx_http_params_parse(&arena, query, type, rest, &params, &fail);
    require(err == NX_OK || fail.text[0] != '\0');
    size_t bytes = 0;
    for (size_t i = 0; i < params.count; i++)
        bytes += params.items[i].name.len + params.items[i].value.len;
    require(bytes <= size);
    if (params.count > 0)
        read_again(&arena, &params);
    struct nx_view decoded;
    if (nx_percent_decode(&arena, query, &decoded) == NX_OK)
        require(decoded.len <= query.len);
    nx_arena_release(&arena);
    return 0;
}
