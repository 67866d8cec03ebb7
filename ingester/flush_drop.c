/* What is published leaves the heads chunk by chunk, by identity: samples that came for the same
 * windows meanwhile stay. Then series without samples leave, and the log is cut where its beginning
 * holds nothing else any more. */
#include "common/base/alloc.h"
#include "ingester/flush.h"

#define SLICE_SERIES 512u

struct drop_part {
    size_t target;
    size_t item;
    uint32_t collected; /* slots looked at */
    bool dropped;
};

struct drop {
    struct ing_flush_run *run;
    void (*next)(struct ing_flush_run *run, enum nx_err err);
    struct ing_fan fan;
    struct drop_part *parts;
};

/* True when there is more. */
static bool drop_items(struct drop *drop, struct ing_shard *shard, struct drop_part *part)
{
    struct ing_head *head = shard->store.head;
    size_t left = SLICE_SERIES;
    for (; part->target < drop->run->target_count; part->target++, part->item = 0) {
        const struct ing_flush_target *target = &drop->run->targets[part->target];
        const struct ing_flush_kept *kept = &target->kept[shard->index];
        for (; target->block && part->item < kept->count; part->item++) {
            if (left-- == 0)
                return true;
            const struct ing_flush_item *item = &kept->items[part->item];
            struct ing_series *series = ing_head_series(head, item->ref);
            if (ing_series_live(series) && nx_series_id_eq(series->id, item->id))
                ing_series_drop(&head->pool, series, &item->chunks, target->min_t);
        }
    }
    return false;
}

/* A window stays on the list where samples came for it since the cut, or where its block was not
 * written. */
static void settle_windows(struct drop *drop, struct ing_shard *shard)
{
    struct ing_head *head = shard->store.head;
    int64_t window_ms = drop->run->ing->rules.window_ms;
    for (size_t i = 0; i < drop->run->target_count; i++) {
        const struct ing_flush_target *target = &drop->run->targets[i];
        uint32_t number = ing_head_tenant_find(head, target->tenant);
        for (int64_t t = target->min_t; number != ING_REF_NONE && t < target->max_t;
             t += window_ms) {
            struct ing_window *window = ing_tenant_window(ing_head_tenant(head, number), t);
            if (target->err != NX_OK) {
                if (window)
                    window->samples++;
                continue;
            }
            ing_book_clear(&shard->store.book, drop->run->before[shard->index], number, t);
            if (window && window->samples == 0)
                ing_head_window_remove(head, number, t);
        }
    }
}

/* True when there is more. */
static bool collect_idle(struct drop *drop, struct ing_shard *shard, struct drop_part *part)
{
    struct ing_head *head = shard->store.head;
    uint32_t to = part->collected + SLICE_SERIES;
    size_t removed =
        ing_head_collect(head, part->collected, to, nx_now_ms(drop->run->ing->deps.clock), false);
    nx_metric_add(drop->run->ing->metrics, ING_M_SERIES_REMOVED, 0, (double)removed);
    part->collected = to;
    return to < head->series_end;
}

static void drop_run(struct ing_fan_slot *slot)
{
    struct drop *drop = NX_OWNER(struct drop, fan, slot->fan);
    struct ing_shard *shard = slot->shard;
    struct drop_part *part = &drop->parts[shard->index];
    if (!part->dropped) {
        if (drop_items(drop, shard, part)) {
            ing_fan_again(slot);
            return;
        }
        settle_windows(drop, shard);
        if (drop->run->cut)
            ing_head_unpin(shard->store.head);
        part->dropped = true;
    }
    if (collect_idle(drop, shard, part)) {
        ing_fan_again(slot);
        return;
    }
    uint64_t needed = ing_book_first_needed(&shard->store.book, ing_log_segment(shard->log));
    if (needed > shard->first_segment)
        ing_checkpoint_start(shard, needed, slot);
    else
        ing_fan_answer(slot, NX_OK);
}

static void drop_free(struct drop *drop)
{
    nx_free(drop->parts);
    nx_free(drop->fan.slots);
    nx_free(drop);
}

static void drop_done(struct ing_fan *fan)
{
    struct drop *drop = NX_OWNER(struct drop, fan, fan);
    struct ing_flush_run *run = drop->run;
    void (*next)(struct ing_flush_run *, enum nx_err) = drop->next;
    enum nx_err err = fan->err;
    drop_free(drop);
    next(run, err);
}

enum nx_err ing_flush_drop(struct ing_flush_run *run,
                           void (*next)(struct ing_flush_run *run, enum nx_err err))
{
    struct drop *drop = nx_calloc(1, sizeof *drop);
    if (!drop)
        return NX_ERR_NOMEM;
    drop->run = run;
    drop->next = next;
    drop->parts = nx_calloc(run->ing->shard_count, sizeof *drop->parts);
    drop->fan.slots = nx_calloc(run->ing->shard_count, sizeof *drop->fan.slots);
    if (!drop->parts || !drop->fan.slots) {
        drop_free(drop);
        return NX_ERR_NOMEM;
    }
    drop->fan.ing = run->ing;
    drop->fan.home = nx_workers_at(run->ing->deps.workers, 0);
    drop->fan.run = drop_run;
    drop->fan.done = drop_done;
    drop->fan.urgent = true;
    ing_fan_start(&drop->fan);
    return NX_OK;
}
