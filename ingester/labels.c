/* Label names and values: each shard answers from its index, the read lane adds the blocks, and the
 * union is sorted. Time selects windows and blocks, not single samples, as in Prometheus. */
#include "common/base/alloc.h"
#include "ingester/ingester_internal.h"

struct ask {
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct ing_pb pb;
    const Narthex__LabelsRequest *request;
    struct nx_matcher *matchers;
    size_t matcher_count;
    struct ing_range range;
    struct ing_fan fan;
    struct ing_texts *parts; /* one a shard */
    struct ing_texts all;
    struct nx_job job;
    enum nx_err err;
    struct nx_fail fail;
};

static void ask_free(struct ask *ask)
{
    struct ingester *ing = ask->ing;
    for (uint32_t i = 0; ask->parts && i < ing->shard_count; i++)
        ing_texts_release(&ask->parts[i]);
    ing_texts_release(&ask->all);
    ing_matchers_release(ask->matchers, ask->matcher_count);
    ing_pb_release(&ask->pb);
    nx_free(ask);
    ing_leave(ing);
}

static void ask_fail(struct ask *ask, enum nx_err err)
{
    nx_rpc_reply_error(ask->req, err,
                       ask->fail.code != NX_OK ? nx_fail_text(&ask->fail) : nx_err_text(err));
    ask_free(ask);
}

static void part_run(struct ing_fan_slot *slot)
{
    struct ask *ask = NX_OWNER(struct ask, fan, slot->fan);
    const Narthex__LabelsRequest *request = ask->request;
    ing_fan_answer(slot,
                   ing_read_labels(slot->shard->store.head, nx_view_of(request->tenant),
                                   nx_view_of(request->name), ask->matchers, ask->matcher_count,
                                   ask->range, &ask->parts[slot->shard->index]));
}

static enum nx_err add_blocks(struct ask *ask)
{
    struct ing_block_list list;
    struct nx_view tenant = nx_view_of(ask->request->tenant);
    enum nx_err err = ing_block_set_check_lost(ask->ing->blocks, tenant, ask->range, &ask->fail);
    if (err == NX_OK)
        err = ing_block_set_acquire(ask->ing->blocks, tenant, ask->range, &list);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < list.count && err == NX_OK; i++) {
        err = ing_block_labels(list.blocks[i], nx_view_of(ask->request->name), ask->matchers,
                               ask->matcher_count, &ask->all);
        if (err == NX_ERR_CORRUPT) {
            ing_block_set_report(ask->ing->blocks, list.blocks[i], err);
            nx_fail_set(&ask->fail, err, "damaged block %s", ing_block_dir(list.blocks[i]));
        }
        /* many blocks say the same: what is there twice need not wait for the end */
        ing_texts_sort(&ask->all);
    }
    ing_block_list_release(&list);
    return err;
}

static void lane_run(struct nx_job *job)
{
    struct ask *ask = NX_OWNER(struct ask, job, job);
    enum nx_err err = NX_OK;
    for (uint32_t i = 0; i < ask->ing->shard_count; i++)
        for (size_t j = 0; j < ask->parts[i].count && err == NX_OK; j++)
            err = ing_texts_add(&ask->all, ask->parts[i].items[j]);
    if (err == NX_OK)
        err = add_blocks(ask);
    ing_texts_sort(&ask->all);
    ask->err = err;
}

static void lane_done(struct nx_job *job)
{
    struct ask *ask = NX_OWNER(struct ask, job, job);
    if (ask->err != NX_OK) {
        ask_fail(ask, ask->err);
        return;
    }
    size_t count = ask->all.count;
    if (ask->request->limit > 0 && count > ask->request->limit)
        count = (size_t)ask->request->limit;
    Narthex__LabelsResponse message = NARTHEX__LABELS_RESPONSE__INIT;
    message.items = nx_arena_array(&ask->pb.arena, count, sizeof(char *));
    if (!message.items) {
        ask_fail(ask, NX_ERR_NOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++)
        message.items[message.n_items++] = (char *)(uintptr_t)ask->all.items[i].ptr;
    ing_pb_reply(ask->req, &message.base);
    ask_free(ask);
}

static void heads_done(struct ing_fan *fan)
{
    struct ask *ask = NX_OWNER(struct ask, fan, fan);
    enum nx_err err = fan->err;
    ask->job = (struct nx_job){.run = lane_run, .done = lane_done};
    if (err == NX_OK)
        err = nx_lane_submit(ask->ing->read_lane, &ask->job);
    if (err != NX_OK)
        ask_fail(ask, err);
}

static enum nx_err ask_init(struct ask *ask, struct nx_view body)
{
    struct ingester *ing = ask->ing;
    size_t max_bytes = (size_t)ing->deps.settings->select_max_bytes;
    ask->request =
        narthex__labels_request__unpack(&ask->pb.allocator, body.len, (const uint8_t *)body.ptr);
    if (!ask->request)
        return nx_fail_set(&ask->fail, NX_ERR_INVALID, "labels: malformed message");
    enum nx_err err = ing_matchers_init(ask->request->matchers, ask->request->n_matchers,
                                        &ask->pb.arena, &ask->matchers, &ask->fail);
    if (err != NX_OK)
        return err;
    ask->matcher_count = ask->request->n_matchers;
    ask->range = (struct ing_range){.min_t = ask->request->min_t, .max_t = ask->request->max_t};
    struct ing_texts *parts = nx_arena_calloc(&ask->pb.arena, ing->shard_count, sizeof *parts);
    ask->fan.slots = nx_arena_calloc(&ask->pb.arena, ing->shard_count, sizeof *ask->fan.slots);
    if (!parts || !ask->fan.slots)
        return NX_ERR_NOMEM;
    for (uint32_t i = 0; i < ing->shard_count; i++)
        ing_texts_init(&parts[i], max_bytes / ing->shard_count);
    ask->parts = parts;
    ask->all.arena.max_bytes = max_bytes;
    return NX_OK;
}

void ing_labels_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    if (!ing_admit(ing, req))
        return;
    struct ask *ask = nx_calloc(1, sizeof *ask);
    if (!ask) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return;
    }
    ask->ing = ing;
    ask->req = req;
    ing_pb_init(&ask->pb);
    ing_texts_init(&ask->all, 0);
    enum nx_err err = ask_init(ask, nx_rpc_request_body(req));
    if (err != NX_OK) {
        ask_fail(ask, err);
        return;
    }
    ask->fan.ing = ing;
    ask->fan.home = nx_rpc_request_worker(req);
    ask->fan.run = part_run;
    ask->fan.done = heads_done;
    ing_fan_start(&ask->fan);
}
