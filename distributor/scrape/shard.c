/* The targets of one worker. A plan comes as a task; loops and targets are both sorted by key, so
 * that one walk over both tells what begins, what goes on and what ends. */
#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "distributor/scrape/scrape_internal.h"

struct delivery {
    struct nx_task task;
    struct scrape_shard *shard;
    struct scrape_plan *plan;
};

static struct nx_hash128 key_of(const struct scrape_loop *loop)
{
    return loop->target->key;
}

static bool is_mine(const struct scrape_shard *shard, const struct scrape_plan *plan, size_t i)
{
    return plan->owned[i] && plan->by_key[i]->key.hi % shard->scrape->shard_count == shard->index;
}

static void begin_loop(struct scrape_shard *shard, struct scrape_plan *plan, size_t i,
                       struct scrape_loop **list, size_t *count)
{
    struct scrape_loop *loop = scrape_loop_new(shard, plan, plan->by_key[i]);
    if (loop)
        list[(*count)++] = loop;
    else
        nx_log(shard->scrape->deps.log, NX_LOG_ERROR, "no memory for a target",
               NX_S("url", plan->by_key[i]->url));
}

static bool has_job(const struct scrape_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->pool_count; i++)
        if (strcmp(plan->pools[i].job->name, name) == 0)
            return true;
    return false;
}

/* The loop's target is not (or no longer) this shard's. False: the loop has been closed. */
static bool end_loop(struct scrape_shard *shard, struct scrape_plan *plan, struct scrape_loop *loop)
{
    bool moved = scrape_plan_find(plan, key_of(loop)) != SIZE_MAX;
    (void)shard;
    if (moved || !has_job(plan, loop->target->job->name) || !loop->scraped) {
        scrape_loop_close(loop);
        return false;
    }
    scrape_loop_leave(loop);
    return true;
}

/* Loops of the new plan into `list`, which has room for all old ones and all targets. */
static size_t merge(struct scrape_shard *shard, struct scrape_plan *plan, struct scrape_loop **list)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < plan->target_count; i++) {
        if (!is_mine(shard, plan, i))
            continue;
        struct nx_hash128 key = plan->by_key[i]->key;
        while (at < shard->loop_count && scrape_key_cmp(key_of(shard->loops[at]), key) < 0) {
            struct scrape_loop *loop = shard->loops[at++];
            if (end_loop(shard, plan, loop))
                list[count++] = loop;
        }
        if (at < shard->loop_count && scrape_key_cmp(key_of(shard->loops[at]), key) == 0) {
            scrape_loop_update(shard->loops[at], plan, plan->by_key[i]);
            list[count++] = shard->loops[at++];
        } else {
            begin_loop(shard, plan, i, list, &count);
        }
    }
    while (at < shard->loop_count) {
        struct scrape_loop *loop = shard->loops[at++];
        if (end_loop(shard, plan, loop))
            list[count++] = loop;
    }
    return count;
}

static void take_plan(struct scrape_shard *shard, struct scrape_plan *plan)
{
    size_t mine = 0;
    for (size_t i = 0; i < plan->target_count; i++)
        mine += is_mine(shard, plan, i);
    struct scrape_loop **list =
        nx_alloc_array(shard->loop_count + mine + 1, sizeof(struct scrape_loop *));
    if (!list) {
        nx_log(shard->scrape->deps.log, NX_LOG_ERROR, "no memory for the targets");
        scrape_plan_drop(plan);
        return;
    }
    scrape_plan_drop(shard->plan);
    shard->plan = plan;
    size_t count = merge(shard, plan, list);
    nx_free(shard->loops);
    shard->loops = list;
    shard->loop_count = count;
}

static void deliver(struct nx_task *task)
{
    struct delivery *delivery = NX_OWNER(struct delivery, task, task);
    if (delivery->shard->stopping)
        scrape_plan_drop(delivery->plan);
    else if (scrape_shard_open(delivery->shard) == NX_OK)
        take_plan(delivery->shard, delivery->plan);
    else
        scrape_plan_drop(delivery->plan);
    nx_free(delivery);
}

enum nx_err scrape_shard_send(struct scrape_shard *shard, struct scrape_plan *plan)
{
    struct delivery *delivery = nx_calloc(1, sizeof *delivery);
    if (!delivery)
        return NX_ERR_NOMEM;
    delivery->task.run = deliver;
    delivery->shard = shard;
    delivery->plan = scrape_plan_take(plan);
    nx_worker_reply(shard->worker, &delivery->task);
    return NX_OK;
}

void scrape_shard_forget(struct scrape_shard *shard, struct scrape_loop *loop)
{
    size_t kept = 0;
    for (size_t i = 0; i < shard->loop_count; i++)
        if (shard->loops[i] != loop)
            shard->loops[kept++] = shard->loops[i];
    shard->loop_count = kept;
}

/* --- beginning and end --- */

enum nx_err scrape_shard_open(struct scrape_shard *shard)
{
    if (shard->client)
        return NX_OK;
    return nx_http_client_new(shard->worker, shard->scrape->deps.log, &shard->client);
}

static void report_closed(struct nx_task *task)
{
    struct scrape_shard *shard = NX_OWNER(struct scrape_shard, stop_task, task);
    shard->scrape->open_shards--;
    scrape_settle(shard->scrape);
}

static void on_client_closed(void *user)
{
    struct scrape_shard *shard = user;
    shard->client = NULL;
    shard->stop_task.run = report_closed;
    nx_worker_reply(nx_workers_at(shard->scrape->deps.workers, 0), &shard->stop_task);
}

void scrape_shard_closed(struct scrape_shard *shard)
{
    if (!shard->stopping || shard->open_loops > 0 || shard->client_closing)
        return;
    shard->client_closing = true;
    if (shard->client)
        nx_http_client_close(shard->client, on_client_closed, shard);
    else
        on_client_closed(shard);
}

static void run_stop(struct nx_task *task)
{
    struct scrape_shard *shard = NX_OWNER(struct scrape_shard, stop_task, task);
    shard->stopping = true;
    for (size_t i = 0; i < shard->loop_count; i++)
        scrape_loop_close(shard->loops[i]);
    shard->loop_count = 0;
    scrape_shard_closed(shard);
}

void scrape_shard_stop(struct scrape_shard *shard)
{
    shard->stop_task.run = run_stop;
    nx_worker_reply(shard->worker, &shard->stop_task);
}

void scrape_shard_release(struct scrape_shard *shard)
{
    scrape_plan_drop(shard->plan);
    nx_free(shard->loops);
}
