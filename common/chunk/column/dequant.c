/* Integers to floats: there is no instruction for 64 bits, but an integer below 2^51 added to the
 * bits of 1.5 * 2^52, whose unit in the last place is 1, is that float plus the integer.
 *
 * Division by 10^k: multiplication by the nearest float to its inverse and two corrections by the
 * exact remainder. The first makes the quotient one of the two floats around the true one, whence
 * the second rounds it correctly (Markstein, "Computation of elementary functions on the IBM RISC
 * System/6000 processor", 1990, theorem 2): bit for bit the quotient of a division, for a third of
 * its time. Nothing here comes near the ends of the exponents. */
#include "common/chunk/column/dequant.h"

#include <assert.h>

#include "common/chunk/column/decimal.h"
#include "common/chunk/column/ints_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VECTOR __attribute__((target("avx2,fma")))
#define VECTOR_INLINE __attribute__((target("avx2,fma"), always_inline)) static inline

/* Which of the two operations do anything. */
enum { STEP_FACTOR = 1, STEP_POWER = 2 };

static const double inverses[NX_DECIMAL_DIGITS + 1] = {
    1e0,   1e-1,  1e-2,  1e-3,  1e-4,  1e-5,  1e-6,  1e-7,  1e-8, 1e-9,
    1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15, 1e-16, 1e-17, 1e-18};

struct constants {
    __m256d magic;
    __m256d factor;
    __m256d power;
    __m256d inverse;
};

VECTOR_INLINE struct constants constants_of(const struct nx_dequant *scale)
{
    assert(scale->digits <= NX_DECIMAL_DIGITS);
    return (struct constants){.magic = _mm256_set1_pd(0x1.8p52),
                              .factor = _mm256_set1_pd(scale->factor),
                              .power = _mm256_set1_pd(nx_powers_of_ten[scale->digits]),
                              .inverse = _mm256_set1_pd(inverses[scale->digits])};
}

static int steps_of(const struct nx_dequant *scale)
{
    return (scale->factor != 1 ? STEP_FACTOR : 0) | (scale->digits > 0 ? STEP_POWER : 0);
}

/* Four integers with the bits of `magic` added. */
VECTOR_INLINE __m256d floats_of(__m256i raised, const struct constants *c, int steps)
{
    __m256d x = _mm256_sub_pd(_mm256_castsi256_pd(raised), c->magic);
    if (steps & STEP_FACTOR)
        x = _mm256_mul_pd(x, c->factor);
    if (steps & STEP_POWER) {
        __m256d q = _mm256_mul_pd(x, c->inverse);
        q = _mm256_fmadd_pd(_mm256_fnmadd_pd(q, c->power, x), c->inverse, q);
        x = _mm256_fmadd_pd(_mm256_fnmadd_pd(q, c->power, x), c->inverse, q);
    }
    return x;
}

VECTOR_INLINE __m256i beyond_limit(__m256i ints)
{
    const __m256i limit = _mm256_set1_epi64x(NX_DECIMAL_LIMIT);
    return _mm256_srli_epi64(_mm256_add_epi64(ints, limit), 52);
}

VECTOR_INLINE __m256i load_codes(const uint32_t *codes)
{
    const void *at = codes;
    return _mm256_cvtepu32_epi64(_mm_loadu_si128(at));
}

/* --- lines --- */

/* There is no arithmetic shift of 64 bits: the sign is shifted in as a bias and taken off the base.
 */
VECTOR_INLINE void line_floats(const uint32_t *codes, size_t count, uint64_t base, uint64_t slope,
                               const struct nx_dequant *scale, double *out, int steps)
{
    const struct constants c = constants_of(scale);
    const uint64_t sign = UINT64_C(1) << 63;
    const __m256i less = _mm256_set1_epi64x((long long)(base - (sign >> NX_INTS_SLOPE_BITS)));
    const __m256i offset = _mm256_add_epi64(less, _mm256_castpd_si256(c.magic));
    const uint64_t rise = slope * 4;
    const __m256i step = _mm256_set1_epi64x((long long)rise);
    const uint64_t first[4] = {sign, sign + slope, sign + slope * 2, sign + slope * 3};
    const void *from = first;
    __m256i line = _mm256_loadu_si256(from);
    for (size_t i = 0; i < count; i += 4) {
        __m256i height = _mm256_add_epi64(_mm256_srli_epi64(line, NX_INTS_SLOPE_BITS), offset);
        __m256i raised = _mm256_add_epi64(load_codes(codes + i), height);
        _mm256_storeu_pd(out + i, floats_of(raised, &c, steps));
        line = _mm256_add_epi64(line, step);
    }
}

VECTOR void nx_dequant_line(const uint32_t *codes, size_t count, uint64_t base, uint64_t slope,
                            const struct nx_dequant *scale, double *out)
{
    switch (steps_of(scale)) {
    case 0:
        line_floats(codes, count, base, slope, scale, out, 0);
        break;
    case STEP_FACTOR:
        line_floats(codes, count, base, slope, scale, out, STEP_FACTOR);
        break;
    case STEP_POWER:
        line_floats(codes, count, base, slope, scale, out, STEP_POWER);
        break;
    default:
        line_floats(codes, count, base, slope, scale, out, STEP_FACTOR | STEP_POWER);
    }
}

/* --- differences --- */

/* Sums up to each of four. */
VECTOR_INLINE __m256i prefix_sums(__m256i x)
{
    x = _mm256_add_epi64(x, _mm256_slli_si256(x, 8));
    __m256i half = _mm256_permute4x64_epi64(x, _MM_SHUFFLE(1, 1, 1, 1));
    return _mm256_add_epi64(x, _mm256_blend_epi32(_mm256_setzero_si256(), half, 0xF0));
}

/* Up to three that fill no vector. */
static bool last_deltas(const uint32_t *codes, size_t count, uint64_t base, uint64_t *last,
                        const struct nx_dequant *scale, double *out)
{
    int64_t ints[4];
    for (size_t i = 0; i < count; i++)
        ints[i] = (int64_t)(*last += base + codes[i]);
    return nx_decimal_floats_portable(ints, count, scale, out);
}

VECTOR_INLINE bool delta_floats(const uint32_t *codes, size_t count, uint64_t base, uint64_t *last,
                                const struct nx_dequant *scale, double *out, int steps)
{
    const struct constants c = constants_of(scale);
    const __m256i bases = _mm256_set1_epi64x((long long)base);
    __m256i before = _mm256_set1_epi64x((long long)*last);
    __m256i beyond = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        __m256i sums = prefix_sums(_mm256_add_epi64(load_codes(codes + i), bases));
        __m256i ints = _mm256_add_epi64(sums, before);
        before = _mm256_add_epi64(before, _mm256_permute4x64_epi64(sums, _MM_SHUFFLE(3, 3, 3, 3)));
        beyond = _mm256_or_si256(beyond, beyond_limit(ints));
        __m256i raised = _mm256_add_epi64(ints, _mm256_castpd_si256(c.magic));
        _mm256_storeu_pd(out + i, floats_of(raised, &c, steps));
    }
    *last = (uint64_t)_mm256_extract_epi64(before, 3);
    return last_deltas(codes + i, count - i, base, last, scale, out + i) &&
           _mm256_testz_si256(beyond, beyond);
}

VECTOR bool nx_dequant_deltas(const uint32_t *codes, size_t count, uint64_t base, uint64_t *last,
                              const struct nx_dequant *scale, double *out)
{
    switch (steps_of(scale)) {
    case 0:
        return delta_floats(codes, count, base, last, scale, out, 0);
    case STEP_POWER:
        return delta_floats(codes, count, base, last, scale, out, STEP_POWER);
    default:
        return delta_floats(codes, count, base, last, scale, out, STEP_FACTOR | STEP_POWER);
    }
}

/* --- integers --- */

VECTOR_INLINE bool int_floats(const int64_t *ints, size_t count, const struct nx_dequant *scale,
                              double *out, int steps)
{
    const struct constants c = constants_of(scale);
    __m256i beyond = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        const void *at = ints + i;
        __m256i v = _mm256_loadu_si256(at);
        beyond = _mm256_or_si256(beyond, beyond_limit(v));
        __m256i raised = _mm256_add_epi64(v, _mm256_castpd_si256(c.magic));
        _mm256_storeu_pd(out + i, floats_of(raised, &c, steps));
    }
    return nx_decimal_floats_portable(ints + i, count - i, scale, out + i) &&
           _mm256_testz_si256(beyond, beyond);
}

VECTOR bool nx_dequant_ints(const int64_t *ints, size_t count, const struct nx_dequant *scale,
                            double *out)
{
    switch (steps_of(scale)) {
    case 0:
        return int_floats(ints, count, scale, out, 0);
    case STEP_POWER:
        return int_floats(ints, count, scale, out, STEP_POWER);
    default:
        return int_floats(ints, count, scale, out, STEP_FACTOR | STEP_POWER);
    }
}

#else

void nx_dequant_line(const uint32_t *codes, size_t count, uint64_t base, uint64_t slope,
                     const struct nx_dequant *scale, double *out)
{
    int64_t ints[NX_PACK_GROUP];
    for (size_t i = 0; i < count; i++)
        ints[i] = (int64_t)(codes[i] + base + nx_ints_line(slope, i));
    (void)nx_decimal_floats_portable(ints, count, scale, out);
}

bool nx_dequant_deltas(const uint32_t *codes, size_t count, uint64_t base, uint64_t *last,
                       const struct nx_dequant *scale, double *out)
{
    int64_t ints[NX_PACK_GROUP];
    for (size_t i = 0; i < count; i++)
        ints[i] = (int64_t)(*last += codes[i] + base);
    return nx_decimal_floats_portable(ints, count, scale, out);
}

bool nx_dequant_ints(const int64_t *ints, size_t count, const struct nx_dequant *scale, double *out)
{
    return nx_decimal_floats_portable(ints, count, scale, out);
}

#endif
