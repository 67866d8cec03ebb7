/* Brings back into a head what the log holds of it and the blocks do not. Blocking; one thread a
 * head, side by side. Damage is counted and logged, never a failure; a failure is the machine's
 * (memory, unreadable directory), or NX_ERR_CLOSED where the start was called off. */
#ifndef ING_WAL_REPLAY_H
#define ING_WAL_REPLAY_H

#include "common/base/log.h"
#include "common/base/time.h"
#include "ingester/head/head.h"
#include "ingester/progress.h"
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

/* The share of one head. */
struct ing_replay {
    struct ing_head *head;
    uint32_t number; /* of the head, among `heads` */
    uint32_t heads;
    uint32_t partitions;
    bool reports; /* counts bytes and damage: one of those that read the same directory */
    bool cuts;    /* cuts torn ends off */
    const struct ing_coverage *coverage;
    const struct nx_fs *fs;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct ing_progress *progress; /* may be NULL */
    struct ing_replay_stats stats;
    uint64_t first_segment; /* of the directory read last: the oldest that is needed */
};

/* Replays the head's series in the directory of shard `dir_shard`. `book` (may be NULL) notes the
 * windows of each segment. Gives the number of the next segment. */
enum nx_err ing_replay_dir(struct ing_replay *replay, const char *dir, uint32_t dir_shard,
                           struct ing_book *book, uint64_t *next_segment) NX_WARN_UNUSED;
/* The bytes that a replay of the directory reads; 0 where it cannot be listed. */
uint64_t ing_replay_size(const char *dir);

#endif
