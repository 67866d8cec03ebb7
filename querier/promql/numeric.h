/* The arithmetic of PromQL to the bit (reference section 17). Pure; any thread. */
#ifndef QRY_PROMQL_NUMERIC_H
#define QRY_PROMQL_NUMERIC_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* Go's math.NaN() and math.Inf(1). */
#define QRY_F_NAN __builtin_nan("1")
#define QRY_F_INF __builtin_inf()

/* A sum with its compensation (Neumaier). No step may be contracted into a fused multiply-add. */
struct qry_kahan {
    double sum, c;
};
static inline void qry_kahan_add(struct qry_kahan *k, double x)
{
    double t = k->sum + x;
    if (isinf(t))
        k->c = 0;
    else if (fabs(k->sum) >= fabs(x))
        k->c += (k->sum - t) + x;
    else
        k->c += (x - t) + k->sum;
    k->sum = t;
}

/* A compensated mean that switches to incremental updating when the sum overflows. */
struct qry_mean {
    struct qry_kahan k;
    double count;
    int incremental;
};
static inline void qry_mean_init(struct qry_mean *m, double first)
{
    *m = (struct qry_mean){.k = {.sum = first}, .count = 1};
}
void qry_mean_add(struct qry_mean *m, double x);
double qry_mean_result(const struct qry_mean *m);

/* Go's math.Max and math.Min: a NaN wins unless the other is the absorbing infinity; +0 is above
 * -0. */
double qry_go_max(double a, double b);
double qry_go_min(double a, double b);

/* phi-quantile of values, which are reordered (17.4). */
double qry_quantile(double phi, double *values, size_t count);
/* Sorts ascending with NaN first. */
void qry_sort_values(double *values, size_t count);

/* Least squares over (t, v), x in seconds since intercept_t (17.3). */
void qry_linear_regression(const int64_t *t, const double *v, size_t count, int64_t intercept_t,
                           double *slope, double *intercept);

#endif
