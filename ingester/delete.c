/* A deletion: where memory holds samples of its series, the tenant's windows in its range go to
 * blocks first; then it is written to the list of deletions, through which blocks are read from
 * there on. What arrives between the two is as if it had arrived before or behind. */
#include "common/base/alloc.h"
#include "ingester/ask.h"
#include "ingester/flush.h"
#include "ingester/tombstone/mask.h"

#define SLICE_SERIES 4096
#define SELECTOR_MAX 1000

struct delete_part {
    struct ing_read_cursor cursor;
    bool begun;
    bool found;
};

struct deletion {
    struct ing_ask base;
    struct ing_tombstone *tombstone;
    struct delete_part *parts; /* one a shard */
    struct ing_flush_want want;
    struct nx_job job;
    enum nx_err err;
};

static void release(struct ing_ask *base)
{
    ing_tombstone_drop(NX_OWNER(struct deletion, base, base)->tombstone);
}

static void deletion_end(struct deletion *deletion, enum nx_err err)
{
    if (err == NX_OK)
        ing_ask_reply(&deletion->base, NULL);
    else
        ing_ask_fail(&deletion->base, err);
}

/* --- writing it down, on the lane --- */

static void store_run(struct nx_job *job)
{
    struct deletion *deletion = NX_OWNER(struct deletion, job, job);
    deletion->err = ing_tombstones_add(deletion->base.ing->tombstones, deletion->tombstone);
    if (deletion->err == NX_OK) {
        deletion->tombstone = NULL;
        nx_metric_inc(deletion->base.ing->metrics, ING_M_DELETIONS);
    }
}

static void store_done(struct nx_job *job)
{
    struct deletion *deletion = NX_OWNER(struct deletion, job, job);
    if (deletion->err == NX_ERR_RATE_LIMITED)
        nx_fail_set(&deletion->base.fail, deletion->err,
                    "more than %d deletions are remembered: clean_tombstones carries them out",
                    ING_TOMBSTONES_MAX);
    deletion_end(deletion, deletion->err);
}

static void store(struct deletion *deletion)
{
    deletion->job = (struct nx_job){.run = store_run, .done = store_done};
    enum nx_err err = nx_lane_submit(deletion->base.ing->flush_lane, &deletion->job);
    if (err != NX_OK)
        deletion_end(deletion, err);
}

/* --- memory --- */

static void flushed(struct ing_flush_want *want)
{
    struct deletion *deletion = NX_OWNER(struct deletion, want, want);
    if (want->err != NX_OK)
        deletion_end(deletion, want->err);
    else
        store(deletion);
}

/* Looks at a slice of the series; true when there is more. */
static bool look(struct deletion *deletion, struct ing_head *head, struct delete_part *part)
{
    const struct nx_interval *range = &deletion->tombstone->range;
    roaring_uint32_iterator_t *it = &part->cursor.it;
    for (size_t seen = 0; seen < SLICE_SERIES && it->has_value; seen++) {
        struct ing_series *series = ing_head_series(head, it->current_value);
        roaring_advance_uint32_iterator(it);
        if (ing_series_live(series) &&
            ing_series_overlaps(&head->pool, series, range->min_t, range->max_t)) {
            part->found = true;
            return false;
        }
    }
    return it->has_value;
}

static void part_run(struct ing_fan_slot *slot)
{
    struct deletion *deletion = NX_OWNER(struct deletion, base.fan, slot->fan);
    struct delete_part *part = &deletion->parts[slot->shard->index];
    struct ing_head *head = slot->shard->store.head;
    enum nx_err err = NX_OK;
    if (!part->begun) {
        const struct ing_tombstone *tombstone = deletion->tombstone;
        struct ing_range range = {.min_t = tombstone->range.min_t, .max_t = tombstone->range.max_t};
        err = ing_read_begin(&part->cursor, head, tombstone->tenant, deletion->base.matchers,
                             deletion->base.matcher_count, range);
        part->begun = err == NX_OK;
    }
    if (err == NX_OK && part->cursor.series && look(deletion, head, part)) {
        ing_fan_again(slot);
        return;
    }
    if (part->begun)
        ing_read_end(&part->cursor);
    ing_fan_answer(slot, err);
}

static void heads_done(struct ing_fan *fan)
{
    struct deletion *deletion = NX_OWNER(struct deletion, base.fan, fan);
    struct ingester *ing = deletion->base.ing;
    bool found = false;
    if (fan->err != NX_OK) {
        deletion_end(deletion, fan->err);
        return;
    }
    for (uint32_t i = 0; i < ing->shard_count; i++)
        found = found || deletion->parts[i].found;
    if (!found) {
        store(deletion);
        return;
    }
    const struct ing_tombstone *tombstone = deletion->tombstone;
    deletion->want = (struct ing_flush_want){
        .home = fan->home,
        .tenant = tombstone->tenant,
        .range = {.min_t = tombstone->range.min_t, .max_t = tombstone->range.max_t},
        .done = flushed};
    ing_flush_ask(ing->flush, &deletion->want);
}

/* --- the request --- */

static enum nx_err make_tombstone(struct deletion *deletion, const Narthex__DeleteRequest *request)
{
    if (request->id.len != 16 || request->n_matchers == 0 || request->n_matchers > SELECTOR_MAX)
        return nx_fail_set(&deletion->base.fail, NX_ERR_INVALID, "delete: malformed message");
    enum nx_err err = ing_ask_matchers(&deletion->base, request->matchers, request->n_matchers);
    if (err != NX_OK)
        return err;
    struct nx_cursor id = nx_cursor_of(nx_view_make(request->id.data, request->id.len));
    struct ing_tombstone_fields fields = {
        .tenant = nx_view_of(request->tenant),
        .matchers = deletion->base.matchers,
        .matcher_count = deletion->base.matcher_count,
        .range = {.min_t = request->min_t, .max_t = request->max_t},
        .created_ms = request->created_ms};
    fields.id.hi = nx_cursor_u64(&id);
    fields.id.lo = nx_cursor_u64(&id);
    if (request->late && fields.range.max_t > request->created_ms)
        fields.range.max_t = request->created_ms;
    return ing_tombstone_new(&fields, &deletion->tombstone);
}

static enum nx_err deletion_init(struct deletion *deletion)
{
    struct ing_ask *base = &deletion->base;
    const Narthex__DeleteRequest *request =
        ing_ask_message(base, &narthex__delete_request__descriptor, "delete");
    enum nx_err err = request ? make_tombstone(deletion, request) : NX_ERR_INVALID;
    if (err != NX_OK)
        return err;
    deletion->parts =
        nx_arena_calloc(&base->pb.arena, base->ing->shard_count, sizeof *deletion->parts);
    return deletion->parts ? NX_OK : NX_ERR_NOMEM;
}

void ing_delete_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    struct deletion *deletion = ing_ask_new(ing, req, sizeof *deletion, release);
    if (!deletion)
        return;
    enum nx_err err = deletion_init(deletion);
    if (err == NX_OK && ing_tombstones_known(ing->tombstones, deletion->tombstone->id)) {
        ing_ask_reply(&deletion->base, NULL);
        return;
    }
    deletion->base.fan.urgent = true;
    ing_ask_start(&deletion->base, err, part_run, heads_done);
}

/* --- forgetting --- */

/* Whether a block is still read through it. */
static bool is_needed(const struct ing_tombstone *tombstone, const struct ing_block_list *blocks)
{
    struct ing_tombstone *item = (struct ing_tombstone *)(uintptr_t)tombstone;
    struct ing_tombstone_list one = {.items = &item, .count = 1};
    for (size_t i = 0; i < blocks->count; i++)
        if (ing_mask_applies(&one, ing_block_meta(blocks->blocks[i])))
            return true;
    return false;
}

void ing_forget_deletions(struct ingester *ing, ing_retention_lookup lookup, void *user)
{
    struct ing_tombstone_list list, old = {0};
    struct ing_block_list blocks;
    struct nx_interval always = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    int64_t now_ms = nx_now_ms(ing->deps.clock);
    if (ing_tombstones_acquire(ing->tombstones, (struct nx_view){0}, always, &list) != NX_OK)
        return;
    if (list.count > 0 &&
        ing_block_set_acquire(ing->blocks, (struct nx_view){0}, all, &blocks) == NX_OK) {
        old.items = nx_alloc_array(list.count, sizeof(struct ing_tombstone *));
        for (size_t i = 0; old.items && i < list.count; i++) {
            struct ing_tombstone *item = list.items[i];
            if (item->created_ms < now_ms - lookup(user, item->tenant).max_age_ms &&
                !is_needed(item, &blocks))
                old.items[old.count++] = item;
        }
        if (old.count > 0 && ing_tombstones_forget(ing->tombstones, &old) != NX_OK)
            nx_log(ing->deps.log, NX_LOG_WARN, "old deletions are still remembered");
        ing_block_list_release(&blocks);
    }
    nx_free(old.items);
    ing_tombstone_list_release(&list);
}
