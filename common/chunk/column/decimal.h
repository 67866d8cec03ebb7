/* Floats that stand for decimal numbers: v is the float nearest to d / 10^digits. Up to 2^51 the
 * quotient of the two is exactly that float, since a division rounds correctly. Inside this room.
 */
#ifndef NX_CHUNK_COLUMN_DECIMAL_H
#define NX_CHUNK_COLUMN_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/chunk/column/dequant.h"
#include "common/chunk/sample.h"

enum { NX_DECIMAL_DIGITS = 18 };
extern const double nx_powers_of_ten[NX_DECIMAL_DIGITS + 1];

/* Beyond it (and 2^51 below zero) an integer is not converted by the vector path. */
#define NX_DECIMAL_LIMIT (INT64_C(1) << 51)

/* The nearest integer to v * 10^digits; false at NX_DECIMAL_LIMIT and for what is not finite. */
static inline bool nx_decimal_round(double v, unsigned digits, int64_t *out)
{
    const double magic = 0x1.8p52; /* adding it leaves no place for a fraction */
    double scaled = v * nx_powers_of_ten[digits];
    if (!(scaled > -(double)NX_DECIMAL_LIMIT && scaled < (double)NX_DECIMAL_LIMIT))
        return false;
    *out = (int64_t)((scaled + magic) - magic);
    return true;
}

static inline double nx_decimal_float(int64_t d, unsigned digits)
{
    return (double)d / nx_powers_of_ten[digits];
}

/* Whether v is d / 10^digits bit for bit (so it is not -0). */
static inline bool nx_decimal_exact(double v, unsigned digits, int64_t *d)
{
    return nx_decimal_round(v, digits, d) &&
           nx_double_bits(nx_decimal_float(*d, digits)) == nx_double_bits(v);
}

/* values[i] = ints[i] scaled (dequant.h), of `count` values up to 128; false where an integer is
 * beyond the limit. Both arrays have room for a whole group. */
bool nx_decimal_floats(const int64_t *ints, size_t count, const struct nx_dequant *scale,
                       double *values);
/* The same without the vector instructions. */
bool nx_decimal_floats_portable(const int64_t *ints, size_t count, const struct nx_dequant *scale,
                                double *values);

#endif
