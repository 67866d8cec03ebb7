/* Form values as Go's net/url and mime/multipart read them, errors included. */
#include "common/net/http_params.h"

#include <string.h>

#include "common/base/quote.h"
#include "common/net/http_multipart.h"
#include "common/net/http_params_internal.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The malformed escape at `at`, as Go cuts it: at most three bytes. */
static enum nx_err bad_escape(struct nx_view text, size_t at, struct nx_fail *fail)
{
    size_t left = text.len - at;
    char quoted[32];
    return nx_fail_set(
        fail, NX_ERR_INVALID, "invalid URL escape %s",
        nx_quote_into(nx_view_make(text.ptr + at, left < 3 ? left : 3), quoted, sizeof(quoted)));
}

static enum nx_err decode(struct nx_arena *arena, struct nx_view text, bool plus_is_blank,
                          struct nx_view *out, struct nx_fail *fail)
{
    if (memchr(text.ptr, '%', text.len) == NULL &&
        (!plus_is_blank || memchr(text.ptr, '+', text.len) == NULL)) {
        *out = text;
        return NX_OK;
    }
    char *decoded = nx_arena_alloc(arena, text.len);
    if (!decoded) {
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    }
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? hex(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex(text.ptr[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return bad_escape(text, i, fail);
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        decoded[len++] = c;
    }
    *out = nx_view_make(decoded, len);
    return NX_OK;
}

enum nx_err nx_percent_decode(struct nx_arena *arena, struct nx_view text, struct nx_view *out)
{
    if (text.len == 0) {
        *out = nx_view_make("", 0);
        return NX_OK;
    }
    return decode(arena, text, false, out, NULL);
}

enum nx_err nx_http_params_add(struct nx_arena *arena, struct nx_param_list *list,
                               struct nx_view name, struct nx_view value, struct nx_fail *fail)
{
    if (list->count == NX_HTTP_MAX_PARAMS) {
        return nx_fail_set(fail, NX_ERR_TOO_LARGE, "more than %d parameters", NX_HTTP_MAX_PARAMS);
    }
    if (!nx_arena_grow(arena, &list->items, list->count, &list->capacity, list->count + 1,
                       sizeof(*list->items))) {
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    }
    list->items[list->count++] = (struct nx_http_param){.name = name, .value = value};
    return NX_OK;
}

static enum nx_err parse_pair(struct nx_arena *arena, struct nx_view pair,
                              struct nx_param_list *list, struct nx_fail *fail)
{
    if (pair.len == 0) {
        return NX_OK;
    }
    if (memchr(pair.ptr, ';', pair.len)) {
        return nx_fail_set(fail, NX_ERR_INVALID, "invalid semicolon separator in query");
    }
    size_t equals = nx_view_find(pair, '=');
    struct nx_view name = nx_view_make(pair.ptr, equals);
    struct nx_view value = {.ptr = ""};
    if (equals < pair.len) {
        value = nx_view_make(pair.ptr + equals + 1, pair.len - equals - 1);
    }
    enum nx_err err = decode(arena, name, true, &name, fail);
    if (err == NX_OK) {
        err = decode(arena, value, true, &value, fail);
    }
    return err == NX_OK ? nx_http_params_add(arena, list, name, value, fail) : err;
}

/* A malformed pair is left out; the first of them makes the outcome. */
static enum nx_err parse_query(struct nx_arena *arena, struct nx_view query,
                               struct nx_param_list *list, struct nx_fail *fail)
{
    enum nx_err first = NX_OK;
    size_t at = 0;
    while (at < query.len) {
        struct nx_view rest = nx_view_make(query.ptr + at, query.len - at);
        size_t end = nx_view_find(rest, '&');
        enum nx_err err = parse_pair(arena, nx_view_make(rest.ptr, end), list, first ? NULL : fail);
        if (err == NX_ERR_INVALID) {
            first = err;
        } else if (err != NX_OK) {
            return err;
        }
        at += end + 1;
    }
    return first;
}

static struct nx_view media_type(struct nx_view content_type)
{
    return nx_view_trim(nx_view_make(content_type.ptr, nx_view_find(content_type, ';')));
}

enum nx_err nx_http_params_parse(struct nx_arena *arena, struct nx_view query,
                                 struct nx_view content_type, struct nx_view body,
                                 struct nx_http_params *out, struct nx_fail *fail)
{
    struct nx_param_list list = {.count = 0};
    struct nx_view media = media_type(content_type);
    enum nx_err err = NX_OK;
    if (nx_view_eq_nocase(media, NX_VIEW("application/x-www-form-urlencoded"))) {
        err = parse_query(arena, body, &list, fail);
    } else if (nx_view_eq_nocase(media, NX_VIEW("multipart/form-data"))) {
        err = nx_http_multipart_parse(arena, content_type, body, &list, fail);
    }
    if (err == NX_OK || err == NX_ERR_INVALID) {
        enum nx_err in_query = parse_query(arena, query, &list, err ? NULL : fail);
        err = in_query ? in_query : err;
    }
    if (err == NX_OK || err == NX_ERR_INVALID) {
        *out = (struct nx_http_params){.items = list.items, .count = list.count};
    }
    return err;
}

struct nx_view nx_http_params_nth(const struct nx_http_params *params, const char *name, size_t i)
{
    struct nx_view wanted = nx_view_of(name);
    for (size_t k = 0; k < params->count; k++) {
        if (nx_view_eq(params->items[k].name, wanted) && i-- == 0) {
            return params->items[k].value;
        }
    }
    return (struct nx_view){.ptr = NULL};
}

struct nx_view nx_http_params_get(const struct nx_http_params *params, const char *name)
{
    return nx_http_params_nth(params, name, 0);
}
