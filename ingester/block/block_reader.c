/* Opening reads footer, table of contents and meta only, so that a start does not touch the data.
 * The other index sections are checksummed together when the first select comes; whether they are
 * good is remembered. */
#include "ingester/block/block_reader.h"

#include <assert.h>
#include <stdatomic.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "ingester/block/block_format.h"
#include "ingester/block/block_index.h"

#define LABELS_MAX 65536u

enum index_state { INDEX_UNCHECKED, INDEX_GOOD, INDEX_DAMAGED };

struct section {
    struct nx_view bytes;
    uint32_t crc;
};

struct ing_block {
    struct nx_refcount refs;
    struct nx_view file;
    char *dir;
    struct nx_arena arena; /* of the meta */
    struct ing_block_meta meta;
    struct section sections[ING_SECTION_MAX + 1];
    struct ing_block_index index;
    atomic_int index_state;
};

static enum nx_err toc_read(struct ing_block *block, struct nx_fail *fail)
{
    struct nx_view file = block->file;
    if (file.len < ING_BLOCK_MAGIC_BYTES + ING_BLOCK_FOOTER_BYTES)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: too short for a block", block->dir);
    const char *footer = file.ptr + file.len - ING_BLOCK_FOOTER_BYTES;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(footer, ING_BLOCK_FOOTER_BYTES));
    uint64_t offset = nx_cursor_u64(&cur);
    uint32_t len = nx_cursor_u32(&cur);
    uint32_t crc = nx_cursor_u32(&cur);
    uint32_t version = nx_cursor_u32(&cur);
    uint32_t footer_crc = nx_cursor_u32(&cur);
    struct nx_view magic = nx_cursor_take(&cur, ING_BLOCK_MAGIC_BYTES);
    if (!nx_view_is(magic, ING_BLOCK_MAGIC) ||
        memcmp(file.ptr, ING_BLOCK_MAGIC, ING_BLOCK_MAGIC_BYTES) != 0 ||
        footer_crc != nx_crc32c(0, footer, 20))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: damaged footer", block->dir);
    if (version != ING_BLOCK_VERSION)
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED, "%s: block format %u is not known", block->dir,
                           version);
    size_t body = file.len - ING_BLOCK_FOOTER_BYTES;
    if (offset > body || len > body - offset ||
        len != ING_SECTION_MAX * ING_BLOCK_TOC_ENTRY_BYTES ||
        crc != nx_crc32c(0, file.ptr + offset, len))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: damaged table of contents", block->dir);
    cur = nx_cursor_of(nx_view_make(file.ptr + offset, len));
    for (uint32_t i = 1; i <= ING_SECTION_MAX; i++) {
        uint32_t kind = nx_cursor_u32(&cur);
        struct section section = {.crc = nx_cursor_u32(&cur)};
        uint64_t at = nx_cursor_u64(&cur);
        uint64_t bytes = nx_cursor_u64(&cur);
        if (kind != i || at > body || bytes > body - at)
            return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: section %u out of bounds", block->dir, i);
        section.bytes = nx_view_make(file.ptr + at, (size_t)bytes);
        block->sections[i] = section;
    }
    return NX_OK;
}

static bool section_good(const struct ing_block *block, enum ing_block_section kind)
{
    const struct section *section = &block->sections[kind];
    return section->crc == nx_crc32c(0, section->bytes.ptr, section->bytes.len);
}

static void block_free(struct ing_block *block)
{
    nx_file_unmap(block->file);
    nx_arena_release(&block->arena);
    nx_free(block->dir);
    nx_free(block);
}

static enum nx_err block_read(struct ing_block *block, struct nx_fail *fail)
{
    char *path = nx_path_join(block->dir, ING_BLOCK_FILE);
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = nx_file_map(path, &block->file);
    if (err != NX_OK)
        nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
    nx_free(path);
    if (err == NX_OK)
        err = toc_read(block, fail);
    if (err != NX_OK)
        return err;
    if (!section_good(block, ING_SECTION_META))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: damaged meta section", block->dir);
    err =
        ing_block_meta_decode(block->sections[ING_SECTION_META].bytes, &block->arena, &block->meta);
    if (err == NX_ERR_CORRUPT ||
        (err == NX_OK && block->sections[ING_SECTION_OFFSETS].bytes.len != block->meta.series * 4))
        return nx_fail_set(fail, NX_ERR_CORRUPT, "%s: malformed meta section", block->dir);
    return err;
}

enum nx_err ing_block_open(const char *dir, struct ing_block **out, struct nx_fail *fail)
{
    struct ing_block *block = nx_calloc(1, sizeof *block);
    if (!block)
        return NX_ERR_NOMEM;
    nx_refcount_init(&block->refs);
    nx_arena_init(&block->arena, 0);
    atomic_init(&block->index_state, INDEX_UNCHECKED);
    block->dir = nx_strdup(dir);
    enum nx_err err = block->dir ? block_read(block, fail) : NX_ERR_NOMEM;
    if (err != NX_OK) {
        block_free(block);
        return err;
    }
    block->index = (struct ing_block_index){.symbols = block->sections[ING_SECTION_SYMBOLS].bytes,
                                            .names = block->sections[ING_SECTION_NAMES].bytes,
                                            .pairs = block->sections[ING_SECTION_PAIRS].bytes,
                                            .lists = block->sections[ING_SECTION_LISTS].bytes,
                                            .series = (uint32_t)block->meta.series};
    *out = block;
    return NX_OK;
}

struct ing_block *ing_block_take(struct ing_block *block)
{
    nx_refcount_take(&block->refs);
    return block;
}

void ing_block_drop(struct ing_block *block)
{
    if (block && nx_refcount_drop(&block->refs))
        block_free(block);
}

const struct ing_block_meta *ing_block_meta(const struct ing_block *block)
{
    return &block->meta;
}

const char *ing_block_dir(const struct ing_block *block)
{
    return block->dir;
}

uint64_t ing_block_size(const struct ing_block *block)
{
    return block->file.len;
}

static enum nx_err index_check(struct ing_block *block)
{
    int state = atomic_load(&block->index_state);
    if (state == INDEX_UNCHECKED) {
        state = INDEX_GOOD;
        for (uint32_t kind = ING_SECTION_SYMBOLS; kind <= ING_SECTION_MAX; kind++) {
            if (!section_good(block, (enum ing_block_section)kind))
                state = INDEX_DAMAGED;
        }
        atomic_store(&block->index_state, state);
    }
    return state == INDEX_GOOD ? NX_OK : NX_ERR_CORRUPT;
}

/* --- series --- */

struct ing_block_iter {
    struct ing_block *block;
    struct ing_range range;
    roaring_bitmap_t *series;
    roaring_uint32_iterator_t it;
    struct nx_arena arena;
};

static enum nx_err read_labels(const struct ing_block *block, struct nx_cursor *cur,
                               struct nx_arena *arena, struct nx_labels *out)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > LABELS_MAX || count > nx_cursor_left(cur) / 2)
        return NX_ERR_CORRUPT;
    struct nx_label *items = nx_arena_array(arena, (size_t)count, sizeof *items);
    if (!items)
        return NX_ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t name = nx_cursor_uvarint(cur);
        uint64_t value = nx_cursor_uvarint(cur);
        if (!nx_cursor_ok(cur) || name > UINT32_MAX || value > UINT32_MAX)
            return NX_ERR_CORRUPT;
        enum nx_err err = ing_block_symbol(&block->index, (uint32_t)name, &items[i].name);
        if (err == NX_OK)
            err = ing_block_symbol(&block->index, (uint32_t)value, &items[i].value);
        if (err != NX_OK)
            return err;
    }
    *out = (struct nx_labels){.items = items, .count = (size_t)count};
    return NX_OK;
}

/* The next chunk entry; its data is looked up and checksummed only when it overlaps the range. */
static enum nx_err read_chunk(const struct ing_block *block, struct nx_cursor *cur,
                              struct ing_range range, struct nx_chunk *out, bool *wanted)
{
    uint8_t encoding = nx_cursor_u8(cur);
    uint64_t count = nx_cursor_uvarint(cur);
    int64_t start = nx_cursor_varint(cur);
    uint64_t span = nx_cursor_uvarint(cur);
    uint64_t offset = nx_cursor_uvarint(cur);
    uint64_t len = nx_cursor_uvarint(cur);
    uint32_t crc = nx_cursor_u32(cur);
    struct nx_view data = block->sections[ING_SECTION_CHUNKS].bytes;
    uint64_t block_span = (uint64_t)(block->meta.max_t - block->meta.min_t);
    if (!nx_cursor_ok(cur) || (encoding != NX_CHUNK_XOR && encoding != NX_CHUNK_HISTOGRAM_RUN) ||
        count > NX_CHUNK_MAX_SAMPLES || start < 0 || (uint64_t)start >= block_span ||
        span >= block_span - (uint64_t)start || offset > data.len || len > data.len - offset)
        return NX_ERR_CORRUPT;
    int64_t min_t = block->meta.min_t + start;
    *out = (struct nx_chunk){.encoding = (enum nx_chunk_encoding)encoding,
                             .count = (uint32_t)count,
                             .min_t = min_t,
                             .max_t = min_t + (int64_t)span,
                             .data = nx_view_make(data.ptr + offset, (size_t)len)};
    *wanted = out->min_t <= range.max_t && out->max_t >= range.min_t;
    if (*wanted && crc != nx_crc32c(0, out->data.ptr, out->data.len))
        return NX_ERR_CORRUPT;
    return NX_OK;
}

static enum nx_err read_series(const struct ing_block *block, uint32_t number,
                               struct ing_range range, struct nx_arena *arena,
                               struct ing_block_series *out)
{
    struct nx_view table = block->sections[ING_SECTION_OFFSETS].bytes;
    struct nx_view entries = block->sections[ING_SECTION_SERIES].bytes;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(table.ptr + (size_t)number * 4, 4));
    uint32_t offset = nx_cursor_u32(&cur);
    if (offset > entries.len)
        return NX_ERR_CORRUPT;
    cur = nx_cursor_of(nx_view_make(entries.ptr + offset, entries.len - offset));
    struct ing_block_series series = {.id = nx_series_id_read(&cur)};
    enum nx_err err = read_labels(block, &cur, arena, &series.labels);
    if (err != NX_OK)
        return err;
    uint64_t count = nx_cursor_uvarint(&cur);
    if (!nx_cursor_ok(&cur) || count > nx_cursor_left(&cur) / 10)
        return NX_ERR_CORRUPT;
    series.chunks = nx_arena_array(arena, (size_t)count, sizeof *series.chunks);
    if (!series.chunks)
        return NX_ERR_NOMEM;
    for (uint64_t i = 0; i < count; i++) {
        bool wanted;
        err = read_chunk(block, &cur, range, &series.chunks[series.chunk_count], &wanted);
        if (err != NX_OK)
            return err;
        series.chunk_count += wanted ? 1 : 0;
    }
    *out = series;
    return NX_OK;
}

static enum nx_err select_bitmap(struct ing_block *block, const struct nx_matcher *matchers,
                                 size_t count, roaring_bitmap_t **out)
{
    enum nx_err err = index_check(block);
    if (err != NX_OK)
        return err;
    roaring_bitmap_t *set = roaring_bitmap_from_range(0, block->meta.series, 1);
    if (!set)
        set = roaring_bitmap_create(); /* an empty range gives NULL */
    if (!set)
        return NX_ERR_NOMEM;
    struct ing_match_index index = ing_block_match_index(&block->index);
    err = ing_match(&index, matchers, count, set);
    if (err == NX_OK)
        *out = set;
    else
        roaring_bitmap_free(set);
    return err;
}

enum nx_err ing_block_select(struct ing_block *block, const struct nx_matcher *matchers,
                             size_t count, struct ing_range range, struct ing_block_iter **out)
{
    struct ing_block_iter *iter = nx_calloc(1, sizeof *iter);
    if (!iter)
        return NX_ERR_NOMEM;
    enum nx_err err = select_bitmap(block, matchers, count, &iter->series);
    if (err != NX_OK) {
        nx_free(iter);
        return err;
    }
    iter->block = ing_block_take(block);
    iter->range = range;
    roaring_init_iterator(iter->series, &iter->it);
    nx_arena_init(&iter->arena, 0);
    *out = iter;
    return NX_OK;
}

int ing_block_iter_next(struct ing_block_iter *iter, struct ing_block_series *out)
{
    while (iter->it.has_value) {
        uint32_t number = iter->it.current_value;
        roaring_advance_uint32_iterator(&iter->it);
        nx_arena_clear(&iter->arena);
        enum nx_err err = read_series(iter->block, number, iter->range, &iter->arena, out);
        if (err != NX_OK)
            return err;
        if (out->chunk_count > 0)
            return 1;
    }
    return 0;
}

void ing_block_iter_free(struct ing_block_iter *iter)
{
    if (!iter)
        return;
    roaring_bitmap_free(iter->series);
    ing_block_drop(iter->block);
    nx_arena_release(&iter->arena);
    nx_free(iter);
}

enum nx_err ing_block_verify(struct ing_block *block)
{
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = ing_block_select(block, NULL, 0, all, &iter);
    if (err != NX_OK)
        return err;
    int rc;
    while ((rc = ing_block_iter_next(iter, &series)) == 1)
        ;
    ing_block_iter_free(iter);
    return (enum nx_err)rc;
}

/* --- labels --- */

/* Whether any series of the pair is in the set. */
static enum nx_err pair_meets(const struct ing_block_index *index, uint32_t pair,
                              const roaring_bitmap_t *set, bool *meets)
{
    roaring_bitmap_t *series = roaring_bitmap_create();
    if (!series)
        return NX_ERR_NOMEM;
    enum nx_err err = ing_block_pair_series(index, pair, series);
    *meets = err == NX_OK && roaring_bitmap_intersect(series, set);
    roaring_bitmap_free(series);
    return err;
}

static enum nx_err add_names(const struct ing_block_index *index, const roaring_bitmap_t *set,
                             struct ing_texts *out)
{
    for (uint32_t i = 0; i < ing_block_name_count(index); i++) {
        uint32_t symbol;
        uint32_t first;
        uint32_t end;
        struct nx_view text;
        bool meets = !set;
        enum nx_err err = ing_block_name(index, i, &symbol, &first, &end);
        for (uint32_t pair = first; err == NX_OK && !meets && pair < end; pair++)
            err = pair_meets(index, pair, set, &meets);
        if (err == NX_OK && meets) {
            err = ing_block_symbol(index, symbol, &text);
            if (err == NX_OK)
                err = ing_texts_add(out, text);
        }
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err add_values(const struct ing_block_index *index, struct nx_view name,
                              const roaring_bitmap_t *set, struct ing_texts *out)
{
    uint32_t first;
    uint32_t end;
    enum nx_err err = ing_block_name_find(index, name, &first, &end);
    if (err == NX_ERR_NOT_FOUND)
        return NX_OK;
    for (uint32_t pair = first; err == NX_OK && pair < end; pair++) {
        struct nx_view text;
        bool meets = true;
        if (set)
            err = pair_meets(index, pair, set, &meets);
        if (err == NX_OK)
            err = ing_block_pair_value(index, pair, &text);
        if (err == NX_OK && meets)
            err = ing_texts_add(out, text);
    }
    return err;
}

enum nx_err ing_block_labels(struct ing_block *block, struct nx_view name,
                             const struct nx_matcher *matchers, size_t count, struct ing_texts *out)
{
    roaring_bitmap_t *set = NULL;
    enum nx_err err = count > 0 ? select_bitmap(block, matchers, count, &set) : index_check(block);
    if (err != NX_OK)
        return err;
    err = name.len == 0 ? add_names(&block->index, set, out)
                        : add_values(&block->index, name, set, out);
    if (set)
        roaring_bitmap_free(set);
    return err;
}
