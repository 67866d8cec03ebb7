/* What happens to blocks once they are written: retention, compaction, and the rewriting that
 * deletions ask for. On a lane of its own, one step at a time, at low priority and at no more than
 * storage.compaction-rate bytes a second. */
#ifndef ING_COMPACT_COMPACTOR_H
#define ING_COMPACT_COMPACTOR_H

#include "ingester/ingester_internal.h"

struct ing_compactor;

enum nx_err ing_compactor_new(struct ingester *ing, struct ing_compactor **out) NX_WARN_UNUSED;
/* Begins to look for work every few seconds; on worker 0 or before the workers run. */
enum nx_err ing_compactor_start(struct ing_compactor *compactor) NX_WARN_UNUSED;
/* On worker 0: there are new blocks, look soon. */
void ing_compactor_nudge(struct ing_compactor *compactor);
/* On worker 0: what is being written is given up (it is done again after the next start); `done`
 * when the lane is idle and the timer is closed. */
void ing_compactor_stop(struct ing_compactor *compactor, void (*done)(void *user), void *user);
/* After the workers or in place of a start that failed. */
void ing_compactor_free(struct ing_compactor *compactor);

/* The RPC methods `compact` (everything that can be joined, now) and `clean` (carries out the
 * deletions of a tenant in its blocks); each answers when it is done. */
void ing_compact_handle(struct nx_rpc_request *req, void *ing);
void ing_clean_handle(struct nx_rpc_request *req, void *ing);

#endif
