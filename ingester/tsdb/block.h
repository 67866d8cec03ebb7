/* A Prometheus TSDB block, opened for reading: its series in the order of their label sets, their
 * samples as chunks of ours. Nothing in the files is trusted: whatever is wrong with them is an
 * error that says where, never a wrong sample. One thread at a time; blocking. */
#ifndef ING_TSDB_BLOCK_H
#define ING_TSDB_BLOCK_H

#include "common/chunk/chunk.h"
#include "ingester/tsdb/index_reader.h"
#include "ingester/tsdb/meta.h"
#include "ingester/tsdb/segments.h"
#include "ingester/tsdb/tombstones.h"

struct ing_tsdb_block;

/* Maps the files of the directory. */
enum nx_err ing_tsdb_block_open(const char *dir, struct ing_tsdb_block **out,
                                struct nx_fail *fail) NX_WARN_UNUSED;
/* Over bytes in memory, which must outlive the block: an index, one segment of chunks, and
 * tombstones (may be empty). */
enum nx_err ing_tsdb_block_of(struct nx_view index, struct nx_view segment,
                              struct nx_view tombstones, struct ing_tsdb_block **out,
                              struct nx_fail *fail) NX_WARN_UNUSED;
void ing_tsdb_block_close(struct ing_tsdb_block *block);

const struct ing_tsdb_meta *ing_tsdb_block_meta(const struct ing_tsdb_block *block);
uint32_t ing_tsdb_block_count(const struct ing_tsdb_block *block);

struct ing_tsdb_series {
    struct ing_tsdb_entry entry;
    const struct ing_tsdb_tombstone *deleted;
    size_t deleted_count;
};

/* The i-th series. One that is not behind the series before it, where that was asked for just
 * before, is damage. */
enum nx_err ing_tsdb_block_series(struct ing_tsdb_block *block, uint32_t i, struct nx_arena *arena,
                                  struct ing_tsdb_series *out, struct nx_fail *fail) NX_WARN_UNUSED;

/* Chunks of ours; their data lies in the block or in `bytes`. */
struct ing_tsdb_chunks {
    struct nx_chunk *items;
    size_t count;
    size_t capacity;
    struct nx_buf bytes;
    uint64_t floats; /* samples of both kinds */
    uint64_t histograms;
};
void ing_tsdb_chunks_init(struct ing_tsdb_chunks *chunks);
void ing_tsdb_chunks_release(struct ing_tsdb_chunks *chunks);
/* The samples of the series in [min_t, max_t], both inclusive, without the deleted ones; replaces
 * what was there. Chunks that need no change are taken as they are. */
enum nx_err ing_tsdb_block_chunks(const struct ing_tsdb_block *block,
                                  const struct ing_tsdb_series *series, int64_t min_t,
                                  int64_t max_t, struct ing_tsdb_chunks *out,
                                  struct nx_fail *fail) NX_WARN_UNUSED;

#endif
