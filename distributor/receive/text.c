/* The streams of text. Parameters of the URL: `timestamp` (ms) for samples without one, and
 * `extra_label=name=value`, repeatable, which is set on every series. Of a push the grouping labels
 * are: job/<value>, then <name>/<value> pairs; a name that ends in @base64 has its value in base64,
 * so that it may hold a slash or be empty. */
#include <string.h>

#include "common/net/http_params.h"
#include "distributor/receive/exposition.h"
#include "distributor/receive/stream.h"

enum { MAX_OVER_LABELS = 64 };

struct over {
    struct nx_label labels[MAX_OVER_LABELS];
    size_t count;
};

static enum nx_err add_over(struct over *over, struct nx_view name, struct nx_view value,
                            struct nx_fail *fail)
{
    if (name.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "a label of the URL has no name");
    if (over->count == MAX_OVER_LABELS)
        return nx_fail_set(fail, NX_ERR_INVALID, "more than %d labels in the URL", MAX_OVER_LABELS);
    over->labels[over->count++] = (struct nx_label){.name = name, .value = value};
    return NX_OK;
}

/* --- base64, of either alphabet, with or without padding --- */

static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : -1;
}

static enum nx_err decode_base64(struct nx_arena *arena, struct nx_view text, struct nx_view *out,
                                 struct nx_fail *fail)
{
    char *bytes = nx_arena_alloc(arena, text.len + 1);
    size_t len = 0, digits = 0;
    uint32_t bits = 0;
    if (!bytes)
        return NX_ERR_NOMEM;
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int value = sextet(text.ptr[i]);
        if (value < 0)
            return nx_fail_set(fail, NX_ERR_INVALID, "the URL: \"%.*s\" is not base64",
                               (int)(text.len < 60 ? text.len : 60), text.ptr);
        bits = bits << 6 | (uint32_t)value;
        if (++digits % 4 != 1)
            bytes[len++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)));
    }
    *out = nx_view_make(bytes, len);
    return NX_OK;
}

/* --- the URL --- */

static bool cut_suffix(struct nx_view *name, const char *suffix)
{
    if (!nx_view_has_suffix(*name, nx_view_of(suffix)))
        return false;
    name->len -= strlen(suffix);
    return true;
}

static struct nx_view take_segment(struct nx_view *rest)
{
    size_t at = nx_view_find(*rest, '/');
    struct nx_view segment = nx_view_make(rest->ptr, at);
    size_t next = at < rest->len ? at + 1 : at;
    *rest = nx_view_make(rest->ptr + next, rest->len - next);
    return segment;
}

static enum nx_err take_group(struct nx_arena *arena, struct nx_view name, struct nx_view value,
                              struct over *over, struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    if (cut_suffix(&name, "@base64"))
        err = decode_base64(arena, value, &value, fail);
    return err ? err : add_over(over, name, value, fail);
}

static enum nx_err take_path(struct nx_arena *arena, struct nx_view rest, const char *job_label,
                             struct over *over, struct nx_fail *fail)
{
    struct nx_view path = nx_arena_copy(arena, rest);
    if (!path.ptr)
        return NX_ERR_NOMEM;
    enum nx_err err = take_group(arena, nx_view_of(job_label), take_segment(&path), over, fail);
    if (!err && over->labels[0].value.len == 0)
        return nx_fail_set(fail, NX_ERR_INVALID, "job name is required");
    while (!err && path.len > 0) {
        struct nx_view name = take_segment(&path);
        if (path.len == 0 && !nx_view_has_suffix(name, NX_VIEW("@base64")))
            return nx_fail_set(fail, NX_ERR_INVALID,
                               "the URL: label \"%.*s\" has no value (expected "
                               "/metrics/job/<job>/<name>/<value>/...)",
                               (int)(name.len < 60 ? name.len : 60), name.ptr);
        err = take_group(arena, name, take_segment(&path), over, fail);
    }
    return err;
}

static enum nx_err parse_time(struct nx_view text, int64_t *out, struct nx_fail *fail)
{
    int64_t value = 0;
    bool good = text.len > 0 && text.len < 19;
    for (size_t i = 0; i < text.len && good; i++) {
        good = text.ptr[i] >= '0' && text.ptr[i] <= '9';
        value = value * 10 + (text.ptr[i] - '0');
    }
    if (!good)
        return nx_fail_set(fail, NX_ERR_INVALID,
                           "the URL: timestamp \"%.*s\" is not a number of milliseconds",
                           (int)(text.len < 60 ? text.len : 60), text.ptr);
    *out = value;
    return NX_OK;
}

static enum nx_err take_query(struct nx_arena *arena, struct nx_view query, struct over *over,
                              int64_t *default_ms, struct nx_fail *fail)
{
    struct nx_http_params params;
    enum nx_err err = nx_http_params_parse(arena, query, NX_VIEW(""), NX_VIEW(""), &params, fail);
    if (err)
        return err;
    struct nx_view t = nx_http_params_get(&params, "timestamp");
    if (t.ptr)
        err = parse_time(t, default_ms, fail);
    for (size_t i = 0; !err; i++) {
        struct nx_view label = nx_http_params_nth(&params, "extra_label", i);
        if (!label.ptr)
            break;
        size_t at = nx_view_find(label, '=');
        if (at == label.len)
            return nx_fail_set(fail, NX_ERR_INVALID,
                               "the URL: extra_label \"%.*s\": expected name=value",
                               (int)(label.len < 60 ? label.len : 60), label.ptr);
        err = add_over(over, nx_view_make(label.ptr, at),
                       nx_view_make(label.ptr + at + 1, label.len - at - 1), fail);
    }
    return err;
}

/* --- decoders --- */

static enum nx_err decode(const struct dist_intake *intake, struct dist_batch *batch,
                          const char *job_label, bool open_metrics, struct nx_fail *fail)
{
    struct over over = {.count = 0};
    struct dist_exposition options = {.open_metrics = open_metrics,
                                      .default_ms = intake->now_ms,
                                      .over = over.labels,
                                      .limits = intake->limits};
    enum nx_err err = NX_OK;
    if (job_label)
        err = take_path(&batch->arena, intake->path_rest, job_label, &over, fail);
    if (!err)
        err = take_query(&batch->arena, intake->query, &over, &options.default_ms, fail);
    options.over_count = over.count;
    return err ? err : dist_exposition_decode(&options, intake->message, batch, fail);
}

#define DECODER(name, job_label, open_metrics)                                          \
    static enum nx_err name(const struct dist_intake *intake, struct dist_batch *batch, \
                            struct nx_fail *fail)                                       \
    {                                                                                   \
        return decode(intake, batch, job_label, open_metrics, fail);                    \
    }
DECODER(import_text, NULL, false)
DECODER(import_open_metrics, NULL, true)
DECODER(push_text, "job", false)
DECODER(push_open_metrics, "job", true)
DECODER(push_base64_text, "job@base64", false)
DECODER(push_base64_open_metrics, "job@base64", true)
#undef DECODER

/* Any type but OpenMetrics' is taken for the text format: scripts seldom set one. */
static enum nx_err choose(const struct dist_headers *headers, dist_decode text,
                          dist_decode open_metrics, struct dist_form *form, struct nx_fail *fail)
{
    unsigned allowed = 1u << DIST_ENCODING_IDENTITY | 1u << DIST_ENCODING_GZIP |
                       1u << DIST_ENCODING_ZSTD | 1u << DIST_ENCODING_SNAPPY;
    bool is_open = nx_view_eq_nocase(dist_header_media(headers->content_type),
                                     NX_VIEW("application/openmetrics-text"));
    form->decode = is_open ? open_metrics : text;
    return dist_header_encoding(headers->content_encoding, allowed, DIST_ENCODING_IDENTITY,
                                &form->encoding, fail);
}

static enum nx_err negotiate_import(const struct dist_headers *headers, struct dist_form *form,
                                    struct nx_fail *fail)
{
    return choose(headers, import_text, import_open_metrics, form, fail);
}

static enum nx_err negotiate_push(const struct dist_headers *headers, struct dist_form *form,
                                  struct nx_fail *fail)
{
    return choose(headers, push_text, push_open_metrics, form, fail);
}

static enum nx_err negotiate_push_base64(const struct dist_headers *headers, struct dist_form *form,
                                         struct nx_fail *fail)
{
    return choose(headers, push_base64_text, push_base64_open_metrics, form, fail);
}

const struct dist_stream dist_text_import = {.success = 204, .negotiate = negotiate_import};
const struct dist_stream dist_text_push = {.success = 200, .negotiate = negotiate_push};
const struct dist_stream dist_text_push_base64 = {.success = 200,
                                                  .negotiate = negotiate_push_base64};
