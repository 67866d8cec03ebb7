/* Bringing the shards back to life: blocks say what the log need not give back, the log gives the
 * rest. Blocking, before any worker runs. */
#ifndef ING_OPEN_H
#define ING_OPEN_H

#include "common/base/log.h"
#include "common/base/time.h"
#include "ingester/apply.h"
#include "ingester/block/block_set.h"

struct ing_open_options {
    const struct nx_fs *fs;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_metrics *metrics;
    const char *wal_dir;
    struct ing_block_set *blocks;
    uint32_t shards;
    uint32_t partitions;
    uint64_t nonce; /* for the files written now */
    struct ing_head_options head;
};

struct ing_open_shard {
    struct ing_store store;
    uint64_t next_segment;
    uint64_t first_segment; /* the oldest there is */
    char *dir;              /* nx_free */
};

/* Fills `shards` (options->shards of them) and gives the log's generation. On failure nothing is
 * left behind in memory. */
enum nx_err ing_open_shards(const struct ing_open_options *options, struct ing_open_shard *shards,
                            uint64_t *generation) NX_WARN_UNUSED;
/* Frees stores, heads and paths. */
void ing_open_release(struct ing_open_shard *shards, uint32_t count);

#endif
