/* Targets: what discovery found, through the relabeling of its job, becomes a URL to scrape and the
 * labels of its samples (Prometheus's scrape/target.go tells the rules). */
#ifndef DIST_SCRAPE_TARGET_H
#define DIST_SCRAPE_TARGET_H

#include <pthread.h>

#include "common/base/hash.h"
#include "distributor/scrape/config.h"

struct scrape_family { /* what a target said of a metric */
    const char *metric, *help, *unit;
    uint32_t type; /* as in struct dist_metadata */
};

/* How a target's scrapes went; lives on through reloads. `lock` guards it. */
struct scrape_status {
    struct nx_refcount refs;
    pthread_mutex_t lock;
    bool scraped;
    bool up;
    int64_t last_ms;
    double last_seconds;
    char last_error[512];  /* "": none */
    struct nx_arena arena; /* of the families */
    struct scrape_family *families;
    size_t family_count;
};

struct scrape_status *scrape_status_new(void);
struct scrape_status *scrape_status_take(struct scrape_status *status);
void scrape_status_drop(struct scrape_status *status); /* NULL: nothing */

/* Its texts are in the arena of the plan (plan.h) that holds it. Immutable, save its status. */
struct scrape_target {
    const struct scrape_job *job;
    struct nx_labels discovered; /* before relabeling */
    struct nx_labels labels;     /* after, without meta labels, with internal ones */
    struct nx_labels shown;      /* of its samples: no name begins with "__" */
    const char *url;             /* NULL: dropped by relabeling */
    int64_t interval_ms;
    int64_t timeout_ms;
    uint64_t hash;         /* places its scrapes within the interval */
    struct nx_hash128 key; /* identity: the job's name, the labels and the URL */
    bool over_limit;       /* of the job's target_limit: every scrape fails */
    struct scrape_status *status;
};

/* The labels a target has before relabeling: its own, its group's, and the job's settings. */
enum nx_err scrape_target_discovered(struct nx_arena *arena, const struct scrape_job *job,
                                     struct nx_labels own, struct nx_labels group,
                                     struct nx_labels *out) NX_WARN_UNUSED;

/* Fills all but the status. A target that relabeling drops has url NULL. NX_ERR_INVALID with
 * Prometheus's text where it cannot be scraped. What relabeling makes may lie in the job's rules,
 * which must outlive the target. */
enum nx_err scrape_target_populate(struct nx_arena *arena, const struct scrape_job *job,
                                   struct nx_labels own, struct nx_labels group,
                                   struct scrape_target *out, struct nx_fail *fail) NX_WARN_UNUSED;

/* How long from `now_ns` (of the wall clock) to the target's next place within its interval.
 * `seed` is the same on all distributors, so that a target keeps its place when it moves. */
uint64_t scrape_target_offset_ns(const struct scrape_target *target, uint64_t seed,
                                 uint64_t now_ns);

#endif
