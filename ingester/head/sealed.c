/* One allocation a chunk: header and bytes together. */
#include "ingester/head/sealed.h"

#include "common/base/alloc.h"

struct ing_sealed *ing_sealed_new(const struct nx_chunk *chunk)
{
    struct ing_sealed *sealed = nx_alloc(sizeof *sealed + chunk->data.len);
    if (!sealed)
        return NULL;
    nx_refcount_init(&sealed->refs);
    sealed->min_t = chunk->min_t;
    sealed->max_t = chunk->max_t;
    sealed->len = (uint32_t)chunk->data.len;
    sealed->count = (uint16_t)chunk->count;
    sealed->encoding = (uint8_t)chunk->encoding;
    memcpy(sealed->data, chunk->data.ptr, chunk->data.len);
    return sealed;
}

void ing_sealed_drop(struct ing_sealed *sealed)
{
    if (sealed && nx_refcount_drop(&sealed->refs))
        nx_free(sealed);
}

struct nx_chunk ing_sealed_chunk(const struct ing_sealed *sealed)
{
    return (struct nx_chunk){.encoding = (enum nx_chunk_encoding)sealed->encoding,
                             .count = sealed->count,
                             .min_t = sealed->min_t,
                             .max_t = sealed->max_t,
                             .data = nx_view_make(sealed->data, sealed->len)};
}

enum nx_err ing_sealed_list_add(struct ing_sealed_list *list, struct ing_sealed *sealed)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 4;
        struct ing_sealed **items =
            nx_realloc_array(list->items, capacity, sizeof(struct ing_sealed *));
        if (!items)
            return NX_ERR_NOMEM;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = sealed;
    return NX_OK;
}

enum nx_err ing_sealed_list_load(struct ing_sealed_list *list, int64_t min_t, int64_t max_t)
{
    (void)list;
    (void)min_t;
    (void)max_t;
    return NX_OK;
}

void ing_sealed_list_unload(struct ing_sealed_list *list)
{
    (void)list;
}

void ing_sealed_list_release(struct ing_sealed_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        ing_sealed_drop(list->items[i]);
    nx_free(list->items);
    *list = (struct ing_sealed_list){0};
}
