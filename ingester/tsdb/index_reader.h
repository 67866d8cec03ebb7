/* Reads the index of a TSDB block (versions 1 to 3). Nothing in it is trusted: sections are checked
 * when it is opened, series one by one. Any thread once it is open. */
#ifndef ING_TSDB_INDEX_READER_H
#define ING_TSDB_INDEX_READER_H

#include "common/labels/labels.h"

struct ing_tsdb_index;

/* Over the bytes of an index file, which must outlive it. */
enum nx_err ing_tsdb_index_open(struct nx_view bytes, struct ing_tsdb_index **out,
                                struct nx_fail *fail) NX_WARN_UNUSED;
void ing_tsdb_index_free(struct ing_tsdb_index *index);

/* Series in the index. */
uint32_t ing_tsdb_index_count(const struct ing_tsdb_index *index);

struct ing_tsdb_chunk_meta {
    int64_t min_t;
    int64_t max_t; /* inclusive */
    uint64_t ref;
};

struct ing_tsdb_entry {
    uint64_t ref;                             /* as postings and tombstones name the series */
    struct nx_labels labels;                  /* the array in the arena, texts alias the index */
    const struct ing_tsdb_chunk_meta *chunks; /* in the arena */
    size_t chunk_count;
};

/* The i-th series, in the order of the label sets. */
enum nx_err ing_tsdb_index_series(const struct ing_tsdb_index *index, uint32_t i,
                                  struct nx_arena *arena, struct ing_tsdb_entry *out,
                                  struct nx_fail *fail) NX_WARN_UNUSED;

#endif
