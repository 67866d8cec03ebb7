#include "column_data.h"

#include <math.h>

#include "common/chunk/sample.h"

void column_ints(struct nx_rand *rand, unsigned kind, int64_t *values, size_t count)
{
    uint64_t v = nx_rand_u64(rand) >> (nx_rand_below(rand, 64));
    uint64_t step = nx_rand_below(rand, 1000000);
    for (size_t i = 0; i < count; i++) {
        switch (kind) {
        case 0: /* constant */
            break;
        case 1: /* a straight line */
            v += step;
            break;
        case 2: /* a line with noise */
            v = i * step + nx_rand_below(rand, 1 + step / 7);
            break;
        case 3: /* a random walk */
            v += nx_rand_below(rand, 201) - 100;
            break;
        case 4: /* now and then a step */
            v += nx_rand_below(rand, 30) == 0 ? nx_rand_below(rand, 1000) : 0;
            break;
        case 5: /* a parabola */
            v += i * 3 + nx_rand_below(rand, 2);
            break;
        case 6: /* anything */
            v = nx_rand_u64(rand);
            break;
        case 7: /* the ends of the range in turns */
            v = i % 2 ? (uint64_t)INT64_MAX : (uint64_t)INT64_MIN;
            break;
        default: /* lengths of all kinds */
            v = nx_rand_u64(rand) >> nx_rand_below(rand, 64);
            break;
        }
        values[i] = (int64_t)v;
    }
}

static uint64_t odd_bits(struct nx_rand *rand)
{
    static const uint64_t odd[] = {NX_STALE_NAN_BITS,
                                   NX_NORMAL_NAN_BITS,
                                   UINT64_C(0x7ff0000000000000),
                                   UINT64_C(0xfff0000000000000),
                                   UINT64_C(0x8000000000000000),
                                   0,
                                   1,
                                   UINT64_C(0xfff8000000000123),
                                   UINT64_C(0x7fefffffffffffff),
                                   UINT64_C(0x0010000000000000)};
    return odd[nx_rand_below(rand, sizeof odd / sizeof odd[0])];
}

void column_values(struct nx_rand *rand, unsigned kind, uint64_t *bits, size_t count)
{
    double sum = 0;
    uint64_t n = nx_rand_below(rand, 100000);
    double power = pow(10, (double)nx_rand_below(rand, 10));
    for (size_t i = 0; i < count; i++) {
        double v = 0;
        n += nx_rand_below(rand, 50);
        sum += (double)nx_rand_below(rand, 1000000) / 1e9;
        switch (kind) {
        case 0:
            v = 42.5;
            break;
        case 1:
            v = (double)n;
            break;
        case 2:
            v = (double)n / power;
            break;
        case 3:
            v = sum;
            break;
        case 4:
            v = nx_rand_unit(rand) * 1e3;
            break;
        case 5:
            v = -(double)n * 4096;
            break;
        case 6:
            v = 20 + (double)nx_rand_below(rand, 16) / 8;
            break;
        case 7:
            v = sin((double)i / 100) * 1e-300;
            break;
        case 8:
            v = (double)n * 1e12;
            break;
        default:
            break;
        }
        bits[i] = nx_double_bits(v);
        if (kind == 9)
            bits[i] = nx_rand_u64(rand);
        if (kind == 10)
            bits[i] = odd_bits(rand);
        if (kind == 11)
            bits[i] =
                nx_rand_below(rand, 40) == 0 ? odd_bits(rand) : nx_double_bits((double)n / 100);
    }
}

void column_times(struct nx_rand *rand, unsigned kind, int64_t *times, size_t count)
{
    int64_t t = (int64_t)nx_rand_below(rand, UINT64_C(1) << 41);
    for (size_t i = 0; i < count; i++) {
        int64_t at = t;
        if (kind == 1)
            at += (int64_t)nx_rand_below(rand, 20);
        if (kind == 2 && nx_rand_below(rand, 50) == 0)
            at = t += 15000 * (int64_t)nx_rand_below(rand, 100);
        times[i] = at;
        t += kind == 3 ? 1 + (int64_t)nx_rand_below(rand, 1 + (nx_rand_u64(rand) >> 40)) : 15000;
    }
}
