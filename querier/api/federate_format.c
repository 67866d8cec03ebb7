/* As Prometheus's expfmt writes them. Of a federated sample nothing is known but its value: floats
 * are untyped. Every row gets `instance=""` where it has no such label, so that the reader does not
 * put its own target there. */
#include "querier/api/federate_format.h"

#include <math.h>

#include "common/chunk/prom_histogram_chunk.h"
#include "common/cxx/number_shim.h"
#include "querier/api/protobuf.h"
#include "querier/select/wire.h"

#define MAX_ROW_BYTES ((size_t)64 << 20)

/* --- negotiation --- */

static struct nx_view next_part(struct nx_view *rest, char separator)
{
    size_t end = nx_view_find(*rest, separator);
    struct nx_view part = nx_view_trim(nx_view_make(rest->ptr, end));
    size_t skip = end < rest->len ? end + 1 : end;
    *rest = nx_view_make(rest->ptr + skip, rest->len - skip);
    return part;
}

struct clause {
    bool known;
    struct qry_expose expose;
    double q;
};

static void read_parameter(struct nx_view text, struct clause *clause, bool *delimited)
{
    size_t eq = nx_view_find(text, '=');
    if (eq == text.len)
        return;
    struct nx_view name = nx_view_trim(nx_view_make(text.ptr, eq));
    struct nx_view value = nx_view_trim(nx_view_make(text.ptr + eq + 1, text.len - eq - 1));
    if (nx_view_eq_nocase(name, NX_VIEW("q")) && !nx_float_parse(value, &clause->q))
        clause->q = 0;
    else if (nx_view_is(name, "escaping"))
        clause->expose.utf8 = nx_view_is(value, "allow-utf-8");
    else if (nx_view_is(name, "encoding"))
        *delimited = nx_view_is(value, "delimited");
}

static struct clause read_clause(struct nx_view text)
{
    struct clause clause = {.q = 1};
    bool delimited = false;
    struct nx_view type = next_part(&text, ';');
    while (text.len > 0)
        read_parameter(next_part(&text, ';'), &clause, &delimited);
    clause.known = true;
    if (nx_view_eq_nocase(type, NX_VIEW("text/plain")) || nx_view_is(type, "*/*") ||
        nx_view_eq_nocase(type, NX_VIEW("text/*")))
        clause.expose.format = QRY_EXPOSE_TEXT;
    else if (nx_view_eq_nocase(type, NX_VIEW("application/openmetrics-text")))
        clause.expose.format = QRY_EXPOSE_OPENMETRICS;
    else if (nx_view_eq_nocase(type, NX_VIEW("application/vnd.google.protobuf")) && delimited)
        clause.expose.format = QRY_EXPOSE_PROTOBUF;
    else
        clause.known = false;
    return clause;
}

struct qry_expose qry_expose_choose(struct nx_view accept)
{
    struct clause best = {.expose = {.format = QRY_EXPOSE_TEXT}};
    while (accept.len > 0) {
        struct clause clause = read_clause(next_part(&accept, ','));
        if (clause.known && clause.q > best.q)
            best = clause;
    }
    return best.expose;
}

const char *qry_expose_content_type(struct qry_expose expose)
{
    switch (expose.format) {
    case QRY_EXPOSE_OPENMETRICS:
        return expose.utf8 ? "application/openmetrics-text; version=1.0.0; charset=utf-8; "
                             "escaping=allow-utf-8"
                           : "application/openmetrics-text; version=1.0.0; charset=utf-8; "
                             "escaping=underscores";
    case QRY_EXPOSE_PROTOBUF:
        return expose.utf8 ? "application/vnd.google.protobuf; "
                             "proto=io.prometheus.client.MetricFamily; encoding=delimited; "
                             "escaping=allow-utf-8"
                           : "application/vnd.google.protobuf; "
                             "proto=io.prometheus.client.MetricFamily; encoding=delimited; "
                             "escaping=underscores";
    case QRY_EXPOSE_TEXT:
        break;
    }
    return expose.utf8 ? "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8"
                       : "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
}

bool qry_expose_can(struct qry_expose expose, const struct nx_sample *sample)
{
    return !sample->histogram || expose.format == QRY_EXPOSE_PROTOBUF ||
           (sample->histogram->schema == NX_HISTOGRAM_CUSTOM_SCHEMA &&
            sample->histogram->hint != NX_HINT_GAUGE);
}

static bool is_gauge(const struct qry_exposed *row)
{
    return row->sample.histogram && row->sample.histogram->hint == NX_HINT_GAUGE;
}

bool qry_expose_same_family(const struct qry_exposed *a, const struct qry_exposed *b)
{
    return nx_view_eq(a->name, b->name) && !a->sample.histogram == !b->sample.histogram &&
           is_gauge(a) == is_gauge(b);
}

/* --- text --- */

/* A name with '_' for what is not legacy. */
static void put_escaped(struct nx_buf *out, struct nx_view name, bool colon)
{
    for (size_t i = 0; i < name.len;) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool letter =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':');
        bool legacy = letter || (c >= '0' && c <= '9' && i > 0);
        nx_buf_append_char(out, legacy ? (char)c : '_');
        for (i++; c >= 0x80 && i < name.len && ((unsigned char)name.ptr[i] & 0xC0) == 0x80;)
            i++; /* one for a rune */
    }
}

static void put_text(struct nx_buf *out, struct nx_view text)
{
    nx_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\n') {
            nx_buf_append_str(out, "\\n");
            continue;
        }
        if (c == '"' || c == '\\')
            nx_buf_append_char(out, '\\');
        nx_buf_append_char(out, c);
    }
    nx_buf_append_char(out, '"');
}

/* In front of the braces; false where it has to go inside. */
static bool put_metric_name(struct qry_expose expose, struct nx_buf *out, struct nx_view name,
                            const char *suffix)
{
    if (nx_metric_name_is_legacy(name)) {
        nx_buf_append_view(out, name);
    } else if (!expose.utf8) {
        put_escaped(out, name, true);
    } else {
        return false;
    }
    nx_buf_append_str(out, suffix);
    return true;
}

static void put_quoted_name(struct nx_buf *out, struct nx_view name, const char *suffix)
{
    put_text(out, name);
    if (*suffix) {
        out->len -= out->len > 0; /* the closing quote */
        nx_buf_append_str(out, suffix);
        nx_buf_append_char(out, '"');
    }
}

static void put_label(struct qry_expose expose, struct nx_buf *out, struct nx_view name,
                      struct nx_view value)
{
    if (nx_label_name_is_legacy(name))
        nx_buf_append_view(out, name);
    else if (expose.utf8)
        put_text(out, name);
    else
        put_escaped(out, name, false);
    nx_buf_append_char(out, '=');
    put_text(out, value);
}

/* `name{...,le="..."}` and a blank. */
static void put_series(struct qry_expose expose, struct nx_buf *out, const struct qry_exposed *row,
                       const char *suffix, const char *le)
{
    bool first = put_metric_name(expose, out, row->name, suffix);
    nx_buf_append_char(out, '{');
    if (!first)
        put_quoted_name(out, row->name, suffix);
    for (size_t i = 0; i < row->labels.count; i++) {
        const struct nx_label *label = &row->labels.items[i];
        if (nx_view_eq(label->name, NX_LABEL_METRIC_NAME) ||
            (le && nx_view_eq(label->name, NX_LABEL_LE)))
            continue;
        if (!first)
            nx_buf_append_char(out, ',');
        first = false;
        put_label(expose, out, label->name, label->value);
    }
    if (!nx_labels_has(row->labels, NX_VIEW("instance"))) {
        nx_buf_append_str(out, first ? "instance=\"\"" : ",instance=\"\"");
        first = false;
    }
    if (le) {
        nx_buf_append_str(out, first ? "le=" : ",le=");
        put_text(out, nx_view_of(le));
    }
    nx_buf_append_str(out, "} ");
}

static size_t format_number(struct qry_expose expose, double v, char *text)
{
    size_t len = nx_float_format_g(v, text);
    bool whole = expose.format == QRY_EXPOSE_OPENMETRICS && isfinite(v);
    for (size_t i = 0; i < len && whole; i++)
        whole = text[i] != '.' && text[i] != 'e';
    if (whole) {
        memcpy(text + len, ".0", 3);
        len += 2;
    }
    return len;
}

static void put_number(struct qry_expose expose, struct nx_buf *out, double v)
{
    char text[NX_FLOAT_MAX + 4];
    nx_buf_append(out, text, format_number(expose, v, text));
}

/* The time and the end of the line. */
static void put_time(struct qry_expose expose, struct nx_buf *out, int64_t t)
{
    if (expose.format == QRY_EXPOSE_TEXT) {
        nx_buf_printf(out, " %lld\n", (long long)t);
        return;
    }
    uint64_t ms = t < 0 ? 0 - (uint64_t)t : (uint64_t)t;
    nx_buf_printf(out, " %s%llu.%03llu\n", t < 0 ? "-" : "", (unsigned long long)(ms / 1000),
                  (unsigned long long)(ms % 1000));
}

static void put_line(struct qry_expose expose, struct nx_buf *out, const struct qry_exposed *row,
                     const char *suffix, const char *le, double v)
{
    put_series(expose, out, row, suffix, le);
    put_number(expose, out, v);
    put_time(expose, out, row->sample.t);
}

/* A histogram of custom buckets as the classic one it was made from: each bound with the count up
 * to it. */
struct classic {
    const struct nx_histogram *h;
    size_t bound;        /* the next */
    size_t span, bucket; /* the next bucket, and its span */
    uint32_t in_span;
    int64_t index; /* of the bucket */
    double total;
};

static struct classic classic_of(const struct nx_histogram *h)
{
    return (struct classic){.h = h,
                            .index = h->positive_span_count ? h->positive_spans[0].offset : 0};
}

static void classic_step(struct classic *c)
{
    c->total += c->h->positive[c->bucket++];
    c->index++;
    c->in_span++;
}

/* Past the ends of spans, to the next bucket. */
static bool classic_bucket(struct classic *c)
{
    while (c->span < c->h->positive_span_count &&
           c->in_span == c->h->positive_spans[c->span].length) {
        c->in_span = 0;
        if (++c->span < c->h->positive_span_count)
            c->index += c->h->positive_spans[c->span].offset;
    }
    return c->bucket < c->h->positive_count;
}

static bool classic_next(struct classic *c, double *bound, double *total)
{
    if (c->bound == c->h->custom_count)
        return false;
    while (classic_bucket(c) && c->index <= (int64_t)c->bound)
        classic_step(c);
    *bound = c->h->custom_bounds[c->bound++];
    *total = c->total;
    return true;
}

static void put_classic(struct qry_expose expose, struct nx_buf *out, const struct qry_exposed *row)
{
    struct classic classic = classic_of(row->sample.histogram);
    char le[NX_FLOAT_MAX + 4];
    double bound, total;
    while (classic_next(&classic, &bound, &total)) {
        format_number(expose, bound, le);
        put_line(expose, out, row, "_bucket", le, total);
    }
    put_line(expose, out, row, "_bucket", "+Inf", classic.h->count);
    put_line(expose, out, row, "_sum", NULL, classic.h->sum);
    put_line(expose, out, row, "_count", NULL, classic.h->count);
}

static void put_type(struct qry_expose expose, struct nx_buf *out, const struct qry_exposed *row)
{
    const char *type = row->sample.histogram                     ? "histogram"
                       : expose.format == QRY_EXPOSE_OPENMETRICS ? "unknown"
                                                                 : "untyped";
    nx_buf_append_str(out, "# TYPE ");
    if (!put_metric_name(expose, out, row->name, ""))
        put_text(out, row->name);
    nx_buf_printf(out, " %s\n", type);
}

static void put_text_family(struct qry_expose expose, struct nx_buf *out,
                            const struct qry_exposed *rows, size_t count, bool first)
{
    if (first)
        put_type(expose, out, rows);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].sample.histogram)
            put_classic(expose, out, &rows[i]);
        else
            put_line(expose, out, &rows[i], "", NULL, rows[i].sample.value);
    }
}

/* --- protobuf (io.prometheus.client, metrics.proto) --- */

static void put_pb_buckets(struct nx_buf *out, bool integer, uint32_t spans_field,
                           const struct nx_span *spans, size_t span_count, const double *values,
                           size_t count)
{
    int64_t before = 0;
    for (size_t i = 0; i < span_count; i++)
        qry_pb_put_span(out, spans_field, &spans[i]);
    for (size_t i = 0; i < count; i++) {
        if (!integer) {
            qry_pb_put_double(out, spans_field + 2, values[i]);
            continue;
        }
        qry_pb_put_tag(out, spans_field + 1, QRY_PB_VARINT);
        nx_buf_put_varint(out, (int64_t)values[i] - before);
        before = (int64_t)values[i];
    }
}

static void put_pb_count(struct nx_buf *out, bool integer, uint32_t as_int, uint32_t as_float,
                         double v)
{
    if (integer) {
        qry_pb_put_tag(out, as_int, QRY_PB_VARINT);
        nx_buf_put_uvarint(out, (uint64_t)v);
    } else {
        qry_pb_put_double(out, as_float, v);
    }
}

static void put_pb_exponential(struct nx_buf *out, const struct nx_histogram *h)
{
    bool integer = nx_prom_histogram_has_integers(h);
    put_pb_count(out, integer, 1, 4, h->count);
    qry_pb_put_double(out, 2, h->sum);
    qry_pb_put_tag(out, 5, QRY_PB_VARINT);
    nx_buf_put_varint(out, h->schema);
    qry_pb_put_double(out, 6, h->zero_threshold);
    put_pb_count(out, integer, 7, 8, h->zero_count);
    put_pb_buckets(out, integer, 9, h->negative_spans, h->negative_span_count, h->negative,
                   h->negative_count);
    put_pb_buckets(out, integer, 12, h->positive_spans, h->positive_span_count, h->positive,
                   h->positive_count);
}

/* The bytes of a part, and its failure. */
static struct nx_view part(struct nx_buf *out, const struct nx_buf *bytes)
{
    if (nx_buf_err(bytes) != NX_OK)
        out->err = nx_buf_err(bytes);
    return nx_buf_view(bytes);
}

static void put_pb_bucket(struct nx_buf *out, struct nx_buf *scratch, bool integer, double bound,
                          double total)
{
    nx_buf_clear(scratch);
    put_pb_count(scratch, integer, 1, 4, total);
    qry_pb_put_double(scratch, 2, bound);
    qry_wire_put_element(out, 3, part(out, scratch));
}

static void put_pb_custom(struct nx_buf *out, struct nx_buf *scratch, const struct nx_histogram *h)
{
    struct classic classic = classic_of(h);
    bool integer = nx_prom_histogram_has_integers(h);
    double bound, total;
    put_pb_count(out, integer, 1, 4, h->count);
    qry_pb_put_double(out, 2, h->sum);
    while (classic_next(&classic, &bound, &total))
        put_pb_bucket(out, scratch, integer, bound, total);
}

static void put_pb_value(struct nx_buf *out, struct nx_buf *scratch, const struct nx_sample *sample)
{
    struct nx_buf value;
    nx_buf_init(&value, MAX_ROW_BYTES);
    if (!sample->histogram)
        qry_pb_put_double(&value, 1, sample->value);
    else if (sample->histogram->schema == NX_HISTOGRAM_CUSTOM_SCHEMA)
        put_pb_custom(&value, scratch, sample->histogram);
    else
        put_pb_exponential(&value, sample->histogram);
    qry_wire_put_element(out, sample->histogram ? 7 : 5, part(out, &value));
    nx_buf_release(&value);
}

static void put_pb_label(struct qry_expose expose, struct nx_buf *out, struct nx_buf *scratch,
                         const struct nx_label *label)
{
    struct nx_view name = label->name;
    if (!expose.utf8 && !nx_label_name_is_legacy(name)) {
        nx_buf_clear(scratch);
        put_escaped(scratch, name, false);
        name = part(out, scratch);
    }
    qry_pb_put_label(out, 1, name, label->value);
}

static void put_pb_row(struct qry_expose expose, struct nx_buf *out, struct nx_buf *scratch,
                       const struct qry_exposed *row)
{
    for (size_t i = 0; i < row->labels.count; i++)
        if (!nx_view_eq(row->labels.items[i].name, NX_LABEL_METRIC_NAME))
            put_pb_label(expose, out, scratch, &row->labels.items[i]);
    if (!nx_labels_has(row->labels, NX_VIEW("instance")))
        qry_pb_put_label(out, 1, NX_VIEW("instance"), NX_VIEW(""));
    put_pb_value(out, scratch, &row->sample);
    qry_pb_put_tag(out, 6, QRY_PB_VARINT);
    nx_buf_put_uvarint(out, (uint64_t)row->sample.t);
}

enum pb_metric_type { PB_UNTYPED = 3, PB_HISTOGRAM = 4, PB_GAUGE_HISTOGRAM = 5 };

static void put_pb_family(struct qry_expose expose, struct nx_buf *out,
                          const struct qry_exposed *rows, size_t count)
{
    struct nx_buf family, metric, scratch;
    nx_buf_init(&family, out->max);
    nx_buf_init(&metric, MAX_ROW_BYTES);
    nx_buf_init(&scratch, MAX_ROW_BYTES);
    enum pb_metric_type type = !rows->sample.histogram ? PB_UNTYPED
                               : is_gauge(rows)        ? PB_GAUGE_HISTOGRAM
                                                       : PB_HISTOGRAM;
    put_metric_name((struct qry_expose){.format = expose.format}, &scratch, rows->name, "");
    qry_wire_put_bytes(&family, 1, expose.utf8 ? rows->name : part(out, &scratch));
    qry_wire_put_uint(&family, 3, (uint64_t)type);
    for (size_t i = 0; i < count; i++) {
        nx_buf_clear(&metric);
        put_pb_row(expose, &metric, &scratch, &rows[i]);
        qry_wire_put_element(&family, 4, part(out, &metric));
    }
    nx_buf_put_bytes(out, part(out, &family));
    nx_buf_release(&family);
    nx_buf_release(&metric);
    nx_buf_release(&scratch);
}

void qry_expose_rows(struct qry_expose expose, struct nx_buf *out, const struct qry_exposed *rows,
                     size_t count, bool first)
{
    if (expose.format == QRY_EXPOSE_PROTOBUF)
        put_pb_family(expose, out, rows, count);
    else
        put_text_family(expose, out, rows, count, first);
}

void qry_expose_end(struct qry_expose expose, struct nx_buf *out)
{
    if (expose.format == QRY_EXPOSE_OPENMETRICS)
        nx_buf_append_str(out, "# EOF\n");
}
