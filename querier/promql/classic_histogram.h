/* Quantiles and fractions of classic histograms: cumulative counts by upper bound
 * (reference 13.2, 13.4). Pure. */
#ifndef QRY_PROMQL_CLASSIC_HISTOGRAM_H
#define QRY_PROMQL_CLASSIC_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>

struct qry_classic_bucket {
    double le;
    double count;
};

/* What had to be repaired, where the counts decreased. */
struct qry_classic_repair {
    bool repaired;
    double min_bound, max_bound, max_difference;
};

/* Both take at least one bucket, ascending by bound, and may change them. */
double qry_classic_quantile(double phi, struct qry_classic_bucket *buckets, size_t count,
                            struct qry_classic_repair *repair);
double qry_classic_fraction(double lower, double upper, struct qry_classic_bucket *buckets,
                            size_t count);

#endif
