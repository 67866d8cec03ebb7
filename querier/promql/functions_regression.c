/* deriv, predict_linear and double_exponential_smoothing. */
#include "querier/promql/functions.h"
#include "querier/promql/numeric.h"

/* These need two floats; a window that has histograms as well says so. */
static bool enough(struct qry_range_call *call, const struct qry_window *w)
{
    if (w->count > 0 && w->hcount > 0)
        qry_range_note(call, QRY_NOTE_HISTOGRAM_IGNORED_IN_RANGE);
    return w->count >= 2;
}

enum nx_err qry_rf_deriv(struct qry_range_call *call, const struct qry_window *w,
                         struct qry_yield *out)
{
    double slope, intercept;

    if (!enough(call, w))
        return NX_OK;
    qry_linear_regression(w->t, w->v, w->count, w->t[0], &slope, &intercept);
    out->value = slope;
    return NX_OK;
}

enum nx_err qry_rf_predict_linear(struct qry_range_call *call, const struct qry_window *w,
                                  struct qry_yield *out)
{
    double slope, intercept;

    if (!enough(call, w))
        return NX_OK;
    qry_linear_regression(w->t, w->v, w->count, w->eval_t, &slope, &intercept);
    out->value = slope * call->scalars[0][call->step] + intercept;
    return NX_OK;
}

/* Infinities are written as Go's %f writes them. */
static enum nx_err bad_factor(struct qry_range_call *call, const char *what, double factor)
{
    if (isinf(factor))
        return qry_error(call->scope->ev, "invalid %s < 1, got: %s", what,
                         factor > 0 ? "+Inf" : "-Inf");
    return qry_error(call->scope->ev, "invalid %s < 1, got: %f", what, factor);
}

enum nx_err qry_rf_double_smoothing(struct qry_range_call *call, const struct qry_window *w,
                                    struct qry_yield *out)
{
    double sf = call->scalars[0][call->step];
    double tf = call->scalars[1][call->step];

    if (sf <= 0 || sf >= 1)
        return bad_factor(call, "smoothing factor. Expected: 0 < sf", sf);
    if (tf <= 0 || tf >= 1)
        return bad_factor(call, "trend factor. Expected: 0 < tf", tf);
    if (!enough(call, w))
        return NX_OK;
    double before = 0;
    double smoothed = w->v[0];
    double trend = w->v[1] - w->v[0];
    for (size_t i = 1; i < w->count; i++) {
        double x = sf * w->v[i];
        if (i > 1)
            trend = tf * (smoothed - before) + (1 - tf) * trend;
        double y = (1 - sf) * (smoothed + trend);
        before = smoothed;
        smoothed = x + y;
    }
    out->value = smoothed;
    return NX_OK;
}
