/* The ..._over_time functions. Those of floats only leave histograms out, with an info where a
 * window has both. */
#include <stdlib.h>

#include "querier/promql/functions.h"
#include "querier/promql/histogram_sum.h"
#include "querier/promql/numeric.h"

/* For functions of floats only: false where there is nothing to compute. */
static bool floats_of(struct qry_range_call *call, const struct qry_window *w)
{
    if (w->count == 0)
        return false;
    if (w->hcount > 0)
        qry_range_note(call, QRY_NOTE_HISTOGRAM_IGNORED_IN_RANGE);
    return true;
}

static double seconds(int64_t t)
{
    return (double)t / 1000;
}

/* --- sum, avg --- */

static enum nx_err sum_histograms(struct qry_range_call *call, const struct qry_window *w,
                                  bool mean, struct qry_yield *out)
{
    struct qry_histogram_sum sum = {0};

    for (size_t i = 0; i < w->hcount; i++) {
        enum nx_err err = qry_histogram_sum_add(&sum, call->arena, w->h[i], mean);
        if (err == NX_ERR_NOMEM)
            return qry_no_memory(call->scope->ev);
        if (err) {
            qry_range_note(call, QRY_NOTE_MIXED_SCHEMAS);
            return NX_OK;
        }
    }
    qry_histogram_sum_note(&sum, call->scope->ev, call->arg->pos);
    out->histogram = qry_histogram_sum_result(&sum, call->arena, mean);
    return out->histogram ? NX_OK : qry_no_memory(call->scope->ev);
}

static bool mixed(struct qry_range_call *call, const struct qry_window *w)
{
    if (w->count == 0 || w->hcount == 0)
        return false;
    qry_range_note(call, QRY_NOTE_MIXED_RANGE);
    return true;
}

enum nx_err qry_rf_sum(struct qry_range_call *call, const struct qry_window *w,
                       struct qry_yield *out)
{
    struct qry_kahan k = {0};

    if (mixed(call, w))
        return NX_OK;
    if (w->hcount > 0)
        return sum_histograms(call, w, false, out);
    for (size_t i = 0; i < w->count; i++)
        qry_kahan_add(&k, w->v[i]);
    out->value = isinf(k.sum) ? k.sum : k.sum + k.c;
    return NX_OK;
}

enum nx_err qry_rf_avg(struct qry_range_call *call, const struct qry_window *w,
                       struct qry_yield *out)
{
    struct qry_mean mean;

    if (mixed(call, w))
        return NX_OK;
    if (w->hcount > 0)
        return sum_histograms(call, w, true, out);
    qry_mean_init(&mean, w->v[0]);
    for (size_t i = 1; i < w->count; i++)
        qry_mean_add(&mean, w->v[i]);
    out->value = qry_mean_result(&mean);
    return NX_OK;
}

/* --- count, present, first, last --- */

enum nx_err qry_rf_count(struct qry_range_call *call, const struct qry_window *w,
                         struct qry_yield *out)
{
    (void)call;
    out->value = (double)(w->count + w->hcount);
    return NX_OK;
}

enum nx_err qry_rf_present(struct qry_range_call *call, const struct qry_window *w,
                           struct qry_yield *out)
{
    (void)call;
    (void)w;
    out->value = 1;
    return NX_OK;
}

static enum nx_err yield_histogram(struct qry_range_call *call, const struct nx_histogram *h,
                                   struct qry_yield *out)
{
    out->histogram = nx_histogram_copy(call->arena, h);
    return out->histogram ? NX_OK : qry_no_memory(call->scope->ev);
}

enum nx_err qry_rf_first(struct qry_range_call *call, const struct qry_window *w,
                         struct qry_yield *out)
{
    if (w->hcount == 0 || (w->count > 0 && w->t[0] < w->ht[0])) {
        out->value = w->v[0];
        return NX_OK;
    }
    return yield_histogram(call, w->h[0], out);
}

enum nx_err qry_rf_last(struct qry_range_call *call, const struct qry_window *w,
                        struct qry_yield *out)
{
    if (w->hcount == 0 || (w->count > 0 && w->t[w->count - 1] > w->ht[w->hcount - 1])) {
        out->value = w->v[w->count - 1];
        return NX_OK;
    }
    return yield_histogram(call, w->h[w->hcount - 1], out);
}

enum nx_err qry_rf_ts_of_end(struct qry_range_call *call, const struct qry_window *w,
                             struct qry_yield *out)
{
    bool first = call->expr->call.function->id == QRY_FN_TS_OF_FIRST_OVER_TIME;
    int64_t t = 0;

    if (w->count > 0)
        t = first ? w->t[0] : w->t[w->count - 1];
    if (w->hcount > 0) {
        int64_t ht = first ? w->ht[0] : w->ht[w->hcount - 1];
        if (w->count == 0 || (first ? ht < t : ht > t))
            t = ht;
    }
    out->value = seconds(t);
    return NX_OK;
}

/* --- min, max --- */

enum nx_err qry_rf_extreme(struct qry_range_call *call, const struct qry_window *w,
                           struct qry_yield *out)
{
    bool max = call->expr->call.function->id == QRY_FN_MAX_OVER_TIME;

    if (!floats_of(call, w))
        return NX_OK;
    double best = w->v[0];
    for (size_t i = 0; i < w->count; i++) {
        double v = w->v[i];
        if ((max ? v > best : v < best) || isnan(best))
            best = v;
    }
    out->value = best;
    return NX_OK;
}

enum nx_err qry_rf_ts_of_extreme(struct qry_range_call *call, const struct qry_window *w,
                                 struct qry_yield *out)
{
    bool max = call->expr->call.function->id == QRY_FN_TS_OF_MAX_OVER_TIME;

    if (!floats_of(call, w))
        return NX_OK;
    size_t best = 0;
    for (size_t i = 0; i < w->count; i++) {
        double v = w->v[i];
        if ((max ? v >= w->v[best] : v <= w->v[best]) || isnan(w->v[best]))
            best = i;
    }
    out->value = seconds(w->t[best]);
    return NX_OK;
}

/* --- quantile, deviation --- */

static double *copy_values(struct qry_range_call *call, const struct qry_window *w)
{
    double *values = nx_arena_array(call->scratch, w->count, sizeof *values);
    if (values)
        memcpy(values, w->v, w->count * sizeof *values);
    return values;
}

enum nx_err qry_rf_quantile(struct qry_range_call *call, const struct qry_window *w,
                            struct qry_yield *out)
{
    double phi = call->scalars[0][call->step];

    if (!floats_of(call, w))
        return NX_OK;
    if (isnan(phi) || phi < 0 || phi > 1)
        qry_annotations_add(&call->scope->ev->notes, QRY_NOTE_QUANTILE,
                            call->expr->call.args[0]->pos, &(struct qry_note_args){.x = phi});
    double *values = copy_values(call, w);
    if (!values)
        return qry_no_memory(call->scope->ev);
    out->value = qry_quantile(phi, values, w->count);
    return NX_OK;
}

enum nx_err qry_rf_variance(struct qry_range_call *call, const struct qry_window *w,
                            struct qry_yield *out)
{
    struct qry_kahan mean = {0}, squares = {0};
    double count = 0;

    if (!floats_of(call, w))
        return NX_OK;
    for (size_t i = 0; i < w->count; i++) {
        count++;
        double delta = w->v[i] - (mean.sum + mean.c);
        qry_kahan_add(&mean, delta / count);
        qry_kahan_add(&squares, delta * (w->v[i] - (mean.sum + mean.c)));
    }
    double variance = (squares.sum + squares.c) / count;
    out->value =
        call->expr->call.function->id == QRY_FN_STDDEV_OVER_TIME ? sqrt(variance) : variance;
    return NX_OK;
}

enum nx_err qry_rf_mad(struct qry_range_call *call, const struct qry_window *w,
                       struct qry_yield *out)
{
    if (!floats_of(call, w))
        return NX_OK;
    double *values = copy_values(call, w);
    if (!values)
        return qry_no_memory(call->scope->ev);
    for (size_t i = 0; i < w->count; i++) {
        if (isnan(values[i])) {
            out->value = QRY_F_NAN;
            return NX_OK;
        }
    }
    double median = qry_quantile(0.5, values, w->count);
    for (size_t i = 0; i < w->count; i++)
        values[i] = fabs(w->v[i] - median);
    out->value = qry_quantile(0.5, values, w->count);
    return NX_OK;
}
