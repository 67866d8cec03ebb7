/* The manager. A tick on worker 0 looks at sources and peers, and has a plan built on the lane when
 * something has changed; a finished plan is sent to all shards. The end waits for shards, lane and
 * timer, in any order (scrape_settle). */
#include "distributor/scrape/scrape.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/ring/ring.h"
#include "distributor/scrape/scrape_internal.h"

#define TICK_MS 500
#define BEGIN_WAIT_MS 10000

enum { LANE_THREADS = 2, LANE_CAPACITY = 4096 };

int64_t scrape_mono_ms(const struct dist_scrape *scrape)
{
    return (int64_t)(nx_now_ns(scrape->deps.clock) / 1000000);
}

struct scrape_plan *scrape_current_plan(struct dist_scrape *scrape)
{
    pthread_mutex_lock(&scrape->lock);
    struct scrape_plan *plan = scrape->plan ? scrape_plan_take(scrape->plan) : NULL;
    pthread_mutex_unlock(&scrape->lock);
    return plan;
}

/* --- plans --- */

static void free_builder(struct scrape_builder *builder)
{
    struct scrape_plan_input *input = &builder->input;
    for (size_t i = 0; input->groups && i < input->config->job_count; i++) {
        for (size_t k = 0; input->groups[i] && k < input->config->jobs[i].sd_count; k++)
            scrape_groups_drop(input->groups[i][k]);
        nx_free(input->groups[i]);
    }
    nx_free(input->groups);
    scrape_config_drop(input->config);
    scrape_plan_drop(input->previous);
    nx_free(builder->peers);
    nx_free(builder);
}

static enum nx_err gather(struct dist_scrape *scrape, struct scrape_builder *builder)
{
    struct scrape_plan_input *input = &builder->input;
    size_t at = 0;
    input->config = scrape_config_take(scrape->config);
    input->previous = scrape_current_plan(scrape);
    input->self = scrape->deps.self;
    builder->peers = scrape_peers_live(scrape);
    input->peers = builder->peers;
    input->groups = nx_calloc(input->config->job_count + 1, sizeof(struct scrape_groups **));
    if (!input->groups || !builder->peers)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < input->config->job_count; i++) {
        size_t count = input->config->jobs[i].sd_count;
        input->groups[i] = nx_calloc(count + 1, sizeof(struct scrape_groups *));
        if (!input->groups[i])
            return NX_ERR_NOMEM;
        for (size_t k = 0; k < count; k++, at++)
            if (scrape->sources[at]->groups)
                input->groups[i][k] = scrape_groups_take(scrape->sources[at]->groups);
    }
    return NX_OK;
}

static void run_build(struct nx_job *job)
{
    struct scrape_builder *builder = NX_OWNER(struct scrape_builder, job, job);
    builder->err = scrape_plan_build(&builder->input, &builder->plan);
}

static void log_problems(struct dist_scrape *scrape, const struct scrape_plan *plan)
{
    uint64_t hash = nx_hash_view(nx_buf_view(&plan->problems));
    if (plan->problem_count == 0 || hash == scrape->last_problems) {
        scrape->last_problems = plan->problem_count ? hash : 0;
        return;
    }
    scrape->last_problems = hash;
    nx_log(scrape->deps.log, NX_LOG_ERROR, "targets that cannot be scraped",
           NX_I("count", plan->problem_count), NX_V("first", nx_buf_view(&plan->problems)));
}

static void count_targets(struct dist_scrape *scrape, const struct scrape_plan *plan)
{
    size_t owned = 0, dropped = 0;
    for (size_t i = 0; i < plan->target_count; i++)
        owned += plan->owned[i];
    for (size_t i = 0; i < plan->pool_count; i++)
        dropped += plan->pools[i].dropped_total;
    nx_metric_set(scrape->metrics, SCRAPE_METRIC_TARGETS, SCRAPE_TARGETS_OWNED, (double)owned);
    nx_metric_set(scrape->metrics, SCRAPE_METRIC_TARGETS, SCRAPE_TARGETS_OTHER,
                  (double)(plan->target_count - owned));
    nx_metric_set(scrape->metrics, SCRAPE_METRIC_TARGETS, SCRAPE_TARGETS_DROPPED, (double)dropped);
}

static void publish(struct dist_scrape *scrape, struct scrape_plan *plan)
{
    bool sent = true;
    log_problems(scrape, plan);
    count_targets(scrape, plan);
    pthread_mutex_lock(&scrape->lock);
    struct scrape_plan *old = scrape->plan;
    scrape->plan = plan;
    pthread_mutex_unlock(&scrape->lock);
    scrape_plan_drop(old);
    for (size_t i = 0; i < scrape->shard_count; i++)
        sent &= scrape_shard_send(&scrape->shards[i], plan) == NX_OK;
    scrape->dirty |= !sent; /* once more at the next tick */
}

static void build_done(struct nx_job *job)
{
    struct scrape_builder *builder = NX_OWNER(struct scrape_builder, job, job);
    struct dist_scrape *scrape = builder->scrape;
    scrape->building = NULL;
    if (builder->err) {
        nx_log(scrape->deps.log, NX_LOG_ERROR, "no plan of the targets", NX_E(builder->err));
        scrape->dirty = true;
    } else if (scrape->stopping) {
        scrape_plan_drop(builder->plan);
    } else {
        publish(scrape, builder->plan);
    }
    free_builder(builder);
    scrape_settle(scrape);
}

static void begin_build(struct dist_scrape *scrape)
{
    if (!scrape->dirty || scrape->building || !scrape->may_begin || scrape->stopping)
        return;
    struct scrape_builder *builder = nx_calloc(1, sizeof *builder);
    if (!builder)
        return;
    builder->scrape = scrape;
    builder->job = (struct nx_job){.run = run_build, .done = build_done};
    enum nx_err err = gather(scrape, builder);
    if (!err)
        err = nx_lane_submit(scrape->lane, &builder->job);
    if (err) {
        free_builder(builder);
        return; /* the next tick tries again */
    }
    scrape->building = builder;
    scrape->dirty = false;
}

/* --- ticks --- */

void scrape_touch(struct dist_scrape *scrape)
{
    scrape->dirty = true;
}

/* A scrape that nobody can store is lost, so the first ones wait until so many ingesters have
 * answered that no partition lacks a majority, and until it is known who else scrapes; but no
 * longer than a dead one is waited for. */
static bool ready_to_begin(const struct dist_scrape *scrape)
{
    struct nx_ring_view *view = nx_ring_acquire(scrape->deps.ring);
    size_t heard = 0, spare = 0;
    if (!view)
        return false;
    for (size_t i = 0; i < view->member_count; i++)
        heard += view->members[i].healthy && view->members[i].incarnation != 0;
    spare = view->rf - nx_ring_write_quorum(view);
    bool enough = heard + spare >= view->member_count && heard > 0 && scrape->peers_known;
    nx_ring_release(view);
    return enough || scrape_mono_ms(scrape) - scrape->began_ms >= BEGIN_WAIT_MS;
}

static void on_tick(uv_timer_t *timer)
{
    struct dist_scrape *scrape = timer->data;
    scrape_sources_tick(scrape);
    scrape_peers_tick(scrape);
    scrape->may_begin = scrape->may_begin || ready_to_begin(scrape);
    begin_build(scrape);
}

void dist_scrape_start(struct dist_scrape *scrape)
{
    uv_loop_t *loop = nx_worker_loop(nx_workers_at(scrape->deps.workers, 0));
    assert(!scrape->started);
    if (scrape->stopping)
        return;
    if (scrape_shard_open(&scrape->shards[0]) != NX_OK) {
        nx_log(scrape->deps.log, NX_LOG_ERROR, "scraping does not start: out of memory");
        return;
    }
    scrape->started = true;
    scrape->dirty = true;
    scrape->began_ms = scrape_mono_ms(scrape);
    scrape->tick.data = scrape;
    int err = uv_timer_init(loop, &scrape->tick);
    assert(err == 0); /* neither call can fail with a callback given */
    scrape->tick_open = true;
    err = uv_timer_start(&scrape->tick, on_tick, 0, TICK_MS);
    assert(err == 0);
    (void)err;
}

/* --- reload --- */

static void tell_ignored(struct dist_scrape *scrape, const struct scrape_config *config)
{
    if (config->ignored.len > 0)
        nx_log(scrape->deps.log, NX_LOG_INFO,
               "keys of the scrape configuration that are left unread",
               NX_V("keys", nx_buf_view(&config->ignored)));
}

enum nx_err dist_scrape_check(struct dist_scrape *scrape, const char *path, struct nx_fail *fail)
{
    struct scrape_config *config = NULL;
    enum nx_err err = scrape_config_read(path, &config, fail);
    if (err)
        return err;
    scrape_config_drop(scrape->next);
    scrape->next = config;
    return NX_OK;
}

void dist_scrape_take(struct dist_scrape *scrape)
{
    struct scrape_config *config = scrape->next;
    scrape->next = NULL;
    if (!config)
        return;
    if (scrape_sources_replace(scrape, config) != NX_OK) {
        nx_log(scrape->deps.log, NX_LOG_ERROR, "nothing is scraped: out of memory");
        scrape_config_drop(config);
        return;
    }
    tell_ignored(scrape, config);
    scrape_config_drop(scrape->config);
    scrape->config = config;
    scrape_touch(scrape);
}

/* --- the end --- */

void scrape_settle(struct dist_scrape *scrape)
{
    if (!scrape->stopping || !scrape->stopped || scrape->tick_open || scrape->building ||
        scrape->busy_sources > 0 || scrape->open_shards > 0)
        return;
    void (*stopped)(void *user) = scrape->stopped;
    scrape->stopped = NULL;
    stopped(scrape->stopped_user);
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct dist_scrape *scrape = handle->data;
    scrape->tick_open = false;
    scrape_settle(scrape);
}

void dist_scrape_stop(struct dist_scrape *scrape, void (*done)(void *user), void *user)
{
    scrape->stopping = true;
    scrape->stopped = done;
    scrape->stopped_user = user;
    if (!scrape->started) { /* no shard has a client yet */
        scrape_settle(scrape);
        return;
    }
    if (scrape->tick_open)
        uv_close((uv_handle_t *)&scrape->tick, on_tick_closed);
    scrape->open_shards = scrape->shard_count;
    for (size_t i = 0; i < scrape->shard_count; i++)
        scrape_shard_stop(&scrape->shards[i]);
}

void dist_scrape_free(struct dist_scrape *scrape)
{
    if (!scrape)
        return;
    if (scrape->lane)
        nx_lane_free(scrape->lane);
    scrape_sources_free(scrape);
    for (size_t i = 0; scrape->shards && i < scrape->shard_count; i++)
        scrape_shard_release(&scrape->shards[i]);
    nx_free(scrape->shards);
    scrape_plan_drop(scrape->plan);
    scrape_config_drop(scrape->next);
    scrape_config_drop(scrape->config);
    for (size_t i = 0; scrape->peers_found && i < scrape->peer_count; i++)
        nx_free((char *)(uintptr_t)scrape->peers[i].address);
    nx_free(scrape->peers);
    nx_arena_release(&scrape->peer_arena);
    pthread_mutex_destroy(&scrape->lock);
    nx_free(scrape);
}

/* --- set-up --- */

static enum nx_err set_up(struct dist_scrape *scrape, struct nx_fail *fail)
{
    const struct dist_scrape_deps *deps = &scrape->deps;
    enum nx_err err = dist_scrape_check(scrape, deps->settings->scrape_config_file, fail);
    if (!err)
        err = scrape_config_read("", &scrape->config, fail);
    if (!err)
        err = scrape_metrics_register(deps->telemetry, &scrape->metrics);
    if (!err)
        err = nx_lane_new("scrape", LANE_THREADS, LANE_CAPACITY, &scrape->lane);
    if (!err)
        err = nx_lane_observe(scrape->lane, deps->telemetry);
    if (!err)
        err = scrape_peers_init(scrape, fail);
    if (err)
        return err;
    scrape->shard_count = nx_workers_count(deps->workers);
    scrape->shards = nx_calloc(scrape->shard_count, sizeof *scrape->shards);
    if (!scrape->shards)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < scrape->shard_count; i++)
        scrape->shards[i] = (struct scrape_shard){.scrape = scrape,
                                                  .index = i,
                                                  .worker = nx_workers_at(deps->workers, i),
                                                  .pusher = deps->pushers[i]};
    dist_scrape_take(scrape);
    return scrape_api_add(scrape);
}

enum nx_err dist_scrape_new(const struct dist_scrape_deps *deps, struct dist_scrape **out,
                            struct nx_fail *fail)
{
    struct dist_scrape *scrape = nx_calloc(1, sizeof *scrape);
    if (!scrape)
        return NX_ERR_NOMEM;
    scrape->deps = *deps;
    scrape->seed = nx_hash64(deps->cluster, strlen(deps->cluster));
    nx_arena_init(&scrape->peer_arena, 0);
    pthread_mutex_init(&scrape->lock, NULL);
    enum nx_err err = set_up(scrape, fail);
    if (err) {
        dist_scrape_free(scrape);
        return err;
    }
    *out = scrape;
    return NX_OK;
}
