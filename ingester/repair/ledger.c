/* A refresh asks the shards which windows they have and which took late samples, plans on the lane
 * what follows, and then goes tenant by tenant: the heads' dirty ranges are read, the sources are
 * added up, shared windows are gathered. A failure forgets the tenant at hand, so that the next
 * refresh begins with it anew. */
#include "ingester/repair/ledger.h"

#include <string.h>

#include "common/base/alloc.h"
#include "ingester/repair/ledger_internal.h"

#define FRESH_NS UINT64_C(20000000000)
#define SLICE_MAX_BYTES ((size_t)256 << 20)

static void next_step(struct ing_ledger *ledger);
static void serve(struct ing_ledger *ledger);

static struct ing_ledger_tenant *tenant_of(const struct ing_ledger *ledger)
{
    return ledger->tenants[ledger->at];
}

/* --- the end of a refresh --- */

static void drop_looks(struct ing_ledger *ledger)
{
    for (uint32_t i = 0; ledger->looks && i < ledger->ing->shard_count; i++)
        nx_arena_release(&ledger->looks[i].arena);
    nx_free(ledger->looks);
    nx_free(ledger->fan.slots);
    ledger->looks = NULL;
    ledger->fan.slots = NULL;
}

static void refreshed(struct ing_ledger *ledger, enum nx_err err)
{
    struct ing_ledger_ask *ask = ledger->ask;
    drop_looks(ledger);
    if (err != NX_OK)
        for (size_t i = ledger->at; i < ledger->count; i++)
            ing_ledger_forget(ledger->tenants[i]);
    ledger->fresh = err == NX_OK;
    ledger->until = ask->until;
    ledger->fresh_ns = nx_now_ns(ledger->ing->deps.clock);
    ask->ready(ask, err);
}

/* --- tenant by tenant --- */

static void submit(struct ing_ledger *ledger, void (*run)(struct nx_job *),
                   void (*done)(struct nx_job *))
{
    ledger->job = (struct nx_job){.run = run, .done = done};
    enum nx_err err = nx_lane_submit(ledger->lane, &ledger->job);
    if (err != NX_OK)
        refreshed(ledger, err);
}

static void step_done(struct nx_job *job)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, job, job);
    if (ledger->err != NX_OK) {
        refreshed(ledger, ledger->err);
        return;
    }
    ledger->at++;
    ledger->dirty_at = 0;
    next_step(ledger);
}

static void settle_run(struct nx_job *job)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, job, job);
    ledger->err =
        ing_ledger_settle(ledger, tenant_of(ledger), ledger->ask->until, &ledger->gather.out);
    ing_gather_release(&ledger->gather);
}

static void gathered(struct ing_gather *gather, enum nx_err err)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, gather, gather);
    if (err != NX_OK) {
        ing_gather_release(gather);
        refreshed(ledger, err);
        return;
    }
    submit(ledger, settle_run, step_done);
}

static void combine_run(struct nx_job *job)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, job, job);
    bool shared = false;
    ledger->err = ing_ledger_combine(ledger, tenant_of(ledger), ledger->ask->until, &shared);
    ledger->shared_range =
        shared ? ledger->shared_range : (struct ing_range){.min_t = 0, .max_t = -1};
    if (ledger->err == NX_OK && !shared)
        ledger->err = ing_ledger_settle(ledger, tenant_of(ledger), ledger->ask->until, NULL);
}

static void combine_done(struct nx_job *job)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, job, job);
    const struct ing_ledger_tenant *tenant = tenant_of(ledger);
    if (ledger->err != NX_OK || ledger->shared_range.min_t > ledger->shared_range.max_t) {
        step_done(job);
        return;
    }
    ledger->gather = (struct ing_gather){
        .ing = ledger->ing,
        .lane = ledger->lane,
        .tenant = tenant->name,
        .range = ledger->shared_range,
        .partitions = ledger->shared,
        .series_per_partition = tenant->series / ledger->ing->deps.partitions + 1,
        .done = gathered,
    };
    ing_digest_table_init(&ledger->gather.out);
    ing_gather_start(&ledger->gather);
}

static enum nx_err add_slice(struct ing_scan *scan, struct ing_read_result *slice)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, scan, scan);
    struct ing_digest_sum sum;
    struct nx_chunk *chunks = NULL;
    size_t capacity = 0;
    enum nx_err err = NX_OK;
    ing_digest_sum_init(&sum, &tenant_of(ledger)->head, ledger->ing->deps.partitions);
    for (size_t i = 0; i < slice->count && err == NX_OK; i++) {
        const struct ing_sealed_list *list = &slice->items[i].chunks;
        err = nx_grow(&chunks, &capacity, (size_t)list->count + 1, sizeof *chunks);
        for (uint32_t j = 0; j < list->count && err == NX_OK; j++)
            chunks[j] = ing_sealed_chunk(list->items[j]);
        if (err == NX_OK)
            err = ing_digest_sum_chunks(&sum, slice->items[i].id, chunks, list->count,
                                        scan->range.min_t, scan->range.max_t);
    }
    nx_free(chunks);
    ing_digest_sum_release(&sum);
    return err;
}

static void scanned(struct ing_scan *scan, enum nx_err err)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, scan, scan);
    ledger->dirty_at++;
    if (err == NX_OK)
        next_step(ledger);
    else
        refreshed(ledger, err);
}

static void next_step(struct ing_ledger *ledger)
{
    while (ledger->at < ledger->count &&
           !ing_ledger_needs_work(tenant_of(ledger), ledger->ask->until))
        ledger->at++;
    if (ledger->at == ledger->count) {
        refreshed(ledger, NX_OK);
        return;
    }
    const struct ing_ledger_tenant *tenant = tenant_of(ledger);
    if (ledger->dirty_at == tenant->dirty_count) {
        submit(ledger, combine_run, combine_done);
        return;
    }
    ledger->scan = (struct ing_scan){.ing = ledger->ing,
                                     .lane = ledger->lane,
                                     .tenant = tenant->name,
                                     .range = tenant->dirty[ledger->dirty_at],
                                     .filter = {.partitions = ledger->ing->deps.partitions},
                                     .max_bytes = SLICE_MAX_BYTES,
                                     .take = add_slice,
                                     .done = scanned};
    ing_scan_start(&ledger->scan);
}

/* --- looking --- */

static void plan_run(struct nx_job *job)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, job, job);
    ledger->err = ing_ledger_plan(ledger, ledger->ask->until);
}

static void plan_done(struct nx_job *job)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, job, job);
    ledger->at = 0;
    ledger->dirty_at = 0;
    if (ledger->err != NX_OK)
        refreshed(ledger, ledger->err);
    else
        next_step(ledger);
}

static void looked(struct ing_fan *fan)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, fan, fan);
    ledger->at = 0;
    if (fan->err != NX_OK)
        refreshed(ledger, fan->err);
    else
        submit(ledger, plan_run, plan_done);
}

static enum nx_err look_at(struct ing_ledger_look *look, struct ing_tenant *tenant, int64_t until)
{
    struct ing_ledger_seen *seen = &look->items[look->count];
    *seen = (struct ing_ledger_seen){.tenant = nx_arena_copy(&look->arena, tenant->name),
                                     .series = tenant->series,
                                     .window_count = tenant->window_count};
    seen->windows = nx_arena_array(&look->arena, tenant->window_count + 1, sizeof *seen->windows);
    if (!seen->tenant.ptr || !seen->windows)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < tenant->window_count; i++) {
        struct ing_window *window = &tenant->windows[i];
        seen->windows[i] = (struct ing_ledger_window){.start = window->start, .late = window->late};
        window->late = 0;
    }
    if (until > tenant->watched_until)
        tenant->watched_until = until;
    look->count++;
    return NX_OK;
}

static void look_run(struct ing_fan_slot *slot)
{
    struct ing_ledger *ledger = NX_OWNER(struct ing_ledger, fan, slot->fan);
    struct ing_ledger_look *look = &ledger->looks[slot->shard->index];
    const struct ing_head *head = slot->shard->store.head;
    enum nx_err err = NX_OK;
    look->items = nx_arena_array(&look->arena, head->tenant_count + 1, sizeof *look->items);
    if (!look->items)
        err = NX_ERR_NOMEM;
    for (size_t i = 0; i < head->tenant_count && err == NX_OK; i++)
        err = look_at(look, head->tenants[i], ledger->ask->until);
    ing_fan_answer(slot, err);
}

static void refresh(struct ing_ledger *ledger)
{
    uint32_t shards = ledger->ing->shard_count;
    ledger->at = 0;
    ledger->looks = nx_calloc(shards, sizeof *ledger->looks);
    ledger->fan = (struct ing_fan){.ing = ledger->ing,
                                   .home = nx_workers_at(ledger->ing->deps.workers, 0),
                                   .slots = nx_calloc(shards, sizeof *ledger->fan.slots),
                                   .urgent = true,
                                   .run = look_run,
                                   .done = looked};
    if (!ledger->looks || !ledger->fan.slots) {
        refreshed(ledger, NX_ERR_NOMEM);
        return;
    }
    for (uint32_t i = 0; i < shards; i++)
        nx_arena_init(&ledger->looks[i].arena, 0);
    ing_fan_start(&ledger->fan);
}

/* --- borrowing --- */

static void serve(struct ing_ledger *ledger)
{
    struct ing_ledger_ask *ask = ledger->waiting;
    if (ledger->ask || !ask)
        return;
    ledger->waiting = ask->next;
    ledger->ask = ask;
    if (ledger->fresh && !ask->afresh && ask->until == ledger->until &&
        nx_now_ns(ledger->ing->deps.clock) - ledger->fresh_ns < FRESH_NS)
        ask->ready(ask, NX_OK);
    else
        refresh(ledger);
}

void ing_ledger_borrow(struct ing_ledger *ledger, struct ing_ledger_ask *ask)
{
    struct ing_ledger_ask **last = &ledger->waiting;
    while (*last)
        last = &(*last)->next;
    ask->next = NULL;
    *last = ask;
    serve(ledger);
}

void ing_ledger_return(struct ing_ledger *ledger)
{
    ledger->ask = NULL;
    serve(ledger);
}

size_t ing_ledger_count(const struct ing_ledger *ledger)
{
    return ledger->count;
}

struct ing_ledger_page ing_ledger_at(const struct ing_ledger *ledger, size_t i)
{
    return (struct ing_ledger_page){.tenant = ledger->tenants[i]->name,
                                    .digests = &ledger->tenants[i]->whole};
}

/* --- life --- */

enum nx_err ing_ledger_new(struct ingester *ing, struct nx_lane *lane, struct ing_ledger **out)
{
    struct ing_ledger *ledger = nx_calloc(1, sizeof *ledger);
    if (!ledger)
        return NX_ERR_NOMEM;
    ledger->ing = ing;
    ledger->lane = lane;
    nx_index_init(&ledger->index);
    ing_digest_table_init(&ledger->next_prints);
    ledger->shared = nx_calloc((ing->deps.partitions + 7) / 8, 1);
    if (!ledger->shared) {
        ing_ledger_free(ledger);
        return NX_ERR_NOMEM;
    }
    *out = ledger;
    return NX_OK;
}

void ing_ledger_free(struct ing_ledger *ledger)
{
    if (!ledger)
        return;
    for (size_t i = 0; i < ledger->count; i++) {
        struct ing_ledger_tenant *tenant = ledger->tenants[i];
        ing_digest_table_release(&tenant->head);
        ing_digest_table_release(&tenant->whole);
        ing_digest_table_release(&tenant->prints);
        ing_digest_table_release(&tenant->sums);
        nx_free(tenant->windows);
        nx_free(tenant->seen);
        nx_free((void *)(uintptr_t)tenant->name.ptr);
        nx_free(tenant);
    }
    nx_free(ledger->tenants);
    nx_index_release(&ledger->index);
    ing_digest_table_release(&ledger->next_prints);
    nx_free(ledger->shared);
    nx_free(ledger);
}
