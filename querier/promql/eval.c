/* Evaluates a tree node by node, each over all steps of its scope. A subtree that yields the same
 * at every step is evaluated at the first and repeated. What a node yields is settled before its
 * parent sees it: rows without points are gone and the samples are counted. */
#include "querier/promql/functions.h"

struct qry_expr *qry_unwrap(struct qry_expr *expr)
{
    while (expr->kind == QRY_NODE_PAREN)
        expr = expr->paren;
    return expr;
}

const struct qry_expr *qry_unwrap_const(const struct qry_expr *expr)
{
    while (expr->kind == QRY_NODE_PAREN)
        expr = expr->paren;
    return expr;
}

struct nx_view qry_string_of(const struct qry_expr *expr)
{
    const struct qry_expr *inner = qry_unwrap_const(expr);
    return inner->kind == QRY_NODE_STRING ? inner->string : (struct nx_view){NULL, 0};
}

int64_t qry_reference_time(const struct qry_eval *ev, const struct qry_modifiers *mod, int64_t t)
{
    switch (mod->at) {
    case QRY_AT_TIME:
        t = mod->at_ms;
        break;
    case QRY_AT_START:
        t = ev->params->start_ms;
        break;
    case QRY_AT_END:
        t = ev->params->end_ms;
        break;
    case QRY_AT_NONE:
        break;
    }
    return qry_time_sub(t, mod->offset_ms);
}

/* Functions whose value depends on the time of the step, whatever their arguments. */
static bool varies_by_step(const struct qry_call *call)
{
    switch (call->function->id) {
    case QRY_FN_TIMESTAMP: {
        const struct qry_expr *arg = qry_unwrap_const(call->args[0]);
        return arg->kind != QRY_NODE_SELECTOR;
    }
    case QRY_FN_DAYS_IN_MONTH:
    case QRY_FN_DAY_OF_MONTH:
    case QRY_FN_DAY_OF_WEEK:
    case QRY_FN_DAY_OF_YEAR:
    case QRY_FN_HOUR:
    case QRY_FN_MINUTE:
    case QRY_FN_MONTH:
    case QRY_FN_YEAR:
    case QRY_FN_PREDICT_LINEAR:
    case QRY_FN_TIME:
        return true;
    default:
        return false;
    }
}

bool qry_is_invariant(const struct qry_expr *expr)
{
    switch (expr->kind) {
    case QRY_NODE_NUMBER:
    case QRY_NODE_STRING:
        return true;
    case QRY_NODE_SELECTOR:
        return expr->selector.mod.at != QRY_AT_NONE;
    case QRY_NODE_SUBQUERY:
        return expr->subquery.mod.at != QRY_AT_NONE;
    case QRY_NODE_PAREN:
        return qry_is_invariant(expr->paren);
    case QRY_NODE_UNARY:
        return qry_is_invariant(expr->unary.expr);
    case QRY_NODE_BINARY:
        return qry_is_invariant(expr->binary.lhs) && qry_is_invariant(expr->binary.rhs);
    case QRY_NODE_AGGREGATE:
        return qry_is_invariant(expr->aggregate.expr) &&
               (!expr->aggregate.param || qry_is_invariant(expr->aggregate.param));
    case QRY_NODE_CALL:
        if (varies_by_step(&expr->call))
            return false;
        for (size_t i = 0; i < expr->call.arg_count; i++) {
            if (!qry_is_invariant(expr->call.args[i]))
                return false;
        }
        return true;
    }
    return false;
}

static enum nx_err negate_histograms(struct qry_matrix *matrix, struct qry_row *row)
{
    for (size_t i = 0; i < matrix->steps; i++) {
        if (!row->histograms[i])
            continue;
        struct nx_histogram *h = qry_histogram_scale(&matrix->pool->arena, row->histograms[i], -1);
        if (!h)
            return qry_no_memory(matrix->ev);
        row->histograms[i] = h;
    }
    return NX_OK;
}

static enum nx_err negate(struct qry_matrix *matrix, bool scalar)
{
    enum nx_err err = NX_OK;

    for (size_t r = 0; r < matrix->count; r++) {
        struct qry_row *row = &matrix->rows[r];
        for (size_t i = 0; i < matrix->steps; i++) {
            if (qry_has_float(row, i))
                row->values[i] = -row->values[i];
        }
        if (row->histograms && (err = negate_histograms(matrix, row)))
            return err;
        if (!scalar && (err = qry_row_drop_name(matrix->ev, row)))
            return err;
        if ((err = qry_work(matrix->ev, matrix->steps)))
            return err;
    }
    return scalar || qry_delayed_names(matrix->ev) ? NX_OK : qry_matrix_merge(matrix);
}

static enum nx_err eval_unary(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_matrix *out)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_expr(scope, expr->unary.expr, &matrix);
    if (err)
        return err;
    if (expr->unary.minus && (err = negate(&matrix, expr->type == QRY_TYPE_SCALAR))) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}

static enum nx_err eval_node(const struct qry_scope *scope, struct qry_expr *expr,
                             struct qry_matrix *out)
{
    switch (expr->kind) {
    case QRY_NODE_NUMBER:
        return qry_eval_constant(scope, expr->number.value, out);
    case QRY_NODE_SELECTOR:
        return qry_eval_selector(scope, expr, QRY_PICK_VALUE, out);
    case QRY_NODE_CALL:
        return qry_eval_call(scope, expr, out);
    case QRY_NODE_BINARY:
        return qry_eval_binary(scope, expr, out);
    case QRY_NODE_UNARY:
        return eval_unary(scope, expr, out);
    case QRY_NODE_AGGREGATE:
        return qry_eval_aggregate(scope, expr, out);
    case QRY_NODE_STRING:
    case QRY_NODE_SUBQUERY:
    case QRY_NODE_PAREN:
        break;
    }
    return qry_error(scope->ev, "unexpected error: expression of type %s where a vector is due",
                     qry_type_text(expr->type));
}

/* The one step of `once` repeated for each step of the scope. */
static enum nx_err repeat(const struct qry_scope *scope, struct qry_matrix *once,
                          struct qry_matrix *out)
{
    struct qry_matrix all;
    enum nx_err err = qry_matrix_init(&all, scope->ev, scope->steps);
    if (err)
        return err;
    for (size_t r = 0; r < once->count && err == NX_OK; r++) {
        const struct qry_row *from = &once->rows[r];
        const struct nx_histogram *h = qry_histogram_at(from, 0);
        struct qry_row *row;
        err = qry_matrix_add(&all, from->labels, from->drop_name, &row);
        for (size_t i = 0; i < scope->steps && err == NX_OK; i++) {
            row->values[i] = from->values[0];
            if (h)
                err = qry_row_put_histogram(&all, row, i, h);
        }
    }
    if (err) {
        qry_matrix_release(&all);
        return err;
    }
    if (qry_matrix_has_histograms(once))
        qry_matrix_adopt(&all, once);
    *out = all;
    return NX_OK;
}

static enum nx_err eval_invariant(const struct qry_scope *scope, struct qry_expr *expr,
                                  struct qry_matrix *out)
{
    struct qry_scope one = *scope;
    one.steps = 1;
    one.end = one.start;

    struct qry_matrix once;
    uint64_t queryable = scope->ev->counts.queryable;
    enum nx_err err = eval_node(&one, expr, &once);
    if (err)
        return err;
    qry_count_repeated(scope, queryable, scope->steps);
    if ((err = qry_matrix_settle(&once)) == NX_OK)
        err = repeat(scope, &once, out);
    qry_matrix_release(&once);
    return err;
}

enum nx_err qry_eval_expr(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_work(scope->ev, 16);
    if (err)
        return err;

    expr = qry_unwrap(expr);
    if (scope->steps > 1 && expr->kind != QRY_NODE_NUMBER && qry_is_invariant(expr))
        err = eval_invariant(scope, expr, &matrix);
    else
        err = eval_node(scope, expr, &matrix);
    if (err)
        return err;
    if ((err = qry_matrix_settle(&matrix))) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}
