/* sort and its kin. Order means something only where the result of an instant query is the outcome.
 */
#include <math.h>
#include <stdlib.h>

#include "querier/promql/functions.h"

static void note_range_query(const struct qry_scope *scope, const struct qry_expr *expr)
{
    if (scope->start != scope->end)
        qry_annotations_add(&scope->ev->notes, QRY_NOTE_SORT_IN_RANGE, expr->pos,
                            &(struct qry_note_args){.x = 0});
}

/* --- by value --- */

struct value_key {
    double value; /* negated for descending order */
    size_t row;
};

/* Ascending, NaN last, else in the order they had. */
static int compare_values(const void *a, const void *b)
{
    const struct value_key *x = a;
    const struct value_key *y = b;
    if (isnan(x->value) != isnan(y->value))
        return isnan(x->value) ? 1 : -1;
    if (x->value < y->value)
        return -1;
    if (x->value > y->value)
        return 1;
    return (x->row > y->row) - (x->row < y->row);
}

static enum nx_err sort_rows(struct qry_matrix *matrix, bool descending)
{
    struct nx_arena *arena = &matrix->pool->arena;
    struct value_key *keys = nx_arena_array(arena, matrix->count, sizeof *keys);
    struct qry_row *rows = nx_arena_array(arena, matrix->count, sizeof *rows);
    if (matrix->count > 0 && (!keys || !rows))
        return qry_no_memory(matrix->ev);
    size_t count = 0;
    for (size_t i = 0; i < matrix->count; i++) {
        if (!qry_has_float(&matrix->rows[i], 0))
            continue;
        double value = matrix->rows[i].values[0];
        keys[count++] = (struct value_key){.value = descending ? -value : value, .row = i};
    }
    if (count > 1)
        qsort(keys, count, sizeof *keys, compare_values);
    for (size_t i = 0; i < count; i++)
        rows[i] = matrix->rows[keys[i].row];
    matrix->rows = rows;
    matrix->count = matrix->capacity = count;
    return NX_OK;
}

enum nx_err qry_fn_sort(const struct qry_scope *scope, struct qry_expr *expr,
                        struct qry_matrix *out)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_expr(scope, expr->call.args[0], &matrix);
    if (err)
        return err;
    note_range_query(scope, expr);
    qry_matrix_floats_only(&matrix);
    if (scope->steps == 1)
        err = sort_rows(&matrix, expr->call.function->id == QRY_FN_SORT_DESC);
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}

/* --- by label --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The run of digits or of other bytes at the start of `text`. */
static struct nx_view leading_run(struct nx_view text)
{
    size_t len = 1;
    while (len < text.len && is_digit(text.ptr[len]) == is_digit(text.ptr[0]))
        len++;
    return nx_view_make(text.ptr, len);
}

static bool run_number(struct nx_view run, int64_t *out)
{
    int64_t number = 0;
    if (!is_digit(run.ptr[0]))
        return false;
    for (size_t i = 0; i < run.len; i++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, run.ptr[i] - '0', &number))
            return false;
    }
    *out = number;
    return true;
}

/* Runs of digits compare as numbers, others as bytes; what ends first comes first. */
static int compare_natural(struct nx_view a, struct nx_view b)
{
    struct nx_view all_a = a;
    struct nx_view all_b = b;

    while (a.len > 0 && b.len > 0) {
        struct nx_view x = leading_run(a);
        struct nx_view y = leading_run(b);
        int64_t i, j;
        int order;
        if (run_number(x, &i) && run_number(y, &j))
            order = (i > j) - (i < j);
        else
            order = nx_view_cmp(x, y);
        if (order != 0)
            return order;
        a = nx_view_make(a.ptr + x.len, a.len - x.len);
        b = nx_view_make(b.ptr + y.len, b.len - y.len);
    }
    if (a.len != b.len)
        return a.len == 0 ? -1 : 1;
    return nx_view_cmp(all_a, all_b);
}

struct label_order {
    const struct qry_expr *expr;
    bool descending;
};

static int compare_labels(const void *a, const void *b, void *user)
{
    const struct label_order *order = user;
    struct nx_labels x = ((const struct qry_row *)a)->labels;
    struct nx_labels y = ((const struct qry_row *)b)->labels;
    int result = 0;

    for (size_t i = 1; i < order->expr->call.arg_count && result == 0; i++) {
        struct nx_view name = qry_string_of(order->expr->call.args[i]);
        result = compare_natural(nx_labels_get(x, name), nx_labels_get(y, name));
    }
    if (result == 0)
        result = nx_labels_cmp(x, y);
    return order->descending ? -result : result;
}

enum nx_err qry_fn_sort_by_label(const struct qry_scope *scope, struct qry_expr *expr,
                                 struct qry_matrix *out)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_expr(scope, expr->call.args[0], &matrix);
    if (err)
        return err;
    note_range_query(scope, expr);
    if (scope->steps == 1 && matrix.count > 1) {
        struct label_order order = {
            .expr = expr, .descending = expr->call.function->id == QRY_FN_SORT_BY_LABEL_DESC};
        qsort_r(matrix.rows, matrix.count, sizeof *matrix.rows, compare_labels, &order);
    }
    *out = matrix;
    return NX_OK;
}
