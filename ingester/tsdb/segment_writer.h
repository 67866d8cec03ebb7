/* Writes the chunk segments of a TSDB block. One thread; blocking. */
#ifndef ING_TSDB_SEGMENT_WRITER_H
#define ING_TSDB_SEGMENT_WRITER_H

#include "ingester/tsdb/out_file.h"

struct ing_tsdb_segment_writer {
    const struct nx_fs *fs;
    const char *dir;    /* the caller's */
    uint64_t max_bytes; /* of a segment */
    uint32_t number;    /* of the open one; 0: none yet */
    struct ing_out_file file;
};

void ing_tsdb_segment_writer_init(struct ing_tsdb_segment_writer *writer, const struct nx_fs *fs,
                                  const char *dir, uint64_t max_bytes);
/* *ref is what the index refers to the chunk by. */
enum nx_err ing_tsdb_segment_writer_add(struct ing_tsdb_segment_writer *writer, unsigned kind,
                                        struct nx_view data, uint64_t *ref) NX_WARN_UNUSED;
/* Syncs the last segment, and the directory. */
enum nx_err ing_tsdb_segment_writer_finish(struct ing_tsdb_segment_writer *writer) NX_WARN_UNUSED;
void ing_tsdb_segment_writer_release(struct ing_tsdb_segment_writer *writer);

#endif
