#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/chunk/histogram.h"
#include "common/chunk/sample.h"
#include "random_histogram.h"

/* count 12: two positive spans, one negative, a zero bucket */
struct fixture {
    struct nx_histogram h;
    struct nx_span positive_spans[2];
    struct nx_span negative_spans[1];
    double positive[4];
    double negative[1];
};

static struct nx_histogram *valid(struct fixture *f)
{
    *f = (struct fixture){
        .positive_spans = {{.offset = -1, .length = 2}, {.offset = 3, .length = 2}},
        .negative_spans = {{.offset = 0, .length = 1}},
        .positive = {1, 2, 3, 2},
        .negative = {3},
    };
    f->h = (struct nx_histogram){.integer = true,
                                 .schema = 3,
                                 .zero_threshold = 0.001,
                                 .zero_count = 1,
                                 .count = 12,
                                 .sum = 7.5,
                                 .positive_spans = f->positive_spans,
                                 .positive_span_count = 2,
                                 .positive = f->positive,
                                 .positive_count = 4,
                                 .negative_spans = f->negative_spans,
                                 .negative_span_count = 1,
                                 .negative = f->negative,
                                 .negative_count = 1};
    return &f->h;
}

static struct nx_histogram *valid_custom(struct fixture *f)
{
    static double bounds[] = {1, 2, 5, 10, 20, 50, 100};
    struct nx_histogram *h = valid(f);
    f->positive_spans[0].offset = 1;
    h->schema = NX_HISTOGRAM_CUSTOM_SCHEMA;
    h->zero_count = 0;
    h->zero_threshold = 0;
    h->count = 8;
    h->negative_span_count = 0;
    h->negative_count = 0;
    h->custom_bounds = bounds;
    h->custom_count = 7;
    return h;
}

static void assert_invalid(const struct nx_histogram *h, const char *text)
{
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_histogram_validate(h, &fail), NX_ERR_INVALID);
    assert_string_equal(fail.text, text);
}

static void validate_good_histograms_pass(void **state)
{
    (void)state;
    struct fixture f;
    assert_int_equal(nx_histogram_validate(valid(&f), NULL), NX_OK);
    assert_int_equal(nx_histogram_validate(valid_custom(&f), NULL), NX_OK);
    struct nx_histogram stale = {.sum = nx_double_from_bits(NX_STALE_NAN_BITS), .integer = true};
    assert_int_equal(nx_histogram_validate(&stale, NULL), NX_OK);
    struct nx_histogram *h = valid(&f);
    h->integer = false;
    h->count = 3; /* a float histogram's count is not compared */
    assert_int_equal(nx_histogram_validate(h, NULL), NX_OK);
    h = valid(&f);
    h->sum = (double)NAN;
    h->count = 20;
    assert_int_equal(nx_histogram_validate(h, NULL), NX_OK);
    double infinite_first[] = {-(double)INFINITY, 1};
    h = valid_custom(&f);
    h->custom_bounds = infinite_first;
    h->custom_count = 2;
    h->positive_span_count = h->positive_count = 0;
    h->count = 0;
    assert_int_equal(nx_histogram_validate(h, NULL), NX_OK);
}

static void validate_random_histograms_pass(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 5);
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (int i = 0; i < 2000; i++) {
        struct nx_histogram *h = random_histogram(&rand, &arena, i % 2 == 0);
        struct nx_fail fail = {.code = NX_OK};
        if (nx_histogram_validate(h, &fail) != NX_OK)
            fail_msg("%s", fail.text);
        assert_true(nx_histogram_is_sound(h));
        nx_arena_clear(&arena);
    }
    nx_arena_release(&arena);
}

static void validate_counts_give_prometheus_texts(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_histogram *h = valid(&f);
    h->count = 11;
    assert_invalid(
        h,
        "12 observations found in buckets, but the Count field is 11: histogram's observation "
        "count should equal the number of observations found in the buckets (in absence of NaN)");
    h->sum = (double)NAN;
    assert_invalid(
        h, "12 observations found in buckets, but the Count field is 11: histogram's observation "
           "count should be at least the number of observations found in the buckets");
    h = valid(&f);
    f.positive[2] = -1.5;
    assert_invalid(
        h, "positive side: bucket number 3 has observation count of -1.5: histogram has a bucket "
           "whose observation count is negative");
    h = valid(&f);
    f.negative[0] = -1;
    assert_invalid(
        h,
        "negative side: bucket number 1 has observation count of -1: histogram has a bucket whose "
        "observation count is negative");
    h = valid(&f);
    h->count = -12;
    assert_invalid(h, "histogram's observation count is negative");
}

static void validate_spans_give_prometheus_texts(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_histogram *h = valid(&f);
    f.positive_spans[1].offset = -2;
    assert_invalid(
        h, "positive side: span number 2 with offset -2: histogram has a span whose offset is "
           "negative");
    h = valid(&f);
    h->positive_count = 3;
    assert_invalid(
        h, "positive side: spans need 4 buckets, have 3 buckets: histogram spans specify different "
           "number of buckets than provided");
    h = valid(&f);
    h->negative_count = 0;
    assert_invalid(
        h, "negative side: spans need 1 buckets, have 0 buckets: histogram spans specify different "
           "number of buckets than provided");
    h = valid(&f);
    f.positive_spans[1].offset = INT32_MAX;
    assert_invalid(h, "histogram has more than 65536 buckets or a bucket index beyond 1073741824");
    h = valid(&f);
    f.positive_spans[0].offset = INT32_MIN;
    assert_invalid(h, "histogram has more than 65536 buckets or a bucket index beyond 1073741824");
}

static void validate_schemas_give_prometheus_texts(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_histogram *h = valid(&f);
    h->schema = 9;
    assert_invalid(
        h,
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, "
        "or -53 for custom buckets, got schema 9");
    h->schema = -5;
    assert_invalid(
        h,
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, "
        "or -53 for custom buckets, got schema -5");
    h->schema = 53;
    assert_invalid(
        h, "histogram has an unknown schema, which must be between -9 and 52 for exponential "
           "buckets, or -53 for custom buckets, got schema 53");
}

static void validate_custom_bounds_give_prometheus_texts(void **state)
{
    (void)state;
    struct fixture f;
    double bounds[] = {1, 1, 5};
    struct nx_histogram *h = valid_custom(&f);
    h->custom_bounds = bounds;
    h->custom_count = 3;
    assert_invalid(
        h, "custom buckets: previous bound is 1.000000 and current is 1.000000: histogram custom "
           "bounds must be in strictly increasing order");
    bounds[1] = (double)NAN;
    assert_invalid(h, "custom buckets: histogram custom bounds must not be NaN");
    bounds[1] = 2;
    bounds[2] = (double)INFINITY;
    assert_invalid(
        h,
        "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds "
        "must be finite");
    bounds[2] = 5;
    assert_invalid(
        h, "custom buckets: only 3 custom bounds defined which is insufficient to cover total span "
           "length of 8: histogram custom bounds are too few");
    h = valid_custom(&f);
    f.positive_spans[0].offset = -1;
    assert_invalid(
        h, "custom buckets: span number 1 with offset -1: histogram has a span whose offset is "
           "negative");
    h = valid_custom(&f);
    h->zero_count = 1;
    assert_invalid(h, "custom buckets: must have zero count of 0");
    h = valid_custom(&f);
    h->zero_threshold = 1;
    assert_invalid(h, "custom buckets: must have zero threshold of 0");
    h = valid_custom(&f);
    h->negative_span_count = 1;
    assert_invalid(h, "custom buckets: must not have negative spans");
    h = valid(&f);
    h->custom_bounds = bounds;
    h->custom_count = 3;
    assert_invalid(h, "histogram with exponential schema must not have custom bounds");
}

static void copy_is_deep_and_identical(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 8);
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (int i = 0; i < 500; i++) {
        struct nx_histogram *h = random_histogram(&rand, &arena, true);
        struct nx_histogram *copy = nx_histogram_copy(&arena, h);
        assert_true(nx_histogram_identical(h, copy));
        if (copy->positive_count > 0) {
            assert_ptr_not_equal(copy->positive, h->positive);
            copy->positive[0] += 1;
            assert_false(nx_histogram_identical(h, copy));
        }
    }
    nx_arena_release(&arena);
    nx_arena_init(&arena, 64);
    struct fixture f;
    assert_null(nx_histogram_copy(&arena, valid(&f)));
    nx_arena_release(&arena);
}

static void identical_sees_every_field(void **state)
{
    (void)state;
    struct fixture f;
    struct fixture g;
    struct nx_histogram *a = valid(&f);
#define DIFFERS(change)                             \
    do {                                            \
        struct nx_histogram *b = valid(&g);         \
        assert_true(nx_histogram_identical(a, b));  \
        change;                                     \
        assert_false(nx_histogram_identical(a, b)); \
    } while (0)
    DIFFERS(b->hint = NX_HINT_GAUGE);
    DIFFERS(b->schema = 2);
    DIFFERS(b->integer = false);
    DIFFERS(b->zero_threshold = 0.002);
    DIFFERS(b->zero_count = 2);
    DIFFERS(b->count = 13);
    DIFFERS(b->sum = 8);
    DIFFERS(g.positive_spans[1].offset = 2);
    DIFFERS(b->positive_span_count = 1);
    DIFFERS(g.positive[3] = 9);
    DIFFERS(g.negative[0] = -0.0);
    DIFFERS(b->negative_count = 0);
#undef DIFFERS
    a->sum = nx_double_from_bits(NX_STALE_NAN_BITS);
    assert_true(nx_histogram_is_stale(a));
    a->sum = (double)NAN;
    assert_false(nx_histogram_is_stale(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(validate_good_histograms_pass),
        cmocka_unit_test(validate_random_histograms_pass),
        cmocka_unit_test(validate_counts_give_prometheus_texts),
        cmocka_unit_test(validate_spans_give_prometheus_texts),
        cmocka_unit_test(validate_schemas_give_prometheus_texts),
        cmocka_unit_test(validate_custom_bounds_give_prometheus_texts),
        cmocka_unit_test(copy_is_deep_and_identical),
        cmocka_unit_test(identical_sees_every_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
