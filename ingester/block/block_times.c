#include "ingester/block/block_times.h"

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/chunk/column/values.h"
#include "ingester/block/block_format.h"

enum { HEAD_BYTES = 8, PAGE_BYTES = ING_PAGE_REF_BYTES + 4 };

struct ing_time_page {
    uint32_t first;
    uint32_t count;
    struct ing_time_column columns[];
};

static uint32_t u32_at(struct nx_view section, size_t offset)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(section.ptr + offset, 4));
    return nx_cursor_u32(&cur);
}

enum nx_err ing_block_times_init(struct ing_block_times *times, struct nx_view section,
                                 struct ing_page_reader *reader, int64_t min_t, int64_t max_t)
{
    if (section.len < HEAD_BYTES)
        return NX_ERR_CORRUPT;
    struct ing_block_times made = {.section = section,
                                   .reader = reader,
                                   .column_count = u32_at(section, 0),
                                   .page_count = u32_at(section, 4),
                                   .min_t = min_t,
                                   .max_t = max_t};
    if ((uint64_t)made.page_count * PAGE_BYTES != section.len - HEAD_BYTES)
        return NX_ERR_CORRUPT;
    made.pages = nx_calloc(made.page_count, sizeof(struct ing_time_page *));
    if (!made.pages)
        return NX_ERR_NOMEM;
    nx_arena_init(&made.arena, 0);
    *times = made;
    return NX_OK;
}

void ing_block_times_release(struct ing_block_times *times)
{
    nx_free(times->pages);
    nx_arena_release(&times->arena);
    times->pages = NULL;
}

static uint32_t page_first(const struct ing_block_times *times, uint32_t i)
{
    if (i == times->page_count)
        return times->column_count;
    return u32_at(times->section, HEAD_BYTES + (size_t)i * PAGE_BYTES + ING_PAGE_REF_BYTES);
}

static enum nx_err read_columns(const struct ing_block_times *times, struct nx_view raw,
                                struct ing_time_page *page)
{
    struct nx_cursor cur = nx_cursor_of(raw);
    uint64_t block_span = (uint64_t)times->max_t - (uint64_t)times->min_t;
    for (uint32_t i = 0; i < page->count; i++) {
        uint64_t count = nx_cursor_uvarint(&cur);
        uint64_t start = nx_cursor_uvarint(&cur);
        uint64_t span = nx_cursor_uvarint(&cur);
        struct nx_view code = nx_cursor_bytes(&cur);
        if (!nx_cursor_ok(&cur) || count == 0 || count > NX_COLUMN_MAX || start >= block_span ||
            span >= block_span - start)
            return NX_ERR_CORRUPT;
        int64_t min_t = (int64_t)((uint64_t)times->min_t + start);
        page->columns[i] = (struct ing_time_column){
            .count = (uint32_t)count, .min_t = min_t, .max_t = min_t + (int64_t)span, .code = code};
    }
    return nx_cursor_left(&cur) == 0 ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err page_load(struct ing_block_times *times, uint32_t i, struct ing_time_page **out)
{
    struct nx_cursor cur = nx_cursor_of(
        nx_view_make(times->section.ptr + HEAD_BYTES + (size_t)i * PAGE_BYTES, ING_PAGE_REF_BYTES));
    struct ing_page_ref ref = ing_page_ref_read(&cur);
    uint32_t first = page_first(times, i);
    uint32_t end = page_first(times, i + 1);
    struct nx_view raw;
    if (first >= end)
        return NX_ERR_CORRUPT;
    enum nx_err err = ing_page_load(times->reader, &ref, &times->arena, &raw);
    if (err != NX_OK)
        return err;
    uint32_t count = end - first;
    if (count > raw.len / 4)
        return NX_ERR_CORRUPT;
    struct ing_time_page *page =
        nx_arena_alloc(&times->arena, sizeof *page + count * sizeof(struct ing_time_column));
    if (!page)
        return NX_ERR_NOMEM;
    page->first = first;
    page->count = count;
    err = read_columns(times, raw, page);
    if (err == NX_OK)
        *out = page;
    return err;
}

enum nx_err ing_block_times_column(struct ing_block_times *times, uint32_t column,
                                   const struct ing_time_column **out)
{
    uint32_t low = 0;
    uint32_t high = times->page_count;
    if (column >= times->column_count)
        return NX_ERR_CORRUPT;
    while (low + 1 < high) {
        uint32_t mid = low + (high - low) / 2;
        if (page_first(times, mid) <= column)
            low = mid;
        else
            high = mid;
    }
    if (low >= times->page_count)
        return NX_ERR_CORRUPT;
    if (!times->pages[low]) {
        enum nx_err err = page_load(times, low, &times->pages[low]);
        if (err != NX_OK)
            return err;
    }
    const struct ing_time_page *page = times->pages[low];
    if (column < page->first || column - page->first >= page->count)
        return NX_ERR_CORRUPT;
    *out = &page->columns[column - page->first];
    return NX_OK;
}

uint64_t ing_block_times_bytes(const struct ing_block_times *times)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < times->page_count; i++) {
        struct nx_cursor cur = nx_cursor_of(nx_view_make(
            times->section.ptr + HEAD_BYTES + (size_t)i * PAGE_BYTES, ING_PAGE_REF_BYTES));
        bytes += ing_page_ref_read(&cur).stored;
    }
    return bytes;
}

/* --- writing --- */

void ing_times_made_init(struct ing_times_made *made)
{
    *made = (struct ing_times_made){.count = 0};
    nx_index_init(&made->index);
    nx_buf_init(&made->codes, SIZE_MAX / 4);
}

void ing_times_made_release(struct ing_times_made *made)
{
    nx_index_release(&made->index);
    nx_buf_release(&made->codes);
    nx_free(made->items);
}

static bool is_same(uint32_t ref, const void *key, const void *user)
{
    const struct ing_time_made *items = user;
    return memcmp(items[ref].hash, key, sizeof items[ref].hash) == 0;
}

enum nx_err ing_times_made_add(struct ing_times_made *made, const int64_t *times, size_t count,
                               uint32_t *column)
{
    struct nx_hash128 hash = nx_hash128(times, count * sizeof *times);
    struct ing_time_made item = {.hash = {hash.hi, hash.lo},
                                 .offset = made->codes.len,
                                 .count = (uint32_t)count,
                                 .min_t = times[0],
                                 .max_t = times[count - 1]};
    uint32_t ref = nx_index_find(&made->index, hash.lo, is_same, item.hash, made->items);
    if (ref != NX_INDEX_NONE) {
        *column = ref;
        return NX_OK;
    }
    if (made->count >= NX_INDEX_NONE - 1)
        return NX_ERR_TOO_LARGE;
    enum nx_err err = nx_grow(&made->items, &made->capacity, made->count + 1, sizeof item);
    if (err != NX_OK)
        return err;
    nx_ints_encode(&made->codes, times, count);
    err = nx_buf_err(&made->codes);
    if (err == NX_OK)
        err = nx_index_insert(&made->index, hash.lo, (uint32_t)made->count);
    if (err != NX_OK)
        return err;
    item.len = (uint32_t)(made->codes.len - item.offset);
    made->items[made->count] = item;
    *column = (uint32_t)made->count++;
    return NX_OK;
}

static void put_column(struct nx_buf *raw, const struct ing_times_made *made,
                       const struct ing_time_made *item, int64_t min_t)
{
    nx_buf_put_uvarint(raw, item->count);
    nx_buf_put_uvarint(raw, (uint64_t)item->min_t - (uint64_t)min_t);
    nx_buf_put_uvarint(raw, (uint64_t)item->max_t - (uint64_t)item->min_t);
    nx_buf_put_bytes(raw, nx_view_make(made->codes.data + item->offset, item->len));
}

enum nx_err ing_block_times_write(const struct ing_times_made *made, int64_t min_t,
                                  struct ing_page_writer *writer, uint64_t pages_offset,
                                  struct nx_buf *pages, struct nx_buf *section)
{
    struct nx_buf raw;
    struct nx_buf table;
    enum nx_err err = NX_OK;
    uint32_t page_count = 0;
    nx_buf_init(&raw, SIZE_MAX / 4);
    nx_buf_init(&table, SIZE_MAX / 4);
    for (size_t i = 0; i < made->count && err == NX_OK; page_count++) {
        struct ing_page_ref ref;
        size_t first = i;
        uint64_t offset = pages_offset + pages->len;
        nx_buf_clear(&raw);
        for (; i < made->count && raw.len < ING_TIME_PAGE_BYTES && raw.err == NX_OK; i++)
            put_column(&raw, made, &made->items[i], min_t);
        err = nx_buf_err(&raw);
        if (err == NX_OK)
            err = ing_page_put(writer, nx_buf_view(&raw), pages, &ref);
        if (err == NX_OK) {
            ref.offset = offset;
            ing_page_ref_put(&table, &ref);
            nx_buf_put_u32(&table, (uint32_t)first);
        }
    }
    if (err == NX_OK) {
        nx_buf_put_u32(section, (uint32_t)made->count);
        nx_buf_put_u32(section, page_count);
        nx_buf_append_view(section, nx_buf_view(&table));
        err = nx_buf_err(&table) != NX_OK ? nx_buf_err(&table) : nx_buf_err(section);
    }
    nx_buf_release(&raw);
    nx_buf_release(&table);
    return err;
}
