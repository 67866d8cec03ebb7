/* Finds the TSDB blocks that a path holds: one block, or a data directory with many. Blocking. */
#ifndef ING_TSDB_SOURCE_H
#define ING_TSDB_SOURCE_H

#include "ingester/tsdb/meta.h"

struct ing_tsdb_source_block {
    const char *dir;
    struct ing_tsdb_meta meta;
};

struct ing_tsdb_source {
    struct nx_arena arena;
    struct ing_tsdb_source_block *blocks; /* by time */
    size_t count;
    size_t capacity;
    size_t replaced; /* left out: another block was made of them, or a deletion emptied them */
    bool has_head;   /* there is a head or a log beside the blocks, which is not read */
};

/* NX_ERR_NOT_FOUND where there is no block. */
enum nx_err ing_tsdb_source_find(const char *path, struct ing_tsdb_source *out,
                                 struct nx_fail *fail) NX_WARN_UNUSED;
void ing_tsdb_source_release(struct ing_tsdb_source *source);

#endif
