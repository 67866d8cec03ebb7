/* Values: text to typed value with its bounds, and back. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/time.h"
#include "common/config/config_internal.h"

#define EXCERPT_BYTES 64

struct nx_view nx_config_excerpt(struct nx_view text)
{
    if (text.len <= EXCERPT_BYTES) {
        return text;
    }
    size_t len = EXCERPT_BYTES;
    while (len > 0 && ((unsigned char)text.ptr[len] & 0xC0U) == 0x80U) {
        len--;
    }
    return nx_view_make(text.ptr, len);
}

/* --- bounds ---------------------------------------------------------------------------------- */

static bool has_min(const struct nx_setting *setting)
{
    return setting->min != 0 || setting->max != 0;
}

static bool has_max(const struct nx_setting *setting)
{
    return setting->max != 0 || setting->min < 0;
}

static bool in_bounds(const struct nx_setting *setting, int64_t v)
{
    return (!has_min(setting) || v >= setting->min) && (!has_max(setting) || v <= setting->max);
}

static bool number_in_bounds(const struct nx_setting *setting, double v)
{
    return (!has_min(setting) || v >= (double)setting->min) &&
           (!has_max(setting) || v <= (double)setting->max);
}

/* --- parsing --------------------------------------------------------------------------------- */

static bool parse_digits(struct nx_view text, int64_t *out)
{
    int64_t value = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = text.ptr[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, (int64_t)digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

static bool parse_integer(struct nx_view text, int64_t *out)
{
    bool negative = text.len > 0 && text.ptr[0] == '-';
    if (text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+')) {
        text = nx_view_make(text.ptr + 1, text.len - 1);
    }
    int64_t value = 0;
    if (!parse_digits(text, &value)) {
        return false;
    }
    *out = negative ? -value : value;
    return true;
}

static bool parse_number(struct nx_view text, double *out)
{
    char copy[64];
    if (text.len == 0 || text.len >= sizeof(copy)) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!strchr("+-.0123456789eE", text.ptr[i])) {
            return false;
        }
    }
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    char *end = NULL;
    double value = strtod(copy, &end);
    if (end != copy + text.len || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

static const struct {
    const char *name;
    int64_t bytes;
} size_units[] = {
    {"PiB", INT64_C(1) << 50},
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"Pi", INT64_C(1) << 50},
    {"Ti", INT64_C(1) << 40},
    {"Gi", INT64_C(1) << 30},
    {"Mi", INT64_C(1) << 20},
    {"Ki", INT64_C(1) << 10},
    {"PB", INT64_C(1000000000000000)},
    {"TB", INT64_C(1000000000000)},
    {"GB", INT64_C(1000000000)},
    {"MB", INT64_C(1000000)},
    {"kB", INT64_C(1000)},
    {"B", 1},
};
#define BINARY_UNITS 5
#define SIZE_UNITS (sizeof(size_units) / sizeof(size_units[0]))

static bool parse_size(struct nx_view text, int64_t *out)
{
    int64_t unit = 1;
    for (size_t i = 0; i < SIZE_UNITS; i++) {
        struct nx_view name = nx_view_of(size_units[i].name);
        if (text.len > name.len &&
            nx_view_eq_nocase(nx_view_make(text.ptr + text.len - name.len, name.len), name)) {
            unit = size_units[i].bytes;
            text = nx_view_trim(nx_view_make(text.ptr, text.len - name.len));
            break;
        }
    }
    int64_t count = 0;
    int64_t bytes = 0;
    if (!parse_digits(text, &count) || __builtin_mul_overflow(count, unit, &bytes)) {
        return false;
    }
    *out = bytes;
    return true;
}

static bool parse_choice(const struct nx_setting *setting, struct nx_view text, int *out)
{
    for (int i = 0; setting->choices[i]; i++) {
        if (nx_view_is(text, setting->choices[i])) {
            *out = i;
            return true;
        }
    }
    return false;
}

static enum nx_err parse_string(struct nx_config_draft *draft, struct nx_view text,
                                const char **out)
{
    if (!nx_view_is_utf8(text) || (text.len > 0 && memchr(text.ptr, '\0', text.len))) {
        return NX_ERR_INVALID;
    }
    struct nx_config_string *string = nx_alloc(sizeof(*string) + text.len + 1);
    if (!string) {
        return NX_ERR_NOMEM;
    }
    if (text.len > 0) {
        memcpy(string->text, text.ptr, text.len);
    }
    string->text[text.len] = '\0';
    string->next = draft->strings;
    draft->strings = string;
    *out = string->text;
    return NX_OK;
}

static bool parse_scalar(const struct nx_setting *setting, struct nx_view text,
                         union nx_config_value *out)
{
    switch (setting->type) {
    case NX_SETTING_BOOL:
        out->boolean = nx_view_is(text, "true");
        return out->boolean || nx_view_is(text, "false");
    case NX_SETTING_INT:
        return parse_integer(text, &out->integer) && in_bounds(setting, out->integer);
    case NX_SETTING_DOUBLE:
        return parse_number(text, &out->number) && number_in_bounds(setting, out->number);
    case NX_SETTING_DURATION:
        return nx_duration_parse(text, &out->integer, NULL) == NX_OK &&
               in_bounds(setting, out->integer);
    case NX_SETTING_BYTES:
        return parse_size(text, &out->integer) && in_bounds(setting, out->integer);
    case NX_SETTING_ENUM:
        return parse_choice(setting, text, &out->choice);
    case NX_SETTING_STRING:
        break;
    }
    return false;
}

static enum nx_err refuse(const struct nx_setting *setting, struct nx_view text, const char *where,
                          struct nx_fail *fail)
{
    struct nx_buf expected;
    nx_buf_init(&expected, 256);
    nx_config_describe(setting, &expected);
    struct nx_view shown = setting->secret ? NX_VIEW("<secret>") : nx_config_excerpt(text);
    const char *dots = shown.len < text.len && !setting->secret ? "..." : "";
    if (!nx_view_is_utf8(text)) {
        shown = NX_VIEW("<not UTF-8>");
        dots = "";
    }
    enum nx_err err = nx_fail_set(fail, NX_ERR_CONFIG, "%s%s: expected %.*s, got \"%.*s%s\"", where,
                                  setting->key, (int)expected.len,
                                  expected.data ? expected.data : "", NX_VIEW_ARG(shown), dots);
    nx_buf_release(&expected);
    return err;
}

enum nx_err nx_config_set(struct nx_config_draft *draft, size_t i, struct nx_view text,
                          const char *where, struct nx_fail *fail)
{
    const struct nx_setting *setting = draft->config->rows[i].setting;
    union nx_config_value value = {0};
    if (setting->type == NX_SETTING_STRING) {
        enum nx_err err = parse_string(draft, text, &value.text);
        if (err == NX_ERR_NOMEM) {
            return nx_fail_set(fail, err, "%s", nx_err_text(err));
        }
        if (err != NX_OK) {
            return refuse(setting, text, where, fail);
        }
    } else if (!parse_scalar(setting, text, &value)) {
        return refuse(setting, text, where, fail);
    }
    draft->values[i] = value;
    return NX_OK;
}

/* --- printing -------------------------------------------------------------------------------- */

static void format_size(int64_t bytes, struct nx_buf *out)
{
    for (size_t i = 0; i < BINARY_UNITS && bytes > 0; i++) {
        if (bytes % size_units[i].bytes == 0) {
            nx_buf_printf(out, "%lld%s", (long long)(bytes / size_units[i].bytes),
                          size_units[i].name);
            return;
        }
    }
    nx_buf_printf(out, "%lld", (long long)bytes);
}

static void format_number(double number, struct nx_buf *out)
{
    char text[64];
    for (int precision = 1; precision <= 17; precision++) {
        (void)snprintf(text, sizeof(text), "%.*g", precision, number);
        double back = strtod(text, NULL);
        if (!(back < number) && !(back > number)) {
            break;
        }
    }
    nx_buf_append_str(out, text);
}

void nx_config_format(const struct nx_setting *setting, const union nx_config_value *value,
                      struct nx_buf *out)
{
    char duration[NX_DURATION_MAX];
    switch (setting->type) {
    case NX_SETTING_BOOL:
        nx_buf_append_str(out, value->boolean ? "true" : "false");
        break;
    case NX_SETTING_INT:
        nx_buf_printf(out, "%lld", (long long)value->integer);
        break;
    case NX_SETTING_DOUBLE:
        format_number(value->number, out);
        break;
    case NX_SETTING_DURATION:
        nx_duration_format(value->integer, duration, sizeof(duration));
        nx_buf_append_str(out, duration);
        break;
    case NX_SETTING_BYTES:
        format_size(value->integer, out);
        break;
    case NX_SETTING_STRING:
        nx_buf_append_str(out, value->text);
        break;
    case NX_SETTING_ENUM:
        nx_buf_append_str(out, setting->choices[value->choice]);
        break;
    }
}

static void describe_bound(const struct nx_setting *setting, const char *lead, int64_t bound,
                           struct nx_buf *out)
{
    union nx_config_value value = {.integer = bound};
    if (setting->type == NX_SETTING_DOUBLE) {
        value.number = (double)bound;
    }
    nx_buf_append_str(out, lead);
    nx_config_format(setting, &value, out);
}

static void describe_bounds(const struct nx_setting *setting, struct nx_buf *out)
{
    if (has_min(setting) && has_max(setting)) {
        describe_bound(setting, " from ", setting->min, out);
        describe_bound(setting, " to ", setting->max, out);
    } else if (has_min(setting)) {
        describe_bound(setting, " of at least ", setting->min, out);
    }
}

static void describe_choices(const struct nx_setting *setting, struct nx_buf *out)
{
    nx_buf_append_str(out, "one of ");
    for (size_t i = 0; setting->choices[i]; i++) {
        nx_buf_append_str(out, i > 0 ? ", " : "");
        nx_buf_append_str(out, setting->choices[i]);
    }
}

void nx_config_describe(const struct nx_setting *setting, struct nx_buf *out)
{
    switch (setting->type) {
    case NX_SETTING_BOOL:
        nx_buf_append_str(out, "true or false");
        return;
    case NX_SETTING_INT:
        nx_buf_append_str(out, "an integer");
        break;
    case NX_SETTING_DOUBLE:
        nx_buf_append_str(out, "a number");
        break;
    case NX_SETTING_DURATION:
        nx_buf_append_str(out, "a duration (like 30s, 15d or 1h30m)");
        break;
    case NX_SETTING_BYTES:
        nx_buf_append_str(out, "a size (like 64MiB, 1GB or plain bytes)");
        break;
    case NX_SETTING_STRING:
        nx_buf_append_str(out, "a text in UTF-8");
        return;
    case NX_SETTING_ENUM:
        describe_choices(setting, out);
        return;
    }
    describe_bounds(setting, out);
}
