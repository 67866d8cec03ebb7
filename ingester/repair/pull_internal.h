/* What the files of the pull share. */
#ifndef ING_REPAIR_PULL_INTERNAL_H
#define ING_REPAIR_PULL_INTERNAL_H

#include "ingester/repair/pull.h"

/* One ask: some partitions of a tenant in a range of time that lies within one block. */
struct ing_pull_unit {
    const struct ing_diff *diff;
    uint8_t *partitions; /* owned */
    int64_t span_min;    /* of the block, in windows of storage.block-window */
    int64_t span_max;    /* exclusive */
    int64_t min_t;
    int64_t max_t; /* inclusive */
    uint64_t samples;
};

struct ing_pull_frame {
    struct ing_pull_frame *next;
    size_t len;
    char bytes[];
};

/* Makes the units of what differs. On the lane. */
enum nx_err ing_pull_plan(struct ing_pull *pull) NX_WARN_UNUSED;
/* Writes the frames of the unit at hand. On the lane. */
enum nx_err ing_pull_write(struct ing_pull *pull) NX_WARN_UNUSED;
/* Finishes the block under way, if any, and publishes it. On the lane. */
enum nx_err ing_pull_publish(struct ing_pull *pull) NX_WARN_UNUSED;
void ing_pull_drop_frames(struct ing_pull *pull);

#endif
