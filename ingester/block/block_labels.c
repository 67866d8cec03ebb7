/* The section is a table that is read in place: counts, names, pages, and the texts both refer to.
 * A page holds values one after the other, each less what it shares with the one before. */
#include "ingester/block/block_labels.h"

#include "common/base/alloc.h"
#include "ingester/block/block_format.h"

enum {
    HEAD_BYTES = 12,
    NAME_BYTES = 8,
    PAGE_BYTES = ING_PAGE_REF_BYTES + 8,
    CACHE_BYTES = 32 << 20,
};
/* Of the texts of one page, unfolded. */
#define TEXT_MAX ((size_t)256 << 20)

struct ing_label_page {
    uint32_t first;
    uint32_t count;
    struct nx_view values[];
};

static uint32_t u32_at(struct nx_view section, size_t offset)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(section.ptr + offset, 4));
    return nx_cursor_u32(&cur);
}

enum nx_err ing_block_labels_init(struct ing_block_labels *labels, struct nx_view section,
                                  struct ing_page_reader *reader)
{
    if (section.len < HEAD_BYTES)
        return NX_ERR_CORRUPT;
    struct ing_block_labels made = {.section = section,
                                    .reader = reader,
                                    .pair_count = u32_at(section, 0),
                                    .name_count = u32_at(section, 4),
                                    .page_count = u32_at(section, 8)};
    uint64_t tables =
        (uint64_t)made.name_count * NAME_BYTES + (uint64_t)made.page_count * PAGE_BYTES;
    if (tables > section.len - HEAD_BYTES)
        return NX_ERR_CORRUPT;
    made.pages = nx_calloc(made.page_count, sizeof(struct ing_label_page *));
    if (!made.pages)
        return NX_ERR_NOMEM;
    nx_arena_init(&made.arena, 0);
    *labels = made;
    return NX_OK;
}

void ing_block_labels_release(struct ing_block_labels *labels)
{
    nx_free(labels->pages);
    nx_arena_release(&labels->arena);
    labels->pages = NULL;
}

void ing_block_labels_trim(struct ing_block_labels *labels)
{
    if (labels->loaded_bytes < CACHE_BYTES)
        return;
    memset(labels->pages, 0, labels->page_count * sizeof(struct ing_label_page *));
    nx_arena_release(&labels->arena);
    nx_arena_init(&labels->arena, 0);
    labels->loaded_bytes = 0;
}

static enum nx_err text_at(const struct ing_block_labels *labels, uint32_t offset,
                           struct nx_view *out)
{
    struct nx_view section = labels->section;
    if (offset > section.len)
        return NX_ERR_CORRUPT;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(section.ptr + offset, section.len - offset));
    struct nx_view text = nx_cursor_bytes(&cur);
    if (!nx_cursor_ok(&cur))
        return NX_ERR_CORRUPT;
    *out = text;
    return NX_OK;
}

/* --- names --- */

static size_t name_offset(uint32_t i)
{
    return HEAD_BYTES + (size_t)i * NAME_BYTES;
}

static uint32_t name_first(const struct ing_block_labels *labels, uint32_t i)
{
    return i == labels->name_count ? labels->pair_count : u32_at(labels->section, name_offset(i));
}

enum nx_err ing_block_labels_name(const struct ing_block_labels *labels, uint32_t i,
                                  struct nx_view *name, uint32_t *first, uint32_t *end)
{
    if (i >= labels->name_count)
        return NX_ERR_CORRUPT;
    uint32_t from = name_first(labels, i);
    uint32_t to = name_first(labels, i + 1);
    if (from > to || to > labels->pair_count)
        return NX_ERR_CORRUPT;
    enum nx_err err = text_at(labels, u32_at(labels->section, name_offset(i) + 4), name);
    if (err != NX_OK)
        return err;
    *first = from;
    *end = to;
    return NX_OK;
}

enum nx_err ing_block_labels_find(const struct ing_block_labels *labels, struct nx_view name,
                                  uint32_t *first, uint32_t *end)
{
    uint32_t low = 0;
    uint32_t high = labels->name_count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        struct nx_view text;
        enum nx_err err = ing_block_labels_name(labels, mid, &text, first, end);
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

/* The last name that begins at or before the pair. */
static enum nx_err name_of_pair(const struct ing_block_labels *labels, uint32_t pair,
                                struct nx_view *out)
{
    uint32_t low = 0;
    uint32_t high = labels->name_count;
    while (low + 1 < high) {
        uint32_t mid = low + (high - low) / 2;
        if (name_first(labels, mid) <= pair)
            low = mid;
        else
            high = mid;
    }
    uint32_t first;
    uint32_t end;
    enum nx_err err = ing_block_labels_name(labels, low, out, &first, &end);
    if (err == NX_OK && (pair < first || pair >= end))
        err = NX_ERR_CORRUPT;
    return err;
}

/* --- pages --- */

static size_t page_offset(const struct ing_block_labels *labels, uint32_t i)
{
    return HEAD_BYTES + (size_t)labels->name_count * NAME_BYTES + (size_t)i * PAGE_BYTES;
}

static uint32_t page_first(const struct ing_block_labels *labels, uint32_t i)
{
    return i == labels->page_count
               ? labels->pair_count
               : u32_at(labels->section, page_offset(labels, i) + ING_PAGE_REF_BYTES);
}

/* Two passes: how long the texts are together, then the texts. */
static enum nx_err unfold(struct ing_block_labels *labels, struct nx_view raw,
                          struct ing_label_page *page)
{
    size_t total = 0;
    char *text = NULL;
    char *at = NULL;
    for (int pass = 0; pass < 2; pass++) {
        struct nx_cursor cur = nx_cursor_of(raw);
        uint64_t last = 0;
        for (uint32_t i = 0; i < page->count; i++) {
            uint64_t shared = nx_cursor_uvarint(&cur);
            struct nx_view rest = nx_cursor_bytes(&cur);
            if (!nx_cursor_ok(&cur) || shared > last)
                return NX_ERR_CORRUPT;
            last = shared + rest.len;
            total += last;
            if (total > TEXT_MAX)
                return NX_ERR_CORRUPT;
            if (!text)
                continue;
            if (shared > 0)
                memcpy(at, page->values[i - 1].ptr, (size_t)shared);
            if (rest.len > 0)
                memcpy(at + shared, rest.ptr, rest.len);
            page->values[i] = nx_view_make(at, (size_t)last);
            at += last;
        }
        if (nx_cursor_left(&cur) > 0)
            return NX_ERR_CORRUPT;
        if (pass == 0) {
            at = text = nx_arena_alloc(&labels->arena, total ? total : 1);
            if (!text)
                return NX_ERR_NOMEM;
            labels->loaded_bytes += total;
            total = 0;
        }
    }
    return NX_OK;
}

static enum nx_err page_load(struct ing_block_labels *labels, uint32_t i,
                             struct ing_label_page **out)
{
    if (i >= labels->page_count)
        return NX_ERR_CORRUPT;
    if (labels->pages[i]) {
        *out = labels->pages[i];
        return NX_OK;
    }
    uint32_t first = page_first(labels, i);
    uint32_t end = page_first(labels, i + 1);
    struct nx_cursor cur = nx_cursor_of(
        nx_view_make(labels->section.ptr + page_offset(labels, i), ING_PAGE_REF_BYTES));
    struct ing_page_ref ref = ing_page_ref_read(&cur);
    struct nx_view raw;
    if (first >= end)
        return NX_ERR_CORRUPT;
    enum nx_err err = ing_page_load(labels->reader, &ref, &labels->arena, &raw);
    if (err != NX_OK)
        return err;
    uint32_t count = end - first;
    if (count > raw.len / 2)
        return NX_ERR_CORRUPT;
    size_t bytes = sizeof(struct ing_label_page) + count * sizeof(struct nx_view);
    struct ing_label_page *page = nx_arena_alloc(&labels->arena, bytes);
    if (!page)
        return NX_ERR_NOMEM;
    page->first = first;
    page->count = count;
    labels->loaded_bytes += bytes + raw.len;
    err = unfold(labels, raw, page);
    if (err == NX_OK)
        *out = labels->pages[i] = page;
    return err;
}

/* The last page that begins at or before the pair. */
static uint32_t page_of_pair(const struct ing_block_labels *labels, uint32_t pair)
{
    uint32_t low = 0;
    uint32_t high = labels->page_count;
    while (low + 1 < high) {
        uint32_t mid = low + (high - low) / 2;
        if (page_first(labels, mid) <= pair)
            low = mid;
        else
            high = mid;
    }
    return low;
}

enum nx_err ing_block_labels_text(struct ing_block_labels *labels, uint32_t pair,
                                  struct nx_label *out)
{
    struct ing_label_page *page;
    struct nx_view name;
    if (pair >= labels->pair_count)
        return NX_ERR_CORRUPT;
    enum nx_err err = page_load(labels, page_of_pair(labels, pair), &page);
    if (err == NX_OK)
        err = name_of_pair(labels, pair, &name);
    if (err != NX_OK)
        return err;
    if (pair < page->first || pair - page->first >= page->count)
        return NX_ERR_CORRUPT;
    *out = (struct nx_label){.name = name, .value = page->values[pair - page->first]};
    return NX_OK;
}

/* The page of [first, end) in which the value would lie: the last that does not begin behind it. */
static enum nx_err page_of_value(const struct ing_block_labels *labels, uint32_t first,
                                 uint32_t end, struct nx_view value, uint32_t *out)
{
    uint32_t low = page_of_pair(labels, first);
    uint32_t high = page_of_pair(labels, end - 1) + 1;
    while (low + 1 < high) {
        uint32_t mid = low + (high - low) / 2;
        struct nx_view text;
        size_t at = page_offset(labels, mid) + ING_PAGE_REF_BYTES + 4;
        enum nx_err err = text_at(labels, u32_at(labels->section, at), &text);
        if (err != NX_OK)
            return err;
        if (nx_view_cmp(text, value) <= 0)
            low = mid;
        else
            high = mid;
    }
    *out = low;
    return NX_OK;
}

enum nx_err ing_block_labels_pair(struct ing_block_labels *labels, struct nx_view name,
                                  struct nx_view value, uint32_t *out)
{
    uint32_t first;
    uint32_t end;
    uint32_t number;
    struct ing_label_page *page;
    enum nx_err err = ing_block_labels_find(labels, name, &first, &end);
    if (err == NX_OK && first == end)
        err = NX_ERR_CORRUPT;
    if (err == NX_OK)
        err = page_of_value(labels, first, end, value, &number);
    if (err == NX_OK)
        err = page_load(labels, number, &page);
    if (err != NX_OK)
        return err;
    uint32_t low = first > page->first ? first - page->first : 0;
    uint32_t high = end - page->first < page->count ? end - page->first : page->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        int order = nx_view_cmp(page->values[mid], value);
        if (order == 0) {
            *out = page->first + mid;
            return NX_OK;
        }
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NX_ERR_NOT_FOUND;
}

uint64_t ing_block_labels_bytes(const struct ing_block_labels *labels)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < labels->page_count; i++) {
        struct nx_cursor cur = nx_cursor_of(
            nx_view_make(labels->section.ptr + page_offset(labels, i), ING_PAGE_REF_BYTES));
        bytes += ing_page_ref_read(&cur).stored;
    }
    return bytes;
}

/* --- writing --- */

struct tables {
    struct nx_buf names;
    struct nx_buf pages;
    struct nx_buf texts;
    uint32_t name_count;
    uint32_t page_count;
};

static size_t shared_prefix(struct nx_view a, struct nx_view b)
{
    size_t n = 0;
    while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

/* The texts lie behind the tables, whose size is known only at the end: offsets count from their
 * begin until then. */
static void put_tables(const struct tables *tables, uint32_t pair_count, struct nx_buf *section)
{
    uint32_t base = (uint32_t)(HEAD_BYTES + tables->names.len + tables->pages.len);
    nx_buf_put_u32(section, pair_count);
    nx_buf_put_u32(section, tables->name_count);
    nx_buf_put_u32(section, tables->page_count);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&tables->names));
    for (uint32_t i = 0; i < tables->name_count; i++) {
        nx_buf_put_u32(section, nx_cursor_u32(&cur));
        nx_buf_put_u32(section, base + nx_cursor_u32(&cur));
    }
    cur = nx_cursor_of(nx_buf_view(&tables->pages));
    for (uint32_t i = 0; i < tables->page_count; i++) {
        nx_buf_append_view(section, nx_cursor_take(&cur, ING_PAGE_REF_BYTES + 4));
        nx_buf_put_u32(section, base + nx_cursor_u32(&cur));
    }
    nx_buf_append_view(section, nx_buf_view(&tables->texts));
}

/* Pairs from `begin` until the page is full; returns the end. */
static uint32_t fold_page(const struct nx_label *pairs, uint32_t begin, uint32_t count,
                          struct nx_buf *raw)
{
    size_t texts = 0;
    uint32_t i = begin;
    for (; i < count && (i == begin || texts < 2 * ING_LABEL_PAGE_BYTES) &&
           raw->len < ING_LABEL_PAGE_BYTES;
         i++) {
        struct nx_view value = pairs[i].value;
        size_t shared = i > begin ? shared_prefix(pairs[i - 1].value, value) : 0;
        nx_buf_put_uvarint(raw, shared);
        nx_buf_put_bytes(raw, nx_view_make(value.ptr + shared, value.len - shared));
        texts += value.len;
    }
    return i;
}

static enum nx_err write_pages(const struct nx_label *pairs, uint32_t count,
                               struct ing_page_writer *writer, uint64_t pages_offset,
                               struct nx_buf *pages, struct tables *tables)
{
    struct nx_buf raw;
    nx_buf_init(&raw, SIZE_MAX / 4);
    enum nx_err err = NX_OK;
    for (uint32_t at = 0; at < count && err == NX_OK;) {
        struct ing_page_ref ref;
        uint64_t offset = pages_offset + pages->len;
        nx_buf_clear(&raw);
        uint32_t end = fold_page(pairs, at, count, &raw);
        err = nx_buf_err(&raw);
        if (err == NX_OK)
            err = ing_page_put(writer, nx_buf_view(&raw), pages, &ref);
        if (err != NX_OK)
            break;
        ref.offset = offset;
        ing_page_ref_put(&tables->pages, &ref);
        nx_buf_put_u32(&tables->pages, at);
        nx_buf_put_u32(&tables->pages, (uint32_t)tables->texts.len);
        nx_buf_put_bytes(&tables->texts, pairs[at].value);
        tables->page_count++;
        at = end;
    }
    nx_buf_release(&raw);
    return err;
}

static void put_names(const struct nx_label *pairs, uint32_t count, struct tables *tables)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0 && nx_view_eq(pairs[i].name, pairs[i - 1].name))
            continue;
        nx_buf_put_u32(&tables->names, i);
        nx_buf_put_u32(&tables->names, (uint32_t)tables->texts.len);
        nx_buf_put_bytes(&tables->texts, pairs[i].name);
        tables->name_count++;
    }
}

enum nx_err ing_block_labels_write(const struct nx_label *pairs, uint32_t count,
                                   struct ing_page_writer *writer, uint64_t pages_offset,
                                   struct nx_buf *pages, struct nx_buf *section)
{
    struct tables tables = {.name_count = 0};
    nx_buf_init(&tables.names, UINT32_MAX / 4);
    nx_buf_init(&tables.pages, UINT32_MAX / 4);
    nx_buf_init(&tables.texts, UINT32_MAX / 4);
    put_names(pairs, count, &tables);
    enum nx_err err = write_pages(pairs, count, writer, pages_offset, pages, &tables);
    if (err == NX_OK)
        err = nx_buf_err(&tables.names);
    if (err == NX_OK)
        err = nx_buf_err(&tables.pages);
    if (err == NX_OK)
        err = nx_buf_err(&tables.texts);
    if (err == NX_OK) {
        put_tables(&tables, count, section);
        err = nx_buf_err(section);
    }
    nx_buf_release(&tables.names);
    nx_buf_release(&tables.pages);
    nx_buf_release(&tables.texts);
    return err;
}
