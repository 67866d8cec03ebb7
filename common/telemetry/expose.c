/* The Prometheus text format, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format */
#include <inttypes.h>
#include <string.h>

#include "common/cxx/number_shim.h"
#include "common/telemetry/telemetry_internal.h"

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
static void put_series(struct nx_buf *out, const struct family *family, size_t slot,
                       const char *suffix, const char *le)
{
    const struct nx_metrics *metrics = family->metrics;
    char separator = '{';
    nx_buf_append_str(out, family->desc->name);
    nx_buf_append_str(out, suffix);
    if (metrics->constant_label) {
        put_label(out, &separator, metrics->constant_label, metrics->constant_value);
    }
    if (family->desc->label) {
        put_label(out, &separator, family->desc->label, family->desc->values[slot]);
    }
    if (le) {
        put_label(out, &separator, "le", le);
    }
    nx_buf_append_str(out, separator == ',' ? "} " : " ");
}

static void put_histogram(struct nx_buf *out, const struct family *family, size_t slot,
                          const atomic_uint_fast64_t *cells)
{
    const struct nx_metric_desc *desc = family->desc;
    uint64_t below = 0;
    for (size_t i = 0; i <= desc->bucket_count; i++) {
        char le[NX_FLOAT_MAX] = "+Inf";
        if (i < desc->bucket_count) {
            le[nx_float_format_g(desc->buckets[i], le)] = '\0';
        }
        below += atomic_load_explicit(&cells[i], memory_order_relaxed);
        put_series(out, family, slot, "_bucket", le);
        nx_buf_printf(out, "%" PRIu64 "\n", below);
    }
    put_series(out, family, slot, "_sum", NULL);
    put_number(out, nx_cell_double(&cells[desc->bucket_count + 1]));
    nx_buf_append_char(out, '\n');
    put_series(out, family, slot, "_count", NULL);
    nx_buf_printf(out, "%" PRIu64 "\n", below);
}

static void put_family(struct nx_buf *out, const struct family *family)
{
    const struct nx_metrics *metrics = family->metrics;
    const atomic_uint_fast64_t *cells = metrics->cells + metrics->first_cell[family->id];
    for (size_t slot = 0; slot < metrics->slots[family->id]; slot++) {
        if (family->desc->kind == NX_HISTOGRAM) {
            put_histogram(out, family, slot, cells);
        } else {
            put_series(out, family, slot, "", NULL);
            put_number(out, nx_cell_double(cells));
            nx_buf_append_char(out, '\n');
        }
        cells += nx_metric_cells(family->desc);
    }
}

void nx_telemetry_expose(struct nx_telemetry *telemetry, struct nx_buf *out)
{
    pthread_mutex_lock(&telemetry->lock);
    for (size_t i = 0; i < telemetry->collector_count; i++) {
        telemetry->collectors[i].collect(telemetry->collectors[i].user);
    }
    const char *open = "";
    for (size_t i = 0; i < telemetry->family_count; i++) {
        const struct family *family = &telemetry->families[i];
        if (strcmp(open, family->desc->name) != 0) {
            open = family->desc->name;
            put_header(out, family->desc);
        }
        put_family(out, family);
    }
    pthread_mutex_unlock(&telemetry->lock);
}
