/* Answers come back through nx_worker_reply, which cannot be refused. The count of those
 * outstanding is touched on the asking worker only. */
#include "ingester/ingester_internal.h"

#include <assert.h>

bool ing_enter(struct ingester *ing)
{
    atomic_fetch_add(&ing->active, 1);
    if (atomic_load(&ing->serving) && !atomic_load(&ing->stopping))
        return true;
    atomic_fetch_sub(&ing->active, 1);
    return false;
}

bool ing_admit(struct ingester *ing, struct nx_rpc_request *req)
{
    if (ing_enter(ing))
        return true;
    if (atomic_load(&ing->stopping))
        nx_rpc_reply_error(req, NX_ERR_CLOSED, "the ingester is stopping");
    else
        nx_rpc_reply_error(req, NX_ERR_UNAVAILABLE, "the ingester is starting");
    return false;
}

void ing_leave(struct ingester *ing)
{
    size_t before = atomic_fetch_sub(&ing->active, 1);
    assert(before > 0);
    (void)before;
}

static void finish_one(struct ing_fan *fan, enum nx_err err)
{
    if (fan->err == NX_OK)
        fan->err = err;
    if (--fan->left == 0)
        fan->done(fan);
}

static void on_answer(struct nx_task *task)
{
    struct ing_fan_slot *slot = (struct ing_fan_slot *)task;
    finish_one(slot->fan, slot->err);
}

static void on_run(struct nx_task *task)
{
    struct ing_fan_slot *slot = (struct ing_fan_slot *)task;
    slot->fan->run(slot);
}

void ing_fan_answer(struct ing_fan_slot *slot, enum nx_err err)
{
    slot->err = err;
    slot->task.run = on_answer;
    nx_worker_reply(slot->fan->home, &slot->task);
}

void ing_fan_again(struct ing_fan_slot *slot)
{
    slot->task.run = on_run;
    nx_worker_reply(slot->shard->worker, &slot->task);
}

void ing_fan_start(struct ing_fan *fan)
{
    /* one is held until all are sent */
    fan->left = 1;
    fan->err = NX_OK;
    for (uint32_t i = 0; i < fan->ing->shard_count; i++) {
        struct ing_fan_slot *slot = &fan->slots[i];
        if (slot->skip)
            continue;
        slot->fan = fan;
        slot->shard = &fan->ing->shards[i];
        slot->task.run = on_run;
        fan->left++;
        if (fan->urgent) {
            nx_worker_reply(slot->shard->worker, &slot->task);
            continue;
        }
        enum nx_err err = nx_worker_post(slot->shard->worker, &slot->task);
        if (err != NX_OK)
            finish_one(fan, slot->err = err);
    }
    finish_one(fan, NX_OK);
}
