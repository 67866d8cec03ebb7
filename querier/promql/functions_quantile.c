/* histogram_quantile, histogram_quantiles and histogram_fraction, for classic and native
 * histograms. */
#include <math.h>

#include "common/cxx/number_shim.h"
#include "querier/promql/functions.h"
#include "querier/promql/histogram_input.h"

struct histogram_call {
    const struct qry_scope *scope;
    struct qry_eval *ev;
    struct qry_histogram_input input;
    struct qry_matrix scalars[2]; /* phi; or lower and upper */
    struct qry_matrix out;
};

static void release(struct histogram_call *call)
{
    qry_histogram_input_release(&call->input);
    qry_matrix_release(&call->scalars[0]);
    qry_matrix_release(&call->scalars[1]);
}

static enum nx_err finish(struct histogram_call *call, enum nx_err err, struct qry_matrix *out)
{
    if (err == NX_OK)
        err = qry_matrix_check(call->scope, &call->out);
    release(call);
    if (err) {
        qry_matrix_release(&call->out);
        return err;
    }
    *out = call->out;
    return NX_OK;
}

static void note_phi(struct qry_eval *ev, const struct qry_expr *arg, double phi)
{
    if (isnan(phi) || phi < 0 || phi > 1)
        qry_annotations_add(&ev->notes, QRY_NOTE_QUANTILE, arg->pos,
                            &(struct qry_note_args){.x = phi});
}

static void note_nan(struct histogram_call *call, enum qry_nan_note note, struct nx_labels labels)
{
    struct qry_note_args args = qry_histogram_note_args(call->ev, labels);
    enum qry_note_id id = QRY_NOTE_QUANTILE_NAN_RESULT;

    if (note == QRY_NAN_NONE)
        return;
    if (note == QRY_NAN_SKEWED)
        id = QRY_NOTE_QUANTILE_NAN_SKEW;
    else if (note == QRY_NAN_EXCLUDED)
        id = QRY_NOTE_FRACTION_NAN;
    qry_annotations_add(&call->ev->notes, id, call->input.pos, &args);
}

static double quantile_of(struct histogram_call *call, size_t unit, size_t step, double phi,
                          const struct qry_histogram_view *view)
{
    struct nx_labels labels = qry_histogram_input_labels(&call->input, unit);
    struct qry_classic_repair repair;

    if (view->native) {
        enum qry_nan_note note = QRY_NAN_NONE;
        double q = qry_histogram_quantile(phi, view->native, &note);
        note_nan(call, note, labels);
        return q;
    }
    double q = qry_classic_quantile(phi, view->buckets, view->count, &repair);
    if (repair.repaired) {
        int64_t t = qry_step_time(call->scope, step);
        struct qry_note_args args = qry_histogram_note_args(call->ev, labels);
        struct qry_note_range range = {.min_bound = repair.min_bound,
                                       .max_bound = repair.max_bound,
                                       .max_difference = repair.max_difference,
                                       .min_t = t,
                                       .max_t = t};
        qry_annotations_add_range(&call->ev->notes, call->input.pos, &args, &range);
    }
    return q;
}

static enum nx_err add_unit_row(struct histogram_call *call, size_t unit, struct qry_row **row)
{
    enum nx_err err =
        qry_matrix_add(&call->out, qry_histogram_input_labels(&call->input, unit), false, row);
    return err ? err : qry_row_drop_name(call->ev, *row);
}

static enum nx_err begin(struct histogram_call *call, const struct qry_scope *scope,
                         struct qry_expr *vector)
{
    call->scope = scope;
    call->ev = scope->ev;
    enum nx_err err = qry_histogram_input_init(&call->input, scope, vector);
    return err ? err : qry_matrix_init(&call->out, scope->ev, scope->steps);
}

enum nx_err qry_fn_histogram_quantile(const struct qry_scope *scope, struct qry_expr *expr,
                                      struct qry_matrix *out)
{
    struct qry_expr **args = expr->call.args;
    struct histogram_call call = {0};
    enum nx_err err = qry_eval_expr(scope, args[0], &call.scalars[0]);
    if (err == NX_OK)
        err = begin(&call, scope, args[1]);
    if (err)
        return finish(&call, err, out);
    const double *phi = call.scalars[0].rows[0].values;
    for (size_t i = 0; i < scope->steps; i++)
        note_phi(scope->ev, args[0], phi[i]);
    for (size_t u = 0; u < call.input.count && err == NX_OK; u++) {
        struct qry_histogram_view view;
        struct qry_row *row;
        err = add_unit_row(&call, u, &row);
        for (size_t i = 0; i < scope->steps && err == NX_OK; i++) {
            if (qry_histogram_input_at(&call.input, u, i, &view))
                row->values[i] = quantile_of(&call, u, i, phi[i], &view);
            err = qry_work(scope->ev, 32);
        }
    }
    return finish(&call, err, out);
}

enum nx_err qry_fn_histogram_fraction(const struct qry_scope *scope, struct qry_expr *expr,
                                      struct qry_matrix *out)
{
    struct qry_expr **args = expr->call.args;
    struct histogram_call call = {0};
    enum nx_err err = qry_eval_expr(scope, args[0], &call.scalars[0]);
    if (err == NX_OK)
        err = qry_eval_expr(scope, args[1], &call.scalars[1]);
    if (err == NX_OK)
        err = begin(&call, scope, args[2]);
    if (err)
        return finish(&call, err, out);
    const double *lower = call.scalars[0].rows[0].values;
    const double *upper = call.scalars[1].rows[0].values;
    for (size_t u = 0; u < call.input.count && err == NX_OK; u++) {
        struct nx_labels labels = qry_histogram_input_labels(&call.input, u);
        struct qry_histogram_view view;
        struct qry_row *row;
        err = add_unit_row(&call, u, &row);
        for (size_t i = 0; i < scope->steps && err == NX_OK; i++) {
            enum qry_nan_note note = QRY_NAN_NONE;
            if (!qry_histogram_input_at(&call.input, u, i, &view))
                continue;
            row->values[i] =
                view.native ? qry_histogram_fraction(lower[i], upper[i], view.native, &note)
                            : qry_classic_fraction(lower[i], upper[i], view.buckets, view.count);
            note_nan(&call, note, labels);
            err = qry_work(scope->ev, 32);
        }
    }
    return finish(&call, err, out);
}

/* --- histogram_quantiles --- */

/* A quantile as OpenMetrics writes a number: with a point, or an exponent. */
static size_t format_quantile(double phi, char *out)
{
    size_t len = nx_float_format_g(phi, out);
    if (isnan(phi) || isinf(phi))
        return len;
    for (size_t i = 0; i < len; i++) {
        if (out[i] == '.' || out[i] == 'e')
            return len;
    }
    memcpy(out + len, ".0", 3);
    return len + 2;
}

static enum nx_err quantile_row(struct histogram_call *call, size_t unit, struct nx_view label,
                                double phi, size_t *at)
{
    struct nx_labels labels = qry_histogram_input_labels(&call->input, unit);
    struct nx_arena *names = &call->ev->names->arena;
    struct nx_labels_builder builder;
    char text[NX_FLOAT_MAX + 4];
    struct qry_row *row;

    struct nx_view value = nx_arena_copy(names, nx_view_make(text, format_quantile(phi, text)));
    if (!value.ptr)
        return qry_no_memory(call->ev);
    nx_labels_builder_init(&builder, names, labels);
    nx_labels_builder_set(&builder, label, value);
    if (nx_labels_builder_take(&builder, &labels))
        return qry_no_memory(call->ev);
    *at = call->out.count;
    enum nx_err err = qry_matrix_add(&call->out, labels, false, &row);
    return err ? err : qry_row_drop_name(call->ev, row);
}

/* One quantile of one histogram; a new row whenever the quantile asked for changes. */
static enum nx_err quantiles_of_unit(struct histogram_call *call, size_t unit, struct nx_view label,
                                     const double *phi)
{
    struct qry_histogram_view view;
    size_t at = SIZE_MAX;
    double last = 0;
    enum nx_err err = NX_OK;

    for (size_t i = 0; i < call->scope->steps && err == NX_OK; i++) {
        if (!qry_histogram_input_at(&call->input, unit, i, &view))
            continue;
        if (at == SIZE_MAX || nx_double_bits(last) != nx_double_bits(phi[i])) {
            if ((err = quantile_row(call, unit, label, phi[i], &at)))
                return err;
            last = phi[i];
        }
        call->out.rows[at].values[i] = quantile_of(call, unit, i, phi[i], &view);
        err = qry_work(call->ev, 32);
    }
    return err;
}

enum nx_err qry_fn_histogram_quantiles(const struct qry_scope *scope, struct qry_expr *expr,
                                       struct qry_matrix *out)
{
    const struct qry_call *node = &expr->call;
    struct nx_view label = qry_string_of(node->args[1]);
    struct histogram_call call = {0};
    enum nx_err err;

    if (label.len == 0 || !nx_view_is_utf8(label))
        return qry_error(scope->ev, "invalid label name \"%.*s\"", NX_VIEW_ARG(label));
    err = begin(&call, scope, node->args[0]);
    for (size_t a = 2; a < node->arg_count && err == NX_OK; a++) {
        if ((err = qry_eval_expr(scope, node->args[a], &call.scalars[0])))
            break;
        const double *phi = call.scalars[0].rows[0].values;
        for (size_t i = 0; i < scope->steps; i++)
            note_phi(scope->ev, node->args[a], phi[i]);
        for (size_t u = 0; u < call.input.count && err == NX_OK; u++)
            err = quantiles_of_unit(&call, u, label, phi);
        qry_matrix_release(&call.scalars[0]);
    }
    return finish(&call, err, out);
}
