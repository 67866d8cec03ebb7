/* absent() and absent_over_time(): one series, labelled as far as the selector determines it. */
#include <stdlib.h>

#include "querier/promql/functions.h"

static int by_name_then_place(const void *a, const void *b)
{
    const struct nx_matcher *x = *(const struct nx_matcher *const *)a;
    const struct nx_matcher *y = *(const struct nx_matcher *const *)b;
    int order = nx_view_cmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

/* The value that matchers on one label, in the order they are written, leave it: the first equality
 * gives it one, whatever else follows takes it away. */
static struct nx_view value_left(const struct nx_matcher *const *matchers, size_t count)
{
    struct nx_view value = {NULL, 0};
    bool seen = false;
    for (size_t i = 0; i < count; i++) {
        bool first = matchers[i]->type == NX_MATCH_EQ && !seen;
        value = first ? matchers[i]->value : (struct nx_view){NULL, 0};
        seen |= first;
    }
    return value;
}

/* Labels as far as the selector determines them. */
static enum nx_err absent_labels(struct qry_eval *ev, const struct qry_expr *arg,
                                 struct nx_labels *out)
{
    const struct qry_expr *expr = qry_unwrap_const(arg);
    struct nx_arena *arena = &ev->names->arena;
    size_t count = expr->kind == QRY_NODE_SELECTOR ? expr->selector.matcher_count : 0;
    const struct nx_matcher **sorted = nx_arena_array(arena, count + 1, sizeof *sorted);
    struct nx_label *labels = nx_arena_array(arena, count + 1, sizeof *labels);
    size_t kept = 0;

    if (!sorted || !labels)
        return qry_no_memory(ev);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &expr->selector.matchers[i];
    if (count > 1)
        qsort(sorted, count, sizeof *sorted, by_name_then_place);
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && nx_view_eq(sorted[end]->name, sorted[i]->name); end++)
            ;
        struct nx_view value = value_left(sorted + i, end - i);
        if (value.len > 0 && !nx_view_eq(sorted[i]->name, NX_LABEL_METRIC_NAME))
            labels[kept++] = (struct nx_label){.name = sorted[i]->name, .value = value};
    }
    *out = (struct nx_labels){.items = labels, .count = kept};
    return NX_OK;
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
