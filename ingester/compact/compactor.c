/* A pass is one job on the lane: retention, then compactions until the plan has no more, then the
 * rewriting that was asked for, then the deletions that nothing needs any more are forgotten. A
 * block whose data turns out to be damaged is left alone for the life of the process. Requests that
 * come during a pass are served by the next one, which begins at once. */
#include "ingester/compact/compactor.h"

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "ingester/compact/merge.h"
#include "ingester/compact/plan.h"
#include "ingester/retention.h"
#include "ingester/tombstone/mask.h"
#include "ingester/tombstone/tombstones.h"

#define TICK_MS 15000
#define NICE 10

struct request {
    struct nx_task task; /* to worker 0 and back */
    struct request *next;
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct nx_worker *home;
    struct ing_pb pb;
    struct nx_view tenant; /* of a clean; ptr NULL: compact */
    enum nx_err err;
};

struct ing_compactor {
    struct ingester *ing;
    struct nx_lane *lane;
    uv_timer_t timer;
    bool timer_open;
    bool running;
    bool again;
    struct nx_job job;
    struct request *waiting; /* for the next pass */
    struct request *served;  /* by the one under way */
    atomic_bool cancel;
    void (*stopped)(void *user);
    void *stopped_user;
    /* copied for the pass, as settings may be reloaded meanwhile */
    struct ing_retention_rule retention;
    /* on the lane */
    struct ing_pace pace;
    struct ing_block **damaged;
    size_t damaged_count;
    size_t damaged_capacity;
};

enum nx_err ing_compactor_new(struct ingester *ing, struct ing_compactor **out)
{
    struct ing_compactor *compactor = nx_calloc(1, sizeof *compactor);
    if (!compactor)
        return NX_ERR_NOMEM;
    compactor->ing = ing;
    atomic_init(&compactor->cancel, false);
    enum nx_err err = nx_lane_new("ing-compact", 1, 16, &compactor->lane);
    if (err == NX_OK)
        nx_lane_give_way(compactor->lane);
    if (err == NX_OK)
        err = nx_lane_observe(compactor->lane, ing->deps.telemetry);
    if (err != NX_OK) {
        ing_compactor_free(compactor);
        return err;
    }
    *out = compactor;
    return NX_OK;
}

void ing_compactor_free(struct ing_compactor *compactor)
{
    if (!compactor)
        return;
    nx_lane_free(compactor->lane);
    for (size_t i = 0; i < compactor->damaged_count; i++)
        ing_block_drop(compactor->damaged[i]);
    nx_free(compactor->damaged);
    nx_free(compactor);
}

/* --- on the lane --- */

static struct ing_retention_rule rule_of(void *user, struct nx_view tenant)
{
    const struct ing_compactor *compactor = user;
    struct ing_retention_rule rule = compactor->retention;
    struct nx_tenant_limits limits;
    nx_overrides_get(compactor->ing->deps.overrides, tenant, &limits);
    if (limits.retention_ms >= 0)
        rule.max_age_ms = limits.retention_ms;
    if (limits.retention_bytes >= 0)
        rule.max_bytes = limits.retention_bytes;
    return rule;
}

static void retain(struct ing_compactor *compactor)
{
    struct ingester *ing = compactor->ing;
    struct ing_retention_result result;
    if (ing_retention_apply(ing->blocks, nx_now_ms(ing->deps.clock), rule_of, compactor, &result) !=
        NX_OK)
        return;
    nx_metric_add(ing->metrics, ING_M_BLOCKS_DELETED, ING_BLOCK_TOO_OLD, (double)result.too_old);
    nx_metric_add(ing->metrics, ING_M_BLOCKS_DELETED, ING_BLOCK_OVER_SIZE,
                  (double)result.too_large);
    nx_metric_add(ing->metrics, ING_M_BLOCKS_DELETED, ING_BLOCK_LOST, (double)result.damaged);
}

static bool is_damaged(const struct ing_compactor *compactor, const struct ing_block *block)
{
    for (size_t i = 0; i < compactor->damaged_count; i++)
        if (compactor->damaged[i] == block)
            return true;
    return false;
}

static void remember_damage(struct ing_compactor *compactor, struct ing_block *block)
{
    ing_block_set_report(compactor->ing->blocks, block, NX_ERR_CORRUPT);
    if (nx_grow(&compactor->damaged, &compactor->damaged_capacity, compactor->damaged_count + 1,
                sizeof(struct ing_block *)) == NX_OK)
        compactor->damaged[compactor->damaged_count++] = ing_block_take(block);
}

static void count_done(struct ingester *ing, const struct ing_block_list *sources,
                       const struct ing_block *block, uint64_t began_ns)
{
    double seconds = (double)(nx_now_ns(ing->deps.clock) - began_ns) / 1e9;
    uint64_t bytes = 0;
    for (size_t i = 0; i < sources->count; i++)
        bytes += ing_block_size(sources->blocks[i]);
    nx_metric_inc(ing->metrics, ING_M_COMPACTIONS);
    nx_metric_observe(ing->metrics, ING_M_COMPACTION_SECONDS, 0, seconds);
    nx_metric_add(ing->metrics, ING_M_COMPACTED_BLOCKS, 0, (double)sources->count);
    nx_metric_add(ing->metrics, ING_M_COMPACTED_BYTES, 0, (double)bytes);
    if (block)
        nx_metric_add(ing->metrics, ING_M_COMPACTED_SAMPLES, 0,
                      (double)ing_block_meta(block)->samples);
    nx_log(ing->deps.log, NX_LOG_INFO, "blocks compacted", NX_I("blocks", sources->count),
           NX_V("tenant", ing_block_meta(sources->blocks[0])->tenant), NX_I("bytes", bytes),
           NX_I("to_bytes", block ? ing_block_size(block) : 0), NX_D("seconds", seconds));
}

/* Joins the blocks of the list (one: writes it anew). */
static enum nx_err compact(struct ing_compactor *compactor, const struct ing_block_list *sources)
{
    struct ingester *ing = compactor->ing;
    uint64_t began_ns = nx_now_ns(ing->deps.clock);
    struct ing_tombstone_list tombstones;
    /* read before the list: what comes in between is in the list, and done once more later */
    uint64_t deletions = ing_tombstones_last(ing->tombstones);
    struct nx_interval all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = ing_tombstones_acquire(
        ing->tombstones, ing_block_meta(sources->blocks[0])->tenant, all, &tombstones);
    if (err != NX_OK)
        return err;
    struct ing_merge merge = {.fs = ing->deps.fs,
                              .set = ing->blocks,
                              .sources = sources,
                              .tombstones = &tombstones,
                              .deletions = deletions,
                              .generation = ing->generation,
                              .now_ms = nx_now_ms(ing->deps.clock),
                              .pace = &compactor->pace,
                              .cancel = &compactor->cancel};
    struct ing_block *block = NULL;
    err = ing_merge_run(&merge, &block);
    ing_tombstone_list_release(&tombstones);
    if (err == NX_OK) {
        err = ing_block_set_replace(ing->blocks, block, sources);
        if (err == NX_OK)
            count_done(ing, sources, block, began_ns);
        else
            ing_block_drop(block); /* at the next start it takes the place of the others */
    }
    if (err == NX_ERR_CORRUPT && merge.damaged) {
        remember_damage(compactor, merge.damaged);
        err = NX_OK;
    } else if (err != NX_OK && err != NX_ERR_CANCELED) {
        nx_metric_inc(ing->metrics, ING_M_COMPACTION_FAILURES);
        nx_log(ing->deps.log, NX_LOG_ERROR, "blocks not compacted: they stay as they are",
               NX_V("tenant", ing_block_meta(sources->blocks[0])->tenant),
               NX_I("blocks", sources->count), NX_E(err));
    }
    return err;
}

static int by_tenant(const void *a, const void *b)
{
    const struct ing_block_meta *x = ing_block_meta(*(struct ing_block *const *)a);
    const struct ing_block_meta *y = ing_block_meta(*(struct ing_block *const *)b);
    int order = nx_view_cmp(x->tenant, y->tenant);
    return order != 0 ? order : (x->min_t > y->min_t) - (x->min_t < y->min_t);
}

/* One compaction among the blocks [from, end) of a tenant; 1: done, 0: nothing to do. */
static int step_tenant(struct ing_compactor *compactor, const struct ing_block_list *list,
                       size_t from, size_t end)
{
    struct ingester *ing = compactor->ing;
    size_t count = end - from;
    struct ing_block_list chosen = {.blocks = nx_alloc_array(count, sizeof(struct ing_block *))};
    struct ing_compact_item *items = nx_alloc_array(count, sizeof *items);
    size_t *at = nx_alloc_array(count, sizeof *at);
    int64_t picked = NX_ERR_NOMEM;
    if (chosen.blocks && items && at) {
        for (size_t i = 0; i < count; i++) {
            const struct ing_block *block = list->blocks[from + i];
            const struct ing_block_meta *meta = ing_block_meta(block);
            items[i] = (struct ing_compact_item){.min_t = meta->min_t,
                                                 .max_t = meta->max_t,
                                                 .created_ms = meta->created_ms,
                                                 .bytes = ing_block_size(block),
                                                 .excluded = is_damaged(compactor, block)};
        }
        struct ing_retention_rule rule =
            rule_of(compactor, ing_block_meta(list->blocks[from])->tenant);
        struct ing_compact_rules rules = {.window_ms = ing->rules.window_ms,
                                          .out_of_order_ms = ing->rules.out_of_order_ms,
                                          .max_span_ms = ing_compact_max_span(rule.max_age_ms)};
        picked = ing_compact_plan(&rules, items, count, nx_now_ms(ing->deps.clock), at);
    }
    for (int64_t i = 0; i < picked; i++)
        chosen.blocks[chosen.count++] = list->blocks[from + at[i]];
    int rc = picked > 0 ? 1 : (int)picked;
    if (picked > 0) {
        enum nx_err err = compact(compactor, &chosen);
        rc = err == NX_OK ? 1 : (int)err;
    }
    nx_free(chosen.blocks);
    nx_free(items);
    nx_free(at);
    return rc;
}

/* Goes through the tenants; 1: something was done, 0: nothing to do any more. A tenant that fails
 * does not keep the others from their turn. */
static int step(struct ing_compactor *compactor)
{
    struct ing_block_list list;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err =
        ing_block_set_acquire(compactor->ing->blocks, (struct nx_view){0}, all, &list);
    if (err != NX_OK)
        return err;
    if (list.count > 1)
        qsort(list.blocks, list.count, sizeof(struct ing_block *), by_tenant);
    int result = 0;
    for (size_t i = 0; i < list.count && !atomic_load(&compactor->cancel);) {
        struct nx_view tenant = ing_block_meta(list.blocks[i])->tenant;
        size_t end = i;
        while (end < list.count && nx_view_eq(ing_block_meta(list.blocks[end])->tenant, tenant))
            end++;
        int rc = step_tenant(compactor, &list, i, end);
        if (rc < 0 || (rc == 1 && result == 0))
            result = result < 0 ? result : rc;
        i = end;
    }
    ing_block_list_release(&list);
    return atomic_load(&compactor->cancel) ? NX_ERR_CANCELED : result;
}

static enum nx_err clean_tenant(struct ing_compactor *compactor, struct nx_view tenant)
{
    struct ingester *ing = compactor->ing;
    struct ing_block_list list;
    struct ing_tombstone_list tombstones;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct nx_interval always = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = ing_tombstones_acquire(ing->tombstones, tenant, always, &tombstones);
    if (err != NX_OK)
        return err;
    err = ing_block_set_acquire(ing->blocks, tenant, all, &list);
    if (err == NX_OK) {
        for (size_t i = 0; i < list.count && err == NX_OK; i++) {
            struct ing_block_list one = {.blocks = &list.blocks[i], .count = 1};
            if (ing_mask_applies(&tombstones, ing_block_meta(list.blocks[i])))
                err = compact(compactor, &one);
        }
        ing_block_list_release(&list);
    }
    ing_tombstone_list_release(&tombstones);
    return err;
}

static void pass_run(struct nx_job *job)
{
    struct ing_compactor *compactor = NX_OWNER(struct ing_compactor, job, job);
    int rc = 1;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    retain(compactor);
    while (rc == 1)
        rc = step(compactor);
    for (struct request *request = compactor->served; request; request = request->next) {
        request->err = rc < 0 ? (enum nx_err)rc : NX_OK;
        if (request->tenant.ptr && rc != NX_ERR_CANCELED)
            request->err = clean_tenant(compactor, request->tenant);
    }
    ing_forget_deletions(compactor->ing, rule_of, compactor);
}

/* --- worker 0 --- */

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
    ing_pb_release(&request->pb);
    nx_free(request);
}

static void answer_all(struct request *request, const enum nx_err *err)
{
    while (request) {
        struct request *next = request->next;
        if (err)
            request->err = *err;
        request->task.run = request_answer;
        nx_worker_reply(request->home, &request->task);
        request = next;
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct ing_compactor *compactor = handle->data;
    compactor->timer_open = false;
    compactor->stopped(compactor->stopped_user);
}

static void finish_stop(struct ing_compactor *compactor)
{
    const enum nx_err closed = NX_ERR_CLOSED;
    answer_all(compactor->waiting, &closed);
    compactor->waiting = NULL;
    if (compactor->timer_open)
        uv_close((uv_handle_t *)&compactor->timer, on_timer_closed);
    else
        compactor->stopped(compactor->stopped_user);
}

static void begin(struct ing_compactor *compactor);

static void pass_done(struct nx_job *job)
{
    struct ing_compactor *compactor = NX_OWNER(struct ing_compactor, job, job);
    struct request *served = compactor->served;
    compactor->served = NULL;
    compactor->running = false;
    answer_all(served, NULL);
    if (compactor->stopped)
        finish_stop(compactor);
    else if (compactor->waiting || compactor->again)
        begin(compactor);
}

static void begin(struct ing_compactor *compactor)
{
    const struct ing_settings *settings = compactor->ing->deps.settings;
    compactor->running = true;
    compactor->again = false;
    compactor->served = compactor->waiting;
    compactor->waiting = NULL;
    compactor->retention = (struct ing_retention_rule){.max_age_ms = settings->retention_ms,
                                                       .max_bytes = settings->retention_bytes};
    compactor->pace.bytes_per_s = settings->compaction_rate;
    compactor->job = (struct nx_job){.run = pass_run, .done = pass_done};
    if (nx_lane_submit(compactor->lane, &compactor->job) != NX_OK) {
        const enum nx_err err = NX_ERR_OVERLOADED;
        compactor->running = false;
        answer_all(compactor->served, &err);
        compactor->served = NULL;
    }
}

void ing_compactor_nudge(struct ing_compactor *compactor)
{
    if (compactor->stopped)
        return;
    if (compactor->running)
        compactor->again = true;
    else
        begin(compactor);
}

static void on_tick(uv_timer_t *timer)
{
    struct ing_compactor *compactor = timer->data;
    if (!compactor->running && !compactor->stopped)
        begin(compactor);
}

enum nx_err ing_compactor_start(struct ing_compactor *compactor)
{
    uv_loop_t *loop = nx_worker_loop(nx_workers_at(compactor->ing->deps.workers, 0));
    int rc = uv_timer_init(loop, &compactor->timer);
    if (rc != 0)
        return nx_err_from_uv(rc);
    compactor->timer.data = compactor;
    compactor->timer_open = true;
    rc = uv_timer_start(&compactor->timer, on_tick, TICK_MS, TICK_MS);
    return rc == 0 ? NX_OK : nx_err_from_uv(rc);
}

void ing_compactor_stop(struct ing_compactor *compactor, void (*done)(void *user), void *user)
{
    compactor->stopped = done;
    compactor->stopped_user = user;
    atomic_store(&compactor->cancel, true);
    if (!compactor->running)
        finish_stop(compactor);
}

/* --- RPC --- */

static void request_run(struct nx_task *task)
{
    struct request *request = (struct request *)task;
    struct ing_compactor *compactor = request->ing->compactor;
    request->next = NULL;
    if (compactor->stopped) {
        const enum nx_err err = NX_ERR_CLOSED;
        answer_all(request, &err);
        return;
    }
    request->next = compactor->waiting;
    compactor->waiting = request;
    if (!compactor->running)
        begin(compactor);
}

static void handle(struct nx_rpc_request *req, struct ingester *ing, bool clean)
{
    if (!ing_admit(ing, req))
        return;
    struct request *request = nx_calloc(1, sizeof *request);
    if (!request) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return;
    }
    ing_pb_init(&request->pb);
    request->ing = ing;
    request->req = req;
    request->home = nx_rpc_request_worker(req);
    if (clean) {
        struct nx_view body = nx_rpc_request_body(req);
        const Narthex__CleanRequest *message = narthex__clean_request__unpack(
            &request->pb.allocator, body.len, (const uint8_t *)body.ptr);
        if (!message) {
            request->err = NX_ERR_INVALID;
            request_answer(&request->task);
            return;
        }
        request->tenant = nx_view_of(message->tenant);
    }
    request->task.run = request_run;
    nx_worker_reply(nx_workers_at(ing->deps.workers, 0), &request->task);
}

void ing_compact_handle(struct nx_rpc_request *req, void *user)
{
    handle(req, user, false);
}

void ing_clean_handle(struct nx_rpc_request *req, void *user)
{
    handle(req, user, true);
}
