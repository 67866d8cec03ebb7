/* What the files of the ledger share. */
#ifndef ING_REPAIR_LEDGER_INTERNAL_H
#define ING_REPAIR_LEDGER_INTERNAL_H

#include "ingester/repair/ledger.h"

#define ING_LEDGER_DIRTY_MAX 4

/* A window of the heads, over all shards. */
struct ing_ledger_window {
    int64_t start;
    uint64_t late;
};

struct ing_ledger_tenant {
    struct nx_view name; /* owned */
    /* Of the heads. Windows before head_until are there, unless they are dirty. */
    struct ing_digest_table head;
    int64_t head_until;
    struct ing_ledger_window *windows; /* that the heads had when they were last looked at */
    size_t window_count;
    struct ing_ledger_window *seen; /* that they have now */
    size_t seen_count;
    size_t seen_capacity;
    size_t series;
    struct ing_range dirty[ING_LEDGER_DIRTY_MAX]; /* to be read again */
    size_t dirty_count;
    /* Of everything. */
    struct ing_digest_table whole;
    int64_t whole_until;
    int64_t last_window;   /* of all sources, also beyond that */
    uint64_t version;      /* of the blocks and deletions in it */
    uint64_t next_version; /* as they are now */
    /* Windows that several sources have parts of: what the parts were, and what they come to. */
    struct ing_digest_table prints;
    struct ing_digest_table sums;
};

/* What a shard has told. */
struct ing_ledger_look {
    struct nx_arena arena;
    struct ing_ledger_seen *items;
    size_t count;
};
struct ing_ledger_seen {
    struct nx_view tenant;
    size_t series;
    size_t window_count;
    struct ing_ledger_window *windows;
};

struct ing_ledger {
    struct ingester *ing;
    struct nx_lane *lane;
    struct nx_index index; /* tenants by name */
    struct ing_ledger_tenant **tenants;
    size_t count;
    size_t capacity;
    /* worker 0 */
    struct ing_ledger_ask *waiting;
    struct ing_ledger_ask *ask; /* who has it, or for whom it is made ready */
    bool fresh;                 /* it has been made ready for `until` */
    int64_t until;
    uint64_t fresh_ns;
    struct ing_fan fan;
    struct ing_ledger_look *looks; /* one a shard */
    struct nx_job job;
    size_t at; /* the tenant under work */
    size_t dirty_at;
    struct ing_scan scan;
    struct ing_gather gather;
    uint8_t *shared; /* bitmap: partitions with such windows that are to be gathered */
    struct ing_range shared_range;
    struct ing_digest_table next_prints;
    enum nx_err err;
};

/* --- on the lane --- */

/* Takes in what the shards have told, and finds what has changed. */
enum nx_err ing_ledger_plan(struct ing_ledger *ledger, int64_t until) NX_WARN_UNUSED;
bool ing_ledger_needs_work(const struct ing_ledger_tenant *tenant, int64_t until);
/* Adds up the sources of a tenant; *shared: ledger->shared and shared_range say what must be
 * gathered first. */
enum nx_err ing_ledger_combine(struct ing_ledger *ledger, struct ing_ledger_tenant *tenant,
                               int64_t until, bool *shared) NX_WARN_UNUSED;
/* Puts what was gathered in its place (NULL: nothing was to be). */
enum nx_err ing_ledger_settle(struct ing_ledger *ledger, struct ing_ledger_tenant *tenant,
                              int64_t until,
                              const struct ing_digest_table *gathered) NX_WARN_UNUSED;
/* Forgets everything of the tenant: it is read anew the next time. */
void ing_ledger_forget(struct ing_ledger_tenant *tenant);

#endif
