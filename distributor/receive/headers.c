#include "distributor/receive/headers.h"

#include <stdio.h>

static const char *const encoding_names[] = {
    [DIST_ENCODING_IDENTITY] = "identity",
    [DIST_ENCODING_SNAPPY] = "snappy",
    [DIST_ENCODING_GZIP] = "gzip",
    [DIST_ENCODING_ZSTD] = "zstd",
};
enum { ENCODINGS = sizeof encoding_names / sizeof encoding_names[0] };

struct nx_view dist_header_shown(struct nx_view header)
{
    return header.len > 100 ? nx_view_make(header.ptr, 100) : header;
}

/* Cuts the text before the next `separator` off `rest`. */
static struct nx_view take_part(struct nx_view *rest, char separator)
{
    size_t at = nx_view_find(*rest, separator);
    struct nx_view part = nx_view_make(rest->ptr, at);
    size_t skip = at < rest->len ? at + 1 : at;
    *rest = nx_view_make(rest->ptr + skip, rest->len - skip);
    return nx_view_trim(part);
}

static struct nx_view unquoted(struct nx_view value)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        return nx_view_make(value.ptr + 1, value.len - 2);
    return value;
}

struct nx_view dist_header_media(struct nx_view content_type)
{
    struct nx_view rest = content_type.ptr ? content_type : NX_VIEW("");
    return take_part(&rest, ';');
}

enum nx_err dist_header_parameter(struct nx_view content_type, const char *name,
                                  struct nx_view *value, struct nx_fail *fail)
{
    struct nx_view rest = content_type.ptr ? content_type : NX_VIEW("");
    *value = nx_view_make(NULL, 0);
    (void)take_part(&rest, ';');
    while (rest.len > 0) {
        struct nx_view parameter = take_part(&rest, ';');
        if (parameter.len == 0)
            continue;
        if (nx_view_find(parameter, '=') == parameter.len)
            return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                               "Content-Type \"%.*s\": expected parameters of the form name=value",
                               NX_VIEW_ARG(dist_header_shown(content_type)));
        if (nx_view_eq_nocase(take_part(&parameter, '='), nx_view_of(name)))
            *value = unquoted(parameter);
    }
    return NX_OK;
}

enum nx_err dist_header_encoding(struct nx_view content_encoding, unsigned allowed,
                                 enum dist_encoding fallback, enum dist_encoding *out,
                                 struct nx_fail *fail)
{
    struct nx_view name = content_encoding.ptr ? nx_view_trim(content_encoding) : NX_VIEW("");
    char list[64] = "";
    size_t len = 0;
    *out = fallback;
    if (name.len == 0)
        return NX_OK;
    for (unsigned i = 0; i < ENCODINGS; i++) {
        if (!(allowed & 1u << i))
            continue;
        *out = (enum dist_encoding)i;
        if (nx_view_eq_nocase(name, nx_view_of(encoding_names[i])))
            return NX_OK;
        int more =
            snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", encoding_names[i]);
        len += more > 0 ? (size_t)more : 0;
    }
    return nx_fail_set(fail, NX_ERR_UNSUPPORTED, "Content-Encoding is \"%.*s\"; expected %s",
                       NX_VIEW_ARG(dist_header_shown(name)), list);
}
