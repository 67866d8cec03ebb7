/* The ledger: the digests of everything this node holds, by tenant, partition and window, over
 * memory and blocks, with deletions taken out. Brought up to date when somebody asks, and only
 * where something has changed since: windows of the heads that passed or took late samples, blocks
 * that came or went, deletions.
 *
 * Whoever asks gets the ledger for himself from `ready` until ing_ledger_return; the others wait.
 * It is written and read on its lane only. */
#ifndef ING_REPAIR_LEDGER_H
#define ING_REPAIR_LEDGER_H

#include "ingester/repair/gather.h"

struct ing_ledger;

struct ing_ledger_ask {
    /* Samples before it are in the digests; the window in which it lies is there up to it. */
    int64_t until;
    bool afresh;                                                /* not even seconds old */
    void (*ready)(struct ing_ledger_ask *ask, enum nx_err err); /* on worker 0, exactly once */
    struct ing_ledger_ask *next;
};

enum nx_err ing_ledger_new(struct ingester *ing, struct nx_lane *lane,
                           struct ing_ledger **out) NX_WARN_UNUSED;
void ing_ledger_free(struct ing_ledger *ledger);
/* On worker 0. `ready` may be called at once. */
void ing_ledger_borrow(struct ing_ledger *ledger, struct ing_ledger_ask *ask);
/* On worker 0, once for each `ready`, with whatever result. */
void ing_ledger_return(struct ing_ledger *ledger);

/* --- on the lane, for who has it --- */

struct ing_ledger_page {
    struct nx_view tenant;
    const struct ing_digest_table *digests;
};
size_t ing_ledger_count(const struct ing_ledger *ledger);
struct ing_ledger_page ing_ledger_at(const struct ing_ledger *ledger, size_t i);
/* NULL: nothing is known of the tenant. */
const struct ing_digest_table *ing_ledger_find(const struct ing_ledger *ledger,
                                               struct nx_view tenant);

#endif
