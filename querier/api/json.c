#include "querier/api/json.h"

#include <assert.h>
#include <stdio.h>

#include "common/cxx/number_shim.h"

#define MAX_DEPTH 60

void qry_json_init(struct qry_json *json, struct nx_buf *out)
{
    *json = (struct qry_json){.out = out};
}

/* Before each value: the comma, unless it is the first at its level or follows its key. */
static void next_item(struct qry_json *json)
{
    uint64_t bit = UINT64_C(1) << json->depth;
    if (json->has_item & bit)
        nx_buf_append_char(json->out, ',');
    json->has_item |= bit;
}

static void open_level(struct qry_json *json, char c)
{
    next_item(json);
    nx_buf_append_char(json->out, c);
    assert(json->depth < MAX_DEPTH);
    json->depth++;
    json->has_item &= ~(UINT64_C(1) << json->depth);
}

static void close_level(struct qry_json *json, char c)
{
    assert(json->depth > 0);
    json->depth--;
    nx_buf_append_char(json->out, c);
}

void qry_json_object(struct qry_json *json)
{
    open_level(json, '{');
}

void qry_json_object_end(struct qry_json *json)
{
    close_level(json, '}');
}

void qry_json_array(struct qry_json *json)
{
    open_level(json, '[');
}

void qry_json_array_end(struct qry_json *json)
{
    close_level(json, ']');
}

/* The value behind a key takes no comma. */
static void after_key(struct qry_json *json)
{
    nx_buf_append_char(json->out, ':');
    json->has_item &= ~(UINT64_C(1) << json->depth);
}

void qry_json_key(struct qry_json *json, const char *name)
{
    next_item(json);
    nx_buf_append_char(json->out, '"');
    nx_buf_append_str(json->out, name);
    nx_buf_append_char(json->out, '"');
    after_key(json);
}

/* Length of the UTF-8 sequence at p, 0 where it is malformed. */
static size_t utf8_length(const char *p, size_t left)
{
    for (size_t len = 1; len <= 4 && len <= left; len++)
        if (nx_view_is_utf8(nx_view_make(p, len)))
            return len;
    return 0;
}

static void put_escape(struct nx_buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        nx_buf_append(out, "\\\"", 2);
        break;
    case '\\':
        nx_buf_append(out, "\\\\", 2);
        break;
    case '\n':
        nx_buf_append(out, "\\n", 2);
        break;
    case '\r':
        nx_buf_append(out, "\\r", 2);
        break;
    case '\t':
        nx_buf_append(out, "\\t", 2);
        break;
    default: {
        char text[8];
        int n = snprintf(text, sizeof text, "\\u%04x", c);
        nx_buf_append(out, text, (size_t)n);
    }
    }
}

static bool is_plain(unsigned char c, bool html)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' &&
           !(html && (c == '<' || c == '>' || c == '&'));
}

static void put_string(struct nx_buf *out, struct nx_view text, bool html)
{
    nx_buf_append_char(out, '"');
    size_t from = 0, i = 0;
    while (i < text.len) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (is_plain(c, html)) {
            i++;
            continue;
        }
        size_t len = c < 0x80 ? 0 : utf8_length(text.ptr + i, text.len - i);
        bool separator = len == 3 && memcmp(text.ptr + i, "\xe2\x80", 2) == 0 &&
                         ((unsigned char)text.ptr[i + 2] & 0xfe) == 0xa8;
        if (len > 0 && !(separator && html)) {
            i += len;
            continue;
        }
        nx_buf_append(out, text.ptr + from, i - from);
        if (separator)
            nx_buf_append_str(out, text.ptr[i + 2] & 1 ? "\\u2029" : "\\u2028");
        else if (c >= 0x80)
            nx_buf_append_str(out, html ? "\\ufffd" : "\xef\xbf\xbd");
        else
            put_escape(out, c);
        i += len > 0 ? len : 1;
        from = i;
    }
    nx_buf_append(out, text.ptr + from, i - from);
    nx_buf_append_char(out, '"');
}

void qry_json_key_view(struct qry_json *json, struct nx_view name)
{
    next_item(json);
    put_string(json->out, name, false);
    after_key(json);
}

void qry_json_string(struct qry_json *json, struct nx_view text)
{
    next_item(json);
    put_string(json->out, text, true);
}

void qry_json_text(struct qry_json *json, const char *text)
{
    qry_json_string(json, nx_view_of(text));
}

void qry_json_label(struct qry_json *json, struct nx_view text)
{
    next_item(json);
    put_string(json->out, text, false);
}

void qry_json_labels(struct qry_json *json, struct nx_labels labels)
{
    qry_json_object(json);
    for (size_t i = 0; i < labels.count; i++) {
        qry_json_key_view(json, labels.items[i].name);
        qry_json_label(json, labels.items[i].value);
    }
    qry_json_object_end(json);
}

void qry_json_int(struct qry_json *json, int64_t v)
{
    char text[24];
    next_item(json);
    int n = snprintf(text, sizeof text, "%lld", (long long)v);
    nx_buf_append(json->out, text, (size_t)n);
}

void qry_json_uint(struct qry_json *json, uint64_t v)
{
    char text[24];
    next_item(json);
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    nx_buf_append(json->out, text, (size_t)n);
}

void qry_json_double(struct qry_json *json, double v)
{
    char text[NX_FLOAT_MAX];
    next_item(json);
    nx_buf_append(json->out, text, nx_float_format_api(v, text));
}

void qry_json_bool(struct qry_json *json, bool v)
{
    next_item(json);
    nx_buf_append_str(json->out, v ? "true" : "false");
}

void qry_json_null(struct qry_json *json)
{
    next_item(json);
    nx_buf_append_str(json->out, "null");
}

void qry_json_raw(struct qry_json *json, struct nx_view text)
{
    next_item(json);
    nx_buf_append_view(json->out, text);
}

void qry_json_time(struct qry_json *json, int64_t ms)
{
    char text[32];
    next_item(json);
    uint64_t size = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
    unsigned rest = (unsigned)(size % 1000);
    int n =
        snprintf(text, sizeof text, "%s%llu", ms < 0 ? "-" : "", (unsigned long long)(size / 1000));
    if (rest != 0)
        n += snprintf(text + n, sizeof text - (size_t)n, ".%03u", rest);
    nx_buf_append(json->out, text, (size_t)n);
}

void qry_json_value(struct qry_json *json, double v)
{
    char text[NX_FLOAT_MAX + 2];
    next_item(json);
    text[0] = '"';
    size_t n = nx_float_format_api(v, text + 1);
    text[n + 1] = '"';
    nx_buf_append(json->out, text, n + 2);
}
