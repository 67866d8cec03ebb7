/* Columns of 64-bit integers (docs/formats/chunk.md, "Integer columns"): as runs of equal steps, or
 * in groups of 128, each by what is smallest for it: the distances from a straight line (as LeCo,
 * SIGMOD 2024), differences, or differences of differences. Arithmetic is modulo 2^64, so every
 * sequence has a code. Any thread. */
#ifndef NX_CHUNK_COLUMN_INTS_H
#define NX_CHUNK_COLUMN_INTS_H

#include <stdbool.h>

#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/chunk/column/dequant.h"
#include "common/chunk/column/pack.h"

/* Appends the code of `count` > 0 integers; failures stay in the buffer. */
void nx_ints_encode(struct nx_buf *out, const int64_t *values, size_t count);

/* Reads a column group by group, straight from the bytes, which must outlive it. */
struct nx_ints_reader {
    struct nx_cursor cur;
    size_t left; /* integers */
    bool runs;
    bool begun;
    bool ascends; /* the last group is known to, strictly */
    uint64_t last;
    uint64_t delta;
    uint64_t slope;
    uint64_t run_left; /* of the run that is open */
    uint64_t run_step;
};

enum nx_err nx_ints_open(struct nx_ints_reader *reader, struct nx_view bytes,
                         size_t count) NX_WARN_UNUSED;
/* The next NX_PACK_GROUP integers, or what is left of them: *got. `out` has room for a whole group.
 * After the last one, bytes that remain in `cur` are the caller's. */
enum nx_err nx_ints_next(struct nx_ints_reader *reader, int64_t *out, size_t *got) NX_WARN_UNUSED;
/* The same, as the floats that the integers stand for; an integer beyond the limit of decimal.h is
 * damage. */
enum nx_err nx_ints_next_floats(struct nx_ints_reader *reader, const struct nx_dequant *scale,
                                double *out, size_t *got) NX_WARN_UNUSED;

#endif
