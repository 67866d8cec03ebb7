/* The digests of one block, kept in the file `digests` in its directory (docs/formats/block.md), so
 * that a block is read for them once in its life. Blocking; a lane. */
#ifndef ING_REPAIR_BLOCK_DIGEST_H
#define ING_REPAIR_BLOCK_DIGEST_H

#include "common/base/file.h"
#include "ingester/block/block_reader.h"
#include "ingester/repair/digest.h"
#include "ingester/tombstone/tombstones.h"

/* Adds the block's digests, read through the deletions that it is read through, to the table: from
 * the file, or from the block, and then to the file. A file that is damaged, or older than a
 * deletion, is written anew; one that cannot be written is done without. NX_ERR_CORRUPT: the
 * block is damaged. */
enum nx_err ing_block_digest(const struct nx_fs *fs, struct ing_block *block,
                             const struct ing_tombstone_list *tombstones, uint32_t partitions,
                             struct ing_digest_table *out) NX_WARN_UNUSED;

#endif
