/* Series come in any order and leave in that of their labels: what is encoded of each waits in the
 * spill, together with the numbers of its label pairs, which are interned. Memory so follows the
 * number of series and labels, not that of samples. */
#include "ingester/block/block_writer.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/block/block_format.h"
#include "ingester/block/block_writer_internal.h"

#define SPILL_FILE "spill"
#define WRITE_BYTES ((size_t)1 << 20)
#define SPILL_BYTES ((size_t)4 << 20)

/* --- making and freeing --- */

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
    writer->spill.path = nx_path_join(writer->tmp_dir, SPILL_FILE);
    return writer->spill.path ? NX_OK : NX_ERR_NOMEM;
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

static void slabs_init(struct ing_block_writer *writer)
{
    uint64_t span = (uint64_t)writer->meta.max_t - (uint64_t)writer->meta.min_t;
    uint64_t slab_ms = ING_BLOCK_SLAB_MS;
    if (span / slab_ms >= ING_BLOCK_SLABS_MAX)
        slab_ms = span / ING_BLOCK_SLABS_MAX + 1;
    writer->meta.slab_ms = (int64_t)slab_ms;
    writer->slab_count = (uint32_t)((span + slab_ms - 1) / slab_ms);
}

enum nx_err ing_block_writer_new(const struct nx_fs *fs, const char *dir, const char *name,
                                 const struct ing_block_meta *meta, struct ing_block_writer **out)
{
    assert(meta->min_t < meta->max_t);
    struct ing_block_writer *writer = nx_calloc(1, sizeof *writer);
    if (!writer)
        return NX_ERR_NOMEM;
    writer->fs = fs;
    writer->meta = *meta;
    writer->meta.series = writer->meta.chunks = writer->meta.samples = 0;
    writer->fd = writer->spill.fd = -1;
    slabs_init(writer);
    nx_buf_init(&writer->out, SIZE_MAX / 4);
    nx_buf_init(&writer->spill.buf, SIZE_MAX / 4);
    nx_buf_init(&writer->record, SIZE_MAX / 4);
    nx_arena_init(&writer->arena, 0);
    nx_index_init(&writer->names);
    nx_index_init(&writer->pairs);
    ing_times_made_init(&writer->times);
    enum nx_err err = ing_pieces_new(meta->min_t, writer->meta.slab_ms, &writer->pieces);
    if (err == NX_OK)
        err = paths_init(writer, dir, name);
    if (err == NX_OK)
        err = file_open(writer);
    if (err != NX_OK) {
        ing_block_writer_free(writer);
        return err;
    }
    nx_buf_append(&writer->out, ING_BLOCK_MAGIC, ING_BLOCK_MAGIC_BYTES);
    *out = writer;
    return NX_OK;
}

void ing_block_writer_free(struct ing_block_writer *writer)
{
    if (!writer)
        return;
    nx_file_unmap(writer->spill.map);
    if (writer->spill.fd >= 0)
        (void)writer->fs->close(writer->fs, writer->spill.fd);
    if (writer->fd >= 0)
        (void)writer->fs->close(writer->fs, writer->fd);
    if (!writer->finished && writer->tmp_dir)
        (void)writer->fs->rmdir(writer->fs, writer->tmp_dir);
    ing_pieces_free(writer->pieces);
    ing_times_made_release(&writer->times);
    nx_buf_release(&writer->out);
    nx_buf_release(&writer->spill.buf);
    nx_buf_release(&writer->record);
    nx_arena_release(&writer->arena);
    nx_index_release(&writer->names);
    nx_index_release(&writer->pairs);
    nx_free(writer->name_items);
    nx_free(writer->pair_items);
    nx_free(writer->pair_series);
    nx_free(writer->series);
    nx_free(writer->spill.path);
    nx_free(writer->dir);
    nx_free(writer->tmp_dir);
    nx_free(writer->final_dir);
    nx_free(writer);
}

void ing_block_writer_slow(struct ing_block_writer *writer, struct ing_pace *pace)
{
    writer->pace = pace;
}

const char *ing_block_writer_path(const struct ing_block_writer *writer)
{
    return writer->final_dir;
}

enum nx_err ing_block_writer_flush(struct ing_block_writer *writer, size_t at_least)
{
    enum nx_err err = nx_buf_err(&writer->out);
    if (err != NX_OK || writer->out.len < at_least || writer->out.len == 0)
        return err;
    err = writer->fs->write(writer->fs, writer->fd, writer->out.data, writer->out.len);
    if (err == NX_OK)
        err = writer->fs->write_behind(writer->fs, writer->fd, writer->written, writer->out.len);
    if (err != NX_OK)
        return err;
    ing_pace_spend(writer->pace, writer->out.len);
    writer->written += writer->out.len;
    nx_buf_clear(&writer->out);
    return NX_OK;
}

/* --- labels --- */

static bool is_name(uint32_t ref, const void *key, const void *user)
{
    const struct ing_block_writer *writer = user;
    return nx_view_eq(writer->name_items[ref], *(const struct nx_view *)key);
}

/* Pairs carry the interned name, so that names are compared by address. */
static bool is_pair(uint32_t ref, const void *key, const void *user)
{
    const struct nx_label *pair = &((const struct ing_block_writer *)user)->pair_items[ref];
    const struct nx_label *wanted = key;
    return pair->name.ptr == wanted->name.ptr && nx_view_eq(pair->value, wanted->value);
}

static enum nx_err copy_text(struct ing_block_writer *writer, struct nx_view text,
                             struct nx_view *out)
{
    char *copy = nx_arena_alloc(&writer->arena, text.len ? text.len : 1);
    if (!copy)
        return NX_ERR_NOMEM;
    if (text.len > 0)
        memcpy(copy, text.ptr, text.len);
    *out = nx_view_make(copy, text.len);
    return NX_OK;
}

static enum nx_err intern_name(struct ing_block_writer *writer, struct nx_view name, uint32_t *out)
{
    uint64_t hash = nx_hash_view(name);
    *out = nx_index_find(&writer->names, hash, is_name, &name, writer);
    if (*out != NX_INDEX_NONE)
        return NX_OK;
    enum nx_err err = nx_grow(&writer->name_items, &writer->name_capacity, writer->name_count + 1,
                              sizeof *writer->name_items);
    if (err == NX_OK)
        err = copy_text(writer, name, &writer->name_items[writer->name_count]);
    if (err == NX_OK)
        err = nx_index_insert(&writer->names, hash, (uint32_t)writer->name_count);
    if (err == NX_OK)
        *out = (uint32_t)writer->name_count++;
    return err;
}

static enum nx_err intern_pair(struct ing_block_writer *writer, struct nx_label label,
                               uint32_t *out)
{
    uint32_t name;
    enum nx_err err = intern_name(writer, label.name, &name);
    if (err != NX_OK)
        return err;
    struct nx_label pair = {.name = writer->name_items[name], .value = label.value};
    uint64_t hash = nx_hash64_seeded(label.value.ptr, label.value.len, name);
    *out = nx_index_find(&writer->pairs, hash, is_pair, &pair, writer);
    if (*out != NX_INDEX_NONE)
        return NX_OK;
    err = nx_grow(&writer->pair_items, &writer->pair_capacity, writer->pair_count + 1,
                  sizeof *writer->pair_items);
    if (err == NX_OK)
        err = nx_grow(&writer->pair_series, &writer->pair_series_capacity, writer->pair_count + 1,
                      sizeof *writer->pair_series);
    if (err == NX_OK)
        err = copy_text(writer, label.value, &pair.value);
    if (err == NX_OK)
        err = nx_index_insert(&writer->pairs, hash, (uint32_t)writer->pair_count);
    if (err != NX_OK)
        return err;
    writer->pair_items[writer->pair_count] = pair;
    writer->pair_series[writer->pair_count] = 0;
    *out = (uint32_t)writer->pair_count++;
    return NX_OK;
}

static enum nx_err intern_labels(struct ing_block_writer *writer, struct nx_labels labels,
                                 struct ing_series_made *series)
{
    series->pairs = nx_arena_array(&writer->arena, labels.count, sizeof *series->pairs);
    if (!series->pairs)
        return NX_ERR_NOMEM;
    series->pair_count = (uint32_t)labels.count;
    for (size_t i = 0; i < labels.count; i++) {
        enum nx_err err = intern_pair(writer, labels.items[i], &series->pairs[i]);
        if (err != NX_OK)
            return err;
        writer->pair_series[series->pairs[i]]++;
        writer->pair_uses++;
    }
    return NX_OK;
}

/* --- the spill --- */

/* What the series' page will say of its pieces, then where their bytes go, then the bytes. */
static void put_record(struct ing_block_writer *writer, struct nx_series_id id, bool has_id)
{
    struct nx_buf *out = &writer->record;
    size_t count;
    const struct ing_piece *pieces = ing_pieces_items(writer->pieces, &count);
    uint32_t slab = 0;
    nx_buf_clear(out);
    nx_buf_put_u8(out, has_id);
    if (has_id)
        nx_series_id_put(out, id);
    nx_buf_put_uvarint(out, count);
    for (size_t i = 0; i < count; i++) {
        const struct ing_piece *piece = &pieces[i];
        nx_buf_put_uvarint(out,
                           (uint64_t)(piece->slab - slab) << ING_PIECE_KIND_BITS | piece->kind);
        slab = piece->slab;
        if (piece->kind == ING_PIECE_COLUMN) {
            nx_buf_put_uvarint(out, piece->column);
        } else {
            nx_buf_put_uvarint(out, piece->count);
            nx_buf_put_uvarint(out, (uint64_t)piece->min_t - (uint64_t)writer->meta.min_t);
            nx_buf_put_uvarint(out, (uint64_t)piece->max_t - (uint64_t)piece->min_t);
        }
        nx_buf_put_uvarint(out, piece->len);
    }
}

static enum nx_err spill_write(struct ing_block_writer *writer, size_t at_least)
{
    struct ing_spill *spill = &writer->spill;
    enum nx_err err = nx_buf_err(&spill->buf);
    if (err != NX_OK || spill->buf.len < at_least || spill->buf.len == 0)
        return err;
    if (spill->fd < 0)
        err = writer->fs->open(writer->fs, spill->path, NX_FILE_CREATE, &spill->fd);
    if (err == NX_OK)
        err = writer->fs->write(writer->fs, spill->fd, spill->buf.data, spill->buf.len);
    if (err != NX_OK)
        return err;
    spill->written += spill->buf.len;
    nx_buf_clear(&spill->buf);
    return NX_OK;
}

/* Lays all records out for reading: in memory, or mapped. */
static enum nx_err spill_finish(struct ing_block_writer *writer)
{
    struct ing_spill *spill = &writer->spill;
    if (spill->written == 0)
        return nx_buf_err(&spill->buf);
    enum nx_err err = spill_write(writer, 0);
    if (err != NX_OK)
        return err;
    err = writer->fs->close(writer->fs, spill->fd);
    spill->fd = -1;
    return err == NX_OK ? nx_file_map(spill->path, &spill->map) : err;
}

/* --- series --- */

static enum nx_err add_pieces(struct ing_block_writer *writer, struct nx_series_id id,
                              struct nx_labels labels)
{
    struct ing_series_made series = {.record = writer->spill.written + writer->spill.buf.len};
    size_t count;
    const struct ing_piece *pieces = ing_pieces_items(writer->pieces, &count);
    enum nx_err err = nx_grow(&writer->series, &writer->series_capacity, writer->series_count + 1,
                              sizeof *writer->series);
    if (err == NX_OK)
        err = intern_labels(writer, labels, &series);
    if (err != NX_OK)
        return err;
    struct nx_series_id own = nx_series_id_of(writer->meta.tenant, labels);
    put_record(writer, id, !nx_series_id_eq(own, id));
    err = nx_buf_err(&writer->record);
    if (err != NX_OK)
        return err;
    nx_buf_append_view(&writer->spill.buf, nx_buf_view(&writer->record));
    nx_buf_append_view(&writer->spill.buf, ing_pieces_bytes(writer->pieces));
    writer->series[writer->series_count++] = series;
    writer->meta.chunks += count;
    for (size_t i = 0; i < count; i++)
        writer->meta.samples += pieces[i].count;
    ing_pace_rest(writer->pace);
    return spill_write(writer, SPILL_BYTES);
}

enum nx_err ing_block_writer_add(struct ing_block_writer *writer, struct nx_series_id id,
                                 struct nx_labels labels, const struct nx_chunk *chunks,
                                 size_t count)
{
    size_t pieces;
    enum nx_err err =
        ing_pieces_cut(writer->pieces, chunks, count, writer->meta.max_t - 1, &writer->times);
    if (err != NX_OK)
        return err;
    (void)ing_pieces_items(writer->pieces, &pieces);
    return pieces > 0 ? add_pieces(writer, id, labels) : NX_OK;
}

/* --- the end --- */

static enum nx_err publish(struct ing_block_writer *writer)
{
    const struct nx_fs *fs = writer->fs;
    enum nx_err err = fs->sync(fs, writer->fd);
    if (err != NX_OK)
        return err;
    err = fs->close(fs, writer->fd);
    writer->fd = -1;
    if (err == NX_OK && writer->spill.written > 0)
        err = fs->unlink(fs, writer->spill.path);
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
    enum nx_err err = spill_finish(writer);
    if (err == NX_OK)
        err = ing_block_writer_content(writer);
    return err == NX_OK ? publish(writer) : err;
}
