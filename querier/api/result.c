#include "querier/api/result.h"

#include "common/cxx/number_shim.h"
#include "querier/promql/histogram_math.h"

void qry_result_writer_init(struct qry_result_writer *writer, const struct qry_result *result,
                            size_t series_count, int64_t at_ms)
{
    *writer =
        (struct qry_result_writer){.result = result, .series_count = series_count, .at_ms = at_ms};
}

void qry_json_histogram(struct qry_json *json, const struct nx_histogram *h)
{
    struct qry_bucket_iter it;
    struct qry_bucket b;
    bool any = false;
    qry_json_object(json);
    qry_json_key(json, "count");
    qry_json_value(json, h->count);
    qry_json_key(json, "sum");
    qry_json_value(json, h->sum);
    qry_bucket_iter_init(&it, h, false);
    while (qry_bucket_next(&it, &b)) {
        if (!any) {
            qry_json_key(json, "buckets");
            qry_json_array(json);
            any = true;
        }
        int rule = b.lower_inclusive ? (b.upper_inclusive ? 3 : 1) : (b.upper_inclusive ? 0 : 2);
        qry_json_array(json);
        qry_json_int(json, rule);
        qry_json_value(json, b.lower);
        qry_json_value(json, b.upper);
        qry_json_value(json, b.count);
        qry_json_array_end(json);
    }
    if (any)
        qry_json_array_end(json);
    qry_json_object_end(json);
}

static void put_point(struct qry_json *json, const struct qry_point *point)
{
    qry_json_array(json);
    qry_json_time(json, point->t);
    if (point->histogram)
        qry_json_histogram(json, point->histogram);
    else
        qry_json_value(json, point->value);
    qry_json_array_end(json);
}

/* --- scalars and strings: a pair; the time is an ordinary JSON number --- */

static void put_seconds(struct qry_json *json, int64_t ms)
{
    char text[NX_FLOAT_MAX];
    size_t n = nx_float_format_f((double)ms / 1000, text);
    qry_json_raw(json, nx_view_make(text, n));
}

static void put_scalar(struct qry_json *json, const struct qry_point *point)
{
    char text[NX_FLOAT_MAX];
    qry_json_array(json);
    put_seconds(json, point->t);
    qry_json_label(json, nx_view_make(text, nx_float_format_f(point->value, text)));
    qry_json_array_end(json);
}

static void put_string(struct qry_json *json, int64_t at_ms, struct nx_view text)
{
    qry_json_array(json);
    put_seconds(json, at_ms);
    qry_json_string(json, text);
    qry_json_array_end(json);
}

/* --- vectors --- */

static bool write_vector(struct qry_result_writer *w, struct qry_json *json, size_t piece_bytes)
{
    for (; w->series < w->series_count; w->series++) {
        if (json->out->len >= piece_bytes)
            return false;
        const struct qry_result_series *s = &w->result->series[w->series];
        qry_json_object(json);
        qry_json_key(json, "metric");
        qry_json_labels(json, s->labels);
        qry_json_key(json, s->points[0].histogram ? "histogram" : "value");
        put_point(json, &s->points[0]);
        qry_json_object_end(json);
    }
    return true;
}

/* --- matrices --- */

static bool has_kind(const struct qry_result_series *s, bool histograms)
{
    for (size_t i = 0; i < s->count; i++)
        if ((s->points[i].histogram != NULL) == histograms)
            return true;
    return false;
}

/* The points of one kind; false when the piece is full. */
static bool write_points(struct qry_result_writer *w, struct qry_json *json, size_t piece_bytes,
                         bool histograms)
{
    const struct qry_result_series *s = &w->result->series[w->series];
    if (!w->begun) {
        if (!has_kind(s, histograms))
            return true;
        w->begun = true;
        qry_json_key(json, histograms ? "histograms" : "values");
        qry_json_array(json);
    }
    for (; w->point < s->count; w->point++) {
        if ((s->points[w->point].histogram != NULL) != histograms)
            continue;
        if (json->out->len >= piece_bytes)
            return false;
        put_point(json, &s->points[w->point]);
    }
    qry_json_array_end(json);
    w->begun = false;
    w->point = 0;
    return true;
}

static bool write_series(struct qry_result_writer *w, struct qry_json *json, size_t piece_bytes)
{
    if (w->phase == QRY_WRITE_HEAD) {
        qry_json_object(json);
        qry_json_key(json, "metric");
        qry_json_labels(json, w->result->series[w->series].labels);
        w->phase = QRY_WRITE_FLOATS;
    }
    if (w->phase == QRY_WRITE_FLOATS) {
        if (!write_points(w, json, piece_bytes, false))
            return false;
        w->phase = QRY_WRITE_HISTOGRAMS;
    }
    if (!write_points(w, json, piece_bytes, true))
        return false;
    qry_json_object_end(json);
    w->phase = QRY_WRITE_HEAD;
    return true;
}

static bool write_matrix(struct qry_result_writer *w, struct qry_json *json, size_t piece_bytes)
{
    for (; w->series < w->series_count; w->series++)
        if (json->out->len >= piece_bytes || !write_series(w, json, piece_bytes))
            return false;
    return true;
}

bool qry_result_write(struct qry_result_writer *w, struct qry_json *json, size_t piece_bytes)
{
    const struct qry_result *result = w->result;
    bool is_list = result->type == QRY_TYPE_VECTOR || result->type == QRY_TYPE_MATRIX;
    if (w->phase == QRY_WRITE_END)
        return true;
    if (w->series == 0 && w->phase == QRY_WRITE_HEAD && !w->started) {
        w->started = true;
        qry_json_key(json, "resultType");
        qry_json_text(json, qry_type_short(result->type));
        qry_json_key(json, "result");
        if (is_list)
            qry_json_array(json);
    }
    if (result->type == QRY_TYPE_SCALAR)
        put_scalar(json, &result->series[0].points[0]);
    else if (result->type == QRY_TYPE_STRING)
        put_string(json, w->at_ms, result->string);
    else if (!(result->type == QRY_TYPE_VECTOR ? write_vector(w, json, piece_bytes)
                                               : write_matrix(w, json, piece_bytes)))
        return false;
    if (is_list)
        qry_json_array_end(json);
    w->phase = QRY_WRITE_END;
    return true;
}
