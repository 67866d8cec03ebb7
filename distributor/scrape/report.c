#include "distributor/scrape/report.h"

#include "common/chunk/sample.h"
#include "distributor/receive/plain_labels.h"

struct value {
    const char *name;
    double value;
};

static enum nx_err make_labels(const struct scrape_report *report, struct nx_arena *arena,
                               const char *name, struct nx_labels *out)
{
    struct nx_labels_builder builder;
    struct nx_labels made = {.count = 0};
    nx_labels_builder_init(&builder, arena, report->external);
    for (size_t i = 0; i < report->target->shown.count; i++)
        nx_labels_builder_set(&builder, report->target->shown.items[i].name,
                              report->target->shown.items[i].value);
    nx_labels_builder_set(&builder, NX_LABEL_METRIC_NAME, nx_view_of(name));
    enum nx_err err = nx_labels_builder_take(&builder, &made);
    if (err)
        return err;
    /* A push may outlive the target. */
    *out = nx_labels_copy(arena, made);
    return out->items ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err add_value(const struct scrape_report *report, const struct value *value,
                             struct dist_batch *batch)
{
    struct nx_labels labels = {.count = 0};
    struct dist_series *series = NULL;
    enum nx_err err = make_labels(report, &batch->arena, value->name, &labels);
    if (!err)
        err = dist_batch_add_series(batch, &series);
    if (err)
        return err;
    series->raw_labels = dist_plain_labels(labels.items, labels.count);
    series->label_count = (uint32_t)labels.count;
    series->cacheable = true;
    series->first_sample = (uint32_t)batch->sample_count;
    series->first_histogram = (uint32_t)batch->histogram_count;
    series->first_exemplar = (uint32_t)batch->exemplar_count;
    series->sample_count = 1;
    return dist_batch_add_sample(batch, report->at_ms,
                                 report->stale ? NX_STALE_NAN_BITS : nx_double_bits(value->value));
}

enum nx_err scrape_report_add(const struct scrape_report *report, struct dist_batch *batch)
{
    const struct scrape_job *job = report->target->job;
    const struct value values[] = {
        {"up", report->up ? 1 : 0},
        {"scrape_duration_seconds", report->seconds},
        {"scrape_samples_scraped", (double)report->counts.scraped},
        {"scrape_samples_post_metric_relabeling", (double)report->counts.kept},
        {"scrape_series_added", (double)report->counts.added},
        {"scrape_timeout_seconds", (double)report->target->timeout_ms / 1000},
        {"scrape_sample_limit", (double)job->sample_limit},
        {"scrape_body_size_bytes", (double)report->body_bytes},
    };
    size_t count = sizeof values / sizeof values[0];
    enum nx_err err = NX_OK;
    batch->format = &dist_plain_format;
    for (size_t i = 0; i < (job->extra_metrics ? count : count - 3) && !err; i++)
        err = add_value(report, &values[i], batch);
    return err;
}
