/* Pulling from a peer what differs there: streams of series with their chunks, for some partitions
 * and a range of time each, written into blocks of this node. What a block is finished with is on
 * disk; what is under way when the process ends is pulled again.
 *
 * Driven from worker 0; frames are decoded and written on the lane. */
#ifndef ING_REPAIR_PULL_H
#define ING_REPAIR_PULL_H

#include "ingester/repair/compare.h"

struct ing_pull_unit;
struct ing_pull_frame;

struct ing_pull {
    /* --- set by the owner --- */
    struct ingester *ing;
    struct nx_lane *lane;
    struct nx_rpc_client *client;
    const char *address;
    struct ing_diffs *diffs; /* what; outlives the pull */
    int64_t until;
    int64_t bandwidth;     /* bytes a second; 0: as fast as it goes */
    uint64_t unit_samples; /* to be asked for at once */
    uint64_t timeout_ms;   /* of one ask */
    void (*progress)(struct ing_pull *pull, uint64_t bytes); /* on worker 0 */
    void (*done)(struct ing_pull *pull, enum nx_err err);    /* on worker 0 */
    /* --- the result --- */
    uint64_t bytes;
    uint64_t samples;
    uint64_t blocks;
    /* --- its own --- */
    struct ing_pull_unit *units;
    size_t unit_count;
    size_t unit_capacity;
    size_t at;
    uint64_t block_samples; /* in the block under way */
    uint64_t deletions;     /* that were known when it was begun */
    struct nx_rpc_call *call;
    struct ing_pull_frame *frames;
    struct ing_pull_frame **last_frame;
    size_t frame_bytes;
    uint64_t asked_ns;
    uv_timer_t timer;
    bool timer_open;
    bool canceled;
    struct nx_job job;
    enum nx_err err;
    /* on the lane */
    struct ing_block_writer *writer;
    int64_t span_min, span_max; /* of the writer's block */
    struct nx_fail fail;
};

void ing_pull_start(struct ing_pull *pull);
/* `done` follows with NX_ERR_CANCELED, soon. */
void ing_pull_cancel(struct ing_pull *pull);
/* After done. */
void ing_pull_release(struct ing_pull *pull);

#endif
