/* A loop's timer stands at its next tick. A tick sends the request; the answer is decoded, made
 * into samples and handed to the push, whose outcome the loop does not wait for. The order in which
 * a scrape that fails is recorded is Prometheus's: what was taken before the failure counts, the
 * series it lacks are marked stale, and the report says that the target is down. */
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "distributor/receive/exposition.h"
#include "distributor/receive/headers.h"
#include "distributor/receive/metric_family.h"
#include "distributor/scrape/report.h"
#include "distributor/scrape/scrape_internal.h"

#define METADATA_EVERY_MS 600000
#define FAMILIES_BYTES_MAX ((size_t)8 << 20)

enum { KEPT_COLUMN_BYTES = 1 << 20, MEMORY_PER_BODY_BYTE = 4 };

/* What one scrape came to. */
struct outcome {
    struct scrape_report report;
    const struct nx_http_response *response; /* NULL: the request was not even sent */
    struct nx_fail fail;                     /* code NX_OK: none */
};

static void on_timer(uv_timer_t *timer);
static void tick(struct scrape_loop *loop);

static int64_t now_ms(const struct scrape_loop *loop)
{
    return nx_now_ms(loop->shard->scrape->deps.clock);
}

static void set_timer(struct scrape_loop *loop)
{
    int64_t wait = scrape_schedule_wait_ms(&loop->schedule, now_ms(loop));
    if (loop->closing)
        return;
    uv_update_time(loop->timer.loop);
    int err = uv_timer_start(&loop->timer, on_timer, (uint64_t)wait, 0);
    assert(err == 0);
    (void)err;
}

static void begin_schedule(struct scrape_loop *loop)
{
    int64_t now = now_ms(loop);
    uint64_t offset_ns = scrape_target_offset_ns(loop->target, loop->shard->scrape->seed,
                                                 (uint64_t)now * UINT64_C(1000000));
    scrape_schedule_begin(&loop->schedule, loop->target->interval_ms, now,
                          (int64_t)(offset_ns / 1000000));
    set_timer(loop);
}

/* --- life --- */

struct scrape_loop *scrape_loop_new(struct scrape_shard *shard, struct scrape_plan *plan,
                                    const struct scrape_target *target)
{
    struct scrape_loop *loop = nx_calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    if (scrape_cache_new(&loop->cache) != NX_OK) {
        nx_free(loop);
        return NULL;
    }
    loop->shard = shard;
    loop->plan = scrape_plan_take(plan);
    loop->target = target;
    loop->timer.data = loop;
    int err = uv_timer_init(nx_worker_loop(shard->worker), &loop->timer);
    assert(err == 0);
    (void)err;
    shard->open_loops++;
    begin_schedule(loop);
    return loop;
}

static void free_if_over(struct scrape_loop *loop)
{
    struct scrape_shard *shard = loop->shard;
    if (!loop->timer_closed || loop->call)
        return;
    scrape_cache_free(loop->cache);
    scrape_plan_drop(loop->plan);
    nx_free(loop);
    shard->open_loops--;
    scrape_shard_closed(shard);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct scrape_loop *loop = handle->data;
    loop->timer_closed = true;
    free_if_over(loop);
}

void scrape_loop_close(struct scrape_loop *loop)
{
    if (loop->closing)
        return;
    loop->closing = true;
    if (loop->call)
        nx_http_call_cancel(loop->call);
    uv_close((uv_handle_t *)&loop->timer, on_timer_closed);
}

void scrape_loop_update(struct scrape_loop *loop, struct scrape_plan *plan,
                        const struct scrape_target *target)
{
    const struct scrape_target *old = loop->target;
    bool other_interval = old->interval_ms != target->interval_ms;
    bool other_rules =
        old->job->relabel_fingerprint != target->job->relabel_fingerprint ||
        !nx_labels_eq(loop->plan->config->external_labels, plan->config->external_labels);
    struct scrape_plan *old_plan = loop->plan;
    loop->plan = scrape_plan_take(plan);
    loop->target = target;
    if (other_rules)
        scrape_cache_change_rules(loop->cache);
    if (other_interval) {
        begin_schedule(loop);
    } else if (loop->schedule.stage != SCRAPE_STAGE_RUNNING) {
        scrape_schedule_return(&loop->schedule);
        set_timer(loop);
    }
    scrape_plan_drop(old_plan);
}

void scrape_loop_leave(struct scrape_loop *loop)
{
    if (loop->call)
        nx_http_call_cancel(loop->call);
    scrape_schedule_leave(&loop->schedule);
}

/* --- recording --- */

static void record_families(struct scrape_status *status, const struct dist_batch *batch)
{
    nx_arena_clear(&status->arena);
    status->arena.max_bytes = FAMILIES_BYTES_MAX;
    status->family_count = 0;
    status->families =
        nx_arena_array(&status->arena, batch->metadata_count + 1, sizeof *status->families);
    if (!status->families)
        return;
    for (size_t i = 0; i < batch->metadata_count; i++) {
        const struct dist_metadata *from = &batch->metadata[i];
        struct scrape_family *to = &status->families[i];
        to->metric = nx_arena_copy(&status->arena, from->metric).ptr;
        to->help = nx_arena_copy(&status->arena, from->help).ptr;
        to->unit = nx_arena_copy(&status->arena, from->unit).ptr;
        to->type = from->type;
        if (!to->metric || !to->help || !to->unit)
            return;
        status->family_count++;
    }
}

static uint64_t hash_metadata(const struct dist_batch *batch)
{
    uint64_t hash = batch->metadata_count;
    for (size_t i = 0; i < batch->metadata_count; i++) {
        const struct dist_metadata *m = &batch->metadata[i];
        hash = nx_hash64_seeded(m->metric.ptr, m->metric.len, hash);
        hash = nx_hash64_seeded(m->help.ptr, m->help.len, hash + m->type);
        hash = nx_hash64_seeded(m->unit.ptr, m->unit.len, hash);
    }
    return hash;
}

/* Metadata seldom changes: it is kept for the API when it does, and goes to the ingesters then and
 * every ten minutes. */
static void take_metadata(struct scrape_loop *loop, struct dist_batch *batch)
{
    uint64_t hash = hash_metadata(batch);
    bool changed = hash != loop->metadata_hash;
    if (changed) {
        struct scrape_status *status = loop->target->status;
        pthread_mutex_lock(&status->lock);
        record_families(status, batch);
        pthread_mutex_unlock(&status->lock);
    }
    if (changed || loop->at_ms - loop->metadata_ms >= METADATA_EVERY_MS) {
        loop->metadata_hash = hash;
        loop->metadata_ms = loop->at_ms;
    } else {
        batch->metadata_count = 0;
    }
}

static void record_status(struct scrape_loop *loop, const struct outcome *outcome)
{
    struct scrape_status *status = loop->target->status;
    struct nx_metrics *metrics = loop->shard->scrape->metrics;
    bool up = outcome->report.up;
    pthread_mutex_lock(&status->lock);
    status->scraped = true;
    status->up = up;
    status->last_ms = loop->at_ms;
    status->last_seconds = outcome->report.seconds;
    (void)snprintf(status->last_error, sizeof status->last_error, "%s",
                   up ? "" : nx_fail_text(&outcome->fail));
    pthread_mutex_unlock(&status->lock);
    nx_metric_add(metrics, SCRAPE_METRIC_SCRAPES, up ? SCRAPE_OUTCOME_UP : SCRAPE_OUTCOME_DOWN, 1);
    nx_metric_observe(metrics, SCRAPE_METRIC_SECONDS, 0, outcome->report.seconds);
}

/* --- an answer becomes samples --- */

static void judge(struct scrape_loop *loop, struct outcome *outcome)
{
    const struct nx_http_response *response = outcome->response;
    struct nx_fail *fail = &outcome->fail;
    const char *url = loop->target->url;
    enum nx_err err = NX_OK;
    if (response->err == NX_ERR_TOO_LARGE) {
        outcome->report.body_bytes = -1;
        err = nx_fail_set(fail, response->err, "body size limit exceeded");
    } else if (response->err == NX_ERR_TIMEOUT) {
        err = nx_fail_set(fail, response->err, "Get \"%.300s\": context deadline exceeded", url);
    } else if (response->err) {
        err = nx_fail_set(fail, response->err, "Get \"%.300s\": %.180s", url,
                          response->error ? response->error : nx_err_text(response->err));
    } else if (response->status != 200) {
        err = nx_fail_set(fail, NX_ERR_UNAVAILABLE, "server returned HTTP status %d %s",
                          response->status, nx_http_status_text(response->status));
    } else {
        outcome->report.body_bytes = (int64_t)response->body.len;
    }
    (void)err;
}

/* By what the target says that it is; text where it says nothing that is known. */
static enum nx_err decode_body(const struct scrape_loop *loop, const struct outcome *outcome,
                               const struct dist_decode_limits *limits, struct dist_batch *batch,
                               struct nx_fail *fail)
{
    const struct scrape_job *job = loop->target->job;
    const char *type = nx_http_call_header(outcome->response->call, "Content-Type");
    struct nx_view media = dist_header_media(nx_view_of(type ? type : ""));
    struct nx_view body = nx_view_make(batch->body, batch->body_len);
    if (nx_view_eq_nocase(media, NX_VIEW("application/vnd.google.protobuf"))) {
        struct dist_metric_families options = {.native_histograms = job->native_histograms,
                                               .classic_too = job->classic_histograms_too,
                                               .default_ms = SCRAPE_NO_TIMESTAMP,
                                               .limits = limits};
        return dist_metric_families_decode(&options, body, batch, fail);
    }
    struct dist_exposition options = {
        .open_metrics = nx_view_eq_nocase(media, NX_VIEW("application/openmetrics-text")),
        .default_ms = SCRAPE_NO_TIMESTAMP,
        .limits = limits};
    return dist_exposition_decode(&options, body, batch, fail);
}

static enum nx_err decode(struct scrape_loop *loop, const struct outcome *outcome,
                          struct dist_batch *batch, struct nx_fail *fail)
{
    const struct dist_scrape_deps *deps = &loop->shard->scrape->deps;
    struct dist_limits tenant;
    dist_limits_get(deps->limits, deps->overrides, nx_view_of(deps->settings->scrape_tenant),
                    &tenant);
    struct dist_decode_limits limits = {.max_series = (size_t)tenant.max.max_series_per_request,
                                        .max_samples = (size_t)tenant.max.max_samples_per_request};
    dist_limits_release(&tenant);
    struct nx_view body = outcome->response->body;
    batch->body = nx_alloc(body.len);
    if (!batch->body)
        return NX_ERR_NOMEM;
    memcpy(batch->body, body.ptr, body.len);
    batch->body_len = body.len;
    batch->arena.max_bytes = (size_t)deps->settings->max_decoded_bytes * MEMORY_PER_BODY_BYTE;
    return decode_body(loop, outcome, &limits, batch, fail);
}

/* Fills the batch with the samples of the answer. On failure there is nothing to store of it. */
static enum nx_err take_samples(struct scrape_loop *loop, struct outcome *outcome,
                                struct dist_batch *batch)
{
    struct scrape_rules rules = {.job = loop->target->job,
                                 .target = loop->target->shown,
                                 .external = loop->plan->config->external_labels,
                                 .at_ms = loop->at_ms};
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = decode(loop, outcome, batch, &outcome->fail);
    enum nx_err taken =
        scrape_samples_take(loop->cache, &rules, batch, &outcome->report.counts, &fail);
    if (!err && taken)
        outcome->fail = fail;
    if (!err)
        err = taken;
    if (err && outcome->fail.code == NX_OK)
        err = nx_fail_set(&outcome->fail, err, "%s", nx_err_text(err));
    if (!err)
        take_metadata(loop, batch);
    return err;
}

static void give_up(struct scrape_loop *loop, struct dist_batch *batch)
{
    dist_pusher_give_batch(loop->shard->pusher, batch);
    nx_metric_inc(loop->shard->scrape->metrics, SCRAPE_METRIC_PUSH_FAILURES);
}

static void record(struct scrape_loop *loop, struct outcome *outcome)
{
    struct dist_batch *batch = dist_pusher_take_batch(loop->shard->pusher);
    bool whole = outcome->fail.code == NX_OK && outcome->response->body.len > 0;
    if (!batch) {
        nx_metric_inc(loop->shard->scrape->metrics, SCRAPE_METRIC_PUSH_FAILURES);
        return;
    }
    if (whole && take_samples(loop, outcome, batch) != NX_OK) {
        dist_batch_clear(batch, KEPT_COLUMN_BYTES);
        whole = false;
    }
    outcome->report.up = outcome->fail.code == NX_OK;
    enum nx_err err = scrape_samples_mark_stale(loop->cache, loop->at_ms, batch);
    scrape_samples_end(loop->cache, whole);
    if (!err)
        err = scrape_report_add(&outcome->report, batch);
    record_status(loop, outcome);
    if (err)
        give_up(loop, batch);
    else
        scrape_store(loop->shard, batch);
}

static struct outcome begin_outcome(const struct scrape_loop *loop)
{
    return (struct outcome){.report = {.target = loop->target,
                                       .external = loop->plan->config->external_labels,
                                       .at_ms = loop->at_ms}};
}

static void on_answer(void *user, const struct nx_http_response *response)
{
    struct scrape_loop *loop = user;
    loop->call = NULL;
    if (loop->closing) {
        free_if_over(loop);
        return;
    }
    if (response->err == NX_ERR_CANCELED)
        return;
    uint64_t now_ns = nx_now_ns(loop->shard->scrape->deps.clock);
    struct outcome outcome = begin_outcome(loop);
    outcome.response = response;
    outcome.report.seconds = (double)(now_ns - loop->call_began_ns) * 1e-9;
    judge(loop, &outcome);
    record(loop, &outcome);
}

/* --- ticks --- */

static size_t max_body(const struct scrape_loop *loop)
{
    int64_t most = loop->shard->scrape->deps.settings->max_decoded_bytes;
    int64_t limit = loop->target->job->body_size_limit;
    /* as in Prometheus, a body of just the limit is too large */
    return (size_t)(limit > 0 && limit - 1 < most ? (limit > 1 ? limit - 1 : 1) : most);
}

static void scrape(struct scrape_loop *loop)
{
    const struct scrape_target *target = loop->target;
    struct scrape_call call = {.url = target->url,
                               .http = &target->job->http,
                               .accept = target->job->accept,
                               .timeout_ms = target->timeout_ms,
                               .max_body_bytes = max_body(loop),
                               .tell_timeout = true,
                               .done = on_answer,
                               .user = loop};
    struct outcome outcome;
    enum nx_err err = NX_OK;
    loop->at_ms = scrape_schedule_scrape(&loop->schedule, now_ms(loop));
    loop->scraped = true;
    loop->call_began_ns = nx_now_ns(loop->shard->scrape->deps.clock);
    outcome = begin_outcome(loop);
    if (target->over_limit)
        err = nx_fail_set(&outcome.fail, NX_ERR_LIMIT, "target_limit exceeded (limit: %lld)",
                          (long long)target->job->target_limit);
    else
        err = scrape_call_send(loop->shard->client, &call, &loop->call, &outcome.fail);
    if (!err)
        return;
    if (outcome.fail.code == NX_OK)
        err = nx_fail_set(&outcome.fail, err, "%s", nx_err_text(err));
    record(loop, &outcome);
}

/* The target has gone for good. Where its labels live on in another target, markers would end that
 * one's series: storage takes samples out of order. */
static void end_series(struct scrape_loop *loop)
{
    struct dist_batch *batch = NULL;
    struct outcome outcome = begin_outcome(loop);
    outcome.report.at_ms = loop->schedule.stale_ms;
    outcome.report.stale = true;
    if (!scrape_plan_has_labels(loop->shard->plan, loop->target->shown))
        batch = dist_pusher_take_batch(loop->shard->pusher);
    if (batch) {
        enum nx_err err = scrape_samples_mark_stale(loop->cache, loop->schedule.stale_ms, batch);
        if (!err)
            err = scrape_report_add(&outcome.report, batch);
        if (err)
            give_up(loop, batch);
        else
            scrape_store(loop->shard, batch);
    }
    scrape_shard_forget(loop->shard, loop);
    scrape_loop_close(loop);
}

static void tick(struct scrape_loop *loop)
{
    if (loop->schedule.stage == SCRAPE_STAGE_RUNNING) {
        if (!loop->call)
            scrape(loop);
        else
            (void)scrape_schedule_scrape(&loop->schedule, now_ms(loop)); /* it runs late */
    } else {
        scrape_schedule_pass(&loop->schedule, now_ms(loop));
    }
    if (loop->schedule.stage == SCRAPE_STAGE_OVER)
        end_series(loop);
    else
        set_timer(loop);
}

static void on_timer(uv_timer_t *timer)
{
    tick(timer->data);
}
