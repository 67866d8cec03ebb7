#include "common/chunk/column/decimal.h"

#include "common/chunk/column/pack.h"
#include "common/chunk/column/vectors.h"

const double nx_powers_of_ten[NX_DECIMAL_DIGITS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                        1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                        1e14, 1e15, 1e16, 1e17, 1e18};

bool nx_decimal_floats_portable(const int64_t *ints, size_t count, const struct nx_dequant *scale,
                                double *values)
{
    double power = nx_powers_of_ten[scale->digits];
    uint64_t beyond = 0;
    for (size_t i = 0; i < count; i++) {
        beyond |= ((uint64_t)ints[i] + (uint64_t)NX_DECIMAL_LIMIT) >> 52;
        values[i] = (double)ints[i] * scale->factor / power;
    }
    return beyond == 0;
}

bool nx_decimal_floats(const int64_t *ints, size_t count, const struct nx_dequant *scale,
                       double *values)
{
    if (nx_column_has_vectors())
        return nx_dequant_ints(ints, count, scale, values);
    return nx_decimal_floats_portable(ints, count, scale, values);
}
