/* Scaling, addition and subtraction, plain and compensated.
 *
 * Addition brings both operands to the lower schema, one zero threshold and, for custom buckets, to
 * the bounds both have; then it merges their sides index by index. Of the first operand, buckets
 * that went into a grown zero bucket are dropped before its resolution is lowered; of the second
 * one, buckets that end within the zero bucket are dropped after it. A bucket of the second operand
 * that lowering lets reach beyond the zero bucket thus counts what the zero bucket has already: so
 * Prometheus computes it, and results are to be its results. Two
 * operands of one layout (the usual case in an aggregation) are added array by array, without new
 * memory. */
#include "common/base/alloc.h"
#include "querier/promql/histogram_internal.h"

static void scale_array(double *values, size_t count, double factor)
{
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
}

static void divide_array(double *values, size_t count, double by)
{
    for (size_t i = 0; i < count; i++)
        values[i] /= by;
}

struct nx_histogram *qry_histogram_scale(struct nx_arena *arena, const struct nx_histogram *h,
                                         double factor)
{
    struct nx_histogram *out = nx_histogram_copy(arena, h);
    if (!out)
        return NULL;
    out->integer = false;
    out->zero_count *= factor;
    out->count *= factor;
    out->sum *= factor;
    scale_array(out->positive, out->positive_count, factor);
    scale_array(out->negative, out->negative_count, factor);
    if (factor < 0)
        out->hint = NX_HINT_GAUGE;
    return out;
}

struct nx_histogram *qry_histogram_divide(struct nx_arena *arena, const struct nx_histogram *h,
                                          double by)
{
    struct nx_histogram *out = nx_histogram_copy(arena, h);
    if (!out)
        return NULL;
    out->integer = false;
    out->zero_count /= by;
    out->count /= by;
    out->sum /= by;
    if (by == 0) {
        out->positive_span_count = out->positive_count = 0;
        out->negative_span_count = out->negative_count = 0;
        return out;
    }
    divide_array(out->positive, out->positive_count, by);
    divide_array(out->negative, out->negative_count, by);
    if (by < 0)
        out->hint = NX_HINT_GAUGE;
    return out;
}

/* --- what both operands agree on --- */

static bool same_values(const double *a, size_t a_count, const double *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (a[i] != b[i])
            return false;
    return true;
}

static bool same_bounds(const struct nx_histogram *a, const struct nx_histogram *b)
{
    return same_values(a->custom_bounds, a->custom_count, b->custom_bounds, b->custom_count);
}

static bool same_spans(const struct nx_span *a, size_t a_count, const struct nx_span *b,
                       size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (a[i].offset != b[i].offset || a[i].length != b[i].length)
            return false;
    return true;
}

static bool same_layout(const struct nx_histogram *a, const struct nx_histogram *b)
{
    return a->schema == b->schema && a->zero_threshold == b->zero_threshold &&
           a->positive_count == b->positive_count && a->negative_count == b->negative_count &&
           same_spans(a->positive_spans, a->positive_span_count, b->positive_spans,
                      b->positive_span_count) &&
           same_spans(a->negative_spans, a->negative_span_count, b->negative_spans,
                      b->negative_span_count) &&
           same_bounds(a, b);
}

/* Whether no bucket lies within the histogram's own zero bucket, where addition passes it over. */
static bool begins_beyond_zero(const struct nx_histogram *h)
{
    if (qry_histogram_is_custom(h))
        return true;
    return (h->positive_span_count == 0 ||
            qry_histogram_bound(h->positive_spans[0].offset, h->schema) > h->zero_threshold) &&
           (h->negative_span_count == 0 ||
            qry_histogram_bound(h->negative_spans[0].offset, h->schema) > h->zero_threshold);
}

/* The hint of a sum; *collision when a reset met its opposite. */
static enum nx_reset_hint join_hints(enum nx_reset_hint a, enum nx_reset_hint b, bool *collision)
{
    if (a == b)
        return a;
    if (a == NX_HINT_GAUGE || b == NX_HINT_GAUGE)
        return NX_HINT_GAUGE;
    if (a != NX_HINT_UNKNOWN && b != NX_HINT_UNKNOWN)
        *collision = true;
    return NX_HINT_UNKNOWN;
}

/* The common frame of two operands, and how each is read into it. */
struct frame {
    int32_t schema;
    double zero_threshold;
    struct qry_side_bucket zero_a, zero_b;
    double skip_a; /* the first operand's buckets up to here went into the zero bucket; < 0: none */
    double *bounds; /* custom */
    size_t bound_count;
    int32_t *map_a, *map_b; /* custom, bounds differ */
};

static void frame_zero(struct frame *f, const struct nx_histogram *a,
                       const struct nx_histogram *acomp, const struct nx_histogram *b)
{
    double threshold_a = a->zero_threshold, threshold_b = b->zero_threshold;
    f->zero_a =
        (struct qry_side_bucket){.count = a->zero_count, .comp = acomp ? acomp->zero_count : 0};
    f->zero_b = (struct qry_side_bucket){.count = b->zero_count};
    while (threshold_a != threshold_b) {
        if (threshold_a > threshold_b)
            f->zero_b = qry_zero_grow(b, NULL, threshold_a, &threshold_b);
        else if (threshold_b > threshold_a)
            f->zero_a = qry_zero_grow(a, acomp, threshold_b, &threshold_a);
        else
            break; /* not a number: nothing to reconcile */
    }
    f->skip_a = threshold_a == a->zero_threshold ? -1 : threshold_a;
    f->zero_threshold = threshold_a;
}

/* Old bucket -> new bucket: the first common bound at or above its own. */
static int32_t *map_bounds(struct nx_arena *arena, const double *from, size_t from_count,
                           const double *to, size_t to_count)
{
    int32_t *map = nx_arena_array(arena, from_count + 1, sizeof *map);
    if (!map)
        return NULL;
    size_t j = 0;
    for (size_t i = 0; i < from_count; i++) {
        while (j < to_count && to[j] < from[i])
            j++;
        map[i] = (int32_t)j;
    }
    map[from_count] = (int32_t)to_count;
    return map;
}

static enum nx_err frame_bounds(struct frame *f, struct nx_arena *arena,
                                const struct nx_histogram *a, const struct nx_histogram *b)
{
    size_t max = a->custom_count < b->custom_count ? a->custom_count : b->custom_count;
    f->bounds = nx_arena_array(arena, max + 1, sizeof *f->bounds);
    if (!f->bounds)
        return NX_ERR_NOMEM;
    for (size_t i = 0, j = 0; i < a->custom_count && j < b->custom_count;) {
        if (a->custom_bounds[i] == b->custom_bounds[j]) {
            f->bounds[f->bound_count++] = a->custom_bounds[i++];
            j++;
        } else if (a->custom_bounds[i] < b->custom_bounds[j]) {
            i++;
        } else {
            j++;
        }
    }
    f->map_a = map_bounds(arena, a->custom_bounds, a->custom_count, f->bounds, f->bound_count);
    f->map_b = map_bounds(arena, b->custom_bounds, b->custom_count, f->bounds, f->bound_count);
    return f->map_a && f->map_b ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err frame_of(struct frame *f, struct nx_arena *arena, const struct nx_histogram *a,
                            const struct nx_histogram *acomp, const struct nx_histogram *b,
                            struct qry_histogram_notes *notes)
{
    *f = (struct frame){.skip_a = -1};
    if (qry_histogram_is_custom(a)) {
        f->schema = a->schema;
        if (same_bounds(a, b))
            return NX_OK;
        notes->bounds_reconciled = true;
        return frame_bounds(f, arena, a, b);
    }
    f->schema = a->schema < b->schema ? a->schema : b->schema;
    frame_zero(f, a, acomp, b);
    return NX_OK;
}

/* --- merging --- */

struct operand {
    struct qry_side_iter it;
    struct qry_side_bucket bucket;
    bool has;
};

static void operand_init(struct operand *op, const struct frame *f, const struct nx_histogram *h,
                         const struct nx_histogram *comp, bool negative, bool first)
{
    qry_side_iter_init(&op->it, qry_histogram_side(h, comp, negative), h->schema, f->schema,
                       first ? f->skip_a : -1);
    op->it.map = first ? f->map_a : f->map_b;
    op->it.map_len = h->custom_count + 1;
    op->has = qry_side_next(&op->it, &op->bucket);
    if (first || qry_histogram_is_custom(h))
        return;
    while (op->has && qry_histogram_bound(op->bucket.index, f->schema) <= f->zero_threshold)
        op->has = qry_side_next(&op->it, &op->bucket);
}

static void add_bucket(struct qry_side_bucket *into, const struct qry_side_bucket *b, double sign,
                       bool compensated)
{
    if (compensated) {
        qry_kahan_inc(b->count, &into->count, &into->comp);
        into->comp += b->comp;
    } else {
        into->count += sign * b->count;
    }
}

static bool merge_side(const struct frame *f, struct nx_arena *arena, const struct nx_histogram *a,
                       const struct nx_histogram *acomp, const struct nx_histogram *b, double sign,
                       bool negative, struct nx_histogram *out, struct nx_histogram *out_comp)
{
    struct operand left, right;
    struct qry_side_builder builder;
    operand_init(&left, f, a, acomp, negative, true);
    operand_init(&right, f, b, NULL, negative, false);
    qry_side_builder_init(&builder, arena, left.it.side.count + right.it.side.count,
                          out_comp != NULL);
    while (left.has || right.has) {
        struct qry_side_bucket bucket = {0};
        bool take_left = left.has && (!right.has || left.bucket.index <= right.bucket.index);
        bool take_right = right.has && (!left.has || right.bucket.index <= left.bucket.index);
        if (take_left) {
            bucket = left.bucket;
            left.has = qry_side_next(&left.it, &left.bucket);
        } else {
            bucket.index = right.bucket.index;
        }
        if (take_right) {
            add_bucket(&bucket, &right.bucket, sign, out_comp != NULL);
            right.has = qry_side_next(&right.it, &right.bucket);
        }
        qry_side_builder_add(&builder, bucket);
    }
    return qry_side_builder_finish(&builder, out, out_comp, negative);
}

static enum nx_err copy_bounds(struct nx_arena *arena, const struct nx_histogram *a,
                               const struct frame *f, struct nx_histogram *out)
{
    const double *from = f->map_a ? f->bounds : a->custom_bounds;
    size_t count = f->map_a ? f->bound_count : a->custom_count;
    out->custom_count = count;
    if (count == 0)
        return NX_OK;
    out->custom_bounds = nx_arena_array(arena, count, sizeof *out->custom_bounds);
    if (!out->custom_bounds)
        return NX_ERR_NOMEM;
    memcpy(out->custom_bounds, from, count * sizeof *from);
    return NX_OK;
}

/* a + sign*b. With `out_comp` compensated, starting from the compensations of `acomp`; sign is
 * then 1. */
static enum nx_err combine(struct nx_arena *arena, const struct nx_histogram *a,
                           const struct nx_histogram *acomp, const struct nx_histogram *b,
                           double sign, struct nx_histogram *out, struct nx_histogram *out_comp,
                           struct qry_histogram_notes *notes)
{
    struct frame f;
    enum nx_err err = frame_of(&f, arena, a, acomp, b, notes);
    if (err)
        return err;
    *out = (struct nx_histogram){.schema = f.schema, .zero_threshold = f.zero_threshold};
    if (out_comp)
        *out_comp = *out;
    struct qry_side_bucket zero = f.zero_a;
    struct qry_side_bucket count = {.count = a->count, .comp = acomp ? acomp->count : 0};
    struct qry_side_bucket sum = {.count = a->sum, .comp = acomp ? acomp->sum : 0};
    add_bucket(&zero, &f.zero_b, sign, out_comp != NULL);
    add_bucket(&count, &(struct qry_side_bucket){.count = b->count}, sign, out_comp != NULL);
    add_bucket(&sum, &(struct qry_side_bucket){.count = b->sum}, sign, out_comp != NULL);
    out->zero_count = zero.count;
    out->count = count.count;
    out->sum = sum.count;
    if (out_comp) {
        out_comp->zero_count = zero.comp;
        out_comp->count = count.comp;
        out_comp->sum = sum.comp;
    }
    if (!merge_side(&f, arena, a, acomp, b, sign, false, out, out_comp) ||
        !merge_side(&f, arena, a, acomp, b, sign, true, out, out_comp))
        return NX_ERR_NOMEM;
    err = copy_bounds(arena, a, &f, out);
    if (out_comp) {
        out_comp->custom_bounds = out->custom_bounds;
        out_comp->custom_count = out->custom_count;
    }
    return err;
}

static enum nx_err plain(struct nx_arena *arena, const struct nx_histogram *a,
                         const struct nx_histogram *b, double sign, struct nx_histogram **out,
                         struct qry_histogram_notes *notes)
{
    *notes = (struct qry_histogram_notes){0};
    if (qry_histogram_is_custom(a) != qry_histogram_is_custom(b))
        return NX_ERR_INVALID;
    struct nx_histogram *result = nx_arena_calloc(arena, 1, sizeof *result);
    if (!result)
        return NX_ERR_NOMEM;
    enum nx_err err = combine(arena, a, NULL, b, sign, result, NULL, notes);
    if (err)
        return err;
    result->hint = join_hints(a->hint, b->hint, &notes->hint_collision);
    *out = result;
    return NX_OK;
}

enum nx_err qry_histogram_add(struct nx_arena *arena, const struct nx_histogram *a,
                              const struct nx_histogram *b, struct nx_histogram **out,
                              struct qry_histogram_notes *notes)
{
    return plain(arena, a, b, 1, out, notes);
}

enum nx_err qry_histogram_sub(struct nx_arena *arena, const struct nx_histogram *a,
                              const struct nx_histogram *b, struct nx_histogram **out,
                              struct qry_histogram_notes *notes)
{
    enum nx_err err = plain(arena, a, b, -1, out, notes);
    if (!err)
        (*out)->hint = NX_HINT_GAUGE;
    return err;
}

/* --- compensated --- */

static void inc_arrays(double *sums, double *comps, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        qry_kahan_inc(values[i], &sums[i], &comps[i]);
}

static void add_same_layout(struct nx_histogram *sum, struct nx_histogram *comp,
                            const struct nx_histogram *h)
{
    qry_kahan_inc(h->zero_count, &sum->zero_count, &comp->zero_count);
    qry_kahan_inc(h->count, &sum->count, &comp->count);
    qry_kahan_inc(h->sum, &sum->sum, &comp->sum);
    inc_arrays(sum->positive, comp->positive, h->positive, h->positive_count);
    inc_arrays(sum->negative, comp->negative, h->negative, h->negative_count);
}

/* All zeros, with the layout of `h`. */
static struct nx_histogram *zero_like(struct nx_arena *arena, const struct nx_histogram *h)
{
    struct nx_histogram *out = nx_histogram_copy(arena, h);
    if (!out)
        return NULL;
    out->zero_count = out->count = out->sum = 0;
    for (size_t i = 0; i < out->positive_count; i++)
        out->positive[i] = 0;
    for (size_t i = 0; i < out->negative_count; i++)
        out->negative[i] = 0;
    return out;
}

enum nx_err qry_histogram_kahan_add(struct nx_arena *arena, struct nx_histogram **sum,
                                    struct nx_histogram **comp, const struct nx_histogram *h,
                                    struct qry_histogram_notes *notes)
{
    *notes = (struct qry_histogram_notes){0};
    if (*sum && qry_histogram_is_custom(*sum) != qry_histogram_is_custom(h))
        return NX_ERR_INVALID;
    if (!*sum || !*comp) {
        struct nx_histogram *first = *sum ? *sum : nx_histogram_copy(arena, h);
        struct nx_histogram *zeros = first ? zero_like(arena, first) : NULL;
        if (!first || !zeros)
            return NX_ERR_NOMEM;
        bool done = !*sum;
        first->integer = false;
        *sum = first;
        *comp = zeros;
        if (done)
            return NX_OK;
    }
    bool collision = false;
    enum nx_reset_hint hint = join_hints((*sum)->hint, h->hint, &collision);
    if (same_layout(*sum, h) && begins_beyond_zero(h)) {
        add_same_layout(*sum, *comp, h);
    } else {
        struct nx_histogram new_sum, new_comp;
        enum nx_err err = combine(arena, *sum, *comp, h, 1, &new_sum, &new_comp, notes);
        if (err)
            return err;
        **sum = new_sum;
        **comp = new_comp;
    }
    (*sum)->hint = hint;
    notes->hint_collision = collision;
    return NX_OK;
}

struct nx_histogram *qry_histogram_kahan_result(struct nx_arena *arena,
                                                const struct nx_histogram *sum,
                                                const struct nx_histogram *comp)
{
    struct nx_histogram *out = nx_histogram_copy(arena, sum);
    if (!out || !comp)
        return out;
    out->zero_count += comp->zero_count;
    out->count += comp->count;
    out->sum += comp->sum;
    for (size_t i = 0; i < out->positive_count && i < comp->positive_count; i++)
        out->positive[i] += comp->positive[i];
    for (size_t i = 0; i < out->negative_count && i < comp->negative_count; i++)
        out->negative[i] += comp->negative[i];
    return out;
}

static bool any_infinite(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (isinf(values[i]))
            return true;
    return false;
}

bool qry_histogram_overflows(const struct nx_histogram *h)
{
    return isinf(h->zero_count) || isinf(h->count) || isinf(h->sum) ||
           any_infinite(h->positive, h->positive_count) ||
           any_infinite(h->negative, h->negative_count);
}
