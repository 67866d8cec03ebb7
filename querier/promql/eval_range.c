/* Range vector expressions, and functions applied to each window of each of their series. */
#include "querier/promql/eval_range.h"

struct qry_select qry_range_select(const struct qry_scope *scope,
                                   const struct qry_selector *selector)
{
    const struct qry_eval *ev = scope->ev;
    int64_t lookback = ev->params->limits.lookback_ms;
    int64_t first = qry_reference_time(ev, &selector->mod, scope->start);
    int64_t last = qry_reference_time(ev, &selector->mod, qry_last_time(scope));
    int64_t min_t = qry_time_add(qry_time_sub(first, selector->range_ms), 1);

    if (selector->anchored || selector->smoothed)
        min_t = qry_time_sub(min_t, lookback);
    return (struct qry_select){
        .matchers = selector->matchers,
        .matcher_count = selector->matcher_count,
        .min_t = min_t,
        .max_t = selector->smoothed ? qry_time_add(last, lookback) : last,
        .step_ms = scope->steps > 1 ? scope->step : 0,
        .range_ms = selector->range_ms,
        .func = scope->func,
    };
}

enum nx_err qry_ranges_open(const struct qry_scope *scope, struct qry_expr *expr,
                            struct qry_ranges *out)
{
    expr = qry_unwrap(expr);
    if (expr->kind == QRY_NODE_SUBQUERY)
        return qry_subquery_open(scope, expr, out);
    if (expr->kind != QRY_NODE_SELECTOR)
        return qry_error(scope->ev, "unexpected error: range vector of unknown kind");

    const struct qry_selector *selector = &expr->selector;
    struct qry_ranges ranges = {
        .scope = scope,
        .expr = expr,
        .mod = &selector->mod,
        .range_ms = selector->range_ms,
        .select = qry_range_select(scope, selector),
    };
    if (selector->anchored || selector->smoothed)
        ranges.before_ms = scope->ev->params->limits.lookback_ms;
    if (selector->smoothed)
        ranges.after_ms = scope->ev->params->limits.lookback_ms;
    enum nx_err err = qry_select_series(scope->ev, &ranges.select, &ranges.series, &ranges.count);
    if (err)
        return err;
    *out = ranges;
    return NX_OK;
}

void qry_ranges_close(struct qry_ranges *ranges)
{
    qry_matrix_release(&ranges->inner);
}

struct nx_labels qry_ranges_labels(const struct qry_ranges *ranges, size_t i)
{
    return ranges->series ? ranges->series[i].labels : ranges->inner.rows[i].labels;
}

bool qry_ranges_drop_name(const struct qry_ranges *ranges, size_t i)
{
    return !ranges->series && ranges->inner.rows[i].drop_name;
}

/* --- functions over windows --- */

void qry_range_note(struct qry_range_call *call, enum qry_note_id id)
{
    qry_annotations_add(&call->scope->ev->notes, id, call->arg->pos,
                        &(struct qry_note_args){.a = qry_metric_name(call->labels)});
}

static enum nx_err put_yield(struct qry_matrix *matrix, struct qry_row *row, size_t i,
                             const struct qry_yield *yield)
{
    if (yield->histogram)
        return qry_row_put_histogram(matrix, row, i, yield->histogram);
    row->values[i] = yield->value;
    return NX_OK;
}

static bool name_is_counter(struct nx_view name)
{
    return nx_view_has_suffix(name, NX_VIEW("_total")) ||
           nx_view_has_suffix(name, NX_VIEW("_sum")) ||
           nx_view_has_suffix(name, NX_VIEW("_count")) ||
           nx_view_has_suffix(name, NX_VIEW("_bucket"));
}

/* rate and increase of what does not look like a counter get an info. */
static void note_counter(struct qry_range_call *call, const struct qry_row *row)
{
    struct qry_eval *ev = call->scope->ev;
    int id = call->expr->kind == QRY_NODE_CALL ? call->expr->call.function->id : -1;
    struct nx_view name = qry_metric_name(call->labels);
    bool floats = false;

    if ((id != QRY_FN_RATE && id != QRY_FN_INCREASE) || name.len == 0)
        return;
    for (size_t i = 0; i < call->scope->steps && !floats; i++)
        floats = qry_has_float(row, i);
    if (!floats)
        return;
    if (!ev->params->features.type_and_unit_labels) {
        if (!name_is_counter(name))
            qry_range_note(call, QRY_NOTE_MAYBE_NOT_COUNTER);
        return;
    }
    struct nx_view type = nx_labels_get(call->labels, NX_VIEW("__type__"));
    if (!nx_view_is(type, "counter") && !nx_view_is(type, "histogram"))
        qry_annotations_add(&ev->notes, QRY_NOTE_TYPE_NOT_COUNTER, call->arg->pos,
                            &(struct qry_note_args){.a = type, .b = name});
}

static enum nx_err apply_to_series(struct qry_range_call *call, struct qry_reader *reader,
                                   qry_range_function function, struct qry_row *row)
{
    for (size_t i = 0; i < call->scope->steps; i++) {
        struct qry_window window;
        enum nx_err err = qry_reader_window(reader, i, &window);
        if (err)
            return err;
        if ((err = qry_work(reader->ev, window.count + window.hcount * QRY_HISTOGRAM_WORK + 1)))
            return err;
        if (window.count + window.hcount == 0)
            continue;
        struct qry_yield yield = {.value = QRY_ABSENT};
        call->step = i;
        if ((err = function(call, &window, &yield)))
            return err;
        if (call->scratch->chunks)
            nx_arena_clear(call->scratch);
        if ((err = put_yield(call->out, row, i, &yield)))
            return err;
    }
    return NX_OK;
}

static enum nx_err apply_to_all(struct qry_range_call *call, struct qry_reader *reader,
                                qry_range_function function, bool keep_name)
{
    for (size_t i = 0; i < call->ranges->count; i++) {
        struct qry_row *row;
        bool drop_name = qry_ranges_drop_name(call->ranges, i);
        call->labels = qry_ranges_labels(call->ranges, i);
        enum nx_err err = qry_matrix_add(call->out, call->labels, drop_name, &row);
        if (err)
            return err;
        if (!keep_name && (err = qry_row_drop_name(reader->ev, row)))
            return err;
        if ((err = qry_reader_begin(reader, i)))
            return err;
        if ((err = apply_to_series(call, reader, function, row)))
            return err;
        note_counter(call, row);
        qry_matrix_drop_last_if_empty(call->out);
    }
    return NX_OK;
}

/* Evaluates the scalar arguments; `held` keeps their memory. */
static enum nx_err eval_scalars(struct qry_range_call *call, struct qry_matrix *held)
{
    const struct qry_call *node = &call->expr->call;
    size_t count = 0;

    for (size_t i = 0; i < node->arg_count; i++) {
        if (node->args[i]->type != QRY_TYPE_SCALAR || count == 2)
            continue;
        enum nx_err err = qry_eval_expr(call->scope, node->args[i], &held[count]);
        if (err)
            return err;
        call->scalars[count] = held[count].rows[0].values;
        count++;
    }
    return NX_OK;
}

static struct qry_expr *range_argument(struct qry_expr *expr)
{
    for (size_t i = 0; i < expr->call.arg_count; i++) {
        if (expr->call.args[i]->type == QRY_TYPE_MATRIX)
            return expr->call.args[i];
    }
    return expr->call.args[0];
}

static enum nx_err apply_range(struct qry_range_call *call, qry_range_function function,
                               bool keep_name, struct qry_matrix *out)
{
    struct qry_eval *ev = call->scope->ev;
    struct qry_matrix matrix = {0};
    struct qry_reader reader = {0};
    struct qry_pool *scratch = NULL;
    enum nx_err err = qry_reader_init(&reader, call->ranges);
    if (err)
        goto done;
    if (!(scratch = qry_pool_new(ev))) {
        err = qry_no_memory(ev);
        goto done;
    }
    if ((err = qry_matrix_init(&matrix, ev, call->scope->steps)))
        goto done;
    call->arena = &matrix.pool->arena;
    call->scratch = &scratch->arena;
    call->out = &matrix;
    if ((err = apply_to_all(call, &reader, function, keep_name)))
        goto done;
    if (!qry_delayed_names(ev) && !keep_name)
        err = qry_matrix_require_unique(&matrix);
done:
    call->arena = call->scratch = NULL;
    call->out = NULL;
    qry_reader_release(&reader);
    qry_pool_free(ev, scratch);
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}

enum nx_err qry_apply_range(const struct qry_scope *scope, const struct qry_expr *expr,
                            const struct qry_ranges *ranges, qry_range_function function,
                            struct qry_matrix *out)
{
    struct qry_range_call call = {.scope = scope, .expr = expr, .arg = expr, .ranges = ranges};
    return apply_range(&call, function, true, out);
}

enum nx_err qry_eval_range_call(const struct qry_scope *scope, struct qry_expr *expr,
                                qry_range_function function, bool keep_name, struct qry_matrix *out)
{
    struct qry_matrix scalars[2] = {{0}, {0}};
    struct qry_ranges ranges = {0};
    struct qry_range_call call = {
        .scope = scope, .expr = expr, .arg = range_argument(expr), .ranges = &ranges};
    enum nx_err err = eval_scalars(&call, scalars);
    if (err == NX_OK && (err = qry_ranges_open(scope, range_argument(expr), &ranges)) == NX_OK) {
        err = apply_range(&call, function, keep_name, out);
        qry_ranges_close(&ranges);
    }
    qry_matrix_release(&scalars[0]);
    qry_matrix_release(&scalars[1]);
    return err;
}
