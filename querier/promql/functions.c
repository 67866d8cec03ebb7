/* The table of implementations and the dispatch of calls. */
#include "querier/promql/functions.h"

#include <math.h>

/* How a function is computed; one of the first three is set. */
struct implementation {
    double (*map)(double);    /* of each float of the argument */
    qry_range_function range; /* of each window of the argument */
    qry_call_function call;   /* of the whole call */
    bool keep_name;
    bool anchored, smoothed; /* takes such ranges */
};

static const struct implementation implementations[QRY_FUNCTION_COUNT] = {
    [QRY_FN_ABS] = {.map = fabs},
    [QRY_FN_ABSENT] = {.call = qry_fn_absent},
    [QRY_FN_ABSENT_OVER_TIME] = {.call = qry_fn_absent_over_time},
    [QRY_FN_ACOS] = {.map = acos},
    [QRY_FN_ACOSH] = {.map = acosh},
    [QRY_FN_ASIN] = {.map = asin},
    [QRY_FN_ASINH] = {.map = asinh},
    [QRY_FN_ATAN] = {.map = atan},
    [QRY_FN_ATANH] = {.map = atanh},
    [QRY_FN_AVG_OVER_TIME] = {.range = qry_rf_avg},
    [QRY_FN_CEIL] = {.map = ceil},
    [QRY_FN_CHANGES] = {.range = qry_rf_changes, .anchored = true},
    [QRY_FN_CLAMP] = {.call = qry_fn_clamp},
    [QRY_FN_CLAMP_MAX] = {.call = qry_fn_clamp},
    [QRY_FN_CLAMP_MIN] = {.call = qry_fn_clamp},
    [QRY_FN_COS] = {.map = cos},
    [QRY_FN_COSH] = {.map = cosh},
    [QRY_FN_COUNT_OVER_TIME] = {.range = qry_rf_count},
    [QRY_FN_DAY_OF_MONTH] = {.call = qry_fn_date},
    [QRY_FN_DAY_OF_WEEK] = {.call = qry_fn_date},
    [QRY_FN_DAY_OF_YEAR] = {.call = qry_fn_date},
    [QRY_FN_DAYS_IN_MONTH] = {.call = qry_fn_date},
    [QRY_FN_DEG] = {.map = qry_fn_deg},
    [QRY_FN_DELTA] = {.range = qry_rf_extrapolated, .anchored = true, .smoothed = true},
    [QRY_FN_DERIV] = {.range = qry_rf_deriv},
    [QRY_FN_DOUBLE_EXPONENTIAL_SMOOTHING] = {.range = qry_rf_double_smoothing},
    [QRY_FN_END] = {.call = qry_fn_query_time},
    [QRY_FN_EXP] = {.map = exp},
    [QRY_FN_FIRST_OVER_TIME] = {.range = qry_rf_first, .keep_name = true},
    [QRY_FN_FLOOR] = {.map = floor},
    [QRY_FN_HISTOGRAM_AVG] = {.call = qry_fn_histogram_value},
    [QRY_FN_HISTOGRAM_COUNT] = {.call = qry_fn_histogram_value},
    [QRY_FN_HISTOGRAM_FRACTION] = {.call = qry_fn_histogram_fraction},
    [QRY_FN_HISTOGRAM_QUANTILE] = {.call = qry_fn_histogram_quantile},
    [QRY_FN_HISTOGRAM_QUANTILES] = {.call = qry_fn_histogram_quantiles},
    [QRY_FN_HISTOGRAM_STDDEV] = {.call = qry_fn_histogram_value},
    [QRY_FN_HISTOGRAM_STDVAR] = {.call = qry_fn_histogram_value},
    [QRY_FN_HISTOGRAM_SUM] = {.call = qry_fn_histogram_value},
    [QRY_FN_HOUR] = {.call = qry_fn_date},
    [QRY_FN_IDELTA] = {.range = qry_rf_instant},
    [QRY_FN_INCREASE] = {.range = qry_rf_extrapolated, .anchored = true, .smoothed = true},
    [QRY_FN_INFO] = {.call = qry_fn_info},
    [QRY_FN_IRATE] = {.range = qry_rf_instant},
    [QRY_FN_LABEL_JOIN] = {.call = qry_fn_label_join},
    [QRY_FN_LABEL_REPLACE] = {.call = qry_fn_label_replace},
    [QRY_FN_LAST_OVER_TIME] = {.range = qry_rf_last, .keep_name = true},
    [QRY_FN_LN] = {.map = log},
    [QRY_FN_LOG10] = {.map = log10},
    [QRY_FN_LOG2] = {.map = log2},
    [QRY_FN_MAD_OVER_TIME] = {.range = qry_rf_mad},
    [QRY_FN_MAX_OF] = {.call = qry_fn_extreme_of},
    [QRY_FN_MAX_OVER_TIME] = {.range = qry_rf_extreme},
    [QRY_FN_MIN_OF] = {.call = qry_fn_extreme_of},
    [QRY_FN_MIN_OVER_TIME] = {.range = qry_rf_extreme},
    [QRY_FN_MINUTE] = {.call = qry_fn_date},
    [QRY_FN_MONTH] = {.call = qry_fn_date},
    [QRY_FN_PI] = {.call = qry_fn_pi},
    [QRY_FN_PREDICT_LINEAR] = {.range = qry_rf_predict_linear},
    [QRY_FN_PRESENT_OVER_TIME] = {.range = qry_rf_present},
    [QRY_FN_QUANTILE_OVER_TIME] = {.range = qry_rf_quantile},
    [QRY_FN_RAD] = {.map = qry_fn_rad},
    [QRY_FN_RANGE] = {.call = qry_fn_query_time},
    [QRY_FN_RATE] = {.range = qry_rf_extrapolated, .anchored = true, .smoothed = true},
    [QRY_FN_RESETS] = {.range = qry_rf_resets, .anchored = true},
    [QRY_FN_ROUND] = {.call = qry_fn_round},
    [QRY_FN_SCALAR] = {.call = qry_fn_scalar},
    [QRY_FN_SGN] = {.map = qry_fn_sgn},
    [QRY_FN_SIN] = {.map = sin},
    [QRY_FN_SINH] = {.map = sinh},
    [QRY_FN_SORT] = {.call = qry_fn_sort},
    [QRY_FN_SORT_BY_LABEL] = {.call = qry_fn_sort_by_label},
    [QRY_FN_SORT_BY_LABEL_DESC] = {.call = qry_fn_sort_by_label},
    [QRY_FN_SORT_DESC] = {.call = qry_fn_sort},
    [QRY_FN_SQRT] = {.map = sqrt},
    [QRY_FN_START] = {.call = qry_fn_query_time},
    [QRY_FN_START_TIMESTAMP] = {.call = qry_fn_start_timestamp},
    [QRY_FN_STDDEV_OVER_TIME] = {.range = qry_rf_variance},
    [QRY_FN_STDVAR_OVER_TIME] = {.range = qry_rf_variance},
    [QRY_FN_STEP] = {.call = qry_fn_query_time},
    [QRY_FN_SUM_OVER_TIME] = {.range = qry_rf_sum},
    [QRY_FN_TAN] = {.map = tan},
    [QRY_FN_TANH] = {.map = tanh},
    [QRY_FN_TIME] = {.call = qry_fn_time},
    [QRY_FN_TIMESTAMP] = {.call = qry_fn_timestamp},
    [QRY_FN_TS_OF_FIRST_OVER_TIME] = {.range = qry_rf_ts_of_end},
    [QRY_FN_TS_OF_LAST_OVER_TIME] = {.range = qry_rf_ts_of_end},
    [QRY_FN_TS_OF_MAX_OVER_TIME] = {.range = qry_rf_ts_of_extreme},
    [QRY_FN_TS_OF_MIN_OVER_TIME] = {.range = qry_rf_ts_of_extreme},
    [QRY_FN_VECTOR] = {.call = qry_fn_vector},
    [QRY_FN_YEAR] = {.call = qry_fn_date},
};

enum nx_err qry_eval_float_argument(const struct qry_scope *scope, struct qry_expr *expr,
                                    struct qry_matrix *out)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_expr(scope, expr, &matrix);
    if (err)
        return err;
    qry_matrix_floats_only(&matrix);
    if ((err = qry_rows_drop_name(&matrix))) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}

enum nx_err qry_finish_call(struct qry_matrix *matrix, struct qry_matrix *out)
{
    enum nx_err err = NX_OK;
    if (!qry_delayed_names(matrix->ev))
        err = qry_matrix_merge(matrix);
    if (err) {
        qry_matrix_release(matrix);
        return err;
    }
    *out = *matrix;
    return NX_OK;
}

enum nx_err qry_eval_constant(const struct qry_scope *scope, double value, struct qry_matrix *out)
{
    struct qry_matrix matrix;
    struct qry_row *row;
    enum nx_err err = qry_matrix_init(&matrix, scope->ev, scope->steps);
    if (err)
        return err;
    if ((err = qry_matrix_add(&matrix, (struct nx_labels){NULL, 0}, false, &row))) {
        qry_matrix_release(&matrix);
        return err;
    }
    for (size_t i = 0; i < scope->steps; i++)
        row->values[i] = value;
    *out = matrix;
    return NX_OK;
}

static enum nx_err eval_map(const struct qry_scope *scope, struct qry_expr *expr,
                            double (*map)(double), struct qry_matrix *out)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_float_argument(scope, expr->call.args[0], &matrix);
    if (err)
        return err;
    for (size_t r = 0; r < matrix.count && err == NX_OK; r++) {
        struct qry_row *row = &matrix.rows[r];
        for (size_t i = 0; i < matrix.steps; i++) {
            if (qry_has_float(row, i))
                row->values[i] = map(row->values[i]);
        }
        err = qry_work(scope->ev, matrix.steps);
    }
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    return qry_finish_call(&matrix, out);
}

/* Extended ranges go with some functions only. */
static enum nx_err check_modifiers(const struct qry_scope *scope, const struct qry_expr *expr)
{
    const struct qry_function *function = expr->call.function;
    const struct implementation *impl = &implementations[function->id];

    for (size_t i = 0; i < expr->call.arg_count; i++) {
        const struct qry_expr *arg = qry_unwrap_const(expr->call.args[i]);
        if (arg->kind != QRY_NODE_SELECTOR || !arg->selector.range)
            continue;
        if (arg->selector.anchored && !impl->anchored)
            return qry_error(scope->ev,
                             "anchored modifier can only be used with: changes, delta, increase, "
                             "rate, resets - not with %s",
                             function->name);
        if (arg->selector.smoothed && !impl->smoothed)
            return qry_error(scope->ev,
                             "smoothed modifier can only be used with: delta, increase, rate - "
                             "not with %s",
                             function->name);
    }
    return NX_OK;
}

/* Whether histograms below are read for count and sum only. */
static bool stats_below(const struct qry_scope *scope, int id)
{
    switch (id) {
    case QRY_FN_HISTOGRAM_COUNT:
    case QRY_FN_HISTOGRAM_SUM:
    case QRY_FN_HISTOGRAM_AVG:
        return true;
    case QRY_FN_HISTOGRAM_QUANTILE:
    case QRY_FN_HISTOGRAM_QUANTILES:
    case QRY_FN_HISTOGRAM_FRACTION:
        return false;
    default:
        return scope->stats;
    }
}

enum nx_err qry_eval_call(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out)
{
    const struct qry_function *function = expr->call.function;
    const struct implementation *impl = &implementations[function->id];
    struct qry_scope inner = *scope;
    enum nx_err err = check_modifiers(scope, expr);
    if (err)
        return err;
    inner.func = function->name;
    inner.stats = stats_below(scope, function->id);
    if (impl->map)
        return eval_map(&inner, expr, impl->map, out);
    if (impl->range)
        return qry_eval_range_call(&inner, expr, impl->range, impl->keep_name, out);
    return impl->call(&inner, expr, out);
}
