/* The series that tell how a scrape went: up, scrape_duration_seconds, scrape_samples_scraped,
 * scrape_samples_post_metric_relabeling, scrape_series_added, and where the job asks for them
 * scrape_timeout_seconds, scrape_sample_limit and scrape_body_size_bytes. */
#ifndef DIST_SCRAPE_REPORT_H
#define DIST_SCRAPE_REPORT_H

#include "distributor/scrape/samples.h"

struct scrape_report {
    const struct scrape_target *target;
    struct nx_labels external;
    int64_t at_ms;
    bool stale; /* markers instead of values: the target is gone */
    bool up;
    double seconds;
    struct scrape_counts counts;
    int64_t body_bytes; /* -1: more than the limit */
};

/* Adds them to the batch; their labels are copied. */
enum nx_err scrape_report_add(const struct scrape_report *report,
                              struct dist_batch *batch) NX_WARN_UNUSED;

#endif
