/* absent() and absent_over_time(): one series, labelled as far as the selector determines it. */
#include "querier/promql/functions.h"

/* Labels on which the selector has exactly one equality matcher and no other. */
static enum nx_err absent_labels(struct qry_eval *ev, const struct qry_expr *arg,
                                 struct nx_labels *out)
{
    const struct qry_expr *expr = qry_unwrap_const(arg);
    struct nx_labels_builder builder;

    nx_labels_builder_init(&builder, &ev->names->arena, (struct nx_labels){NULL, 0});
    size_t count = expr->kind == QRY_NODE_SELECTOR ? expr->selector.matcher_count : 0;
    for (size_t i = 0; i < count; i++) {
        const struct nx_matcher *matcher = &expr->selector.matchers[i];
        bool seen = false;
        if (nx_view_eq(matcher->name, NX_LABEL_METRIC_NAME))
            continue;
        for (size_t j = 0; j < i && !seen; j++) {
            const struct nx_matcher *before = &expr->selector.matchers[j];
            seen = before->type == NX_MATCH_EQ && nx_view_eq(before->name, matcher->name);
        }
        if (matcher->type == NX_MATCH_EQ && !seen)
            nx_labels_builder_set(&builder, matcher->name, matcher->value);
        else
            nx_labels_builder_del(&builder, matcher->name);
    }
    return nx_labels_builder_take(&builder, out) ? qry_no_memory(ev) : NX_OK;
}

/* A row of ones for `arg`, from which the caller takes the steps that are not absent. */
static enum nx_err absent_row(const struct qry_scope *scope, const struct qry_expr *arg,
                              struct qry_matrix *out)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_constant(scope, 1, &matrix);
    if (err)
        return err;
    if ((err = absent_labels(scope->ev, arg, &matrix.rows[0].labels))) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}

enum nx_err qry_fn_absent(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out)
{
    struct qry_matrix vector, result;
    enum nx_err err = qry_eval_expr(scope, expr->call.args[0], &vector);
    if (err)
        return err;
    if ((err = absent_row(scope, expr->call.args[0], &result))) {
        qry_matrix_release(&vector);
        return err;
    }
    double *values = result.rows[0].values;
    for (size_t r = 0; r < vector.count; r++) {
        for (size_t i = 0; i < scope->steps; i++) {
            if (qry_has_point(&vector.rows[r], i))
                values[i] = QRY_ABSENT;
        }
    }
    qry_matrix_release(&vector);
    *out = result;
    return NX_OK;
}

static enum nx_err strike_present(const struct qry_ranges *ranges, struct qry_reader *reader,
                                  double *values)
{
    for (size_t r = 0; r < ranges->count; r++) {
        enum nx_err err = qry_reader_begin(reader, r);
        for (size_t i = 0; i < ranges->scope->steps && err == NX_OK; i++) {
            struct qry_window window;
            err = qry_reader_window(reader, i, &window);
            if (err == NX_OK && window.count + window.hcount > 0)
                values[i] = QRY_ABSENT;
        }
        if (err)
            return err;
    }
    return NX_OK;
}

enum nx_err qry_fn_absent_over_time(const struct qry_scope *scope, struct qry_expr *expr,
                                    struct qry_matrix *out)
{
    struct qry_expr *arg = expr->call.args[0];
    struct qry_ranges ranges = {0};
    struct qry_reader reader = {0};
    struct qry_matrix result = {0};
    enum nx_err err = qry_ranges_open(scope, arg, &ranges);
    if (err)
        return err;
    if ((err = qry_reader_init(&reader, &ranges)))
        goto done;
    if ((err = absent_row(scope, arg, &result)))
        goto done;
    err = strike_present(&ranges, &reader, result.rows[0].values);
done:
    qry_reader_release(&reader);
    qry_ranges_close(&ranges);
    if (err) {
        qry_matrix_release(&result);
        return err;
    }
    *out = result;
    return NX_OK;
}
