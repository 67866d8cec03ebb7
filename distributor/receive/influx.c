/* Influx line protocol (docs/formats/influx.md): measurement[,tag=value...] field=value[,...]
 * [time]. Each numeric or boolean field of a line is a sample of <measurement>_<field> with the
 * tags as labels; text fields are skipped. Names become legacy names, other characters '_'. One
 * pass over the bytes; what needs no change aliases them. */
#include <string.h>

#include "common/chunk/sample.h"
#include "common/cxx/number_shim.h"
#include "common/net/http_params.h"
#include "distributor/receive/plain_labels.h"
#include "distributor/receive/stream.h"

enum { MAX_SHOWN = 60, MAX_TAGS = 256 };

struct parser {
    struct dist_decoding decoding;
    const char *ptr; /* of the line, to `end` */
    const char *end;
    size_t line;
    int64_t units_per_ms; /* times are this many to a millisecond; 0: see ms_per_unit */
    int64_t ms_per_unit;
    int64_t now_ms;
    struct nx_view db; /* a label of every series; empty: none */
    struct nx_view measurement;
    struct nx_label tags[MAX_TAGS + 2]; /* the first is for the metric's name */
    size_t tag_count;
    size_t first_series; /* of the line: its time is known at its end */
};

static enum nx_err bad(struct parser *p, const char *what)
{
    size_t left = (size_t)(p->end - p->ptr);
    return nx_fail_set(p->decoding.fail, NX_ERR_INVALID, "line %zu: %s at \"%.*s\"", p->line, what,
                       (int)(left < MAX_SHOWN ? left : MAX_SHOWN), p->ptr);
}

static bool at(const struct parser *p, char c)
{
    return p->ptr < p->end && *p->ptr == c;
}

static bool take(struct parser *p, char c)
{
    if (!at(p, c))
        return false;
    p->ptr++;
    return true;
}

/* --- words --- */

/* Up to an unescaped ',' '=' or ' ' (of a measurement '=' is no end). */
static struct nx_view take_word(struct parser *p, bool measurement)
{
    const char *start = p->ptr;
    while (p->ptr < p->end && *p->ptr != ',' && *p->ptr != ' ' && (measurement || *p->ptr != '='))
        p->ptr += *p->ptr == '\\' && p->ptr + 1 < p->end ? 2 : 1;
    return nx_view_make(start, (size_t)(p->ptr - start));
}

static bool is_escape(struct nx_view word, size_t i)
{
    return word.ptr[i] == '\\' && i + 1 < word.len && strchr(", =\\", word.ptr[i + 1]);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Unescaped, and with `legacy` every character that a legacy name has not made '_'. */
static enum nx_err clean(struct parser *p, struct nx_view word, bool legacy, struct nx_view *out)
{
    bool same = true;
    for (size_t i = 0; i < word.len && same; i++)
        same = !is_escape(word, i) && (!legacy || is_name_char(word.ptr[i]));
    *out = word;
    if (same)
        return NX_OK;
    char *copy = nx_arena_alloc(&p->decoding.batch->arena, word.len);
    if (!copy)
        return NX_ERR_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < word.len; i++) {
        i += is_escape(word, i);
        char c = word.ptr[i];
        copy[len++] = !legacy || is_name_char(c) ? c : '_';
    }
    *out = nx_view_make(copy, len);
    return NX_OK;
}

/* A name's first character is no digit. */
static enum nx_err clean_name(struct parser *p, struct nx_view prefix, struct nx_view word,
                              struct nx_view *out)
{
    struct nx_view name;
    enum nx_err err = clean(p, word, true, &name);
    bool digit = prefix.len == 0 && name.len > 0 && name.ptr[0] >= '0' && name.ptr[0] <= '9';
    size_t joined = prefix.len + (prefix.len > 0 || digit) + name.len;
    *out = name;
    if (err || joined == name.len)
        return err;
    char *copy = nx_arena_alloc(&p->decoding.batch->arena, joined);
    if (!copy)
        return NX_ERR_NOMEM;
    if (prefix.len > 0)
        memcpy(copy, prefix.ptr, prefix.len);
    copy[prefix.len] = '_';
    memcpy(copy + prefix.len + 1, name.ptr, name.len);
    *out = nx_view_make(copy, joined);
    return NX_OK;
}

/* --- tags --- */

static enum nx_err take_tag(struct parser *p)
{
    struct nx_label *tag = &p->tags[1 + p->tag_count];
    struct nx_view name = take_word(p, false);
    if (name.len == 0 || !take(p, '='))
        return bad(p, "expected a tag as name=value");
    enum nx_err err = clean_name(p, NX_VIEW(""), name, &tag->name);
    if (!err)
        err = clean(p, take_word(p, false), false, &tag->value);
    if (!err && at(p, '='))
        return bad(p, "unexpected '='");
    if (!err && ++p->tag_count > MAX_TAGS)
        return bad(p, "too many tags");
    return err;
}

static enum nx_err take_key(struct parser *p)
{
    struct nx_view measurement = take_word(p, true);
    if (measurement.len == 0)
        return bad(p, "expected a measurement");
    p->tag_count = 0;
    enum nx_err err = clean_name(p, NX_VIEW(""), measurement, &p->measurement);
    if (p->db.len > 0)
        p->tags[1 + p->tag_count++] = (struct nx_label){.name = NX_VIEW("db"), .value = p->db};
    while (!err && take(p, ','))
        err = take_tag(p);
    if (!err && !take(p, ' '))
        return bad(p, "expected fields");
    while (take(p, ' '))
        ;
    return err;
}

/* --- fields --- */

static enum nx_err skip_text(struct parser *p)
{
    const char *start = p->ptr;
    p->ptr++;
    while (p->ptr < p->end && *p->ptr != '"')
        p->ptr += *p->ptr == '\\' && p->ptr + 1 < p->end ? 2 : 1;
    if (take(p, '"'))
        return NX_OK;
    p->ptr = start;
    return bad(p, "unterminated text");
}

static bool parse_value(struct nx_view word, double *out)
{
    static const char *const truths[] = {"t", "T", "true", "True", "TRUE"};
    static const char *const lies[] = {"f", "F", "false", "False", "FALSE"};
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++) {
        *out = nx_view_is(word, truths[i]) ? 1 : 0;
        if (*out > 0 || nx_view_is(word, lies[i]))
            return true;
    }
    if (word.len > 1 && (word.ptr[word.len - 1] == 'i' || word.ptr[word.len - 1] == 'u'))
        word.len--;
    return word.len > 0 && strchr("+-.0123456789", word.ptr[0]) && nx_float_parse(word, out);
}

static enum nx_err add_sample(struct parser *p, struct nx_view name, double value)
{
    struct dist_batch *batch = p->decoding.batch;
    struct dist_series *series = NULL;
    size_t count = p->tag_count + 1;
    struct nx_label *labels = nx_arena_array(&batch->arena, count, sizeof *labels);
    if (!labels)
        return NX_ERR_NOMEM;
    memcpy(labels, p->tags, count * sizeof *labels);
    labels[0] = (struct nx_label){.name = NX_LABEL_METRIC_NAME, .value = name};
    enum nx_err err = dist_decoding_element(&p->decoding, batch->series_count, "series");
    if (!err)
        err = dist_decoding_point(&p->decoding);
    if (!err)
        err = dist_batch_add_series(batch, &series);
    if (!err)
        err = dist_batch_add_sample(batch, p->now_ms, nx_double_bits(value));
    if (err)
        return err;
    series->raw_labels = dist_plain_labels(labels, count);
    series->label_count = (uint32_t)count;
    series->cacheable = true;
    series->first_sample = (uint32_t)(batch->sample_count - 1);
    series->sample_count = 1;
    return NX_OK;
}

static enum nx_err take_field(struct parser *p)
{
    double value = 0;
    struct nx_view name, key = take_word(p, false);
    if (key.len == 0 || !take(p, '='))
        return bad(p, "expected a field as name=value");
    if (at(p, '"'))
        return skip_text(p);
    const char *start = p->ptr;
    if (!parse_value(take_word(p, false), &value)) {
        p->ptr = start;
        return bad(p, "expected a number, true, false or a text in quotes");
    }
    enum nx_err err = clean_name(p, p->measurement, key, &name);
    return err ? err : add_sample(p, name, value);
}

/* --- times --- */

static enum nx_err take_time(struct parser *p)
{
    const char *start = p->ptr;
    bool negative = take(p, '-');
    uint64_t value = 0;
    size_t digits = 0;
    for (; p->ptr < p->end && *p->ptr >= '0' && *p->ptr <= '9' && digits < 19; digits++)
        value = value * 10 + (uint64_t)(*p->ptr++ - '0');
    int64_t limit = p->ms_per_unit > 0 ? INT64_MAX / p->ms_per_unit : INT64_MAX;
    if (digits == 0 || p->ptr < p->end || value > (uint64_t)limit) {
        p->ptr = start;
        return bad(p, "expected a time");
    }
    int64_t t = negative ? -(int64_t)value : (int64_t)value;
    t = p->ms_per_unit > 0 ? t * p->ms_per_unit : t / p->units_per_ms;
    struct dist_batch *batch = p->decoding.batch;
    for (size_t i = p->first_series; i < batch->series_count; i++)
        batch->timestamps[batch->series[i].first_sample] = t;
    return NX_OK;
}

static enum nx_err take_line(struct parser *p)
{
    while (p->end > p->ptr && (p->end[-1] == '\r' || p->end[-1] == ' '))
        p->end--;
    while (take(p, ' '))
        ;
    if (p->ptr == p->end || *p->ptr == '#')
        return NX_OK;
    p->first_series = p->decoding.batch->series_count;
    enum nx_err err = take_key(p);
    do {
        if (!err)
            err = take_field(p);
    } while (!err && take(p, ','));
    if (err || p->ptr == p->end)
        return err;
    if (!take(p, ' '))
        return bad(p, "expected ',' or a time");
    while (take(p, ' '))
        ;
    return take_time(p);
}

/* --- the request --- */

static enum nx_err take_precision(struct parser *p, struct nx_view text)
{
    static const struct {
        const char *names[2];
        int64_t units_per_ms, ms_per_unit;
    } table[] = {
        {{"ns", "n"}, 1000000, 0}, {{"us", "u"}, 1000, 0}, {{"ms", "ms"}, 1, 0},
        {{"s", "s"}, 0, 1000},     {{"m", "m"}, 0, 60000}, {{"h", "h"}, 0, 3600000},
    };
    p->units_per_ms = table[0].units_per_ms;
    if (!text.ptr)
        return NX_OK;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (!nx_view_is(text, table[i].names[0]) && !nx_view_is(text, table[i].names[1]))
            continue;
        p->units_per_ms = table[i].units_per_ms;
        p->ms_per_unit = table[i].ms_per_unit;
        return NX_OK;
    }
    return nx_fail_set(p->decoding.fail, NX_ERR_INVALID,
                       "the URL: precision \"%.*s\"; expected ns, us, ms, s, m or h",
                       (int)(text.len < MAX_SHOWN ? text.len : MAX_SHOWN), text.ptr);
}

static enum nx_err decode(const struct dist_intake *intake, struct dist_batch *batch,
                          struct nx_fail *fail)
{
    struct parser p = {.decoding = {.limits = intake->limits, .batch = batch, .fail = fail},
                       .now_ms = intake->now_ms};
    struct nx_http_params params;
    struct nx_view text = intake->message;
    batch->format = &dist_plain_format;
    enum nx_err err =
        nx_http_params_parse(&batch->arena, intake->query, NX_VIEW(""), NX_VIEW(""), &params, fail);
    if (!err)
        err = take_precision(&p, nx_http_params_get(&params, "precision"));
    if (!err && nx_http_params_get(&params, "db").ptr)
        p.db = nx_http_params_get(&params, "db");
    while (!err && text.len > 0) {
        size_t len = nx_view_find(text, '\n');
        p.ptr = text.ptr;
        p.end = text.ptr + len;
        p.line++;
        err = take_line(&p);
        size_t next = len < text.len ? len + 1 : len;
        text = nx_view_make(text.ptr + next, text.len - next);
    }
    return dist_decoding_end(&p.decoding, err);
}

static enum nx_err negotiate(const struct dist_headers *headers, struct dist_form *form,
                             struct nx_fail *fail)
{
    unsigned allowed =
        1u << DIST_ENCODING_IDENTITY | 1u << DIST_ENCODING_GZIP | 1u << DIST_ENCODING_ZSTD;
    form->decode = decode;
    return dist_header_encoding(headers->content_encoding, allowed, DIST_ENCODING_IDENTITY,
                                &form->encoding, fail);
}

const struct dist_stream dist_influx = {.success = 204, .negotiate = negotiate};
