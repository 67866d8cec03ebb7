/* Metadata and exemplars: small, in memory only, answered by the shards alone. */
#include <stdlib.h>

#include "ingester/ask.h"

#define LABELS_MAX 65536u
#define ANSWER_BYTES_MAX ((size_t)256 << 20)

struct part {
    struct nx_arena *arena; /* the shard's, of the ask */
    void **items;           /* Narthex__MetadataRow or struct found */
    size_t count;
    size_t capacity;
};

struct ask {
    struct ing_ask base;
    const Narthex__MetadataRequest *metadata;
    const Narthex__ExemplarsRequest *exemplars;
    struct nx_matcher **selectors; /* one array a MatcherSet */
    struct part *parts;            /* one a shard */
};

static void release(struct ing_ask *base)
{
    struct ask *ask = NX_OWNER(struct ask, base, base);
    for (size_t i = 0; ask->selectors && i < ask->exemplars->n_selectors; i++)
        if (ask->selectors[i])
            ing_matchers_release(ask->selectors[i], ask->exemplars->selectors[i]->n_matchers);
}

static struct ask *ask_of(struct ing_fan *fan)
{
    return NX_OWNER(struct ask, base.fan, fan);
}

static void *part_add(struct part *part, size_t size)
{
    void *item = nx_arena_alloc(part->arena, size);
    if (!item || !nx_arena_grow(part->arena, &part->items, part->count, &part->capacity,
                                part->count + 1, sizeof(void *)))
        return NULL;
    part->items[part->count++] = item;
    return item;
}

static enum nx_err part_err(const struct part *part)
{
    return nx_arena_over(part->arena) ? NX_ERR_LIMIT : NX_ERR_NOMEM;
}

static enum nx_err parts_init(struct ask *ask)
{
    struct ing_ask *base = &ask->base;
    uint32_t shards = base->ing->shard_count;
    enum nx_err err = ing_ask_arenas(base, ANSWER_BYTES_MAX);
    ask->parts = nx_arena_calloc(&base->pb.arena, shards, sizeof *ask->parts);
    if (err != NX_OK || !ask->parts)
        return NX_ERR_NOMEM;
    for (uint32_t i = 0; i < shards; i++)
        ask->parts[i].arena = &base->arenas[i];
    return NX_OK;
}

static size_t part_total(const struct ask *ask)
{
    size_t total = 0;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++)
        total += ask->parts[i].count;
    return total;
}

/* --- metadata --- */

static enum nx_err add_metadata(struct part *part, const struct ing_metadata *item)
{
    Narthex__MetadataRow *row = part_add(part, sizeof *row);
    if (!row)
        return part_err(part);
    *row = (Narthex__MetadataRow)NARTHEX__METADATA_ROW__INIT;
    row->metric = (char *)(uintptr_t)nx_arena_copy(part->arena, item->metric).ptr;
    row->help = (char *)(uintptr_t)nx_arena_copy(part->arena, item->help).ptr;
    row->unit = (char *)(uintptr_t)nx_arena_copy(part->arena, item->unit).ptr;
    row->type = item->type;
    return row->metric && row->help && row->unit ? NX_OK : part_err(part);
}

static void metadata_run(struct ing_fan_slot *slot)
{
    struct ask *ask = ask_of(slot->fan);
    struct part *part = &ask->parts[slot->shard->index];
    const struct ing_head *head = slot->shard->store.head;
    uint32_t tenant = ing_head_tenant_find(head, nx_view_of(ask->metadata->tenant));
    struct nx_view metric = nx_view_of(ask->metadata->metric);
    enum nx_err err = NX_OK;
    if (tenant != ING_REF_NONE) {
        const struct ing_metadata_table *table = &ing_head_tenant(head, tenant)->metadata;
        if (metric.len > 0) {
            const struct ing_metadata *item = ing_metadata_get(table, metric);
            err = item ? add_metadata(part, item) : NX_OK;
        }
        for (size_t i = 0; metric.len == 0 && i < table->count && err == NX_OK; i++)
            err = add_metadata(part, &table->items[i]);
    }
    ing_fan_answer(slot, err);
}

static int metadata_cmp(const void *a, const void *b)
{
    return strcmp((*(Narthex__MetadataRow *const *)a)->metric,
                  (*(Narthex__MetadataRow *const *)b)->metric);
}

static void metadata_done(struct ing_fan *fan)
{
    struct ask *ask = ask_of(fan);
    Narthex__MetadataResponse message = NARTHEX__METADATA_RESPONSE__INIT;
    message.metadata =
        nx_arena_array(&ask->base.pb.arena, part_total(ask), sizeof(Narthex__MetadataRow *));
    enum nx_err err = message.metadata ? fan->err : NX_ERR_NOMEM;
    if (err != NX_OK) {
        ing_ask_fail(&ask->base, err);
        return;
    }
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++)
        for (size_t j = 0; j < ask->parts[i].count; j++)
            message.metadata[message.n_metadata++] = ask->parts[i].items[j];
    if (message.n_metadata > 1)
        qsort(message.metadata, message.n_metadata, sizeof(Narthex__MetadataRow *), metadata_cmp);
    ing_ask_reply(&ask->base, &message.base);
}

void ing_metadata_handle(struct nx_rpc_request *req, void *user)
{
    struct ask *ask = ing_ask_new(user, req, sizeof *ask, release);
    if (!ask)
        return;
    ask->metadata = ing_ask_message(&ask->base, &narthex__metadata_request__descriptor, "metadata");
    ing_ask_start(&ask->base, ask->metadata ? parts_init(ask) : NX_ERR_INVALID, metadata_run,
                  metadata_done);
}

/* --- exemplars --- */

struct found {
    struct nx_series_id series;
    struct nx_view series_labels;
    struct nx_view labels;
    int64_t t;
    uint64_t value_bits;
};

static bool selected(const struct ask *ask, struct nx_labels labels)
{
    for (size_t i = 0; i < ask->exemplars->n_selectors; i++)
        if (nx_matchers_match(ask->selectors[i], ask->exemplars->selectors[i]->n_matchers, labels))
            return true;
    return false;
}

static enum nx_err add_exemplar(const struct ask *ask, struct part *part,
                                const struct ing_exemplar *item, struct nx_arena *scratch)
{
    if (item->t < ask->exemplars->min_t || item->t > ask->exemplars->max_t)
        return NX_OK;
    struct nx_cursor cur = nx_cursor_of(item->series_labels);
    struct nx_labels labels;
    nx_arena_clear(scratch);
    enum nx_err err = nx_labels_decode(&cur, scratch, LABELS_MAX, &labels);
    if (err == NX_ERR_NOMEM)
        return err;
    if (err != NX_OK || !selected(ask, labels))
        return NX_OK;
    struct found *found = part_add(part, sizeof *found);
    if (!found)
        return part_err(part);
    *found = (struct found){.series = item->series,
                            .series_labels = nx_arena_copy(part->arena, item->series_labels),
                            .labels = nx_arena_copy(part->arena, item->labels),
                            .t = item->t,
                            .value_bits = item->value_bits};
    return found->series_labels.ptr && found->labels.ptr ? NX_OK : part_err(part);
}

static void exemplars_run(struct ing_fan_slot *slot)
{
    struct ask *ask = ask_of(slot->fan);
    const struct ing_head *head = slot->shard->store.head;
    uint32_t tenant = ing_head_tenant_find(head, nx_view_of(ask->exemplars->tenant));
    struct nx_arena scratch;
    nx_arena_init(&scratch, 0);
    enum nx_err err = NX_OK;
    if (tenant != ING_REF_NONE) {
        const struct ing_exemplars *ring = &ing_head_tenant(head, tenant)->exemplars;
        for (size_t i = 0; i < ring->count && err == NX_OK; i++)
            err = add_exemplar(ask, &ask->parts[slot->shard->index], &ring->items[i], &scratch);
    }
    nx_arena_release(&scratch);
    ing_fan_answer(slot, err);
}

static int found_cmp(const void *a, const void *b)
{
    const struct found *x = *(struct found *const *)a;
    const struct found *y = *(struct found *const *)b;
    int order = nx_series_id_cmp(x->series, y->series);
    return order != 0 ? order : (x->t > y->t) - (x->t < y->t);
}

static Narthex__ExemplarSeries *series_message(struct nx_arena *arena, struct found *const *items,
                                               size_t count)
{
    Narthex__ExemplarSeries *series = nx_arena_alloc(arena, sizeof *series);
    Narthex__ExemplarRow *rows = nx_arena_array(arena, count, sizeof *rows);
    Narthex__ExemplarRow **list = nx_arena_array(arena, count, sizeof(Narthex__ExemplarRow *));
    if (!series || !rows || !list)
        return NULL;
    *series = (Narthex__ExemplarSeries)NARTHEX__EXEMPLAR_SERIES__INIT;
    series->labels.data = (uint8_t *)(uintptr_t)items[0]->series_labels.ptr;
    series->labels.len = items[0]->series_labels.len;
    series->exemplars = list;
    series->n_exemplars = count;
    for (size_t i = 0; i < count; i++) {
        rows[i] = (Narthex__ExemplarRow)NARTHEX__EXEMPLAR_ROW__INIT;
        rows[i].timestamp = items[i]->t;
        rows[i].value_bits = items[i]->value_bits;
        rows[i].labels.data = (uint8_t *)(uintptr_t)items[i]->labels.ptr;
        rows[i].labels.len = items[i]->labels.len;
        list[i] = &rows[i];
    }
    return series;
}

static enum nx_err exemplars_fill(struct ask *ask, Narthex__ExemplarsResponse *message)
{
    size_t total = part_total(ask);
    struct nx_arena *arena = &ask->base.pb.arena;
    struct found **all = nx_arena_array(arena, total, sizeof(struct found *));
    message->series = nx_arena_array(arena, total, sizeof(Narthex__ExemplarSeries *));
    if (!all || !message->series)
        return NX_ERR_NOMEM;
    size_t count = 0;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++)
        for (size_t j = 0; j < ask->parts[i].count; j++)
            all[count++] = ask->parts[i].items[j];
    if (count > 1)
        qsort(all, count, sizeof(struct found *), found_cmp);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && nx_series_id_eq(all[end]->series, all[i]->series))
            end++;
        Narthex__ExemplarSeries *series = series_message(arena, all + i, end - i);
        if (!series)
            return NX_ERR_NOMEM;
        message->series[message->n_series++] = series;
        i = end;
    }
    return NX_OK;
}

static void exemplars_done(struct ing_fan *fan)
{
    struct ask *ask = ask_of(fan);
    Narthex__ExemplarsResponse message = NARTHEX__EXEMPLARS_RESPONSE__INIT;
    enum nx_err err = fan->err == NX_OK ? exemplars_fill(ask, &message) : fan->err;
    if (err != NX_OK) {
        ing_ask_fail(&ask->base, err);
        return;
    }
    ing_ask_reply(&ask->base, &message.base);
}

static enum nx_err selectors_init(struct ask *ask)
{
    size_t count = ask->exemplars->n_selectors;
    ask->selectors = nx_arena_calloc(&ask->base.pb.arena, count, sizeof(struct nx_matcher *));
    if (!ask->selectors)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const Narthex__MatcherSet *set = ask->exemplars->selectors[i];
        enum nx_err err = ing_matchers_init(set->matchers, set->n_matchers, &ask->base.pb.arena,
                                            &ask->selectors[i], &ask->base.fail);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

void ing_exemplars_handle(struct nx_rpc_request *req, void *user)
{
    struct ask *ask = ing_ask_new(user, req, sizeof *ask, release);
    if (!ask)
        return;
    ask->exemplars =
        ing_ask_message(&ask->base, &narthex__exemplars_request__descriptor, "exemplars");
    enum nx_err err = ask->exemplars ? selectors_init(ask) : NX_ERR_INVALID;
    if (err == NX_OK)
        err = parts_init(ask);
    ing_ask_start(&ask->base, err, exemplars_run, exemplars_done);
}
