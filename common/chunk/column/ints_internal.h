/* What writer and reader of integer columns share. */
#ifndef NX_CHUNK_COLUMN_INTS_INTERNAL_H
#define NX_CHUNK_COLUMN_INTS_INTERNAL_H

#include "common/chunk/column/ints.h"

/* How a group is coded; its first byte is kind * NX_INTS_WIDTHS + width. */
enum nx_ints_kind { NX_INTS_LINE, NX_INTS_DELTA, NX_INTS_DOD, NX_INTS_KINDS };

enum {
    NX_INTS_WIDTHS = 65,
    NX_INTS_RUNS = 255,     /* in the place of the first group's: runs follow */
    NX_INTS_SLOPE_BITS = 8, /* of the slope's fraction */
};
/* |slope| stays below, so that the slope times a position is a signed number of 62 bits. */
#define NX_INTS_SLOPE_MAX (INT64_C(1) << 54)

/* What a run goes up by so that a group of it does not wrap around unnoticed. */
#define NX_INTS_STEP_MAX (UINT64_C(1) << 54)

/* The height of the line at position i, over its base. */
static inline uint64_t nx_ints_line(uint64_t slope, uint64_t i)
{
    return (uint64_t)((int64_t)(slope * i) >> NX_INTS_SLOPE_BITS);
}

#endif
