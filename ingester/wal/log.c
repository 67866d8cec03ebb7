/* Groups form a queue: closed ones (a cut ends a group, as each group goes to one segment), then
 * the pending one, to which the shard appends. The oldest is taken off and written by the lane; on
 * failure it goes back to the front with its bytes. A position is the number of bytes appended to
 * the log since it was opened. */
#include "ingester/wal/log.h"

#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "ingester/metrics.h"

#define RETRY_MS 1000
#define SPARE_MAX_BYTES ((size_t)8 << 20)

struct group {
    struct group *next;
    struct nx_buf bytes;
    uint64_t segment;
    uint64_t start; /* position */
};

struct ing_log {
    struct ing_log_options options;
    char *dir;
    struct ing_segment_writer writer; /* the lane's while `busy` */
    struct nx_lane *lane;
    struct nx_job job;
    enum nx_err job_err;
    enum nx_err sync_err;
    double job_seconds;
    bool busy; /* the job is with the lane */
    bool job_syncs;
    struct group *writing; /* by the job; NULL: it only syncs */
    struct group *first;   /* closed groups, oldest first */
    struct group **last;
    struct group *pending; /* NULL: none yet */
    struct group *spare;
    size_t queued_bytes; /* in all groups */
    uint64_t segment;
    uint64_t segment_bytes; /* appended to it */
    uint64_t position;
    uint64_t committed;
    struct ing_log_waiter *waiters;
    struct ing_log_waiter **waiters_last;
    enum nx_err failure;
    uv_timer_t retry;
    uv_timer_t sync;
    size_t timers_open; /* none, or both */
    bool sync_armed;    /* the timer runs */
    bool sync_due;      /* the next job syncs */
    void (*closed)(void *user);
    void *closed_user;
};

static void group_free(struct group *group)
{
    if (!group)
        return;
    nx_buf_release(&group->bytes);
    nx_free(group);
}

enum nx_err ing_log_open(const struct ing_log_options *options, struct ing_log **out)
{
    struct ing_log *log = nx_calloc(1, sizeof *log);
    if (!log)
        return NX_ERR_NOMEM;
    log->options = *options;
    log->last = &log->first;
    log->waiters_last = &log->waiters;
    log->segment = options->segment;
    log->dir = nx_strdup(options->dir);
    log->options.dir = log->dir;
    ing_segment_writer_init(&log->writer, options->fs, log->dir, options->generation,
                            options->shard, options->nonce);
    log->writer.sync_each = options->sync == ING_LOG_SYNC_ALWAYS;
    log->writer.sync_never = options->sync == ING_LOG_SYNC_OFF;
    char name[16];
    (void)snprintf(name, sizeof name, "wal-%u", (unsigned)options->shard);
    enum nx_err err = log->dir ? nx_lane_new(name, 1, 4, &log->lane) : NX_ERR_NOMEM;
    if (err != NX_OK) {
        ing_log_free(log);
        return err;
    }
    *out = log;
    return NX_OK;
}

void ing_log_free(struct ing_log *log)
{
    if (!log)
        return;
    nx_lane_free(log->lane);
    ing_segment_writer_close(&log->writer);
    while (log->first) {
        struct group *next = log->first->next;
        group_free(log->first);
        log->first = next;
    }
    group_free(log->pending);
    group_free(log->spare);
    nx_free(log->dir);
    nx_free(log);
}

enum nx_err ing_log_failure(const struct ing_log *log)
{
    return log->failure;
}

uint64_t ing_log_nonce(const struct ing_log *log)
{
    return log->options.nonce;
}

uint64_t ing_log_segment(const struct ing_log *log)
{
    return log->segment;
}

static enum nx_err pending_get(struct ing_log *log)
{
    if (log->pending)
        return NX_OK;
    struct group *group = log->spare;
    log->spare = NULL;
    if (!group) {
        group = nx_calloc(1, sizeof *group);
        if (!group)
            return NX_ERR_NOMEM;
        nx_buf_init(&group->bytes, SIZE_MAX / 4);
    }
    group->next = NULL;
    group->segment = log->segment;
    group->start = log->position;
    log->pending = group;
    return NX_OK;
}

enum nx_err ing_log_reserve(struct ing_log *log, size_t bytes, struct nx_buf **out)
{
    if (bytes > log->options.max_pending_bytes ||
        log->queued_bytes > log->options.max_pending_bytes - bytes)
        return NX_ERR_OVERLOADED;
    enum nx_err err = pending_get(log);
    if (err != NX_OK)
        return err;
    struct nx_buf *buf = &log->pending->bytes;
    err = nx_buf_reserve(buf, bytes);
    if (err != NX_OK) {
        buf->err = NX_OK; /* what is in it stands */
        return err;
    }
    *out = buf;
    return NX_OK;
}

static void close_pending(struct ing_log *log)
{
    if (!log->pending || log->pending->bytes.len == 0)
        return;
    *log->last = log->pending;
    log->last = &log->pending->next;
    log->pending = NULL;
}

uint64_t ing_log_cut(struct ing_log *log)
{
    if (log->segment_bytes == 0)
        return log->segment;
    close_pending(log);
    log->segment++;
    log->segment_bytes = 0;
    if (log->pending)
        log->pending->segment = log->segment;
    return log->segment;
}

static void call_waiters(struct ing_log *log, enum nx_err err)
{
    struct ing_log_waiter *waiter = log->waiters;
    while (waiter && (err != NX_OK || waiter->position <= log->committed)) {
        struct ing_log_waiter *next = waiter->next;
        log->waiters = next;
        if (!next)
            log->waiters_last = &log->waiters;
        waiter->done(waiter, err);
        waiter = log->waiters;
    }
}

void ing_log_wait(struct ing_log *log, struct ing_log_waiter *waiter)
{
    waiter->next = NULL;
    waiter->position = log->position;
    if (log->failure != NX_OK || log->position <= log->committed) {
        waiter->done(waiter, log->failure);
        return;
    }
    *log->waiters_last = waiter;
    log->waiters_last = &waiter->next;
}

static void run_job(struct nx_job *job)
{
    struct ing_log *log = NX_OWNER(struct ing_log, job, job);
    uint64_t began = nx_now_ns(log->options.clock);
    log->job_err = NX_OK;
    log->sync_err = NX_OK;
    if (log->writing)
        log->job_err = ing_segment_commit(&log->writer, log->writing->segment,
                                          nx_buf_view(&log->writing->bytes));
    if (log->job_syncs)
        log->sync_err = ing_segment_sync(&log->writer);
    log->job_seconds = (double)(nx_now_ns(log->options.clock) - began) / 1e9;
}

static void job_done(struct nx_job *job);
static void close_finish(struct ing_log *log);

/* Hands the oldest group to the lane, or the sync that is due. */
static void kick(struct ing_log *log)
{
    if (log->busy)
        return;
    if (!log->first)
        close_pending(log);
    if (!log->first && !log->sync_due) {
        if (log->closed)
            close_finish(log);
        return;
    }
    log->writing = log->first;
    if (log->writing) {
        log->first = log->first->next;
        if (!log->first)
            log->last = &log->first;
        log->writing->next = NULL;
    }
    log->busy = true;
    log->job_syncs = log->sync_due;
    log->sync_due = false;
    log->job = (struct nx_job){.run = run_job, .done = job_done};
    enum nx_err err = nx_lane_submit(log->lane, &log->job);
    assert(err == NX_OK); /* one job at a time */
    (void)err;
}

void ing_log_appended(struct ing_log *log)
{
    assert(log->pending && nx_buf_err(&log->pending->bytes) == NX_OK);
    uint64_t position = log->pending->start + log->pending->bytes.len;
    uint64_t added = position - log->position;
    log->position = position;
    log->queued_bytes += added;
    log->segment_bytes += added;
    if (log->segment_bytes >= log->options.segment_bytes)
        ing_log_cut(log);
    if (log->failure == NX_OK)
        kick(log);
}

static void on_retry(uv_timer_t *timer)
{
    kick(timer->data);
}

static void on_sync_due(uv_timer_t *timer)
{
    struct ing_log *log = timer->data;
    log->sync_armed = false;
    log->sync_due = true;
    kick(log);
}

static void open_timers(struct ing_log *log)
{
    if (log->timers_open > 0)
        return;
    uv_timer_t *timers[] = {&log->retry, &log->sync};
    for (size_t i = 0; i < 2; i++) {
        int rc = uv_timer_init(nx_worker_loop(log->options.worker), timers[i]);
        assert(rc == 0);
        (void)rc;
        timers[i]->data = log;
        log->timers_open++;
    }
}

static void retry_later(struct ing_log *log)
{
    open_timers(log);
    uv_timer_start(&log->retry, on_retry, RETRY_MS, 0);
}

/* What has been written is synced an interval from now at the latest. */
static void sync_later(struct ing_log *log)
{
    if (log->options.sync != ING_LOG_SYNC_INTERVAL || log->sync_armed || log->sync_due)
        return;
    open_timers(log);
    log->sync_armed = true;
    uv_timer_start(&log->sync, on_sync_due, log->options.sync_interval_ms, 0);
}

static void group_failed(struct ing_log *log)
{
    struct group *group = log->writing;
    log->writing = NULL;
    group->next = log->first;
    if (!log->first)
        log->last = &group->next;
    log->first = group;
    nx_metric_inc(log->options.metrics, ING_M_WAL_FAILURES);
    if (log->failure == NX_OK) {
        nx_metric_add(log->options.metrics, ING_M_WAL_FAILED, 0, 1);
        nx_log(log->options.log, NX_LOG_ERROR,
               "log cannot be written: pushes are refused until it can", NX_S("dir", log->dir),
               NX_E(log->job_err), NX_I("pending_bytes", log->queued_bytes));
    }
    log->failure = log->job_err;
    call_waiters(log, log->failure);
    if (log->closed)
        close_finish(log);
    else
        retry_later(log);
}

static void group_kept(struct ing_log *log)
{
    struct group *group = log->writing;
    size_t len = group->bytes.len;
    log->writing = NULL;
    log->committed = group->start + len;
    log->queued_bytes -= len;
    nx_metric_add(log->options.metrics, ING_M_WAL_BYTES, 0, (double)len);
    nx_metric_inc(log->options.metrics, ING_M_WAL_RECORD_GROUPS);
    nx_metric_observe(log->options.metrics, ING_M_WAL_SYNC_SECONDS, 0, log->job_seconds);
    nx_metric_observe(log->options.metrics, ING_M_WAL_GROUP_BYTES, 0, (double)len);
    if (log->spare || group->bytes.capacity > SPARE_MAX_BYTES) {
        group_free(group);
    } else {
        nx_buf_clear(&group->bytes);
        log->spare = group;
    }
}

static void job_done(struct nx_job *job)
{
    struct ing_log *log = NX_OWNER(struct ing_log, job, job);
    log->busy = false;
    if (log->sync_err != NX_OK) {
        nx_metric_inc(log->options.metrics, ING_M_WAL_FAILURES);
        nx_log(
            log->options.log, NX_LOG_ERROR,
            "log could not be synced: what was acknowledged since the last sync is safe only once "
            "it is in a block",
            NX_S("dir", log->dir), NX_E(log->sync_err));
    }
    if (log->writing && log->job_err != NX_OK) {
        group_failed(log);
        return;
    }
    if (log->writing)
        group_kept(log);
    if (log->failure != NX_OK && !log->first) {
        log->failure = NX_OK;
        nx_metric_add(log->options.metrics, ING_M_WAL_FAILED, 0, -1);
        nx_log(log->options.log, NX_LOG_INFO, "log is written again", NX_S("dir", log->dir));
    }
    if (ing_segment_unsynced(&log->writer))
        sync_later(log);
    if (log->first || (log->pending && log->pending->bytes.len > 0))
        kick(log);
    call_waiters(log, NX_OK);
    if (log->closed)
        kick(log);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct ing_log *log = handle->data;
    if (--log->timers_open == 0)
        log->closed(log->closed_user);
}

static void close_finish(struct ing_log *log)
{
    if (log->failure != NX_OK)
        nx_log(log->options.log, NX_LOG_ERROR,
               "log closed with unwritten records: none of them was acknowledged",
               NX_S("dir", log->dir), NX_I("bytes", log->queued_bytes), NX_E(log->failure));
    nx_lane_free(log->lane);
    log->lane = NULL;
    ing_segment_writer_close(&log->writer);
    if (log->timers_open == 0) {
        log->closed(log->closed_user);
        return;
    }
    uv_close((uv_handle_t *)&log->retry, on_timer_closed);
    uv_close((uv_handle_t *)&log->sync, on_timer_closed);
}

void ing_log_close(struct ing_log *log, void (*closed)(void *user), void *user)
{
    log->closed = closed;
    log->closed_user = user;
    if (log->timers_open > 0) {
        uv_timer_stop(&log->retry);
        uv_timer_stop(&log->sync);
    }
    /* a last sync, behind the job that the lane may have now */
    log->sync_due = log->options.sync != ING_LOG_SYNC_ALWAYS;
    kick(log);
}
