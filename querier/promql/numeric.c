/* Order of operations matters here: each function follows the reference step by step, since clients
 * compare results to the last bit. */
#include "querier/promql/numeric.h"

#include <stdbool.h>
#include <stdlib.h>

void qry_mean_add(struct qry_mean *m, double x)
{
    m->count++;
    if (!m->incremental) {
        struct qry_kahan next = m->k;
        qry_kahan_add(&next, x);
        if (!isinf(next.sum)) {
            m->k = next;
            return;
        }
        m->incremental = 1;
        m->k.sum /= m->count - 1;
        m->k.c /= m->count - 1;
    }
    double q = (m->count - 1) / m->count;
    m->k.sum *= q;
    m->k.c *= q;
    qry_kahan_add(&m->k, x / m->count);
}

double qry_mean_result(const struct qry_mean *m)
{
    if (m->incremental)
        return m->k.sum + m->k.c;
    return m->k.sum / m->count + m->k.c / m->count;
}

double qry_go_max(double a, double b)
{
    if ((isinf(a) && a > 0) || (isinf(b) && b > 0))
        return QRY_F_INF;
    if (isnan(a) || isnan(b))
        return QRY_F_NAN;
    if (a == 0 && a == b)
        return signbit(a) ? b : a;
    return a > b ? a : b;
}

double qry_go_min(double a, double b)
{
    if ((isinf(a) && a < 0) || (isinf(b) && b < 0))
        return -QRY_F_INF;
    if (isnan(a) || isnan(b))
        return QRY_F_NAN;
    if (a == 0 && a == b)
        return signbit(a) ? a : b;
    return a < b ? a : b;
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    if (isnan(x) || isnan(y))
        return (isnan(y) ? 1 : 0) - (isnan(x) ? 1 : 0);
    return (x > y) - (x < y);
}

void qry_sort_values(double *values, size_t count)
{
    if (count > 1)
        qsort(values, count, sizeof *values, compare_values);
}

double qry_quantile(double phi, double *values, size_t count)
{
    if (count == 0 || isnan(phi))
        return QRY_F_NAN;
    if (phi < 0)
        return -QRY_F_INF;
    if (phi > 1)
        return QRY_F_INF;
    qry_sort_values(values, count);
    double n = (double)count;
    double rank = phi * (n - 1);
    double lower = fmax(0, floor(rank));
    double upper = fmin(n - 1, lower + 1);
    double weight = rank - floor(rank);
    return values[(size_t)lower] * (1 - weight) + values[(size_t)upper] * weight;
}

void qry_linear_regression(const int64_t *t, const double *v, size_t count, int64_t intercept_t,
                           double *slope, double *intercept)
{
    struct qry_kahan x = {0}, y = {0}, xy = {0}, x2 = {0};
    double n = 0;
    bool constant = true;

    for (size_t i = 0; i < count; i++) {
        if (constant && i > 0 && v[i] != v[0])
            constant = false;
        n += 1;
        double seconds = (double)(t[i] - intercept_t) / 1e3;
        qry_kahan_add(&x, seconds);
        qry_kahan_add(&y, v[i]);
        qry_kahan_add(&xy, seconds * v[i]);
        qry_kahan_add(&x2, seconds * seconds);
    }
    if (constant) {
        *slope = isinf(v[0]) ? QRY_F_NAN : 0;
        *intercept = isinf(v[0]) ? QRY_F_NAN : v[0];
        return;
    }
    double sum_x = x.sum + x.c;
    double sum_y = y.sum + y.c;
    double sum_xy = xy.sum + xy.c;
    double sum_x2 = x2.sum + x2.c;
    double cov = sum_xy - sum_x * sum_y / n;
    double var = sum_x2 - sum_x * sum_x / n;
    *slope = cov / var;
    *intercept = sum_y / n - *slope * sum_x / n;
}
