/* A list is a row of runs: the gap from the end of the one before, and the length where it is more
 * than one. Series of one metric, job or instance lie side by side, so lists are short. */
#include "ingester/block/block_lists.h"

#include "ingester/block/block_format.h"

enum { HEAD_BYTES = 8, PAGE_BYTES = ING_PAGE_REF_BYTES + 4 };

static uint32_t u32_at(struct nx_view section, size_t offset)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(section.ptr + offset, 4));
    return nx_cursor_u32(&cur);
}

enum nx_err ing_block_lists_init(struct ing_block_lists *lists, struct nx_view section,
                                 struct ing_page_reader *reader, uint32_t series)
{
    if (section.len < HEAD_BYTES)
        return NX_ERR_CORRUPT;
    uint32_t page_count = u32_at(section, 0);
    if ((uint64_t)page_count * PAGE_BYTES != section.len - HEAD_BYTES)
        return NX_ERR_CORRUPT;
    *lists = (struct ing_block_lists){
        .section = section, .reader = reader, .page_count = page_count, .series = series};
    nx_arena_init(&lists->arena, 0);
    return NX_OK;
}

void ing_block_lists_release(struct ing_block_lists *lists)
{
    nx_arena_release(&lists->arena);
}

static uint32_t page_first(const struct ing_block_lists *lists, uint32_t i)
{
    if (i == lists->page_count)
        return u32_at(lists->section, 4);
    return u32_at(lists->section, HEAD_BYTES + (size_t)i * PAGE_BYTES + ING_PAGE_REF_BYTES);
}

static enum nx_err page_load(struct ing_block_lists *lists, uint32_t pair)
{
    uint32_t low = 0;
    uint32_t high = lists->page_count;
    while (low + 1 < high) {
        uint32_t mid = low + (high - low) / 2;
        if (page_first(lists, mid) <= pair)
            low = mid;
        else
            high = mid;
    }
    if (low >= lists->page_count)
        return NX_ERR_CORRUPT;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(
        lists->section.ptr + HEAD_BYTES + (size_t)low * PAGE_BYTES, ING_PAGE_REF_BYTES));
    struct ing_page_ref ref = ing_page_ref_read(&cur);
    struct nx_view raw;
    nx_arena_clear(&lists->arena);
    lists->end = 0;
    enum nx_err err = ing_page_load(lists->reader, &ref, &lists->arena, &raw);
    if (err != NX_OK)
        return err;
    lists->cur = nx_cursor_of(raw);
    lists->first = lists->next = page_first(lists, low);
    lists->end = page_first(lists, low + 1);
    return pair >= lists->first && pair < lists->end ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err add_list(struct nx_view list, uint32_t series, roaring_bitmap_t *set)
{
    struct nx_cursor cur = nx_cursor_of(list);
    uint64_t at = 0;
    while (nx_cursor_left(&cur) > 0) {
        uint64_t head = nx_cursor_uvarint(&cur);
        uint64_t more = head & 1 ? nx_cursor_uvarint(&cur) : 0;
        uint64_t gap = head >> 1;
        if (!nx_cursor_ok(&cur) || gap > series || more > series)
            return NX_ERR_CORRUPT;
        uint64_t begin = at + gap;
        at = begin + 1 + more;
        if (at > series)
            return NX_ERR_CORRUPT;
        if (more == 0)
            roaring_bitmap_add(set, (uint32_t)begin);
        else
            roaring_bitmap_add_range(set, begin, at);
    }
    return NX_OK;
}

enum nx_err ing_block_lists_add(struct ing_block_lists *lists, uint32_t pair, roaring_bitmap_t *set)
{
    if (pair < lists->next || pair >= lists->end) {
        enum nx_err err = page_load(lists, pair);
        if (err != NX_OK)
            return err;
    }
    struct nx_view list;
    do {
        list = nx_cursor_bytes(&lists->cur);
        if (!nx_cursor_ok(&lists->cur))
            return NX_ERR_CORRUPT;
    } while (lists->next++ < pair);
    return add_list(list, lists->series, set);
}

uint64_t ing_block_lists_bytes(const struct ing_block_lists *lists)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < lists->page_count; i++) {
        struct nx_cursor cur = nx_cursor_of(nx_view_make(
            lists->section.ptr + HEAD_BYTES + (size_t)i * PAGE_BYTES, ING_PAGE_REF_BYTES));
        bytes += ing_page_ref_read(&cur).stored;
    }
    return bytes;
}

/* --- writing --- */

static void put_list(struct nx_buf *raw, struct nx_buf *scratch, const uint32_t *series,
                     size_t count)
{
    uint32_t at = 0;
    nx_buf_clear(scratch);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && series[end] == series[end - 1] + 1)
            end++;
        nx_buf_put_uvarint(scratch, (uint64_t)(series[i] - at) << 1 | (end - i > 1));
        if (end - i > 1)
            nx_buf_put_uvarint(scratch, end - i - 1);
        at = series[end - 1] + 1;
        i = end;
    }
    nx_buf_put_bytes(raw, nx_buf_view(scratch));
}

enum nx_err ing_block_lists_write(const uint32_t *series, const uint32_t *starts,
                                  uint32_t pair_count, struct ing_page_writer *writer,
                                  uint64_t pages_offset, struct nx_buf *pages,
                                  struct nx_buf *section)
{
    struct nx_buf raw;
    struct nx_buf scratch;
    struct nx_buf table;
    enum nx_err err = NX_OK;
    uint32_t page_count = 0;
    nx_buf_init(&raw, SIZE_MAX / 4);
    nx_buf_init(&scratch, SIZE_MAX / 4);
    nx_buf_init(&table, SIZE_MAX / 4);
    for (uint32_t pair = 0; pair < pair_count && err == NX_OK; page_count++) {
        uint32_t first = pair;
        struct ing_page_ref ref;
        uint64_t offset = pages_offset + pages->len;
        nx_buf_clear(&raw);
        for (; pair < pair_count && raw.len < ING_LIST_PAGE_BYTES && raw.err == NX_OK; pair++)
            put_list(&raw, &scratch, series + starts[pair], starts[pair + 1] - starts[pair]);
        err = nx_buf_err(&scratch) != NX_OK ? nx_buf_err(&scratch) : nx_buf_err(&raw);
        if (err == NX_OK)
            err = ing_page_put(writer, nx_buf_view(&raw), pages, &ref);
        if (err == NX_OK) {
            ref.offset = offset;
            ing_page_ref_put(&table, &ref);
            nx_buf_put_u32(&table, first);
        }
    }
    if (err == NX_OK) {
        nx_buf_put_u32(section, page_count);
        nx_buf_put_u32(section, pair_count);
        nx_buf_append_view(section, nx_buf_view(&table));
        err = nx_buf_err(&table) != NX_OK ? nx_buf_err(&table) : nx_buf_err(section);
    }
    nx_buf_release(&raw);
    nx_buf_release(&scratch);
    nx_buf_release(&table);
    return err;
}
