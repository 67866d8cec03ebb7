/* A plan: all targets of the configuration as discovery knows them at one moment, and which of them
 * this distributor scrapes. Immutable and shared; building one relabels everything, so it belongs
 * on a lane. */
#ifndef DIST_SCRAPE_PLAN_H
#define DIST_SCRAPE_PLAN_H

#include "distributor/scrape/target.h"

struct scrape_pool {
    const struct scrape_job *job;
    struct scrape_target **active; /* in the order of discovery, without duplicates */
    size_t active_count;
    struct scrape_target **dropped; /* by relabeling; at most keep_dropped_targets */
    size_t dropped_count;
    size_t dropped_total;
};

struct scrape_plan {
    struct nx_refcount refs;
    struct nx_arena arena;
    struct scrape_config *config;
    struct scrape_groups **groups; /* held, since labels alias them */
    size_t group_count;
    struct scrape_pool *pools; /* one a job, sorted by name */
    size_t pool_count;
    struct scrape_target **by_key; /* the active ones, sorted by key */
    bool *owned;                   /* of by_key: this distributor's */
    size_t target_count;
    struct nx_buf problems; /* targets that cannot be scraped, a line each */
    size_t problem_count;
};

/* What a plan is made of. Everything is taken by reference. */
struct scrape_plan_input {
    struct scrape_config *config;
    struct scrape_groups ***groups; /* [job][sd]; NULL: nothing discovered yet */
    const char *const *peers;       /* live distributors, all of them; NULL-terminated */
    const char *self;               /* among them; where there are no peers all targets are owned */
    struct scrape_plan *previous;   /* whose states live on; may be NULL */
};

enum nx_err scrape_plan_build(const struct scrape_plan_input *input,
                              struct scrape_plan **out) NX_WARN_UNUSED;
struct scrape_plan *scrape_plan_take(struct scrape_plan *plan);
void scrape_plan_drop(struct scrape_plan *plan); /* NULL: nothing */

int scrape_key_cmp(struct nx_hash128 a, struct nx_hash128 b);
/* The position in by_key, or SIZE_MAX. */
size_t scrape_plan_find(const struct scrape_plan *plan, struct nx_hash128 key);
/* Whether some target's samples carry exactly these labels. */
bool scrape_plan_has_labels(const struct scrape_plan *plan, struct nx_labels shown);

/* Rendezvous hashing: the peer that scrapes the target. `peers` is not empty. */
const char *scrape_owner(struct nx_hash128 key, const char *const *peers);

#endif
