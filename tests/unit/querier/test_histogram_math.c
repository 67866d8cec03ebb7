#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "querier/promql/histogram_math.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct fixture {
    struct nx_arena arena;
};

static int setup(void **state)
{
    struct fixture *fx = nx_calloc(1, sizeof *fx);
    assert_non_null(fx);
    nx_arena_init(&fx->arena, 0);
    *state = fx;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fx = *state;
    nx_arena_release(&fx->arena);
    nx_free(fx);
    return 0;
}

/* One contiguous span of positive buckets, and of negative ones. */
static struct nx_histogram *make(struct nx_arena *arena, int32_t schema, int32_t offset,
                                 const double *positive, size_t count)
{
    struct nx_histogram *h = nx_arena_calloc(arena, 1, sizeof *h);
    h->schema = schema;
    h->positive_spans = nx_arena_calloc(arena, 1, sizeof *h->positive_spans);
    h->positive_spans[0] = (struct nx_span){offset, (uint32_t)count};
    h->positive_span_count = count > 0;
    h->positive = nx_arena_calloc(arena, count + 1, sizeof(double));
    h->positive_count = count;
    for (size_t i = 0; i < count; i++) {
        h->positive[i] = positive[i];
        h->count += positive[i];
    }
    h->sum = h->count;
    return h;
}

static void set_negative(struct nx_arena *arena, struct nx_histogram *h, int32_t offset,
                         const double *counts, size_t count)
{
    h->negative_spans = nx_arena_calloc(arena, 1, sizeof *h->negative_spans);
    h->negative_spans[0] = (struct nx_span){offset, (uint32_t)count};
    h->negative_span_count = 1;
    h->negative = nx_arena_calloc(arena, count, sizeof(double));
    h->negative_count = count;
    for (size_t i = 0; i < count; i++) {
        h->negative[i] = counts[i];
        h->count += counts[i];
    }
}

static void set_zero(struct nx_histogram *h, double threshold, double count)
{
    h->zero_threshold = threshold;
    h->zero_count = count;
    h->count += count;
}

static struct nx_histogram *make_custom(struct nx_arena *arena, const double *bounds,
                                        size_t bound_count, const double *counts, size_t count)
{
    struct nx_histogram *h = make(arena, NX_HISTOGRAM_CUSTOM_SCHEMA, 0, counts, count);
    h->custom_bounds = nx_arena_calloc(arena, bound_count, sizeof(double));
    h->custom_count = bound_count;
    for (size_t i = 0; i < bound_count; i++)
        h->custom_bounds[i] = bounds[i];
    return h;
}

#define MAKE(schema, offset, ...)                                       \
    make(&fx->arena, (schema), (offset), (const double[]){__VA_ARGS__}, \
         COUNT(((const double[]){__VA_ARGS__})))
#define CUSTOM(bounds, ...)                                                         \
    make_custom(&fx->arena, (bounds), COUNT(bounds), (const double[]){__VA_ARGS__}, \
                COUNT(((const double[]){__VA_ARGS__})))

static void assert_text(const struct nx_histogram *h, const char *expected)
{
    struct nx_buf buf;
    nx_buf_init(&buf, 4096);
    assert_non_null(h);
    qry_histogram_print(&buf, h);
    nx_buf_append_char(&buf, '\0');
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    assert_string_equal(buf.data, expected);
    nx_buf_release(&buf);
}

static void assert_near(double got, double expected)
{
    if (isnan(expected)) {
        assert_true(isnan(got));
        return;
    }
    if (got == expected)
        return;
    double relative = fabs(got - expected) / fmax(fabs(expected), 1e-300);
    if (!(relative < 1e-12))
        fail_msg("got %.17g, expected %.17g", got, expected);
}

static void bound_of_schemas_is_exact(void **state)
{
    (void)state;
    assert_true(qry_histogram_bound(0, 0) == 1);
    assert_true(qry_histogram_bound(3, 0) == 8);
    assert_true(qry_histogram_bound(-1, 0) == 0.5);
    assert_true(qry_histogram_bound(1, 1) == 1.414213562373095);
    assert_true(qry_histogram_bound(2, 1) == 2);
    assert_true(qry_histogram_bound(-1, 1) == 0.7071067811865475);
    assert_true(qry_histogram_bound(1, -4) == 65536);
    assert_true(qry_histogram_bound(-1, -4) == 1.0 / 65536);
    assert_true(qry_histogram_bound(1024, 0) == DBL_MAX);
    assert_true(isinf(qry_histogram_bound(1025, 0)));
    assert_true(qry_histogram_bound(64, -4) == DBL_MAX);
    assert_true(qry_histogram_bound(1024 * 256, 8) == DBL_MAX);
    assert_true(isinf(qry_histogram_bound(INT32_MAX, -4)));
    assert_true(qry_histogram_bound(INT32_MIN, -4) == 0);
    assert_true(qry_histogram_bound(INT32_MIN, 8) == 0);
}

static void bound_of_every_schema_ascends(void **state)
{
    (void)state;
    for (int32_t schema = -4; schema <= 8; schema++)
        for (int32_t i = -600; i < 600; i++)
            if (qry_histogram_bound(i, schema) != 0 && isfinite(qry_histogram_bound(i + 1, schema)))
                assert_true(qry_histogram_bound(i, schema) < qry_histogram_bound(i + 1, schema));
}

static struct nx_histogram *two_sided(struct fixture *fx)
{
    struct nx_histogram *h = MAKE(0, 1, 1, 0, 3);
    set_negative(&fx->arena, h, 0, (const double[]){4, 5}, 2);
    set_zero(h, 0.001, 2);
    return h;
}

static void print_two_sided_is_ascending_without_empty(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = two_sided(fx);
    h->sum = 7.5;
    assert_text(h,
                "{count:15, sum:7.5, [-2,-1):5, [-1,-0.5):4, [-0.001,0.001]:2, (1,2]:1, (4,8]:3}");
}

static void iter_descending_is_reverse_of_ascending(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = two_sided(fx);
    struct qry_bucket up[8], down[8];
    size_t ups = 0, downs = 0;
    struct qry_bucket_iter it;
    qry_bucket_iter_init(&it, h, false);
    while (qry_bucket_next(&it, &up[ups]))
        ups++;
    qry_bucket_iter_init(&it, h, true);
    while (qry_bucket_next(&it, &down[downs]))
        downs++;
    assert_int_equal(ups, 5);
    assert_int_equal(downs, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(up[i].lower == down[4 - i].lower);
        assert_true(up[i].upper == down[4 - i].upper);
        assert_true(up[i].count == down[4 - i].count);
    }
    assert_true(up[0].lower == -2 && up[0].lower_inclusive && !up[0].upper_inclusive);
    assert_true(up[4].upper == 8 && up[4].upper_inclusive && !up[4].lower_inclusive);
}

static void iter_overlapping_zero_bucket_is_cut(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(0, 0, 1, 2, 3); /* (0.5,1] (1,2] (2,4] */
    set_zero(h, 1.5, 1);
    struct qry_bucket b;
    struct qry_bucket_iter it;
    qry_bucket_iter_init(&it, h, false);
    assert_true(qry_bucket_next(&it, &b) && b.lower == -1.5 && b.upper == 1.5);
    assert_true(qry_bucket_next(&it, &b) && b.lower == 1.5 && b.upper == 2 && b.count == 2);
    assert_true(qry_bucket_next(&it, &b) && b.lower == 2);
    assert_false(qry_bucket_next(&it, &b));
}

static void iter_spans_longer_than_counts_stays_inside(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(0, 0, 1, 2);
    h->positive_spans[0].length = 1000000;
    struct qry_bucket b;
    struct qry_bucket_iter it;
    for (int descending = 0; descending < 2; descending++) {
        size_t count = 0;
        qry_bucket_iter_init(&it, h, descending);
        while (qry_bucket_next(&it, &b))
            count++;
        assert_int_equal(count, 2);
    }
    assert_non_null(qry_histogram_compact(&fx->arena, h));
}

static void compact_removes_empty_and_joins_spans(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(0, -2, 0, 1, 0, 0, 2, 3, 0);
    struct nx_histogram *c = qry_histogram_compact(&fx->arena, h);
    assert_int_equal(c->positive_span_count, 2);
    assert_int_equal(c->positive_spans[0].offset, -1);
    assert_int_equal(c->positive_spans[0].length, 1);
    assert_int_equal(c->positive_spans[1].offset, 2);
    assert_int_equal(c->positive_spans[1].length, 2);
    assert_int_equal(c->positive_count, 3);

    struct nx_span split[] = {{0, 1}, {0, 1}, {0, 0}, {0, 1}};
    struct nx_histogram *s = MAKE(0, 0, 1, 2, 3);
    s->positive_spans = split;
    s->positive_span_count = COUNT(split);
    c = qry_histogram_compact(&fx->arena, s);
    assert_int_equal(c->positive_span_count, 1);
    assert_int_equal(c->positive_spans[0].length, 3);
    assert_true(qry_histogram_equal(s, c));
}

static void reduce_joins_pairs_and_keeps_the_count(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(1, -2, 1, 2, 3, 4, 5, 6);
    /* indices -2..3 at schema 1 are -1,0,0,1,1,2 at schema 0: ((i - 1) >> 1) + 1 */
    struct nx_histogram *r = qry_histogram_reduce(&fx->arena, h, 0);
    assert_int_equal(r->schema, 0);
    assert_text(r, "{count:21, sum:21, (0.25,0.5]:1, (0.5,1]:5, (1,2]:9, (2,4]:6}");
}

static void scale_by_negative_is_gauge(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = two_sided(fx);
    h->hint = NX_HINT_NOT_RESET;
    struct nx_histogram *s = qry_histogram_scale(&fx->arena, h, 2);
    assert_int_equal(s->hint, NX_HINT_NOT_RESET);
    assert_true(s->count == 30 && s->zero_count == 4 && s->positive[2] == 6 &&
                s->negative[1] == 10);
    assert_int_equal(qry_histogram_scale(&fx->arena, h, -1)->hint, NX_HINT_GAUGE);
    assert_true(h->count == 15);
}

static void divide_by_zero_has_no_buckets(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *d = qry_histogram_divide(&fx->arena, two_sided(fx), 0);
    assert_true(isinf(d->count) && isinf(d->zero_count));
    assert_int_equal(d->positive_count + d->negative_count, 0);
    d = qry_histogram_divide(&fx->arena, two_sided(fx), 2);
    assert_true(d->count == 7.5 && d->negative[0] == 2);
}

static struct nx_histogram *added(struct fixture *fx, const struct nx_histogram *a,
                                  const struct nx_histogram *b, struct qry_histogram_notes *notes)
{
    struct nx_histogram *out = NULL;
    assert_int_equal(qry_histogram_add(&fx->arena, a, b, &out, notes), NX_OK);
    return out;
}

static void add_other_layouts_is_bucket_by_bucket(void **state)
{
    struct fixture *fx = *state;
    struct qry_histogram_notes notes;
    struct nx_histogram *sum = added(fx, MAKE(0, 0, 1, 2), MAKE(0, 3, 10, 20), &notes);
    assert_text(sum, "{count:33, sum:33, (0.5,1]:1, (1,2]:2, (4,8]:10, (8,16]:20}");
    sum = added(fx, MAKE(1, 0, 1, 2, 3), MAKE(0, 0, 10), &notes);
    assert_int_equal(sum->schema, 0);
    assert_text(sum, "{count:16, sum:16, (0.5,1]:11, (1,2]:5}");
    assert_false(notes.hint_collision);
    assert_false(notes.bounds_reconciled);
}

static void add_hints_follow_the_table(void **state)
{
    struct fixture *fx = *state;
    static const struct {
        enum nx_reset_hint a, b, out;
        bool collision;
    } cases[] = {
        {NX_HINT_RESET, NX_HINT_RESET, NX_HINT_RESET, false},
        {NX_HINT_GAUGE, NX_HINT_RESET, NX_HINT_GAUGE, false},
        {NX_HINT_NOT_RESET, NX_HINT_GAUGE, NX_HINT_GAUGE, false},
        {NX_HINT_UNKNOWN, NX_HINT_RESET, NX_HINT_UNKNOWN, false},
        {NX_HINT_NOT_RESET, NX_HINT_UNKNOWN, NX_HINT_UNKNOWN, false},
        {NX_HINT_RESET, NX_HINT_NOT_RESET, NX_HINT_UNKNOWN, true},
        {NX_HINT_NOT_RESET, NX_HINT_RESET, NX_HINT_UNKNOWN, true},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct qry_histogram_notes notes;
        struct nx_histogram *a = MAKE(0, 0, 1), *b = MAKE(0, 0, 1), *diff;
        a->hint = cases[i].a;
        b->hint = cases[i].b;
        assert_int_equal(added(fx, a, b, &notes)->hint, cases[i].out);
        assert_int_equal(notes.hint_collision, cases[i].collision);
        assert_int_equal(qry_histogram_sub(&fx->arena, a, b, &diff, &notes), NX_OK);
        assert_int_equal(diff->hint, NX_HINT_GAUGE);
        assert_int_equal(notes.hint_collision, cases[i].collision);
    }
}

static void add_zero_thresholds_grow_to_populated_ends(void **state)
{
    struct fixture *fx = *state;
    struct qry_histogram_notes notes;
    struct nx_histogram *narrow = MAKE(0, -1, 1, 2, 4); /* (0.25,0.5] (0.5,1] (1,2] */
    set_zero(narrow, 0.001, 8);
    struct nx_histogram *wide = MAKE(0, 1, 16); /* (1,2] */
    set_zero(wide, 0.75, 32);
    /* 0.75 lies inside the populated (0.5,1]: both grow to 1 */
    struct nx_histogram *sum = added(fx, narrow, wide, &notes);
    assert_true(sum->zero_threshold == 1);
    assert_true(sum->zero_count == 8 + 1 + 2 + 32);
    assert_text(qry_histogram_compact(&fx->arena, sum), "{count:63, sum:23, [-1,1]:43, (1,2]:20}");
    struct nx_histogram *swapped = added(fx, wide, narrow, &notes);
    assert_true(qry_histogram_equal(sum, swapped));
}

static void add_zero_threshold_in_empty_bucket_stays(void **state)
{
    struct fixture *fx = *state;
    struct qry_histogram_notes notes;
    struct nx_histogram *narrow = MAKE(0, 0, 0, 4);
    set_zero(narrow, 0.001, 8);
    struct nx_histogram *wide = MAKE(0, 1, 16);
    set_zero(wide, 0.75, 32);
    struct nx_histogram *sum = added(fx, narrow, wide, &notes);
    assert_true(sum->zero_threshold == 0.75);
    assert_true(sum->zero_count == 40);
}

static void add_custom_bounds_are_intersected(void **state)
{
    struct fixture *fx = *state;
    struct qry_histogram_notes notes;
    static const double some[] = {1, 2, 3, 5}, other[] = {2, 4, 5};
    struct nx_histogram *sum =
        added(fx, CUSTOM(some, 1, 2, 3, 4, 5), CUSTOM(other, 10, 20, 30, 40), &notes);
    assert_true(notes.bounds_reconciled);
    assert_int_equal(sum->custom_count, 2);
    assert_text(sum, "{count:115, sum:115, [-Inf,2]:13, (2,5]:57, (5,+Inf]:45}");

    sum = added(fx, CUSTOM(some, 1, 1), CUSTOM(some, 0, 1, 1), &notes);
    assert_false(notes.bounds_reconciled);
    assert_text(sum, "{count:4, sum:4, [-Inf,1]:1, (1,2]:2, (2,3]:1}");
}

static void add_custom_to_exponential_is_refused(void **state)
{
    struct fixture *fx = *state;
    struct qry_histogram_notes notes;
    static const double bounds[] = {1};
    struct nx_histogram *out = NULL, *comp = NULL;
    struct nx_histogram *a = MAKE(0, 0, 1), *b = CUSTOM(bounds, 1);
    assert_int_equal(qry_histogram_add(&fx->arena, a, b, &out, &notes), NX_ERR_INVALID);
    assert_int_equal(qry_histogram_sub(&fx->arena, b, a, &out, &notes), NX_ERR_INVALID);
    assert_null(out);
    assert_int_equal(qry_histogram_kahan_add(&fx->arena, &out, &comp, a, &notes), NX_OK);
    assert_int_equal(qry_histogram_kahan_add(&fx->arena, &out, &comp, b, &notes), NX_ERR_INVALID);
}

static void kahan_add_keeps_what_doubles_lose(void **state)
{
    struct fixture *fx = *state;
    struct qry_histogram_notes notes;
    struct nx_histogram *sum = NULL, *comp = NULL;
    static const double values[] = {1e100, 1, -1e100, 1};
    for (size_t i = 0; i < COUNT(values); i++) {
        struct nx_histogram *h = MAKE(0, (int32_t)(i % 2), values[i], values[i]);
        h->sum = values[i];
        assert_int_equal(qry_histogram_kahan_add(&fx->arena, &sum, &comp, h, &notes), NX_OK);
    }
    struct nx_histogram *total = qry_histogram_kahan_result(&fx->arena, sum, comp);
    assert_true(total->sum == 2);
    assert_int_equal(total->positive_count, 3);
    assert_true(total->positive[0] == 0 && total->positive[1] == 2 && total->positive[2] == 2);
}

static void kahan_add_same_layout_takes_no_memory(void **state)
{
    struct fixture *fx = *state;
    struct qry_histogram_notes notes;
    struct nx_histogram *sum = NULL, *comp = NULL, *h = two_sided(fx);
    assert_int_equal(qry_histogram_kahan_add(&fx->arena, &sum, &comp, h, &notes), NX_OK);
    assert_int_equal(qry_histogram_kahan_add(&fx->arena, &sum, &comp, h, &notes), NX_OK);
    char *before = fx->arena.next;
    assert_int_equal(qry_histogram_kahan_add(&fx->arena, &sum, &comp, h, &notes), NX_OK);
    assert_ptr_equal(fx->arena.next, before);
    assert_true(sum->count == 45);
    assert_true(h->count == 15);
    assert_false(qry_histogram_overflows(sum));
    sum->positive[0] = HUGE_VAL;
    assert_true(qry_histogram_overflows(sum));
}

/* A sum of random histograms agrees with the plain one whatever the layouts. Where one schema is
 * lowered to another, a bucket may count what the zero bucket has too, as in Prometheus. */
static void kahan_add_random_layouts_agrees_with_add(void **state)
{
    struct fixture *fx = *state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    for (int round = 0; round < 200; round++) {
        struct nx_histogram *sum = NULL, *comp = NULL, *plain = NULL;
        struct qry_histogram_notes notes;
        double count = 0;
        for (int i = 0; i < 5; i++) {
            double buckets[6];
            for (size_t j = 0; j < COUNT(buckets); j++)
                buckets[j] = (double)nx_rand_below(&rand, 4);
            struct nx_histogram *h = make(&fx->arena, (int32_t)nx_rand_below(&rand, 4) - 1,
                                          (int32_t)nx_rand_below(&rand, 9) - 4, buckets, 6);
            set_negative(&fx->arena, h, (int32_t)nx_rand_below(&rand, 5) - 2, buckets, 3);
            set_zero(h, (double)nx_rand_below(&rand, 3) * 0.3, 1);
            count += h->count;
            assert_int_equal(qry_histogram_kahan_add(&fx->arena, &sum, &comp, h, &notes), NX_OK);
            if (!plain)
                plain = h;
            else
                plain = added(fx, plain, h, &notes);
        }
        struct nx_histogram *total = qry_histogram_kahan_result(&fx->arena, sum, comp);
        assert_true(qry_histogram_equal(qry_histogram_compact(&fx->arena, total),
                                        qry_histogram_compact(&fx->arena, plain)));
        assert_true(total->count == count);
    }
}

static void equal_ignores_hint_and_span_layout(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *a = MAKE(0, 0, 1, 2), *b = MAKE(0, 0, 1, 2);
    b->hint = NX_HINT_GAUGE;
    struct nx_span spans[] = {{0, 1}, {0, 0}, {0, 1}};
    b->positive_spans = spans;
    b->positive_span_count = 3;
    assert_true(qry_histogram_equal(a, b));
    b->sum = (double)NAN;
    assert_false(qry_histogram_equal(a, b));
    a->sum = (double)NAN;
    assert_true(qry_histogram_equal(a, b));
    b->positive[1] = 3;
    assert_false(qry_histogram_equal(a, b));
}

static bool is_reset(struct fixture *fx, struct nx_histogram *prev, struct nx_histogram *cur)
{
    return qry_histogram_is_reset(&fx->arena, cur, prev);
}

static void reset_hints_decide_first(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *less = MAKE(0, 0, 1), *more = MAKE(0, 0, 2);
    assert_true(is_reset(fx, more, less));
    assert_false(is_reset(fx, less, more));
    less->hint = NX_HINT_NOT_RESET;
    assert_false(is_reset(fx, more, less));
    more->hint = NX_HINT_RESET;
    assert_true(is_reset(fx, less, more));
}

static void reset_bucket_changes_are_found(void **state)
{
    struct fixture *fx = *state;
    assert_true(is_reset(fx, MAKE(0, 0, 1, 2, 3), MAKE(0, 0, 5, 2, 2)));
    assert_false(is_reset(fx, MAKE(0, 0, 1, 2, 3), MAKE(0, 0, 1, 2, 3)));
    assert_true(is_reset(fx, MAKE(0, 0, 1, 2, 3), MAKE(0, 1, 5, 6)));  /* bucket 0 is gone */
    assert_false(is_reset(fx, MAKE(0, 0, 0, 2, 3), MAKE(0, 1, 5, 6))); /* it was empty */
    assert_true(is_reset(fx, MAKE(0, 0, 1, 0, 1), MAKE(0, 0, 9)));     /* the last is gone */
    assert_false(is_reset(fx, MAKE(0, 0, 1, 0, 0), MAKE(0, 0, 9)));
    assert_true(is_reset(fx, MAKE(0, 0, 1), MAKE(1, 0, 5)));     /* finer schema */
    assert_false(is_reset(fx, MAKE(1, 1, 1, 1), MAKE(0, 1, 2))); /* coarser, joined */
    assert_true(is_reset(fx, MAKE(1, 1, 1, 2), MAKE(0, 1, 2, 3)));
}

static void reset_zero_bucket_changes_are_found(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *narrow = MAKE(0, 0, 1, 1), *wide = MAKE(0, 1, 5);
    set_zero(narrow, 0.5, 1);
    set_zero(wide, 1, 2);
    assert_false(is_reset(fx, narrow, wide));
    assert_true(is_reset(fx, wide, narrow));
    wide->zero_count = 1;
    assert_true(is_reset(fx, narrow, wide)); /* less than what the grown one holds */
    wide->zero_count = 9;
    wide->zero_threshold = 0.75;
    assert_true(is_reset(fx, narrow, wide)); /* ends inside a populated bucket */
}

static void reset_custom_bounds_are_compared_where_common(void **state)
{
    struct fixture *fx = *state;
    static const double some[] = {1, 2, 4}, other[] = {2, 3, 4};
    assert_false(is_reset(fx, CUSTOM(some, 1, 1, 1, 1), CUSTOM(other, 2, 0, 1, 1)));
    assert_true(is_reset(fx, CUSTOM(some, 1, 1, 1, 1), CUSTOM(other, 1, 2, 1, 1)));
    assert_true(is_reset(fx, CUSTOM(some, 1, 1, 1, 2), CUSTOM(other, 3, 1, 1, 1)));
    assert_true(is_reset(fx, MAKE(0, 0, 1), CUSTOM(other, 3)));
    assert_true(is_reset(fx, CUSTOM(some, 1, 2), CUSTOM(some, 3, 1)));
    assert_false(is_reset(fx, CUSTOM(some, 1, 2), CUSTOM(some, 1, 2, 1)));
}

static void trim_whole_buckets_is_a_cut(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(0, 0, 1, 2, 4); /* (0.5,1] (1,2] (2,4] */
    struct nx_histogram *below = qry_histogram_trim(&fx->arena, h, 2, true);
    assert_true(below->count == 3);
    assert_near(below->sum, sqrt(0.5) + 2 * sqrt(2));
    assert_int_equal(below->positive_count, 2);
    struct nx_histogram *above = qry_histogram_trim(&fx->arena, h, 2, false);
    assert_true(above->count == 4);
    assert_near(above->sum, 4 * sqrt(8));
    assert_int_equal(above->positive_spans[0].offset, 2);
}

static void trim_nothing_keeps_the_sum(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = two_sided(fx);
    h->sum = 1234;
    struct nx_histogram *same = qry_histogram_trim(&fx->arena, h, 100, true);
    assert_true(same->sum == 1234 && same->count == 15);
    same = qry_histogram_trim(&fx->arena, h, -HUGE_VAL, false);
    assert_true(same->sum == 1234);
}

static void trim_inside_bucket_interpolates(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(0, 1, 10); /* (1,2] */
    struct nx_histogram *below = qry_histogram_trim(&fx->arena, h, sqrt(2), true);
    assert_near(below->count, 5);
    struct nx_histogram *above = qry_histogram_trim(&fx->arena, h, sqrt(2), false);
    assert_near(above->count, 5);

    static const double bounds[] = {10, 20};
    struct nx_histogram *custom = CUSTOM(bounds, 4, 8, 2);
    below = qry_histogram_trim(&fx->arena, custom, 15, true);
    assert_near(below->count, 8);
    assert_near(below->sum, 4 * 5 + 4 * 12.5);
    above = qry_histogram_trim(&fx->arena, custom, 5, false);
    assert_near(above->count, 2 + 8 + 2);
    above = qry_histogram_trim(&fx->arena, custom, 30, false);
    assert_near(above->count, 2);
    assert_near(above->sum, 60);
}

static void trim_zero_bucket_is_clamped_to_one_sign(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(0, 2, 1);
    set_zero(h, 1, 4);
    struct nx_histogram *below = qry_histogram_trim(&fx->arena, h, 0.5, true);
    assert_near(below->count, 2); /* half of [0, 1] */
    assert_near(below->sum, 0.5);
    set_negative(&fx->arena, h, 2, (const double[]){1}, 1);
    below = qry_histogram_trim(&fx->arena, h, 0.5, true);
    assert_near(below->count, 1 + 3); /* three quarters of [-1, 1] */
}

static void quantile_edges_are_infinite_or_nan(void **state)
{
    struct fixture *fx = *state;
    enum qry_nan_note note;
    struct nx_histogram *h = MAKE(0, 0, 1), *none = MAKE(0, 0, 0);
    assert_true(qry_histogram_quantile(-0.1, h, &note) == -HUGE_VAL);
    assert_true(qry_histogram_quantile(1.1, h, &note) == HUGE_VAL);
    assert_true(isnan(qry_histogram_quantile((double)NAN, h, &note)));
    assert_true(isnan(qry_histogram_quantile(0.5, none, &note)));
    assert_int_equal(note, QRY_NAN_NONE);
}

static void quantile_interpolates_on_log_scale(void **state)
{
    struct fixture *fx = *state;
    enum qry_nan_note note;
    struct nx_histogram *h = MAKE(0, 1, 4, 4); /* (1,2] (2,4] */
    assert_near(qry_histogram_quantile(0.25, h, &note), sqrt(2));
    assert_near(qry_histogram_quantile(0.75, h, &note), sqrt(8));
    assert_near(qry_histogram_quantile(1, h, &note), 4);
    assert_near(qry_histogram_quantile(0, h, &note), 1);
    struct nx_histogram *negative = MAKE(0, 0, 0);
    negative->positive_count = negative->positive_span_count = 0;
    set_negative(&fx->arena, negative, 1, (const double[]){4, 4}, 2);
    assert_near(qry_histogram_quantile(0.75, negative, &note), -sqrt(2));
    assert_near(qry_histogram_quantile(0.25, negative, &note), -sqrt(8));
}

static void quantile_of_zero_bucket_is_linear(void **state)
{
    struct fixture *fx = *state;
    enum qry_nan_note note;
    struct nx_histogram *h = MAKE(0, 2, 2);
    set_zero(h, 1, 8);
    assert_near(qry_histogram_quantile(0.4, h, &note), 0.5);
    set_negative(&fx->arena, h, 2, (const double[]){2}, 1);
    assert_near(qry_histogram_quantile(0.5, h, &note), 0);
}

static void quantile_of_custom_buckets_is_linear(void **state)
{
    struct fixture *fx = *state;
    enum qry_nan_note note;
    static const double bounds[] = {5, 10}, below_zero[] = {-5, 10};
    assert_near(qry_histogram_quantile(0.5, CUSTOM(bounds, 1, 2, 1), &note), 7.5);
    assert_near(qry_histogram_quantile(0.125, CUSTOM(bounds, 1, 2, 1), &note), 2.5);
    assert_near(qry_histogram_quantile(1, CUSTOM(bounds, 1, 2, 1), &note), 10);
    assert_near(qry_histogram_quantile(0.1, CUSTOM(below_zero, 1, 1), &note), -5);
}

static void quantile_with_nan_observations_is_noted(void **state)
{
    struct fixture *fx = *state;
    enum qry_nan_note note;
    struct nx_histogram *h = MAKE(0, 1, 4, 4);
    h->count = 10;
    h->sum = (double)NAN;
    assert_near(qry_histogram_quantile(0.4, h, &note), 2);
    assert_int_equal(note, QRY_NAN_SKEWED);
    assert_true(isnan(qry_histogram_quantile(0.95, h, &note)));
    assert_int_equal(note, QRY_NAN_RESULT_NAN);
    assert_near(qry_histogram_fraction(0, 2, h, &note), 0.4);
    assert_int_equal(note, QRY_NAN_EXCLUDED);
}

static void fraction_inverts_quantile(void **state)
{
    struct fixture *fx = *state;
    enum qry_nan_note note;
    struct nx_histogram *h = MAKE(2, -3, 5, 1, 0, 7, 2, 9);
    for (double phi = 0.05; phi < 1; phi += 0.05) {
        double v = qry_histogram_quantile(phi, h, &note);
        assert_true(fabs(qry_histogram_fraction(-HUGE_VAL, v, h, &note) - phi) < 1e-9);
    }
    assert_near(qry_histogram_fraction(-HUGE_VAL, HUGE_VAL, h, &note), 1);
    assert_near(qry_histogram_fraction(2, 1, h, &note), 0);
    assert_true(isnan(qry_histogram_fraction((double)NAN, 1, h, &note)));
}

static void fraction_of_custom_tail_counts_nothing_inside(void **state)
{
    struct fixture *fx = *state;
    enum qry_nan_note note;
    static const double bounds[] = {5, 10};
    struct nx_histogram *h = CUSTOM(bounds, 1, 2, 1);
    assert_near(qry_histogram_fraction(0, 20, h, &note), 0.75);
    assert_near(qry_histogram_fraction(0, 2.5, h, &note), 0.125);
    assert_near(qry_histogram_fraction(0, HUGE_VAL, h, &note), 1);
}

static void stdvar_uses_the_middle_of_buckets(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *h = MAKE(0, 1, 2, 2); /* mids sqrt 2, sqrt 8 */
    h->sum = 2 * sqrt(2) + 2 * sqrt(8);
    double mean = h->sum / 4;
    double expected = (2 * pow(sqrt(2) - mean, 2) + 2 * pow(sqrt(8) - mean, 2)) / 4;
    assert_near(qry_histogram_stdvar(h), expected);
    static const double bounds[] = {2, 4};
    assert_near(qry_histogram_stdvar(CUSTOM(bounds, 0, 4)), pow(3 - 1, 2));
}

static void samples_follow_the_size(void **state)
{
    struct fixture *fx = *state;
    assert_int_equal(qry_histogram_samples(MAKE(0, 0, 1, 2)), (168 + 8 * 3 + 8) / 16);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    long *left = user;
    return (*left)-- != 0;
}

static void out_of_memory_is_reported(void **state)
{
    struct fixture *fx = *state;
    struct nx_histogram *a = two_sided(fx), *b = MAKE(1, -8, 1, 2, 3);
    static const double some[] = {1, 2, 3, 5}, other[] = {2, 4, 5};
    struct nx_histogram *c = CUSTOM(some, 1, 2), *d = CUSTOM(other, 1, 2);
    bool done = false;
    for (long n = 0; n < 50 && !done; n++) {
        struct nx_arena arena;
        struct qry_histogram_notes notes;
        struct nx_histogram *out = NULL, *sum = NULL, *comp = NULL;
        long left = n;
        nx_arena_init(&arena, 0);
        /* an arena whose chunks are used up quickly, so that calls reach the allocator */
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err errs[] = {
            qry_histogram_add(&arena, a, b, &out, &notes),
            qry_histogram_add(&arena, c, d, &out, &notes),
            qry_histogram_kahan_add(&arena, &sum, &comp, a, &notes),
        };
        bool trimmed = qry_histogram_trim(&arena, a, 1.5, true) != NULL;
        nx_alloc_set_hook(NULL, NULL);
        done = left >= 0;
        for (size_t i = 0; i < COUNT(errs); i++)
            assert_true(errs[i] == NX_OK || errs[i] == NX_ERR_NOMEM);
        if (done)
            assert_true(trimmed && !errs[0] && !errs[1] && !errs[2]);
        nx_arena_release(&arena);
    }
    assert_true(done);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bound_of_schemas_is_exact),
        TEST(bound_of_every_schema_ascends),
        TEST(print_two_sided_is_ascending_without_empty),
        TEST(iter_descending_is_reverse_of_ascending),
        TEST(iter_overlapping_zero_bucket_is_cut),
        TEST(iter_spans_longer_than_counts_stays_inside),
        TEST(compact_removes_empty_and_joins_spans),
        TEST(reduce_joins_pairs_and_keeps_the_count),
        TEST(scale_by_negative_is_gauge),
        TEST(divide_by_zero_has_no_buckets),
        TEST(add_other_layouts_is_bucket_by_bucket),
        TEST(add_hints_follow_the_table),
        TEST(add_zero_thresholds_grow_to_populated_ends),
        TEST(add_zero_threshold_in_empty_bucket_stays),
        TEST(add_custom_bounds_are_intersected),
        TEST(add_custom_to_exponential_is_refused),
        TEST(kahan_add_keeps_what_doubles_lose),
        TEST(kahan_add_same_layout_takes_no_memory),
        TEST(kahan_add_random_layouts_agrees_with_add),
        TEST(equal_ignores_hint_and_span_layout),
        TEST(reset_hints_decide_first),
        TEST(reset_bucket_changes_are_found),
        TEST(reset_zero_bucket_changes_are_found),
        TEST(reset_custom_bounds_are_compared_where_common),
        TEST(trim_whole_buckets_is_a_cut),
        TEST(trim_nothing_keeps_the_sum),
        TEST(trim_inside_bucket_interpolates),
        TEST(trim_zero_bucket_is_clamped_to_one_sign),
        TEST(quantile_edges_are_infinite_or_nan),
        TEST(quantile_interpolates_on_log_scale),
        TEST(quantile_of_zero_bucket_is_linear),
        TEST(quantile_of_custom_buckets_is_linear),
        TEST(quantile_with_nan_observations_is_noted),
        TEST(fraction_inverts_quantile),
        TEST(fraction_of_custom_tail_counts_nothing_inside),
        TEST(stdvar_uses_the_middle_of_buckets),
        TEST(samples_follow_the_size),
        TEST(out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
