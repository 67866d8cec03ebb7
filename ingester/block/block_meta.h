/* What a block says of itself. Times: [min_t, max_t), aligned to windows. */
#ifndef ING_BLOCK_META_H
#define ING_BLOCK_META_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"

/* Up to which segment of a shard's log the block holds the samples of the windows in
 * [min_t, max_t). */
struct ing_block_position {
    uint32_t shard;
    uint64_t before; /* segments before this one */
    int64_t min_t;   /* both 0: the whole block */
    int64_t max_t;
};

struct ing_block_meta {
    struct nx_view tenant;
    int64_t min_t;
    int64_t max_t;
    int64_t created_ms;
    uint64_t series;
    uint64_t chunks; /* pieces of series */
    uint64_t samples;
    int64_t slab_ms;     /* the block's own: a piece lies between two multiples from min_t */
    uint64_t generation; /* of the log that `positions` speak of */
    const struct ing_block_position *positions;
    size_t position_count;
    /* How often its samples have been compacted; 0: as flushed. */
    uint32_t level;
    /* Deletions of this node up to this number are carried out in it (tombstones.h). */
    uint64_t deletions;
    /* Names of the directories of the same tenant that it replaces: where both are found, they go.
     */
    const struct nx_view *sources;
    size_t source_count;
};

void ing_block_meta_encode(struct nx_buf *buf, const struct ing_block_meta *meta);
/* The tenant and the sources' names alias the bytes, the lists are in the arena. */
enum nx_err ing_block_meta_decode(struct nx_view bytes, struct nx_arena *arena,
                                  struct ing_block_meta *out) NX_WARN_UNUSED;

/* The directory of a block in its tenant's: "<min>-<max>-<random>". */
#define ING_BLOCK_NAME_MAX 96
/* The directory name of a tenant: the name itself where it is letters, digits, '-' and '_', other
 * bytes as %XX; a hash where that is too long. */
#define ING_TENANT_DIR_MAX 208
void ing_tenant_dir(struct nx_view tenant, char out[ING_TENANT_DIR_MAX]);
/* The tenant of such a directory, NUL-terminated; false where its name does not tell (a hash). */
bool ing_tenant_of_dir(const char *dir, char out[ING_TENANT_DIR_MAX]) NX_WARN_UNUSED;

#endif
