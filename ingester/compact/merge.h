/* Joins blocks of a tenant into one: series in the order of their labels, samples of the same time
 * once (common/chunk/merge.h), deletions carried out. Memory follows the number of blocks and the
 * index of the result, not the data. */
#ifndef ING_COMPACT_MERGE_H
#define ING_COMPACT_MERGE_H

#include <stdatomic.h>

#include "ingester/block/block_set.h"
#include "ingester/pace.h"
#include "ingester/tombstone/tombstones.h"

struct ing_merge {
    const struct nx_fs *fs;
    struct ing_block_set *set;
    const struct ing_block_list *sources;        /* of one tenant; at least one */
    const struct ing_tombstone_list *tombstones; /* all of the tenant up to `deletions` */
    uint64_t deletions;
    uint64_t generation; /* of the log; positions of others are left out */
    int64_t now_ms;
    struct ing_pace *pace;
    const atomic_bool *cancel; /* polled; NX_ERR_CANCELED */
    struct ing_block *damaged; /* out: the source that cannot be read, where it ends with
                                  NX_ERR_CORRUPT */
};

/* Writes, verifies and opens the new block, which names its sources; *out is NULL where nothing
 * is left to say. It is not in the set yet (ing_block_set_replace). Blocking, for long. */
enum nx_err ing_merge_run(struct ing_merge *merge, struct ing_block **out) NX_WARN_UNUSED;

#endif
