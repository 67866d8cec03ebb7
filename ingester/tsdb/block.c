/* Float chunks are the same bytes on both sides, so one that lies in the range as a whole is read
 * through once, for what it is, and handed on. Everything else is decoded and encoded anew: chunks
 * that the range or a deletion cuts, and histograms, whose chunks differ.
 *
 * Chunk data that is encoded anew is remembered by offset while `bytes` grows. */
#include "ingester/tsdb/block.h"

#include <inttypes.h>
#include <stdint.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/chunk/prom_chunk_iter.h"
#include "ingester/tsdb/format.h"

#define META_BYTES_MAX ((size_t)16 << 20)
#define TOMBSTONES_BYTES_MAX ((size_t)1 << 30)
/* As the head cuts them. */
#define CHUNK_SAMPLES 120

struct ing_tsdb_block {
    struct ing_tsdb_meta meta;
    struct nx_arena arena;     /* of the meta */
    struct nx_view index_file; /* mapped; or empty */
    struct ing_tsdb_index *index;
    struct ing_tsdb_segments segments;
    bool borrowed; /* the segments are the caller's bytes */
    struct ing_tsdb_tombstones tombstones;
    struct nx_arena last_arena;
    struct nx_labels last; /* the series asked for before, of this number */
    uint32_t last_i;
};

static struct ing_tsdb_block *block_new(struct nx_fail *fail)
{
    struct ing_tsdb_block *block = nx_calloc(1, sizeof *block);
    if (!block) {
        nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
        return NULL;
    }
    nx_arena_init(&block->arena, 0);
    nx_arena_init(&block->last_arena, 0);
    return block;
}

void ing_tsdb_block_close(struct ing_tsdb_block *block)
{
    if (!block)
        return;
    ing_tsdb_index_free(block->index);
    if (block->borrowed)
        nx_free(block->segments.files);
    else
        ing_tsdb_segments_close(&block->segments);
    ing_tsdb_tombstones_release(&block->tombstones);
    nx_file_unmap(block->index_file);
    nx_arena_release(&block->last_arena);
    nx_arena_release(&block->arena);
    nx_free(block);
}

static enum nx_err path_fail(enum nx_err err, const char *path, struct nx_fail *fail)
{
    return nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
}

static enum nx_err read_meta(struct ing_tsdb_block *block, const char *path, struct nx_fail *fail)
{
    char *bytes;
    size_t len;
    enum nx_err err = nx_file_read_all(path, META_BYTES_MAX, &bytes, &len);
    if (err != NX_OK)
        return path_fail(err, path, fail);
    err = ing_tsdb_meta_parse(nx_view_make(bytes, len), &block->arena, &block->meta, fail);
    nx_free(bytes);
    return err;
}

static enum nx_err read_tombstones(struct ing_tsdb_block *block, const char *path,
                                   struct nx_fail *fail)
{
    char *bytes;
    size_t len;
    enum nx_err err = nx_file_read_all(path, TOMBSTONES_BYTES_MAX, &bytes, &len);
    if (err == NX_ERR_NOT_FOUND)
        return NX_OK;
    if (err != NX_OK)
        return path_fail(err, path, fail);
    err = ing_tsdb_tombstones_read(nx_view_make(bytes, len), &block->tombstones, fail);
    nx_free(bytes);
    return err;
}

static enum nx_err read_index(struct ing_tsdb_block *block, const char *path, struct nx_fail *fail)
{
    enum nx_err err = nx_file_map(path, &block->index_file);
    if (err != NX_OK)
        return path_fail(err, path, fail);
    return ing_tsdb_index_open(block->index_file, &block->index, fail);
}

static enum nx_err read_segments(struct ing_tsdb_block *block, const char *path,
                                 struct nx_fail *fail)
{
    return ing_tsdb_segments_open(path, &block->segments, fail);
}

enum nx_err ing_tsdb_block_open(const char *dir, struct ing_tsdb_block **out, struct nx_fail *fail)
{
    static const struct {
        const char *name;
        enum nx_err (*read)(struct ing_tsdb_block *block, const char *path, struct nx_fail *fail);
    } parts[] = {{ING_TSDB_META_FILE, read_meta},
                 {ING_TSDB_INDEX_FILE, read_index},
                 {ING_TSDB_CHUNKS_DIR, read_segments},
                 {ING_TSDB_TOMBSTONES_FILE, read_tombstones}};
    struct ing_tsdb_block *block = block_new(fail);
    enum nx_err err = NX_OK;
    if (!block)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && err == NX_OK; i++) {
        char *path = nx_path_join(dir, parts[i].name);
        err = path ? parts[i].read(block, path, fail)
                   : nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
        nx_free(path);
    }
    if (err != NX_OK)
        ing_tsdb_block_close(block);
    else
        *out = block;
    return err;
}

enum nx_err ing_tsdb_block_of(struct nx_view index, struct nx_view segment,
                              struct nx_view tombstones, struct ing_tsdb_block **out,
                              struct nx_fail *fail)
{
    struct ing_tsdb_block *block = block_new(fail);
    enum nx_err err = NX_OK;
    if (!block)
        return NX_ERR_NOMEM;
    block->borrowed = true;
    block->segments.files = nx_calloc(1, sizeof *block->segments.files);
    if (!block->segments.files)
        err = nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    if (err == NX_OK) {
        block->segments.files[0] = segment;
        block->segments.count = 1;
        err = ing_tsdb_segment_check(segment, 1, fail);
    }
    if (err == NX_OK)
        err = ing_tsdb_index_open(index, &block->index, fail);
    if (err == NX_OK && tombstones.len > 0)
        err = ing_tsdb_tombstones_read(tombstones, &block->tombstones, fail);
    if (err != NX_OK)
        ing_tsdb_block_close(block);
    else
        *out = block;
    return err;
}

const struct ing_tsdb_meta *ing_tsdb_block_meta(const struct ing_tsdb_block *block)
{
    return &block->meta;
}

uint32_t ing_tsdb_block_count(const struct ing_tsdb_block *block)
{
    return ing_tsdb_index_count(block->index);
}

enum nx_err ing_tsdb_block_series(struct ing_tsdb_block *block, uint32_t i, struct nx_arena *arena,
                                  struct ing_tsdb_series *out, struct nx_fail *fail)
{
    struct ing_tsdb_series series;
    enum nx_err err = ing_tsdb_index_series(block->index, i, arena, &series.entry, fail);
    if (err != NX_OK)
        return err;
    if (block->last.items && i == block->last_i + 1 &&
        nx_labels_cmp(block->last, series.entry.labels) >= 0)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "index: series %" PRIu32 " is not in order", i);
    nx_arena_clear(&block->last_arena);
    struct nx_label *items =
        nx_arena_array(&block->last_arena, series.entry.labels.count, sizeof *items);
    if (!items)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    for (size_t k = 0; k < series.entry.labels.count; k++)
        items[k] = series.entry.labels.items[k];
    block->last = (struct nx_labels){.items = items, .count = series.entry.labels.count};
    block->last_i = i;
    series.deleted =
        ing_tsdb_tombstones_of(&block->tombstones, series.entry.ref, &series.deleted_count);
    *out = series;
    return NX_OK;
}

/* --- chunks --- */

void ing_tsdb_chunks_init(struct ing_tsdb_chunks *chunks)
{
    *chunks = (struct ing_tsdb_chunks){0};
    nx_buf_init(&chunks->bytes, SIZE_MAX / 4);
}

void ing_tsdb_chunks_release(struct ing_tsdb_chunks *chunks)
{
    nx_free(chunks->items);
    nx_buf_release(&chunks->bytes);
    *chunks = (struct ing_tsdb_chunks){0};
}

/* What is asked for. */
struct cut {
    const struct ing_tsdb_series *series;
    int64_t min_t;
    int64_t max_t;
};

static bool is_deleted(const struct cut *cut, int64_t t)
{
    for (size_t i = 0; i < cut->series->deleted_count; i++)
        if (t >= cut->series->deleted[i].min_t && t <= cut->series->deleted[i].max_t)
            return true;
    return false;
}

static bool touches_deleted(const struct cut *cut, int64_t min_t, int64_t max_t)
{
    for (size_t i = 0; i < cut->series->deleted_count; i++)
        if (max_t >= cut->series->deleted[i].min_t && min_t <= cut->series->deleted[i].max_t)
            return true;
    return false;
}

static enum nx_err add_chunk(struct ing_tsdb_chunks *out, const struct nx_chunk *chunk)
{
    enum nx_err err = nx_grow(&out->items, &out->capacity, out->count + 1, sizeof *out->items);
    if (err == NX_OK)
        out->items[out->count++] = *chunk;
    return err;
}

static void count_samples(struct ing_tsdb_chunks *out, const struct nx_chunk *chunk)
{
    if (chunk->encoding == NX_CHUNK_XOR)
        out->floats += chunk->count;
    else
        out->histograms += chunk->count;
}

/* Where the data is not in the block, its view has no pointer until all is encoded. */
static enum nx_err seal(struct nx_chunk_appender *app, struct ing_tsdb_chunks *out)
{
    struct nx_chunk chunk = nx_chunk_appender_chunk(app);
    if (chunk.count == 0)
        return NX_OK;
    nx_buf_append_view(&out->bytes, chunk.data);
    chunk.data.ptr = NULL;
    count_samples(out, &chunk);
    enum nx_err err = nx_buf_err(&out->bytes);
    return err == NX_OK ? add_chunk(out, &chunk) : err;
}

/* A counter's histogram whose neighbour before it is left out is no longer known to continue it. */
static struct nx_sample without_hint(struct nx_sample sample, struct nx_histogram *copy)
{
    if (!sample.histogram || sample.histogram->hint == NX_HINT_GAUGE)
        return sample;
    *copy = *sample.histogram;
    copy->hint = NX_HINT_UNKNOWN;
    sample.histogram = copy;
    return sample;
}

static enum nx_err append_kept(struct nx_sample_iter *it, const struct cut *cut,
                               struct nx_chunk_appender **app, struct ing_tsdb_chunks *out)
{
    struct nx_sample sample;
    struct nx_histogram copy;
    bool skipped = false;
    int got;
    while ((got = nx_sample_next(it, &sample)) > 0) {
        if (sample.t < cut->min_t || sample.t > cut->max_t || is_deleted(cut, sample.t)) {
            skipped = true;
            continue;
        }
        if (skipped)
            sample = without_hint(sample, &copy);
        skipped = false;
        if (nx_chunk_appender_chunk(*app).count == CHUNK_SAMPLES) {
            enum nx_chunk_encoding encoding = nx_chunk_appender_chunk(*app).encoding;
            enum nx_err err = seal(*app, out);
            nx_chunk_appender_free(*app);
            *app = NULL;
            if (err == NX_OK)
                err = nx_chunk_appender_new(encoding, app);
            if (err != NX_OK)
                return err;
        }
        enum nx_err err = nx_chunk_append(*app, &sample);
        if (err != NX_OK)
            return err;
    }
    return (enum nx_err)got;
}

static enum nx_err encode_anew(const struct ing_tsdb_chunk *raw, const struct cut *cut,
                               struct ing_tsdb_chunks *out)
{
    bool floats = raw->kind == NX_PROM_KIND_XOR || raw->kind == NX_PROM_KIND_XOR2;
    struct nx_chunk_appender *app = NULL;
    struct nx_sample_iter *it;
    enum nx_err err = nx_prom_chunk_iter_new(raw->kind, raw->data, &it);
    if (err != NX_OK)
        return err;
    err = nx_chunk_appender_new(floats ? NX_CHUNK_XOR : NX_CHUNK_HISTOGRAM_RUN, &app);
    if (err == NX_OK)
        err = append_kept(it, cut, &app, out);
    if (err == NX_OK)
        err = seal(app, out);
    nx_chunk_appender_free(app);
    nx_sample_iter_free(it);
    return err;
}

static enum nx_err take_chunk(const struct ing_tsdb_chunk *raw, const struct cut *cut,
                              struct ing_tsdb_chunks *out)
{
    struct nx_chunk chunk;
    if (raw->kind == NX_PROM_KIND_XOR) {
        enum nx_err err = nx_chunk_inspect(NX_CHUNK_XOR, raw->data, &chunk);
        bool whole = err == NX_OK && chunk.min_t >= cut->min_t && chunk.max_t <= cut->max_t &&
                     chunk.count > 0 && !touches_deleted(cut, chunk.min_t, chunk.max_t);
        if (whole) {
            count_samples(out, &chunk);
            return add_chunk(out, &chunk);
        }
    }
    return encode_anew(raw, cut, out);
}

/* Gives the chunks encoded anew their places in `bytes`, where they lie in order. */
static void resolve(struct ing_tsdb_chunks *out)
{
    size_t at = 0;
    for (size_t i = 0; i < out->count; i++) {
        if (out->items[i].data.ptr)
            continue;
        out->items[i].data.ptr = out->bytes.data + at;
        at += out->items[i].data.len;
    }
}

enum nx_err ing_tsdb_block_chunks(const struct ing_tsdb_block *block,
                                  const struct ing_tsdb_series *series, int64_t min_t,
                                  int64_t max_t, struct ing_tsdb_chunks *out, struct nx_fail *fail)
{
    struct cut cut = {.series = series, .min_t = min_t, .max_t = max_t};
    out->count = 0;
    out->floats = out->histograms = 0;
    nx_buf_clear(&out->bytes);
    for (size_t i = 0; i < series->entry.chunk_count; i++) {
        const struct ing_tsdb_chunk_meta *meta = &series->entry.chunks[i];
        struct ing_tsdb_chunk raw;
        if (meta->max_t < min_t || meta->min_t > max_t)
            continue;
        enum nx_err err = ing_tsdb_segments_chunk(&block->segments, meta->ref, &raw, fail);
        if (err != NX_OK)
            return err;
        err = take_chunk(&raw, &cut, out);
        if (err != NX_OK)
            return nx_fail_set(fail, err,
                               "chunks/%06" PRIu64 ": the chunk at %" PRIu64
                               " (encoding %u) cannot be read: %s",
                               (meta->ref >> 32) + 1, meta->ref & UINT32_MAX, raw.kind,
                               err == NX_ERR_UNSUPPORTED ? "unknown encoding or histogram schema"
                                                         : nx_err_text(err));
    }
    resolve(out);
    return NX_OK;
}
