/* Subqueries: the inner expression is evaluated once, on the multiples of the step that any outer
 * step can see (reference 5.5); windows then slide over its rows. */
#include "querier/promql/eval_range.h"

bool qry_subquery_scope(const struct qry_scope *scope, const struct qry_subquery *subquery,
                        struct qry_scope *out)
{
    const struct qry_eval *ev = scope->ev;
    int64_t step = subquery->step_ms > 0 ? subquery->step_ms : ev->params->limits.default_step_ms;
    int64_t first = qry_reference_time(ev, &subquery->mod, scope->start);
    int64_t last = qry_reference_time(ev, &subquery->mod, qry_last_time(scope));
    int64_t open = qry_time_sub(first, subquery->range_ms);

    if (step <= 0)
        step = 60000;
    int64_t start = step * (open / step);
    if (start <= open)
        start = qry_time_add(start, step);
    *out = *scope;
    out->func = "";
    out->is_result = false;
    out->pinned = scope->pinned || subquery->mod.at != QRY_AT_NONE;
    out->seen_later_ms = qry_time_add(scope->seen_later_ms, subquery->mod.offset_ms);
    out->stats = false;
    out->start = start;
    out->end = last;
    out->step = step;
    if (start > last)
        return false;
    out->steps = (size_t)(((uint64_t)last - (uint64_t)start) / (uint64_t)step) + 1;
    return true;
}

enum nx_err qry_subquery_open(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_ranges *out)
{
    struct qry_subquery *subquery = &expr->subquery;
    struct qry_ranges ranges = {
        .scope = scope,
        .expr = expr,
        .mod = &subquery->mod,
        .range_ms = subquery->range_ms,
    };
    enum nx_err err;

    if (qry_subquery_scope(scope, subquery, &ranges.inner_scope)) {
        scope->ev->counts.muted += !scope->is_result;
        err = qry_eval_expr(&ranges.inner_scope, subquery->expr, &ranges.inner);
        scope->ev->counts.muted -= !scope->is_result;
    } else {
        ranges.inner_scope.steps = 0;
        err = qry_matrix_init(&ranges.inner, scope->ev, 0);
    }
    if (err)
        return err;
    ranges.count = ranges.inner.count;
    *out = ranges;
    return NX_OK;
}
