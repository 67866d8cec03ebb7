#include "distributor/scrape/metrics.h"

static const char *const outcomes[] = {"up", "down", NULL};
static const char *const kinds[] = {"owned", "other", "dropped", NULL};
static const char *const mechanisms[] = {"static", "file", "http", "dns", NULL};

static const struct nx_metric_desc descs[SCRAPE_METRIC_COUNT] = {
    [SCRAPE_METRIC_SCRAPES] = {.kind = NX_COUNTER,
                               .name = "narthex_scrape_scrapes_total",
                               .help = "Scrapes of targets, by their outcome.",
                               .label = "outcome",
                               .values = outcomes},
    [SCRAPE_METRIC_SECONDS] = {.kind = NX_HISTOGRAM,
                               .name = "narthex_scrape_duration_seconds",
                               .help = "Time a target took to answer.",
                               .buckets = nx_latency_buckets,
                               .bucket_count = NX_LATENCY_BUCKETS},
    [SCRAPE_METRIC_SAMPLES] = {.kind = NX_COUNTER,
                               .name = "narthex_scrape_samples_total",
                               .help = "Samples of scrapes handed on to the ingesters."},
    [SCRAPE_METRIC_PUSH_FAILURES] = {.kind = NX_COUNTER,
                                     .name = "narthex_scrape_push_failures_total",
                                     .help = "Scrapes whose samples could not be stored."},
    [SCRAPE_METRIC_TARGETS] = {.kind = NX_GAUGE,
                               .name = "narthex_scrape_targets",
                               .help = "Targets known: scraped here, by another distributor, or "
                                       "dropped by relabeling.",
                               .label = "kind",
                               .values = kinds},
    [SCRAPE_METRIC_DISCOVERY_FAILURES] = {.kind = NX_COUNTER,
                                          .name = "narthex_scrape_discovery_failures_total",
                                          .help = "Discoveries that failed; the targets stay "
                                                  "those of the last one.",
                                          .label = "mechanism",
                                          .values = mechanisms},
    [SCRAPE_METRIC_PEERS] = {.kind = NX_GAUGE,
                             .name = "narthex_scrape_live_peers",
                             .help = "Distributors that share the targets, this one included."},
};

enum nx_err scrape_metrics_register(struct nx_telemetry *telemetry, struct nx_metrics **out)
{
    return nx_telemetry_register(telemetry, descs, SCRAPE_METRIC_COUNT, NULL, NULL, out);
}
