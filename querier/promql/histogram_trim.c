/* The trim operators: what lies below or above a value, bucket by bucket, with the partially
 * covered bucket split by interpolation. The new sum is estimated from the midpoints of what is
 * kept, since a histogram does not know where in a bucket its observations lie. Midpoints and
 * splits: reference section 14.4. */
#include "querier/promql/histogram_internal.h"

struct trim {
    double x;
    bool upper; /* keep what lies below x */
    bool linear;
    double count, sum;
    bool changed;
    bool has_positive, has_negative; /* populated buckets on that side */
};

/* What is kept of a bucket, and the representative value of it. */
struct kept {
    double count;
    double midpoint;
};

static double midpoint_of(double lower, double upper, bool negative, bool linear)
{
    if (isinf(lower)) {
        if (isinf(upper))
            return 0;
        return upper > 0 ? upper / 2 : upper;
    }
    if (isinf(upper))
        return lower;
    if (linear)
        return (lower + upper) / 2;
    double mean = sqrt(fabs(lower * upper));
    return negative ? -mean : mean;
}

/* The share of a finite bucket that lies below v. */
static double share_below(const struct qry_bucket *b, double v, bool negative, bool linear)
{
    if (v <= b->lower)
        return 0;
    if (v >= b->upper)
        return 1;
    if (linear)
        return (v - b->lower) / (b->upper - b->lower);
    double log_lower = log2(fabs(b->lower)), log_upper = log2(fabs(b->upper)),
           log_v = log2(fabs(v));
    if (negative)
        return 1 - (log_v - log_upper) / (log_lower - log_upper);
    return (log_v - log_lower) / (log_upper - log_lower);
}

/* The bucket that begins at -Inf: where its end is positive, 0 is taken for its beginning. */
static struct kept split_lowest(const struct trim *trim, const struct qry_bucket *b)
{
    double nothing = isinf(b->upper) ? 0 : b->upper;
    if (trim->upper) {
        if (trim->x >= b->upper)
            return (struct kept){b->count, 0};
        if (trim->x > 0 && b->upper > 0)
            return (struct kept){b->count * trim->x / b->upper, trim->x / 2};
        if (b->upper <= 0)
            return (struct kept){b->count, trim->x};
        return (struct kept){0, nothing};
    }
    if (trim->x <= b->lower)
        return (struct kept){b->count, 0};
    if (trim->x >= 0 && b->upper > trim->x && !isinf(b->upper))
        return (struct kept){b->count * (1 - trim->x / b->upper), (trim->x + b->upper) / 2};
    return (struct kept){0, nothing};
}

/* The bucket that ends at +Inf cannot be split. */
static struct kept split_highest(const struct trim *trim, const struct qry_bucket *b)
{
    if (!trim->upper && trim->x >= b->lower)
        return (struct kept){b->count, trim->x};
    return (struct kept){0, isinf(b->lower) ? 0 : b->lower};
}

static struct kept split(const struct trim *trim, const struct qry_bucket *b, bool negative)
{
    if (isinf(b->lower) && b->lower < 0)
        return split_lowest(trim, b);
    if (isinf(b->upper) && b->upper > 0)
        return split_highest(trim, b);
    double below = b->count * share_below(b, trim->x, negative, trim->linear);
    if (trim->upper)
        return (struct kept){below, midpoint_of(b->lower, trim->x, negative, trim->linear)};
    return (struct kept){b->count - below, midpoint_of(trim->x, b->upper, negative, trim->linear)};
}

static struct kept keep(const struct trim *trim, const struct qry_bucket *b, bool negative)
{
    bool whole = trim->upper ? b->upper <= trim->x : b->lower >= trim->x;
    if (whole)
        return (struct kept){b->count, midpoint_of(b->lower, b->upper, negative, trim->linear)};
    bool part = trim->upper ? b->lower < trim->x : b->upper > trim->x;
    if (part)
        return split(trim, b, negative);
    return (struct kept){0, 0};
}

static void account(struct trim *trim, struct kept kept)
{
    trim->count += kept.count;
    trim->sum += kept.midpoint * kept.count;
}

static void trim_side(struct trim *trim, struct nx_histogram *h, bool negative)
{
    struct qry_side side = qry_histogram_side(h, NULL, negative);
    double *counts = negative ? h->negative : h->positive;
    struct qry_side_iter it;
    struct qry_side_bucket bucket;
    qry_side_iter_init(&it, side, h->schema, h->schema, -1);
    while (qry_side_next(&it, &bucket)) {
        if (bucket.count == 0)
            continue;
        if (negative)
            trim->has_negative = true;
        else
            trim->has_positive = true;
        struct qry_bucket bounds = {.count = bucket.count};
        qry_side_bounds(h, bucket.index, negative, &bounds);
        struct kept kept = keep(trim, &bounds, negative);
        account(trim, kept);
        if (kept.count != bucket.count) {
            counts[it.pos - 1] = kept.count;
            trim->changed = true;
        }
    }
}

static struct kept keep_of_zero(const struct trim *trim, const struct nx_histogram *h)
{
    double lower = -h->zero_threshold, upper = h->zero_threshold;
    if (trim->has_negative && !trim->has_positive)
        upper = 0;
    if (trim->has_positive && !trim->has_negative)
        lower = 0;
    struct kept none = {0, 0}, all = {h->zero_count, (lower + upper) / 2};
    if (trim->x <= lower)
        return trim->upper ? none : all;
    if (trim->x >= upper)
        return trim->upper ? all : none;
    if (trim->upper)
        return (struct kept){h->zero_count * ((trim->x - lower) / (upper - lower)),
                             (lower + trim->x) / 2};
    return (struct kept){h->zero_count * ((upper - trim->x) / (upper - lower)),
                         (trim->x + upper) / 2};
}

struct nx_histogram *qry_histogram_trim(struct nx_arena *arena, const struct nx_histogram *h,
                                        double x, bool upper)
{
    struct nx_histogram *out = nx_histogram_copy(arena, h);
    if (!out)
        return NULL;
    struct trim trim = {.x = x, .upper = upper, .linear = qry_histogram_is_custom(h)};
    trim_side(&trim, out, false);
    trim_side(&trim, out, true);
    if (out->zero_count > 0) {
        struct kept kept = keep_of_zero(&trim, out);
        account(&trim, kept);
        if (kept.count != out->zero_count) {
            out->zero_count = kept.count;
            trim.changed = true;
        }
    }
    if (!trim.changed)
        return out;
    out->count = trim.count;
    out->sum = trim.sum;
    out->integer = false;
    return qry_histogram_compact(arena, out);
}
