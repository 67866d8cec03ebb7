/* Functions of numbers, and those that go between scalars and vectors. */
#include "querier/promql/functions.h"
#include "querier/promql/numeric.h"

#define QRY_PI 3.14159265358979323846264338327950288

double qry_fn_sgn(double v)
{
    if (v < 0)
        return -1;
    if (v > 0)
        return 1;
    return v;
}

double qry_fn_deg(double v)
{
    return v * 180 / QRY_PI;
}

double qry_fn_rad(double v)
{
    return v * QRY_PI / 180;
}

/* An optional scalar argument: its values, or NULL where it is not given. `held` keeps the memory.
 */
static enum nx_err scalar_argument(const struct qry_scope *scope, struct qry_expr *expr, size_t i,
                                   struct qry_matrix *held, const double **values)
{
    *values = NULL;
    if (i >= expr->call.arg_count)
        return NX_OK;
    enum nx_err err = qry_eval_expr(scope, expr->call.args[i], held);
    if (err == NX_OK)
        *values = held->rows[0].values;
    return err;
}

enum nx_err qry_fn_round(const struct qry_scope *scope, struct qry_expr *expr,
                         struct qry_matrix *out)
{
    struct qry_matrix matrix, nearest = {0};
    const double *to;
    enum nx_err err = qry_eval_float_argument(scope, expr->call.args[0], &matrix);
    if (err)
        return err;
    if ((err = scalar_argument(scope, expr, 1, &nearest, &to))) {
        qry_matrix_release(&matrix);
        return err;
    }
    for (size_t r = 0; r < matrix.count; r++) {
        double *values = matrix.rows[r].values;
        for (size_t i = 0; i < matrix.steps; i++) {
            if (!qry_has_float(&matrix.rows[r], i))
                continue;
            double inverse = 1.0 / (to ? to[i] : 1.0);
            values[i] = floor(values[i] * inverse + 0.5) / inverse;
        }
    }
    qry_matrix_release(&nearest);
    return qry_finish_call(&matrix, out);
}

enum nx_err qry_fn_clamp(const struct qry_scope *scope, struct qry_expr *expr,
                         struct qry_matrix *out)
{
    int id = expr->call.function->id;
    struct qry_matrix matrix, held[2] = {{0}, {0}};
    const double *min = NULL, *max = NULL;
    enum nx_err err = qry_eval_float_argument(scope, expr->call.args[0], &matrix);
    if (err)
        return err;
    if (id != QRY_FN_CLAMP_MAX)
        err = scalar_argument(scope, expr, 1, &held[0], &min);
    if (err == NX_OK && id != QRY_FN_CLAMP_MIN)
        err = scalar_argument(scope, expr, id == QRY_FN_CLAMP ? 2 : 1, &held[1], &max);
    if (err)
        goto done;
    for (size_t r = 0; r < matrix.count; r++) {
        double *values = matrix.rows[r].values;
        for (size_t i = 0; i < matrix.steps; i++) {
            if (!qry_has_float(&matrix.rows[r], i))
                continue;
            double low = min ? min[i] : -QRY_F_INF;
            double high = max ? max[i] : QRY_F_INF;
            values[i] = id == QRY_FN_CLAMP && high < low
                            ? QRY_ABSENT
                            : qry_go_max(low, qry_go_min(high, values[i]));
        }
    }
done:
    qry_matrix_release(&held[0]);
    qry_matrix_release(&held[1]);
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    return qry_finish_call(&matrix, out);
}

enum nx_err qry_fn_scalar(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out)
{
    struct qry_matrix vector, scalar;
    enum nx_err err = qry_eval_expr(scope, expr->call.args[0], &vector);
    if (err)
        return err;
    if ((err = qry_eval_constant(scope, QRY_F_NAN, &scalar))) {
        qry_matrix_release(&vector);
        return err;
    }
    double *values = scalar.rows[0].values;
    for (size_t i = 0; i < scope->steps && err == NX_OK; i++) {
        size_t found = 0;
        for (size_t r = 0; r < vector.count && found < 2; r++) {
            if (!qry_has_float(&vector.rows[r], i))
                continue;
            values[i] = ++found == 1 ? vector.rows[r].values[i] : QRY_F_NAN;
        }
        err = qry_work(scope->ev, vector.count);
    }
    qry_matrix_release(&vector);
    if (err) {
        qry_matrix_release(&scalar);
        return err;
    }
    *out = scalar;
    return NX_OK;
}

/* A scalar and a vector of one sample without labels have the same form. */
enum nx_err qry_fn_vector(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out)
{
    return qry_eval_expr(scope, expr->call.args[0], out);
}

enum nx_err qry_fn_extreme_of(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_matrix *out)
{
    bool max = expr->call.function->id == QRY_FN_MAX_OF;
    struct qry_matrix a, b;
    enum nx_err err = qry_eval_expr(scope, expr->call.args[0], &a);
    if (err)
        return err;
    if ((err = qry_eval_expr(scope, expr->call.args[1], &b))) {
        qry_matrix_release(&a);
        return err;
    }
    double *x = a.rows[0].values;
    const double *y = b.rows[0].values;
    for (size_t i = 0; i < scope->steps; i++)
        x[i] = max ? qry_go_max(x[i], y[i]) : qry_go_min(x[i], y[i]);
    qry_matrix_release(&b);
    *out = a;
    return NX_OK;
}

enum nx_err qry_fn_pi(const struct qry_scope *scope, struct qry_expr *expr, struct qry_matrix *out)
{
    (void)expr;
    return qry_eval_constant(scope, QRY_PI, out);
}
