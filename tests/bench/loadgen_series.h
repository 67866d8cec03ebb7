/* The series of the load: of each 100, forty are buckets of request histograms, the rest counters,
 * gauges and constants as node_exporter has them, with 8 or 9 labels. Every value is a function of
 * series, scrape and the options alone, so that whoever asks the database afterwards knows what
 * must be there. */
#ifndef TESTS_BENCH_LOADGEN_SERIES_H
#define TESTS_BENCH_LOADGEN_SERIES_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

enum { LOAD_BLOCK = 100, LOAD_MAX_METRICS = 16 };

struct load_options {
    uint64_t series;
    uint64_t scrapes;
    uint64_t first_scrape; /* number of the first one: a load that goes on where another ended */
    int64_t start_ms;      /* time of the first one */
    int64_t interval_ms;
    uint64_t batch;      /* series a request */
    unsigned noise_bits; /* of the noisy gauges */
    double churn; /* share of the series that is replaced by new ones from one scrape to the next */
};

struct load_template; /* the label sets, encoded once */

enum nx_err load_template_new(struct load_template **out) NX_WARN_UNUSED;
void load_template_free(struct load_template *template);

/* The timestamps that fit: their varint has six bytes. */
#define LOAD_MIN_MS (INT64_C(1) << 35)
#define LOAD_MAX_MS ((INT64_C(1) << 42) - 1)

uint64_t load_batches(const struct load_options *options);
/* Series in that batch. */
uint64_t load_batch_series(const struct load_options *options, uint64_t batch);
/* Appends the WriteRequest of one batch of one scrape, counted from the first. */
void load_encode(const struct load_template *template, const struct load_options *options,
                 uint64_t batch, uint64_t scrape, struct nx_buf *out);

double load_value(const struct load_options *options, uint64_t series, uint64_t scrape);

/* What is stored once everything has been acknowledged, a metric. */
struct load_expected {
    const char *metric;
    uint64_t series; /* churn counted */
    uint64_t samples;
    double sum;      /* of all samples */
    double last_sum; /* of the last scrape */
};
/* Returns their number, at most LOAD_MAX_METRICS. */
size_t load_expect(const struct load_options *options, struct load_expected *out);

#endif
