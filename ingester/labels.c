/* Label names and values: each shard answers from its index, the read lane adds the blocks, and the
 * union is sorted. Time selects windows and blocks, not single samples, as in Prometheus. */
#include "ingester/ask.h"

struct ask {
    struct ing_ask base;
    const Narthex__LabelsRequest *request;
    struct ing_range range;
    struct ing_texts *parts; /* one a shard */
    struct ing_texts all;
    struct nx_job job;
    enum nx_err err;
};

static void release(struct ing_ask *base)
{
    struct ask *ask = NX_OWNER(struct ask, base, base);
    for (uint32_t i = 0; ask->parts && i < base->ing->shard_count; i++)
        ing_texts_release(&ask->parts[i]);
    ing_texts_release(&ask->all);
}

static void part_run(struct ing_fan_slot *slot)
{
    struct ask *ask = NX_OWNER(struct ask, base.fan, slot->fan);
    const Narthex__LabelsRequest *request = ask->request;
    ing_fan_answer(slot, ing_read_labels(slot->shard->store.head, nx_view_of(request->tenant),
                                         nx_view_of(request->name), ask->base.matchers,
                                         ask->base.matcher_count, ask->range,
                                         &ask->parts[slot->shard->index]));
}

static enum nx_err add_blocks(struct ask *ask)
{
    struct ing_block_list list;
    struct nx_view tenant = nx_view_of(ask->request->tenant);
    enum nx_err err =
        ing_block_set_check_lost(ask->base.ing->blocks, tenant, ask->range, &ask->base.fail);
    if (err == NX_OK)
        err = ing_block_set_acquire(ask->base.ing->blocks, tenant, ask->range, &list);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < list.count && err == NX_OK; i++) {
        err = ing_block_labels(list.blocks[i], nx_view_of(ask->request->name), ask->base.matchers,
                               ask->base.matcher_count, &ask->all);
        if (err == NX_ERR_CORRUPT) {
            ing_block_set_report(ask->base.ing->blocks, list.blocks[i], err);
            nx_fail_set(&ask->base.fail, err, "damaged block %s", ing_block_dir(list.blocks[i]));
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
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++)
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
        ing_ask_fail(&ask->base, ask->err);
        return;
    }
    size_t count = ask->all.count;
    if (ask->request->limit > 0 && count > ask->request->limit)
        count = (size_t)ask->request->limit;
    Narthex__LabelsResponse message = NARTHEX__LABELS_RESPONSE__INIT;
    message.items = nx_arena_array(&ask->base.pb.arena, count, sizeof(char *));
    if (!message.items) {
        ing_ask_fail(&ask->base, NX_ERR_NOMEM);
        return;
    }
    for (size_t i = 0; i < count; i++)
        message.items[message.n_items++] = (char *)(uintptr_t)ask->all.items[i].ptr;
    ing_ask_reply(&ask->base, &message.base);
}

static void heads_done(struct ing_fan *fan)
{
    struct ask *ask = NX_OWNER(struct ask, base.fan, fan);
    enum nx_err err = fan->err;
    ask->job = (struct nx_job){.run = lane_run, .done = lane_done};
    if (err == NX_OK)
        err = nx_lane_submit(ask->base.ing->read_lane, &ask->job);
    if (err != NX_OK)
        ing_ask_fail(&ask->base, err);
}

static enum nx_err ask_init(struct ask *ask)
{
    struct ing_ask *base = &ask->base;
    uint32_t shards = base->ing->shard_count;
    size_t max_bytes = (size_t)base->ing->deps.settings->select_max_bytes;
    ask->request = ing_ask_message(base, &narthex__labels_request__descriptor, "labels");
    if (!ask->request)
        return NX_ERR_INVALID;
    enum nx_err err = ing_ask_matchers(base, ask->request->matchers, ask->request->n_matchers);
    if (err != NX_OK)
        return err;
    ask->range = (struct ing_range){.min_t = ask->request->min_t, .max_t = ask->request->max_t};
    struct ing_texts *parts = nx_arena_calloc(&base->pb.arena, shards, sizeof *parts);
    if (!parts)
        return NX_ERR_NOMEM;
    for (uint32_t i = 0; i < shards; i++)
        ing_texts_init(&parts[i], max_bytes / shards);
    ask->parts = parts;
    ask->all.arena.max_bytes = max_bytes;
    return NX_OK;
}

void ing_labels_handle(struct nx_rpc_request *req, void *user)
{
    struct ask *ask = ing_ask_new(user, req, sizeof *ask, release);
    if (!ask)
        return;
    ing_texts_init(&ask->all, 0);
    ing_ask_start(&ask->base, ask_init(ask), part_run, heads_done);
}
