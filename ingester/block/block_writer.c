/* Series are numbered as they come while the chunks are written; at the end symbols are sorted and
 * series put in the order of their label sets, which is that of their symbol numbers, and all
 * references are translated. */
#include "ingester/block/block_writer.h"

#include <assert.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/block/block_format.h"
#include "ingester/block/rechunk.h"
#include "ingester/head/symbols.h"

#define WRITE_BYTES ((size_t)1 << 20)

struct label {
    uint32_t name;
    uint32_t value;
};

struct chunk {
    int64_t min_t;
    int64_t max_t;
    uint64_t offset;
    uint32_t len;
    uint32_t crc;
    uint32_t count;
    uint8_t encoding;
};

struct series {
    struct nx_series_id id;
    struct label *labels; /* in the arena */
    struct chunk *chunks; /* in the arena */
    uint32_t label_count;
    uint32_t chunk_count;
};

struct section {
    uint64_t offset;
    uint64_t len;
    uint32_t crc;
};

struct ing_block_writer {
    const struct nx_fs *fs;
    struct ing_block_meta meta;
    char *dir;
    char *tmp_dir;
    char *final_dir;
    int fd;
    bool finished;
    uint64_t written; /* bytes handed to the file */
    struct nx_buf out;
    struct nx_arena arena;
    struct ing_symbols symbols;
    uint32_t *ranks; /* symbol -> its number in the block */
    struct series *series;
    size_t series_count;
    size_t series_capacity;
    struct section sections[ING_SECTION_MAX + 1];
};

static enum nx_err paths_init(struct ing_block_writer *writer, const char *dir, const char *name)
{
    writer->dir = nx_strdup(dir);
    writer->final_dir = nx_path_join(dir, name);
    if (!writer->dir || !writer->final_dir)
        return NX_ERR_NOMEM;
    size_t len = strlen(writer->final_dir);
    writer->tmp_dir = nx_alloc(len + 5);
    if (!writer->tmp_dir)
        return NX_ERR_NOMEM;
    memcpy(writer->tmp_dir, writer->final_dir, len);
    memcpy(writer->tmp_dir + len, ".tmp", 5);
    return NX_OK;
}

static enum nx_err file_open(struct ing_block_writer *writer)
{
    enum nx_err err = writer->fs->rmdir(writer->fs, writer->tmp_dir); /* of an earlier try */
    if (err != NX_OK && err != NX_ERR_NOT_FOUND)
        return err;
    err = writer->fs->mkdir(writer->fs, writer->tmp_dir);
    if (err != NX_OK)
        return err;
    char *path = nx_path_join(writer->tmp_dir, ING_BLOCK_FILE);
    if (!path)
        return NX_ERR_NOMEM;
    err = writer->fs->open(writer->fs, path, NX_FILE_CREATE, &writer->fd);
    nx_free(path);
    return err;
}

enum nx_err ing_block_writer_new(const struct nx_fs *fs, const char *dir, const char *name,
                                 const struct ing_block_meta *meta, struct ing_block_writer **out)
{
    struct ing_block_writer *writer = nx_calloc(1, sizeof *writer);
    if (!writer)
        return NX_ERR_NOMEM;
    writer->fs = fs;
    writer->meta = *meta;
    writer->meta.series = writer->meta.chunks = writer->meta.samples = 0;
    writer->fd = -1;
    nx_buf_init(&writer->out, SIZE_MAX / 4);
    nx_arena_init(&writer->arena, 0);
    ing_symbols_init(&writer->symbols);
    enum nx_err err = paths_init(writer, dir, name);
    if (err == NX_OK)
        err = file_open(writer);
    if (err != NX_OK) {
        ing_block_writer_free(writer);
        return err;
    }
    nx_buf_append(&writer->out, ING_BLOCK_MAGIC, ING_BLOCK_MAGIC_BYTES);
    writer->sections[ING_SECTION_CHUNKS].offset = ING_BLOCK_MAGIC_BYTES;
    *out = writer;
    return NX_OK;
}

void ing_block_writer_free(struct ing_block_writer *writer)
{
    if (!writer)
        return;
    if (writer->fd >= 0)
        (void)writer->fs->close(writer->fs, writer->fd);
    if (!writer->finished && writer->tmp_dir)
        (void)writer->fs->rmdir(writer->fs, writer->tmp_dir);
    nx_buf_release(&writer->out);
    nx_arena_release(&writer->arena);
    ing_symbols_release(&writer->symbols);
    nx_free(writer->ranks);
    nx_free(writer->series);
    nx_free(writer->dir);
    nx_free(writer->tmp_dir);
    nx_free(writer->final_dir);
    nx_free(writer);
}

const char *ing_block_writer_path(const struct ing_block_writer *writer)
{
    return writer->final_dir;
}

static uint64_t position(const struct ing_block_writer *writer)
{
    return writer->written + writer->out.len;
}

static enum nx_err flush_out(struct ing_block_writer *writer, size_t at_least)
{
    enum nx_err err = nx_buf_err(&writer->out);
    if (err != NX_OK || writer->out.len < at_least || writer->out.len == 0)
        return err;
    err = writer->fs->write(writer->fs, writer->fd, writer->out.data, writer->out.len);
    if (err != NX_OK)
        return err;
    writer->written += writer->out.len;
    nx_buf_clear(&writer->out);
    return NX_OK;
}

static enum nx_err add_labels(struct ing_block_writer *writer, struct nx_labels labels,
                              struct series *series)
{
    series->labels = nx_arena_array(&writer->arena, labels.count, sizeof *series->labels);
    if (!series->labels)
        return NX_ERR_NOMEM;
    series->label_count = (uint32_t)labels.count;
    for (size_t i = 0; i < labels.count; i++) {
        enum nx_err err =
            ing_symbols_intern(&writer->symbols, labels.items[i].name, &series->labels[i].name);
        if (err == NX_OK)
            err = ing_symbols_intern(&writer->symbols, labels.items[i].value,
                                     &series->labels[i].value);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

static enum nx_err add_chunks(struct ing_block_writer *writer, const struct ing_rechunked *list,
                              struct series *series)
{
    series->chunks = nx_arena_array(&writer->arena, list->count, sizeof *series->chunks);
    if (!series->chunks)
        return NX_ERR_NOMEM;
    series->chunk_count = (uint32_t)list->count;
    for (size_t i = 0; i < list->count; i++) {
        const struct nx_chunk *chunk = &list->chunks[i];
        series->chunks[i] = (struct chunk){.min_t = chunk->min_t,
                                           .max_t = chunk->max_t,
                                           .offset = position(writer) - ING_BLOCK_MAGIC_BYTES,
                                           .len = (uint32_t)chunk->data.len,
                                           .crc = nx_crc32c(0, chunk->data.ptr, chunk->data.len),
                                           .count = chunk->count,
                                           .encoding = (uint8_t)chunk->encoding};
        nx_buf_append_view(&writer->out, chunk->data);
        writer->meta.samples += chunk->count;
        writer->meta.chunks++;
    }
    return nx_buf_err(&writer->out);
}

enum nx_err ing_block_writer_add(struct ing_block_writer *writer, struct nx_series_id id,
                                 struct nx_labels labels, const struct nx_chunk *chunks,
                                 size_t count)
{
    struct ing_rechunked list;
    enum nx_err err = ing_rechunk(chunks, count, writer->meta.min_t, writer->meta.max_t - 1, &list);
    if (err != NX_OK)
        return err;
    struct series series = {.id = id};
    if (list.count > 0) {
        err = nx_grow(&writer->series, &writer->series_capacity, writer->series_count + 1,
                      sizeof *writer->series);
        if (err == NX_OK)
            err = add_labels(writer, labels, &series);
        if (err == NX_OK)
            err = add_chunks(writer, &list, &series);
        if (err == NX_OK)
            writer->series[writer->series_count++] = series;
    }
    ing_rechunked_release(&list);
    return err == NX_OK ? flush_out(writer, WRITE_BYTES) : err;
}

/* --- the index --- */

static void section_begin(struct ing_block_writer *writer, enum ing_block_section kind)
{
    writer->sections[kind].offset = position(writer);
}

static enum nx_err section_end(struct ing_block_writer *writer, enum ing_block_section kind)
{
    struct section *section = &writer->sections[kind];
    section->len = position(writer) - section->offset;
    enum nx_err err = nx_buf_err(&writer->out);
    if (err != NX_OK)
        return err;
    assert(section->len == writer->out.len); /* the buffer was empty at its begin */
    section->crc = nx_crc32c(0, writer->out.data, writer->out.len);
    return section->len > UINT32_MAX ? NX_ERR_TOO_LARGE : flush_out(writer, 0);
}

static int symbol_cmp(const void *a, const void *b, void *user)
{
    const struct ing_symbols *symbols = user;
    return nx_view_cmp(ing_symbols_text(symbols, *(const uint32_t *)a),
                       ing_symbols_text(symbols, *(const uint32_t *)b));
}

static enum nx_err write_symbols(struct ing_block_writer *writer)
{
    size_t count = writer->symbols.count;
    uint32_t *order = nx_alloc_array(count, sizeof *order);
    writer->ranks = nx_alloc_array(count, sizeof *writer->ranks);
    if (!order || !writer->ranks) {
        nx_free(order);
        return NX_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, symbol_cmp, &writer->symbols);
    section_begin(writer, ING_SECTION_SYMBOLS);
    nx_buf_put_u32(&writer->out, (uint32_t)count);
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        writer->ranks[order[i]] = (uint32_t)i;
        nx_buf_put_u32(&writer->out, (uint32_t)offset);
        offset += ing_symbols_text(&writer->symbols, order[i]).len;
    }
    nx_buf_put_u32(&writer->out, (uint32_t)offset);
    for (size_t i = 0; i < count; i++)
        nx_buf_append_view(&writer->out, ing_symbols_text(&writer->symbols, order[i]));
    nx_free(order);
    return section_end(writer, ING_SECTION_SYMBOLS);
}

static int series_cmp(const void *a, const void *b)
{
    const struct series *x = a;
    const struct series *y = b;
    uint32_t shorter = x->label_count < y->label_count ? x->label_count : y->label_count;
    for (uint32_t i = 0; i < shorter; i++) {
        if (x->labels[i].name != y->labels[i].name)
            return x->labels[i].name < y->labels[i].name ? -1 : 1;
        if (x->labels[i].value != y->labels[i].value)
            return x->labels[i].value < y->labels[i].value ? -1 : 1;
    }
    return (x->label_count > y->label_count) - (x->label_count < y->label_count);
}

static void sort_series(struct ing_block_writer *writer)
{
    for (size_t i = 0; i < writer->series_count; i++) {
        struct series *series = &writer->series[i];
        for (uint32_t j = 0; j < series->label_count; j++) {
            series->labels[j].name = writer->ranks[series->labels[j].name];
            series->labels[j].value = writer->ranks[series->labels[j].value];
        }
    }
    if (writer->series_count > 1)
        qsort(writer->series, writer->series_count, sizeof *writer->series, series_cmp);
}

static void put_series(struct ing_block_writer *writer, const struct series *series)
{
    struct nx_buf *out = &writer->out;
    nx_series_id_put(out, series->id);
    nx_buf_put_uvarint(out, series->label_count);
    for (uint32_t i = 0; i < series->label_count; i++) {
        nx_buf_put_uvarint(out, series->labels[i].name);
        nx_buf_put_uvarint(out, series->labels[i].value);
    }
    nx_buf_put_uvarint(out, series->chunk_count);
    for (uint32_t i = 0; i < series->chunk_count; i++) {
        const struct chunk *chunk = &series->chunks[i];
        nx_buf_put_u8(out, chunk->encoding);
        nx_buf_put_uvarint(out, chunk->count);
        nx_buf_put_varint(out, chunk->min_t - writer->meta.min_t);
        nx_buf_put_uvarint(out, (uint64_t)(chunk->max_t - chunk->min_t));
        nx_buf_put_uvarint(out, chunk->offset);
        nx_buf_put_uvarint(out, chunk->len);
        nx_buf_put_u32(out, chunk->crc);
    }
}

static enum nx_err write_series(struct ing_block_writer *writer)
{
    uint32_t *offsets = nx_alloc_array(writer->series_count, sizeof *offsets);
    if (!offsets)
        return NX_ERR_NOMEM;
    section_begin(writer, ING_SECTION_SERIES);
    for (size_t i = 0; i < writer->series_count; i++) {
        offsets[i] = (uint32_t)writer->out.len;
        put_series(writer, &writer->series[i]);
    }
    enum nx_err err = section_end(writer, ING_SECTION_SERIES);
    if (err == NX_OK) {
        section_begin(writer, ING_SECTION_OFFSETS);
        for (size_t i = 0; i < writer->series_count; i++)
            nx_buf_put_u32(&writer->out, offsets[i]);
        err = section_end(writer, ING_SECTION_OFFSETS);
    }
    nx_free(offsets);
    return err;
}

struct posting {
    uint32_t name;
    uint32_t value;
    uint32_t series;
};

static int posting_cmp(const void *a, const void *b)
{
    const struct posting *x = a;
    const struct posting *y = b;
    if (x->name != y->name)
        return x->name < y->name ? -1 : 1;
    if (x->value != y->value)
        return x->value < y->value ? -1 : 1;
    return (x->series > y->series) - (x->series < y->series);
}

static enum nx_err postings_sorted(const struct ing_block_writer *writer, struct posting **out,
                                   size_t *count)
{
    size_t total = 0;
    for (size_t i = 0; i < writer->series_count; i++)
        total += writer->series[i].label_count;
    struct posting *postings = nx_alloc_array(total, sizeof *postings);
    if (!postings)
        return NX_ERR_NOMEM;
    size_t at = 0;
    for (size_t i = 0; i < writer->series_count; i++) {
        for (uint32_t j = 0; j < writer->series[i].label_count; j++)
            postings[at++] = (struct posting){.name = writer->series[i].labels[j].name,
                                              .value = writer->series[i].labels[j].value,
                                              .series = (uint32_t)i};
    }
    if (total > 1)
        qsort(postings, total, sizeof *postings, posting_cmp);
    *out = postings;
    *count = total;
    return NX_OK;
}

/* The three sections are made side by side and written one after the other. */
static enum nx_err write_postings(struct ing_block_writer *writer)
{
    struct posting *postings;
    size_t count;
    enum nx_err err = postings_sorted(writer, &postings, &count);
    if (err != NX_OK)
        return err;
    struct nx_buf names;
    struct nx_buf pairs;
    nx_buf_init(&names, SIZE_MAX / 4);
    nx_buf_init(&pairs, SIZE_MAX / 4);
    section_begin(writer, ING_SECTION_LISTS);
    uint32_t pair_count = 0;
    for (size_t i = 0; i < count;) {
        size_t end = i;
        uint32_t last = 0;
        if (i == 0 || postings[i].name != postings[i - 1].name) {
            nx_buf_put_u32(&names, postings[i].name);
            nx_buf_put_u32(&names, pair_count);
        }
        nx_buf_put_u32(&pairs, postings[i].value);
        nx_buf_put_u32(&pairs, (uint32_t)writer->out.len);
        for (; end < count && postings[end].name == postings[i].name &&
               postings[end].value == postings[i].value;
             end++) {
            nx_buf_put_uvarint(&writer->out, postings[end].series - last);
            last = postings[end].series;
        }
        nx_buf_put_u32(&pairs, (uint32_t)(end - i));
        pair_count++;
        i = end;
    }
    nx_buf_put_u32(&names, UINT32_MAX);
    nx_buf_put_u32(&names, pair_count);
    nx_free(postings);
    err = section_end(writer, ING_SECTION_LISTS);
    if (err == NX_OK) {
        section_begin(writer, ING_SECTION_NAMES);
        nx_buf_append_view(&writer->out, nx_buf_view(&names));
        err = nx_buf_err(&names) != NX_OK ? nx_buf_err(&names)
                                          : section_end(writer, ING_SECTION_NAMES);
    }
    if (err == NX_OK) {
        section_begin(writer, ING_SECTION_PAIRS);
        nx_buf_append_view(&writer->out, nx_buf_view(&pairs));
        err = nx_buf_err(&pairs) != NX_OK ? nx_buf_err(&pairs)
                                          : section_end(writer, ING_SECTION_PAIRS);
    }
    nx_buf_release(&names);
    nx_buf_release(&pairs);
    return err;
}

static enum nx_err write_meta(struct ing_block_writer *writer)
{
    writer->meta.series = writer->series_count;
    section_begin(writer, ING_SECTION_META);
    ing_block_meta_encode(&writer->out, &writer->meta);
    return section_end(writer, ING_SECTION_META);
}

static enum nx_err write_toc(struct ing_block_writer *writer)
{
    struct nx_buf *out = &writer->out;
    uint64_t toc = position(writer);
    for (uint32_t kind = 1; kind <= ING_SECTION_MAX; kind++) {
        const struct section *section = &writer->sections[kind];
        nx_buf_put_u32(out, kind);
        nx_buf_put_u32(out, section->crc);
        nx_buf_put_u64(out, section->offset);
        nx_buf_put_u64(out, section->len);
    }
    if (nx_buf_err(out) != NX_OK)
        return nx_buf_err(out);
    uint32_t len = (uint32_t)out->len;
    uint32_t crc = nx_crc32c(0, out->data, len);
    nx_buf_put_u64(out, toc);
    nx_buf_put_u32(out, len);
    nx_buf_put_u32(out, crc);
    nx_buf_put_u32(out, ING_BLOCK_VERSION);
    if (nx_buf_err(out) != NX_OK)
        return nx_buf_err(out);
    nx_buf_put_u32(out, nx_crc32c(0, out->data + len, 20));
    nx_buf_append(out, ING_BLOCK_MAGIC, ING_BLOCK_MAGIC_BYTES);
    return flush_out(writer, 0);
}

static enum nx_err publish(struct ing_block_writer *writer)
{
    const struct nx_fs *fs = writer->fs;
    enum nx_err err = fs->sync(fs, writer->fd);
    if (err != NX_OK)
        return err;
    err = fs->close(fs, writer->fd);
    writer->fd = -1;
    if (err == NX_OK)
        err = fs->sync_dir(fs, writer->tmp_dir);
    if (err == NX_OK)
        err = fs->rename(fs, writer->tmp_dir, writer->final_dir);
    if (err != NX_OK)
        return err;
    writer->finished = true;
    return fs->sync_dir(fs, writer->dir);
}

enum nx_err ing_block_writer_finish(struct ing_block_writer *writer)
{
    writer->sections[ING_SECTION_CHUNKS].len = position(writer) - ING_BLOCK_MAGIC_BYTES;
    enum nx_err err = flush_out(writer, 0);
    if (err == NX_OK)
        err = write_symbols(writer);
    if (err == NX_OK) {
        sort_series(writer);
        err = write_series(writer);
    }
    if (err == NX_OK)
        err = write_postings(writer);
    if (err == NX_OK)
        err = write_meta(writer);
    if (err == NX_OK)
        err = write_toc(writer);
    return err == NX_OK ? publish(writer) : err;
}
