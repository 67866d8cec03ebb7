/* Shards list the windows they hold; a window of a tenant is one thing over all shards, and
 * consecutive ripe ones of a tenant become one block, up to a dozen, so that a backfill of years
 * does not end in a block for each two hours of it. */
#include <stdlib.h>

#include "common/base/alloc.h"
#include "ingester/flush.h"

#define SPAN_WINDOWS 12
#define IDLE_MS INT64_C(60000)
#define IDLE_OLD_MS INT64_C(600000)
#define WAIT_MAX_MS INT64_C(1800000)

bool ing_window_is_ripe(const struct ing_window_state *window, const struct ing_window_rules *rules,
                        int64_t now_ms)
{
    int64_t closed_at = window->end + rules->out_of_order_ms;
    int64_t idle_ms = now_ms - window->last_append_ms;
    int64_t age_ms = now_ms - window->first_append_ms;
    if (window->newest_t >= closed_at)
        return idle_ms >= IDLE_MS || age_ms >= WAIT_MAX_MS;
    /* by the wall clock only: somebody may be sending old samples in order just now */
    return now_ms >= closed_at && (idle_ms >= IDLE_OLD_MS || age_ms >= rules->window_ms);
}

struct found {
    struct nx_view tenant;
    int64_t window;
    int64_t newest_t;
    int64_t first_append_ms;
    int64_t last_append_ms;
};

struct scan_part {
    struct nx_arena arena;
    struct found *items;
    size_t count;
};

struct scan {
    struct ing_flush_run *run;
    void (*next)(struct ing_flush_run *run, enum nx_err err);
    struct ing_fan fan;
    struct scan_part *parts;
};

static enum nx_err scan_shard(const struct ing_head *head, struct scan_part *part)
{
    size_t total = 0;
    for (size_t i = 0; i < head->tenant_count; i++)
        total += head->tenants[i]->window_count;
    part->items = nx_arena_array(&part->arena, total, sizeof *part->items);
    if (!part->items)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < head->tenant_count; i++) {
        const struct ing_tenant *tenant = head->tenants[i];
        if (tenant->window_count == 0)
            continue;
        struct nx_view name = nx_arena_copy(&part->arena, tenant->name);
        if (!name.ptr)
            return NX_ERR_NOMEM;
        for (size_t j = 0; j < tenant->window_count; j++)
            part->items[part->count++] =
                (struct found){.tenant = name,
                               .window = tenant->windows[j].start,
                               .newest_t = tenant->newest_t,
                               .first_append_ms = tenant->windows[j].first_append_ms,
                               .last_append_ms = tenant->windows[j].last_append_ms};
    }
    return NX_OK;
}

static void scan_run(struct ing_fan_slot *slot)
{
    struct scan *scan = NX_OWNER(struct scan, fan, slot->fan);
    ing_fan_answer(slot, scan_shard(slot->shard->store.head, &scan->parts[slot->shard->index]));
}

static int found_cmp(const void *a, const void *b)
{
    const struct found *x = a;
    const struct found *y = b;
    int order = nx_view_cmp(x->tenant, y->tenant);
    return order != 0 ? order : (x->window > y->window) - (x->window < y->window);
}

/* One entry a window of a tenant, with what all shards say of it. */
static size_t combine(struct found *items, size_t count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(items, count, sizeof *items, found_cmp);
    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || found_cmp(&items[kept - 1], &items[i]) != 0) {
            items[kept++] = items[i];
            continue;
        }
        struct found *same = &items[kept - 1];
        if (items[i].newest_t > same->newest_t)
            same->newest_t = items[i].newest_t;
        if (items[i].first_append_ms < same->first_append_ms)
            same->first_append_ms = items[i].first_append_ms;
        if (items[i].last_append_ms > same->last_append_ms)
            same->last_append_ms = items[i].last_append_ms;
    }
    /* the tenant's newest sample may be in another shard than the window */
    for (size_t i = 0; i < kept;) {
        size_t end = i;
        int64_t newest_t = INT64_MIN;
        for (; end < kept && nx_view_eq(items[end].tenant, items[i].tenant); end++)
            newest_t = items[end].newest_t > newest_t ? items[end].newest_t : newest_t;
        for (; i < end; i++)
            items[i].newest_t = newest_t;
    }
    return kept;
}

static bool extends(const struct ing_flush_target *target, const struct found *item,
                    int64_t window_ms)
{
    int64_t span = SPAN_WINDOWS * window_ms;
    return nx_view_eq(target->tenant, item->tenant) && target->max_t == item->window &&
           ing_window_of(span, target->min_t) == ing_window_of(span, item->window);
}

static enum nx_err add_target(struct ing_flush_run *run, const struct found *item, size_t *capacity)
{
    int64_t window_ms = run->ing->rules.window_ms;
    if (run->target_count > 0) {
        struct ing_flush_target *last = &run->targets[run->target_count - 1];
        if (extends(last, item, window_ms)) {
            last->max_t += window_ms;
            return NX_OK;
        }
    }
    if (!nx_arena_grow(&run->arena, &run->targets, run->target_count, capacity,
                       run->target_count + 1, sizeof *run->targets))
        return NX_ERR_NOMEM;
    struct ing_flush_target target = {.tenant = nx_arena_copy(&run->arena, item->tenant),
                                      .min_t = item->window,
                                      .max_t = item->window + window_ms};
    target.kept = nx_arena_calloc(&run->arena, run->ing->shard_count, sizeof *target.kept);
    if (!target.tenant.ptr || !target.kept)
        return NX_ERR_NOMEM;
    run->targets[run->target_count++] = target;
    return NX_OK;
}

static bool is_wanted(const struct ing_flush_run *run, const struct found *item)
{
    int64_t end = item->window + run->ing->rules.window_ms;
    for (const struct ing_flush_want *want = run->wants; want; want = want->next)
        if ((!want->tenant.ptr || nx_view_eq(want->tenant, item->tenant)) &&
            item->window <= want->range.max_t && end > want->range.min_t)
            return true;
    return false;
}

static int64_t oldest_window(const struct found *items, size_t count)
{
    int64_t oldest = INT64_MAX;
    for (size_t i = 0; i < count; i++)
        oldest = items[i].window < oldest ? items[i].window : oldest;
    return oldest;
}

static enum nx_err choose(struct ing_flush_run *run, const struct found *items, size_t count)
{
    int64_t now_ms = nx_now_ms(run->ing->deps.clock);
    int64_t oldest = oldest_window(items, count);
    size_t capacity = 0;
    for (size_t i = 0; i < count; i++) {
        struct ing_window_state state = {.end = items[i].window + run->ing->rules.window_ms,
                                         .newest_t = items[i].newest_t,
                                         .first_append_ms = items[i].first_append_ms,
                                         .last_append_ms = items[i].last_append_ms};
        bool forced = (run->force_oldest && items[i].window == oldest) || is_wanted(run, &items[i]);
        if (!forced && !ing_window_is_ripe(&state, &run->ing->rules, now_ms))
            continue;
        enum nx_err err = add_target(run, &items[i], &capacity);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err gather(struct scan *scan)
{
    size_t total = 0;
    for (uint32_t i = 0; i < scan->run->ing->shard_count; i++)
        total += scan->parts[i].count;
    struct found *items = nx_alloc_array(total, sizeof *items);
    if (!items)
        return NX_ERR_NOMEM;
    size_t count = 0;
    for (uint32_t i = 0; i < scan->run->ing->shard_count; i++)
        for (size_t j = 0; j < scan->parts[i].count; j++)
            items[count++] = scan->parts[i].items[j];
    enum nx_err err = choose(scan->run, items, combine(items, count));
    nx_free(items);
    return err;
}

static void scan_free(struct scan *scan)
{
    for (uint32_t i = 0; scan->parts && i < scan->run->ing->shard_count; i++)
        nx_arena_release(&scan->parts[i].arena);
    nx_free(scan->parts);
    nx_free(scan->fan.slots);
    nx_free(scan);
}

static void scan_done(struct ing_fan *fan)
{
    struct scan *scan = NX_OWNER(struct scan, fan, fan);
    struct ing_flush_run *run = scan->run;
    void (*next)(struct ing_flush_run *, enum nx_err) = scan->next;
    enum nx_err err = fan->err == NX_OK ? gather(scan) : fan->err;
    scan_free(scan);
    next(run, err);
}

enum nx_err ing_flush_scan(struct ing_flush_run *run,
                           void (*next)(struct ing_flush_run *run, enum nx_err err))
{
    struct scan *scan = nx_calloc(1, sizeof *scan);
    if (!scan)
        return NX_ERR_NOMEM;
    scan->run = run;
    scan->next = next;
    scan->parts = nx_calloc(run->ing->shard_count, sizeof *scan->parts);
    scan->fan.slots = nx_calloc(run->ing->shard_count, sizeof *scan->fan.slots);
    if (!scan->parts || !scan->fan.slots) {
        scan_free(scan);
        return NX_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < run->ing->shard_count; i++)
        nx_arena_init(&scan->parts[i].arena, 0);
    scan->fan.ing = run->ing;
    scan->fan.home = nx_workers_at(run->ing->deps.workers, 0);
    scan->fan.run = scan_run;
    scan->fan.done = scan_done;
    scan->fan.urgent = true;
    ing_fan_start(&scan->fan);
    return NX_OK;
}
