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

enum nx_err ing_sealed_list_add_copy(struct ing_sealed_list *list, const struct nx_chunk *chunk,
                                     uint64_t address)
{
    struct ing_sealed *sealed = ing_sealed_new(chunk);
    if (!sealed)
        return NX_ERR_NOMEM;
    enum nx_err err = ing_sealed_list_add(list, sealed);
    if (err != NX_OK) {
        ing_sealed_drop(sealed);
        return err;
    }
    list->copies++;
    if (address >= list->end)
        list->end = address + 1;
    return NX_OK;
}

/* The last `count` items go. */
static void drop_last(struct ing_sealed_list *list, uint32_t count)
{
    for (; count > 0; count--)
        ing_sealed_drop(list->items[--list->count]);
}

static enum nx_err load(struct ing_sealed_list *list, int64_t min_t, int64_t max_t,
                        struct ing_chunk_piece_buffer *buffer)
{
    const struct ing_chain *chain = &list->chain;
    uint64_t begin = ing_chunk_view_begin(chain->view);
    uint64_t floor = chain->floor > begin ? chain->floor : begin;
    struct ing_chunk_piece piece;
    for (uint64_t address = chain->head; address >= floor; address = piece.before) {
        enum nx_err err = ing_chunk_view_read(chain->view, address, chain->owner, buffer, &piece);
        if (err == NX_OK && piece.before >= address)
            err = NX_ERR_CORRUPT;
        if (err != NX_OK)
            return err;
        if (piece.chunk.max_t < min_t) {
            list->older = address;
            return NX_OK;
        }
        if (piece.chunk.min_t > max_t)
            continue;
        err = ing_sealed_list_add_copy(list, &piece.chunk, address);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

enum nx_err ing_sealed_list_load(struct ing_sealed_list *list, int64_t min_t, int64_t max_t)
{
    if (!list->chain.view)
        return NX_OK;
    struct ing_chunk_piece_buffer buffer;
    uint32_t copies = list->copies;
    uint64_t end = list->end;
    enum nx_err err = load(list, min_t, max_t, &buffer);
    if (err != NX_OK) {
        drop_last(list, list->copies - copies);
        list->copies = copies;
        list->end = end;
        return err;
    }
    ing_chunk_view_drop(list->chain.view);
    list->chain.view = NULL;
    return NX_OK;
}

void ing_sealed_list_unload(struct ing_sealed_list *list)
{
    drop_last(list, list->copies);
    list->copies = 0;
    if (list->count > 0)
        return;
    nx_free(list->items);
    list->items = NULL;
    list->capacity = 0;
}

void ing_sealed_list_release(struct ing_sealed_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        ing_sealed_drop(list->items[i]);
    nx_free(list->items);
    ing_chunk_view_drop(list->chain.view);
    *list = (struct ing_sealed_list){0};
}
