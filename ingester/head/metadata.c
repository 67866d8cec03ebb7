/* The three texts of an entry share one allocation, which metric.ptr owns. */
#include "ingester/head/metadata.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"

void ing_metadata_init(struct ing_metadata_table *table)
{
    *table = (struct ing_metadata_table){0};
    nx_index_init(&table->index);
}

static void entry_free(struct ing_metadata *entry)
{
    nx_free((void *)(uintptr_t)entry->metric.ptr);
}

void ing_metadata_release(struct ing_metadata_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        entry_free(&table->items[i]);
    nx_free(table->items);
    nx_index_release(&table->index);
    ing_metadata_init(table);
}

static bool metric_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_metadata_table *table = user;
    return nx_view_eq(table->items[ref].metric, *(const struct nx_view *)key);
}

static uint32_t find(const struct ing_metadata_table *table, struct nx_view metric)
{
    return nx_index_find(&table->index, nx_hash_view(metric), metric_eq, &metric, table);
}

const struct ing_metadata *ing_metadata_get(const struct ing_metadata_table *table,
                                            struct nx_view metric)
{
    uint32_t at = find(table, metric);
    return at == NX_INDEX_NONE ? NULL : &table->items[at];
}

static char *put(char *at, struct nx_view text, struct nx_view *out)
{
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    *out = nx_view_make(at, text.len);
    return at + text.len;
}

static enum nx_err entry_copy(const struct ing_metadata *from, struct ing_metadata *to)
{
    char *bytes = nx_alloc(from->metric.len + from->help.len + from->unit.len);
    if (!bytes)
        return NX_ERR_NOMEM;
    to->type = from->type;
    bytes = put(bytes, from->metric, &to->metric);
    bytes = put(bytes, from->help, &to->help);
    put(bytes, from->unit, &to->unit);
    return NX_OK;
}

enum nx_err ing_metadata_set(struct ing_metadata_table *table, const struct ing_metadata *metadata,
                             bool *changed)
{
    *changed = false;
    if (metadata->metric.len + metadata->help.len + metadata->unit.len > ING_METADATA_TEXT_MAX)
        return NX_OK;
    struct ing_metadata copy;
    uint32_t at = find(table, metadata->metric);
    if (at != NX_INDEX_NONE) {
        struct ing_metadata *entry = &table->items[at];
        if (entry->type == metadata->type && nx_view_eq(entry->help, metadata->help) &&
            nx_view_eq(entry->unit, metadata->unit))
            return NX_OK;
        enum nx_err err = entry_copy(metadata, &copy);
        if (err != NX_OK)
            return err;
        entry_free(entry);
        *entry = copy;
        *changed = true;
        return NX_OK;
    }
    if (table->count >= ING_METADATA_MAX)
        return NX_OK;
    enum nx_err err =
        nx_grow(&table->items, &table->capacity, table->count + 1, sizeof *table->items);
    if (err != NX_OK)
        return err;
    err = entry_copy(metadata, &copy);
    if (err != NX_OK)
        return err;
    err = nx_index_insert(&table->index, nx_hash_view(copy.metric), (uint32_t)table->count);
    if (err != NX_OK) {
        entry_free(&copy);
        return err;
    }
    table->items[table->count++] = copy;
    *changed = true;
    return NX_OK;
}
