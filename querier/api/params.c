#include "querier/api/params.h"

#include <math.h>

#include "common/base/arena.h"
#include "common/base/time.h"
#include "common/cxx/number_shim.h"
#include "querier/select/request.h"

static enum nx_err bad(struct nx_fail *fail, struct nx_view text, const char *kind,
                       const char *more)
{
    int len = text.len > 200 ? 200 : (int)text.len;
    return nx_fail_set(fail, NX_ERR_INVALID, "cannot parse \"%.*s\" to a valid %s%s", len,
                       text.ptr ? text.ptr : "", kind, more);
}

enum nx_err qry_param_time(struct nx_view text, int64_t *ms, struct nx_fail *fail)
{
    double seconds;
    if (text.len > 0 && nx_float_parse(text, &seconds)) {
        double whole, fraction = modf(seconds, &whole);
        if (!(fabs(whole) < 9e15))
            return bad(fail, text, "timestamp", "");
        *ms = (int64_t)whole * 1000 + (int64_t)round(fraction * 1000);
        return NX_OK;
    }
    if (text.len > 0 && nx_time_parse_rfc3339(text, ms) == NX_OK)
        return NX_OK;
    if (nx_view_is(text, "-292273086-05-16T16:47:06Z")) {
        *ms = QRY_TIME_MIN;
        return NX_OK;
    }
    if (nx_view_is(text, "292277025-08-18T07:12:54.999999999Z")) {
        *ms = QRY_TIME_MAX;
        return NX_OK;
    }
    return bad(fail, text, "timestamp", "");
}

enum nx_err qry_param_optional_time(struct nx_view text, const char *name, int64_t absent_ms,
                                    int64_t *ms, struct nx_fail *fail)
{
    if (text.len == 0) {
        *ms = absent_ms;
        return NX_OK;
    }
    struct nx_fail cause = {0};
    enum nx_err err = qry_param_time(text, ms, &cause);
    if (err)
        return nx_fail_set(fail, err, "invalid time value for '%s': %s", name,
                           nx_fail_text(&cause));
    return NX_OK;
}

enum nx_err qry_param_duration(struct nx_view text, int64_t *ns, struct nx_fail *fail)
{
    double seconds;
    int64_t ms;
    if (text.len > 0 && nx_float_parse(text, &seconds)) {
        double value = seconds * 1e9;
        if (isnan(value))
            return bad(fail, text, "duration", "");
        if (value >= 9223372036854775807.0 || value <= -9223372036854775808.0)
            return bad(fail, text, "duration", ". It overflows int64");
        *ns = (int64_t)value;
        return NX_OK;
    }
    if (text.len == 0 || nx_duration_parse(text, &ms, NULL) != NX_OK)
        return bad(fail, text, "duration", "");
    if (ms > INT64_MAX / 1000000)
        return bad(fail, text, "duration", "");
    *ns = ms * 1000000;
    return NX_OK;
}

enum nx_err qry_param_integer(struct nx_view text, int64_t *out, struct nx_fail *fail)
{
    size_t i = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
    bool valid = i < text.len, overflow = false;
    uint64_t value = 0;
    for (; i < text.len && valid; i++) {
        unsigned digit = (unsigned)(unsigned char)text.ptr[i] - '0';
        valid = digit <= 9;
        if (value > (UINT64_MAX - digit) / 10)
            overflow = true;
        else
            value = value * 10 + digit;
    }
    bool minus = text.len > 0 && text.ptr[0] == '-';
    uint64_t max = (uint64_t)INT64_MAX + minus;
    int len = text.len > 100 ? 100 : (int)text.len;
    if (!valid)
        return nx_fail_set(fail, NX_ERR_INVALID, "strconv.Atoi: parsing \"%.*s\": invalid syntax",
                           len, text.ptr ? text.ptr : "");
    if (overflow || value > max)
        return nx_fail_set(fail, NX_ERR_INVALID,
                           "strconv.Atoi: parsing \"%.*s\": value out of range", len, text.ptr);
    *out = minus ? (int64_t)(0 - value) : (int64_t)value;
    return NX_OK;
}

enum nx_err qry_param_limit(struct nx_view text, uint64_t *limit, struct nx_fail *fail)
{
    int64_t value = 0;
    if (text.len > 0) {
        enum nx_err err = qry_param_integer(text, &value, fail);
        if (err)
            return err;
    }
    if (value < 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "limit must be non-negative");
    *limit = (uint64_t)value;
    return NX_OK;
}

/* --- U__ names --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static size_t put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* `_HEX_` behind position i (which is the first underscore); 0 where it is none. */
static size_t take_code(struct nx_view name, size_t i, uint32_t *code)
{
    uint32_t value = 0;
    size_t j = i + 1;
    for (; j < name.len && j <= i + 6 && name.ptr[j] != '_'; j++) {
        int digit = hex_digit(name.ptr[j]);
        if (digit < 0)
            return 0;
        value = value * 16 + (uint32_t)digit;
    }
    bool closed = j < name.len && name.ptr[j] == '_' && j > i + 1;
    if (!closed || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return j + 1 - i;
}

enum nx_err qry_unescape_label_name(struct nx_arena *arena, struct nx_view name,
                                    struct nx_view *out)
{
    if (!nx_view_has_prefix(name, NX_VIEW("U__"))) {
        *out = name;
        return NX_OK;
    }
    char *text = nx_arena_alloc(arena, name.len + 1);
    if (!text)
        return NX_ERR_NOMEM;
    size_t len = 0;
    for (size_t i = 3; i < name.len;) {
        uint32_t code;
        size_t used;
        if (name.ptr[i] != '_') {
            text[len++] = name.ptr[i++];
        } else if (i + 1 < name.len && name.ptr[i + 1] == '_') {
            text[len++] = '_';
            i += 2;
        } else if ((used = take_code(name, i, &code)) > 0) {
            len += put_utf8(text + len, code);
            i += used;
        } else {
            *out = name; /* not an escaped name after all */
            return NX_OK;
        }
    }
    *out = nx_view_make(text, len);
    return NX_OK;
}
