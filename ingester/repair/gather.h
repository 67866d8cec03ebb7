/* The digests of windows that several sources hold parts of (the heads and a block, two blocks):
 * the samples of each series are brought together and counted once. Works through the partitions
 * in groups, so that memory is bounded. Driven from worker 0. */
#ifndef ING_REPAIR_GATHER_H
#define ING_REPAIR_GATHER_H

#include "ingester/repair/digest.h"
#include "ingester/repair/scan.h"

struct ing_gather {
    /* --- set by the owner, before the start --- */
    struct ingester *ing;
    struct nx_lane *lane;
    struct nx_view tenant;
    struct ing_range range;      /* whole digest windows, or up to where time is looked at */
    const uint8_t *partitions;   /* bitmap: which */
    size_t series_per_partition; /* an estimate: how many partitions make a group */
    struct ing_digest_table out; /* initialised; the result */
    void (*done)(struct ing_gather *gather, enum nx_err err); /* on worker 0 */
    /* --- its own --- */
    struct ing_scan scan;
    struct nx_job job;
    uint8_t *group; /* bitmap of the group under way */
    uint32_t next;  /* partition */
    struct ing_read_result *slices;
    size_t slice_count;
    size_t slice_capacity;
    enum nx_err err;
};

void ing_gather_start(struct ing_gather *gather);
/* After done. */
void ing_gather_release(struct ing_gather *gather);

#endif
