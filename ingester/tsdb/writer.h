/* Writes a Prometheus TSDB block: index version 2, chunks of floats and histograms that every
 * Prometheus reads. It appears under its name, a ULID, only when all of it is synced. One thread;
 * blocking. */
#ifndef ING_TSDB_WRITER_H
#define ING_TSDB_WRITER_H

#include "common/chunk/sample.h"
#include "ingester/tsdb/index_writer.h"
#include "ingester/tsdb/meta.h"

struct ing_tsdb_writer;

struct ing_tsdb_writer_options {
    const struct nx_fs *fs;
    const char *dir;  /* exists */
    const char *ulid; /* name of the block */
    int64_t min_t;    /* of the block; the samples lie in [min_t, max_t) */
    int64_t max_t;
    uint64_t segment_bytes; /* 0: 512 MiB */
};

/* Begins <dir>/<ulid>.tmp-for-creation. */
enum nx_err ing_tsdb_writer_new(const struct ing_tsdb_writer_options *options,
                                struct ing_tsdb_writer **out) NX_WARN_UNUSED;
/* A series, its samples in ascending time; each series once, in any order (in the order of the
 * label sets it costs least). Takes the iterator, also on failure. A series without samples is left
 * out; a sample outside the block is NX_ERR_OUT_OF_BOUNDS. */
enum nx_err ing_tsdb_writer_add(struct ing_tsdb_writer *writer, struct nx_labels labels,
                                struct nx_sample_iter *samples) NX_WARN_UNUSED;
/* Writes the rest, syncs, renames. Without a series nothing is left behind and the meta says 0. */
enum nx_err ing_tsdb_writer_finish(struct ing_tsdb_writer *writer,
                                   struct ing_tsdb_meta *meta) NX_WARN_UNUSED;
/* Without a successful finish the temporary directory is removed. */
void ing_tsdb_writer_free(struct ing_tsdb_writer *writer);

#endif
