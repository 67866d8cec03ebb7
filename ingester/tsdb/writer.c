/* Chunks go to the segments as the series come. Where those did not come in the order of their
 * label sets, the segments are copied at the end into the order in which Prometheus has them: the
 * references ascend with the series. */
#include "ingester/tsdb/writer.h"

#include "common/base/alloc.h"
#include "common/chunk/prom_chunks.h"
#include "ingester/tsdb/format.h"
#include "ingester/tsdb/segment_writer.h"
#include "ingester/tsdb/segments.h"

#define SORTED_DIR "chunks.sorted"

struct ing_tsdb_writer {
    const struct nx_fs *fs;
    struct ing_tsdb_meta meta;
    uint64_t segment_bytes;
    char *dir;
    char *final_dir;
    char *tmp_dir;
    char *chunks_dir;
    char *sorted_dir;
    bool begun; /* the temporary directory is there */
    bool finished;
    struct ing_tsdb_segment_writer segments;
    struct ing_tsdb_index_writer *index;
    struct ing_tsdb_chunk_meta *chunks; /* of the series being added */
    size_t chunk_capacity;
    struct nx_arena last_arena;
    struct nx_labels last; /* the series added before */
    bool unsorted;
};

static enum nx_err make_paths(struct ing_tsdb_writer *writer, const char *dir)
{
    struct nx_buf name;
    nx_buf_init(&name, 256);
    nx_buf_printf(&name, "%s.tmp-for-creation", writer->meta.ulid);
    nx_buf_append_char(&name, '\0');
    if (nx_buf_err(&name) == NX_OK) {
        writer->dir = nx_strdup(dir);
        writer->final_dir = nx_path_join(dir, writer->meta.ulid);
        writer->tmp_dir = nx_path_join(dir, name.data);
    }
    nx_buf_release(&name);
    if (!writer->dir || !writer->final_dir || !writer->tmp_dir)
        return NX_ERR_NOMEM;
    writer->chunks_dir = nx_path_join(writer->tmp_dir, ING_TSDB_CHUNKS_DIR);
    writer->sorted_dir = nx_path_join(writer->tmp_dir, SORTED_DIR);
    return writer->chunks_dir && writer->sorted_dir ? NX_OK : NX_ERR_NOMEM;
}

enum nx_err ing_tsdb_writer_new(const struct ing_tsdb_writer_options *options,
                                struct ing_tsdb_writer **out)
{
    struct ing_tsdb_writer *writer = nx_calloc(1, sizeof *writer);
    if (!writer)
        return NX_ERR_NOMEM;
    writer->fs = options->fs;
    writer->segment_bytes =
        options->segment_bytes ? options->segment_bytes : ING_TSDB_SEGMENT_BYTES;
    writer->meta.min_t = options->min_t;
    writer->meta.max_t = options->max_t;
    writer->meta.level = 1;
    memcpy(writer->meta.ulid, options->ulid, ING_TSDB_ULID_CHARS);
    nx_arena_init(&writer->last_arena, 0);
    enum nx_err err = make_paths(writer, options->dir);
    if (err == NX_OK)
        err = ing_tsdb_index_writer_new(&writer->index);
    if (err == NX_OK)
        err = writer->fs->mkdir(writer->fs, writer->chunks_dir);
    if (err != NX_OK) {
        ing_tsdb_writer_free(writer);
        return err;
    }
    writer->begun = true;
    ing_tsdb_segment_writer_init(&writer->segments, writer->fs, writer->chunks_dir,
                                 writer->segment_bytes);
    *out = writer;
    return NX_OK;
}

void ing_tsdb_writer_free(struct ing_tsdb_writer *writer)
{
    if (!writer)
        return;
    ing_tsdb_segment_writer_release(&writer->segments);
    ing_tsdb_index_writer_free(writer->index);
    if (writer->begun && !writer->finished)
        (void)writer->fs->rmdir(writer->fs, writer->tmp_dir);
    nx_arena_release(&writer->last_arena);
    nx_free(writer->chunks);
    nx_free(writer->dir);
    nx_free(writer->final_dir);
    nx_free(writer->tmp_dir);
    nx_free(writer->chunks_dir);
    nx_free(writer->sorted_dir);
    nx_free(writer);
}

/* --- adding --- */

static enum nx_err write_chunk(struct ing_tsdb_writer *writer, const struct nx_prom_chunk *chunk,
                               size_t at)
{
    if (chunk->min_t < writer->meta.min_t || chunk->max_t >= writer->meta.max_t)
        return NX_ERR_OUT_OF_BOUNDS;
    enum nx_err err =
        nx_grow(&writer->chunks, &writer->chunk_capacity, at + 1, sizeof *writer->chunks);
    if (err != NX_OK)
        return err;
    struct ing_tsdb_chunk_meta *meta = &writer->chunks[at];
    meta->min_t = chunk->min_t;
    meta->max_t = chunk->max_t;
    err = ing_tsdb_segment_writer_add(&writer->segments, chunk->encoding, chunk->data, &meta->ref);
    if (err != NX_OK)
        return err;
    writer->meta.samples += chunk->count;
    if (chunk->encoding == NX_PROM_XOR)
        writer->meta.float_samples += chunk->count;
    else
        writer->meta.histogram_samples += chunk->count;
    return NX_OK;
}

static enum nx_err note_order(struct ing_tsdb_writer *writer, struct nx_labels labels)
{
    if (writer->unsorted)
        return NX_OK;
    if (writer->last.items && nx_labels_cmp(writer->last, labels) >= 0)
        writer->unsorted = true;
    nx_arena_clear(&writer->last_arena);
    writer->last = nx_labels_copy(&writer->last_arena, labels);
    return writer->last.items || labels.count == 0 ? NX_OK : NX_ERR_NOMEM;
}

enum nx_err ing_tsdb_writer_add(struct ing_tsdb_writer *writer, struct nx_labels labels,
                                struct nx_sample_iter *samples)
{
    struct nx_prom_chunks *cutter;
    struct nx_prom_chunk chunk;
    size_t count = 0;
    int got = 0;
    enum nx_err err = nx_prom_chunks_new(samples, &cutter);
    if (err != NX_OK)
        return err;
    nx_prom_chunks_keep_layouts(cutter);
    while (err == NX_OK && (got = nx_prom_chunks_next(cutter, &chunk)) == 1)
        err = write_chunk(writer, &chunk, count++);
    nx_prom_chunks_free(cutter);
    if (err == NX_OK)
        err = (enum nx_err)got;
    if (err == NX_OK && count > 0)
        err = note_order(writer, labels);
    if (err == NX_OK && count > 0)
        err = ing_tsdb_index_writer_add(writer->index, labels, writer->chunks, count);
    if (err == NX_OK)
        writer->meta.chunks += count;
    return err;
}

/* --- the end --- */

static enum nx_err copy_series(struct ing_tsdb_writer *writer, uint32_t i,
                               const struct ing_tsdb_segments *from,
                               struct ing_tsdb_segment_writer *to)
{
    size_t count;
    struct ing_tsdb_chunk_meta *chunks = ing_tsdb_index_writer_chunks(writer->index, i, &count);
    enum nx_err err = NX_OK;
    for (size_t k = 0; k < count && err == NX_OK; k++) {
        struct ing_tsdb_chunk chunk;
        err = ing_tsdb_segments_chunk(from, chunks[k].ref, &chunk, NULL);
        if (err == NX_OK)
            err = ing_tsdb_segment_writer_add(to, chunk.kind, chunk.data, &chunks[k].ref);
    }
    return err;
}

static enum nx_err sort_segments(struct ing_tsdb_writer *writer)
{
    struct ing_tsdb_segments from;
    struct ing_tsdb_segment_writer to;
    enum nx_err err = ing_tsdb_segments_open(writer->chunks_dir, &from, NULL);
    if (err != NX_OK)
        return err;
    ing_tsdb_segment_writer_init(&to, writer->fs, writer->sorted_dir, writer->segment_bytes);
    err = writer->fs->mkdir(writer->fs, writer->sorted_dir);
    uint32_t count = ing_tsdb_index_writer_count(writer->index);
    for (uint32_t i = 0; i < count && err == NX_OK; i++)
        err = copy_series(writer, i, &from, &to);
    if (err == NX_OK)
        err = ing_tsdb_segment_writer_finish(&to);
    ing_tsdb_segment_writer_release(&to);
    ing_tsdb_segments_close(&from);
    if (err == NX_OK)
        err = writer->fs->rmdir(writer->fs, writer->chunks_dir);
    if (err == NX_OK)
        err = writer->fs->rename(writer->fs, writer->sorted_dir, writer->chunks_dir);
    return err;
}

static enum nx_err write_index(struct ing_tsdb_writer *writer)
{
    struct ing_out_file file;
    enum nx_err err = ing_out_file_open(&file, writer->fs, writer->tmp_dir, ING_TSDB_INDEX_FILE);
    if (err != NX_OK)
        return err;
    err = ing_tsdb_index_writer_write(writer->index, &file);
    if (err == NX_OK)
        err = ing_out_file_finish(&file);
    ing_out_file_release(&file);
    return err;
}

static enum nx_err write_meta(struct ing_tsdb_writer *writer)
{
    struct ing_out_file file;
    enum nx_err err = ing_out_file_open(&file, writer->fs, writer->tmp_dir, ING_TSDB_META_FILE);
    if (err != NX_OK)
        return err;
    ing_tsdb_meta_print(&file.buf, &writer->meta);
    err = ing_out_file_finish(&file);
    ing_out_file_release(&file);
    return err;
}

static enum nx_err publish(struct ing_tsdb_writer *writer)
{
    enum nx_err err = writer->fs->sync_dir(writer->fs, writer->tmp_dir);
    if (err == NX_OK)
        err = writer->fs->rename(writer->fs, writer->tmp_dir, writer->final_dir);
    if (err != NX_OK)
        return err;
    writer->finished = true;
    return writer->fs->sync_dir(writer->fs, writer->dir);
}

enum nx_err ing_tsdb_writer_finish(struct ing_tsdb_writer *writer, struct ing_tsdb_meta *meta)
{
    writer->meta.series = ing_tsdb_index_writer_count(writer->index);
    enum nx_err err = NX_OK;
    if (writer->meta.series > 0) {
        err = ing_tsdb_segment_writer_finish(&writer->segments);
        if (err == NX_OK)
            err = ing_tsdb_index_writer_sort(writer->index);
        if (err == NX_OK && writer->unsorted)
            err = sort_segments(writer);
        if (err == NX_OK)
            err = write_index(writer);
        if (err == NX_OK)
            err = write_meta(writer);
        if (err == NX_OK)
            err = publish(writer);
    }
    if (err == NX_OK)
        *meta = writer->meta;
    return err;
}
