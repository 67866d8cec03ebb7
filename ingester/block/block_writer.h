/* Writes a block: chunk data goes to the file as it comes, the rest is gathered in memory and
 * written at the end. Blocking; one thread. The block appears under its name only when all of it is
 * synced. */
#ifndef ING_BLOCK_WRITER_H
#define ING_BLOCK_WRITER_H

#include "common/base/file.h"
#include "common/chunk/chunk.h"
#include "common/labels/series_id.h"
#include "ingester/block/block_meta.h"
#include "ingester/pace.h"

struct ing_block_writer;

/* Begins <dir>/<name>.tmp; `dir` exists. Only tenant, times, created_ms, generation and positions
 * of the meta are read, which must outlive the writer. */
enum nx_err ing_block_writer_new(const struct nx_fs *fs, const char *dir, const char *name,
                                 const struct ing_block_meta *meta,
                                 struct ing_block_writer **out) NX_WARN_UNUSED;
/* From now on the writer goes no faster than the pace allows, which must outlive it. */
void ing_block_writer_slow(struct ing_block_writer *writer, struct ing_pace *pace);
/* A series with its chunks, in any order and overlapping, of which the samples in [min_t, max_t) of
 * the block are kept; each series once. The views need not outlive the call. */
enum nx_err ing_block_writer_add(struct ing_block_writer *writer, struct nx_series_id id,
                                 struct nx_labels labels, const struct nx_chunk *chunks,
                                 size_t count) NX_WARN_UNUSED;
/* Writes the index, syncs, renames to <dir>/<name> and syncs the directory. */
enum nx_err ing_block_writer_finish(struct ing_block_writer *writer) NX_WARN_UNUSED;
/* <dir>/<name>. */
const char *ing_block_writer_path(const struct ing_block_writer *writer);
/* Without a successful finish the temporary directory is removed. */
void ing_block_writer_free(struct ing_block_writer *writer);

#endif
