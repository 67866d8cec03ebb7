/* Bringing two zero buckets to one threshold: the smaller grows to the larger, and where that falls
 * into a populated bucket further to the end of it. */
#include "querier/promql/histogram_internal.h"

struct zero_scan {
    const struct nx_histogram *h;
    const struct nx_histogram *comp;
    double threshold;
    struct qry_side_bucket sum;
};

/* Adds the buckets that begin below the threshold; false when it had to be moved outward. */
static bool absorb_side(struct zero_scan *scan, bool negative)
{
    struct qry_side_iter it;
    struct qry_side_bucket bucket;
    struct qry_bucket bounds;
    qry_side_iter_init(&it, qry_histogram_side(scan->h, scan->comp, negative), scan->h->schema,
                       scan->h->schema, -1);
    while (qry_side_next(&it, &bucket)) {
        qry_side_bounds(scan->h, bucket.index, negative, &bounds);
        double near = negative ? -bounds.upper : bounds.lower;
        double far = negative ? -bounds.lower : bounds.upper;
        if (near >= scan->threshold)
            return true;
        if (scan->comp) {
            qry_kahan_inc(bucket.count, &scan->sum.count, &scan->sum.comp);
            scan->sum.comp += bucket.comp;
        } else {
            scan->sum.count += bucket.count;
        }
        if (far > scan->threshold) {
            if (bucket.count == 0)
                return true;
            scan->threshold = far;
            return false;
        }
    }
    return true;
}

struct qry_side_bucket qry_zero_grow(const struct nx_histogram *h, const struct nx_histogram *comp,
                                     double threshold, double *grown)
{
    struct zero_scan scan = {.h = h, .comp = comp, .threshold = threshold};
    bool settled;
    do {
        scan.sum.count = h->zero_count;
        scan.sum.comp = comp ? comp->zero_count : 0;
        if (scan.threshold == h->zero_threshold)
            break;
        settled = absorb_side(&scan, false) && absorb_side(&scan, true);
    } while (!settled);
    *grown = scan.threshold;
    return scan.sum;
}
