/* A group of packed integers straight to the decimal floats they stand for, without the integers
 * between being written (decimal.h, ints.h). Only where nx_column_has_vectors(). Inside this room.
 */
#ifndef NX_CHUNK_COLUMN_DEQUANT_H
#define NX_CHUNK_COLUMN_DEQUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value is d * factor / 10^digits, each operation rounded to the nearest. */
struct nx_dequant {
    double factor;
    unsigned digits;
};

/* d(i) = base + line(slope, i) + codes[i] for i < count, which the caller knows to be within the
 * limit of decimal.h. All arrays have room for a whole group, and codes end as nx_unpack32 says. */
void nx_dequant_line(const uint32_t *codes, size_t count, uint64_t base, uint64_t slope,
                     const struct nx_dequant *scale, double *out);
/* d(i) = d(i - 1) + base + codes[i], d(-1) being *last; false beyond the limit. Afterwards *last is
 * the last integer. */
bool nx_dequant_deltas(const uint32_t *codes, size_t count, uint64_t base, uint64_t *last,
                       const struct nx_dequant *scale, double *out);
/* d(i) = ints[i]; false beyond the limit. */
bool nx_dequant_ints(const int64_t *ints, size_t count, const struct nx_dequant *scale,
                     double *out);

#endif
