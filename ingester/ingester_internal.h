/* What the files of the ingester share. A shard belongs to one worker: its head, book and log are
 * touched on that worker's thread only. Everything else here is set up before the workers run,
 * atomic, or locked. */
#ifndef ING_INGESTER_INTERNAL_H
#define ING_INGESTER_INTERNAL_H

#include <assert.h>
#include <stdatomic.h>

#include "common/base/owner.h"
#include "common/net/lane.h"
#include "common/net/rpc.h"
#include "ingester/apply.h"
#include "ingester/block/block_set.h"
#include "ingester/ingester.h"
#include "ingester/metrics.h"
#include "ingester/open.h"
#include "ingester/progress.h"
#include "ingester/retention.h"
#include "ingester/tombstone/tombstones.h"
#include "ingester/wal/log.h"

struct ing_flush;
struct ing_compactor;
struct ing_repair;

struct ing_shard {
    struct ingester *ing;
    uint32_t index;
    struct nx_worker *worker;
    struct ing_store store;
    struct ing_log *log;
    char *dir;              /* of its log */
    uint64_t first_segment; /* what lies before it has been replaced by a checkpoint */
    uint64_t owned;         /* partitions that are this shard's, by ring view `owned_version` */
    uint64_t owned_version;
};

struct ingester {
    struct ing_deps deps;
    uint64_t incarnation;
    bool fresh;
    int lock_fd;
    char *wal_dir;
    char *blocks_dir;
    char *chunks_dir;    /* NULL: sealed chunks stay in memory */
    uint64_t generation; /* of the log */
    uint64_t nonce;
    struct ing_window_rules rules;
    struct ing_shard *shards;
    uint32_t shard_count;
    struct ing_log_loss loss; /* of the log, at the start */
    struct ing_series_limit limit;
    struct nx_ring *ring; /* NULL: not told */
    struct ing_ha *ha;
    struct ing_scrapers *scrapers;
    struct nx_metrics *metrics;
    struct nx_http_budget budget;
    struct nx_lane *read_lane;
    struct nx_lane *flush_lane;
    struct nx_lane *chunk_lane; /* writes of chunk files */
    struct nx_lane *import_lane;
    struct ing_block_set *blocks;
    struct ing_tombstones *tombstones;
    struct ing_flush *flush;
    struct ing_compactor *compactor;
    struct ing_repair *repair;
    struct ing_progress progress;
    /* Requests and jobs in flight, and the start; ing_stop waits until there are none. */
    atomic_size_t active;
    atomic_bool serving; /* shards, blocks and logs are there */
    atomic_bool stopping;
};

static inline struct ing_shard *ing_shard_of(struct ingester *ing, struct nx_series_id id)
{
    assert(ing->shard_count > 0);
    return &ing->shards[nx_series_id_partition(id, ing->deps.partitions) % ing->shard_count];
}

/* Registers a request; false when the ingester does not serve yet or is stopping. Any thread. */
bool ing_enter(struct ingester *ing) NX_WARN_UNUSED;
/* The same, and answers the request where it is refused. */
bool ing_admit(struct ingester *ing, struct nx_rpc_request *req) NX_WARN_UNUSED;
void ing_leave(struct ingester *ing);

/* --- asking the shards --- */

/* One shard's share of a question. */
struct ing_fan_slot {
    struct nx_task task;
    struct ing_fan *fan;
    struct ing_shard *shard;
    enum nx_err err;
    bool skip; /* set before the start: this shard is not asked */
};
/* Embedded in a request. `run` is called on each shard's worker and answers, then or later, with
 * ing_fan_answer; `done` is called on the asking worker when all have, with `err` the first
 * failure. */
struct ing_fan {
    struct ingester *ing;
    struct nx_worker *home;
    struct ing_fan_slot *slots; /* one a shard, in memory of the request */
    size_t left;
    enum nx_err err;
    bool urgent; /* the ingester's own work: is never refused */
    void (*run)(struct ing_fan_slot *slot);
    void (*done)(struct ing_fan *fan);
};
/* Slots must be zero but for `skip`. A shard whose mailbox is full answers NX_ERR_OVERLOADED. */
void ing_fan_start(struct ing_fan *fan);
/* On the shard's worker. */
void ing_fan_answer(struct ing_fan_slot *slot, enum nx_err err);
/* Comes back to the shard after the other tasks that wait for it: `run` of the fan is called again.
 */
void ing_fan_again(struct ing_fan_slot *slot);

/* --- RPC methods --- */

void ing_push_handle(struct nx_rpc_request *req, void *ing);
void ing_select_handle(struct nx_rpc_request *req, void *ing);
void ing_labels_handle(struct nx_rpc_request *req, void *ing);
void ing_metadata_handle(struct nx_rpc_request *req, void *ing);
void ing_exemplars_handle(struct nx_rpc_request *req, void *ing);
void ing_status_handle(struct nx_rpc_request *req, void *ing);
void ing_flush_handle(struct nx_rpc_request *req, void *ing);

void ing_delete_handle(struct nx_rpc_request *req, void *ing);
void ing_snapshot_handle(struct nx_rpc_request *req, void *ing);
void ing_cardinality_handle(struct nx_rpc_request *req, void *ing);
void ing_ha_claim_handle(struct nx_rpc_request *req, void *ing);
void ing_scrapers_handle(struct nx_rpc_request *req, void *ing);
void ing_tenant_stats_handle(struct nx_rpc_request *req, void *ing);

/* Removes what a crash left of a snapshot that was being made; it would keep blocks' space for ever.
 * At the start; blocking. */
void ing_snapshots_clean(struct ingester *ing);

/* --- deletions (delete.c) --- */

/* Forgets those that no block is read through any more and that no replica can lack: older than
 * what is kept of the tenant. Blocking. */
void ing_forget_deletions(struct ingester *ing, ing_retention_lookup lookup, void *user);

/* Decoding into an arena; NULL for malformed bytes or without memory. */
struct ing_pb {
    ProtobufCAllocator allocator;
    struct nx_arena arena;
};
void ing_pb_init(struct ing_pb *pb);
void ing_pb_release(struct ing_pb *pb);
/* The message in an RPC answer; frees nothing of it. */
void ing_pb_reply(struct nx_rpc_request *req, const ProtobufCMessage *message);
enum nx_err ing_pb_pack(const ProtobufCMessage *message, struct nx_buf *out) NX_WARN_UNUSED;
/* The matchers of a request, in memory of the arena; release with ing_matchers_release. */
enum nx_err ing_matchers_init(Narthex__Matcher *const *rows, size_t count, struct nx_arena *arena,
                              struct nx_matcher **out, struct nx_fail *fail) NX_WARN_UNUSED;
void ing_matchers_release(struct nx_matcher *matchers, size_t count);
/* The message of a deletion, in the arena; its texts are the tombstone's. */
enum nx_err ing_tombstone_message(const struct ing_tombstone *tombstone, struct nx_arena *arena,
                                  Narthex__Deletion **out) NX_WARN_UNUSED;
/* A bitmap of partitions in a request (empty: all), which it points into. NX_ERR_INVALID where it
 * is not one of so many. */
enum nx_err ing_partition_filter_init(struct ing_partition_filter *filter,
                                      const ProtobufCBinaryData *bits,
                                      uint32_t partitions) NX_WARN_UNUSED;

#endif
