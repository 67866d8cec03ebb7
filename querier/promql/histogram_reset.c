/* Equality of data, and the detection of counter resets between two samples (reference
 * sections 14.5, 14.6). */
#include "common/chunk/sample.h"
#include "querier/promql/histogram_internal.h"

static bool sides_equal(const struct nx_histogram *a, const struct nx_histogram *b, bool negative)
{
    struct qry_side_iter ia, ib;
    struct qry_side_bucket ba, bb;
    qry_side_iter_init(&ia, qry_histogram_side(a, NULL, negative), a->schema, a->schema, -1);
    qry_side_iter_init(&ib, qry_histogram_side(b, NULL, negative), b->schema, b->schema, -1);
    for (;;) {
        bool has_a = qry_side_next(&ia, &ba), has_b = qry_side_next(&ib, &bb);
        if (has_a != has_b)
            return false;
        if (!has_a)
            return true;
        if (ba.index != bb.index || nx_double_bits(ba.count) != nx_double_bits(bb.count))
            return false;
    }
}

static bool bounds_equal(const struct nx_histogram *a, const struct nx_histogram *b)
{
    if (a->custom_count != b->custom_count)
        return false;
    for (size_t i = 0; i < a->custom_count; i++)
        if (a->custom_bounds[i] != b->custom_bounds[i])
            return false;
    return true;
}

bool qry_histogram_equal(const struct nx_histogram *a, const struct nx_histogram *b)
{
    if (a->schema != b->schema || nx_double_bits(a->count) != nx_double_bits(b->count) ||
        nx_double_bits(a->sum) != nx_double_bits(b->sum) ||
        a->zero_threshold != b->zero_threshold ||
        nx_double_bits(a->zero_count) != nx_double_bits(b->zero_count))
        return false;
    if (qry_histogram_is_custom(a) && !bounds_equal(a, b))
        return false;
    return sides_equal(a, b, false) && sides_equal(a, b, true);
}

/* Whether a populated bucket of `prev` is gone or has shrunk, at the resolution of `cur`. */
static bool side_shrank(const struct nx_histogram *cur, const struct nx_histogram *prev,
                        bool negative)
{
    struct qry_side_iter ic, ip;
    struct qry_side_bucket bc = {0}, bp;
    double skip = qry_histogram_is_custom(cur) ? -1 : cur->zero_threshold;
    qry_side_iter_init(&ic, qry_histogram_side(cur, NULL, negative), cur->schema, cur->schema,
                       skip);
    qry_side_iter_init(&ip, qry_histogram_side(prev, NULL, negative), prev->schema, cur->schema,
                       skip);
    bool has_cur = qry_side_next(&ic, &bc);
    while (qry_side_next(&ip, &bp)) {
        while (has_cur && bc.index < bp.index)
            has_cur = qry_side_next(&ic, &bc);
        if (!has_cur || bc.index > bp.index) {
            if (bp.count != 0)
                return true;
        } else if (bc.count < bp.count) {
            return true;
        }
    }
    return false;
}

/* The counts up to a custom bound since the bound before it. */
struct accumulation {
    struct qry_side_iter it;
    struct qry_side_bucket bucket;
    bool has;
};

static void accumulate_init(struct accumulation *acc, const struct nx_histogram *h)
{
    qry_side_iter_init(&acc->it, qry_histogram_side(h, NULL, false), h->schema, h->schema, -1);
    acc->has = qry_side_next(&acc->it, &acc->bucket);
}

static double accumulate_to(struct accumulation *acc, size_t last_bucket)
{
    double sum = 0;
    while (acc->has && (acc->bucket.index < 0 || (size_t)acc->bucket.index <= last_bucket)) {
        sum += acc->bucket.count;
        acc->has = qry_side_next(&acc->it, &acc->bucket);
    }
    return sum;
}

static bool custom_shrank(const struct nx_histogram *cur, const struct nx_histogram *prev)
{
    struct accumulation ac, ap;
    accumulate_init(&ac, cur);
    accumulate_init(&ap, prev);
    size_t i = 0, j = 0;
    while (i < cur->custom_count && j < prev->custom_count) {
        double a = cur->custom_bounds[i], b = prev->custom_bounds[j];
        if (a == b && accumulate_to(&ac, i) < accumulate_to(&ap, j))
            return true;
        if (a <= b)
            i++;
        if (b <= a)
            j++;
        if (isnan(a) || isnan(b))
            break;
    }
    return accumulate_to(&ac, SIZE_MAX) < accumulate_to(&ap, SIZE_MAX);
}

bool qry_histogram_is_reset(struct nx_arena *arena, const struct nx_histogram *cur,
                            const struct nx_histogram *prev)
{
    (void)arena;
    if (cur->hint == NX_HINT_RESET)
        return true;
    if (cur->hint == NX_HINT_NOT_RESET)
        return false;
    if (cur->count < prev->count)
        return true;
    if (qry_histogram_is_custom(cur) != qry_histogram_is_custom(prev))
        return true;
    if (qry_histogram_is_custom(cur))
        return bounds_equal(cur, prev) ? side_shrank(cur, prev, false) : custom_shrank(cur, prev);
    if (cur->schema > prev->schema || cur->zero_threshold < prev->zero_threshold)
        return true;
    double grown;
    double prev_zero = qry_zero_grow(prev, NULL, cur->zero_threshold, &grown).count;
    if (grown != cur->zero_threshold || cur->zero_count < prev_zero)
        return true;
    return side_shrank(cur, prev, false) || side_shrank(cur, prev, true);
}
