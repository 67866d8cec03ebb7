/* What writer and reader of value columns share. */
#ifndef NX_CHUNK_COLUMN_VALUES_INTERNAL_H
#define NX_CHUNK_COLUMN_VALUES_INTERNAL_H

#include "common/chunk/column/decimal.h"
#include "common/chunk/column/values.h"

/* The first byte of a decimal column: NX_VALUES_DECIMAL, these, and the digits. */
enum {
    NX_VALUES_FACTOR = 0x40,
    NX_VALUES_EXCEPTIONS = 0x20,
    NX_VALUES_DIGITS = 0x1F,
};
#define NX_VALUES_FACTOR_MAX (UINT64_C(1) << 53)

/* Bits of floats as integers in the order of the floats, and back; its own inverse. */
static inline uint64_t nx_values_order(uint64_t bits)
{
    return bits ^ ((uint64_t)((int64_t)bits >> 63) >> 1);
}

#endif
