/* Texts and label pairs are interned as they come. To write, the texts are sorted, and with their
 * ranks the pairs; series compare by the ranks of their pairs. Which series a pair has follows from
 * going through the sorted series once, counting first. */
#include "ingester/tsdb/index_writer.h"

#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/index.h"
#include "ingester/tsdb/format.h"

#define WRITE_BYTES ((size_t)1 << 20)

struct pair {
    uint32_t name; /* text; by rank once sorted */
    uint32_t value;
    uint32_t series; /* how many have it */
    uint32_t rank;
};

struct series {
    uint32_t *pairs; /* in the arena; by the name of the label */
    struct ing_tsdb_chunk_meta *chunks;
    uint32_t pair_count;
    uint32_t chunk_count;
    uint32_t ref; /* offset in the file / 16, once written */
};

struct ing_tsdb_index_writer {
    struct nx_arena arena;
    struct nx_index text_index;
    struct nx_view *texts;
    size_t text_count;
    size_t text_capacity;
    uint32_t *text_ranks;
    struct nx_index pair_index;
    struct pair *pairs;
    size_t pair_count;
    size_t pair_capacity;
    struct series *series;
    size_t series_count;
    size_t series_capacity;
    struct nx_buf scratch;
};

enum nx_err ing_tsdb_index_writer_new(struct ing_tsdb_index_writer **out)
{
    struct ing_tsdb_index_writer *writer = nx_calloc(1, sizeof *writer);
    if (!writer)
        return NX_ERR_NOMEM;
    nx_arena_init(&writer->arena, 0);
    nx_index_init(&writer->text_index);
    nx_index_init(&writer->pair_index);
    nx_buf_init(&writer->scratch, SIZE_MAX / 4);
    *out = writer;
    return NX_OK;
}

void ing_tsdb_index_writer_free(struct ing_tsdb_index_writer *writer)
{
    if (!writer)
        return;
    nx_index_release(&writer->text_index);
    nx_index_release(&writer->pair_index);
    nx_buf_release(&writer->scratch);
    nx_arena_release(&writer->arena);
    nx_free(writer->texts);
    nx_free(writer->text_ranks);
    nx_free(writer->pairs);
    nx_free(writer->series);
    nx_free(writer);
}

uint32_t ing_tsdb_index_writer_count(const struct ing_tsdb_index_writer *writer)
{
    return (uint32_t)writer->series_count;
}

/* --- gathering --- */

static bool text_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_tsdb_index_writer *writer = user;
    return nx_view_eq(writer->texts[ref], *(const struct nx_view *)key);
}

static enum nx_err intern_text(struct ing_tsdb_index_writer *writer, struct nx_view text,
                               uint32_t *out)
{
    uint64_t hash = nx_hash_view(text);
    uint32_t found = nx_index_find(&writer->text_index, hash, text_eq, &text, writer);
    if (found != NX_INDEX_NONE) {
        *out = found;
        return NX_OK;
    }
    enum nx_err err = nx_grow(&writer->texts, &writer->text_capacity, writer->text_count + 1,
                              sizeof *writer->texts);
    if (err != NX_OK)
        return err;
    struct nx_view copy = nx_arena_copy(&writer->arena, text);
    if (!copy.ptr)
        return NX_ERR_NOMEM;
    err = nx_index_insert(&writer->text_index, hash, (uint32_t)writer->text_count);
    if (err != NX_OK)
        return err;
    *out = (uint32_t)writer->text_count;
    writer->texts[writer->text_count++] = copy;
    return NX_OK;
}

static bool pair_eq(uint32_t ref, const void *key, const void *user)
{
    const struct pair *pair = &((const struct ing_tsdb_index_writer *)user)->pairs[ref];
    const struct pair *wanted = key;
    return pair->name == wanted->name && pair->value == wanted->value;
}

static enum nx_err intern_pair(struct ing_tsdb_index_writer *writer, const struct nx_label *label,
                               uint32_t *out)
{
    struct pair pair = {.series = 0};
    enum nx_err err = intern_text(writer, label->name, &pair.name);
    if (err == NX_OK)
        err = intern_text(writer, label->value, &pair.value);
    if (err != NX_OK)
        return err;
    uint64_t both = (uint64_t)pair.name << 32 | pair.value;
    uint64_t hash = nx_hash64(&both, sizeof both);
    uint32_t found = nx_index_find(&writer->pair_index, hash, pair_eq, &pair, writer);
    if (found == NX_INDEX_NONE) {
        err = nx_grow(&writer->pairs, &writer->pair_capacity, writer->pair_count + 1,
                      sizeof *writer->pairs);
        if (err == NX_OK)
            err = nx_index_insert(&writer->pair_index, hash, (uint32_t)writer->pair_count);
        if (err != NX_OK)
            return err;
        found = (uint32_t)writer->pair_count;
        writer->pairs[writer->pair_count++] = pair;
    }
    *out = found;
    return NX_OK;
}

enum nx_err ing_tsdb_index_writer_add(struct ing_tsdb_index_writer *writer, struct nx_labels labels,
                                      const struct ing_tsdb_chunk_meta *chunks, size_t count)
{
    struct series series = {.pair_count = (uint32_t)labels.count, .chunk_count = (uint32_t)count};
    series.pairs = nx_arena_array(&writer->arena, labels.count, sizeof *series.pairs);
    series.chunks = nx_arena_array(&writer->arena, count, sizeof *series.chunks);
    if (!series.pairs || !series.chunks)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < labels.count; i++) {
        enum nx_err err = intern_pair(writer, &labels.items[i], &series.pairs[i]);
        if (err != NX_OK)
            return err;
    }
    for (size_t i = 0; i < count; i++)
        series.chunks[i] = chunks[i];
    enum nx_err err = nx_grow(&writer->series, &writer->series_capacity, writer->series_count + 1,
                              sizeof *writer->series);
    if (err != NX_OK)
        return err;
    writer->series[writer->series_count++] = series;
    for (uint32_t i = 0; i < series.pair_count; i++)
        writer->pairs[series.pairs[i]].series++;
    return NX_OK;
}

/* --- sorting --- */

static int text_cmp(const void *a, const void *b, void *user)
{
    const struct nx_view *texts = user;
    return nx_view_cmp(texts[*(const uint32_t *)a], texts[*(const uint32_t *)b]);
}

static int pair_cmp(const void *a, const void *b, void *user)
{
    const struct ing_tsdb_index_writer *writer = user;
    const struct pair *x = &writer->pairs[*(const uint32_t *)a];
    const struct pair *y = &writer->pairs[*(const uint32_t *)b];
    uint32_t xs[2] = {writer->text_ranks[x->name], writer->text_ranks[x->value]};
    uint32_t ys[2] = {writer->text_ranks[y->name], writer->text_ranks[y->value]};
    if (xs[0] != ys[0])
        return xs[0] < ys[0] ? -1 : 1;
    return (xs[1] > ys[1]) - (xs[1] < ys[1]);
}

static int series_cmp(const void *a, const void *b, void *user)
{
    const struct series *x = a;
    const struct series *y = b;
    const struct pair *pairs = user;
    uint32_t shorter = x->pair_count < y->pair_count ? x->pair_count : y->pair_count;
    for (uint32_t i = 0; i < shorter; i++) {
        uint32_t p = pairs[x->pairs[i]].rank;
        uint32_t q = pairs[y->pairs[i]].rank;
        if (p != q)
            return p < q ? -1 : 1;
    }
    return (x->pair_count > y->pair_count) - (x->pair_count < y->pair_count);
}

/* 0, 1, ... sorted by `cmp`; nx_free it. */
static uint32_t *sorted_order(size_t count, int (*cmp)(const void *, const void *, void *),
                              void *user)
{
    uint32_t *order = nx_alloc_array(count, sizeof *order);
    for (size_t i = 0; order && i < count; i++)
        order[i] = (uint32_t)i;
    if (order && count > 1)
        qsort_r(order, count, sizeof *order, cmp, user);
    return order;
}

/* Texts and pairs take the places of their ranks, and what refers to them follows. */
static enum nx_err sort_texts(struct ing_tsdb_index_writer *writer)
{
    size_t count = writer->text_count;
    uint32_t *order = sorted_order(count, text_cmp, writer->texts);
    struct nx_view *sorted = nx_alloc_array(count, sizeof *sorted);
    writer->text_ranks = nx_alloc_array(count, sizeof *writer->text_ranks);
    enum nx_err err = order && sorted && writer->text_ranks ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; err == NX_OK && i < count; i++) {
        writer->text_ranks[order[i]] = (uint32_t)i;
        sorted[i] = writer->texts[order[i]];
    }
    if (err == NX_OK) {
        nx_free(writer->texts);
        writer->texts = sorted;
        sorted = NULL;
    }
    nx_free(sorted);
    nx_free(order);
    return err;
}

static enum nx_err sort_pairs(struct ing_tsdb_index_writer *writer)
{
    size_t count = writer->pair_count;
    uint32_t *order = sorted_order(count, pair_cmp, writer);
    struct pair *sorted = nx_alloc_array(count, sizeof *sorted);
    enum nx_err err = order && sorted ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; err == NX_OK && i < count; i++) {
        struct pair *pair = &writer->pairs[order[i]];
        pair->rank = (uint32_t)i;
        sorted[i] = *pair;
        sorted[i].name = writer->text_ranks[pair->name];
        sorted[i].value = writer->text_ranks[pair->value];
    }
    for (size_t i = 0; err == NX_OK && i < writer->series_count; i++) {
        struct series *series = &writer->series[i];
        for (uint32_t k = 0; k < series->pair_count; k++)
            series->pairs[k] = writer->pairs[series->pairs[k]].rank;
    }
    if (err == NX_OK) {
        nx_free(writer->pairs);
        writer->pairs = sorted;
        sorted = NULL;
    }
    nx_free(sorted);
    nx_free(order);
    return err;
}

enum nx_err ing_tsdb_index_writer_sort(struct ing_tsdb_index_writer *writer)
{
    enum nx_err err = sort_texts(writer);
    if (err == NX_OK)
        err = sort_pairs(writer);
    if (err != NX_OK)
        return err;
    if (writer->series_count > 1)
        qsort_r(writer->series, writer->series_count, sizeof *writer->series, series_cmp,
                writer->pairs);
    for (size_t i = 1; i < writer->series_count; i++)
        if (series_cmp(&writer->series[i - 1], &writer->series[i], writer->pairs) == 0)
            return NX_ERR_EXISTS;
    return NX_OK;
}

struct ing_tsdb_chunk_meta *ing_tsdb_index_writer_chunks(struct ing_tsdb_index_writer *writer,
                                                         uint32_t i, size_t *count)
{
    *count = writer->series[i].chunk_count;
    return writer->series[i].chunks;
}

/* --- writing --- */

/* The bytes of `scratch` with their length in front and their checksum behind. */
static enum nx_err put_section(struct ing_tsdb_index_writer *writer, struct ing_out_file *file)
{
    struct nx_view content = nx_buf_view(&writer->scratch);
    enum nx_err err = nx_buf_err(&writer->scratch);
    if (err != NX_OK)
        return err;
    if (content.len > UINT32_MAX)
        return NX_ERR_TOO_LARGE;
    ing_tsdb_put_be32(&file->buf, (uint32_t)content.len);
    nx_buf_append_view(&file->buf, content);
    ing_tsdb_put_be32(&file->buf, nx_crc32c(0, content.ptr, content.len));
    nx_buf_clear(&writer->scratch);
    return ing_out_file_flush(file, WRITE_BYTES);
}

static enum nx_err write_symbols(struct ing_tsdb_index_writer *writer, struct ing_out_file *file)
{
    ing_tsdb_put_be32(&writer->scratch, (uint32_t)writer->text_count);
    for (size_t i = 0; i < writer->text_count; i++)
        nx_buf_put_bytes(&writer->scratch, writer->texts[i]);
    return put_section(writer, file);
}

static void put_entry(struct ing_tsdb_index_writer *writer, const struct series *series)
{
    struct nx_buf *out = &writer->scratch;
    nx_buf_put_uvarint(out, series->pair_count);
    for (uint32_t i = 0; i < series->pair_count; i++) {
        nx_buf_put_uvarint(out, writer->pairs[series->pairs[i]].name);
        nx_buf_put_uvarint(out, writer->pairs[series->pairs[i]].value);
    }
    nx_buf_put_uvarint(out, series->chunk_count);
    for (uint32_t i = 0; i < series->chunk_count; i++) {
        const struct ing_tsdb_chunk_meta *chunk = &series->chunks[i];
        if (i == 0)
            nx_buf_put_varint(out, chunk->min_t);
        else
            nx_buf_put_uvarint(out, (uint64_t)chunk->min_t - (uint64_t)chunk[-1].max_t);
        nx_buf_put_uvarint(out, (uint64_t)chunk->max_t - (uint64_t)chunk->min_t);
        if (i == 0)
            nx_buf_put_uvarint(out, chunk->ref);
        else
            nx_buf_put_varint(out, (int64_t)(chunk->ref - chunk[-1].ref));
    }
}

static enum nx_err write_series(struct ing_tsdb_index_writer *writer, struct ing_out_file *file)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < writer->series_count && err == NX_OK; i++) {
        ing_out_file_pad(file, ING_TSDB_SERIES_ALIGN);
        uint64_t ref = ing_out_file_position(file) / ING_TSDB_SERIES_ALIGN;
        if (ref > UINT32_MAX)
            return NX_ERR_TOO_LARGE;
        writer->series[i].ref = (uint32_t)ref;
        put_entry(writer, &writer->series[i]);
        struct nx_view body = nx_buf_view(&writer->scratch);
        nx_buf_put_bytes(&file->buf, body);
        ing_tsdb_put_be32(&file->buf, nx_crc32c(0, body.ptr, body.len));
        err = nx_buf_err(&writer->scratch);
        nx_buf_clear(&writer->scratch);
        if (err == NX_OK)
            err = ing_out_file_flush(file, WRITE_BYTES);
    }
    return err;
}

/* The references of each pair's series, pair after pair: those of pair i end at ends[i]. */
static enum nx_err lists_of_pairs(const struct ing_tsdb_index_writer *writer, uint32_t **refs,
                                  uint64_t **ends)
{
    uint64_t total = 0;
    uint64_t *at = nx_alloc_array(writer->pair_count, sizeof *at);
    for (size_t i = 0; at && i < writer->pair_count; i++) {
        at[i] = total;
        total += writer->pairs[i].series;
    }
    uint32_t *list = nx_alloc_array((size_t)total, sizeof *list);
    if (!at || !list) {
        nx_free(at);
        nx_free(list);
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < writer->series_count; i++)
        for (uint32_t k = 0; k < writer->series[i].pair_count; k++)
            list[at[writer->series[i].pairs[k]]++] = writer->series[i].ref;
    *refs = list;
    *ends = at;
    return NX_OK;
}

static void put_offset(struct nx_buf *table, struct nx_view name, struct nx_view value,
                       uint64_t offset)
{
    nx_buf_put_uvarint(table, 2);
    nx_buf_put_bytes(table, name);
    nx_buf_put_bytes(table, value);
    nx_buf_put_uvarint(table, offset);
}

static enum nx_err write_postings(struct ing_tsdb_index_writer *writer, struct ing_out_file *file,
                                  struct nx_buf *table)
{
    uint32_t *refs;
    uint64_t *ends;
    enum nx_err err = lists_of_pairs(writer, &refs, &ends);
    if (err != NX_OK)
        return err;
    ing_tsdb_put_be32(table, (uint32_t)writer->pair_count + 1);
    put_offset(table, NX_VIEW(""), NX_VIEW(""), ing_out_file_position(file));
    ing_tsdb_put_be32(&writer->scratch, (uint32_t)writer->series_count);
    for (size_t i = 0; i < writer->series_count; i++)
        ing_tsdb_put_be32(&writer->scratch, writer->series[i].ref);
    err = put_section(writer, file);
    for (size_t i = 0; i < writer->pair_count && err == NX_OK; i++) {
        const struct pair *pair = &writer->pairs[i];
        ing_out_file_pad(file, ING_TSDB_POSTINGS_ALIGN);
        put_offset(table, writer->texts[pair->name], writer->texts[pair->value],
                   ing_out_file_position(file));
        ing_tsdb_put_be32(&writer->scratch, pair->series);
        for (uint64_t k = ends[i] - pair->series; k < ends[i]; k++)
            ing_tsdb_put_be32(&writer->scratch, refs[k]);
        err = put_section(writer, file);
    }
    nx_free(refs);
    nx_free(ends);
    return err;
}

static void put_toc(struct nx_buf *out, const uint64_t offsets[6])
{
    size_t begin = out->len;
    for (size_t i = 0; i < 6; i++)
        ing_tsdb_put_be64(out, offsets[i]);
    if (nx_buf_err(out) == NX_OK)
        ing_tsdb_put_be32(out, nx_crc32c(0, out->data + begin, out->len - begin));
}

enum nx_err ing_tsdb_index_writer_write(struct ing_tsdb_index_writer *writer,
                                        struct ing_out_file *file)
{
    uint64_t offsets[6] = {0};
    struct nx_buf table;
    nx_buf_init(&table, SIZE_MAX / 4);
    ing_tsdb_put_be32(&file->buf, ING_TSDB_INDEX_MAGIC);
    nx_buf_put_u8(&file->buf, 2);
    offsets[0] = ing_out_file_position(file);
    enum nx_err err = write_symbols(writer, file);
    ing_out_file_pad(file, ING_TSDB_SERIES_ALIGN);
    offsets[1] = ing_out_file_position(file);
    if (err == NX_OK)
        err = write_series(writer, file);
    /* the table of label indices, which is not written any more, has its place here */
    offsets[2] = ing_out_file_position(file);
    ing_out_file_pad(file, ING_TSDB_POSTINGS_ALIGN);
    offsets[4] = ing_out_file_position(file);
    if (err == NX_OK)
        err = write_postings(writer, file, &table);
    offsets[3] = offsets[5] = ing_out_file_position(file);
    if (err == NX_OK) {
        nx_buf_append_view(&writer->scratch, nx_buf_view(&table));
        err = nx_buf_err(&table);
    }
    if (err == NX_OK)
        err = put_section(writer, file);
    if (err == NX_OK) {
        put_toc(&file->buf, offsets);
        err = nx_buf_err(&file->buf);
    }
    nx_buf_release(&table);
    return err;
}
