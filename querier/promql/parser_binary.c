/* Binary operators: precedence, and what may stand between the operator and its right operand. */
#include "querier/promql/parser_internal.h"

int qry_binary_precedence(enum qry_token_type type, enum qry_op *op)
{
    static const struct {
        enum qry_token_type type;
        enum qry_op op;
        int precedence;
    } operators[] = {
        {QRY_TOK_LOR, QRY_OP_OR, 1},
        {QRY_TOK_LAND, QRY_OP_AND, 2},
        {QRY_TOK_LUNLESS, QRY_OP_UNLESS, 2},
        {QRY_TOK_EQLC, QRY_OP_EQ, 3},
        {QRY_TOK_NEQ, QRY_OP_NE, 3},
        {QRY_TOK_LTE, QRY_OP_LE, 3},
        {QRY_TOK_LSS, QRY_OP_LT, 3},
        {QRY_TOK_GTE, QRY_OP_GE, 3},
        {QRY_TOK_GTR, QRY_OP_GT, 3},
        {QRY_TOK_TRIM_UPPER, QRY_OP_TRIM_UPPER, 3},
        {QRY_TOK_TRIM_LOWER, QRY_OP_TRIM_LOWER, 3},
        {QRY_TOK_ADD, QRY_OP_ADD, 4},
        {QRY_TOK_SUB, QRY_OP_SUB, 4},
        {QRY_TOK_MUL, QRY_OP_MUL, 5},
        {QRY_TOK_DIV, QRY_OP_DIV, 5},
        {QRY_TOK_MOD, QRY_OP_MOD, 5},
        {QRY_TOK_ATAN2, QRY_OP_ATAN2, 5},
        {QRY_TOK_POW, QRY_OP_POW, QRY_PRECEDENCE_POWER},
    };
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        if (operators[i].type == type) {
            *op = operators[i].op;
            return operators[i].precedence;
        }
    }
    return 0;
}

/* on(...), ignoring(...), and behind either group_left or group_right. */
static bool parse_matching(struct qry_parser *p, struct qry_binary *binary)
{
    struct qry_matching *matching = binary->matching;
    enum qry_token_type type = qry_peek(p);

    if (type != QRY_TOK_ON && type != QRY_TOK_IGNORING)
        return true;
    (void)qry_take(p);
    binary->matching_written = true;
    matching->on = type == QRY_TOK_ON;
    if (!qry_parse_grouping(p, &matching->labels, &matching->label_count))
        return false;

    type = qry_peek(p);
    if (type != QRY_TOK_GROUP_LEFT && type != QRY_TOK_GROUP_RIGHT)
        return true;
    (void)qry_take(p);
    matching->card = type == QRY_TOK_GROUP_LEFT ? QRY_CARD_MANY_TO_ONE : QRY_CARD_ONE_TO_MANY;
    type = qry_peek(p);
    if (type != QRY_TOK_LEFT_PAREN && qry_starts_expr(type))
        return true;
    return qry_parse_grouping(p, &matching->include, &matching->include_count);
}

static bool parse_fill_value(struct qry_parser *p, double *out)
{
    return qry_expect(p, QRY_TOK_LEFT_PAREN) && qry_parse_signed_number(p, out) &&
           qry_expect(p, QRY_TOK_RIGHT_PAREN);
}

/* fill(v), or fill_left(v) and fill_right(w) in either order, each at most once. */
static bool parse_fill(struct qry_parser *p, struct qry_matching *matching)
{
    if (qry_accept(p, QRY_TOK_FILL)) {
        if (!parse_fill_value(p, &matching->fill_lhs))
            return false;
        matching->fill_rhs = matching->fill_lhs;
        matching->has_fill_lhs = matching->has_fill_rhs = true;
        return true;
    }
    for (;;) {
        if (!matching->has_fill_lhs && qry_accept(p, QRY_TOK_FILL_LEFT)) {
            if (!parse_fill_value(p, &matching->fill_lhs))
                return false;
            matching->has_fill_lhs = true;
        } else if (!matching->has_fill_rhs && qry_accept(p, QRY_TOK_FILL_RIGHT)) {
            if (!parse_fill_value(p, &matching->fill_rhs))
                return false;
            matching->has_fill_rhs = true;
        } else {
            return true;
        }
    }
}

bool qry_parse_binary_modifiers(struct qry_parser *p, struct qry_binary *binary)
{
    binary->matching = qry_parse_alloc(p, sizeof *binary->matching);
    if (!binary->matching)
        return false;
    binary->return_bool = qry_accept(p, QRY_TOK_BOOL);
    return parse_matching(p, binary) && parse_fill(p, binary->matching);
}
