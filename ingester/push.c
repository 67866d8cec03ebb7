/* A push is decoded once, split by shard, and applied on each shard's worker; a shard answers when
 * its log is synced up to where it stood after the apply, so also a push that only repeats what is
 * there waits until the first writing of it is on disk. The request is answered when all its shards
 * have. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "ingester/ingester_internal.h"

struct push_part {
    struct ing_part part;
    struct nx_arena arena;
    struct ing_log_waiter waiter;
    struct ing_fan_slot *slot;
};

struct push {
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct ing_pb pb;
    struct ing_batch batch;
    struct nx_tenant_limits limits;
    struct push_part *parts; /* one a shard */
    struct ing_fan fan;
};

static void push_free(struct push *push)
{
    struct ingester *ing = push->ing;
    for (uint32_t i = 0; push->parts && i < ing->shard_count; i++)
        nx_arena_release(&push->parts[i].arena);
    ing_pb_release(&push->pb);
    nx_free(push);
    ing_leave(ing);
}

static void push_fail(struct push *push, enum nx_err err, const char *text)
{
    nx_metric_inc(push->ing->metrics, ING_M_PUSH_ERRORS);
    nx_rpc_reply_error(push->req, err, text ? text : nx_err_text(err));
    push_free(push);
}

static void on_logged(struct ing_log_waiter *waiter, enum nx_err err)
{
    struct push_part *part = NX_OWNER(struct push_part, waiter, waiter);
    ing_fan_answer(part->slot, err);
}

static void count_part(const struct ing_part *part, struct nx_metrics *metrics)
{
    nx_metric_add(metrics, ING_M_SAMPLES, ING_KIND_FLOAT, (double)part->floats);
    nx_metric_add(metrics, ING_M_SAMPLES, ING_KIND_HISTOGRAM, (double)part->histograms);
    nx_metric_add(metrics, ING_M_SAMPLES, ING_KIND_DUPLICATE, (double)part->duplicates);
    if (part->exemplars > 0)
        nx_metric_add(metrics, ING_M_EXEMPLARS, 0, (double)part->exemplars);
    if (part->created > 0)
        nx_metric_add(metrics, ING_M_SERIES_CREATED, 0, (double)part->created);
    if (part->unknown_count > 0)
        nx_metric_add(metrics, ING_M_PUSH_UNKNOWN, 0, (double)part->unknown_count);
    for (size_t i = 0; i < part->refused_count; i++)
        nx_metric_add(metrics, ING_M_REFUSED, ing_refusal_of(part->refused[i].code),
                      part->refused[i].count);
}

/* The partitions of the view that this ingester takes the writes of and that are the shard's. */
static uint64_t count_owned(const struct ing_shard *shard, const struct nx_ring_view *view)
{
    const struct ingester *ing = shard->ing;
    uint64_t owned = 0;
    for (uint32_t p = shard->index; p < view->partitions; p += ing->shard_count) {
        size_t count;
        const uint16_t *writers = nx_ring_writers(view, p, &count);
        for (size_t i = 0; i < count; i++)
            owned += writers[i] < view->member_count &&
                     strcmp(view->members[writers[i]].name, ing->deps.node_name) == 0;
    }
    return owned;
}

/* What the shard may take of the tenant. */
static void set_quota(const struct push *push, struct ing_shard *shard, struct ing_part *part)
{
    const struct nx_tenant_limits *limits = &push->limits;
    struct ingester *ing = push->ing;
    bool series = ing->ring && (limits->max_series > 0 || limits->max_series_per_metric > 0);
    part->limited = series || limits->out_of_order_ms >= 0;
    if (series) {
        struct nx_ring_view *view = nx_ring_acquire(ing->ring);
        if (view->version != shard->owned_version) {
            shard->owned = count_owned(shard, view);
            shard->owned_version = view->version;
        }
        nx_ring_release(view);
    }
    part->quota = ing_quota_of(limits, shard->owned, series ? ing->deps.partitions : 0);
}

static void part_run(struct ing_fan_slot *slot)
{
    struct push *push = NX_OWNER(struct push, fan, slot->fan);
    struct ing_shard *shard = slot->shard;
    struct push_part *part = &push->parts[shard->index];
    part->slot = slot;
    enum nx_err err = ing_log_failure(shard->log);
    struct nx_buf *log = NULL;
    if (err == NX_OK)
        err = ing_log_reserve(shard->log, ing_apply_bound(&shard->store, &part->part), &log);
    if (err == NX_OK) {
        size_t before = log->len;
        set_quota(push, shard, &part->part);
        err = ing_apply(&shard->store, &part->part, ing_log_segment(shard->log),
                        ing_log_nonce(shard->log), nx_now_ms(push->ing->deps.clock), log);
        if (log->len > before)
            ing_log_appended(shard->log);
        count_part(&part->part, push->ing->metrics);
    }
    if (err != NX_OK) {
        ing_fan_answer(slot, err);
        return;
    }
    part->waiter.done = on_logged;
    ing_log_wait(shard->log, &part->waiter);
}

struct answer {
    Narthex__PushResponse message;
    Narthex__Refusal *refusals;
};

static enum nx_err answer_fill(struct push *push, struct answer *answer)
{
    Narthex__PushResponse *message = &answer->message;
    size_t unknown = 0;
    size_t refused = 0;
    for (uint32_t i = 0; i < push->ing->shard_count; i++) {
        unknown += push->parts[i].part.unknown_count;
        refused += push->parts[i].part.refused_count;
    }
    message->numbers = push->batch.numbers;
    message->n_numbers = push->batch.numbers ? push->batch.rows : 0;
    message->unknown = nx_arena_array(&push->pb.arena, unknown, sizeof *message->unknown);
    message->refused = nx_arena_array(&push->pb.arena, refused, sizeof(Narthex__Refusal *));
    answer->refusals = nx_arena_array(&push->pb.arena, refused, sizeof *answer->refusals);
    if (!message->unknown || !message->refused || !answer->refusals)
        return NX_ERR_NOMEM;
    for (uint32_t i = 0; i < push->ing->shard_count; i++) {
        const struct ing_part *part = &push->parts[i].part;
        for (size_t j = 0; j < part->unknown_count; j++)
            message->unknown[message->n_unknown++] = part->unknown[j];
        for (size_t j = 0; j < part->refused_count; j++) {
            Narthex__Refusal *refusal = &answer->refusals[message->n_refused];
            *refusal = (Narthex__Refusal)NARTHEX__REFUSAL__INIT;
            refusal->series = part->refused[j].row;
            refusal->count = part->refused[j].count;
            refusal->code = part->refused[j].code;
            refusal->text = (char *)(uintptr_t)part->refused[j].text;
            refusal->timestamp = part->refused[j].t;
            message->refused[message->n_refused++] = refusal;
        }
    }
    return NX_OK;
}

static void push_done(struct ing_fan *fan)
{
    struct push *push = NX_OWNER(struct push, fan, fan);
    if (fan->err != NX_OK) {
        push_fail(push, fan->err, NULL);
        return;
    }
    struct answer answer = {.message = NARTHEX__PUSH_RESPONSE__INIT};
    answer.message.incarnation = push->ing->incarnation;
    enum nx_err err = answer_fill(push, &answer);
    if (err != NX_OK) {
        push_fail(push, err, NULL);
        return;
    }
    ing_pb_reply(push->req, &answer.message.base);
    push_free(push);
}

/* Which shard gets which bunches; numbers of a shard that is not there go to one that will not know
 * them. */
static enum nx_err split_bunches(struct push *push)
{
    struct ingester *ing = push->ing;
    const struct nx_push_columns *columns = &push->batch.numbered;
    for (size_t i = 0; i < columns->bunches; i++) {
        uint32_t number = columns->numbers[columns->ends[i] - 1];
        push->parts[nx_number_shard(number) % ing->shard_count].part.bunch_count++;
    }
    for (uint32_t i = 0; i < ing->shard_count; i++) {
        struct ing_part *part = &push->parts[i].part;
        part->bunches = nx_arena_array(&push->pb.arena, part->bunch_count, sizeof *part->bunches);
        if (!part->bunches)
            return NX_ERR_NOMEM;
        part->bunch_count = 0;
    }
    for (size_t i = 0; i < columns->bunches; i++) {
        uint32_t number = columns->numbers[columns->ends[i] - 1];
        struct ing_part *part = &push->parts[nx_number_shard(number) % ing->shard_count].part;
        part->bunches[part->bunch_count++] = (uint32_t)i;
    }
    return NX_OK;
}

/* Which shard gets which rows. */
static enum nx_err split(struct push *push)
{
    struct ingester *ing = push->ing;
    struct ing_batch *batch = &push->batch;
    const Narthex__PushRequest *request = batch->request;
    struct nx_arena *arena = &push->pb.arena;
    size_t entries = batch->rows + request->n_metadata;
    uint32_t *shard_of = nx_arena_array(arena, entries, sizeof *shard_of);
    push->parts = nx_arena_calloc(arena, ing->shard_count, sizeof *push->parts);
    push->fan.slots = nx_arena_calloc(arena, ing->shard_count, sizeof *push->fan.slots);
    if (!shard_of || !push->parts || !push->fan.slots)
        return NX_ERR_NOMEM;
    for (uint32_t i = 0; i < ing->shard_count; i++) {
        nx_arena_init(&push->parts[i].arena, 0);
        push->parts[i].part.arena = &push->parts[i].arena;
        push->parts[i].part.batch = batch;
        push->parts[i].part.shard = i;
    }
    enum nx_err err = split_bunches(push);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < entries; i++) {
        if (i < batch->rows) {
            shard_of[i] = ing_shard_of(ing, batch->ids[i])->index;
            push->parts[shard_of[i]].part.row_count++;
        } else {
            struct nx_view metric = nx_view_of(request->metadata[i - batch->rows]->metric);
            shard_of[i] = ing_metadata_shard(metric, ing->shard_count);
            push->parts[shard_of[i]].part.metadata_count++;
        }
    }
    for (uint32_t i = 0; i < ing->shard_count; i++) {
        struct ing_part *part = &push->parts[i].part;
        push->fan.slots[i].skip =
            part->row_count == 0 && part->metadata_count == 0 && part->bunch_count == 0;
        part->rows = nx_arena_array(arena, part->row_count, sizeof *part->rows);
        part->metadata = nx_arena_array(arena, part->metadata_count, sizeof *part->metadata);
        if (!part->rows || !part->metadata)
            return NX_ERR_NOMEM;
        part->row_count = part->metadata_count = 0;
    }
    for (size_t i = 0; i < entries; i++) {
        struct ing_part *part = &push->parts[shard_of[i]].part;
        if (i < batch->rows)
            part->rows[part->row_count++] = (uint32_t)i;
        else
            part->metadata[part->metadata_count++] = (uint32_t)(i - batch->rows);
    }
    return NX_OK;
}

static struct nx_tenant_limits limits_of(struct ingester *ing, struct nx_view tenant)
{
    struct nx_tenant_limits limits = {.out_of_order_ms = -1};
    if (ing->deps.limits)
        nx_limits_of(ing->deps.limits, ing->deps.overrides, tenant, &limits);
    return limits;
}

void ing_push_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    nx_metric_inc(ing->metrics, ING_M_PUSHES);
    if (!ing_admit(ing, req))
        return;
    struct push *push = nx_calloc(1, sizeof *push);
    if (!push) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return;
    }
    push->ing = ing;
    push->req = req;
    ing_pb_init(&push->pb);
    struct nx_view body = nx_rpc_request_body(req);
    const Narthex__PushRequest *request =
        narthex__push_request__unpack(&push->pb.allocator, body.len, (const uint8_t *)body.ptr);
    if (!request) {
        push_fail(push, NX_ERR_INVALID, "push: malformed message");
        return;
    }
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = ing_batch_init(&push->batch, request, &push->pb.arena, &fail);
    if (err == NX_OK)
        err = split(push);
    if (err != NX_OK) {
        push_fail(push, err, fail.code != NX_OK ? nx_fail_text(&fail) : NULL);
        return;
    }
    push->limits = limits_of(ing, push->batch.tenant);
    push->fan.ing = ing;
    push->fan.home = nx_rpc_request_worker(req);
    push->fan.run = part_run;
    push->fan.done = push_done;
    ing_fan_start(&push->fan);
}
