/* Bringing the shards back to life: blocks say what the log need not give back, the log gives the
 * rest, with a thread for each shard. Blocking, before any worker knows of the shards. */
#ifndef ING_OPEN_H
#define ING_OPEN_H

#include "common/base/log.h"
#include "common/base/time.h"
#include "ingester/apply.h"
#include "ingester/block/block_set.h"
#include "ingester/progress.h"

struct ing_open_options {
    const struct nx_fs *fs;
    const struct nx_clock *clock;
    struct nx_log *log;
    struct nx_metrics *metrics;
    struct ing_progress *progress;
    const char *wal_dir;
    const char *chunks_dir; /* NULL: sealed chunks stay in memory */
    struct ing_block_set *blocks;
    uint32_t shards;
    uint32_t partitions;
    uint64_t nonce; /* for the files written now */
    struct ing_head_options head; /* but for what of its chunk files is above */
};

struct ing_open_shard {
    struct ing_store store;
    uint64_t next_segment;
    uint64_t first_segment; /* the oldest there is */
    char *dir;              /* nx_free */
};

/* What the log could not give back. */
struct ing_log_loss {
    uint64_t samples; /* about; 0: nothing is lost */
    int64_t min_t;    /* of the range of time in which they were, as far as can be told */
    int64_t max_t;
    int64_t noticed_ms;
};

/* Fills `shards` (options->shards of them), gives the log's generation and says what is lost. On failure nothing is
 * left behind in memory. NX_ERR_CLOSED where the progress was told to cancel. */
enum nx_err ing_open_shards(const struct ing_open_options *options, struct ing_open_shard *shards,
                            uint64_t *generation, struct ing_log_loss *loss) NX_WARN_UNUSED;
/* Writes what the shards hold into the log's generation `generation` and puts that in force. */
enum nx_err ing_open_dump(const struct ing_open_options *options, uint64_t generation,
                          struct ing_open_shard *shards) NX_WARN_UNUSED;
/* Calls `run` for each shard on a thread of its own, side by side, and waits for all; the first
 * failure is the result. Counts in the progress and logs how far it is every few seconds. */
enum nx_err ing_open_each(const struct ing_open_options *options, enum ing_phase phase,
                          enum nx_err (*run)(void *user, uint32_t shard),
                          void *user) NX_WARN_UNUSED;
/* A number that no series of a directory can have had, read or not: each life of the process begins
 * in a segment of its own, and has its numbers from there. */
static inline uint64_t ing_first_log_ref(uint64_t next_segment)
{
    return (next_segment << 32) + 1;
}
/* Frees stores, heads and paths. */
void ing_open_release(struct ing_open_shard *shards, uint32_t count);

#endif
