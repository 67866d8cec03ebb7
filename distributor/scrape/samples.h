/* From what a target exposed to what is stored: target labels are attached, metric_relabel_configs
 * run, limits are held, and series that have vanished since the last scrape get a stale marker.
 * The rules are those of Prometheus's scrape loop (scrape/scrape.go).
 *
 * A cache remembers the series of a target from scrape to scrape. A scrape goes: take the decoded
 * samples, mark what is stale, end. One thread at a time. */
#ifndef DIST_SCRAPE_SAMPLES_H
#define DIST_SCRAPE_SAMPLES_H

#include "distributor/batch.h"
#include "distributor/scrape/target.h"

/* Stands for "no timestamp given" in a decoded batch. */
#define SCRAPE_NO_TIMESTAMP INT64_MIN

struct scrape_cache;

struct scrape_rules {
    const struct scrape_job *job;
    struct nx_labels target;   /* labels of every sample */
    struct nx_labels external; /* set where a series does not have them */
    int64_t at_ms;             /* time of the scrape */
};

struct scrape_counts {
    size_t scraped; /* samples exposed */
    size_t kept;    /* of them left by metric relabeling */
    size_t added;   /* series seen for the first time */
};

enum nx_err scrape_cache_new(struct scrape_cache **out) NX_WARN_UNUSED;
void scrape_cache_free(struct scrape_cache *cache); /* NULL: nothing */
size_t scrape_cache_count(const struct scrape_cache *cache);
/* Whether there is a series that would be marked stale if it vanished. */
bool scrape_cache_has_series(const struct scrape_cache *cache);
/* The labels of samples are made by other rules from now on: the next scrape that succeeds marks
 * stale what it no longer makes. */
void scrape_cache_change_rules(struct scrape_cache *cache);

/* Rewrites a batch as decoded by dist_exposition_decode or dist_metric_families_decode: final
 * labels, timestamps, dropped samples taken out. NX_ERR_INVALID with Prometheus's text where a
 * limit is passed or a label set is no good: nothing of the batch is to be stored then. The counts
 * are right in both cases. NX_ERR_NOMEM.
 */
enum nx_err scrape_samples_take(struct scrape_cache *cache, const struct scrape_rules *rules,
                                struct dist_batch *batch, struct scrape_counts *counts,
                                struct nx_fail *fail) NX_WARN_UNUSED;
/* Adds a stale marker at `at_ms` for each series of the previous scrape that this one lacks. */
enum nx_err scrape_samples_mark_stale(struct scrape_cache *cache, int64_t at_ms,
                                      struct dist_batch *batch) NX_WARN_UNUSED;
/* The end of a scrape: what it saw becomes the previous scrape. `whole` false: it failed or was
 * empty, so that series that it lacks are still known when they come back. */
void scrape_samples_end(struct scrape_cache *cache, bool whole);

#endif
