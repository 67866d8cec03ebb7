/* What is needed to go through a block in order: the symbols, and the list of all series, which is
 * the first entry of the table of postings. The other postings are not looked at. */
#include "ingester/tsdb/index_reader.h"

#include <inttypes.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/tsdb/format.h"

enum { CRC_BYTES = 4, SYMBOL_BYTES_MAX = 1 << 20 };

struct ing_tsdb_index {
    struct nx_view bytes;
    uint32_t version;
    struct nx_view *symbols; /* version 2 and later: by number */
    uint32_t symbol_count;
    struct nx_view all; /* the references of all series, four bytes each */
    uint32_t count;
};

#define CORRUPT(...) nx_fail_set(fail, NX_ERR_CORRUPT, "index: " __VA_ARGS__)

/* [length, four bytes][content][checksum] at `offset`. */
static enum nx_err section_at(struct nx_view bytes, uint64_t offset, const char *name,
                              struct nx_view *out, struct nx_fail *fail)
{
    if (offset > bytes.len || bytes.len - offset < 4 + CRC_BYTES)
        return CORRUPT("the %s lie at %" PRIu64 " of %zu bytes", name, offset, bytes.len);
    const char *at = bytes.ptr + offset;
    size_t room = bytes.len - (size_t)offset - 4 - CRC_BYTES;
    uint32_t len = ing_tsdb_be32(at);
    if (len > room)
        return CORRUPT("the %s reach beyond the file", name);
    if (nx_crc32c(0, at + 4, len) != ing_tsdb_be32(at + 4 + len))
        return CORRUPT("the checksum of the %s does not fit", name);
    *out = nx_view_make(at + 4, len);
    return NX_OK;
}

static uint32_t take_be32(struct nx_cursor *cur)
{
    struct nx_view four = nx_cursor_take(cur, 4);
    return four.ptr ? ing_tsdb_be32(four.ptr) : 0;
}

static enum nx_err check_symbol(struct nx_view text, struct nx_fail *fail)
{
    if (text.len > SYMBOL_BYTES_MAX)
        return CORRUPT("a symbol of %zu bytes", text.len);
    if (!nx_view_is_utf8(text))
        return CORRUPT("a symbol is not UTF-8");
    return NX_OK;
}

static enum nx_err read_symbols(struct ing_tsdb_index *index, struct nx_view section,
                                struct nx_fail *fail)
{
    struct nx_cursor cur = nx_cursor_of(section);
    uint32_t count = take_be32(&cur);
    if (count > nx_cursor_left(&cur))
        return CORRUPT("%" PRIu32 " symbols in %zu bytes", count, section.len);
    index->symbols = nx_alloc_array(count, sizeof *index->symbols);
    if (!index->symbols)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    for (uint32_t i = 0; i < count; i++) {
        struct nx_view text = nx_cursor_bytes(&cur);
        if (!nx_cursor_ok(&cur))
            return CORRUPT("the symbols end after %" PRIu32 " of %" PRIu32, i, count);
        enum nx_err err = check_symbol(text, fail);
        if (err != NX_OK)
            return err;
        index->symbols[i] = text;
    }
    index->symbol_count = count;
    return NX_OK;
}

/* The first entry of the table names the postings of the empty name and value: all series. */
static enum nx_err find_all(struct ing_tsdb_index *index, uint64_t table, struct nx_fail *fail)
{
    struct nx_view section;
    enum nx_err err = section_at(index->bytes, table, "postings' offsets", &section, fail);
    if (err != NX_OK)
        return err;
    struct nx_cursor cur = nx_cursor_of(section);
    uint32_t count = take_be32(&cur);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t keys = nx_cursor_uvarint(&cur);
        struct nx_view name = nx_cursor_bytes(&cur);
        struct nx_view value = nx_cursor_bytes(&cur);
        uint64_t offset = nx_cursor_uvarint(&cur);
        if (!nx_cursor_ok(&cur) || keys != 2)
            return CORRUPT("entry %" PRIu32 " of the postings' offsets is malformed", i);
        if (name.len > 0 || value.len > 0)
            continue;
        err = section_at(index->bytes, offset, "postings of all series", &section, fail);
        if (err != NX_OK)
            return err;
        if (section.len < 4 || ing_tsdb_be32(section.ptr) != (section.len - 4) / 4 ||
            section.len % 4 != 0)
            return CORRUPT("the postings of all series have a wrong length");
        index->all = nx_view_make(section.ptr + 4, section.len - 4);
        index->count = (uint32_t)(index->all.len / 4);
        return NX_OK;
    }
    return CORRUPT("the postings of all series are missing");
}

static enum nx_err read_index(struct ing_tsdb_index *index, struct nx_fail *fail)
{
    struct nx_view bytes = index->bytes;
    if (bytes.len < ING_TSDB_INDEX_HEADER_BYTES + ING_TSDB_TOC_BYTES)
        return CORRUPT("%zu bytes are too few", bytes.len);
    if (ing_tsdb_be32(bytes.ptr) != ING_TSDB_INDEX_MAGIC)
        return CORRUPT("begins with %08" PRIx32 ", not as an index does", ing_tsdb_be32(bytes.ptr));
    index->version = (uint8_t)bytes.ptr[4];
    if (index->version < 1 || index->version > 3)
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED, "index: version %" PRIu32 " is not known",
                           index->version);
    const char *toc = bytes.ptr + bytes.len - ING_TSDB_TOC_BYTES;
    if (nx_crc32c(0, toc, ING_TSDB_TOC_BYTES - CRC_BYTES) !=
        ing_tsdb_be32(toc + ING_TSDB_TOC_BYTES - CRC_BYTES))
        return CORRUPT("the checksum of the table of contents does not fit: the file is cut off or "
                       "damaged");
    struct nx_view section;
    uint64_t symbols = ing_tsdb_be64(toc);
    enum nx_err err = section_at(bytes, symbols, "symbols", &section, fail);
    if (err == NX_OK)
        err = read_symbols(index, section, fail);
    return err == NX_OK ? find_all(index, ing_tsdb_be64(toc + 40), fail) : err;
}

enum nx_err ing_tsdb_index_open(struct nx_view bytes, struct ing_tsdb_index **out,
                                struct nx_fail *fail)
{
    struct ing_tsdb_index *index = nx_calloc(1, sizeof *index);
    if (!index)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    index->bytes = bytes;
    enum nx_err err = read_index(index, fail);
    if (err != NX_OK)
        ing_tsdb_index_free(index);
    else
        *out = index;
    return err;
}

void ing_tsdb_index_free(struct ing_tsdb_index *index)
{
    if (!index)
        return;
    nx_free(index->symbols);
    nx_free(index);
}

uint32_t ing_tsdb_index_count(const struct ing_tsdb_index *index)
{
    return index->count;
}

/* --- series --- */

/* Version 1 refers to symbols by their place in the file. */
static enum nx_err symbol(const struct ing_tsdb_index *index, uint64_t ref, struct nx_view *out,
                          struct nx_fail *fail)
{
    if (index->version > 1) {
        if (ref >= index->symbol_count)
            return CORRUPT("symbol %" PRIu64 " of %" PRIu32, ref, index->symbol_count);
        *out = index->symbols[ref];
        return NX_OK;
    }
    if (ref >= index->bytes.len)
        return CORRUPT("a symbol at %" PRIu64 " of %zu bytes", ref, index->bytes.len);
    struct nx_cursor cur =
        nx_cursor_of(nx_view_make(index->bytes.ptr + ref, index->bytes.len - (size_t)ref));
    struct nx_view text = nx_cursor_bytes(&cur);
    if (!nx_cursor_ok(&cur))
        return CORRUPT("the symbol at %" PRIu64 " reaches beyond the file", ref);
    *out = text;
    return check_symbol(text, fail);
}

static enum nx_err read_labels(const struct ing_tsdb_index *index, struct nx_cursor *cur,
                               struct nx_arena *arena, struct nx_labels *out, struct nx_fail *fail)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > nx_cursor_left(cur) / 2)
        return CORRUPT("a series with %" PRIu64 " labels", count);
    struct nx_label *items = nx_arena_array(arena, (size_t)count, sizeof *items);
    if (!items)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    for (size_t i = 0; i < count; i++) {
        uint64_t name = nx_cursor_uvarint(cur);
        uint64_t value = nx_cursor_uvarint(cur);
        enum nx_err err = symbol(index, name, &items[i].name, fail);
        if (err == NX_OK)
            err = symbol(index, value, &items[i].value, fail);
        if (err != NX_OK)
            return err;
        if (items[i].name.len == 0 || items[i].value.len == 0 ||
            (i > 0 && nx_view_cmp(items[i - 1].name, items[i].name) >= 0))
            return CORRUPT("the labels of a series are not in order");
    }
    *out = (struct nx_labels){.items = items, .count = (size_t)count};
    return NX_OK;
}

/* Whether a + b stays a time; *sum is it. */
static bool add_time(int64_t a, uint64_t b, int64_t *sum)
{
    return b <= INT64_MAX && !__builtin_add_overflow(a, (int64_t)b, sum);
}

static bool read_chunk(struct nx_cursor *cur, bool first, struct ing_tsdb_chunk_meta *chunk,
                       const struct ing_tsdb_chunk_meta *before)
{
    bool fits = true;
    if (first)
        chunk->min_t = nx_cursor_varint(cur);
    else
        fits = add_time(before->max_t, nx_cursor_uvarint(cur), &chunk->min_t);
    fits = add_time(chunk->min_t, nx_cursor_uvarint(cur), &chunk->max_t) && fits;
    if (first)
        chunk->ref = nx_cursor_uvarint(cur);
    else
        chunk->ref = before->ref + (uint64_t)nx_cursor_varint(cur);
    return fits && nx_cursor_ok(cur);
}

static enum nx_err read_chunks(struct nx_cursor *cur, struct nx_arena *arena,
                               struct ing_tsdb_entry *out, struct nx_fail *fail)
{
    uint64_t count = nx_cursor_uvarint(cur);
    if (!nx_cursor_ok(cur) || count > nx_cursor_left(cur) / 3)
        return CORRUPT("a series with %" PRIu64 " chunks", count);
    struct ing_tsdb_chunk_meta *chunks = nx_arena_array(arena, (size_t)count, sizeof *chunks);
    if (!chunks)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    for (size_t i = 0; i < count; i++)
        if (!read_chunk(cur, i == 0, &chunks[i], i == 0 ? NULL : &chunks[i - 1]))
            return CORRUPT("the chunks of a series are malformed");
    out->chunks = chunks;
    out->chunk_count = (size_t)count;
    return NX_OK;
}

enum nx_err ing_tsdb_index_series(const struct ing_tsdb_index *index, uint32_t i,
                                  struct nx_arena *arena, struct ing_tsdb_entry *out,
                                  struct nx_fail *fail)
{
    if (i >= index->count)
        return nx_fail_set(fail, NX_ERR_NOT_FOUND, "index: series %" PRIu32 " of %" PRIu32, i,
                           index->count);
    uint64_t ref = ing_tsdb_be32(index->all.ptr + (size_t)i * 4);
    uint64_t offset = index->version > 1 ? ref * ING_TSDB_SERIES_ALIGN : ref;
    if (offset >= index->bytes.len)
        return CORRUPT("a series at %" PRIu64 " of %zu bytes", offset, index->bytes.len);
    struct nx_cursor cur =
        nx_cursor_of(nx_view_make(index->bytes.ptr + offset, index->bytes.len - (size_t)offset));
    struct nx_view body = nx_cursor_bytes(&cur);
    struct nx_view crc = nx_cursor_take(&cur, CRC_BYTES);
    if (!nx_cursor_ok(&cur))
        return CORRUPT("the series at %" PRIu64 " reaches beyond the file", offset);
    if (nx_crc32c(0, body.ptr, body.len) != ing_tsdb_be32(crc.ptr))
        return CORRUPT("the checksum of the series at %" PRIu64 " does not fit", offset);
    struct ing_tsdb_entry entry = {.ref = ref};
    cur = nx_cursor_of(body);
    enum nx_err err = read_labels(index, &cur, arena, &entry.labels, fail);
    if (err == NX_OK)
        err = read_chunks(&cur, arena, &entry, fail);
    if (err == NX_OK)
        *out = entry;
    return err;
}
