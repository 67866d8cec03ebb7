#include "common/net/http_multipart.h"

#include <string.h>

enum { BOUNDARY_MAX = 70 }; /* RFC 2046, 5.1.1 */

static struct nx_view from(struct nx_view v, size_t at)
{
    return nx_view_make(v.ptr + at, v.len - at);
}

/* The offset of `needle`, or v.len. */
static size_t find(struct nx_view v, struct nx_view needle)
{
    const char *at = v.len > 0 ? memmem(v.ptr, v.len, needle.ptr, needle.len) : NULL;
    return at ? (size_t)(at - v.ptr) : v.len;
}

/* The same for a delimiter, which is one only where the line may end behind it, or a dash follows.
 */
static size_t find_delimiter(struct nx_view v, struct nx_view delimiter)
{
    static const char ends[] = {' ', '\t', '\r', '\n', '-'};
    size_t at = 0;
    while (at < v.len) {
        at += find(from(v, at), delimiter);
        size_t behind = at + delimiter.len;
        if (at == v.len || behind == v.len || memchr(ends, v.ptr[behind], sizeof(ends))) {
            return at;
        }
        at++;
    }
    return v.len;
}

/* Cuts the value off the front of `rest`, quoted or a token; backslash escapes are undone in the
 * arena. */
static bool take_value(struct nx_arena *arena, struct nx_view *rest, struct nx_view *value)
{
    if (rest->len == 0 || rest->ptr[0] != '"') {
        *value = nx_view_trim(nx_view_make(rest->ptr, nx_view_find(*rest, ';')));
        *rest = from(*rest, nx_view_find(*rest, ';'));
        return true;
    }
    char *text = nx_arena_alloc(arena, rest->len);
    if (!text) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 1; i < rest->len; i++) {
        char c = rest->ptr[i];
        if (c == '"') {
            *value = nx_view_make(text, len);
            *rest = from(*rest, i + 1);
            return true;
        }
        if (c == '\\' && i + 1 < rest->len) {
            c = rest->ptr[++i];
        }
        text[len++] = c;
    }
    return false;
}

/* A parameter of a header value ("form-data; name=\"q\""); ptr NULL where there is none. */
static struct nx_view header_param(struct nx_arena *arena, struct nx_view header, const char *name)
{
    struct nx_view rest = from(header, nx_view_find(header, ';'));
    while (rest.len > 0) {
        size_t semicolon = nx_view_find(rest, ';');
        rest = from(rest, semicolon < rest.len ? semicolon + 1 : semicolon);
        size_t equals = nx_view_find(rest, '=');
        if (equals == rest.len) {
            break;
        }
        struct nx_view key = nx_view_trim(nx_view_make(rest.ptr, equals));
        struct nx_view value;
        rest = from(rest, equals + 1);
        if (!take_value(arena, &rest, &value)) {
            break;
        }
        if (nx_view_eq_nocase(key, nx_view_of(name))) {
            return value;
        }
    }
    return (struct nx_view){.ptr = NULL};
}

/* The value of a part's header field; ptr NULL where there is none. */
static struct nx_view part_header(struct nx_view headers, const char *name)
{
    while (headers.len > 0) {
        size_t end = find(headers, NX_VIEW("\r\n"));
        struct nx_view line = nx_view_make(headers.ptr, end);
        headers = from(headers, end < headers.len ? end + 2 : end);
        size_t colon = nx_view_find(line, ':');
        if (colon < line.len &&
            nx_view_eq_nocase(nx_view_trim(nx_view_make(line.ptr, colon)), nx_view_of(name))) {
            return nx_view_trim(from(line, colon + 1));
        }
    }
    return (struct nx_view){.ptr = NULL};
}

static enum nx_err add_part(struct nx_arena *arena, struct nx_view part, struct nx_param_list *list,
                            struct nx_fail *fail)
{
    size_t blank = 0;
    struct nx_view headers = {.ptr = ""};
    struct nx_view value;
    if (nx_view_has_prefix(part, NX_VIEW("\r\n"))) {
        value = from(part, 2);
    } else {
        blank = find(part, NX_VIEW("\r\n\r\n"));
        if (blank == part.len) {
            return nx_fail_set(fail, NX_ERR_INVALID, "multipart: malformed part header");
        }
        headers = nx_view_make(part.ptr, blank);
        value = from(part, blank + 4);
    }
    struct nx_view disposition = part_header(headers, "content-disposition");
    if (!disposition.ptr) {
        return NX_OK;
    }
    struct nx_view name = header_param(arena, disposition, "name");
    if (!name.ptr || header_param(arena, disposition, "filename").ptr) {
        return NX_OK;
    }
    return nx_http_params_add(arena, list, name, value, fail);
}

/* "\r\n--" and the boundary, in the arena; ptr NULL where the type has none that is valid. */
static struct nx_view delimiter_of(struct nx_arena *arena, struct nx_view content_type)
{
    struct nx_view boundary = header_param(arena, content_type, "boundary");
    static const char begin[] = {'\r', '\n', '-', '-'};
    char *text = nx_arena_alloc(arena, BOUNDARY_MAX + sizeof(begin));
    if (!boundary.ptr || boundary.len == 0 || boundary.len > BOUNDARY_MAX || !text) {
        return (struct nx_view){.ptr = NULL};
    }
    memcpy(text, begin, sizeof(begin));
    memcpy(text + sizeof(begin), boundary.ptr, boundary.len);
    return nx_view_make(text, boundary.len + sizeof(begin));
}

enum nx_err nx_http_multipart_parse(struct nx_arena *arena, struct nx_view content_type,
                                    struct nx_view body, struct nx_param_list *list,
                                    struct nx_fail *fail)
{
    struct nx_view delimiter = delimiter_of(arena, content_type);
    if (!delimiter.ptr) {
        return nx_fail_set(fail, NX_ERR_INVALID, "no multipart boundary param in Content-Type");
    }
    /* the first delimiter may stand at the very begin, without its line end */
    struct nx_view rest;
    if (nx_view_has_prefix(body, from(delimiter, 2))) {
        rest = from(body, delimiter.len - 2);
    } else {
        size_t at = find_delimiter(body, delimiter);
        if (at == body.len) {
            return nx_fail_set(fail, NX_ERR_INVALID, "multipart: NextPart: EOF");
        }
        rest = from(body, at + delimiter.len);
    }
    while (!nx_view_has_prefix(rest, NX_VIEW("--"))) {
        size_t line_end = find(rest, NX_VIEW("\r\n"));
        if (line_end == rest.len || nx_view_trim(nx_view_make(rest.ptr, line_end)).len > 0) {
            return nx_fail_set(fail, NX_ERR_INVALID, "multipart: malformed boundary line");
        }
        struct nx_view part = from(rest, line_end + 2);
        size_t end = find_delimiter(part, delimiter);
        if (end == part.len) {
            return nx_fail_set(fail, NX_ERR_INVALID, "multipart: NextPart: unexpected EOF");
        }
        enum nx_err err = add_part(arena, nx_view_make(part.ptr, end), list, fail);
        if (err != NX_OK) {
            return err;
        }
        rest = from(part, end + delimiter.len);
    }
    return NX_OK;
}
