/* A push: route, start every leg, answer as soon as the quorum is settled, end with the last leg.
 *
 * Memory after the answer: the batch is kept for a leg that may still have to send labels, but only
 * while the budget is less than half used; beyond that it is given back at once, and an ingester
 * that then answers `unknown` has missed those rows, as if it had been down. So slow replicas never
 * take the room of new requests. */
#include "distributor/push.h"

#include <assert.h>
#include <inttypes.h>

#include "common/base/alloc.h"
#include "distributor/push_internal.h"

/* --- the budget --- */

bool dist_budget_charge(struct nx_http_budget *budget, size_t bytes)
{
    if (!budget)
        return true;
    size_t before = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);
    do {
        if (before > budget->max_bytes || bytes > budget->max_bytes - before)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&budget->used_bytes, &before, before + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

void dist_budget_discharge(struct nx_http_budget *budget, size_t bytes)
{
    if (!budget)
        return;
    size_t before = atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    assert(before >= bytes);
    (void)before;
}

static bool budget_is_tight(struct nx_http_budget *budget)
{
    return budget &&
           atomic_load_explicit(&budget->used_bytes, memory_order_relaxed) > budget->max_bytes / 2;
}

/* --- the pusher --- */

enum nx_err dist_pusher_new(const struct dist_pusher_options *options, struct dist_pusher **out)
{
    struct dist_pusher *pusher = nx_calloc(1, sizeof *pusher);
    if (!pusher)
        return NX_ERR_NOMEM;
    pusher->options = *options;
    dist_peers_init(&pusher->peers, options->loads, options->cache);
    *out = pusher;
    return NX_OK;
}

void dist_pusher_free(struct dist_pusher *pusher)
{
    if (!pusher)
        return;
    assert(pusher->in_flight == 0);
    while (pusher->pooled > 0) {
        struct dist_batch *batch = pusher->pool[--pusher->pooled];
        dist_batch_release(batch);
        nx_free(batch);
    }
    dist_peers_release(&pusher->peers);
    nx_free(pusher);
}

struct dist_batch *dist_pusher_take_batch(struct dist_pusher *pusher)
{
    if (pusher->pooled > 0)
        return pusher->pool[--pusher->pooled];
    struct dist_batch *batch = nx_alloc(sizeof *batch);
    if (batch)
        dist_batch_init(batch);
    return batch;
}

void dist_pusher_give_batch(struct dist_pusher *pusher, struct dist_batch *batch)
{
    dist_batch_clear(batch, DIST_POOLED_BATCH_BYTES);
    if (pusher->pooled < DIST_POOLED_BATCHES) {
        pusher->pool[pusher->pooled++] = batch;
        return;
    }
    dist_batch_release(batch);
    nx_free(batch);
}

/* --- failures and refusals --- */

void dist_push_note_failure(struct dist_push *push, const char *member, enum nx_err err,
                            const char *text)
{
    if (push->failure == NX_OK) {
        push->failure = err;
        (void)nx_fail_set(&push->first_failure, err, "%s: %s", member,
                          text && *text ? text : nx_err_text(err));
    } else if (err == NX_ERR_RATE_LIMITED || err == NX_ERR_LIMIT) {
        push->failure = err;
    }
}

bool dist_push_note_refusal(struct dist_push *push, const struct dist_row_refusal *refusal)
{
    if (push->answered)
        return true;
    struct nx_arena *arena = &push->arena;
    if (!push->refusal_of_row)
        push->refusal_of_row =
            nx_arena_calloc(arena, push->row_count, sizeof *push->refusal_of_row);
    if (!push->refusal_of_row)
        return false;
    uint32_t known = push->refusal_of_row[refusal->row];
    if (known) {
        struct dist_row_refusal *kept = &push->refusals[known - 1];
        if (refusal->samples > kept->samples)
            kept->samples = refusal->samples;
        return true;
    }
    if (!nx_arena_grow(arena, &push->refusals, push->refusal_count, &push->refusal_capacity,
                       push->refusal_count + 1, sizeof *push->refusals))
        return false;
    struct dist_row_refusal *kept = &push->refusals[push->refusal_count];
    *kept = *refusal;
    kept->text = nx_arena_copy(arena, dist_cut_utf8(refusal->text, 200));
    if (!kept->text.ptr)
        return false;
    push->refusal_of_row[refusal->row] = (uint32_t)++push->refusal_count;
    return true;
}

static bool asks_to_wait(enum nx_err code)
{
    return code == NX_ERR_RATE_LIMITED || code == NX_ERR_LIMIT;
}

static void describe_refusal(struct dist_push *push, const struct dist_row_refusal *refusal,
                             struct dist_refusals *out)
{
    const struct dist_push_request *request = &push->request;
    struct nx_fail why = {.code = NX_OK};
    const char *code_text = nx_err_text(refusal->code);
    bool says_more = refusal->text.len > 0 && !nx_view_is(refusal->text, code_text);
    bool repeats = nx_view_has_prefix(refusal->text, nx_view_of(code_text));
    if (repeats)
        (void)nx_fail_set(&why, refusal->code, "%s, timestamp %" PRId64, refusal->text.ptr,
                          refusal->timestamp);
    else
        (void)nx_fail_set(&why, refusal->code, "%s%s%s%s, timestamp %" PRId64, code_text,
                          says_more ? " (" : "", says_more ? refusal->text.ptr : "",
                          says_more ? ")" : "", refusal->timestamp);
    struct nx_labels labels = {.items = NULL, .count = 0};
    if (refusal->row < push->series_rows && request->batch)
        labels =
            dist_resolve_shown(request->batch, &push->arena, dist_push_series(push, refusal->row));
    bool exemplars = refusal->code == NX_ERR_UNKNOWN_SERIES;
    uint64_t samples = refusal->samples || exemplars ? refusal->samples : 1;
    dist_refusals_add(out, dist_reason_of(refusal->code), samples, &why, labels);
}

/* --- the answer --- */

static enum nx_err failure_code(enum nx_err failure)
{
    if (asks_to_wait(failure))
        return NX_ERR_RATE_LIMITED;
    if (failure == NX_ERR_TIMEOUT || failure == NX_ERR_OVERLOADED || failure == NX_ERR_NOMEM)
        return failure;
    return NX_ERR_UNAVAILABLE;
}

static void describe_unreachable(const struct dist_push *push, struct dist_push_result *result)
{
    const struct dist_quorum *quorum = &push->quorum;
    result->err = failure_code(push->failure);
    (void)nx_fail_set(
        &result->fail, result->err,
        "no majority: %zu of %zu series could not be stored on %u of %u owners; first failure: %s",
        quorum->states[DIST_ROW_UNREACHABLE], quorum->count, (unsigned)quorum->need,
        (unsigned)quorum->owners, nx_fail_text(&push->first_failure));
}

static void describe_refused(struct dist_push *push, struct dist_push_result *result,
                             struct dist_refusals *refusals)
{
    for (size_t i = 0; i < push->refusal_count; i++) {
        const struct dist_row_refusal *refusal = &push->refusals[i];
        if (push->quorum.rows[refusal->row].state != DIST_ROW_REFUSED)
            continue;
        describe_refusal(push, refusal, refusals);
        if (!asks_to_wait(refusal->code) || result->err)
            continue;
        result->err = NX_ERR_RATE_LIMITED;
        (void)nx_fail_set(&result->fail, NX_ERR_RATE_LIMITED, "%s",
                          refusal->text.len ? refusal->text.ptr : nx_err_text(refusal->code));
    }
}

/* Of a row that was refused in part the rest is stored. Which kind was refused is not told: no
 * sender mixes kinds in a series. */
static uint64_t take_refused(uint64_t points, uint64_t *refused)
{
    uint64_t less = points < *refused ? points : *refused;
    *refused -= less;
    return points - less;
}

static void count_stored(const struct dist_push *push, uint64_t stored[DIST_KIND_COUNT])
{
    for (uint32_t i = 0; i < push->quorum.count; i++) {
        enum dist_row_state state = push->quorum.rows[i].state;
        if (state != DIST_ROW_STORED && state != DIST_ROW_REFUSED)
            continue;
        uint64_t refused = 0;
        if (state == DIST_ROW_REFUSED && push->refusal_of_row && push->refusal_of_row[i])
            refused = push->refusals[push->refusal_of_row[i] - 1].samples;
        if (i >= push->series_rows) {
            stored[DIST_KIND_METADATA] += state == DIST_ROW_STORED;
            continue;
        }
        const struct dist_series *series = dist_push_series(push, i);
        bool exemplars_only = series->sample_count == 0 && series->histogram_count == 0;
        stored[DIST_KIND_FLOAT] += take_refused(series->sample_count, &refused);
        stored[DIST_KIND_HISTOGRAM] += take_refused(series->histogram_count, &refused);
        if (state == DIST_ROW_STORED || !exemplars_only)
            stored[DIST_KIND_EXEMPLAR] += series->exemplar_count;
    }
}

static void release_batch(struct dist_push *push)
{
    struct dist_push_request *request = &push->request;
    if (!request->batch)
        return;
    dist_pusher_give_batch(push->pusher, request->batch);
    dist_budget_discharge(push->pusher->options.budget, request->charged_bytes);
    request->batch = NULL;
    request->charged_bytes = 0;
}

static void answer(struct dist_push *push, enum nx_err err)
{
    struct dist_refusals refusals = {.samples = 0};
    struct dist_push_result result = {.err = err, .refusals = &refusals};
    if (err)
        (void)nx_fail_set(&result.fail, err, "%s", nx_err_text(err));
    else if (push->quorum.states[DIST_ROW_UNREACHABLE] > 0)
        describe_unreachable(push, &result);
    else if (push->quorum.states[DIST_ROW_REFUSED] > 0)
        describe_refused(push, &result, &refusals);
    if (!err)
        count_stored(push, result.stored);
    push->answered = true;
    if (push->legs_open > 0 && budget_is_tight(push->pusher->options.budget))
        release_batch(push);
    push->request.done(push->request.user, &result);
}

static void end(struct dist_push *push)
{
    struct dist_pusher *pusher = push->pusher;
    release_batch(push);
    if (push->view)
        pusher->options.cluster->release(pusher->options.cluster, push->view);
    nx_arena_release(&push->arena);
    nx_free(push);
    pusher->in_flight--;
    if (pusher->options.count)
        pusher->options.count(pusher->options.user, -1);
}

static void advance(struct dist_push *push)
{
    if (push->starting)
        return;
    if (!push->answered && dist_quorum_settled(&push->quorum))
        answer(push, NX_OK);
    if (push->legs_open > 0)
        return;
    assert(push->answered); /* each owner of each row has voted */
    end(push);
}

void dist_push_leg_ended(struct dist_push *push)
{
    assert(push->legs_open > 0);
    push->legs_open--;
    advance(push);
}

void dist_push_leg_continues(struct dist_push *push)
{
    if (!push->starting && !push->answered && dist_quorum_settled(&push->quorum))
        answer(push, NX_OK);
}

/* --- start --- */

static enum nx_err prepare(struct dist_push *push)
{
    struct dist_pusher *pusher = push->pusher;
    push->view = pusher->options.cluster->acquire(pusher->options.cluster);
    push->request.tenant = nx_arena_copy(&push->arena, push->request.tenant);
    if (!push->view || !push->request.tenant.ptr)
        return NX_ERR_NOMEM;
    push->started_ns = nx_now_ns(pusher->options.clock);
    push->deadline_ns =
        push->started_ns + (uint64_t)pusher->options.settings->push_timeout_ms * UINT64_C(1000000);
    return dist_push_route(push);
}

/* Owners known to be away may have decided before anything was sent: then nothing is. */
static void start_legs(struct dist_push *push)
{
    if (dist_quorum_settled(&push->quorum))
        return;
    push->legs_open = push->leg_count;
    for (size_t i = 0; i < push->leg_count; i++)
        dist_leg_start(&push->legs[i]);
}

static void fail_at_once(struct dist_pusher *pusher, const struct dist_push_request *request)
{
    struct dist_refusals refusals = {.samples = 0};
    struct dist_push_result result = {.err = NX_ERR_NOMEM, .refusals = &refusals};
    (void)nx_fail_set(&result.fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    dist_pusher_give_batch(pusher, request->batch);
    dist_budget_discharge(pusher->options.budget, request->charged_bytes);
    request->done(request->user, &result);
}

void dist_push_start(struct dist_pusher *pusher, const struct dist_push_request *request)
{
    struct dist_push *push = nx_calloc(1, sizeof *push);
    if (!push) {
        fail_at_once(pusher, request);
        return;
    }
    push->pusher = pusher;
    push->request = *request;
    nx_arena_init(&push->arena, 0);
    pusher->in_flight++;
    if (pusher->options.count)
        pusher->options.count(pusher->options.user, 1);

    enum nx_err err = prepare(push);
    if (err) {
        answer(push, err);
        end(push);
        return;
    }
    push->starting = true;
    start_legs(push);
    push->starting = false;
    advance(push);
}
