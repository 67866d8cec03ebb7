/* Set-up: directory, lanes, methods; then, while requests are refused already, blocks, replay and
 * logs; tear-down in the opposite order, driven
 * on worker 0: no new requests, the flush ends, requests in flight end, the logs are synced and
 * closed on their workers, the lanes are joined. */
#include "ingester/ingester.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "ingester/compact/compactor.h"
#include "ingester/datadir.h"
#include "ingester/flush.h"
#include "ingester/ha.h"
#include "ingester/import.h"
#include "ingester/ingester_internal.h"
#include "ingester/open.h"
#include "ingester/repair/repair.h"
#include "ingester/scrapers.h"

#define PUSH_BODY_MAX ((size_t)64 << 20)
#define READ_THREADS 4
#define READ_QUEUE 1024
#define FLUSH_QUEUE 1024
#define CHUNK_QUEUE 4096 /* a write a shard, and files to be removed */
#define DRAIN_POLL_MS 5

static void collect_gauges(void *user)
{
    struct ingester *ing = user;
    nx_metric_set(ing->metrics, ING_M_SERIES, 0, (double)atomic_load(&ing->limit.used));
}

static enum nx_err register_metrics(struct ingester *ing)
{
    if (!ing->deps.telemetry)
        return NX_OK;
    enum nx_err err = nx_telemetry_register(ing->deps.telemetry, ing_metric_table, ING_METRICS,
                                            NULL, NULL, &ing->metrics);
    return err == NX_OK ? nx_telemetry_on_collect(ing->deps.telemetry, collect_gauges, ing) : err;
}

static enum nx_err register_methods(struct ingester *ing)
{
    static const struct {
        const char *name;
        nx_rpc_handler handle;
    } methods[] = {
        {"select", ing_select_handle},           {"labels", ing_labels_handle},
        {"metadata", ing_metadata_handle},       {"exemplars", ing_exemplars_handle},
        {"status", ing_status_handle},           {"flush", ing_flush_handle},
        {"delete", ing_delete_handle},           {"clean", ing_clean_handle},
        {"compact", ing_compact_handle},         {"snapshot", ing_snapshot_handle},
        {"cardinality", ing_cardinality_handle}, {"ha_claim", ing_ha_claim_handle},
        {"scrapers", ing_scrapers_handle},       {"tenant_stats", ing_tenant_stats_handle},
    };
    ing->budget.max_bytes = (size_t)ing->deps.settings->max_inflight_bytes;
    ing->budget.retry_after_s = 1;
    enum nx_err err = nx_rpc_server_method(ing->deps.rpc, "push", ing_push_handle, ing,
                                           PUSH_BODY_MAX, &ing->budget);
    if (err == NX_OK)
        err = nx_rpc_server_method(ing->deps.rpc, "push_numbered", ing_push_handle, ing,
                                   PUSH_BODY_MAX, &ing->budget);
    for (size_t i = 0; i < sizeof methods / sizeof methods[0] && err == NX_OK; i++)
        err = nx_rpc_server_method(ing->deps.rpc, methods[i].name, methods[i].handle, ing, 1 << 20,
                                   NULL);
    return err;
}

static enum nx_err open_logs(struct ingester *ing, const struct ing_open_shard *opened)
{
    for (uint32_t i = 0; i < ing->shard_count; i++) {
        struct ing_shard *shard = &ing->shards[i];
        struct ing_log_options options = {
            .fs = ing->deps.fs,
            .clock = ing->deps.clock,
            .dir = shard->dir,
            .generation = ing->generation,
            .segment = opened[i].next_segment,
            .nonce = ing->nonce,
            .segment_bytes = (uint64_t)ing->deps.settings->wal_segment_bytes,
            .max_pending_bytes = (size_t)ing->deps.settings->max_inflight_bytes,
            .sync = (enum ing_log_sync)ing->deps.settings->wal_sync,
            .sync_interval_ms = (uint64_t)ing->deps.settings->wal_sync_interval_ms,
            .shard = i,
            .worker = shard->worker,
            .log = ing->deps.log,
            .metrics = ing->metrics,
        };
        enum nx_err err = ing_log_open(&options, &shard->log);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err open_shards(struct ingester *ing)
{
    const struct ing_settings *settings = ing->deps.settings;
    uint32_t count = (uint32_t)nx_workers_count(ing->deps.workers);
    struct ing_open_options options = {
        .fs = ing->deps.fs,
        .clock = ing->deps.clock,
        .log = ing->deps.log,
        .metrics = ing->metrics,
        .progress = &ing->progress,
        .wal_dir = ing->wal_dir,
        .chunks_dir = ing->chunks_dir,
        .blocks = ing->blocks,
        .shards = count,
        .partitions = ing->deps.partitions,
        .nonce = ing->nonce,
        .head = {.rules = ing->rules,
                 .limit = &ing->limit,
                 .max_exemplars = ((size_t)settings->max_exemplars + count - 1) / count,
                 .chunks = {.buffer_bytes = settings->chunk_buffer_bytes,
                            .file_bytes = settings->chunk_file_bytes}},
    };
    struct ing_open_shard *opened = nx_calloc(count, sizeof *opened);
    ing->shards = nx_calloc(count, sizeof *ing->shards);
    enum nx_err err = opened && ing->shards ? NX_OK : NX_ERR_NOMEM;
    /* what was acknowledged comes back whatever the limit is now */
    atomic_store(&ing->limit.max, SIZE_MAX);
    if (err == NX_OK)
        err = ing_open_shards(&options, opened, &ing->generation, &ing->loss);
    atomic_store(&ing->limit.max, (size_t)settings->max_series);
    if (err == NX_OK) {
        ing->shard_count = count;
        for (uint32_t i = 0; i < count; i++)
            ing->shards[i] = (struct ing_shard){.ing = ing,
                                                .index = i,
                                                .worker = nx_workers_at(ing->deps.workers, i),
                                                .store = opened[i].store,
                                                .dir = opened[i].dir,
                                                .first_segment = opened[i].first_segment};
        err = open_logs(ing, opened);
    }
    for (uint32_t i = 0; err == NX_OK && i < count; i++) {
        struct ing_chunk_files *files = ing->shards[i].store.head->pool.files;
        if (files)
            ing_chunk_files_serve(files, ing->chunk_lane);
    }
    nx_free(opened);
    return err;
}

/* The highest number that a block knows. */
static uint64_t last_deletion(struct ing_block_set *blocks)
{
    struct ing_block_list list;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    uint64_t last = 0;
    if (ing_block_set_acquire(blocks, (struct nx_view){0}, all, &list) != NX_OK)
        return 0;
    for (size_t i = 0; i < list.count; i++) {
        uint64_t number = ing_block_meta(list.blocks[i])->deletions;
        last = number > last ? number : last;
    }
    ing_block_list_release(&list);
    return last;
}

static enum nx_err open_directory(struct ingester *ing, struct nx_fail *fail)
{
    const char *dir = ing->deps.settings->data_dir;
    enum nx_err err = ing_datadir_lock(ing->deps.fs, dir, &ing->lock_fd, fail);
    if (err != NX_OK)
        return err;
    ing->wal_dir = nx_path_join(dir, "wal");
    ing->blocks_dir = nx_path_join(dir, "blocks");
    ing->chunks_dir = nx_path_join(dir, "chunks");
    if (!ing->wal_dir || !ing->blocks_dir || !ing->chunks_dir)
        return NX_ERR_NOMEM;
    err = ing_datadir_incarnation(ing->deps.fs, dir, &ing->incarnation, &ing->fresh);
    return err == NX_OK ? err
                        : nx_fail_set(fail, err, "storage.data-dir %s: %s", dir, nx_err_text(err));
}

/* What an earlier process left: the log has all of it. */
static void remove_chunk_files(struct ingester *ing)
{
    const struct nx_fs *fs = ing->deps.fs;
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(ing->chunks_dir, &names, &count);
    if (err == NX_ERR_NOT_FOUND)
        return;
    if (err == NX_OK) {
        nx_dir_free(names, count);
        err = fs->rmdir(fs, ing->chunks_dir);
    }
    if (err == NX_OK)
        return;
    nx_log(ing->deps.log, NX_LOG_ERROR, "old chunk files not removed: sealed chunks stay in memory",
           NX_S("dir", ing->chunks_dir), NX_E(err));
    nx_free(ing->chunks_dir);
    ing->chunks_dir = NULL;
}

static enum nx_err recover(struct ingester *ing)
{
    const struct nx_fs *fs = ing->deps.fs;
    ing_progress_begin(&ing->progress, ING_PHASE_BLOCKS, 0);
    enum nx_err err =
        ing_block_set_open(fs, ing->blocks_dir, ing->deps.log, ing->metrics, &ing->blocks);
    if (err == NX_OK)
        err = ing_tombstones_open(fs, ing->deps.settings->data_dir, last_deletion(ing->blocks),
                                  ing->deps.log, ing->metrics, &ing->tombstones);
    if (err == NX_OK) {
        remove_chunk_files(ing);
        ing_snapshots_clean(ing);
        err = open_shards(ing);
    }
    if (err == NX_OK)
        err = fs->sync_dir(fs, ing->deps.settings->data_dir);
    return err;
}

enum nx_err ing_recover(struct ingester *ing, struct nx_fail *fail)
{
    /* ing_stop waits for this as for a request */
    atomic_fetch_add(&ing->active, 1);
    enum nx_err err = atomic_load(&ing->stopping) ? NX_ERR_CLOSED : recover(ing);
    if (err == NX_OK) {
        ing_progress_begin(&ing->progress, ING_PHASE_SERVING, 0);
        atomic_store(&ing->serving, true);
    } else {
        nx_fail_set(fail, err, "storage.data-dir %s: %s", ing->deps.settings->data_dir,
                    nx_err_text(err));
    }
    ing_leave(ing);
    return err;
}

void ing_print_progress(const struct ingester *ing, struct nx_buf *out)
{
    ing_progress_print(&ing->progress, out);
}

enum nx_err ing_new(const struct ing_deps *deps, struct ingester **out, struct nx_fail *fail)
{
    struct ingester *ing = nx_calloc(1, sizeof *ing);
    if (!ing)
        return nx_fail_set(fail, NX_ERR_NOMEM, "ingester: out of memory");
    struct nx_rand rand;
    nx_rand_system(&rand);
    ing->deps = *deps;
    ing->lock_fd = -1;
    ing_progress_init(&ing->progress);
    ing->nonce = nx_rand_u64(&rand);
    ing->rules = (struct ing_window_rules){.window_ms = deps->settings->window_ms,
                                           .out_of_order_ms = deps->settings->out_of_order_ms};
    enum nx_err err = register_metrics(ing);
    if (err == NX_OK)
        err = ing_ha_new(&ing->ha);
    if (err == NX_OK)
        err = ing_scrapers_new(&ing->scrapers);
    if (err == NX_OK)
        err = open_directory(ing, fail);
    if (err == NX_OK)
        err = nx_lane_new("ing-read", READ_THREADS, READ_QUEUE, &ing->read_lane);
    if (err == NX_OK)
        err = nx_lane_new("ing-flush", 1, FLUSH_QUEUE, &ing->flush_lane);
    if (err == NX_OK)
        err = nx_lane_new("ing-chunks", 1, CHUNK_QUEUE, &ing->chunk_lane);
    if (err == NX_OK)
        err = nx_lane_observe(ing->chunk_lane, deps->telemetry);
    if (err == NX_OK)
        err = nx_lane_observe(ing->read_lane, deps->telemetry);
    if (err == NX_OK)
        err = nx_lane_observe(ing->flush_lane, deps->telemetry);
    if (err == NX_OK)
        err = ing_flush_new(ing, &ing->flush);
    if (err == NX_OK)
        err = ing_compactor_new(ing, &ing->compactor);
    if (err == NX_OK)
        err = register_methods(ing);
    if (err == NX_OK)
        err = ing_import_open(ing);
    if (err == NX_OK)
        err = ing_repair_new(ing, &ing->repair);
    if (err != NX_OK) {
        if (fail && fail->code == NX_OK)
            nx_fail_set(fail, err, "ingester: %s", nx_err_text(err));
        ing_free(ing);
        return err;
    }
    *out = ing;
    return NX_OK;
}

enum nx_err ing_start(struct ingester *ing)
{
    enum nx_err err = ing_flush_start(ing->flush);
    return err == NX_OK ? ing_compactor_start(ing->compactor) : err;
}

enum nx_err ing_join(struct ingester *ing, struct nx_ring *ring, struct nx_rpc_client *client)
{
    return ing_repair_start(ing->repair, ring, client);
}

uint64_t ing_incarnation(const struct ingester *ing)
{
    return ing->incarnation;
}

bool ing_is_fresh(const struct ingester *ing)
{
    return ing->fresh;
}

void ing_set_ring(struct ingester *ing, struct nx_ring *ring)
{
    ing->ring = ring;
}

void ing_reload(struct ingester *ing)
{
    /* the others are read where they are used */
    atomic_store(&ing->limit.max, (size_t)ing->deps.settings->max_series);
}

/* --- the end --- */

struct stop {
    struct ingester *ing;
    void (*done)(void *user);
    void *user;
    uv_timer_t timer;
    struct ing_fan fan;
};

static void on_log_closed(void *user)
{
    ing_fan_answer(user, NX_OK);
}

static void close_shard(struct ing_fan_slot *slot)
{
    struct ing_chunk_files *files = slot->shard->store.head->pool.files;
    if (files)
        ing_chunk_files_end(files);
    if (slot->shard->log)
        ing_log_close(slot->shard->log, on_log_closed, slot);
    else
        on_log_closed(slot);
}

static void on_logs_closed(struct ing_fan *fan)
{
    struct stop *stop = NX_OWNER(struct stop, fan, fan);
    struct ingester *ing = stop->ing;
    void (*done)(void *user) = stop->done;
    void *user = stop->user;
    nx_lane_free(ing->read_lane);
    nx_lane_free(ing->flush_lane);
    nx_lane_free(ing->chunk_lane);
    ing->read_lane = ing->flush_lane = ing->chunk_lane = NULL;
    ing_import_close(ing);
    ing_repair_close_lane(ing->repair);
    nx_free(stop->fan.slots);
    nx_free(stop);
    done(user);
}

static void die_without_memory(struct ingester *ing)
{
    /* nothing acknowledged depends on an orderly end */
    nx_log(ing->deps.log, NX_LOG_ERROR, "no memory to stop in order", NX_E(NX_ERR_NOMEM));
    _exit(1);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct stop *stop = handle->data;
    stop->fan.ing = stop->ing;
    stop->fan.slots = nx_calloc(stop->ing->shard_count, sizeof *stop->fan.slots);
    if (!stop->fan.slots)
        die_without_memory(stop->ing);
    stop->fan.home = nx_workers_at(stop->ing->deps.workers, 0);
    stop->fan.run = close_shard;
    stop->fan.done = on_logs_closed;
    stop->fan.urgent = true;
    ing_fan_start(&stop->fan);
}

static void on_poll(uv_timer_t *timer)
{
    struct stop *stop = timer->data;
    if (atomic_load(&stop->ing->active) > 0)
        return;
    uv_timer_stop(timer);
    uv_close((uv_handle_t *)timer, on_poll_closed);
}

static void on_compactor_stopped(void *user)
{
    struct stop *stop = user;
    uv_timer_init(nx_worker_loop(nx_workers_at(stop->ing->deps.workers, 0)), &stop->timer);
    stop->timer.data = stop;
    uv_timer_start(&stop->timer, on_poll, 0, DRAIN_POLL_MS);
}

static void on_flush_stopped(void *user)
{
    struct stop *stop = user;
    ing_compactor_stop(stop->ing->compactor, on_compactor_stopped, stop);
}

static void on_repair_stopped(void *user)
{
    struct stop *stop = user;
    ing_flush_stop(stop->ing->flush, on_flush_stopped, stop);
}

void ing_stop(struct ingester *ing, void (*done)(void *user), void *user)
{
    atomic_store(&ing->stopping, true);
    atomic_store(&ing->progress.cancel, true);
    struct stop *stop = nx_calloc(1, sizeof *stop);
    if (!stop)
        die_without_memory(ing);
    stop->ing = ing;
    stop->done = done;
    stop->user = user;
    ing_repair_stop(ing->repair, on_repair_stopped, stop);
}

void ing_free(struct ingester *ing)
{
    if (!ing)
        return;
    nx_lane_free(ing->read_lane);
    nx_lane_free(ing->flush_lane);
    nx_lane_free(ing->chunk_lane);
    ing_import_close(ing);
    ing_repair_free(ing->repair);
    ing_flush_free(ing->flush);
    ing_compactor_free(ing->compactor);
    for (uint32_t i = 0; i < ing->shard_count; i++) {
        struct ing_shard *shard = &ing->shards[i];
        ing_log_free(shard->log);
        ing_store_release(&shard->store);
        ing_head_free(shard->store.head);
        nx_free(shard->dir);
    }
    nx_free(ing->shards);
    ing_tombstones_free(ing->tombstones);
    ing_block_set_free(ing->blocks);
    nx_free(ing->wal_dir);
    nx_free(ing->blocks_dir);
    nx_free(ing->chunks_dir);
    if (ing->lock_fd >= 0)
        (void)close(ing->lock_fd);
    ing_scrapers_free(ing->scrapers);
    ing_ha_free(ing->ha);
    nx_free(ing);
}
