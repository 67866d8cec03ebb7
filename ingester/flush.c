/* A run is scan, write, drop, retention, each step calling back on worker 0. A request for a flush
 * that comes while a run is under way waits for the next one, which begins at once. */
#include "ingester/flush.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "ingester/retention.h"

#define TICK_MS 10000
#define COLLECT_MS 600000

struct request {
    struct nx_task task; /* to worker 0 and back */
    struct request *next;
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct nx_worker *home;
    enum nx_err err;
};

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
    struct request *waiting; /* for the next run */
    struct request *served;  /* by the one under way */
    struct nx_job retention;
    int64_t retention_ms; /* for the job: the setting may be reloaded while it runs */
    void (*stopped)(void *user);
    void *stopped_user;
};

static void begin(struct ing_flush *flush);

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

static void request_answer(struct nx_task *task)
{
    struct request *request = (struct request *)task;
    if (request->err == NX_OK) {
        struct nx_buf empty;
        nx_buf_init(&empty, 16);
        nx_rpc_reply(request->req, &empty);
    } else {
        nx_rpc_reply_error(request->req, request->err, nx_err_text(request->err));
    }
    ing_leave(request->ing);
    nx_free(request);
}

static void answer_all(struct request *request, enum nx_err err)
{
    while (request) {
        struct request *next = request->next;
        request->err = err;
        request->task.run = request_answer;
        nx_worker_reply(request->home, &request->task);
        request = next;
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
    struct request *served = flush->served;
    double seconds = (double)(nx_now_ns(flush->ing->deps.clock) - flush->began_ns) / 1e9;
    if (flush->run.target_count > 0) {
        nx_metric_inc(flush->ing->metrics,
                      flush->run_err == NX_OK ? ING_M_FLUSHES : ING_M_FLUSH_FAILURES);
        nx_metric_observe(flush->ing->metrics, ING_M_FLUSH_SECONDS, 0, seconds);
        nx_log(flush->ing->deps.log, NX_LOG_INFO, "windows flushed",
               NX_I("blocks", flush->run.target_count), NX_D("seconds", seconds),
               NX_E(flush->run_err));
    }
    run_release(&flush->run);
    flush->served = NULL;
    flush->running = false;
    answer_all(served, flush->run_err);
    if (flush->stopped)
        finish_stop(flush);
    else if (flush->waiting)
        begin(flush);
}

static struct ing_retention_rule retention_rule(void *user, struct nx_view tenant)
{
    (void)tenant;
    const struct ing_flush *flush = user;
    return (struct ing_retention_rule){.max_age_ms = flush->retention_ms};
}

static void retention_run(struct nx_job *job)
{
    struct ing_flush *flush = NX_OWNER(struct ing_flush, retention, job);
    struct ing_retention_result result;
    if (ing_retention_apply(flush->ing->blocks, nx_now_ms(flush->ing->deps.clock), retention_rule,
                            flush, &result) == NX_OK)
        nx_metric_add(flush->ing->metrics, ING_M_BLOCKS_DELETED, 0,
                      (double)(result.too_old + result.too_large));
}

static void retention_done(struct nx_job *job)
{
    run_end(NX_OWNER(struct ing_flush, retention, job));
}

static void start_retention(struct ing_flush *flush)
{
    flush->retention = (struct nx_job){.run = retention_run, .done = retention_done};
    flush->retention_ms = flush->ing->deps.settings->retention_ms;
    if (nx_lane_submit(flush->ing->flush_lane, &flush->retention) != NX_OK)
        run_end(flush);
}

static void on_dropped(struct ing_flush_run *run, enum nx_err err)
{
    /* a checkpoint that failed leaves the log longer, nothing else */
    (void)err;
    start_retention(run->flush);
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
        start_retention(flush);
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
    start_retention(flush);
}

static void begin(struct ing_flush *flush)
{
    assert(!flush->running);
    flush->running = true;
    flush->began_ns = nx_now_ns(flush->ing->deps.clock);
    flush->served = flush->waiting;
    flush->waiting = NULL;
    flush->run =
        (struct ing_flush_run){.flush = flush, .ing = flush->ing, .force = flush->served != NULL};
    nx_arena_init(&flush->run.arena, 0);
    flush->run_err = ing_flush_scan(&flush->run, on_scanned);
    if (flush->run_err != NX_OK)
        run_end(flush);
}

static void on_tick(uv_timer_t *timer)
{
    struct ing_flush *flush = timer->data;
    if (!flush->running && !flush->stopped)
        begin(flush);
}

enum nx_err ing_flush_start(struct ing_flush *flush)
{
    int rc = uv_timer_init(nx_worker_loop(flush->worker), &flush->timer);
    if (rc != 0)
        return nx_err_from_uv(rc);
    flush->timer.data = flush;
    flush->timer_open = true;
    rc = uv_timer_start(&flush->timer, on_tick, TICK_MS, TICK_MS);
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

static void request_run(struct nx_task *task)
{
    struct request *request = (struct request *)task;
    struct ing_flush *flush = request->ing->flush;
    if (flush->stopped) {
        answer_all(request, NX_ERR_CLOSED);
        return;
    }
    request->next = flush->waiting;
    flush->waiting = request;
    if (!flush->running)
        begin(flush);
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
    request->home = nx_rpc_request_worker(req);
    request->task.run = request_run;
    nx_worker_reply(nx_workers_at(ing->deps.workers, 0), &request->task);
}
