/* An evaluation from its parameters to its result: the tree is evaluated into a matrix, names that
 * were marked are dropped, and what is left is copied into the arena that the caller gets, so that
 * everything else can be freed at once. */
#include "querier/promql/engine.h"

#include <assert.h>
#include <stdlib.h>

#include "querier/promql/eval_extended.h"
#include "querier/promql/eval_range.h"

static bool is_instant(const struct qry_eval_params *params)
{
    return params->step_ms == 0;
}

enum nx_err qry_scope_init(struct qry_eval *ev, struct qry_scope *scope)
{
    const struct qry_eval_params *params = ev->params;

    if (params->step_ms < 0 || params->end_ms < params->start_ms)
        return nx_fail_set(ev->fail, NX_ERR_INVALID, "invalid query time range");
    *scope =
        (struct qry_scope){.ev = ev, .start = params->start_ms, .step = 1, .steps = 1, .func = ""};
    scope->end = params->start_ms;
    if (is_instant(params))
        return NX_OK;
    uint64_t length = (uint64_t)params->end_ms - (uint64_t)params->start_ms;
    scope->step = params->step_ms;
    scope->end = params->end_ms;
    scope->steps = (size_t)(length / (uint64_t)params->step_ms) + 1;
    return NX_OK;
}

/* --- result --- */

static enum nx_err result_memory(struct qry_eval *ev, const struct qry_result *result)
{
    return nx_arena_over(&result->arena) ? qry_over_memory(ev) : qry_no_memory(ev);
}

static enum nx_err copy_point(struct qry_eval *ev, struct qry_result *result,
                              const struct qry_point *from, struct qry_point *to)
{
    *to = *from;
    if (!from->histogram)
        return NX_OK;
    to->value = 0;
    to->histogram = nx_histogram_copy(&result->arena, from->histogram);
    return to->histogram ? NX_OK : result_memory(ev, result);
}

static enum nx_err copy_row(struct qry_eval *ev, const struct qry_scope *scope,
                            const struct qry_row *row, struct qry_result *result,
                            struct qry_result_series *out)
{
    size_t count = 0;
    enum nx_err err = NX_OK;

    for (size_t i = 0; i < scope->steps; i++)
        count += qry_has_point(row, i);
    out->labels = nx_labels_copy(&result->arena, row->labels);
    out->points = nx_arena_array(&result->arena, count, sizeof *out->points);
    if ((row->labels.count > 0 && !out->labels.items) || (count > 0 && !out->points))
        return result_memory(ev, result);
    for (size_t i = 0; i < scope->steps && err == NX_OK; i++) {
        if (!qry_has_point(row, i))
            continue;
        struct qry_point point = {.t = qry_step_time(scope, i),
                                  .value = row->values[i],
                                  .histogram = qry_histogram_at(row, i)};
        err = copy_point(ev, result, &point, &out->points[out->count++]);
    }
    return err ? err : qry_work(ev, count);
}

static enum nx_err copy_matrix(struct qry_eval *ev, const struct qry_scope *scope,
                               const struct qry_matrix *matrix, struct qry_result *result)
{
    enum nx_err err = NX_OK;

    result->series = nx_arena_calloc(&result->arena, matrix->count, sizeof *result->series);
    if (!result->series && matrix->count > 0)
        return result_memory(ev, result);
    for (size_t r = 0; r < matrix->count && err == NX_OK; r++)
        err = copy_row(ev, scope, &matrix->rows[r], result, &result->series[result->count++]);
    return err;
}

/* Delayed name removal: marked rows lose their names now; rows that become equal are one series. */
static enum nx_err drop_marked_names(struct qry_matrix *matrix)
{
    for (size_t r = 0; r < matrix->count; r++) {
        struct qry_row *row = &matrix->rows[r];
        enum nx_err err;
        if (row->drop_name &&
            (err = qry_labels_without_metadata(matrix->ev, row->labels, &row->labels)))
            return err;
    }
    return qry_matrix_merge(matrix);
}

static enum nx_err evaluate_vector(struct qry_eval *ev, const struct qry_scope *scope,
                                   struct qry_expr *expr, struct qry_result *result)
{
    struct qry_matrix matrix;
    enum nx_err err = qry_eval_expr(scope, expr, &matrix);
    if (err)
        return err;
    if (qry_delayed_names(ev))
        err = drop_marked_names(&matrix);
    if (err == NX_OK && !is_instant(ev->params))
        qry_matrix_sort(&matrix);
    if (err == NX_OK)
        err = copy_matrix(ev, scope, &matrix, result);
    qry_matrix_release(&matrix);
    result->type = is_instant(ev->params) ? expr->type : QRY_TYPE_MATRIX;
    return err;
}

/* --- a range vector as the result --- */

static enum nx_err window_points(struct qry_eval *ev, const struct qry_window *w,
                                 struct qry_result *result, struct qry_result_series *out)
{
    size_t count = w->count + w->hcount;
    size_t f = 0, h = 0;
    enum nx_err err = NX_OK;

    out->points = nx_arena_array(&result->arena, count, sizeof *out->points);
    if (!out->points)
        return result_memory(ev, result);
    while (out->count < count && err == NX_OK) {
        struct qry_point point;
        if (h == w->hcount || (f < w->count && w->t[f] < w->ht[h])) {
            point = (struct qry_point){.t = w->t[f], .value = w->v[f]};
            f++;
        } else {
            point = (struct qry_point){.t = w->ht[h], .histogram = w->h[h]};
            h++;
        }
        err = copy_point(ev, result, &point, &out->points[out->count++]);
    }
    return err;
}

static enum nx_err copy_window(struct qry_eval *ev, const struct qry_ranges *ranges, size_t i,
                               struct qry_reader *reader, struct qry_result *result)
{
    assert(result->series); /* there is room for all of the ranges */
    struct qry_result_series *out = &result->series[result->count];
    struct nx_labels labels = qry_ranges_labels(ranges, i);
    struct qry_window window;
    enum nx_err err = qry_reader_begin(reader, i);
    if (err || (err = qry_reader_window(reader, 0, &window)))
        return err;
    if (window.count + window.hcount == 0)
        return NX_OK;
    if (ranges->before_ms > 0)
        err = qry_extended_points(ev, &result->arena, &ranges->expr->selector, &window,
                                  &out->points, &out->count);
    else
        err = window_points(ev, &window, result, out);
    if (err || out->count == 0)
        return err;
    if (qry_ranges_drop_name(ranges, i) && (err = qry_labels_without_metadata(ev, labels, &labels)))
        return err;
    out->labels = nx_labels_copy(&result->arena, labels);
    if (labels.count > 0 && !out->labels.items)
        return result_memory(ev, result);
    result->count++;
    return NX_OK;
}

static int compare_series(const void *a, const void *b)
{
    return nx_labels_cmp(((const struct qry_result_series *)a)->labels,
                         ((const struct qry_result_series *)b)->labels);
}

static enum nx_err sort_series(struct qry_eval *ev, struct qry_result *result)
{
    if (!result->series)
        return NX_OK;
    if (result->count > 1)
        qsort(result->series, result->count, sizeof *result->series, compare_series);
    for (size_t i = 1; i < result->count; i++) {
        if (nx_labels_eq(result->series[i - 1].labels, result->series[i].labels))
            return qry_duplicate_error(ev);
    }
    return NX_OK;
}

static enum nx_err evaluate_range_vector(struct qry_eval *ev, const struct qry_scope *whole,
                                         struct qry_expr *expr, struct qry_result *result)
{
    struct qry_scope scope = *whole;
    struct qry_ranges ranges;
    struct qry_reader reader;
    scope.is_result = true;
    enum nx_err err = qry_ranges_open(&scope, expr, &ranges);
    if (err)
        return err;
    if ((err = qry_reader_init(&reader, &ranges))) {
        qry_ranges_close(&ranges);
        return err;
    }
    result->type = QRY_TYPE_MATRIX;
    result->series = nx_arena_calloc(&result->arena, ranges.count, sizeof *result->series);
    if (!result->series && ranges.count > 0)
        err = result_memory(ev, result);
    for (size_t i = 0; i < ranges.count && err == NX_OK; i++)
        err = copy_window(ev, &ranges, i, &reader, result);
    if (err == NX_OK)
        err = sort_series(ev, result);
    qry_reader_release(&reader);
    qry_ranges_close(&ranges);
    return err;
}

/* --- evaluation --- */

static enum nx_err evaluate_string(struct qry_eval *ev, struct qry_expr *expr,
                                   struct qry_result *result)
{
    result->type = QRY_TYPE_STRING;
    result->string = nx_arena_copy(&result->arena, qry_string_of(expr));
    return result->string.ptr ? NX_OK : result_memory(ev, result);
}

/* The counts by step live in the result. */
static enum nx_err init_counts(struct qry_eval *ev, const struct qry_scope *scope,
                               struct qry_result *result)
{
    struct qry_sample_counts *counts = &ev->counts;
    counts->steps = scope->steps;
    if (!ev->params->features.per_step_stats)
        return NX_OK;
    counts->queryable_at = nx_arena_calloc(&result->arena, scope->steps, sizeof(uint64_t));
    counts->read_at = nx_arena_calloc(&result->arena, scope->steps, sizeof(uint64_t));
    return counts->queryable_at && counts->read_at ? NX_OK : result_memory(ev, result);
}

static void take_counts(const struct qry_eval *ev, struct qry_result *result)
{
    result->samples_queryable = ev->counts.queryable;
    result->samples_read = ev->counts.read;
    result->samples_queryable_at = ev->counts.queryable_at;
    result->samples_read_at = ev->counts.read_at;
    result->steps = ev->counts.steps;
    result->peak_samples = ev->peak_samples;
}

static enum nx_err evaluate(struct qry_eval *ev, struct qry_result *result)
{
    const struct qry_eval_params *params = ev->params;
    struct qry_expr *expr = qry_query_expr(ev->query);
    struct qry_scope scope;
    enum nx_err err = qry_scope_init(ev, &scope);
    if (err)
        return err;
    if (!is_instant(params) && expr->type != QRY_TYPE_SCALAR && expr->type != QRY_TYPE_VECTOR)
        return nx_fail_set(ev->fail, NX_ERR_INVALID,
                           "invalid expression type \"%s\" for range query, must be Scalar or "
                           "instant Vector",
                           qry_type_text(expr->type));
    if ((err = qry_resolve_durations(ev->query, params->start_ms, params->end_ms, params->step_ms,
                                     ev->fail)))
        return err;
    if ((err = qry_check_budget(ev)) || (err = init_counts(ev, &scope, result)))
        return err;
    switch (expr->type) {
    case QRY_TYPE_STRING:
        return evaluate_string(ev, expr, result);
    case QRY_TYPE_MATRIX:
        return evaluate_range_vector(ev, &scope, expr, result);
    case QRY_TYPE_NONE:
    case QRY_TYPE_SCALAR:
    case QRY_TYPE_VECTOR:
        break;
    }
    return evaluate_vector(ev, &scope, expr, result);
}

enum nx_err qry_evaluate(struct qry_query *query, struct qry_source *source,
                         const struct qry_eval_params *params, struct qry_result *out,
                         struct nx_fail *fail)
{
    struct qry_result result = {.type = QRY_TYPE_NONE};
    struct nx_fail ignored;
    struct qry_eval ev = {
        .query = query, .source = source, .params = params, .fail = fail ? fail : &ignored};
    enum nx_err err;

    nx_arena_init(&result.arena, params->limits.max_memory_bytes);
    qry_annotations_init(&ev.notes);
    ev.names = qry_pool_new(&ev);
    err = ev.names ? evaluate(&ev, &result) : qry_no_memory(&ev);
    if (err == NX_OK && qry_annotations_render(&ev.notes, qry_query_text(query), &result.arena,
                                               &result.annotations, &result.annotation_count))
        err = result_memory(&ev, &result);
    take_counts(&ev, &result);
    qry_annotations_release(&ev.notes);
    qry_pool_free(&ev, ev.names);
    if (err) {
        nx_arena_release(&result.arena);
        return err;
    }
    *out = result;
    return NX_OK;
}

void qry_result_release(struct qry_result *result)
{
    nx_arena_release(&result->arena);
    memset(result, 0, sizeof *result);
}
