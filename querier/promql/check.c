/* The checks over a finished tree: types, counts of arguments, matching. They run in the order of
 * Prometheus's checker, since only the first failure is told. */
#include "querier/promql/parser_internal.h"

#include "common/base/quote.h"

/* --- binary expressions ----------------------------------------------------------------------- */

/* Where the operator stands: behind the left operand and the blanks that follow it. */
static uint32_t operator_offset(const struct qry_parser *p, const struct qry_binary *binary)
{
    struct nx_view text = p->lexer.text;
    uint32_t offset = binary->lhs->pos.end;
    while (offset < text.len && qry_is_space(text.ptr[offset]))
        offset++;
    return offset;
}

static bool check_operator(struct qry_parser *p, const struct qry_expr *expr)
{
    const struct qry_binary *binary = &expr->binary;
    bool comparison = qry_op_is_comparison(binary->op);

    if (binary->return_bool && !comparison) {
        qry_parse_error(p, operator_offset(p, binary),
                        "bool modifier can only be used on comparison operators");
        return false;
    }
    if (comparison && !binary->return_bool && expr->type == QRY_TYPE_SCALAR) {
        qry_parse_error(p, operator_offset(p, binary),
                        "comparisons between scalars must use BOOL modifier");
        return false;
    }
    return true;
}

static bool check_group_labels(struct qry_parser *p, const struct qry_binary *binary)
{
    const struct qry_matching *matching = binary->matching;

    for (size_t i = 0; matching->on && i < matching->label_count; i++) {
        for (size_t n = 0; n < matching->include_count; n++) {
            if (!nx_view_eq(matching->labels[i], matching->include[n]))
                continue;
            char quoted[400];
            qry_parse_error(p, operator_offset(p, binary),
                            "label %s must not occur in ON and GROUP clause at once",
                            nx_quote_into(matching->labels[i], quoted, sizeof quoted));
            return false;
        }
    }
    return true;
}

static bool is_operand(enum qry_type type)
{
    return type == QRY_TYPE_SCALAR || type == QRY_TYPE_VECTOR;
}

static bool check_operands(struct qry_parser *p, const struct qry_binary *binary)
{
    const struct qry_expr *bad = !is_operand(binary->lhs->type)   ? binary->lhs
                                 : !is_operand(binary->rhs->type) ? binary->rhs
                                                                  : NULL;
    if (bad)
        qry_parse_error(p, bad->pos.start,
                        "binary expression must contain only scalar and instant vector types");
    return !bad;
}

/* Matching needs two vectors; where there are none, an empty one is dropped. */
static bool check_matching(struct qry_parser *p, struct qry_expr *expr)
{
    struct qry_binary *binary = &expr->binary;
    const struct qry_matching *matching = binary->matching;
    bool vectors = binary->lhs->type == QRY_TYPE_VECTOR && binary->rhs->type == QRY_TYPE_VECTOR;
    bool fill = matching->has_fill_lhs || matching->has_fill_rhs;
    const char *text = NULL;

    if (!vectors) {
        if (matching->label_count > 0)
            text = "vector matching only allowed between instant vectors";
        else if (fill)
            text = "filling in missing series only allowed between instant vectors";
        binary->matching = NULL;
    } else if (qry_op_is_set(binary->op)) {
        if (matching->card != QRY_CARD_MANY_TO_MANY) {
            qry_parse_error(p, expr->pos.start, "no grouping allowed for \"%s\" operation",
                            qry_op_text(binary->op));
            return false;
        }
        if (fill)
            text = "filling in missing series not allowed for set operators";
    }
    if (text)
        qry_parse_error(p, expr->pos.start, "%s", text);
    return !text;
}

static bool check_binary(struct qry_parser *p, struct qry_expr *expr)
{
    struct qry_binary *binary = &expr->binary;

    if (!qry_check(p, binary->lhs) || !qry_check(p, binary->rhs) || !check_operator(p, expr))
        return false;
    if (qry_op_is_set(binary->op) && binary->matching->card == QRY_CARD_ONE_TO_ONE)
        binary->matching->card = QRY_CARD_MANY_TO_MANY;
    if (!check_group_labels(p, binary) || !check_operands(p, binary) || !check_matching(p, expr))
        return false;
    bool scalar = binary->lhs->type == QRY_TYPE_SCALAR || binary->rhs->type == QRY_TYPE_SCALAR;
    if (scalar && qry_op_is_set(binary->op)) {
        qry_parse_error(p, expr->pos.start,
                        "set operator \"%s\" not allowed in binary scalar expression",
                        qry_op_text(binary->op));
        return false;
    }
    return true;
}

/* --- calls ------------------------------------------------------------------------------------ */

static bool check_arity(struct qry_parser *p, const struct qry_expr *expr)
{
    const struct qry_function *function = expr->call.function;
    size_t got = expr->call.arg_count;
    size_t listed = function->arg_count;
    const char *bound = "";

    if (function->variadic == 0) {
        if (got == listed)
            return true;
    } else {
        size_t most = listed - 1 + (size_t)(function->variadic > 0 ? function->variadic : 0);
        if (got < listed - 1) {
            bound = "at least ";
            listed = listed - 1;
        } else if (function->variadic > 0 && got > most) {
            bound = "at most ";
            listed = most;
        } else {
            return true;
        }
    }
    qry_parse_error(p, expr->pos.start, "expected %s%zu argument(s) in call to \"%s\", got %zu",
                    bound, listed, function->name, got);
    return false;
}

/* The second argument of info() is a selector without a name, and may match everything. */
static bool check_info(struct qry_parser *p, const struct qry_expr *expr)
{
    struct qry_expr *selector = expr->call.args[1];

    if (selector->type != QRY_TYPE_VECTOR) {
        qry_parse_error(p, expr->pos.start,
                        "expected type instant vector in call to function \"info\", got %s",
                        qry_type_text(selector->type));
        return false;
    }
    if (selector->kind != QRY_NODE_SELECTOR) {
        qry_parse_error(p, selector->pos.start, "expected label selectors only");
        return false;
    }
    if (selector->selector.name.len > 0) {
        qry_parse_error(p, selector->pos.start,
                        "expected label selectors only, got vector selector instead");
        return false;
    }
    selector->selector.allow_empty = true;
    return true;
}

static bool check_call(struct qry_parser *p, const struct qry_expr *expr)
{
    const struct qry_function *function = expr->call.function;

    if (!check_arity(p, expr))
        return false;
    if (function->id == QRY_FN_INFO && expr->call.arg_count > 1 && !check_info(p, expr))
        return false;
    for (size_t i = 0; i < expr->call.arg_count; i++) {
        struct qry_expr *arg = expr->call.args[i];
        enum qry_type want = function->args[i < function->arg_count ? i : function->arg_count - 1];
        if (!qry_check(p, arg))
            return false;
        if (arg->type != want) {
            qry_parse_error(p, arg->pos.start,
                            "expected type %s in call to function \"%s\", got %s",
                            qry_type_text(want), function->name, qry_type_text(arg->type));
            return false;
        }
    }
    return true;
}

/* --- the rest --------------------------------------------------------------------------------- */

static bool expect_type(struct qry_parser *p, struct qry_expr *expr, enum qry_type want,
                        const char *where)
{
    if (!qry_check(p, expr))
        return false;
    if (expr->type == want)
        return true;
    qry_parse_error(p, expr->pos.start, "expected type %s in %s, got %s", qry_type_text(want),
                    where, qry_type_text(expr->type));
    return false;
}

static bool check_aggregate(struct qry_parser *p, struct qry_aggregate *aggregate)
{
    enum qry_type param =
        aggregate->agg == QRY_AGG_COUNT_VALUES ? QRY_TYPE_STRING : QRY_TYPE_SCALAR;

    return expect_type(p, aggregate->expr, QRY_TYPE_VECTOR, "aggregation expression") &&
           (!aggregate->param || expect_type(p, aggregate->param, param, "aggregation parameter"));
}

static bool check_unary(struct qry_parser *p, const struct qry_expr *expr)
{
    if (!qry_check(p, expr->unary.expr))
        return false;
    if (is_operand(expr->unary.expr->type))
        return true;
    qry_parse_error(p, expr->pos.start,
                    "unary expression only allowed on expressions of type scalar or instant "
                    "vector, got \"%s\"",
                    qry_type_text(expr->unary.expr->type));
    return false;
}

static bool check_subquery(struct qry_parser *p, const struct qry_expr *expr)
{
    if (!qry_check(p, expr->subquery.expr))
        return false;
    if (expr->subquery.expr->type == QRY_TYPE_VECTOR)
        return true;
    qry_parse_error(p, expr->pos.start,
                    "subquery is only allowed on instant vector, got %s instead",
                    qry_type_short(expr->subquery.expr->type));
    return false;
}

static bool check_selector(struct qry_parser *p, const struct qry_expr *expr)
{
    const struct qry_selector *selector = &expr->selector;
    size_t written = selector->matcher_count - (selector->name.len > 0 ? 1 : 0);

    for (size_t i = 0; selector->name.len > 0 && i < written; i++) {
        if (!nx_view_eq(selector->matchers[i].name, NX_LABEL_METRIC_NAME))
            continue;
        char first[200];
        char second[200];
        qry_parse_error(p, expr->pos.start, "metric name must not be set twice: %s or %s",
                        nx_quote_into(selector->name, first, sizeof first),
                        nx_quote_into(selector->matchers[i].value, second, sizeof second));
        return false;
    }
    if (selector->name.len > 0 || selector->allow_empty)
        return true;
    for (size_t i = 0; i < written; i++) {
        if (!nx_matcher_matches_empty(&selector->matchers[i]))
            return true;
    }
    qry_parse_error(p, expr->pos.start,
                    "vector selector must contain at least one non-empty matcher");
    return false;
}

bool qry_check(struct qry_parser *p, struct qry_expr *expr)
{
    switch (expr->kind) {
    case QRY_NODE_NUMBER:
    case QRY_NODE_STRING:
        return true;
    case QRY_NODE_SELECTOR:
        return check_selector(p, expr);
    case QRY_NODE_SUBQUERY:
        return check_subquery(p, expr);
    case QRY_NODE_CALL:
        return check_call(p, expr);
    case QRY_NODE_BINARY:
        return check_binary(p, expr);
    case QRY_NODE_UNARY:
        return check_unary(p, expr);
    case QRY_NODE_PAREN:
        return qry_check(p, expr->paren);
    case QRY_NODE_AGGREGATE:
        return check_aggregate(p, &expr->aggregate);
    }
    return false;
}
