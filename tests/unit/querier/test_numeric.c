/* Arithmetic to the bit: sums, means, quantiles, regression, classic histograms, start timestamps.
 */
#include "promql_test.h"

#include <float.h>
#include <math.h>

#include "common/base/rand.h"
#include "querier/promql/classic_histogram.h"
#include "querier/promql/counter.h"
#include "querier/promql/numeric.h"

static double sum_of(const double *values, size_t count)
{
    struct qry_kahan k = {0};
    for (size_t i = 0; i < count; i++)
        qry_kahan_add(&k, values[i]);
    return k.sum + k.c;
}

static void kahan_sum_keeps_what_plain_addition_loses(void **state)
{
    (void)state;
    const double cancelling[] = {1, 1e100, 1, -1e100};
    const double tiny[] = {1e16, 1, 1, -1e16};
    double tenth[10];
    for (size_t i = 0; i < 10; i++)
        tenth[i] = 0.1;
    assert_true(sum_of(cancelling, 4) == 2);
    assert_true(sum_of(tiny, 4) == 2);
    assert_true(sum_of(tenth, 10) == 1);
}

static void kahan_sum_of_infinities_drops_the_compensation(void **state)
{
    (void)state;
    const double values[] = {1e308, 1e308, 1};
    const double both[] = {QRY_F_INF, 1, -QRY_F_INF};
    struct qry_kahan k = {.sum = 1, .c = 0.25};
    qry_kahan_add(&k, QRY_F_INF);
    assert_true(isinf(k.sum) && k.c == 0);
    assert_true(isinf(sum_of(values, 3)));
    assert_true(isnan(sum_of(both, 3)));
}

/* Integers sum exactly in any order. */
static void kahan_sum_of_random_integers_is_exact(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    for (int round = 0; round < 200; round++) {
        double values[100];
        int64_t exact = 0;
        for (size_t i = 0; i < 100; i++) {
            int64_t v = (int64_t)nx_rand_below(&rand, 1ULL << 45) - (1LL << 44);
            values[i] = (double)v;
            exact += v;
        }
        assert_true(sum_of(values, 100) == (double)exact);
    }
}

static double mean_of(const double *values, size_t count)
{
    struct qry_mean m;
    qry_mean_init(&m, values[0]);
    for (size_t i = 1; i < count; i++)
        qry_mean_add(&m, values[i]);
    return qry_mean_result(&m);
}

static void mean_switches_when_the_sum_would_overflow(void **state)
{
    (void)state;
    const double big[] = {DBL_MAX, DBL_MAX, DBL_MAX};
    const double signs[] = {DBL_MAX, DBL_MAX, -DBL_MAX, -DBL_MAX};
    const double plain[] = {1, 2, 6};
    const double inf[] = {1, QRY_F_INF, 2};
    assert_true(fabs(mean_of(big, 3) / DBL_MAX - 1) < 1e-15);
    assert_true(fabs(mean_of(signs, 4)) < DBL_MAX / 1e10);
    assert_true(mean_of(plain, 3) == 3);
    assert_true(mean_of(inf, 3) == QRY_F_INF);
}

static void go_max_and_min_let_nan_win_but_for_the_absorbing_infinity(void **state)
{
    (void)state;
    double inf = QRY_F_INF;
    assert_true(qry_go_max(1, 2) == 2 && qry_go_min(1, 2) == 1);
    assert_true(isnan(qry_go_max(QRY_F_NAN, 2)) && isnan(qry_go_min(2, QRY_F_NAN)));
    assert_true(qry_go_max(QRY_F_NAN, inf) == inf && isnan(qry_go_max(-inf, QRY_F_NAN)));
    assert_true(qry_go_min(QRY_F_NAN, -inf) == -inf && isnan(qry_go_min(QRY_F_NAN, inf)));
    assert_false(signbit(qry_go_max(-0.0, 0.0)));
    assert_true(signbit(qry_go_min(0.0, -0.0)));
}

static void quantile_interpolates_and_sorts_nan_first(void **state)
{
    (void)state;
    double odd[] = {3, 1, 2};
    double even[] = {4, 1, 3, 2};
    double nan[] = {2, QRY_F_NAN, 1};
    double one[] = {5};
    assert_true(qry_quantile(0.5, odd, 3) == 2);
    assert_true(qry_quantile(0.5, even, 4) == 2.5);
    assert_true(isnan(qry_quantile(0, nan, 3)) && qry_quantile(1, nan, 3) == 2);
    assert_true(qry_quantile(0.3, one, 1) == 5);
    assert_true(isnan(qry_quantile(0.5, one, 0)) && isnan(qry_quantile(QRY_F_NAN, one, 1)));
    assert_true(qry_quantile(-0.1, one, 1) == -QRY_F_INF && qry_quantile(1.1, one, 1) == QRY_F_INF);
}

static void regression_finds_the_line(void **state)
{
    (void)state;
    const int64_t t[] = {1000, 2000, 4000, 5000};
    const double v[] = {3, 5, 9, 11};
    const double flat[] = {2, 2, 2, 2};
    const double inf[] = {QRY_F_INF, QRY_F_INF, QRY_F_INF, QRY_F_INF};
    double slope, intercept;
    qry_linear_regression(t, v, 4, 0, &slope, &intercept);
    assert_true(slope == 2 && intercept == 1);
    qry_linear_regression(t, v, 4, 5000, &slope, &intercept);
    assert_true(slope == 2 && intercept == 11);
    qry_linear_regression(t, flat, 4, 0, &slope, &intercept);
    assert_true(slope == 0 && intercept == 2);
    qry_linear_regression(t, inf, 4, 0, &slope, &intercept);
    assert_true(isnan(slope) && isnan(intercept));
}

#define BUCKETS(...)                            \
    (struct qry_classic_bucket[]){__VA_ARGS__}, \
        sizeof((struct qry_classic_bucket[]){__VA_ARGS__}) / sizeof(struct qry_classic_bucket)

static void classic_quantile_edges(void **state)
{
    (void)state;
    struct qry_classic_repair r;
    double inf = QRY_F_INF;
    assert_true(qry_classic_quantile(0.5, BUCKETS({1, 5}, {2, 10}, {inf, 10}), &r) == 1);
    assert_true(qry_classic_quantile(0.75, BUCKETS({1, 5}, {2, 10}, {inf, 10}), &r) == 1.5);
    assert_true(qry_classic_quantile(1, BUCKETS({1, 5}, {2, 10}, {inf, 12}), &r) == 2);
    assert_true(qry_classic_quantile(0.2, BUCKETS({-1, 5}, {inf, 10}), &r) == -1);
    assert_true(qry_classic_quantile(0.5, BUCKETS({1, 5}, {1, 5}, {2, 20}, {inf, 20}), &r) == 1);
    assert_true(isnan(qry_classic_quantile(0.5, BUCKETS({1, 5}, {2, 10}), &r)));
    assert_true(isnan(qry_classic_quantile(0.5, BUCKETS({inf, 10}), &r)));
    assert_true(isnan(qry_classic_quantile(0.5, BUCKETS({1, 0}, {inf, 0}), &r)));
    assert_true(isnan(qry_classic_quantile(0.5, BUCKETS({-inf, 1}), &r)));
}

static void classic_quantile_repairs_and_tells_what(void **state)
{
    (void)state;
    struct qry_classic_repair r;
    double inf = QRY_F_INF;
    double q = qry_classic_quantile(0.5, BUCKETS({1, 10}, {2, 7}, {3, 10}, {4, 2}, {inf, 20}), &r);
    assert_true(q == 1 && r.repaired);
    assert_true(r.min_bound == 2 && r.max_bound == 4 && r.max_difference == 8);
    qry_classic_quantile(0.5, BUCKETS({1, 10}, {2, 10 - 1e-13}, {inf, 20}), &r);
    assert_false(r.repaired);
}

static void classic_fraction_edges(void **state)
{
    (void)state;
    double inf = QRY_F_INF;
    assert_true(qry_classic_fraction(0, 1, BUCKETS({1, 5}, {2, 10}, {inf, 20})) == 0.25);
    assert_true(qry_classic_fraction(0.5, 1.5, BUCKETS({1, 5}, {2, 10}, {inf, 20})) == 0.25);
    assert_true(qry_classic_fraction(-inf, inf, BUCKETS({1, 5}, {2, 10}, {inf, 20})) == 1);
    assert_true(qry_classic_fraction(2, inf, BUCKETS({1, 5}, {2, 10}, {inf, 20})) == 0.5);
    assert_true(qry_classic_fraction(5, inf, BUCKETS({1, 5}, {2, 10}, {inf, 20})) == 0.5);
    assert_true(qry_classic_fraction(-3, -2, BUCKETS({-1, 5}, {inf, 20})) == 0);
    assert_true(qry_classic_fraction(1, 1, BUCKETS({1, 5}, {inf, 20})) == 0);
    assert_true(isnan(qry_classic_fraction(0, 1, BUCKETS({1, 0}, {inf, 0}))));
    assert_true(isnan(qry_classic_fraction(0, 1, BUCKETS({1, 5}))));
}

/* fraction and quantile are each other's inverse inside of finite buckets. */
static void classic_fraction_inverts_quantile(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 11);
    for (int round = 0; round < 500; round++) {
        struct qry_classic_bucket buckets[6], copy[6];
        double count = 0;
        for (size_t i = 0; i < 6; i++) {
            count += (double)(1 + nx_rand_below(&rand, 9));
            buckets[i] = (struct qry_classic_bucket){.le = i == 5 ? QRY_F_INF : (double)(i + 1),
                                                     .count = count};
        }
        struct qry_classic_repair r;
        double phi = nx_rand_unit(&rand) * buckets[4].count / count;
        memcpy(copy, buckets, sizeof copy);
        double q = qry_classic_quantile(phi, copy, 6, &r);
        memcpy(copy, buckets, sizeof copy);
        assert_true(fabs(qry_classic_fraction(-QRY_F_INF, q, copy, 6) - phi) < 1e-12);
    }
}

static void start_timestamps_tell_resets_and_overlaps(void **state)
{
    (void)state;
    /* previous start, previous time, start, time */
    assert_false(qry_start_is_reset(0, 10, 0, 20));  /* none */
    assert_false(qry_start_is_reset(5, 10, 20, 20)); /* not before the sample */
    assert_false(qry_start_is_reset(5, 10, 5, 20));  /* the same */
    assert_true(qry_start_is_reset(5, 10, 11, 20));  /* after the previous sample */
    assert_true(qry_start_is_reset(5, 10, 10, 20));  /* at the previous sample, a new one */
    assert_false(qry_start_is_reset(0, 10, 10, 20)); /* at the previous sample, which had none */
    assert_false(qry_start_is_reset(10, 10, 10, 20));
    assert_false(qry_start_is_reset(11, 10, 10, 20));
    assert_true(qry_start_overlaps(5, 10, 7));
    assert_false(qry_start_overlaps(7, 10, 7));
    assert_false(qry_start_overlaps(5, 10, 10));
    assert_false(qry_start_overlaps(5, 10, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kahan_sum_keeps_what_plain_addition_loses),
        cmocka_unit_test(kahan_sum_of_infinities_drops_the_compensation),
        cmocka_unit_test(kahan_sum_of_random_integers_is_exact),
        cmocka_unit_test(mean_switches_when_the_sum_would_overflow),
        cmocka_unit_test(go_max_and_min_let_nan_win_but_for_the_absorbing_infinity),
        cmocka_unit_test(quantile_interpolates_and_sorts_nan_first),
        cmocka_unit_test(regression_finds_the_line),
        cmocka_unit_test(classic_quantile_edges),
        cmocka_unit_test(classic_quantile_repairs_and_tells_what),
        cmocka_unit_test(classic_fraction_edges),
        cmocka_unit_test(classic_fraction_inverts_quantile),
        cmocka_unit_test(start_timestamps_tell_resets_and_overlaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
