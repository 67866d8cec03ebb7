/* Pairs are sorted and numbered; series are put in the order of their labels, which is that of
 * their pairs' numbers; then bundles of neighbours are written, and what finds them. */
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/block/block_format.h"
#include "ingester/block/block_lists.h"
#include "ingester/block/block_writer_internal.h"

#define WRITE_BYTES ((size_t)1 << 20)

struct section {
    uint64_t offset;
    uint64_t len;
    uint32_t crc;
};

struct content {
    struct ing_block_writer *writer;
    struct ing_page_writer *pages;
    struct section sections[ING_SECTION_MAX + 1];
    struct nx_label *labels; /* the pairs in order */
    /* the bundle at hand */
    struct nx_buf page;
    struct nx_buf *slabs;
    size_t first;
    size_t filled; /* series */
    /* of all bundles */
    struct nx_buf series_pages;
    struct nx_buf bundles; /* the section; offsets of series pages count from the first of them */
    uint32_t bundle_count;
};

/* Where the next page goes, as references say it. */
static uint64_t page_position(const struct content *content)
{
    return ing_block_writer_position(content->writer) - ING_BLOCK_MAGIC_BYTES;
}

/* --- the order of things --- */

static int pair_cmp(const void *a, const void *b, void *user)
{
    const struct ing_block_writer *writer = user;
    const struct nx_label *x = &writer->pair_items[*(const uint32_t *)a];
    const struct nx_label *y = &writer->pair_items[*(const uint32_t *)b];
    int order = x->name.ptr == y->name.ptr ? 0 : nx_view_cmp(x->name, y->name);
    return order ? order : nx_view_cmp(x->value, y->value);
}

static int series_cmp(const void *a, const void *b)
{
    const struct ing_series_made *x = a;
    const struct ing_series_made *y = b;
    uint32_t shorter = x->pair_count < y->pair_count ? x->pair_count : y->pair_count;
    for (uint32_t i = 0; i < shorter; i++)
        if (x->pairs[i] != y->pairs[i])
            return x->pairs[i] < y->pairs[i] ? -1 : 1;
    return (x->pair_count > y->pair_count) - (x->pair_count < y->pair_count);
}

static enum nx_err put_in_order(struct content *content)
{
    struct ing_block_writer *writer = content->writer;
    size_t count = writer->pair_count;
    uint32_t *order = nx_alloc_array(count, sizeof *order);
    uint32_t *ranks = nx_alloc_array(count, sizeof *ranks);
    content->labels = nx_alloc_array(count, sizeof *content->labels);
    enum nx_err err = order && ranks && content->labels ? NX_OK : NX_ERR_NOMEM;
    if (err == NX_OK) {
        for (uint32_t i = 0; i < count; i++)
            order[i] = i;
        if (count > 1)
            qsort_r(order, count, sizeof *order, pair_cmp, writer);
        for (uint32_t i = 0; i < count; i++) {
            ranks[order[i]] = i;
            content->labels[i] = writer->pair_items[order[i]];
        }
        for (size_t i = 0; i < writer->series_count; i++)
            for (uint32_t j = 0; j < writer->series[i].pair_count; j++)
                writer->series[i].pairs[j] = ranks[writer->series[i].pairs[j]];
        if (writer->series_count > 1)
            qsort(writer->series, writer->series_count, sizeof *writer->series, series_cmp);
    }
    nx_free(order);
    nx_free(ranks);
    return err;
}

/* --- bundles --- */

static void put_labels(struct nx_buf *out, const struct ing_series_made *series,
                       const struct ing_series_made *before, bool has_id)
{
    uint32_t shared = 0;
    while (before && shared < series->pair_count && shared < before->pair_count &&
           series->pairs[shared] == before->pairs[shared])
        shared++;
    uint32_t last = shared > 0 ? series->pairs[shared - 1] : 0;
    nx_buf_put_uvarint(out, (uint64_t)(series->pair_count - shared) << 1 | has_id);
    nx_buf_put_uvarint(out, shared);
    for (uint32_t i = shared; i < series->pair_count; i++) {
        nx_buf_put_uvarint(out, series->pairs[i] - last);
        last = series->pairs[i];
    }
}

/* Reads the pieces of a record, and moves their bytes to the slabs; *end is where they were said to
 * end. */
static enum nx_err move_pieces(struct content *content, struct nx_cursor *cur)
{
    struct nx_cursor data = *cur;
    uint64_t count = nx_cursor_uvarint(cur);
    for (int pass = 0; pass < 2; pass++) {
        struct nx_cursor heads = *cur;
        uint64_t slab = 0;
        for (uint64_t i = 0; i < count && nx_cursor_ok(&heads); i++) {
            uint64_t head = nx_cursor_uvarint(&heads);
            slab += head >> ING_PIECE_KIND_BITS;
            for (int j = (head & 1) == ING_PIECE_COLUMN ? 1 : 3; j > 0; j--)
                (void)nx_cursor_uvarint(&heads);
            size_t len = (size_t)nx_cursor_uvarint(&heads);
            if (pass == 1 && slab < content->writer->slab_count)
                nx_buf_append_view(&content->slabs[slab], nx_cursor_take(&data, len));
        }
        if (!nx_cursor_ok(&heads))
            return NX_ERR_CORRUPT;
        if (pass == 0) {
            struct nx_view view = {.ptr = (const char *)data.ptr,
                                   .len = (size_t)(heads.ptr - data.ptr)};
            nx_buf_append_view(&content->page, view);
            data = heads;
        }
    }
    return nx_cursor_ok(&data) ? NX_OK : NX_ERR_CORRUPT;
}

static enum nx_err bundle_add(struct content *content, size_t i)
{
    struct ing_block_writer *writer = content->writer;
    const struct ing_series_made *series = &writer->series[i];
    struct nx_view records =
        writer->spill.map.ptr ? writer->spill.map : nx_buf_view(&writer->spill.buf);
    struct nx_cursor cur = nx_cursor_of(
        nx_view_make(records.ptr + series->record, records.len - (size_t)series->record));
    bool has_id = nx_cursor_u8(&cur);
    put_labels(&content->page, series, content->filled > 0 ? series - 1 : NULL, has_id);
    if (has_id)
        nx_buf_append_view(&content->page, nx_cursor_take(&cur, NX_SERIES_ID_BYTES));
    content->filled++;
    return move_pieces(content, &cur);
}

static bool bundle_is_full(const struct content *content)
{
    if (content->filled >= ING_BUNDLE_SERIES)
        return true;
    for (uint32_t i = 0; i < content->writer->slab_count; i++)
        if (content->slabs[i].len >= ING_DATA_PAGE_BYTES)
            return true;
    return false;
}

static enum nx_err bundle_end(struct content *content)
{
    struct ing_block_writer *writer = content->writer;
    struct ing_page_ref ref;
    uint64_t offset = content->series_pages.len;
    enum nx_err err = nx_buf_err(&content->page);
    if (err == NX_OK)
        err =
            ing_page_put(content->pages, nx_buf_view(&content->page), &content->series_pages, &ref);
    if (err != NX_OK)
        return err;
    ref.offset = offset;
    ing_page_ref_put(&content->bundles, &ref);
    nx_buf_put_u32(&content->bundles, (uint32_t)content->first);
    for (uint32_t i = 0; i < writer->slab_count; i++) {
        struct nx_buf *slab = &content->slabs[i];
        uint64_t at = page_position(content);
        err = nx_buf_err(slab);
        if (err == NX_OK)
            err = ing_page_put(content->pages, nx_buf_view(slab), &writer->out, &ref);
        if (err != NX_OK)
            return err;
        ing_pace_rest(writer->pace);
        ref.offset = at;
        ing_page_ref_put(&content->bundles, &ref);
        nx_buf_clear(slab);
    }
    nx_buf_clear(&content->page);
    content->first += content->filled;
    content->filled = 0;
    content->bundle_count++;
    ing_pace_rest(writer->pace);
    return ing_block_writer_flush(writer, WRITE_BYTES);
}

static enum nx_err write_bundles(struct content *content)
{
    size_t count = content->writer->series_count;
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        err = bundle_add(content, i);
        if (err == NX_OK && (i + 1 == count || bundle_is_full(content)))
            err = bundle_end(content);
    }
    return err == NX_OK ? nx_buf_err(&content->bundles) : err;
}

/* --- sections --- */

/* Every section is made apart, so that its checksum is taken of one run of bytes. */
static enum nx_err put_section(struct content *content, enum ing_block_section kind,
                               struct nx_buf *bytes)
{
    struct ing_block_writer *writer = content->writer;
    enum nx_err err = nx_buf_err(bytes);
    if (err != NX_OK)
        return err;
    if (bytes->len > UINT32_MAX)
        return NX_ERR_TOO_LARGE;
    content->sections[kind] = (struct section){.offset = ing_block_writer_position(writer),
                                               .len = bytes->len,
                                               .crc = nx_crc32c(0, bytes->data, bytes->len)};
    nx_buf_append_view(&writer->out, nx_buf_view(bytes));
    nx_buf_clear(bytes);
    return ing_block_writer_flush(writer, WRITE_BYTES);
}

/* The series' pages lie behind the data: their offsets are known now. */
static enum nx_err put_series(struct content *content, uint64_t pages_offset)
{
    struct nx_buf section;
    nx_buf_init(&section, SIZE_MAX / 4);
    nx_buf_put_u32(&section, (uint32_t)content->writer->series_count);
    nx_buf_put_u32(&section, content->bundle_count);
    nx_buf_put_u32(&section, content->writer->slab_count);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&content->bundles));
    while (nx_cursor_left(&cur) > 0) {
        struct ing_page_ref ref = ing_page_ref_read(&cur);
        ref.offset += pages_offset;
        ing_page_ref_put(&section, &ref);
        nx_buf_append_view(
            &section, nx_cursor_take(&cur, 4 + content->writer->slab_count * ING_PAGE_REF_BYTES));
    }
    enum nx_err err = put_section(content, ING_SECTION_SERIES, &section);
    nx_buf_release(&section);
    return err;
}

/* The series of every pair, by counting. */
static enum nx_err gather_lists(const struct ing_block_writer *writer, uint32_t **series,
                                uint32_t **starts)
{
    size_t pairs = writer->pair_count;
    if (writer->pair_uses > UINT32_MAX)
        return NX_ERR_TOO_LARGE;
    uint32_t *ends = nx_calloc(pairs + 2, sizeof *ends);
    uint32_t *lists = nx_alloc_array((size_t)writer->pair_uses, sizeof *lists);
    if (!ends || !lists) {
        nx_free(ends);
        nx_free(lists);
        return NX_ERR_NOMEM;
    }
    /* ends[i + 1] is first where list i begins, and where it ends once it is filled */
    for (size_t i = 0; i < writer->series_count; i++)
        for (uint32_t j = 0; j < writer->series[i].pair_count; j++)
            ends[writer->series[i].pairs[j] + 2]++;
    for (size_t i = 2; i < pairs + 2; i++)
        ends[i] += ends[i - 1];
    for (size_t i = 0; i < writer->series_count; i++)
        for (uint32_t j = 0; j < writer->series[i].pair_count; j++)
            lists[ends[writer->series[i].pairs[j] + 1]++] = (uint32_t)i;
    *series = lists;
    *starts = ends;
    return NX_OK;
}

struct parts {
    struct nx_buf labels;
    struct nx_buf lists;
    struct nx_buf times;
};

/* The pages of labels, lists and times, behind those of series. */
static enum nx_err write_pages(struct content *content, struct parts *parts)
{
    struct ing_block_writer *writer = content->writer;
    uint64_t offset = page_position(content) - writer->out.len; /* of the buffer's begin */
    uint32_t pair_count = (uint32_t)writer->pair_count;
    uint32_t *series = NULL;
    uint32_t *starts = NULL;
    nx_buf_append_view(&writer->out, nx_buf_view(&content->series_pages));
    enum nx_err err = nx_buf_err(&content->series_pages);
    if (err == NX_OK)
        err = ing_block_times_write(&writer->times, writer->meta.min_t, content->pages, offset,
                                    &writer->out, &parts->times);
    if (err == NX_OK)
        err = ing_block_labels_write(content->labels, pair_count, content->pages, offset,
                                     &writer->out, &parts->labels);
    if (err == NX_OK)
        err = gather_lists(writer, &series, &starts);
    if (err == NX_OK)
        err = ing_block_lists_write(series, starts, pair_count, content->pages, offset,
                                    &writer->out, &parts->lists);
    nx_free(series);
    nx_free(starts);
    return err;
}

static enum nx_err put_meta(struct content *content)
{
    struct ing_block_writer *writer = content->writer;
    struct nx_buf meta;
    nx_buf_init(&meta, SIZE_MAX / 4);
    writer->meta.series = writer->series_count;
    ing_block_meta_encode(&meta, &writer->meta);
    enum nx_err err = put_section(content, ING_SECTION_META, &meta);
    nx_buf_release(&meta);
    return err;
}

static enum nx_err write_index(struct content *content)
{
    struct parts parts;
    uint64_t series_pages = page_position(content);
    nx_buf_init(&parts.labels, SIZE_MAX / 4);
    nx_buf_init(&parts.lists, SIZE_MAX / 4);
    nx_buf_init(&parts.times, SIZE_MAX / 4);
    enum nx_err err = write_pages(content, &parts);
    content->sections[ING_SECTION_PAGES] =
        (struct section){.offset = ING_BLOCK_MAGIC_BYTES, .len = page_position(content)};
    if (err == NX_OK)
        err = put_section(content, ING_SECTION_LABELS, &parts.labels);
    if (err == NX_OK)
        err = put_section(content, ING_SECTION_LISTS, &parts.lists);
    if (err == NX_OK)
        err = put_section(content, ING_SECTION_TIMES, &parts.times);
    if (err == NX_OK)
        err = put_series(content, series_pages);
    if (err == NX_OK)
        err = put_meta(content);
    nx_buf_release(&parts.labels);
    nx_buf_release(&parts.lists);
    nx_buf_release(&parts.times);
    return err;
}

static enum nx_err write_toc(struct content *content)
{
    struct ing_block_writer *writer = content->writer;
    struct nx_buf *out = &writer->out;
    uint64_t position = ing_block_writer_position(writer);
    enum nx_err err = ing_block_writer_flush(writer, 0);
    if (err != NX_OK)
        return err;
    for (uint32_t kind = 1; kind <= ING_SECTION_MAX; kind++) {
        const struct section *section = &content->sections[kind];
        nx_buf_put_u32(out, kind);
        nx_buf_put_u32(out, section->crc);
        nx_buf_put_u64(out, section->offset);
        nx_buf_put_u64(out, section->len);
    }
    if (nx_buf_err(out) != NX_OK)
        return nx_buf_err(out);
    uint32_t len = (uint32_t)out->len;
    uint32_t crc = nx_crc32c(0, out->data, len);
    nx_buf_put_u64(out, position);
    nx_buf_put_u32(out, len);
    nx_buf_put_u32(out, crc);
    nx_buf_put_u32(out, ING_BLOCK_VERSION);
    if (nx_buf_err(out) != NX_OK)
        return nx_buf_err(out);
    nx_buf_put_u32(out, nx_crc32c(0, out->data + len, 20));
    nx_buf_append(out, ING_BLOCK_MAGIC, ING_BLOCK_MAGIC_BYTES);
    return ing_block_writer_flush(writer, 0);
}

enum nx_err ing_block_writer_content(struct ing_block_writer *writer)
{
    struct content content = {.writer = writer};
    nx_buf_init(&content.page, SIZE_MAX / 4);
    nx_buf_init(&content.series_pages, SIZE_MAX / 4);
    nx_buf_init(&content.bundles, SIZE_MAX / 4);
    content.slabs = nx_calloc(writer->slab_count, sizeof *content.slabs);
    enum nx_err err = content.slabs ? ing_page_writer_new(&content.pages) : NX_ERR_NOMEM;
    for (uint32_t i = 0; content.slabs && i < writer->slab_count; i++)
        nx_buf_init(&content.slabs[i], SIZE_MAX / 4);
    if (err == NX_OK)
        err = put_in_order(&content);
    if (err == NX_OK)
        err = write_bundles(&content);
    if (err == NX_OK)
        err = write_index(&content);
    if (err == NX_OK)
        err = write_toc(&content);
    for (uint32_t i = 0; content.slabs && i < writer->slab_count; i++)
        nx_buf_release(&content.slabs[i]);
    nx_free(content.slabs);
    nx_free(content.labels);
    nx_buf_release(&content.page);
    nx_buf_release(&content.series_pages);
    nx_buf_release(&content.bundles);
    ing_page_writer_free(content.pages);
    return err;
}
