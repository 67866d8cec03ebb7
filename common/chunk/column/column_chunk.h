/* NX_CHUNK_COLUMN: floats as two columns, times and values (docs/formats/chunk.md). A block keeps
 * the two apart and puts them together when it hands out a chunk; nothing is encoded anew. */
#ifndef NX_CHUNK_COLUMN_COLUMN_CHUNK_H
#define NX_CHUNK_COLUMN_COLUMN_CHUNK_H

#include "common/chunk/column/values.h"
#include "common/chunk/sample.h"

/* Reads the samples of a chunk group by group. */
struct nx_column_reader {
    struct nx_ints_reader times;
    struct nx_values_reader values;
    int64_t last;
    bool begun;
};

/* The chunk of two columns of 0 < count <= NX_COLUMN_MAX (ints.h, values.h). */
void nx_column_put(struct nx_buf *out, size_t count, struct nx_view times, struct nx_view values);
/* Takes a chunk apart. */
enum nx_err nx_column_open(struct nx_column_reader *reader, struct nx_view chunk,
                           uint32_t *count) NX_WARN_UNUSED;
/* The next NX_PACK_GROUP samples, or what is left: *got, 0 at the end. The arrays have room for a
 * whole group. */
enum nx_err nx_column_next(struct nx_column_reader *reader, int64_t *times, double *values,
                           size_t *got) NX_WARN_UNUSED;

enum nx_err nx_column_iter_new(struct nx_view data, struct nx_sample_iter **out) NX_WARN_UNUSED;

#endif
