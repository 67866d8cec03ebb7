/* The vector path has no instruction from 64-bit integers to floats: an integer below 2^51 is added
 * to the bits of 1.5 * 2^52, whose unit in the last place is 1. */
#include "common/chunk/column/decimal.h"

#include "common/chunk/column/pack.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

const double nx_powers_of_ten[NX_DECIMAL_DIGITS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,
                                                        1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13,
                                                        1e14, 1e15, 1e16, 1e17, 1e18};

bool nx_decimal_floats_portable(const int64_t *ints, size_t count, double factor, unsigned digits,
                                double *values)
{
    double power = nx_powers_of_ten[digits];
    uint64_t beyond = 0;
    for (size_t i = 0; i < count; i++) {
        beyond |= ((uint64_t)ints[i] + (uint64_t)NX_DECIMAL_LIMIT) >> 52;
        values[i] = (double)ints[i] * factor / power;
    }
    return beyond == 0;
}

#if defined(__x86_64__)

/* `steps` says which of the two operations do anything. */
enum { STEP_FACTOR = 1, STEP_POWER = 2 };

__attribute__((target("avx2"), always_inline)) static inline bool
floats_avx2(const int64_t *ints, double factor, double power, double *values, int steps)
{
    const __m256d magic = _mm256_set1_pd(0x1.8p52);
    const __m256i magic_bits = _mm256_castpd_si256(magic);
    const __m256i limit = _mm256_set1_epi64x(NX_DECIMAL_LIMIT);
    const __m256d factors = _mm256_set1_pd(factor);
    const __m256d powers = _mm256_set1_pd(power);
    __m256i beyond = _mm256_setzero_si256();
    for (size_t i = 0; i < NX_PACK_GROUP; i += 4) {
        const void *at = ints + i;
        __m256i v = _mm256_loadu_si256(at);
        beyond = _mm256_or_si256(beyond, _mm256_srli_epi64(_mm256_add_epi64(v, limit), 52));
        __m256d x = _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(v, magic_bits)), magic);
        if (steps & STEP_FACTOR)
            x = _mm256_mul_pd(x, factors);
        if (steps & STEP_POWER)
            x = _mm256_div_pd(x, powers);
        _mm256_storeu_pd(values + i, x);
    }
    return _mm256_testz_si256(beyond, beyond);
}

__attribute__((target("avx2"))) static bool decimal_floats_avx2(const int64_t *ints, double factor,
                                                                double power, double *values)
{
    if (factor == 1)
        return power == 1 ? floats_avx2(ints, factor, power, values, 0)
                          : floats_avx2(ints, factor, power, values, STEP_POWER);
    return power == 1 ? floats_avx2(ints, factor, power, values, STEP_FACTOR)
                      : floats_avx2(ints, factor, power, values, STEP_FACTOR | STEP_POWER);
}

bool nx_decimal_floats(const int64_t *ints, size_t count, double factor, unsigned digits,
                       double *values)
{
    if (count == NX_PACK_GROUP && __builtin_cpu_supports("avx2"))
        return decimal_floats_avx2(ints, factor, nx_powers_of_ten[digits], values);
    return nx_decimal_floats_portable(ints, count, factor, digits, values);
}

#else

bool nx_decimal_floats(const int64_t *ints, size_t count, double factor, unsigned digits,
                       double *values)
{
    return nx_decimal_floats_portable(ints, count, factor, digits, values);
}

#endif
