/* How many series carry which label, for /api/v1/cardinality. Each shard counts from its index: the
 * size of a pair's set, or of what it has in common with the series that match and are active. A
 * series has one value of a label, so a label's series are the sum over its values. */
#include "ingester/ask.h"

#define ANSWER_BYTES_MAX ((size_t)512 << 20)

struct part {
    struct nx_arena *arena; /* the shard's, of the ask */
    uint64_t series;
    Narthex__LabelCardinality *labels;
    size_t count;
};

struct ask {
    struct ing_ask base;
    const Narthex__CardinalityRequest *request;
    struct part *parts; /* one a shard */
};

/* --- a shard --- */

/* What is counted in one shard. `wanted` is NULL where every series is. */
struct count {
    const struct ing_postings *postings;
    const roaring_bitmap_t *wanted;
    roaring_bitmap_t *scratch;
};

static uint64_t count_pair(const struct count *count, const struct ing_pair *pair)
{
    if (!count->wanted)
        return pair->count;
    if (!ing_pair_intersects(count->postings, pair, count->wanted))
        return 0;
    roaring_bitmap_clear(count->scratch);
    ing_set_union_into(&pair->series, count->postings->slab, count->scratch);
    return roaring_bitmap_and_cardinality(count->scratch, count->wanted);
}

static char *text_copy(struct nx_arena *arena, struct nx_view text)
{
    return (char *)(uintptr_t)nx_arena_copy(arena, text).ptr;
}

/* The label's values by name, or as hashes. */
static enum nx_err count_label(const struct count *count, const struct ing_name *name,
                               bool by_value, struct part *part)
{
    struct nx_arena *arena = part->arena;
    Narthex__LabelCardinality *out = &part->labels[part->count];
    narthex__label_cardinality__init(out);
    out->name = text_copy(arena, ing_symbols_text(count->postings->symbols, name->symbol));
    Narthex__NameValue *rows = by_value ? nx_arena_array(arena, name->count, sizeof *rows) : NULL;
    if (by_value)
        out->values = nx_arena_array(arena, name->count, sizeof *out->values);
    else
        out->hashes = nx_arena_array(arena, name->count, sizeof *out->hashes);
    if (!out->name || (by_value && (!rows || !out->values)) || (!by_value && !out->hashes))
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < name->count; i++) {
        const struct ing_pair *pair = &count->postings->pairs[name->pairs[i]];
        uint64_t series = count_pair(count, pair);
        if (series == 0)
            continue;
        struct nx_view value = ing_symbols_text(count->postings->symbols, pair->value);
        out->series += series;
        if (!by_value) {
            out->hashes[out->n_hashes++] = nx_hash_view(value);
            continue;
        }
        Narthex__NameValue *row = &rows[out->n_values];
        narthex__name_value__init(row);
        row->value = series;
        row->name = text_copy(arena, value);
        if (!row->name)
            return NX_ERR_NOMEM;
        out->values[out->n_values++] = row;
    }
    part->count += out->series > 0;
    return NX_OK;
}

static enum nx_err count_labels(const struct ask *ask, const struct count *count, struct part *part)
{
    const Narthex__CardinalityRequest *request = ask->request;
    const struct ing_postings *postings = count->postings;
    size_t most = request->n_names > 0 ? request->n_names : postings->name_count;
    enum nx_err err = NX_OK;
    part->labels = nx_arena_array(part->arena, most, sizeof *part->labels);
    if (!part->labels)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < request->n_names && err == NX_OK; i++) {
        const struct ing_name *name = ing_postings_name(postings, nx_view_of(request->names[i]));
        err = name ? count_label(count, name, true, part) : NX_OK;
    }
    for (size_t i = 0; request->n_names == 0 && i < postings->name_count && err == NX_OK; i++)
        if (postings->names[i].count > 0)
            err = count_label(count, &postings->names[i], false, part);
    return err;
}

static void bitmap_free(roaring_bitmap_t *bitmap)
{
    if (bitmap)
        roaring_bitmap_free(bitmap);
}

/* Those of `set` with a sample since then. */
static void keep_active(const struct ing_head *head, int64_t since, roaring_bitmap_t *set,
                        roaring_bitmap_t *idle)
{
    roaring_uint32_iterator_t it;
    roaring_init_iterator(set, &it);
    for (; it.has_value; roaring_advance_uint32_iterator(&it))
        if (ing_head_series(head, it.current_value)->newest_t < since)
            roaring_bitmap_add(idle, it.current_value);
    roaring_bitmap_andnot_inplace(set, idle);
}

static enum nx_err count_wanted(const struct ask *ask, const struct ing_head *head,
                                const struct ing_tenant *tenant, struct part *part)
{
    struct count count = {.postings = &tenant->postings};
    roaring_bitmap_t *idle = roaring_bitmap_create();
    roaring_bitmap_t *wanted = NULL;
    count.scratch = roaring_bitmap_create();
    enum nx_err err = idle && count.scratch ? NX_OK : NX_ERR_NOMEM;
    part->series = tenant->series;
    if (err == NX_OK && ask->request->active_since > 0) {
        roaring_bitmap_t *active = roaring_bitmap_copy(tenant->postings.all);
        if (active)
            keep_active(head, ask->request->active_since, active, idle);
        part->series = active ? roaring_bitmap_get_cardinality(active) : 0;
        wanted = active;
        err = active ? NX_OK : NX_ERR_NOMEM;
    }
    if (err == NX_OK && ask->base.matcher_count > 0) {
        roaring_bitmap_t *matching = NULL;
        err = ing_postings_select(count.postings, ask->base.matchers, ask->base.matcher_count,
                                  &matching);
        if (err == NX_OK) {
            roaring_bitmap_andnot_inplace(matching, idle);
            bitmap_free(wanted);
            wanted = matching;
        }
    }
    count.wanted = wanted;
    if (err == NX_OK)
        err = count_labels(ask, &count, part);
    bitmap_free(wanted);
    bitmap_free(count.scratch);
    bitmap_free(idle);
    return err;
}

static void part_run(struct ing_fan_slot *slot)
{
    struct ask *ask = NX_OWNER(struct ask, base.fan, slot->fan);
    struct part *part = &ask->parts[slot->shard->index];
    part->arena = &ask->base.arenas[slot->shard->index];
    const struct ing_head *head = slot->shard->store.head;
    uint32_t number = ing_head_tenant_find(head, nx_view_of(ask->request->tenant));
    enum nx_err err = NX_OK;
    if (number != ING_REF_NONE)
        err = count_wanted(ask, head, ing_head_tenant(head, number), part);
    if (err == NX_ERR_NOMEM && nx_arena_over(part->arena))
        err = NX_ERR_LIMIT;
    ing_fan_answer(slot, err);
}

/* --- the answer --- */

static void fan_done(struct ing_fan *fan)
{
    struct ask *ask = NX_OWNER(struct ask, base.fan, fan);
    Narthex__CardinalityResponse message = NARTHEX__CARDINALITY_RESPONSE__INIT;
    size_t labels = 0;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++)
        labels += ask->parts[i].count;
    message.labels = nx_arena_array(&ask->base.pb.arena, labels, sizeof *message.labels);
    if (fan->err != NX_OK || !message.labels) {
        ing_ask_fail(&ask->base, fan->err != NX_OK ? fan->err : NX_ERR_NOMEM);
        return;
    }
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++) {
        struct part *part = &ask->parts[i];
        message.series += part->series;
        for (size_t j = 0; j < part->count; j++)
            message.labels[message.n_labels++] = &part->labels[j];
    }
    ing_ask_reply(&ask->base, &message.base);
}

static enum nx_err ask_init(struct ask *ask)
{
    struct ing_ask *base = &ask->base;
    ask->request = ing_ask_message(base, &narthex__cardinality_request__descriptor, "cardinality");
    if (!ask->request)
        return NX_ERR_INVALID;
    enum nx_err err = ing_ask_matchers(base, ask->request->matchers, ask->request->n_matchers);
    if (err == NX_OK)
        err = ing_ask_arenas(base, ANSWER_BYTES_MAX);
    if (err != NX_OK)
        return err;
    ask->parts = nx_arena_calloc(&base->pb.arena, base->ing->shard_count, sizeof *ask->parts);
    return ask->parts ? NX_OK : NX_ERR_NOMEM;
}

void ing_cardinality_handle(struct nx_rpc_request *req, void *user)
{
    struct ask *ask = ing_ask_new(user, req, sizeof *ask, NULL);
    if (!ask)
        return;
    ing_ask_start(&ask->base, ask_init(ask), part_run, fan_done);
}
