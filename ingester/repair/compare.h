/* Comparing with one peer: what it holds that this node may lack. From coarse to fine: one sum a
 * partition, then days, then windows, each asked only for where the one before differs. On worker
 * 0; the comparison itself on the ledger's lane. */
#ifndef ING_REPAIR_COMPARE_H
#define ING_REPAIR_COMPARE_H

#include "ingester/repair/query.h"

/* Windows of a tenant, with a peer's digests of them. */
struct ing_diff {
    struct nx_view tenant; /* owned */
    struct ing_digest_table rows;
};
struct ing_diffs {
    struct ing_diff *items;
    size_t count;
    size_t capacity;
};
void ing_diffs_release(struct ing_diffs *diffs);
/* The tenant's, added where it is missing. */
enum nx_err ing_diffs_get(struct ing_diffs *diffs, struct nx_view tenant,
                          struct ing_diff **out) NX_WARN_UNUSED;
const struct ing_diff *ing_diffs_find(const struct ing_diffs *diffs, struct nx_view tenant);

/* More rows than this are left for the next time. */
#define ING_COMPARE_ROWS_MAX 4000000u

struct ing_compare {
    /* --- set by the owner --- */
    struct ingester *ing;
    struct nx_lane *lane;
    struct ing_ledger *ledger;
    struct nx_rpc_client *client;
    const char *address;
    const uint8_t *partitions; /* bitmap: both hold */
    int64_t until;
    bool afresh;                   /* the own digests: read again however new they are */
    const struct ing_diffs *taken; /* what has been pulled from it: is not told again */
    uint64_t timeout_ms;
    void (*done)(struct ing_compare *compare, enum nx_err err); /* on worker 0 */
    /* --- the result --- */
    struct ing_diffs diffs; /* to be pulled */
    uint8_t *equal;         /* bitmap: partitions without a difference */
    uint64_t deletions;     /* as in DigestsResponse */
    uint64_t own_deletions;
    bool partial; /* there is more */
    bool peer_has_data;
    /* --- its own --- */
    enum { ING_COMPARE_ALL, ING_COMPARE_DAYS, ING_COMPARE_WINDOWS } level;
    struct nx_rpc_call *call;
    struct nx_buf answer;
    struct ing_ledger_ask ask;
    struct nx_job job;
    struct ing_digest_query query;
    uint8_t *differs; /* bitmap */
    struct ing_diffs days;
    size_t day_at;
    enum nx_err err;
};

void ing_compare_start(struct ing_compare *compare);
/* `done` follows with NX_ERR_CANCELED, soon. */
void ing_compare_cancel(struct ing_compare *compare);
void ing_compare_release(struct ing_compare *compare);

#endif
