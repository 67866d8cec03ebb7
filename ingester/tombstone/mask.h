/* Reading a block through the deletions that are not carried out in it. Any thread. */
#ifndef ING_TOMBSTONE_MASK_H
#define ING_TOMBSTONE_MASK_H

#include "ingester/block/block_meta.h"
#include "ingester/tombstone/tombstones.h"

/* Whether any of them touches the block. */
bool ing_mask_applies(const struct ing_tombstone_list *list, const struct ing_block_meta *meta);
/* Cuts the deleted ranges of one series of the block out of its chunks, in place: *count is the
 * number of those left, of which some may be encoded anew in the arena. */
enum nx_err ing_mask_chunks(const struct ing_tombstone_list *list,
                            const struct ing_block_meta *meta, struct nx_labels labels,
                            struct nx_arena *arena, struct nx_chunk *chunks,
                            size_t *count) NX_WARN_UNUSED;

#endif
