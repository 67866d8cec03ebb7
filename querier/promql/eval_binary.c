/* Binary operators by the types of their operands. With a scalar the work is done in the vector's
 * own cells. */
#include "querier/promql/binary.h"

static enum nx_err scalar_scalar(const struct qry_scope *scope, const struct qry_binary *node,
                                 struct qry_matrix *lhs, const struct qry_matrix *rhs)
{
    double *x = lhs->rows[0].values;
    const double *y = rhs->rows[0].values;

    if (qry_op_is_set(node->op) || qry_op_is_trim(node->op))
        return qry_error(scope->ev, "operator \"%s\" not allowed for Scalar operations",
                         qry_op_text(node->op));
    for (size_t i = 0; i < scope->steps; i++) {
        x[i] = qry_op_is_comparison(node->op) ? (qry_apply_comparison(node->op, x[i], y[i]) ? 1 : 0)
                                              : qry_apply_arithmetic(node->op, x[i], y[i]);
    }
    return qry_work(scope->ev, scope->steps);
}

struct scalar_operation {
    const struct qry_binary *node;
    struct qry_matrix *vector;
    const double *scalar;
    bool scalar_left;
    struct qry_step_notes notes;
};

static enum nx_err apply_to_cell(struct scalar_operation *op, struct qry_row *row, size_t i)
{
    struct qry_element element = {.value = row->values[i], .histogram = qry_histogram_at(row, i)};
    struct qry_element scalar = {.value = op->scalar[i]};
    struct qry_outcome outcome;
    enum nx_err err = qry_apply_elements(op->vector->ev, &op->vector->pool->arena, op->node->op,
                                         op->scalar_left ? scalar : element,
                                         op->scalar_left ? element : scalar, &outcome);
    if (err || (err = qry_step_note(&op->notes, i, &outcome)))
        return err;
    if (qry_op_is_comparison(op->node->op))
        outcome.element = element;
    if (op->node->return_bool)
        outcome.element = (struct qry_element){.value = outcome.keep ? 1 : 0};
    if (outcome.dropped || !(outcome.keep || op->node->return_bool))
        outcome.element = (struct qry_element){.value = QRY_ABSENT};
    if (outcome.element.histogram)
        return qry_row_put_histogram(op->vector, row, i, outcome.element.histogram);
    row->values[i] = outcome.element.value;
    if (row->histograms)
        row->histograms[i] = NULL;
    return NX_OK;
}

/* A row of floats only, under an operator that floats take. */
static void apply_to_floats(const struct scalar_operation *op, struct qry_row *row, size_t steps)
{
    bool comparison = qry_op_is_comparison(op->node->op);

    for (size_t i = 0; i < steps; i++) {
        double v = row->values[i];
        if (nx_is_stale(v))
            continue;
        double x = op->scalar_left ? op->scalar[i] : v;
        double y = op->scalar_left ? v : op->scalar[i];
        if (!comparison)
            row->values[i] = qry_apply_arithmetic(op->node->op, x, y);
        else if (op->node->return_bool)
            row->values[i] = qry_apply_comparison(op->node->op, x, y) ? 1 : 0;
        else if (!qry_apply_comparison(op->node->op, x, y))
            row->values[i] = QRY_ABSENT;
    }
}

static enum nx_err apply_to_row(struct scalar_operation *op, struct qry_row *row)
{
    size_t steps = op->vector->steps;
    enum nx_err err = qry_work(op->vector->ev, steps);

    if (!row->histograms && !qry_op_is_trim(op->node->op)) {
        apply_to_floats(op, row, steps);
    } else {
        for (size_t i = 0; i < steps && err == NX_OK; i++) {
            if (qry_has_point(row, i))
                err = apply_to_cell(op, row, i);
        }
    }
    if (err == NX_OK && (qry_op_changes_metric(op->node->op) || op->node->return_bool))
        err = qry_row_drop_name(op->vector->ev, row);
    return err;
}

static enum nx_err vector_scalar(const struct qry_scope *scope, const struct qry_expr *expr,
                                 struct qry_matrix *vector, const struct qry_matrix *scalar,
                                 bool scalar_left)
{
    struct scalar_operation op = {
        .node = &expr->binary,
        .vector = vector,
        .scalar = scalar->rows[0].values,
        .scalar_left = scalar_left,
        .notes = {.ev = scope->ev,
                  .pos = expr->pos,
                  .arena = &vector->pool->arena,
                  .steps = scope->steps},
    };
    enum nx_err err = NX_OK;
    for (size_t r = 0; r < vector->count && err == NX_OK; r++)
        err = apply_to_row(&op, &vector->rows[r]);
    if (err)
        return err;
    qry_step_notes_record(&op.notes);
    return qry_delayed_names(scope->ev) ? NX_OK : qry_matrix_merge(vector);
}

/* Computes into one of the operands and hands it out. */
static enum nx_err with_scalar(const struct qry_scope *scope, const struct qry_expr *expr,
                               struct qry_matrix *lhs, struct qry_matrix *rhs,
                               struct qry_matrix *out)
{
    bool left = expr->binary.lhs->type == QRY_TYPE_SCALAR;
    bool right = expr->binary.rhs->type == QRY_TYPE_SCALAR;
    struct qry_matrix *result = left && !right ? rhs : lhs;
    enum nx_err err = left && right ? scalar_scalar(scope, &expr->binary, lhs, rhs)
                                    : vector_scalar(scope, expr, result, left ? lhs : rhs, left);
    if (err)
        return err;
    *out = *result;
    memset(result, 0, sizeof *result);
    return NX_OK;
}

enum nx_err qry_eval_binary(const struct qry_scope *scope, struct qry_expr *expr,
                            struct qry_matrix *out)
{
    const struct qry_binary *node = &expr->binary;
    struct qry_scope inner = *scope;
    struct qry_matrix lhs = {0}, rhs = {0};

    inner.func = "";
    if (qry_op_is_trim(node->op))
        inner.stats = false;
    enum nx_err err = qry_eval_expr(&inner, node->lhs, &lhs);
    if (err == NX_OK)
        err = qry_eval_expr(&inner, node->rhs, &rhs);
    if (err)
        goto done;
    if (node->lhs->type == QRY_TYPE_SCALAR || node->rhs->type == QRY_TYPE_SCALAR)
        err = with_scalar(scope, expr, &lhs, &rhs, out);
    else if (qry_op_is_set(node->op))
        err = qry_combine_sets(scope, expr, &lhs, &rhs, out);
    else
        err = qry_match_vectors(scope, expr, &lhs, &rhs, out);
done:
    qry_matrix_release(&lhs);
    qry_matrix_release(&rhs);
    return err;
}
