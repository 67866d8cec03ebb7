/* Names, and the values of a name, are in the order of their texts: both are found by bisection. */
#include "ingester/block/block_index.h"

#include "common/base/cursor.h"

#define NAME_BYTES 8
#define PAIR_BYTES 12
#define BATCH 256

static uint32_t load_u32(const char *at)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(at, 4));
    return nx_cursor_u32(&cur);
}

enum nx_err ing_block_symbol(const struct ing_block_index *index, uint32_t symbol,
                             struct nx_view *out)
{
    struct nx_view table = index->symbols;
    if (table.len < 8)
        return NX_ERR_CORRUPT;
    uint32_t count = load_u32(table.ptr);
    uint64_t head = 4 + ((uint64_t)count + 1) * 4;
    if (head > table.len || symbol >= count)
        return NX_ERR_CORRUPT;
    uint32_t from = load_u32(table.ptr + 4 + (size_t)symbol * 4);
    uint32_t to = load_u32(table.ptr + 8 + (size_t)symbol * 4);
    if (from > to || to > table.len - head)
        return NX_ERR_CORRUPT;
    *out = nx_view_make(table.ptr + head + from, to - from);
    return NX_OK;
}

uint32_t ing_block_name_count(const struct ing_block_index *index)
{
    size_t entries = index->names.len / NAME_BYTES;
    return entries > 0 ? (uint32_t)(entries - 1) : 0;
}

enum nx_err ing_block_name(const struct ing_block_index *index, uint32_t i, uint32_t *symbol,
                           uint32_t *first, uint32_t *end)
{
    if (i >= ing_block_name_count(index))
        return NX_ERR_CORRUPT;
    const char *at = index->names.ptr + (size_t)i * NAME_BYTES;
    uint32_t from = load_u32(at + 4);
    uint32_t to = load_u32(at + NAME_BYTES + 4);
    if (from > to || to > index->pairs.len / PAIR_BYTES)
        return NX_ERR_CORRUPT;
    *symbol = load_u32(at);
    *first = from;
    *end = to;
    return NX_OK;
}

enum nx_err ing_block_name_find(const struct ing_block_index *index, struct nx_view name,
                                uint32_t *first, uint32_t *end)
{
    uint32_t low = 0;
    uint32_t high = ing_block_name_count(index);
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        uint32_t symbol;
        struct nx_view text;
        enum nx_err err = ing_block_name(index, mid, &symbol, first, end);
        if (err == NX_OK)
            err = ing_block_symbol(index, symbol, &text);
        if (err != NX_OK)
            return err;
        int order = nx_view_cmp(text, name);
        if (order == 0)
            return NX_OK;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NX_ERR_NOT_FOUND;
}

enum nx_err ing_block_pair_value(const struct ing_block_index *index, uint32_t pair,
                                 struct nx_view *out)
{
    if (pair >= index->pairs.len / PAIR_BYTES)
        return NX_ERR_CORRUPT;
    return ing_block_symbol(index, load_u32(index->pairs.ptr + (size_t)pair * PAIR_BYTES), out);
}

enum nx_err ing_block_pair_series(const struct ing_block_index *index, uint32_t pair,
                                  roaring_bitmap_t *set)
{
    if (pair >= index->pairs.len / PAIR_BYTES)
        return NX_ERR_CORRUPT;
    const char *at = index->pairs.ptr + (size_t)pair * PAIR_BYTES;
    uint32_t offset = load_u32(at + 4);
    uint32_t count = load_u32(at + 8);
    if (offset > index->lists.len)
        return NX_ERR_CORRUPT;
    struct nx_cursor cur =
        nx_cursor_of(nx_view_make(index->lists.ptr + offset, index->lists.len - offset));
    uint32_t batch[BATCH];
    size_t filled = 0;
    uint64_t series = 0;
    for (uint32_t i = 0; i < count; i++) {
        series += nx_cursor_uvarint(&cur);
        if (!nx_cursor_ok(&cur) || series >= index->series)
            return NX_ERR_CORRUPT;
        batch[filled++] = (uint32_t)series;
        if (filled == BATCH) {
            roaring_bitmap_add_many(set, filled, batch);
            filled = 0;
        }
    }
    roaring_bitmap_add_many(set, filled, batch);
    return NX_OK;
}

static enum nx_err add_pair(const void *user, struct nx_view name, struct nx_view value,
                            roaring_bitmap_t *set)
{
    const struct ing_block_index *index = user;
    uint32_t low;
    uint32_t high;
    enum nx_err err = ing_block_name_find(index, name, &low, &high);
    if (err != NX_OK)
        return err == NX_ERR_NOT_FOUND ? NX_OK : err;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct nx_view text;
        err = ing_block_pair_value(index, mid, &text);
        if (err != NX_OK)
            return err;
        int order = nx_view_cmp(text, value);
        if (order == 0)
            return ing_block_pair_series(index, mid, set);
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NX_OK;
}

static enum nx_err add_values(const void *user, struct nx_view name,
                              bool (*accepts)(const void *user, struct nx_view value),
                              const void *accepts_user, roaring_bitmap_t *set)
{
    const struct ing_block_index *index = user;
    uint32_t first;
    uint32_t end;
    enum nx_err err = ing_block_name_find(index, name, &first, &end);
    if (err != NX_OK)
        return err == NX_ERR_NOT_FOUND ? NX_OK : err;
    for (uint32_t pair = first; pair < end; pair++) {
        struct nx_view value;
        err = ing_block_pair_value(index, pair, &value);
        if (err == NX_OK && accepts(accepts_user, value))
            err = ing_block_pair_series(index, pair, set);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

struct ing_match_index ing_block_match_index(const struct ing_block_index *index)
{
    return (struct ing_match_index){.index = index, .add_pair = add_pair, .add_values = add_values};
}
