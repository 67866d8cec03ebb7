/* Brings back into the heads what the log holds and the blocks do not. Blocking, while no worker
 * runs. Damage is counted and logged, never a failure; a failure is the machine's (memory,
 * unreadable directory). */
#ifndef ING_WAL_REPLAY_H
#define ING_WAL_REPLAY_H

#include "common/base/log.h"
#include "common/base/time.h"
#include "ingester/head/head.h"
#include "ingester/wal/book.h"
#include "ingester/wal/coverage.h"
#include "ingester/wal/layout.h"

struct ing_replay_stats {
    uint64_t files;
    uint64_t bytes;
    uint64_t samples;       /* brought back */
    uint64_t covered;       /* skipped: in blocks */
    uint64_t lost;          /* their series is unknown */
    uint64_t refused;       /* by the head's rules */
    uint64_t damaged_spots; /* gaps, torn tails of files that are not the last, unreadable files */
    uint64_t damaged_bytes;
    uint64_t torn_bytes; /* at the end of the last file of a shard: a write cut by a crash */
};

struct ing_replay {
    struct ing_head *const *heads;
    uint32_t shards;
    uint32_t partitions;
    const struct ing_coverage *coverage;
    const struct nx_fs *fs;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct ing_replay_stats stats;
    uint64_t first_segment; /* of the directory read last: the oldest that is needed */
};

/* Replays one shard's directory; its records go to the heads by partition. `book` (may be NULL)
 * notes the windows of each segment, for which directory `dir_shard` must belong to head
 * `dir_shard`. Gives the number of the next segment. */
enum nx_err ing_replay_dir(struct ing_replay *replay, const char *dir, uint32_t dir_shard,
                           struct ing_book *book, uint64_t *next_segment) NX_WARN_UNUSED;

#endif
