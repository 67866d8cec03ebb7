/* Lists and maps are opened one level at a time, so that the depth of the recursion is ours to
 * bound. Their JSON is Go's: <, > and & are escaped, maps are sorted by key. */
#include "distributor/receive/otlp_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/quote.h"
#include "common/cxx/number_shim.h"
#include "distributor/receive/pb_cursor.h"

/* An AnyValue, whether it came decoded or as bytes. */
struct any {
    Narthex__Otlp__AnyValue__ValueCase kind; /* the number of its field, 0: none */
    uint64_t bits;                           /* of a boolean, an integer or a number */
    struct nx_view bytes;                    /* of the others */
};

enum { MAX_TEXT_BYTES = 1 << 20 };

struct writer {
    struct nx_arena *arena;
    struct nx_buf buf;
    enum nx_err err;
};

static void write_json(struct writer *w, struct nx_view message, size_t depth);

/* --- scalars --- */

/* Go's: an exponent of one digit has no zero before it. */
static size_t format_number(double v, char *out)
{
    size_t len = nx_float_format_api(v, out);
    if (len >= 4 && out[len - 4] == 'e' && out[len - 3] == '-' && out[len - 2] == '0') {
        out[len - 2] = out[len - 1];
        len--;
    }
    return len;
}

static void write_base64(struct nx_buf *buf, struct nx_view bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = (const uint8_t *)(const void *)bytes.ptr;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t have = bytes.len - i < 3 ? bytes.len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16 | (have > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                        (have > 2 ? in[i + 2] : 0);
        for (size_t k = 0; k < 4; k++)
            nx_buf_append_char(buf, k <= have ? digits[bits >> (18 - 6 * k) & 63] : '=');
    }
}

static void write_json_text(struct nx_buf *buf, struct nx_view text)
{
    nx_buf_append_char(buf, '"');
    for (size_t i = 0, len = 1; i < text.len; i += len) {
        char c = text.ptr[i];
        uint32_t rune = nx_rune_decode(nx_view_make(text.ptr + i, text.len - i), &len);
        if (c == '"' || c == '\\')
            nx_buf_printf(buf, "\\%c", c);
        else if (c == '\n')
            nx_buf_append_str(buf, "\\n");
        else if (c == '\r')
            nx_buf_append_str(buf, "\\r");
        else if (c == '\t')
            nx_buf_append_str(buf, "\\t");
        else if (rune < 0x20 || c == '<' || c == '>' || c == '&' || rune == 0x2028 ||
                 rune == 0x2029 || (rune == 0xFFFD && len == 1))
            nx_buf_printf(buf, "\\u%04" PRIx32, rune);
        else
            nx_buf_append(buf, text.ptr + i, len);
    }
    nx_buf_append_char(buf, '"');
}

/* --- lists and maps --- */

static void write_list(struct writer *w, struct nx_view message, size_t depth)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    bool first = true;
    nx_buf_append_char(&w->buf, '[');
    while (!w->err && dist_pb_next(&pb, &field)) {
        if (field.number != 1)
            continue;
        if (!first)
            nx_buf_append_char(&w->buf, ',');
        first = false;
        write_json(w, dist_pb_bytes_of(&pb, &field), depth);
    }
    nx_buf_append_char(&w->buf, ']');
    if (!dist_pb_ok(&pb))
        w->err = NX_ERR_INVALID;
}

struct entry {
    struct nx_view key, value;
    size_t place;
};

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = nx_view_cmp(x->key, y->key);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static size_t read_entries(struct writer *w, struct nx_view message, struct entry **out)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field, part;
    struct entry *entries = NULL;
    size_t count = 0, capacity = 0;
    while (dist_pb_next(&pb, &field)) {
        if (field.number != 1)
            continue;
        struct dist_pb inner = dist_pb_of(dist_pb_bytes_of(&pb, &field));
        struct entry entry = {.key = NX_VIEW(""), .value = NX_VIEW(""), .place = count};
        while (dist_pb_next(&inner, &part)) {
            if (part.number == 1)
                entry.key = dist_pb_bytes_of(&inner, &part);
            else if (part.number == 2)
                entry.value = dist_pb_bytes_of(&inner, &part);
        }
        if (!dist_pb_ok(&inner))
            w->err = NX_ERR_INVALID;
        else if (!nx_arena_grow(w->arena, &entries, count, &capacity, count + 1, sizeof *entries))
            w->err = NX_ERR_NOMEM;
        if (w->err)
            return 0;
        entries[count++] = entry;
    }
    if (!dist_pb_ok(&pb))
        w->err = NX_ERR_INVALID;
    *out = entries;
    return count;
}

/* Of a key that is there twice the last value counts. */
static void write_map(struct writer *w, struct nx_view message, size_t depth)
{
    struct entry *entries = NULL;
    size_t count = read_entries(w, message, &entries);
    bool first = true;
    if (count > 0)
        qsort(entries, count, sizeof *entries, by_key);
    nx_buf_append_char(&w->buf, '{');
    for (size_t i = 0; i < count && !w->err; i++) {
        if (i + 1 < count && nx_view_eq(entries[i].key, entries[i + 1].key))
            continue;
        if (!first)
            nx_buf_append_char(&w->buf, ',');
        first = false;
        write_json_text(&w->buf, entries[i].key);
        nx_buf_append_char(&w->buf, ':');
        write_json(w, entries[i].value, depth);
    }
    nx_buf_append_char(&w->buf, '}');
}

/* --- values --- */

/* What JSON and a plain text have in common. */
static void write_scalar(struct writer *w, const struct any *any)
{
    char number[NX_FLOAT_MAX];
    double v;
    memcpy(&v, &any->bits, sizeof v);
    if (any->kind == NARTHEX__OTLP__ANY_VALUE__VALUE_BOOLEAN)
        nx_buf_append_str(&w->buf, any->bits ? "true" : "false");
    else if (any->kind == NARTHEX__OTLP__ANY_VALUE__VALUE_INTEGER)
        nx_buf_printf(&w->buf, "%" PRId64, (int64_t)any->bits);
    else if (any->kind == NARTHEX__OTLP__ANY_VALUE__VALUE_NUMBER)
        nx_buf_append(&w->buf, number, format_number(v, number));
    else if (any->kind == NARTHEX__OTLP__ANY_VALUE__VALUE_BINARY)
        write_base64(&w->buf, any->bytes);
}

static bool is_finite(const struct any *any)
{
    double v;
    memcpy(&v, &any->bits, sizeof v);
    return any->kind != NARTHEX__OTLP__ANY_VALUE__VALUE_NUMBER || isfinite(v);
}

/* The last field counts, as of every oneof. */
static enum nx_err read_any(struct nx_view message, struct any *any)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    *any = (struct any){.bytes = NX_VIEW("")};
    while (dist_pb_next(&pb, &field)) {
        if (field.number > NARTHEX__OTLP__ANY_VALUE__VALUE_BINARY)
            continue;
        any->kind = (Narthex__Otlp__AnyValue__ValueCase)field.number;
        if (any->kind == NARTHEX__OTLP__ANY_VALUE__VALUE_BOOLEAN ||
            any->kind == NARTHEX__OTLP__ANY_VALUE__VALUE_INTEGER)
            any->bits = dist_pb_varint_of(&pb, &field);
        else if (any->kind == NARTHEX__OTLP__ANY_VALUE__VALUE_NUMBER)
            any->bits = dist_pb_fixed64_of(&pb, &field);
        else
            any->bytes = dist_pb_bytes_of(&pb, &field);
    }
    return dist_pb_ok(&pb) ? NX_OK : NX_ERR_INVALID;
}

static void write_json(struct writer *w, struct nx_view message, size_t depth)
{
    struct any any;
    w->err = depth > DIST_OTLP_MAX_DEPTH ? NX_ERR_INVALID : read_any(message, &any);
    if (w->err)
        return;
    if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE__NOT_SET || !is_finite(&any)) {
        nx_buf_append_str(&w->buf, "null");
    } else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_TEXT) {
        write_json_text(&w->buf, any.bytes);
    } else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_LIST) {
        write_list(w, any.bytes, depth + 1);
    } else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_MAP) {
        write_map(w, any.bytes, depth + 1);
    } else {
        bool quoted = any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_BINARY;
        nx_buf_append_str(&w->buf, quoted ? "\"" : "");
        write_scalar(w, &any);
        nx_buf_append_str(&w->buf, quoted ? "\"" : "");
    }
}

static struct any any_of(const Narthex__Otlp__AnyValue *value)
{
    struct any any = {.kind = value->value_case, .bytes = NX_VIEW("")};
    if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_BOOLEAN)
        any.bits = value->boolean != 0;
    else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_INTEGER)
        any.bits = (uint64_t)value->integer;
    else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_NUMBER)
        memcpy(&any.bits, &value->number, sizeof any.bits);
    else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_LIST)
        any.bytes = dist_otlp_view(value->list);
    else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_MAP)
        any.bytes = dist_otlp_view(value->map);
    else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_BINARY)
        any.bytes = dist_otlp_view(value->binary);
    return any;
}

enum nx_err dist_otlp_text(struct nx_arena *arena, const Narthex__Otlp__AnyValue *value,
                           struct nx_view *out)
{
    struct writer w = {.arena = arena};
    *out = NX_VIEW("");
    if (!value || value->value_case == NARTHEX__OTLP__ANY_VALUE__VALUE__NOT_SET)
        return NX_OK;
    if (value->value_case == NARTHEX__OTLP__ANY_VALUE__VALUE_TEXT) {
        *out = dist_otlp_view(value->text);
        return NX_OK;
    }
    struct any any = any_of(value);
    nx_buf_init(&w.buf, MAX_TEXT_BYTES);
    if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_LIST)
        write_list(&w, any.bytes, 1);
    else if (any.kind == NARTHEX__OTLP__ANY_VALUE__VALUE_MAP)
        write_map(&w, any.bytes, 1);
    else
        write_scalar(&w, &any);
    if (!w.err && nx_buf_err(&w.buf))
        w.err = nx_buf_err(&w.buf) == NX_ERR_NOMEM ? NX_ERR_NOMEM : NX_ERR_INVALID;
    if (!w.err) {
        *out = nx_arena_copy(arena, nx_buf_view(&w.buf));
        w.err = out->ptr ? NX_OK : NX_ERR_NOMEM;
    }
    nx_buf_release(&w.buf);
    return w.err;
}
