#include "distributor/receive/negotiate.h"

static struct nx_view shown(struct nx_view header)
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

static enum nx_err message_of(struct nx_view proto, enum dist_message *message,
                              struct nx_fail *fail)
{
    if (nx_view_is(proto, "prometheus.WriteRequest")) {
        *message = DIST_MESSAGE_RW1;
        return NX_OK;
    }
    if (nx_view_is(proto, "io.prometheus.write.v2.Request")) {
        *message = DIST_MESSAGE_RW2;
        return NX_OK;
    }
    return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                       "unknown message \"%.*s\" in Content-Type; accepted are "
                       "prometheus.WriteRequest and io.prometheus.write.v2.Request",
                       NX_VIEW_ARG(shown(proto)));
}

static enum nx_err negotiate_type(struct nx_view content_type, enum dist_message *message,
                                  struct nx_fail *fail)
{
    struct nx_view rest = content_type;
    struct nx_view media = take_part(&rest, ';');
    if (!nx_view_eq_nocase(media, NX_VIEW("application/x-protobuf")))
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                           "Content-Type is \"%.*s\"; expected application/x-protobuf",
                           NX_VIEW_ARG(shown(content_type)));
    enum nx_err err = NX_OK;
    *message = DIST_MESSAGE_RW1;
    while (rest.len > 0 && !err) {
        struct nx_view value = take_part(&rest, ';');
        if (value.len == 0)
            continue;
        if (nx_view_find(value, '=') == value.len)
            return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                               "Content-Type \"%.*s\": expected parameters of the form name=value",
                               NX_VIEW_ARG(shown(content_type)));
        struct nx_view name = take_part(&value, '=');
        if (nx_view_eq_nocase(name, NX_VIEW("proto")))
            err = message_of(unquoted(value), message, fail);
    }
    return err;
}

enum nx_err dist_negotiate(struct nx_view content_type, struct nx_view content_encoding,
                           enum dist_message *message, struct nx_fail *fail)
{
    enum dist_message found = DIST_MESSAGE_RW1;
    struct nx_view type = content_type.ptr ? nx_view_trim(content_type) : NX_VIEW("");
    struct nx_view encoding = content_encoding.ptr ? nx_view_trim(content_encoding) : NX_VIEW("");
    enum nx_err err = type.len > 0 ? negotiate_type(type, &found, fail) : NX_OK;
    if (err)
        return err;
    if (encoding.len > 0 && !nx_view_eq_nocase(encoding, NX_VIEW("snappy")))
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED,
                           "Content-Encoding is \"%.*s\"; expected snappy",
                           NX_VIEW_ARG(shown(encoding)));
    *message = found;
    return NX_OK;
}
