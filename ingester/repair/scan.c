/* One slice is under way at a time; a failure on the lane goes by the shard once more, which ends
 * its cursor. */
#include "ingester/repair/scan.h"

#define SLICE_SERIES 4096

static void on_shard(struct nx_task *task);

static struct ing_shard *shard_of(const struct ing_scan *scan)
{
    return &scan->ing->shards[scan->shard];
}

static void to_shard(struct ing_scan *scan)
{
    scan->task.run = on_shard;
    nx_worker_reply(shard_of(scan)->worker, &scan->task);
}

/* --- worker 0 --- */

static void give_up(struct nx_task *task);

static void lane_done(struct nx_job *job)
{
    struct ing_scan *scan = NX_OWNER(struct ing_scan, job, job);
    if (scan->err != NX_OK && scan->begun) {
        scan->task.run = give_up;
        nx_worker_reply(shard_of(scan)->worker, &scan->task);
        return;
    }
    if (scan->err == NX_OK && !scan->more)
        scan->shard++;
    if (scan->err == NX_OK && scan->shard < scan->ing->shard_count)
        to_shard(scan);
    else
        scan->done(scan, scan->err);
}

static void lane_run(struct nx_job *job)
{
    struct ing_scan *scan = NX_OWNER(struct ing_scan, job, job);
    struct ing_read_result *slice = &scan->slice;
    for (size_t i = 0; i < slice->count && scan->err == NX_OK; i++)
        scan->err =
            ing_sealed_list_load(&slice->items[i].chunks, scan->range.min_t, scan->range.max_t);
    if (scan->err == NX_OK)
        scan->err = scan->take(scan, slice);
    ing_read_result_release(slice);
}

static void to_lane(struct nx_task *task)
{
    struct ing_scan *scan = NX_OWNER(struct ing_scan, task, task);
    scan->job = (struct nx_job){.run = lane_run, .done = lane_done};
    if (scan->err == NX_OK && scan->slice.count > 0) {
        enum nx_err err = nx_lane_submit(scan->lane, &scan->job);
        if (err == NX_OK) /* from here on the scan is the lane's */
            return;
        scan->err = err;
    }
    ing_read_result_release(&scan->slice);
    lane_done(&scan->job);
}

/* --- the shard --- */

static void end_shard(struct ing_scan *scan)
{
    if (scan->begun)
        ing_read_end(&scan->cursor);
    scan->begun = false;
    scan->more = false;
}

static void give_up(struct nx_task *task)
{
    struct ing_scan *scan = NX_OWNER(struct ing_scan, task, task);
    end_shard(scan);
    scan->task.run = to_lane;
    nx_worker_reply(nx_workers_at(scan->ing->deps.workers, 0), &scan->task);
}

static void on_shard(struct nx_task *task)
{
    struct ing_scan *scan = NX_OWNER(struct ing_scan, task, task);
    int rc = NX_OK;
    ing_read_result_init(&scan->slice, scan->max_bytes);
    if (!scan->begun) {
        rc = ing_read_begin(&scan->cursor, shard_of(scan)->store.head, scan->tenant, NULL, 0,
                            scan->range);
        scan->cursor.filter = scan->filter;
        scan->begun = rc == NX_OK;
    }
    if (rc == NX_OK)
        rc = ing_read_step(&scan->cursor, scan->range, false, SLICE_SERIES, &scan->slice);
    scan->more = rc == 1;
    if (rc < 0)
        scan->err = (enum nx_err)rc;
    if (!scan->more)
        end_shard(scan);
    scan->task.run = to_lane;
    nx_worker_reply(nx_workers_at(scan->ing->deps.workers, 0), &scan->task);
}

void ing_scan_start(struct ing_scan *scan)
{
    scan->shard = 0;
    scan->begun = false;
    scan->err = NX_OK;
    to_shard(scan);
}
