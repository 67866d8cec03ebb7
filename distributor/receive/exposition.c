/* A line at a time, left to right, no line is looked at twice. Values without escapes alias the
 * text; the others are unescaped into the batch's arena. */
#include "distributor/receive/exposition.h"

#include <math.h>
#include <string.h>

#include "common/chunk/sample.h"
#include "common/cxx/number_shim.h"
#include "distributor/receive/plain_labels.h"

enum { MAX_SHOWN = 60 };

struct parser {
    const struct dist_exposition *options;
    struct dist_decoding decoding;
    const char *ptr; /* of the line, to `end` */
    const char *end;
    size_t line;
    struct nx_label *labels; /* of the label set being read */
    size_t label_count, label_capacity;
    size_t usual_labels;            /* the most that a set has had so far */
    struct dist_metadata *metadata; /* of the family that the last comment spoke of */
    bool at_eof;
};

static enum nx_err bad(struct parser *p, const char *what)
{
    size_t left = (size_t)(p->end - p->ptr);
    return nx_fail_set(p->decoding.fail, NX_ERR_INVALID, "line %zu: %s at \"%.*s\"", p->line, what,
                       (int)(left < MAX_SHOWN ? left : MAX_SHOWN), p->ptr);
}

static bool at_end(const struct parser *p)
{
    return p->ptr == p->end;
}

static void skip_blanks(struct parser *p)
{
    while (!at_end(p) && (*p->ptr == ' ' || *p->ptr == '\t'))
        p->ptr++;
}

static bool take(struct parser *p, char c)
{
    if (at_end(p) || *p->ptr != c)
        return false;
    p->ptr++;
    return true;
}

/* --- names and texts --- */

static bool is_name_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' ||
           (!first && c >= '0' && c <= '9');
}

static struct nx_view take_name(struct parser *p)
{
    const char *start = p->ptr;
    while (!at_end(p) && is_name_char(*p->ptr, p->ptr == start))
        p->ptr++;
    return nx_view_make(start, (size_t)(p->ptr - start));
}

static struct nx_view take_token(struct parser *p)
{
    const char *start = p->ptr;
    while (!at_end(p) && *p->ptr != ' ' && *p->ptr != '\t')
        p->ptr++;
    return nx_view_make(start, (size_t)(p->ptr - start));
}

/* \\, \" and \n; a backslash before anything else stands for itself, as Prometheus reads it. */
static enum nx_err unescape(struct parser *p, struct nx_view text, struct nx_view *out)
{
    if (nx_view_find(text, '\\') == text.len) {
        *out = text;
        return NX_OK;
    }
    char *copy = nx_arena_alloc(&p->decoding.batch->arena, text.len);
    if (!copy)
        return NX_ERR_NOMEM;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        char next = i + 1 < text.len ? text.ptr[i + 1] : '\0';
        if (c == '\\' && (next == '\\' || next == '"' || next == 'n')) {
            c = next == 'n' ? '\n' : next;
            i++;
        }
        copy[len++] = c;
    }
    *out = nx_view_make(copy, len);
    return NX_OK;
}

static enum nx_err take_quoted(struct parser *p, struct nx_view *out)
{
    if (!take(p, '"'))
        return bad(p, "expected a quoted text");
    const char *start = p->ptr;
    while (!at_end(p) && *p->ptr != '"')
        p->ptr += *p->ptr == '\\' && p->ptr + 1 < p->end ? 2 : 1;
    if (at_end(p)) {
        p->ptr = start;
        return bad(p, "unterminated text");
    }
    struct nx_view text = nx_view_make(start, (size_t)(p->ptr - start));
    p->ptr++;
    return unescape(p, text, out);
}

/* --- label sets --- */

static enum nx_err add_label(struct parser *p, struct nx_view name, struct nx_view value)
{
    size_t need = p->label_count + 1;
    if (need > p->usual_labels)
        p->usual_labels = need;
    else
        need = p->usual_labels;
    if (!nx_arena_grow(&p->decoding.batch->arena, &p->labels, p->label_count, &p->label_capacity,
                       need, sizeof *p->labels))
        return NX_ERR_NOMEM;
    p->labels[p->label_count++] = (struct nx_label){.name = name, .value = value};
    return NX_OK;
}

/* name="value", "quoted name"="value", or a quoted metric name alone. */
static enum nx_err take_label(struct parser *p)
{
    struct nx_view name = NX_VIEW(""), value = NX_VIEW("");
    bool quoted = !at_end(p) && *p->ptr == '"';
    enum nx_err err = NX_OK;
    if (quoted)
        err = take_quoted(p, &name);
    else
        name = take_name(p);
    if (err)
        return err;
    if (name.len == 0)
        return bad(p, "expected a label name");
    skip_blanks(p);
    if (quoted && !at_end(p) && (*p->ptr == ',' || *p->ptr == '}'))
        return add_label(p, NX_LABEL_METRIC_NAME, name);
    if (!take(p, '='))
        return bad(p, "expected '='");
    skip_blanks(p);
    err = take_quoted(p, &value);
    return err ? err : add_label(p, name, value);
}

/* Behind the brace. */
static enum nx_err take_labels(struct parser *p)
{
    skip_blanks(p);
    while (!take(p, '}')) {
        enum nx_err err = take_label(p);
        if (err)
            return err;
        skip_blanks(p);
        if (take(p, ','))
            skip_blanks(p);
        else if (at_end(p) || *p->ptr != '}')
            return bad(p, "expected ',' or '}'");
    }
    return NX_OK;
}

static void begin_labels(struct parser *p)
{
    p->labels = NULL;
    p->label_count = p->label_capacity = 0;
}

static bool is_over(const struct dist_exposition *options, struct nx_view name)
{
    for (size_t i = 0; i < options->over_count; i++)
        if (nx_view_eq(options->over[i].name, name))
            return true;
    return false;
}

/* The labels that are set on every series take the place of its own. */
static enum nx_err override_labels(struct parser *p)
{
    const struct dist_exposition *options = p->options;
    size_t kept = 0;
    for (size_t i = 0; i < p->label_count; i++)
        if (!is_over(options, p->labels[i].name))
            p->labels[kept++] = p->labels[i];
    p->label_count = kept;
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < options->over_count && !err; i++)
        err = add_label(p, options->over[i].name, options->over[i].value);
    return err;
}

/* --- numbers --- */

static enum nx_err take_value(struct parser *p, double *out)
{
    const char *start = p->ptr;
    if (nx_float_parse(take_token(p), out))
        return NX_OK;
    p->ptr = start;
    return bad(p, "expected a value");
}

static bool parse_millis(struct nx_view token, int64_t *out)
{
    bool negative = token.len > 0 && token.ptr[0] == '-';
    uint64_t value = 0;
    if (token.len == (size_t)negative || token.len > 19)
        return false;
    for (size_t i = negative; i < token.len; i++) {
        if (token.ptr[i] < '0' || token.ptr[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(token.ptr[i] - '0');
    }
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

/* Whole milliseconds, or seconds with a fraction. */
static enum nx_err take_timestamp(struct parser *p, int64_t *out)
{
    const char *start = p->ptr;
    struct nx_view token = take_token(p);
    double seconds = 0;
    bool good;
    if (p->options->open_metrics) {
        good = nx_float_parse(token, &seconds) && fabs(seconds) < 9e15;
        if (good)
            *out = (int64_t)round(seconds * 1000);
    } else {
        good = parse_millis(token, out);
    }
    if (good)
        return NX_OK;
    p->ptr = start;
    return bad(p, "expected a timestamp");
}

/* --- samples --- */

/* Behind the "#" of a sample's line. */
static enum nx_err take_exemplar(struct parser *p, struct dist_series *series, int64_t sample_ms)
{
    struct dist_exemplar *exemplar = NULL;
    double value = 0;
    int64_t t = sample_ms;
    skip_blanks(p);
    if (!take(p, '{'))
        return bad(p, "expected the labels of an exemplar");
    begin_labels(p);
    enum nx_err err = take_labels(p);
    skip_blanks(p);
    if (!err)
        err = take_value(p, &value);
    skip_blanks(p);
    if (!err && !at_end(p))
        err = take_timestamp(p, &t);
    if (!err)
        err = dist_decoding_point(&p->decoding);
    if (!err)
        err = dist_batch_add_exemplar(p->decoding.batch, &exemplar);
    if (err)
        return err;
    exemplar->raw_labels = dist_plain_labels(p->labels, p->label_count);
    exemplar->value_bits = nx_double_bits(value);
    exemplar->timestamp = t;
    series->exemplar_count++;
    return NX_OK;
}

static enum nx_err take_identity(struct parser *p)
{
    struct nx_view name = take_name(p);
    enum nx_err err = NX_OK;
    begin_labels(p);
    if (name.len > 0)
        err = add_label(p, NX_LABEL_METRIC_NAME, name);
    skip_blanks(p);
    if (!err && take(p, '{'))
        err = take_labels(p);
    else if (!err && name.len == 0)
        return bad(p, "expected a metric name");
    return err ? err : override_labels(p);
}

static enum nx_err begin_series(struct parser *p, struct dist_series **out)
{
    struct dist_batch *batch = p->decoding.batch;
    enum nx_err err = dist_decoding_element(&p->decoding, batch->series_count, "series");
    if (!err)
        err = dist_batch_add_series(batch, out);
    if (err)
        return err;
    (*out)->raw_labels = dist_plain_labels(p->labels, p->label_count);
    (*out)->label_count = (uint32_t)p->label_count;
    (*out)->cacheable = true;
    (*out)->first_sample = (uint32_t)batch->sample_count;
    (*out)->first_histogram = (uint32_t)batch->histogram_count;
    (*out)->first_exemplar = (uint32_t)batch->exemplar_count;
    return NX_OK;
}

static enum nx_err take_sample(struct parser *p)
{
    struct dist_series *series = NULL;
    double value = 0;
    int64_t t = p->options->default_ms;
    enum nx_err err = take_identity(p);
    skip_blanks(p);
    if (!err)
        err = take_value(p, &value);
    skip_blanks(p);
    if (!err && !at_end(p) && *p->ptr != '#')
        err = take_timestamp(p, &t);
    skip_blanks(p);
    if (!err)
        err = begin_series(p, &series);
    if (!err)
        err = dist_decoding_point(&p->decoding);
    if (!err)
        err = dist_batch_add_sample(p->decoding.batch, t, nx_double_bits(value));
    if (err)
        return err;
    series->sample_count = 1;
    if (p->options->open_metrics && take(p, '#'))
        err = take_exemplar(p, series, t);
    skip_blanks(p);
    if (!err && !at_end(p))
        err = bad(p, "unexpected text behind a sample");
    return err;
}

/* --- comments --- */

static uint32_t type_of(struct nx_view word)
{
    static const char *const names[] = {"unknown",        "counter", "gauge", "histogram",
                                        "gaugehistogram", "summary", "info",  "stateset"};
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (nx_view_is(word, names[i]))
            return i;
    return 0;
}

static enum nx_err family_metadata(struct parser *p, struct nx_view metric)
{
    struct dist_batch *batch = p->decoding.batch;
    if (p->metadata && nx_view_eq(p->metadata->metric, metric))
        return NX_OK;
    enum nx_err err =
        dist_decoding_element(&p->decoding, batch->metadata_count, "metadata entries");
    if (!err)
        err = dist_batch_add_metadata(batch, &p->metadata);
    if (!err)
        p->metadata->metric = metric;
    return err;
}

/* "# TYPE name word", "# HELP name text", "# UNIT name word", "# EOF"; others say nothing. */
static enum nx_err take_comment(struct parser *p)
{
    struct nx_view metric = NX_VIEW("");
    enum nx_err err = NX_OK;
    p->ptr++;
    skip_blanks(p);
    struct nx_view keyword = take_token(p);
    if (p->options->open_metrics && nx_view_is(keyword, "EOF") && at_end(p)) {
        p->at_eof = true;
        return NX_OK;
    }
    bool type = nx_view_is(keyword, "TYPE"), help = nx_view_is(keyword, "HELP");
    if (!type && !help && !nx_view_is(keyword, "UNIT"))
        return NX_OK;
    skip_blanks(p);
    if (!at_end(p) && *p->ptr == '"')
        err = take_quoted(p, &metric);
    else
        metric = take_name(p);
    if (err)
        return err;
    if (metric.len == 0)
        return bad(p, "expected a metric name");
    err = family_metadata(p, metric);
    if (err)
        return err;
    skip_blanks(p);
    struct nx_view rest = nx_view_make(p->ptr, (size_t)(p->end - p->ptr));
    if (type)
        p->metadata->type = type_of(nx_view_trim(rest));
    else if (help)
        err = unescape(p, rest, &p->metadata->help);
    else
        p->metadata->unit = nx_view_trim(rest);
    return err;
}

/* --- the text --- */

static enum nx_err take_line(struct parser *p)
{
    if (p->at_eof)
        return bad(p, "text behind # EOF");
    if (p->ptr < p->end && p->end[-1] == '\r')
        p->end--;
    skip_blanks(p);
    if (at_end(p))
        return NX_OK;
    return *p->ptr == '#' ? take_comment(p) : take_sample(p);
}

enum nx_err dist_exposition_decode(const struct dist_exposition *options, struct nx_view text,
                                   struct dist_batch *batch, struct nx_fail *fail)
{
    struct parser p = {.options = options,
                       .decoding = {.limits = options->limits, .batch = batch, .fail = fail}};
    enum nx_err err = NX_OK;
    batch->format = &dist_plain_format;
    while (!err && text.len > 0) {
        size_t len = nx_view_find(text, '\n');
        p.ptr = text.ptr;
        p.end = text.ptr + len;
        p.line++;
        err = take_line(&p);
        size_t next = len < text.len ? len + 1 : len;
        text = nx_view_make(text.ptr + next, text.len - next);
    }
    if (!err && options->open_metrics && !p.at_eof)
        err = nx_fail_set(fail, NX_ERR_INVALID, "the text does not end with # EOF");
    return dist_decoding_end(&p.decoding, err);
}
