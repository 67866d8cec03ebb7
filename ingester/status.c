/* What is in memory, for /api/v1/status/tsdb. Counts of distinct values are exact (shards hand over
 * hashes of their values); the longest-of lists are put together from the longest of each shard,
 * which is exact but for ties and near ties, as series are spread evenly. */
#include <stdlib.h>

#include "ingester/ask.h"

#define ANSWER_BYTES_MAX ((size_t)512 << 20)
#define TOP_MIN 1000

struct count {
    struct nx_view name;
    uint64_t value;
};

/* A label name in one shard. */
struct name_stats {
    struct nx_view name;
    uint64_t *value_hashes;
    size_t value_count;
    uint64_t bytes; /* of the values, each as often as there are series */
};

struct part {
    struct nx_arena *arena; /* the shard's, of the ask */
    uint64_t series;
    uint64_t chunks;
    int64_t min_t;
    int64_t max_t;
    struct name_stats *names;
    size_t name_count;
    struct count *metrics;
    size_t metric_count;
    struct count *pairs;
    size_t pair_count;
};

struct ask {
    struct ing_ask base;
    const Narthex__StatusRequest *request;
    struct part *parts; /* one a shard */
};

static int count_cmp(const void *a, const void *b)
{
    const struct count *x = a;
    const struct count *y = b;
    if (x->value != y->value)
        return x->value > y->value ? -1 : 1;
    return nx_view_cmp(x->name, y->name);
}

static size_t top_of(const struct ask *ask)
{
    size_t top = (size_t)ask->request->limit * 8;
    return top > TOP_MIN ? top : TOP_MIN;
}

static enum nx_err name_read(const struct ing_postings *postings, const struct ing_name *name,
                             struct part *part, struct name_stats *out)
{
    *out = (struct name_stats){.name = ing_symbols_text(postings->symbols, name->symbol)};
    out->value_hashes = nx_arena_array(part->arena, name->count, sizeof *out->value_hashes);
    out->name = nx_arena_copy(part->arena, out->name);
    if (!out->value_hashes || !out->name.ptr)
        return NX_ERR_NOMEM;
    bool is_metric = nx_view_eq(out->name, NX_LABEL_METRIC_NAME);
    for (size_t i = 0; i < name->count; i++) {
        const struct ing_pair *pair = &postings->pairs[name->pairs[i]];
        struct nx_view value = ing_symbols_text(postings->symbols, pair->value);
        out->value_hashes[out->value_count++] = nx_hash_view(value);
        out->bytes += (uint64_t)value.len * pair->count;
        part->pairs[part->pair_count++] =
            (struct count){.name = nx_view_make(pair, sizeof *pair), .value = pair->count};
        if (is_metric)
            part->metrics[part->metric_count++] =
                (struct count){.name = value, .value = pair->count};
    }
    return NX_OK;
}

static int pair_count_cmp(const void *a, const void *b)
{
    const struct count *x = a;
    const struct count *y = b;
    return (x->value < y->value) - (x->value > y->value);
}

/* Copies the texts of the largest: the symbols may go once the shard works on. */
static enum nx_err keep_top(const struct ask *ask, const struct ing_postings *postings,
                            struct part *part)
{
    size_t top = top_of(ask);
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX / 4);
    if (part->metric_count > 1)
        qsort(part->metrics, part->metric_count, sizeof *part->metrics, count_cmp);
    if (part->pair_count > 1)
        qsort(part->pairs, part->pair_count, sizeof *part->pairs, pair_count_cmp);
    part->metric_count = part->metric_count < top ? part->metric_count : top;
    part->pair_count = part->pair_count < top ? part->pair_count : top;
    bool good = true;
    for (size_t i = 0; i < part->metric_count; i++) {
        part->metrics[i].name = nx_arena_copy(part->arena, part->metrics[i].name);
        good = good && part->metrics[i].name.ptr;
    }
    for (size_t i = 0; i < part->pair_count; i++) {
        const struct ing_pair *pair =
            (const struct ing_pair *)(const void *)part->pairs[i].name.ptr;
        nx_buf_clear(&buf);
        nx_buf_append_view(&buf,
                           ing_symbols_text(postings->symbols, postings->names[pair->name].symbol));
        nx_buf_append_char(&buf, '=');
        nx_buf_append_view(&buf, ing_symbols_text(postings->symbols, pair->value));
        part->pairs[i].name = nx_arena_copy(part->arena, nx_buf_view(&buf));
        good = good && nx_buf_err(&buf) == NX_OK && part->pairs[i].name.ptr;
    }
    nx_buf_release(&buf);
    return good ? NX_OK : NX_ERR_NOMEM;
}

static void series_read(const struct ing_head *head, const struct ing_tenant *tenant,
                        struct part *part)
{
    roaring_uint32_iterator_t it;
    roaring_init_iterator(tenant->postings.all, &it);
    for (; it.has_value; roaring_advance_uint32_iterator(&it))
        part->chunks +=
            ing_series_chunk_count(&head->pool, ing_head_series(head, it.current_value));
    part->series = tenant->series;
    part->max_t = tenant->newest_t;
    part->min_t = tenant->window_count > 0 ? tenant->windows[0].oldest_t : INT64_MAX;
}

static enum nx_err part_read(const struct ask *ask, const struct ing_head *head, struct part *part)
{
    uint32_t number = ing_head_tenant_find(head, nx_view_of(ask->request->tenant));
    part->min_t = INT64_MAX;
    part->max_t = INT64_MIN;
    if (number == ING_REF_NONE)
        return NX_OK;
    const struct ing_tenant *tenant = ing_head_tenant(head, number);
    const struct ing_postings *postings = &tenant->postings;
    part->names = nx_arena_array(part->arena, postings->name_count, sizeof *part->names);
    part->metrics = nx_arena_array(part->arena, postings->live_pairs, sizeof *part->metrics);
    part->pairs = nx_arena_array(part->arena, postings->live_pairs, sizeof *part->pairs);
    if (!part->names || !part->metrics || !part->pairs)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < postings->name_count; i++) {
        if (postings->names[i].count == 0)
            continue;
        enum nx_err err =
            name_read(postings, &postings->names[i], part, &part->names[part->name_count]);
        if (err != NX_OK)
            return err;
        part->name_count++;
    }
    series_read(head, tenant, part);
    return keep_top(ask, postings, part);
}

static void part_run(struct ing_fan_slot *slot)
{
    struct ask *ask = NX_OWNER(struct ask, base.fan, slot->fan);
    struct part *part = &ask->parts[slot->shard->index];
    part->arena = &ask->base.arenas[slot->shard->index];
    enum nx_err err = part_read(ask, slot->shard->store.head, part);
    if (err == NX_ERR_NOMEM && nx_arena_over(part->arena))
        err = NX_ERR_LIMIT;
    ing_fan_answer(slot, err);
}

static int name_cmp(const void *a, const void *b)
{
    return nx_view_cmp(((const struct count *)a)->name, ((const struct count *)b)->name);
}

/* Adds up equal names and writes the largest `limit`. */
static enum nx_err write_top(struct ask *ask, struct count *items, size_t count,
                             Narthex__NameValue ***out, size_t *out_count)
{
    size_t kept = 0;
    if (count > 1)
        qsort(items, count, sizeof *items, name_cmp);
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && nx_view_eq(items[kept - 1].name, items[i].name))
            items[kept - 1].value += items[i].value;
        else
            items[kept++] = items[i];
    }
    if (kept > 1)
        qsort(items, kept, sizeof *items, count_cmp);
    if (kept > ask->request->limit)
        kept = ask->request->limit;
    Narthex__NameValue *rows = nx_arena_array(&ask->base.pb.arena, kept, sizeof *rows);
    Narthex__NameValue **list =
        nx_arena_array(&ask->base.pb.arena, kept, sizeof(Narthex__NameValue *));
    if (!rows || !list)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < kept; i++) {
        rows[i] = (Narthex__NameValue)NARTHEX__NAME_VALUE__INIT;
        rows[i].name = (char *)(uintptr_t)items[i].name.ptr;
        rows[i].value = items[i].value;
        list[i] = &rows[i];
    }
    *out = list;
    *out_count = kept;
    return NX_OK;
}

static int hash_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t distinct(uint64_t *hashes, size_t count)
{
    uint64_t found = 0;
    if (count > 1)
        qsort(hashes, count, sizeof *hashes, hash_cmp);
    for (size_t i = 0; i < count; i++)
        found += i == 0 || hashes[i] != hashes[i - 1];
    return found;
}

static int stats_cmp(const void *a, const void *b)
{
    return nx_view_cmp(((const struct name_stats *)a)->name, ((const struct name_stats *)b)->name);
}

static enum nx_err write_names(struct ask *ask, Narthex__StatusResponse *message)
{
    size_t total = 0;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++)
        total += ask->parts[i].name_count;
    struct nx_arena *arena = &ask->base.pb.arena;
    struct name_stats *all = nx_arena_array(arena, total, sizeof *all);
    struct count *values = nx_arena_array(arena, total, sizeof *values);
    struct count *bytes = nx_arena_array(arena, total, sizeof *bytes);
    if (!all || !values || !bytes)
        return NX_ERR_NOMEM;
    size_t count = 0;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++)
        for (size_t j = 0; j < ask->parts[i].name_count; j++)
            all[count++] = ask->parts[i].names[j];
    if (count > 1)
        qsort(all, count, sizeof *all, stats_cmp);
    size_t names = 0;
    for (size_t i = 0; i < count; names++) {
        size_t end = i;
        size_t hashes = 0;
        uint64_t size = 0;
        for (; end < count && nx_view_eq(all[end].name, all[i].name); end++) {
            hashes += all[end].value_count;
            size += all[end].bytes;
        }
        uint64_t *joined = nx_arena_array(arena, hashes, sizeof *joined);
        if (!joined)
            return NX_ERR_NOMEM;
        struct nx_view name = all[i].name;
        hashes = 0;
        for (; i < end; i++) {
            memcpy(joined + hashes, all[i].value_hashes, all[i].value_count * sizeof *joined);
            hashes += all[i].value_count;
        }
        values[names] = (struct count){.name = name, .value = distinct(joined, hashes)};
        bytes[names] = (struct count){.name = name, .value = size};
        message->num_label_pairs += values[names].value;
    }
    enum nx_err err =
        write_top(ask, values, names, &message->values_by_label, &message->n_values_by_label);
    if (err == NX_OK)
        err = write_top(ask, bytes, names, &message->memory_by_label, &message->n_memory_by_label);
    return err;
}

static enum nx_err write_counts(struct ask *ask, Narthex__StatusResponse *message)
{
    size_t metrics = 0;
    size_t pairs = 0;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++) {
        metrics += ask->parts[i].metric_count;
        pairs += ask->parts[i].pair_count;
    }
    struct count *all_metrics = nx_arena_array(&ask->base.pb.arena, metrics, sizeof *all_metrics);
    struct count *all_pairs = nx_arena_array(&ask->base.pb.arena, pairs, sizeof *all_pairs);
    if (!all_metrics || !all_pairs)
        return NX_ERR_NOMEM;
    metrics = pairs = 0;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++) {
        const struct part *part = &ask->parts[i];
        for (size_t j = 0; j < part->metric_count; j++)
            all_metrics[metrics++] = part->metrics[j];
        for (size_t j = 0; j < part->pair_count; j++)
            all_pairs[pairs++] = part->pairs[j];
    }
    enum nx_err err = write_top(ask, all_metrics, metrics, &message->series_by_metric,
                                &message->n_series_by_metric);
    if (err == NX_OK)
        err =
            write_top(ask, all_pairs, pairs, &message->series_by_pair, &message->n_series_by_pair);
    return err;
}

static void fan_done(struct ing_fan *fan)
{
    struct ask *ask = NX_OWNER(struct ask, base.fan, fan);
    Narthex__StatusResponse message = NARTHEX__STATUS_RESPONSE__INIT;
    enum nx_err err = fan->err;
    message.min_t = INT64_MAX;
    message.max_t = INT64_MIN;
    for (uint32_t i = 0; i < ask->base.ing->shard_count; i++) {
        const struct part *part = &ask->parts[i];
        message.num_series += part->series;
        message.chunk_count += part->chunks;
        message.min_t = part->min_t < message.min_t ? part->min_t : message.min_t;
        message.max_t = part->max_t > message.max_t ? part->max_t : message.max_t;
    }
    if (err == NX_OK)
        err = write_names(ask, &message);
    if (err == NX_OK)
        err = write_counts(ask, &message);
    if (err != NX_OK) {
        ing_ask_fail(&ask->base, err);
        return;
    }
    ing_ask_reply(&ask->base, &message.base);
}

static enum nx_err ask_init(struct ask *ask)
{
    struct ing_ask *base = &ask->base;
    ask->request = ing_ask_message(base, &narthex__status_request__descriptor, "status");
    if (!ask->request)
        return NX_ERR_INVALID;
    enum nx_err err = ing_ask_arenas(base, ANSWER_BYTES_MAX);
    ask->parts = nx_arena_calloc(&base->pb.arena, base->ing->shard_count, sizeof *ask->parts);
    return ask->parts ? err : NX_ERR_NOMEM;
}

void ing_status_handle(struct nx_rpc_request *req, void *user)
{
    struct ask *ask = ing_ask_new(user, req, sizeof *ask, NULL);
    if (!ask)
        return;
    ing_ask_start(&ask->base, ask_init(ask), part_run, fan_done);
}
