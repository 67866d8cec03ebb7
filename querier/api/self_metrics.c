/* The process's own metrics as JSON: families in the JSON mapping of Prometheus's protobuf
 * (io.prometheus.client.MetricFamily), whose 64-bit counts are strings and whose numbers that JSON
 * has none for are words. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/cxx/re2_shim.h"
#include "querier/api/endpoints.h"

bool qry_self_metrics_prepare(struct qry_job *op)
{
    struct nx_fail fail = {0};
    struct nx_regex *pattern = NULL;
    struct nx_view text = qry_job_param(op, "metric_name_pattern");
    if (text.len == 0)
        return true;
    enum nx_err err = nx_regex_new(text, true, &pattern, &fail);
    op->state = pattern;
    if (err == NX_ERR_INVALID)
        return qry_job_fail_param(op, "metric_name_pattern", &fail);
    return err ? qry_job_fail_err(op, err, &fail) : true;
}

void qry_self_metrics_release(struct qry_job *op)
{
    nx_regex_free(op->state);
}

struct page {
    struct qry_json *json;
    const struct nx_regex *pattern; /* NULL: all */
    const struct nx_metric_desc *open;
};

static void put_text(struct qry_json *json, const char *key, const char *text)
{
    qry_json_key(json, key);
    qry_json_text(json, text);
}

static void put_number(struct qry_json *json, const char *key, double value)
{
    qry_json_key(json, key);
    if (isnan(value))
        qry_json_text(json, "NaN");
    else if (isinf(value))
        qry_json_text(json, value > 0 ? "Infinity" : "-Infinity");
    else
        qry_json_double(json, value);
}

static void put_count(struct qry_json *json, const char *key, uint64_t count)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, count);
    put_text(json, key, text);
}

static void put_label(struct qry_json *json, const char *name, const char *value)
{
    qry_json_object(json);
    put_text(json, "name", name);
    put_text(json, "value", value);
    qry_json_object_end(json);
}

/* By name. */
static void put_labels(struct qry_json *json, const struct nx_metric_sample *sample)
{
    const char *name = sample->label_value ? sample->desc->label : NULL;
    bool constant_first =
        name && sample->constant_label && strcmp(sample->constant_label, name) < 0;
    if (!name && !sample->constant_label)
        return;
    qry_json_key(json, "label");
    qry_json_array(json);
    if (sample->constant_label && (constant_first || !name))
        put_label(json, sample->constant_label, sample->constant_value);
    if (name)
        put_label(json, name, sample->label_value);
    if (sample->constant_label && name && !constant_first)
        put_label(json, sample->constant_label, sample->constant_value);
    qry_json_array_end(json);
}

static void put_histogram(struct qry_json *json, const struct nx_metric_sample *sample)
{
    const struct nx_metric_desc *desc = sample->desc;
    qry_json_key(json, "histogram");
    qry_json_object(json);
    put_count(json, "sampleCount", sample->below[desc->bucket_count]);
    put_number(json, "sampleSum", sample->value);
    qry_json_key(json, "bucket");
    qry_json_array(json);
    for (size_t i = 0; i < desc->bucket_count; i++) {
        qry_json_object(json);
        put_count(json, "cumulativeCount", sample->below[i]);
        put_number(json, "upperBound", desc->buckets[i]);
        qry_json_object_end(json);
    }
    qry_json_array_end(json);
    qry_json_object_end(json);
}

static void put_value(struct qry_json *json, const struct nx_metric_sample *sample)
{
    if (sample->desc->kind == NX_HISTOGRAM) {
        put_histogram(json, sample);
        return;
    }
    qry_json_key(json, sample->desc->kind == NX_COUNTER ? "counter" : "gauge");
    qry_json_object(json);
    put_number(json, "value", sample->value);
    qry_json_object_end(json);
}

static void end_family(struct page *page)
{
    if (page->open) {
        qry_json_array_end(page->json);
        qry_json_object_end(page->json);
    }
}

static void begin_family(struct page *page, const struct nx_metric_desc *desc)
{
    static const char *const types[] = {
        [NX_COUNTER] = "COUNTER", [NX_GAUGE] = "GAUGE", [NX_HISTOGRAM] = "HISTOGRAM"};
    end_family(page);
    page->open = desc;
    qry_json_object(page->json);
    put_text(page->json, "name", desc->name);
    put_text(page->json, "help", desc->help);
    put_text(page->json, "type", types[desc->kind]);
    qry_json_key(page->json, "metric");
    qry_json_array(page->json);
}

static void put_sample(void *user, const struct nx_metric_sample *sample)
{
    struct page *page = user;
    const struct nx_metric_desc *desc = sample->desc;
    if (page->pattern && !nx_regex_matches(page->pattern, nx_view_of(desc->name)))
        return;
    if (!page->open || strcmp(page->open->name, desc->name) != 0)
        begin_family(page, desc);
    qry_json_object(page->json);
    put_labels(page->json, sample);
    put_value(page->json, sample);
    qry_json_object_end(page->json);
}

bool qry_self_metrics_render(struct qry_job *op, struct qry_json *json)
{
    struct page page = {.json = json, .pattern = op->state};
    qry_json_array(json);
    if (op->qry->deps.telemetry)
        nx_telemetry_visit(op->qry->deps.telemetry, put_sample, &page);
    end_family(&page);
    qry_json_array_end(json);
    return true;
}
