/* Functions of time: the step's, the query's, the samples', and calendar fields. */
#include "common/base/time.h"

#include <math.h>

#include "querier/promql/functions.h"

enum nx_err qry_fn_time(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out)
{
    (void)expr;
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_constant(scope, 0, &matrix);
    if (err)
        return err;
    for (size_t i = 0; i < scope->steps; i++)
        matrix.rows[0].values[i] = (double)qry_step_time(scope, i) / 1000;
    *out = matrix;
    return NX_OK;
}

/* start(), end(), range() and step() speak of the whole query, also inside subqueries. */
enum nx_err qry_fn_query_time(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_matrix *out)
{
    const struct qry_eval_params *params = scope->ev->params;
    double value = 0;

    switch (expr->call.function->id) {
    case QRY_FN_START:
        value = (double)params->start_ms / 1000;
        break;
    case QRY_FN_END:
        value = (double)params->end_ms / 1000;
        break;
    case QRY_FN_RANGE:
        value = (double)qry_time_sub(params->end_ms, params->start_ms) / 1000;
        break;
    default:
        if (params->start_ms != params->end_ms)
            value = (double)params->step_ms / 1000;
        break;
    }
    return qry_eval_constant(scope, value, out);
}

/* The argument where it is a selector itself, so that the samples' own times can be seen. */
static struct qry_expr *direct_selector(struct qry_expr *expr)
{
    struct qry_expr *arg = qry_unwrap(expr->call.args[0]);
    return arg->kind == QRY_NODE_SELECTOR ? arg : NULL;
}

static enum nx_err finish_times(struct qry_matrix *matrix, struct qry_matrix *out)
{
    enum nx_err err = qry_rows_drop_name(matrix);
    if (err) {
        qry_matrix_release(matrix);
        return err;
    }
    return qry_finish_call(matrix, out);
}

enum nx_err qry_fn_timestamp(const struct qry_scope *scope, struct qry_expr *expr,
                             struct qry_matrix *out)
{
    struct qry_expr *selector = direct_selector(expr);
    struct qry_matrix matrix;
    enum nx_err err;

    if (selector) {
        err = qry_eval_selector(scope, selector, QRY_PICK_TIME, &matrix);
        return err ? err : finish_times(&matrix, out);
    }
    if ((err = qry_eval_expr(scope, expr->call.args[0], &matrix)))
        return err;
    for (size_t r = 0; r < matrix.count; r++) {
        struct qry_row *row = &matrix.rows[r];
        for (size_t i = 0; i < matrix.steps; i++) {
            if (qry_has_point(row, i))
                row->values[i] = (double)qry_step_time(scope, i) / 1000;
        }
    }
    qry_matrix_floats_only(&matrix);
    return finish_times(&matrix, out);
}

enum nx_err qry_fn_start_timestamp(const struct qry_scope *scope, struct qry_expr *expr,
                                   struct qry_matrix *out)
{
    struct qry_expr *selector = direct_selector(expr);
    struct qry_matrix matrix;

    if (!selector || !scope->ev->params->features.use_start_timestamps)
        return qry_matrix_init(out, scope->ev, scope->steps);
    enum nx_err err = qry_eval_selector(scope, selector, QRY_PICK_START_TIME, &matrix);
    return err ? err : finish_times(&matrix, out);
}

static double date_field(int id, const struct nx_civil *date)
{
    switch (id) {
    case QRY_FN_MINUTE:
        return date->minute;
    case QRY_FN_HOUR:
        return date->hour;
    case QRY_FN_DAY_OF_WEEK:
        return date->wday;
    case QRY_FN_DAY_OF_MONTH:
        return date->day;
    case QRY_FN_DAY_OF_YEAR:
        return date->yday;
    case QRY_FN_DAYS_IN_MONTH:
        return date->days_in_month;
    case QRY_FN_MONTH:
        return date->month;
    default:
        return (double)date->year;
    }
}

/* Seconds as Go converts them on amd64: truncated, what does not fit is the smallest integer. */
static int64_t whole_seconds(double v)
{
    if (isnan(v) || v >= 0x1p63 || v < -0x1p63)
        return INT64_MIN;
    return (int64_t)v;
}

enum nx_err qry_fn_date(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out)
{
    int id = expr->call.function->id;
    struct qry_matrix matrix;
    enum nx_err err = expr->call.arg_count > 0
                          ? qry_eval_float_argument(scope, expr->call.args[0], &matrix)
                          : qry_fn_time(scope, expr, &matrix);
    if (err)
        return err;
    for (size_t r = 0; r < matrix.count && err == NX_OK; r++) {
        struct qry_row *row = &matrix.rows[r];
        for (size_t i = 0; i < matrix.steps; i++) {
            struct nx_civil date;
            if (!qry_has_float(row, i))
                continue;
            nx_civil_from_unix(whole_seconds(row->values[i]), &date);
            row->values[i] = date_field(id, &date);
        }
        err = qry_work(scope->ev, matrix.steps * 4);
    }
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    return qry_finish_call(&matrix, out);
}
