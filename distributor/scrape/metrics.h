/* Metrics of scraping; metrics.c has the table. */
#ifndef DIST_SCRAPE_METRICS_H
#define DIST_SCRAPE_METRICS_H

#include "common/telemetry/telemetry.h"

enum scrape_metric {
    SCRAPE_METRIC_SCRAPES,
    SCRAPE_METRIC_SECONDS,
    SCRAPE_METRIC_SAMPLES,
    SCRAPE_METRIC_PUSH_FAILURES,
    SCRAPE_METRIC_TARGETS,
    SCRAPE_METRIC_DISCOVERY_FAILURES,
    SCRAPE_METRIC_PEERS,
    SCRAPE_METRIC_COUNT,
};

enum scrape_outcome { SCRAPE_OUTCOME_UP, SCRAPE_OUTCOME_DOWN };
enum scrape_target_kind { SCRAPE_TARGETS_OWNED, SCRAPE_TARGETS_OTHER, SCRAPE_TARGETS_DROPPED };

enum nx_err scrape_metrics_register(struct nx_telemetry *telemetry,
                                    struct nx_metrics **out) NX_WARN_UNUSED;

#endif
