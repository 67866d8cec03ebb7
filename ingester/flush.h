/* Moving windows that have passed from memory to blocks, and what follows from it: series without
 * samples leave the heads, log segments that hold nothing else are replaced by a checkpoint. Above
 * storage.max-memory the oldest windows go early. One run at a time, driven on worker 0; shards are
 * asked for a slice of series at a time and never wait for the disk. */
#ifndef ING_FLUSH_H
#define ING_FLUSH_H

#include "ingester/ingester_internal.h"
#include "ingester/pace.h"

enum nx_err ing_flush_new(struct ingester *ing, struct ing_flush **out) NX_WARN_UNUSED;
/* Begins to look for ripe windows every few seconds; on worker 0 or before the workers run. */
enum nx_err ing_flush_start(struct ing_flush *flush) NX_WARN_UNUSED;
/* On worker 0: no new run begins; `done` when the running one has ended and the timer is closed. */
void ing_flush_stop(struct ing_flush *flush, void (*done)(void *user), void *user);
void ing_flush_free(struct ing_flush *flush);

/* Somebody wants windows in blocks now. Belongs to the flush from the asking until `done`. */
struct ing_flush_want {
    struct nx_task task;
    struct ing_flush_want *next;
    struct ing_flush *flush;
    struct nx_worker *home; /* where `done` is called */
    struct nx_view tenant;  /* ptr NULL: all */
    struct ing_range range;
    enum nx_err err; /* whether the blocks are on disk */
    void (*done)(struct ing_flush_want *want);
};
/* Any worker. What was in memory before the call is in blocks when `done` comes with NX_OK. */
void ing_flush_ask(struct ing_flush *flush, struct ing_flush_want *want);

/* The end of a window's wait (exposed for tests): whether it goes to a block now. All times ms. */
struct ing_window_state {
    int64_t end;             /* of the window */
    int64_t newest_t;        /* of the tenant */
    int64_t first_append_ms; /* wall clock */
    int64_t last_append_ms;
};
bool ing_window_is_ripe(const struct ing_window_state *window, const struct ing_window_rules *rules,
                        int64_t now_ms);

/* --- the steps, each in a file of its own --- */

/* A run of consecutive windows of one tenant that go to one block. */
struct ing_flush_target {
    struct nx_view tenant;
    int64_t min_t;
    int64_t max_t;
    struct ing_block_writer *writer;
    struct ing_block *block;     /* published; NULL: nothing to drop */
    struct ing_flush_kept *kept; /* one a shard */
    size_t chunk_bytes;
    enum nx_err err;
};

/* The chunks of a shard's series that are in the block being written. */
struct ing_flush_item {
    struct nx_series_id id;
    struct ing_sealed_list chunks;
    uint32_t ref;
};
struct ing_flush_kept {
    struct ing_flush_item *items;
    size_t count;
    size_t capacity;
};

struct ing_flush_run {
    struct ing_flush *flush;
    struct ingester *ing;
    struct nx_arena arena; /* the targets and their names */
    struct ing_flush_target *targets;
    size_t target_count;
    uint64_t *before; /* one a shard: what is flushed was logged in segments before this */
    const struct ing_flush_want *wants; /* windows that are taken whether they are ripe or not */
    bool force_oldest;                  /* and so are the oldest of all */
    struct ing_pace pace;               /* of the lane */
    uint64_t deletions;                 /* that the heads' samples need not be read through */
    bool cut;                           /* the logs are cut, the heads are pinned */
    bool stopping;                      /* the blocks that are left are not written any more */
};

/* Finds the targets (asking all shards), then calls `next` on worker 0 with run->targets filled. */
enum nx_err ing_flush_scan(struct ing_flush_run *run,
                           void (*next)(struct ing_flush_run *run, enum nx_err err)) NX_WARN_UNUSED;
/* Cuts the logs, writes a block for each target and publishes it. Failures are in the targets. */
enum nx_err ing_flush_write(struct ing_flush_run *run,
                            void (*next)(struct ing_flush_run *run,
                                         enum nx_err err)) NX_WARN_UNUSED;
/* Drops from the heads what was published, lets idle series go, and checkpoints the logs. */
enum nx_err ing_flush_drop(struct ing_flush_run *run,
                           void (*next)(struct ing_flush_run *run, enum nx_err err)) NX_WARN_UNUSED;

/* Replaces the log segments of the shard before `segment` by a checkpoint; answers the slot. On the
 * shard's worker. */
void ing_checkpoint_start(struct ing_shard *shard, uint64_t segment, struct ing_fan_slot *slot);

#endif
