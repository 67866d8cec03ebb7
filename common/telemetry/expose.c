/* The Prometheus text format, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
#include <inttypes.h>
#include <string.h>

#include "common/cxx/number_shim.h"
#include "common/telemetry/telemetry.h"

static void put_escaped(struct nx_buf *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\\') {
            nx_buf_append_str(out, "\\\\");
        } else if (*text == '\n') {
            nx_buf_append_str(out, "\\n");
        } else if (*text == '"' && quotes) {
            nx_buf_append_str(out, "\\\"");
        } else {
            nx_buf_append_char(out, *text);
        }
    }
}

static void put_number(struct nx_buf *out, double value)
{
    char text[NX_FLOAT_MAX];
    size_t len = nx_float_format_g(value, text);
    nx_buf_append(out, text, len);
}

static void put_header(struct nx_buf *out, const struct nx_metric_desc *desc)
{
    static const char *const types[] = {
        [NX_COUNTER] = "counter", [NX_GAUGE] = "gauge", [NX_HISTOGRAM] = "histogram"};
    nx_buf_printf(out, "# HELP %s ", desc->name);
    put_escaped(out, desc->help, false);
    nx_buf_printf(out, "\n# TYPE %s %s\n", desc->name, types[desc->kind]);
}

static void put_label(struct nx_buf *out, char *separator, const char *name, const char *value)
{
    nx_buf_append_char(out, *separator);
    *separator = ',';
    nx_buf_append_str(out, name);
    nx_buf_append_str(out, "=\"");
    put_escaped(out, value, true);
    nx_buf_append_char(out, '"');
}

/* The name with suffix, its labels, and the blank before the value. `le` NULL: no such label. */
static void put_series(struct nx_buf *out, const struct nx_metric_sample *sample,
                       const char *suffix, const char *le)
{
    char separator = '{';
    nx_buf_append_str(out, sample->desc->name);
    nx_buf_append_str(out, suffix);
    if (sample->constant_label) {
        put_label(out, &separator, sample->constant_label, sample->constant_value);
    }
    if (sample->label_value) {
        put_label(out, &separator, sample->desc->label, sample->label_value);
    }
    if (le) {
        put_label(out, &separator, "le", le);
    }
    nx_buf_append_str(out, separator == ',' ? "} " : " ");
}

static void put_histogram(struct nx_buf *out, const struct nx_metric_sample *sample)
{
    const struct nx_metric_desc *desc = sample->desc;
    for (size_t i = 0; i <= desc->bucket_count; i++) {
        char le[NX_FLOAT_MAX] = "+Inf";
        if (i < desc->bucket_count) {
            le[nx_float_format_g(desc->buckets[i], le)] = '\0';
        }
        put_series(out, sample, "_bucket", le);
        nx_buf_printf(out, "%" PRIu64 "\n", sample->below[i]);
    }
    put_series(out, sample, "_sum", NULL);
    put_number(out, sample->value);
    nx_buf_append_char(out, '\n');
    put_series(out, sample, "_count", NULL);
    nx_buf_printf(out, "%" PRIu64 "\n", sample->below[desc->bucket_count]);
}

struct page {
    struct nx_buf *out;
    const char *open; /* name of the family that is being written */
};

static void put_sample(void *user, const struct nx_metric_sample *sample)
{
    struct page *page = user;
    if (strcmp(page->open, sample->desc->name) != 0) {
        page->open = sample->desc->name;
        put_header(page->out, sample->desc);
    }
    if (sample->desc->kind == NX_HISTOGRAM) {
        put_histogram(page->out, sample);
        return;
    }
    put_series(page->out, sample, "", NULL);
    put_number(page->out, sample->value);
    nx_buf_append_char(page->out, '\n');
}

void nx_telemetry_expose(struct nx_telemetry *telemetry, struct nx_buf *out)
{
    struct page page = {.out = out, .open = ""};
    nx_telemetry_visit(telemetry, put_sample, &page);
}
