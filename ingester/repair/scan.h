/* Reading the heads of all shards for repair: slices of series, alternating between a shard's
 * worker and a lane, so that neither a shard nor memory is held up by how many there are. What
 * comes or goes meanwhile may or may not be seen. Driven from worker 0. */
#ifndef ING_REPAIR_SCAN_H
#define ING_REPAIR_SCAN_H

#include "ingester/ingester_internal.h"

struct ing_scan {
    /* --- set by the owner, before the start --- */
    struct ingester *ing;
    struct nx_lane *lane;
    struct nx_view tenant;
    struct ing_range range;
    struct ing_partition_filter filter;
    size_t max_bytes; /* of one slice's open chunks and labels; NX_ERR_LIMIT beyond */
    /* On the lane: a slice of series, each with chunks that are loaded already for the range. It
     * may keep the result by taking its fields and leaving zeros. */
    enum nx_err (*take)(struct ing_scan *scan, struct ing_read_result *slice);
    void (*done)(struct ing_scan *scan, enum nx_err err); /* on worker 0 */
    /* --- its own --- */
    struct nx_task task;
    struct nx_job job;
    uint32_t shard;
    struct ing_read_cursor cursor;
    struct ing_read_result slice;
    bool begun; /* the shard's cursor */
    bool more;
    enum nx_err err;
};

void ing_scan_start(struct ing_scan *scan);

#endif
