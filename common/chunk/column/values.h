/* Columns of floats, bit for bit (docs/formats/chunk.md, "Value columns"): one value for all, the
 * decimal numbers that they were before they became floats (as ALP, SIGMOD 2024), decimal numbers
 * with the error of sums, their bits as integers, or changed bits; whichever is smallest. Any
 * thread. */
#ifndef NX_CHUNK_COLUMN_VALUES_H
#define NX_CHUNK_COLUMN_VALUES_H

#include "common/chunk/bits.h"
#include "common/chunk/column/ints.h"

/* A column's length at most. */
#define NX_COLUMN_MAX 8192

/* The writer's memory; one a thread, of any content. */
struct nx_values_scratch {
    int64_t ints[NX_COLUMN_MAX];
    int64_t rests[NX_COLUMN_MAX];
    uint16_t exceptions[NX_COLUMN_MAX];
    size_t exception_count;
};

/* Appends the code of 0 < count <= NX_COLUMN_MAX values, given as their bits. */
void nx_values_encode(struct nx_buf *out, const uint64_t *bits, size_t count,
                      struct nx_values_scratch *scratch);

enum nx_values_scheme {
    NX_VALUES_CONSTANT,
    NX_VALUES_BITS,
    NX_VALUES_XOR,
    NX_VALUES_RESIDUE,
    NX_VALUES_DECIMAL = 0x80, /* and flags */
};

struct nx_values_reader {
    enum nx_values_scheme scheme;
    size_t left;
    size_t at;
    struct nx_dequant scale; /* DECIMAL, RESIDUE */
    struct nx_ints_reader ints;
    struct nx_ints_reader rests;
    struct nx_cursor exceptions;
    uint64_t exception_count;
    uint64_t next_exception; /* position */
    uint64_t bits;           /* CONSTANT, XOR */
    struct nx_bit_reader stream;
    uint8_t leading, trailing;
};

/* The bytes are those of one column, no more, and must outlive the reader. */
enum nx_err nx_values_open(struct nx_values_reader *reader, struct nx_view bytes,
                           size_t count) NX_WARN_UNUSED;
/* The next NX_PACK_GROUP values, or what is left: *got. `out` has room for a whole group. Bytes
 * behind the last value are damage. */
enum nx_err nx_values_next(struct nx_values_reader *reader, double *out,
                           size_t *got) NX_WARN_UNUSED;

#endif
