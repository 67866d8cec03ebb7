/* The process's own metrics. A module declares a table of metric families and gets an instance with a slot
 * a family (or a slot a label value); updates are relaxed atomics, so any thread may update; exposition
 * writes the Prometheus text format, version 0.0.4, with HELP and TYPE, families in name order.
 *
 *     static const struct nx_metric_desc descs[] = {
 *         [DIST_SAMPLES] = {NX_COUNTER, "narthex_distributor_samples_total", "Samples received.", NULL, NULL},
 *     };
 */
#ifndef NX_TELEMETRY_TELEMETRY_H
#define NX_TELEMETRY_TELEMETRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define NX_METRIC_BUCKETS_MAX 64

enum nx_metric_kind { NX_COUNTER, NX_GAUGE, NX_HISTOGRAM };

struct nx_metric_desc {
    enum nx_metric_kind kind;
    const char *name;
    const char *help;
    const char *label;          /* name of its one label, or NULL */
    const char *const *values;  /* that label's values, NULL-terminated: one slot each */
    const double *buckets;      /* histogram: ascending upper bounds, +Inf left out */
    size_t bucket_count;        /* at most NX_METRIC_BUCKETS_MAX */
};

/* Upper bounds in seconds from 100 us to 10 s, for request and fsync latencies. */
enum { NX_LATENCY_BUCKETS = 16 }; /* for static tables, which need a constant */
extern const double nx_latency_buckets[NX_LATENCY_BUCKETS];
extern const size_t nx_latency_bucket_count;

struct nx_telemetry; /* the process's registry */
struct nx_metrics;   /* one module's instance */

enum nx_err nx_telemetry_new(struct nx_telemetry **out) NX_WARN_UNUSED;
void nx_telemetry_free(struct nx_telemetry *telemetry);

/* The descriptors must outlive the registry. `constant_label`/`constant_value` (may be NULL) go on every
 * series of the instance (several instances of one table: shards). Families of one name are exposed
 * together. The same table with the same constant label again gives the same instance. NX_ERR_EXISTS where a
 * family of that name has another kind or already has these labels from another table. Before the loops
 * run. */
enum nx_err nx_telemetry_register(struct nx_telemetry *telemetry, const struct nx_metric_desc *descs,
                                  size_t count, const char *constant_label, const char *constant_value,
                                  struct nx_metrics **out) NX_WARN_UNUSED;

/* `id` is the position in the table; `slot` the position among the label's values (0 without label).
 * `metrics` may be NULL: nothing happens (tests). Any thread. */
void nx_metric_add(struct nx_metrics *metrics, size_t id, size_t slot, double delta);
void nx_metric_set(struct nx_metrics *metrics, size_t id, size_t slot, double value);
void nx_metric_observe(struct nx_metrics *metrics, size_t id, size_t slot, double value);
/* Of a histogram, the number of observations. */
double nx_metric_value(const struct nx_metrics *metrics, size_t id, size_t slot);

static inline void nx_metric_inc(struct nx_metrics *metrics, size_t id)
{
    nx_metric_add(metrics, id, 0, 1);
}

/* Called before each exposition, to set gauges that are read rather than kept. */
typedef void (*nx_telemetry_collect)(void *user);
enum nx_err nx_telemetry_on_collect(struct nx_telemetry *telemetry, nx_telemetry_collect collect, void *user)
    NX_WARN_UNUSED;

/* process_* (cpu, resident memory, open files, start time) and narthex_build_info, as every Prometheus
 * exporter has them. */
enum nx_err nx_telemetry_register_process(struct nx_telemetry *telemetry) NX_WARN_UNUSED;

/* One series of the registry while it is visited. */
struct nx_metric_sample {
    const struct nx_metric_desc *desc;
    const char *constant_label; /* NULL: none */
    const char *constant_value;
    const char *label_value; /* of desc->label; NULL: none */
    double value;          /* of a histogram the sum of what was observed */
    const uint64_t *below; /* of a histogram: observations up to each bound, and at last all */
};

/* Every series, by the names of their families. Any thread; the collectors run on the caller's, one
 * visit at a time. */
void nx_telemetry_visit(struct nx_telemetry *telemetry,
                        void (*visit)(void *user, const struct nx_metric_sample *sample), void *user);

/* Any thread; appends. Visits. */
void nx_telemetry_expose(struct nx_telemetry *telemetry, struct nx_buf *out);

#endif
