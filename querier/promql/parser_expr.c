/* Expressions: precedence climbing, operands, calls and aggregations. */
#include "querier/promql/parser_internal.h"

#include "common/base/quote.h"

struct qry_expr *qry_new_expr(struct qry_parser *p, enum qry_node_kind kind, enum qry_type type,
                              struct qry_pos pos, uint32_t below)
{
    if (below >= QRY_MAX_DEPTH) {
        qry_parse_error(p, pos.start, "expression is too deep, the limit is %d levels",
                        QRY_MAX_DEPTH);
        return NULL;
    }
    struct qry_expr *expr = qry_parse_alloc(p, sizeof *expr);
    if (!expr)
        return NULL;
    expr->kind = kind;
    expr->type = type;
    expr->pos = pos;
    expr->depth = (uint16_t)(below + 1);
    return expr;
}

static struct qry_pos token_pos(const struct qry_token *token)
{
    return (struct qry_pos){token->pos, qry_token_end(token)};
}

/* --- calls ------------------------------------------------------------------------------------ */

struct arguments {
    struct qry_expr **items;
    size_t count;
    uint32_t depth; /* of the deepest */
};

bool qry_starts_expr(enum qry_token_type type)
{
    return qry_is_metric_word(type) || type == QRY_TOK_NUMBER || type == QRY_TOK_DURATION ||
           type == QRY_TOK_STRING || type == QRY_TOK_LEFT_PAREN || type == QRY_TOK_LEFT_BRACE ||
           type == QRY_TOK_ADD || type == QRY_TOK_SUB;
}

/* ( [expr, ...] ) */
static bool parse_arguments(struct qry_parser *p, struct arguments *args)
{
    size_t capacity = 0;

    if (!qry_expect(p, QRY_TOK_LEFT_PAREN))
        return false;
    if (qry_accept(p, QRY_TOK_RIGHT_PAREN))
        return true;
    for (;;) {
        struct qry_expr *arg = qry_parse_expr(p, QRY_PRECEDENCE_LOWEST);
        if (!arg)
            return false;
        if (!nx_arena_grow(p->arena, &args->items, args->count, &capacity, args->count + 1,
                           sizeof *args->items)) {
            qry_parse_nomem(p);
            return false;
        }
        args->items[args->count++] = arg;
        if (arg->depth > args->depth)
            args->depth = arg->depth;
        if (qry_peek(p) != QRY_TOK_COMMA)
            return qry_expect(p, QRY_TOK_RIGHT_PAREN);
        struct qry_token comma = qry_take(p);
        if (!qry_starts_expr(qry_peek(p))) {
            qry_parse_error(p, comma.pos, "trailing commas not allowed in function call args");
            return false;
        }
    }
}

static struct qry_expr *parse_call(struct qry_parser *p, const struct qry_token *name)
{
    struct arguments args = {0};
    if (!parse_arguments(p, &args))
        return NULL;

    char quoted[400];
    const struct qry_function *function = qry_function_find(name->text);
    if (!function) {
        qry_parse_error(p, name->pos, "unknown function with name %s",
                        nx_quote_into(name->text, quoted, sizeof quoted));
        return NULL;
    }
    if (function->experimental && !p->features->experimental_functions) {
        qry_parse_error(p, name->pos, "function %s is not enabled",
                        nx_quote_into(name->text, quoted, sizeof quoted));
        return NULL;
    }
    struct qry_pos pos = {name->pos, p->last_closing};
    struct qry_expr *expr = qry_new_expr(p, QRY_NODE_CALL, function->result, pos, args.depth);
    if (!expr)
        return NULL;
    expr->call.function = function;
    expr->call.args = args.items;
    expr->call.arg_count = args.count;
    return expr;
}

/* --- aggregations ----------------------------------------------------------------------------- */

static bool takes_parameter(enum qry_agg agg)
{
    return agg == QRY_AGG_TOPK || agg == QRY_AGG_BOTTOMK || agg == QRY_AGG_COUNT_VALUES ||
           agg == QRY_AGG_QUANTILE || agg == QRY_AGG_LIMITK || agg == QRY_AGG_LIMIT_RATIO;
}

static struct qry_expr *new_aggregate(struct qry_parser *p, struct qry_pos pos, enum qry_agg agg,
                                      const struct arguments *args)
{
    if (args->count == 0) {
        qry_parse_error(p, pos.start, "no arguments for aggregate expression provided");
        return NULL;
    }
    bool experimental = agg == QRY_AGG_LIMITK || agg == QRY_AGG_LIMIT_RATIO;
    if (experimental && !p->features->experimental_functions) {
        qry_parse_error(p, pos.start,
                        "%s() is experimental and must be enabled with "
                        "--enable-feature=promql-experimental-functions",
                        qry_agg_text(agg));
        return NULL;
    }
    size_t wanted = takes_parameter(agg) ? 2 : 1;
    if (args->count != wanted) {
        qry_parse_error(p, pos.start,
                        "wrong number of arguments for aggregate expression provided, "
                        "expected %zu, got %zu",
                        wanted, args->count);
        return NULL;
    }
    struct qry_expr *expr = qry_new_expr(p, QRY_NODE_AGGREGATE, QRY_TYPE_VECTOR, pos, args->depth);
    if (!expr)
        return NULL;
    expr->aggregate.agg = agg;
    expr->aggregate.param = wanted == 2 ? args->items[0] : NULL;
    expr->aggregate.expr = args->items[wanted - 1];
    return expr;
}

/* by (...) or without (...), where one of them stands. */
static bool parse_aggregate_modifier(struct qry_parser *p, struct qry_aggregate *aggregate)
{
    enum qry_token_type type = qry_peek(p);
    if (type != QRY_TOK_BY && type != QRY_TOK_WITHOUT)
        return true;
    (void)qry_take(p);
    aggregate->grouping_written = true;
    aggregate->without = type == QRY_TOK_WITHOUT;
    return qry_parse_grouping(p, &aggregate->grouping, &aggregate->grouping_count);
}

static struct qry_expr *parse_aggregate(struct qry_parser *p, const struct qry_token *op)
{
    enum qry_agg agg = (enum qry_agg)((int)op->type - QRY_TOK_SUM);
    struct qry_aggregate modifier = {0};
    struct arguments args = {0};
    struct qry_context outer = qry_enter(p, "aggregation", "");

    bool ok = parse_aggregate_modifier(p, &modifier) && parse_arguments(p, &args) &&
              (modifier.grouping_written || parse_aggregate_modifier(p, &modifier));
    qry_leave(p, outer);
    if (!ok || p->err != NX_OK)
        return NULL;

    struct qry_expr *expr =
        new_aggregate(p, (struct qry_pos){op->pos, p->last_closing}, agg, &args);
    if (!expr)
        return NULL;
    expr->aggregate.without = modifier.without;
    expr->aggregate.grouping_written = modifier.grouping_written;
    expr->aggregate.grouping = modifier.grouping;
    expr->aggregate.grouping_count = modifier.grouping_count;
    return expr;
}

/* --- operands --------------------------------------------------------------------------------- */

static struct qry_expr *parse_literal(struct qry_parser *p)
{
    struct qry_token token = qry_take(p);
    bool string = token.type == QRY_TOK_STRING;
    struct qry_expr *expr =
        qry_new_expr(p, string ? QRY_NODE_STRING : QRY_NODE_NUMBER,
                     string ? QRY_TYPE_STRING : QRY_TYPE_SCALAR, token_pos(&token), 0);
    if (!expr)
        return NULL;
    if (string)
        return qry_string_value(p, &token, &expr->string) ? expr : NULL;
    expr->number.is_duration = token.type == QRY_TOK_DURATION;
    return qry_number_value(p, &token, &expr->number.value) ? expr : NULL;
}

static struct qry_expr *parse_paren(struct qry_parser *p)
{
    struct qry_token open = qry_take(p);
    struct qry_expr *inner = qry_parse_expr(p, QRY_PRECEDENCE_LOWEST);
    if (!inner || !qry_expect(p, QRY_TOK_RIGHT_PAREN))
        return NULL;
    struct qry_pos pos = {open.pos, p->last_closing};
    struct qry_expr *expr = qry_new_expr(p, QRY_NODE_PAREN, inner->type, pos, inner->depth);
    if (expr)
        expr->paren = inner;
    return expr;
}

/* A name: of a function, an aggregation or a metric, depending on what follows. */
static struct qry_expr *parse_word(struct qry_parser *p)
{
    struct qry_token name = qry_take(p);
    enum qry_token_type next = qry_peek(p);
    enum qry_token_class class = qry_token_class(name.type);
    bool paren = next == QRY_TOK_LEFT_PAREN;

    if (class == QRY_TOKEN_AGGREGATOR && (paren || next == QRY_TOK_BY || next == QRY_TOK_WITHOUT))
        return parse_aggregate(p, &name);
    if (paren && (name.type == QRY_TOK_IDENTIFIER || class == QRY_TOKEN_PREPROCESSOR))
        return parse_call(p, &name);
    return qry_parse_vector_selector(p, &name);
}

static struct qry_expr *parse_operand(struct qry_parser *p)
{
    enum qry_token_type type = qry_peek(p);

    if (type == QRY_TOK_NUMBER || type == QRY_TOK_DURATION || type == QRY_TOK_STRING)
        return parse_literal(p);
    if (type == QRY_TOK_LEFT_PAREN)
        return parse_paren(p);
    if (type == QRY_TOK_LEFT_BRACE)
        return qry_parse_vector_selector(p, NULL);
    if (qry_is_metric_word(type))
        return parse_word(p);
    qry_unexpected(p);
    return NULL;
}

/* A sign binds like a multiplication: -2^2 is -(2^2), -2*3 is (-2)*3. On a literal it becomes part
 * of it. */
static struct qry_expr *parse_signed(struct qry_parser *p)
{
    struct qry_token sign = qry_take(p);
    bool minus = sign.type == QRY_TOK_SUB;
    struct qry_expr *operand = qry_parse_expr(p, QRY_PRECEDENCE_POWER);
    if (!operand)
        return NULL;
    if (operand->kind == QRY_NODE_NUMBER) {
        if (minus)
            operand->number.value = -operand->number.value;
        operand->pos.start = sign.pos;
        return operand;
    }
    struct qry_pos pos = {sign.pos, operand->pos.end};
    struct qry_expr *expr = qry_new_expr(p, QRY_NODE_UNARY, operand->type, pos, operand->depth);
    if (!expr)
        return NULL;
    expr->unary.minus = minus;
    expr->unary.expr = operand;
    return expr;
}

static struct qry_expr *parse_unary(struct qry_parser *p)
{
    if (qry_peek(p) == QRY_TOK_ADD || qry_peek(p) == QRY_TOK_SUB)
        return parse_signed(p);
    struct qry_expr *operand = parse_operand(p);
    return operand ? qry_parse_postfix(p, operand) : NULL;
}

/* --- binary expressions ----------------------------------------------------------------------- */

/* Tells the operand next to an arithmetic operator: in print, it must not run into an offset's
 * expression. */
static void mark_operand(struct qry_expr *lhs, enum qry_op op)
{
    if (op > QRY_OP_POW)
        return;
    while (lhs->kind == QRY_NODE_BINARY || lhs->kind == QRY_NODE_UNARY)
        lhs = lhs->kind == QRY_NODE_BINARY ? lhs->binary.rhs : lhs->unary.expr;
    if (lhs->kind == QRY_NODE_SELECTOR)
        lhs->selector.mod.operator_follows = true;
    else if (lhs->kind == QRY_NODE_SUBQUERY)
        lhs->subquery.mod.operator_follows = true;
}

static struct qry_expr *parse_binary(struct qry_parser *p, struct qry_expr *lhs, enum qry_op op,
                                     int precedence)
{
    struct qry_binary binary = {.op = op, .lhs = lhs};

    mark_operand(lhs, op);
    (void)qry_take(p);
    if (!qry_parse_binary_modifiers(p, &binary))
        return NULL;
    binary.rhs =
        qry_parse_expr(p, precedence == QRY_PRECEDENCE_POWER ? precedence : precedence + 1);
    if (!binary.rhs)
        return NULL;

    bool fill = binary.matching->has_fill_lhs || binary.matching->has_fill_rhs;
    if (fill && !p->features->binop_fill_modifiers) {
        qry_parse_error(p, lhs->pos.start, "binop fill modifiers are experimental and not enabled");
        return NULL;
    }
    bool scalars = lhs->type == QRY_TYPE_SCALAR && binary.rhs->type == QRY_TYPE_SCALAR;
    struct qry_pos pos = {lhs->pos.start, binary.rhs->pos.end};
    uint32_t below = lhs->depth > binary.rhs->depth ? lhs->depth : binary.rhs->depth;
    struct qry_expr *expr =
        qry_new_expr(p, QRY_NODE_BINARY, scalars ? QRY_TYPE_SCALAR : QRY_TYPE_VECTOR, pos, below);
    if (expr)
        expr->binary = binary;
    return expr;
}

struct qry_expr *qry_parse_expr(struct qry_parser *p, int min_precedence)
{
    if (++p->nesting > QRY_MAX_NESTING) {
        (void)qry_peek(p);
        qry_parse_error(p, p->token.pos, "expression is nested too deeply, the limit is %d levels",
                        QRY_MAX_NESTING);
        return NULL;
    }
    struct qry_expr *expr = parse_unary(p);
    while (expr) {
        enum qry_op op;
        int precedence = qry_binary_precedence(qry_peek(p), &op);
        if (precedence == 0 || precedence < min_precedence)
            break;
        expr = parse_binary(p, expr, op, precedence);
    }
    p->nesting--;
    return p->err == NX_OK ? expr : NULL;
}
