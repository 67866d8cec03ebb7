/* What appender and iterator of NX_CHUNK_HISTOGRAM_RUN share: the flags of a record and the codes
 * of its numbers (docs/formats/chunk.md). */
#ifndef NX_CHUNK_HISTOGRAM_RUN_H
#define NX_CHUNK_HISTOGRAM_RUN_H

#include "common/chunk/histogram_codec.h"
#include "common/chunk/sample.h"

enum nx_run_flag {
    NX_RUN_HINT = 0x03,
    NX_RUN_INTEGER = 0x04,       /* the histogram's own mark */
    NX_RUN_LAYOUT = 0x08,        /* the layout follows */
    NX_RUN_INTEGER_CODES = 0x10, /* counts as differences of integers, else as changed bits */
    NX_RUN_SAME_BUCKETS = 0x20,  /* no bucket changed: no map, no buckets */
    NX_RUN_EMPTY = 0x40,         /* nothing but a sum: the stale marker */
    NX_RUN_FLAGS_KNOWN = 0x7F,
};

/* The counts of a histogram in one array: count, zero count, positive, negative. */
enum { NX_RUN_TOTALS = 2 };

/* The integer from which an integer code counts: that of the value before, or 0 where it is none.
 */
static inline int64_t nx_run_base(double before)
{
    int64_t base = 0;
    return nx_count_is_integer(before, &base) ? base : 0;
}

#endif
