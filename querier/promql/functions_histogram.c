/* histogram_count and its kin: one number of each native histogram. */
#include <math.h>

#include "querier/promql/functions.h"

static double histogram_value(int id, const struct nx_histogram *h)
{
    switch (id) {
    case QRY_FN_HISTOGRAM_COUNT:
        return h->count;
    case QRY_FN_HISTOGRAM_SUM:
        return h->sum;
    case QRY_FN_HISTOGRAM_AVG:
        return h->sum / h->count;
    case QRY_FN_HISTOGRAM_STDVAR:
        return qry_histogram_stdvar(h);
    default:
        return sqrt(qry_histogram_stdvar(h));
    }
}

/* These drop the name alone where names are dropped at once. */
static enum nx_err drop_name(struct qry_eval *ev, struct qry_row *row)
{
    if (!qry_delayed_names(ev))
        return qry_labels_without(ev, row->labels, NX_LABEL_METRIC_NAME, &row->labels);
    row->drop_name = true;
    return NX_OK;
}

enum nx_err qry_fn_histogram_value(const struct qry_scope *scope, struct qry_expr *expr,
                                   struct qry_matrix *out)
{
    int id = expr->call.function->id;
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_expr(scope, expr->call.args[0], &matrix);
    if (err)
        return err;
    for (size_t r = 0; r < matrix.count && err == NX_OK; r++) {
        struct qry_row *row = &matrix.rows[r];
        for (size_t i = 0; i < matrix.steps; i++) {
            const struct nx_histogram *h = qry_histogram_at(row, i);
            row->values[i] = h ? histogram_value(id, h) : QRY_ABSENT;
        }
        row->histograms = NULL;
        err = drop_name(scope->ev, row);
        if (err == NX_OK)
            err = qry_work(scope->ev, matrix.steps);
    }
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    return qry_finish_call(&matrix, out);
}
