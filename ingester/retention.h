/* Which blocks of a tenant go: those whose samples are all too old, and beyond a size the oldest.
 */
#ifndef ING_RETENTION_H
#define ING_RETENTION_H

#include "ingester/block/block_set.h"

struct ing_retention_rule {
    int64_t max_age_ms;
    int64_t max_bytes; /* of the tenant's blocks; 0: no limit */
};
/* The rule of a tenant; any thread. */
typedef struct ing_retention_rule (*ing_retention_lookup)(void *user, struct nx_view tenant);

struct ing_retention_result {
    size_t too_old;
    size_t too_large;
    size_t damaged; /* could not be opened, and beyond one of the two */
};

/* Removes what goes from the set and the disk. By the wall clock: a block goes when all of its time
 * lies `max_age_ms` or more before `now_ms`. Blocking. */
enum nx_err ing_retention_apply(struct ing_block_set *set, int64_t now_ms,
                                ing_retention_lookup lookup, void *user,
                                struct ing_retention_result *out) NX_WARN_UNUSED;

#endif
