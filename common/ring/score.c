#include "common/ring/score.h"

#include <math.h>
#include <stddef.h>

/* 1 / (2k + 1) */
#define SERIES_TERMS 12
static const double series[SERIES_TERMS] = {
    1.0,      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11,
    1.0 / 13, 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23,
};

/* -ln(u) of a number in (0, 1), reproducible bit by bit: u = m * 2^e with m in [sqrt(1/2),
 * sqrt(2)), ln m = 2 artanh((m - 1) / (m + 1)) as a series; the first term left out is below 2^-60.
 */
static double minus_log(double u)
{
    int exponent = 0;
    double m = frexp(u, &exponent);
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent -= 1;
    }
    double s = (m - 1) / (m + 1);
    double square = s * s;
    double sum = 0;
    for (size_t k = SERIES_TERMS; k > 0; k--) {
        sum = sum * square + series[k - 1];
    }
    return -((double)exponent * 0.69314718055994531 + 2 * s * sum);
}

double nx_score_cost(uint64_t hash, double weight)
{
    double u = ((double)(hash >> 11) + 0.5) * 0x1p-53;
    return minus_log(u) / weight;
}
