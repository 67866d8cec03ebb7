/* A family's own fields may stand behind its metrics, so a family is walked twice: for what it is,
 * then for its metrics. */
#include "distributor/receive/metric_family.h"

#include <math.h>
#include <string.h>

#include "common/chunk/sample.h"
#include "common/cxx/number_shim.h"
#include "distributor/receive/metric_family_internal.h"
#include "distributor/receive/plain_labels.h"

enum nx_err dist_mf_broken(struct dist_mf_reader *r, const struct dist_pb *pb, const char *message)
{
    return dist_decoding_broken(&r->decoding, pb, message);
}

/* --- series --- */

/* A series with the metric's labels and, where `extra` has a name, one more. */
enum nx_err dist_mf_add_series(struct dist_mf_reader *r, struct nx_view name, struct nx_label extra,
                               struct dist_series **out)
{
    struct dist_batch *batch = r->decoding.batch;
    size_t count = r->label_count + (extra.name.len > 0);
    struct nx_label *labels = nx_arena_array(r->arena, count, sizeof *labels);
    if (!labels)
        return NX_ERR_NOMEM;
    memcpy(labels, r->labels, r->label_count * sizeof *labels);
    labels[0] = (struct nx_label){.name = NX_LABEL_METRIC_NAME, .value = name};
    if (extra.name.len > 0)
        labels[count - 1] = extra;
    enum nx_err err = dist_decoding_element(&r->decoding, batch->series_count, "series");
    if (!err)
        err = dist_decoding_point(&r->decoding);
    if (!err)
        err = dist_batch_add_series(batch, out);
    if (err)
        return err;
    (*out)->raw_labels = dist_plain_labels(labels, count);
    (*out)->label_count = (uint32_t)count;
    (*out)->cacheable = true;
    (*out)->first_sample = (uint32_t)batch->sample_count;
    (*out)->first_histogram = (uint32_t)batch->histogram_count;
    (*out)->first_exemplar = (uint32_t)batch->exemplar_count;
    return NX_OK;
}

enum nx_err dist_mf_add_sample(struct dist_mf_reader *r, struct nx_view name, struct nx_label extra,
                               double value, struct dist_series **out)
{
    enum nx_err err = dist_mf_add_series(r, name, extra, out);
    if (!err)
        err = dist_batch_add_sample(r->decoding.batch, r->at_ms, nx_double_bits(value));
    if (!err)
        (*out)->sample_count = 1;
    return err;
}

/* As OpenMetrics writes a float: never without a point or an exponent. */
enum nx_err dist_mf_float_label(struct dist_mf_reader *r, struct nx_view name, double value,
                                struct nx_label *out)
{
    char text[NX_FLOAT_MAX + 2];
    size_t len = nx_float_format_g(value, text);
    if (isfinite(value) && !memchr(text, '.', len) && !memchr(text, 'e', len)) {
        text[len++] = '.';
        text[len++] = '0';
    }
    *out =
        (struct nx_label){.name = name, .value = nx_arena_copy(r->arena, nx_view_make(text, len))};
    return out->value.ptr ? NX_OK : NX_ERR_NOMEM;
}

/* --- exemplars --- */

struct exemplar {
    struct nx_label *labels;
    size_t count, capacity;
    double value;
    bool has_time;
    int64_t seconds, nanos;
};

static enum nx_err read_pair(struct dist_mf_reader *r, struct nx_view message, struct nx_label *out)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    *out = (struct nx_label){.name = NX_VIEW(""), .value = NX_VIEW("")};
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            out->name = dist_pb_bytes_of(&pb, &field);
        else if (field.number == 2)
            out->value = dist_pb_bytes_of(&pb, &field);
    }
    return dist_pb_ok(&pb) ? NX_OK : dist_mf_broken(r, &pb, "LabelPair");
}

static enum nx_err add_pair(struct dist_mf_reader *r, struct nx_view message,
                            struct nx_label **labels, size_t *count, size_t *capacity)
{
    if (!nx_arena_grow(r->arena, labels, *count, capacity, *count + 1, sizeof **labels))
        return NX_ERR_NOMEM;
    return read_pair(r, message, &(*labels)[(*count)++]);
}

static enum nx_err read_time(struct dist_mf_reader *r, struct nx_view message, struct exemplar *out)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            out->seconds = (int64_t)dist_pb_varint_of(&pb, &field);
        else if (field.number == 2)
            out->nanos = (int32_t)dist_pb_varint_of(&pb, &field);
    }
    out->has_time = true;
    return dist_pb_ok(&pb) ? NX_OK : dist_mf_broken(r, &pb, "Timestamp");
}

static enum nx_err read_exemplar(struct dist_mf_reader *r, struct nx_view message,
                                 struct exemplar *out)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    enum nx_err err = NX_OK;
    *out = (struct exemplar){.labels = NULL};
    while (!err && dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            err = add_pair(r, dist_pb_bytes_of(&pb, &field), &out->labels, &out->count,
                           &out->capacity);
        else if (field.number == 2)
            out->value = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
        else if (field.number == 3)
            err = read_time(r, dist_pb_bytes_of(&pb, &field), out);
    }
    return err || dist_pb_ok(&pb) ? err : dist_mf_broken(r, &pb, "Exemplar");
}

/* Those of a native histogram count only with a time. */
enum nx_err dist_mf_add_exemplar(struct dist_mf_reader *r, struct dist_series *series,
                                 struct nx_view message)
{
    enum { SECONDS_MAX = 1000000000 };
    struct exemplar from;
    struct dist_exemplar *exemplar = NULL;
    enum nx_err err = read_exemplar(r, message, &from);
    bool native = series->histogram_count > 0;
    if (err || (native && !from.has_time))
        return err;
    err = dist_decoding_point(&r->decoding);
    if (!err)
        err = dist_batch_add_exemplar(r->decoding.batch, &exemplar);
    if (err)
        return err;
    bool known = from.has_time && from.seconds > -INT64_C(1000) * SECONDS_MAX &&
                 from.seconds < INT64_C(1000) * SECONDS_MAX;
    exemplar->raw_labels = dist_plain_labels(from.labels, from.count);
    exemplar->value_bits = nx_double_bits(from.value);
    exemplar->timestamp = known ? from.seconds * 1000 + from.nanos / 1000000 : r->at_ms;
    series->exemplar_count++;
    return NX_OK;
}

/* --- single values --- */

static enum nx_err take_value(struct dist_mf_reader *r, struct nx_view message)
{
    const struct nx_label none = {.name = NX_VIEW("")};
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    struct nx_view exemplar = {.ptr = NULL};
    struct dist_series *series = NULL;
    double value = 0;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            value = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
        else if (field.number == 2 && r->type == DIST_MF_COUNTER)
            exemplar = dist_pb_bytes_of(&pb, &field);
    }
    if (!dist_pb_ok(&pb))
        return dist_mf_broken(r, &pb, "Metric");
    enum nx_err err = dist_mf_add_sample(r, r->name, none, value, &series);
    return err || !exemplar.ptr ? err : dist_mf_add_exemplar(r, series, exemplar);
}

/* --- summaries --- */

static enum nx_err take_quantile(struct dist_mf_reader *r, struct nx_view message)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    struct dist_series *series = NULL;
    struct nx_label label;
    double quantile = 0, value = 0;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            quantile = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
        else if (field.number == 2)
            value = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
    }
    if (!dist_pb_ok(&pb))
        return dist_mf_broken(r, &pb, "Quantile");
    enum nx_err err = dist_mf_float_label(r, NX_VIEW("quantile"), quantile, &label);
    return err ? err : dist_mf_add_sample(r, r->name, label, value, &series);
}

/* The count and the sum of a summary or a classic histogram. */
enum nx_err dist_mf_add_totals(struct dist_mf_reader *r, double count, double sum)
{
    const struct nx_label none = {.name = NX_VIEW("")};
    struct dist_series *series = NULL;
    enum nx_err err = dist_mf_add_sample(r, r->count_name, none, count, &series);
    return err ? err : dist_mf_add_sample(r, r->sum_name, none, sum, &series);
}

static enum nx_err take_summary(struct dist_mf_reader *r, struct nx_view message)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    double count = 0, sum = 0;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            count = (double)dist_pb_varint_of(&pb, &field);
        else if (field.number == 2)
            sum = nx_double_from_bits(dist_pb_fixed64_of(&pb, &field));
    }
    enum nx_err err =
        dist_pb_ok(&pb) ? dist_mf_add_totals(r, count, sum) : dist_mf_broken(r, &pb, "Summary");
    pb = dist_pb_of(message);
    while (!err && dist_pb_next(&pb, &field))
        if (field.number == 3)
            err = take_quantile(r, dist_pb_bytes_of(&pb, &field));
    return err;
}

/* --- metrics --- */

static enum nx_err take_point(struct dist_mf_reader *r, struct nx_view message)
{
    switch (r->type) {
    case DIST_MF_SUMMARY:
        return take_summary(r, message);
    case DIST_MF_HISTOGRAM:
    case DIST_MF_GAUGE_HISTOGRAM:
        return dist_mf_take_histogram(r, message);
    case DIST_MF_COUNTER:
    case DIST_MF_GAUGE:
    case DIST_MF_UNTYPED:
    case DIST_MF_TYPES:
        break;
    }
    return take_value(r, message);
}

/* The labels and the time, and the message of the family's type; one that is missing is as an
 * empty one. */
static enum nx_err take_metric(struct dist_mf_reader *r, struct nx_view message)
{
    static const uint32_t point_numbers[DIST_MF_TYPES] = {3, 2, 4, 5, 7, 7};
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    struct nx_view point = NX_VIEW("");
    int64_t at_ms = 0;
    enum nx_err err = NX_OK;
    r->label_count = 1;
    while (!err && dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            err = add_pair(r, dist_pb_bytes_of(&pb, &field), &r->labels, &r->label_count,
                           &r->label_capacity);
        else if (field.number == 6)
            at_ms = (int64_t)dist_pb_varint_of(&pb, &field);
        else if (field.number == point_numbers[r->type])
            point = dist_pb_bytes_of(&pb, &field);
    }
    if (!err && !dist_pb_ok(&pb))
        err = dist_mf_broken(r, &pb, "Metric");
    if (err)
        return err;
    r->at_ms = at_ms ? at_ms : r->options->default_ms;
    return take_point(r, point);
}

/* --- families --- */

static enum nx_err join(struct dist_mf_reader *r, struct nx_view suffix, struct nx_view *out)
{
    char *bytes = nx_arena_alloc(r->arena, r->name.len + suffix.len);
    if (!bytes)
        return NX_ERR_NOMEM;
    memcpy(bytes, r->name.ptr, r->name.len);
    memcpy(bytes + r->name.len, suffix.ptr, suffix.len);
    *out = nx_view_make(bytes, r->name.len + suffix.len);
    return NX_OK;
}

static enum nx_err make_names(struct dist_mf_reader *r)
{
    if (r->type != DIST_MF_SUMMARY && r->type != DIST_MF_HISTOGRAM &&
        r->type != DIST_MF_GAUGE_HISTOGRAM)
        return NX_OK;
    enum nx_err err = join(r, NX_VIEW("_count"), &r->count_name);
    if (!err)
        err = join(r, NX_VIEW("_sum"), &r->sum_name);
    return err ? err : join(r, NX_VIEW("_bucket"), &r->bucket_name);
}

static enum nx_err add_metadata(struct dist_mf_reader *r, struct nx_view help, struct nx_view unit)
{
    /* The numbers of remote write's metadata. */
    static const uint32_t types[DIST_MF_TYPES] = {1, 2, 5, 0, 3, 4};
    struct dist_batch *batch = r->decoding.batch;
    struct dist_metadata *metadata = NULL;
    enum nx_err err =
        dist_decoding_element(&r->decoding, batch->metadata_count, "metadata entries");
    if (!err)
        err = dist_batch_add_metadata(batch, &metadata);
    if (!err)
        *metadata = (struct dist_metadata){
            .metric = r->name, .help = help, .unit = unit, .type = types[r->type]};
    return err;
}

static enum nx_err begin_family(struct dist_mf_reader *r, struct nx_view message, bool *has_metrics)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    struct nx_view help = NX_VIEW(""), unit = NX_VIEW("");
    uint64_t type = DIST_MF_COUNTER;
    r->name = NX_VIEW("");
    *has_metrics = false;
    while (dist_pb_next(&pb, &field)) {
        if (field.number == 1)
            r->name = dist_pb_bytes_of(&pb, &field);
        else if (field.number == 2)
            help = dist_pb_bytes_of(&pb, &field);
        else if (field.number == 3)
            type = dist_pb_varint_of(&pb, &field);
        else if (field.number == 5)
            unit = dist_pb_bytes_of(&pb, &field);
        *has_metrics |= field.number == 4;
    }
    if (!dist_pb_ok(&pb))
        return dist_mf_broken(r, &pb, "MetricFamily");
    if (!*has_metrics)
        return NX_OK;
    if (r->name.len == 0)
        return nx_fail_set(r->decoding.fail, NX_ERR_INVALID, "a metric family has no name");
    if (type >= DIST_MF_TYPES)
        return nx_fail_set(r->decoding.fail, NX_ERR_INVALID,
                           "unknown metric type for metric \"%.*s\"",
                           (int)(r->name.len < 100 ? r->name.len : 100), r->name.ptr);
    r->type = (enum dist_mf_type)type;
    enum nx_err err = make_names(r);
    return err ? err : add_metadata(r, help, unit);
}

static enum nx_err take_family(struct dist_mf_reader *r, struct nx_view message)
{
    struct dist_pb pb = dist_pb_of(message);
    struct dist_pb_field field;
    bool has_metrics = false;
    enum nx_err err = begin_family(r, message, &has_metrics);
    while (!err && has_metrics && dist_pb_next(&pb, &field))
        if (field.number == 4)
            err = take_metric(r, dist_pb_bytes_of(&pb, &field));
    return err ? err : dist_pb_ok(&pb) ? NX_OK : dist_mf_broken(r, &pb, "MetricFamily");
}

/* --- the stream --- */

static bool take_length(struct nx_view *body, size_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < body->len && i < 10; i++) {
        uint8_t byte = (uint8_t)body->ptr[i];
        if (i < 9 || byte <= 1)
            value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        *body = nx_view_make(body->ptr + i + 1, body->len - i - 1);
        *out = (size_t)value;
        return value <= body->len;
    }
    return false;
}

enum nx_err dist_metric_families_decode(const struct dist_metric_families *options,
                                        struct nx_view body, struct dist_batch *batch,
                                        struct nx_fail *fail)
{
    struct dist_mf_reader r = {
        .options = options,
        .decoding = {.limits = options->limits, .batch = batch, .fail = fail},
        .arena = &batch->arena};
    enum nx_err err = NX_OK;
    batch->format = &dist_plain_format;
    if (!nx_arena_grow(r.arena, &r.labels, 0, &r.label_capacity, 16, sizeof *r.labels))
        err = NX_ERR_NOMEM;
    while (!err && body.len > 0) {
        size_t len = 0;
        if (!take_length(&body, &len)) {
            err = nx_fail_set(fail, NX_ERR_INVALID,
                              "invalid protobuf: a MetricFamily ends too early");
            break;
        }
        err = take_family(&r, nx_view_make(body.ptr, len));
        body = nx_view_make(body.ptr + len, body.len - len);
    }
    return dist_decoding_end(&r.decoding, err);
}
