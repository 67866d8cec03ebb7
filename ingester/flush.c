/* A run is scan, write, drop, each step calling back on worker 0. A request for a flush
 * that comes while a run is under way waits for the next one, which begins at once. */
#include "ingester/flush.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "ingester/compact/compactor.h"
#include "ingester/pressure.h"

#define TICK_MS 10000
#define PRESSURE_TICK_MS 1000
#define COLLECT_MS 600000

struct ing_flush {
    struct ingester *ing;
    struct nx_worker *worker;
    uv_timer_t timer;
    bool timer_open;
    bool running;
    struct ing_flush_run run;
    enum nx_err run_err;
    uint64_t began_ns;
    int64_t collected_ms;
    int64_t looked_ms;
    struct ing_flush_want *waiting; /* for the next run */
    struct ing_flush_want *served;  /* by the one under way */
    struct ing_pressure pressure;
    void (*stopped)(void *user);
    void *stopped_user;
};

static void begin(struct ing_flush *flush, bool force_oldest);

enum nx_err ing_flush_new(struct ingester *ing, struct ing_flush **out)
{
    struct ing_flush *flush = nx_calloc(1, sizeof *flush);
    if (!flush)
        return NX_ERR_NOMEM;
    flush->ing = ing;
    flush->worker = nx_workers_at(ing->deps.workers, 0);
    *out = flush;
    return NX_OK;
}

void ing_flush_free(struct ing_flush *flush)
{
    nx_free(flush);
}

static void run_release(struct ing_flush_run *run)
{
    for (size_t i = 0; i < run->target_count; i++) {
        for (uint32_t j = 0; j < run->ing->shard_count; j++) {
            struct ing_flush_kept *kept = &run->targets[i].kept[j];
            for (size_t k = 0; k < kept->count; k++)
                ing_sealed_list_release(&kept->items[k].chunks);
            nx_free(kept->items);
        }
    }
    nx_free(run->before);
    nx_arena_release(&run->arena);
}

static void want_done(struct nx_task *task)
{
    struct ing_flush_want *want = (struct ing_flush_want *)task;
    want->done(want);
}

static void answer_all(struct ing_flush_want *want, enum nx_err err)
{
    while (want) {
        struct ing_flush_want *next = want->next;
        want->err = err;
        want->task.run = want_done;
        nx_worker_reply(want->home, &want->task);
        want = next;
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct ing_flush *flush = handle->data;
    flush->timer_open = false;
    flush->stopped(flush->stopped_user);
}

static void finish_stop(struct ing_flush *flush)
{
    answer_all(flush->waiting, NX_ERR_CLOSED);
    flush->waiting = NULL;
    if (flush->timer_open)
        uv_close((uv_handle_t *)&flush->timer, on_timer_closed);
    else
        flush->stopped(flush->stopped_user);
}

static void run_end(struct ing_flush *flush)
{
    struct ing_flush_want *served = flush->served;
    double seconds = (double)(nx_now_ns(flush->ing->deps.clock) - flush->began_ns) / 1e9;
    if (flush->run.target_count > 0) {
        nx_metric_inc(flush->ing->metrics,
                      flush->run_err == NX_OK ? ING_M_FLUSHES : ING_M_FLUSH_FAILURES);
        nx_metric_observe(flush->ing->metrics, ING_M_FLUSH_SECONDS, 0, seconds);
        nx_log(flush->ing->deps.log, NX_LOG_INFO, "windows flushed",
               NX_I("blocks", flush->run.target_count), NX_D("seconds", seconds),
               NX_E(flush->run_err));
        ing_compactor_nudge(flush->ing->compactor);
    }
    run_release(&flush->run);
    flush->served = NULL;
    flush->running = false;
    answer_all(served, flush->run_err);
    if (flush->stopped)
        finish_stop(flush);
    else if (flush->waiting)
        begin(flush, false);
}

static void on_dropped(struct ing_flush_run *run, enum nx_err err)
{
    /* a checkpoint that failed leaves the log longer, nothing else */
    (void)err;
    run_end(run->flush);
}

static void on_written(struct ing_flush_run *run, enum nx_err err)
{
    struct ing_flush *flush = run->flush;
    for (size_t i = 0; i < run->target_count && err == NX_OK; i++)
        err = run->targets[i].err;
    flush->run_err = err;
    err = ing_flush_drop(run, on_dropped);
    if (err != NX_OK) {
        /* what is in blocks stays in memory too, and the heads stay pinned: both cost memory only
         */
        flush->run_err = err;
        run_end(flush);
    }
}

static void on_scanned(struct ing_flush_run *run, enum nx_err err)
{
    struct ing_flush *flush = run->flush;
    flush->run_err = err;
    if (err == NX_OK && run->target_count > 0) {
        run->before = nx_calloc(run->ing->shard_count, sizeof *run->before);
        flush->run_err = run->before ? ing_flush_write(run, on_written) : NX_ERR_NOMEM;
        if (flush->run_err == NX_OK)
            return;
    }
    /* also without a window to write, series that have become idle leave */
    int64_t now_ms = nx_now_ms(flush->ing->deps.clock);
    if (flush->run_err == NX_OK && now_ms - flush->collected_ms >= COLLECT_MS &&
        ing_flush_drop(run, on_dropped) == NX_OK) {
        flush->collected_ms = now_ms;
        return;
    }
    run_end(flush);
}

/* Where memory is short the flush must not wait. */
static struct ing_pace pace_of(const struct ing_flush *flush, bool force_oldest)
{
    int64_t rate = flush->ing->deps.settings->compaction_rate;
    return (struct ing_pace){.bytes_per_s = force_oldest ? 0 : rate};
}

static void begin(struct ing_flush *flush, bool force_oldest)
{
    assert(!flush->running);
    flush->running = true;
    flush->began_ns = nx_now_ns(flush->ing->deps.clock);
    flush->served = flush->waiting;
    flush->waiting = NULL;
    flush->run = (struct ing_flush_run){.flush = flush,
                                        .ing = flush->ing,
                                        .wants = flush->served,
                                        .force_oldest = force_oldest,
                                        .pace = pace_of(flush, force_oldest),
                                        .deletions = ing_tombstones_last(flush->ing->tombstones)};
    nx_arena_init(&flush->run.arena, 0);
    flush->run_err = ing_flush_scan(&flush->run, on_scanned);
    if (flush->run_err != NX_OK)
        run_end(flush);
}

static void on_tick(uv_timer_t *timer)
{
    struct ing_flush *flush = timer->data;
    int64_t now_ms = nx_now_ms(flush->ing->deps.clock);
    if (flush->running || flush->stopped)
        return;
    if (ing_pressure_is_high(&flush->pressure, flush->ing->deps.settings->max_memory, now_ms)) {
        nx_metric_inc(flush->ing->metrics, ING_M_PRESSURE_FLUSHES);
        nx_log(flush->ing->deps.log, NX_LOG_WARN,
               "memory is above its limit: the oldest windows go to blocks early",
               NX_I("resident", flush->pressure.resident), NX_I("limit", flush->pressure.limit));
        begin(flush, true);
    } else if (now_ms - flush->looked_ms >= TICK_MS) {
        flush->looked_ms = now_ms;
        begin(flush, false);
    }
}

enum nx_err ing_flush_start(struct ing_flush *flush)
{
    int rc = uv_timer_init(nx_worker_loop(flush->worker), &flush->timer);
    if (rc != 0)
        return nx_err_from_uv(rc);
    flush->timer.data = flush;
    flush->timer_open = true;
    rc = uv_timer_start(&flush->timer, on_tick, PRESSURE_TICK_MS, PRESSURE_TICK_MS);
    return rc == 0 ? NX_OK : nx_err_from_uv(rc);
}

void ing_flush_stop(struct ing_flush *flush, void (*done)(void *user), void *user)
{
    flush->stopped = done;
    flush->stopped_user = user;
    flush->run.stopping = true;
    if (!flush->running)
        finish_stop(flush);
}

static void take_want(struct nx_task *task)
{
    struct ing_flush_want *want = (struct ing_flush_want *)task;
    struct ing_flush *flush = want->flush;
    want->next = NULL;
    if (flush->stopped) {
        answer_all(want, NX_ERR_CLOSED);
        return;
    }
    want->next = flush->waiting;
    flush->waiting = want;
    if (!flush->running)
        begin(flush, false);
}

void ing_flush_ask(struct ing_flush *flush, struct ing_flush_want *want)
{
    want->flush = flush;
    want->task.run = take_want;
    nx_worker_reply(flush->worker, &want->task);
}

/* --- the RPC method --- */

struct request {
    struct ing_flush_want want; /* first */
    struct ingester *ing;
    struct nx_rpc_request *req;
};

static void request_done(struct ing_flush_want *want)
{
    struct request *request = (struct request *)want;
    if (want->err == NX_OK) {
        struct nx_buf empty;
        nx_buf_init(&empty, 16);
        nx_rpc_reply(request->req, &empty);
    } else {
        nx_rpc_reply_error(request->req, want->err, nx_err_text(want->err));
    }
    ing_leave(request->ing);
    nx_free(request);
}

void ing_flush_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    if (!ing_admit(ing, req))
        return;
    struct request *request = nx_calloc(1, sizeof *request);
    if (!request) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return;
    }
    request->ing = ing;
    request->req = req;
    request->want = (struct ing_flush_want){.home = nx_rpc_request_worker(req),
                                            .range = {.min_t = INT64_MIN, .max_t = INT64_MAX},
                                            .done = request_done};
    ing_flush_ask(ing->flush, &request->want);
}
