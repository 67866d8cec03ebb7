/* What the files of the repair loop share. All of it belongs to worker 0. */
#ifndef ING_REPAIR_REPAIR_INTERNAL_H
#define ING_REPAIR_REPAIR_INTERNAL_H

#include "ingester/repair/deletions.h"
#include "ingester/repair/peers.h"
#include "ingester/repair/pull.h"
#include "ingester/repair/repair.h"
#include "ingester/repair/serve.h"

/* What was pulled from a member already, while it lacks what this node has and so keeps differing.
 */
struct ing_repair_taken {
    char *name;
    uint64_t incarnation;
    struct ing_diffs diffs;
};

/* How the last comparison with a member went. */
struct ing_repair_peer {
    char *name;
    int64_t compared_ms; /* wall clock; 0: not yet */
    int64_t until;
    uint64_t windows; /* that differed */
    enum nx_err err;
};

struct ing_repair {
    struct ingester *ing;
    struct nx_lane *lane;
    struct ing_ledger *ledger;
    struct ing_digest_server server;
    struct nx_ring *ring; /* NULL: not started */
    struct nx_rpc_client *client;
    uv_timer_t timer;
    bool timer_open;
    void (*stopped)(void *user);
    void *stopped_user;
    /* --- when --- */
    int64_t started_ms;
    int64_t event_ms; /* since when something may be missing that was written before; 0: nothing */
    int64_t ticked_ms;
    int64_t due_ms;
    uint64_t seen_version; /* of the ring */
    uint64_t healthy;      /* a hash of who was */
    bool awaits;           /* distributors that do not know of this node yet */
    uint8_t *mine;         /* partitions that were this node's */
    uint8_t *owned;        /* those it was, or was to become, an owner of */
    bool looked;           /* the two are there */
    uint8_t *held;         /* and that it has all data of */
    bool held_changed;
    bool turns_active;     /* once `held` is on disk */
    uint8_t *held_written; /* what is being written of it */
    /* --- a cycle --- */
    bool running;
    struct ing_peers peers;
    int64_t begun_ms;
    int64_t until;
    size_t at;         /* member */
    uint8_t *shared;   /* with it */
    uint8_t *compared; /* a partition: with so many */
    uint64_t differing;
    bool any_failed;
    bool any_partial; /* more differs than could be told at once */
    bool any_change;
    bool any_data;
    bool fresh; /* the own digests must be read again */
    uint64_t unit_samples;
    struct ing_compare compare;
    struct ing_deletions deletions;
    struct ing_pull pull;
    bool comparing, deleting, pulling;
    struct nx_job job;
    enum nx_err err;
    /* --- remembered --- */
    struct ing_repair_taken *taken;
    size_t taken_count;
    size_t taken_capacity;
    struct ing_repair_peer *seen;
    size_t seen_count;
    size_t seen_capacity;
    uint64_t cycles;
    uint64_t pulled_bytes;
    uint64_t pulled_samples;
    uint64_t differing_last;
    uint32_t not_whole;
    uint32_t mine_count;
    int64_t finished_ms;
    struct nx_metrics *metrics;
};

/* --- the cycle (cycle.c) --- */

/* Compares with everybody, one after the other, and pulls what is missing; then ing_repair_judge.
 */
void ing_repair_cycle(struct ing_repair *repair);
void ing_repair_cycle_cancel(struct ing_repair *repair);

/* --- what follows from it (repair.c) --- */

void ing_repair_cycle_done(struct ing_repair *repair);

/* --- what it says of itself (status.c) --- */

enum nx_err ing_repair_register(struct ing_repair *repair) NX_WARN_UNUSED;
void ing_repair_measure(struct ing_repair *repair);

enum ing_repair_metric {
    ING_R_CYCLES,
    ING_R_FAILURES,
    ING_R_DIFFERING,
    ING_R_NOT_WHOLE,
    ING_R_PARTITIONS,
    ING_R_PULLED_BYTES,
    ING_R_PULLED_SAMPLES,
    ING_R_BLOCKS,
    ING_R_RUNNING,
    ING_R_LAST,
    ING_R_METRICS,
};

#endif
