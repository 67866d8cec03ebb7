/* Counts that decrease with growing bound, as happens when a scrape is torn or buckets were summed
 * over unequal series, are lifted to the bucket before; differences that rounding explains are
 * evened out without a word. */
#include "querier/promql/classic_histogram.h"

#include <float.h>
#include <math.h>

#include "querier/promql/numeric.h"

#define SMALL_DIFFERENCE 1e-12

/* Reference 17.6, for numbers. */
static bool almost_equal(double a, double b, double epsilon)
{
    if (isnan(a) && isnan(b))
        return true;
    if (a == b)
        return true;
    double sum = fabs(a) + fabs(b);
    double difference = fabs(a - b);
    if (a == 0 || b == 0 || sum < DBL_MIN)
        return difference < epsilon * DBL_MIN;
    return difference / fmin(sum, DBL_MAX) < epsilon;
}

/* Adds the counts of equal bounds; returns the new number. */
static size_t coalesce(struct qry_classic_bucket *buckets, size_t count)
{
    size_t last = 0;
    for (size_t i = 1; i < count; i++) {
        if (buckets[i].le == buckets[last].le)
            buckets[last].count += buckets[i].count;
        else
            buckets[++last] = buckets[i];
    }
    return last + 1;
}

static void make_monotonic(struct qry_classic_bucket *buckets, size_t count,
                           struct qry_classic_repair *repair)
{
    double previous = buckets[0].count;

    for (size_t i = 1; i < count; i++) {
        double current = buckets[i].count;
        if (current == previous)
            continue;
        if (almost_equal(previous, current, SMALL_DIFFERENCE)) {
            buckets[i].count = previous;
            continue;
        }
        if (!(current < previous)) {
            previous = current;
            continue;
        }
        buckets[i].count = previous;
        if (!repair->repaired) {
            repair->min_bound = repair->max_bound = buckets[i].le;
            repair->max_difference = previous - current;
        }
        repair->repaired = true;
        repair->min_bound = fmin(repair->min_bound, buckets[i].le);
        repair->max_bound = fmax(repair->max_bound, buckets[i].le);
        repair->max_difference = fmax(repair->max_difference, previous - current);
    }
}

double qry_classic_quantile(double phi, struct qry_classic_bucket *buckets, size_t count,
                            struct qry_classic_repair *repair)
{
    *repair = (struct qry_classic_repair){0};
    if (isnan(phi))
        return QRY_F_NAN;
    if (phi < 0)
        return -QRY_F_INF;
    if (phi > 1)
        return QRY_F_INF;
    if (!isinf(buckets[count - 1].le) || buckets[count - 1].le < 0)
        return QRY_F_NAN;
    count = coalesce(buckets, count);
    make_monotonic(buckets, count, repair);
    if (count < 2)
        return QRY_F_NAN;
    double total = buckets[count - 1].count;
    if (total == 0)
        return QRY_F_NAN;
    double rank = phi * total;
    size_t b = 0;
    while (b < count - 1 && !(buckets[b].count >= rank))
        b++;
    if (b == count - 1)
        return buckets[count - 2].le;
    if (b == 0 && buckets[0].le <= 0)
        return buckets[0].le;
    double start = 0;
    double end = buckets[b].le;
    double inside = buckets[b].count;
    if (b > 0) {
        start = buckets[b - 1].le;
        inside -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    return start + (end - start) * (rank / inside);
}

/* The number of observations below v, which lies inside the bucket. */
static double rank_inside(double v, double lower, const struct qry_classic_bucket *bucket,
                          double before)
{
    if (isinf(lower))
        return bucket->count;
    if (isinf(bucket->le))
        return before;
    return before + (bucket->count - before) * (v - lower) / (bucket->le - lower);
}

static double rank_of(double v, const struct qry_classic_bucket *buckets, size_t count)
{
    double total = buckets[count - 1].count;
    double before = 0;

    for (size_t i = 0; i < count; i++) {
        double lower = i > 0 ? buckets[i - 1].le : buckets[0].le > 0 ? 0 : -QRY_F_INF;
        if (lower >= v)
            return fmin(before, total);
        if (buckets[i].le > v)
            return fmin(rank_inside(v, lower, &buckets[i], before), total);
        before = buckets[i].count;
    }
    return total;
}

double qry_classic_fraction(double lower, double upper, struct qry_classic_bucket *buckets,
                            size_t count)
{
    if (!isinf(buckets[count - 1].le) || buckets[count - 1].le < 0)
        return QRY_F_NAN;
    count = coalesce(buckets, count);
    double total = buckets[count - 1].count;
    if (total == 0 || isnan(lower) || isnan(upper))
        return QRY_F_NAN;
    if (lower >= upper)
        return 0;
    return (rank_of(upper, buckets, count) - rank_of(lower, buckets, count)) / total;
}
