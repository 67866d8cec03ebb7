/* Quantile, fraction and variance of native histograms (reference sections 13.3 to 13.5).
 * Exponential buckets are interpolated on a logarithmic scale, custom ones and the zero bucket
 * linearly. NaN observations are in the count and in no bucket; a NaN sum tells of them. */
#include "querier/promql/histogram_internal.h"

/* The zero bucket of a histogram with one sign only reaches to 0 on the other side. */
static void clamp_zero_bucket(const struct nx_histogram *h, struct qry_bucket *b)
{
    if (h->negative_count == 0 && h->positive_count > 0)
        b->lower = 0;
    else if (h->positive_count == 0 && h->negative_count > 0)
        b->upper = 0;
}

static double inside_bucket(const struct nx_histogram *h, const struct qry_bucket *b, double share)
{
    if (qry_histogram_is_custom(h) || (b->lower <= 0 && b->upper >= 0))
        return b->lower + (b->upper - b->lower) * share;
    double log_lower = log2(fabs(b->lower)), log_upper = log2(fabs(b->upper));
    if (b->lower > 0)
        return exp2(log_lower + (log_upper - log_lower) * share);
    return -exp2(log_upper + (log_lower - log_upper) * (1 - share));
}

double qry_histogram_quantile(double phi, const struct nx_histogram *h, enum qry_nan_note *note)
{
    *note = QRY_NAN_NONE;
    if (phi < 0)
        return -HUGE_VAL;
    if (phi > 1)
        return HUGE_VAL;
    if (h->count == 0 || isnan(phi))
        return (double)NAN;

    bool has_nan = isnan(h->sum);
    bool forward = has_nan || phi < 0.5;
    double rank = (forward ? phi : 1 - phi) * h->count;
    struct qry_bucket_iter it;
    struct qry_bucket b = {0};
    double seen = 0;
    qry_bucket_iter_init(&it, h, !forward);
    while (qry_bucket_next(&it, &b)) {
        seen += b.count;
        if (seen >= rank)
            break;
    }
    if (qry_histogram_is_custom(h)) {
        if (isinf(b.lower) && b.lower < 0) {
            if (b.upper <= 0)
                return b.upper;
            b.lower = 0;
        } else if (isinf(b.upper) && b.upper > 0) {
            return b.lower;
        }
    } else if (b.lower < 0 && b.upper > 0) {
        clamp_zero_bucket(h, &b);
    }
    if (seen > h->count)
        seen = h->count;
    if (seen < rank) {
        if (!has_nan)
            return b.upper;
        *note = QRY_NAN_RESULT_NAN;
        return (double)NAN;
    }
    double in_bucket = forward ? rank - (seen - b.count) : seen - rank;
    if (has_nan) {
        struct qry_bucket rest;
        while (qry_bucket_next(&it, &rest))
            seen += rest.count;
        if (seen < h->count)
            *note = QRY_NAN_SKEWED;
    }
    return inside_bucket(h, &b, in_bucket / b.count);
}

/* The number of observations below v, which lies inside the bucket; `before` lie below the bucket.
 */
static double rank_inside(const struct qry_bucket *b, bool linear, double before, double v)
{
    if (linear) {
        if (isinf(b->lower) && b->lower < 0)
            return b->count;
        return before + b->count * (v - b->lower) / (b->upper - b->lower);
    }
    double log_lower = log2(fabs(b->lower)), log_upper = log2(fabs(b->upper)),
           log_v = log2(fabs(v));
    double share = v > 0 ? (log_v - log_lower) / (log_upper - log_lower)
                         : 1 - (log_v - log_upper) / (log_lower - log_upper);
    return before + b->count * share;
}

struct limit_rank {
    double value;
    double rank;
    bool known;
};

static void settle_limit(struct limit_rank *limit, const struct qry_bucket *b, bool linear,
                         double before)
{
    if (limit->known)
        return;
    if (b->lower >= limit->value) {
        limit->rank = before;
        limit->known = true;
    } else if (b->upper > limit->value) {
        limit->rank = rank_inside(b, linear, before, limit->value);
        limit->known = true;
    }
}

double qry_histogram_fraction(double lower, double upper, const struct nx_histogram *h,
                              enum qry_nan_note *note)
{
    *note = QRY_NAN_NONE;
    if (h->count == 0 || isnan(lower) || isnan(upper))
        return (double)NAN;
    if (lower >= upper)
        return 0;
    struct limit_rank low = {.value = lower}, high = {.value = upper};
    struct qry_bucket_iter it;
    struct qry_bucket b;
    double rank = 0;
    qry_bucket_iter_init(&it, h, false);
    while (qry_bucket_next(&it, &b)) {
        bool around_zero = b.lower <= 0 && b.upper >= 0;
        if (around_zero)
            clamp_zero_bucket(h, &b);
        bool linear = around_zero || qry_histogram_is_custom(h);
        settle_limit(&low, &b, linear, rank);
        settle_limit(&high, &b, linear, rank);
        rank += b.count;
    }
    double total = h->count;
    if (isnan(h->sum)) {
        total = rank;
        if (total < h->count)
            *note = QRY_NAN_EXCLUDED;
    }
    if (!low.known || low.rank > total)
        low.rank = total;
    if (!high.known || high.rank > total)
        high.rank = total;
    return (high.rank - low.rank) / h->count;
}

double qry_histogram_stdvar(const struct nx_histogram *h)
{
    double mean = h->sum / h->count;
    double variance = 0, comp = 0;
    struct qry_bucket_iter it;
    struct qry_bucket b;
    qry_bucket_iter_init(&it, h, false);
    while (qry_bucket_next(&it, &b)) {
        double value;
        if (qry_histogram_is_custom(h)) {
            value = (b.upper + b.lower) / 2;
        } else if (b.lower <= 0 && b.upper >= 0) {
            value = 0;
        } else {
            value = sqrt(b.upper * b.lower);
            if (b.upper < 0)
                value = -value;
        }
        double delta = value - mean;
        qry_kahan_inc(b.count * delta * delta, &variance, &comp);
    }
    return (variance + comp) / h->count;
}
