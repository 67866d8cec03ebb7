/* The selects of a query, found by walking the tree with the grids the evaluation will use. */
#include "querier/promql/functions.h"

struct planner {
    struct qry_query *query;
    struct qry_select *selects;
    size_t count, capacity;
};

static enum nx_err add(struct planner *planner, struct qry_select select)
{
    struct nx_arena *arena = qry_query_arena(planner->query);
    if (!nx_arena_grow(arena, &planner->selects, planner->count, &planner->capacity,
                       planner->count + 1, sizeof *planner->selects))
        return NX_ERR_NOMEM;
    planner->selects[planner->count++] = select;
    return NX_OK;
}

static enum nx_err plan(struct planner *planner, const struct qry_scope *scope,
                        struct qry_expr *expr);

static enum nx_err plan_call(struct planner *planner, const struct qry_scope *scope,
                             struct qry_expr *expr)
{
    struct qry_scope inner = *scope;
    struct qry_call *call = &expr->call;
    bool info = call->function->id == QRY_FN_INFO;
    enum nx_err err = NX_OK;

    inner.func = call->function->name;
    for (size_t i = 0; i < call->arg_count && err == NX_OK; i++) {
        if (!info || i == 0)
            err = plan(planner, &inner, call->args[i]);
    }
    if (info && err == NX_OK) {
        struct qry_expr selector;
        size_t names;
        err = qry_info_selector(qry_query_arena(planner->query), planner->query, expr, &selector,
                                &names);
        if (err == NX_OK)
            err = add(planner, qry_instant_select(&inner, &selector.selector));
    }
    return err;
}

static enum nx_err plan_subquery(struct planner *planner, const struct qry_scope *scope,
                                 struct qry_expr *expr)
{
    struct qry_scope inner;
    if (!qry_subquery_scope(scope, &expr->subquery, &inner))
        return NX_OK;
    return plan(planner, &inner, expr->subquery.expr);
}

static enum nx_err plan(struct planner *planner, const struct qry_scope *scope,
                        struct qry_expr *expr)
{
    struct qry_scope inner = *scope;
    enum nx_err err;

    switch (expr->kind) {
    case QRY_NODE_NUMBER:
    case QRY_NODE_STRING:
        return NX_OK;
    case QRY_NODE_SELECTOR:
        return add(planner, expr->selector.range ? qry_range_select(scope, &expr->selector)
                                                 : qry_instant_select(scope, &expr->selector));
    case QRY_NODE_SUBQUERY:
        return plan_subquery(planner, scope, expr);
    case QRY_NODE_CALL:
        return plan_call(planner, scope, expr);
    case QRY_NODE_BINARY:
        inner.func = "";
        err = plan(planner, &inner, expr->binary.lhs);
        return err ? err : plan(planner, &inner, expr->binary.rhs);
    case QRY_NODE_UNARY:
        return plan(planner, scope, expr->unary.expr);
    case QRY_NODE_PAREN:
        return plan(planner, scope, expr->paren);
    case QRY_NODE_AGGREGATE:
        inner.func = qry_agg_text(expr->aggregate.agg);
        err = expr->aggregate.param ? plan(planner, &inner, expr->aggregate.param) : NX_OK;
        return err ? err : plan(planner, &inner, expr->aggregate.expr);
    }
    return NX_OK;
}

enum nx_err qry_plan(struct qry_query *query, const struct qry_eval_params *params,
                     struct qry_select **selects, size_t *count, struct nx_fail *fail)
{
    struct planner planner = {.query = query};
    struct qry_eval ev = {.query = query, .params = params, .fail = fail};
    struct qry_scope scope;
    enum nx_err err = qry_scope_init(&ev, &scope);
    if (err)
        return err;
    if ((err = plan(&planner, &scope, qry_query_expr(query))))
        return nx_fail_set(fail, err, "out of memory in planning the query");
    *selects = planner.selects;
    *count = planner.count;
    return NX_OK;
}
