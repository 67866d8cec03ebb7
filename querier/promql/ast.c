/* Names of the tree's parts, and walking it. */
#include "querier/promql/ast.h"

#include "querier/promql/parser_internal.h"

const char *qry_type_text(enum qry_type type)
{
    switch (type) {
    case QRY_TYPE_SCALAR:
        return "scalar";
    case QRY_TYPE_VECTOR:
        return "instant vector";
    case QRY_TYPE_MATRIX:
        return "range vector";
    case QRY_TYPE_STRING:
        return "string";
    case QRY_TYPE_NONE:
        break;
    }
    return "none";
}

const char *qry_type_short(enum qry_type type)
{
    switch (type) {
    case QRY_TYPE_VECTOR:
        return "vector";
    case QRY_TYPE_MATRIX:
        return "matrix";
    case QRY_TYPE_NONE:
    case QRY_TYPE_SCALAR:
    case QRY_TYPE_STRING:
        break;
    }
    return qry_type_text(type);
}

const char *qry_op_text(enum qry_op op)
{
    static const char *const texts[] = {
        [QRY_OP_ADD] = "+",       [QRY_OP_SUB] = "-",         [QRY_OP_MUL] = "*",
        [QRY_OP_DIV] = "/",       [QRY_OP_MOD] = "%",         [QRY_OP_POW] = "^",
        [QRY_OP_ATAN2] = "atan2", [QRY_OP_EQ] = "==",         [QRY_OP_NE] = "!=",
        [QRY_OP_LT] = "<",        [QRY_OP_LE] = "<=",         [QRY_OP_GT] = ">",
        [QRY_OP_GE] = ">=",       [QRY_OP_TRIM_UPPER] = "</", [QRY_OP_TRIM_LOWER] = ">/",
        [QRY_OP_AND] = "and",     [QRY_OP_OR] = "or",         [QRY_OP_UNLESS] = "unless",
    };
    return texts[op];
}

const char *qry_agg_text(enum qry_agg agg)
{
    return qry_token_text((enum qry_token_type)(QRY_TOK_SUM + (int)agg));
}

const char *qry_card_text(enum qry_card card)
{
    static const char *const texts[] = {
        [QRY_CARD_ONE_TO_ONE] = "one-to-one",
        [QRY_CARD_MANY_TO_ONE] = "many-to-one",
        [QRY_CARD_ONE_TO_MANY] = "one-to-many",
        [QRY_CARD_MANY_TO_MANY] = "many-to-many",
    };
    return texts[card];
}

struct qry_expr *qry_query_expr(struct qry_query *query)
{
    return query->expr;
}

struct nx_view qry_query_text(const struct qry_query *query)
{
    return query->text;
}

struct nx_arena *qry_query_arena(struct qry_query *query)
{
    return &query->arena;
}

void qry_position(struct nx_view text, uint32_t offset, uint32_t *line, uint32_t *col)
{
    *line = 1;
    *col = 1;
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.ptr[i] == '\n') {
            ++*line;
            *col = 1;
        } else {
            ++*col;
        }
    }
}

bool qry_walk(struct qry_expr *expr, bool (*visit)(struct qry_expr *expr, void *user), void *user)
{
    if (!visit(expr, user))
        return false;
    switch (expr->kind) {
    case QRY_NODE_NUMBER:
    case QRY_NODE_STRING:
    case QRY_NODE_SELECTOR:
        return true;
    case QRY_NODE_SUBQUERY:
        return qry_walk(expr->subquery.expr, visit, user);
    case QRY_NODE_CALL:
        for (size_t i = 0; i < expr->call.arg_count; i++) {
            if (!qry_walk(expr->call.args[i], visit, user))
                return false;
        }
        return true;
    case QRY_NODE_BINARY:
        return qry_walk(expr->binary.lhs, visit, user) && qry_walk(expr->binary.rhs, visit, user);
    case QRY_NODE_UNARY:
        return qry_walk(expr->unary.expr, visit, user);
    case QRY_NODE_PAREN:
        return qry_walk(expr->paren, visit, user);
    case QRY_NODE_AGGREGATE:
        return qry_walk(expr->aggregate.expr, visit, user) &&
               (!expr->aggregate.param || qry_walk(expr->aggregate.param, visit, user));
    }
    return true;
}
