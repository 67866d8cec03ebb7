/* Which series info() looks up. */
#include "querier/promql/functions.h"
#include "querier/promql/parser_internal.h"

#define ANY_INFO ".+_info"

/* The matcher `__name__=~".+_info"`, compiled once for a query and released with it. */
static enum nx_err any_info_matcher(struct qry_query *query, struct nx_matcher *out)
{
    for (struct qry_matcher_block *block = query->blocks; block; block = block->next) {
        if (block->count == 1 && block->matchers[0].type == NX_MATCH_RE &&
            nx_view_is(block->matchers[0].value, ANY_INFO) &&
            nx_view_eq(block->matchers[0].name, NX_LABEL_METRIC_NAME)) {
            *out = block->matchers[0];
            return NX_OK;
        }
    }
    struct qry_matcher_block *block = nx_arena_alloc(&query->arena, sizeof *block);
    struct nx_matcher *matcher = nx_arena_alloc(&query->arena, sizeof *matcher);
    if (!block || !matcher)
        return NX_ERR_NOMEM;
    enum nx_err err = nx_matcher_init(matcher, &query->arena, NX_MATCH_RE, NX_LABEL_METRIC_NAME,
                                      NX_VIEW(ANY_INFO), NULL);
    if (err)
        return err;
    *block = (struct qry_matcher_block){.matchers = matcher, .count = 1, .next = query->blocks};
    query->blocks = block;
    *out = *matcher;
    return NX_OK;
}

/* The modifiers of the first selector below, those of subqueries around it added. */
static bool first_modifiers(const struct qry_expr *expr, struct qry_modifiers *mod)
{
    struct qry_modifiers outer = *mod;
    const struct qry_modifiers *own = NULL;

    if (expr->kind == QRY_NODE_SELECTOR)
        own = &expr->selector.mod;
    else if (expr->kind == QRY_NODE_SUBQUERY)
        own = &expr->subquery.mod;
    if (own && own->at != QRY_AT_NONE)
        *mod = *own;
    else if (own)
        mod->offset_ms = qry_time_add(mod->offset_ms, own->offset_ms);

    switch (expr->kind) {
    case QRY_NODE_NUMBER:
    case QRY_NODE_STRING:
        return false;
    case QRY_NODE_SELECTOR:
        return true;
    case QRY_NODE_SUBQUERY:
        if (first_modifiers(expr->subquery.expr, mod))
            return true;
        *mod = outer;
        return false;
    case QRY_NODE_PAREN:
        return first_modifiers(expr->paren, mod);
    case QRY_NODE_UNARY:
        return first_modifiers(expr->unary.expr, mod);
    case QRY_NODE_BINARY:
        return first_modifiers(expr->binary.lhs, mod) || first_modifiers(expr->binary.rhs, mod);
    case QRY_NODE_AGGREGATE:
        return first_modifiers(expr->aggregate.expr, mod) ||
               (expr->aggregate.param && first_modifiers(expr->aggregate.param, mod));
    case QRY_NODE_CALL:
        for (size_t i = 0; i < expr->call.arg_count; i++) {
            if (first_modifiers(expr->call.args[i], mod))
                return true;
        }
        return false;
    }
    return false;
}

static bool is_negative(const struct nx_matcher *matcher)
{
    return matcher->type == NX_MATCH_NE || matcher->type == NX_MATCH_NRE;
}

enum nx_err qry_info_selector(struct nx_arena *arena, struct qry_query *query,
                              const struct qry_expr *expr, struct qry_expr *out, size_t *name_count)
{
    const struct qry_expr *second =
        expr->call.arg_count > 1 ? qry_unwrap_const(expr->call.args[1]) : NULL;
    const struct nx_matcher *given = second ? second->selector.matchers : NULL;
    size_t count = second ? second->selector.matcher_count : 0;
    struct nx_matcher *matchers = nx_arena_array(arena, count + 2, sizeof *matchers);
    bool positive = false;
    size_t n = 0;

    if (!matchers)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        if (!nx_view_eq(given[i].name, NX_LABEL_METRIC_NAME))
            continue;
        matchers[n++] = given[i];
        positive = positive || !is_negative(&given[i]);
    }
    if (n == 0) {
        matchers[n++] = (struct nx_matcher){
            .type = NX_MATCH_EQ, .name = NX_LABEL_METRIC_NAME, .value = NX_VIEW("target_info")};
    } else if (!positive) {
        enum nx_err err = any_info_matcher(query, &matchers[n++]);
        if (err)
            return err;
    }
    *name_count = n;
    for (size_t i = 0; i < count; i++) {
        if (!nx_view_eq(given[i].name, NX_LABEL_METRIC_NAME))
            matchers[n++] = given[i];
    }
    *out = (struct qry_expr){.kind = QRY_NODE_SELECTOR, .type = QRY_TYPE_VECTOR, .pos = expr->pos};
    out->selector.matchers = matchers;
    out->selector.matcher_count = n;
    if (!first_modifiers(expr->call.args[0], &out->selector.mod))
        out->selector.mod = (struct qry_modifiers){0};
    return NX_OK;
}
