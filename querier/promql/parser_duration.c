/* Durations in brackets and after `offset` (reference sections 2.1, 2.2).
 *
 * In brackets the whole arithmetic may stand. After `offset` a literal or a call ends the duration,
 * signed or not, and so does a signed parenthesis: an operator behind it belongs to the outer
 * expression. Behind an unsigned parenthesis or a second sign the arithmetic goes on. That is how
 * the conflicts of Prometheus's grammar come out. */
#include "querier/promql/parser_internal.h"

#include <math.h>

#define PRECEDENCE_SUM 4
#define MAX_SECONDS 9223372036.854775808 /* 2^63 ns */

static struct qry_duration *parse_duration(struct qry_parser *p, int min_precedence);

static uint32_t depth_of(const struct qry_duration *duration)
{
    return duration ? duration->depth : 0;
}

static struct qry_duration *new_duration(struct qry_parser *p, enum qry_duration_op op,
                                         struct qry_pos pos, struct qry_duration *lhs,
                                         struct qry_duration *rhs)
{
    uint32_t below = depth_of(lhs) > depth_of(rhs) ? depth_of(lhs) : depth_of(rhs);
    if (below >= QRY_MAX_DEPTH) {
        qry_parse_error(p, pos.start, "duration expression is too deep, the limit is %d levels",
                        QRY_MAX_DEPTH);
        return NULL;
    }
    struct qry_duration *duration = qry_parse_alloc(p, sizeof *duration);
    if (duration)
        *duration = (struct qry_duration){
            .op = op, .pos = pos, .lhs = lhs, .rhs = rhs, .depth = (uint16_t)(below + 1)};
    return duration;
}

/* The feature switch; NULL where it is off. The position is that of the expression concerned. */
static struct qry_duration *if_enabled(struct qry_parser *p, struct qry_duration *duration)
{
    if (!duration || p->features->duration_expressions)
        return duration;
    qry_parse_error(p, duration->pos.start, "experimental duration expression is not enabled");
    return NULL;
}

static bool in_range(struct qry_parser *p, double seconds, uint32_t offset)
{
    if (!(fabs(seconds) > MAX_SECONDS))
        return true;
    qry_parse_error(p, offset, "duration out of range");
    return false;
}

static bool is_number(enum qry_token_type type)
{
    return type == QRY_TOK_NUMBER || type == QRY_TOK_DURATION;
}

static bool is_sign(enum qry_token_type type)
{
    return type == QRY_TOK_ADD || type == QRY_TOK_SUB;
}

static struct qry_duration *parse_literal(struct qry_parser *p)
{
    struct qry_token token = qry_take(p);
    struct qry_pos pos = {token.pos, qry_token_end(&token)};
    struct qry_duration *literal = new_duration(p, QRY_DUR_LITERAL, pos, NULL, NULL);
    if (!literal || !qry_number_value(p, &token, &literal->seconds))
        return NULL;
    literal->is_duration = token.type == QRY_TOK_DURATION;
    return literal;
}

/* step(), range() */
static struct qry_duration *parse_query_value(struct qry_parser *p)
{
    struct qry_token name = qry_take(p);
    if (!qry_expect(p, QRY_TOK_LEFT_PAREN) || !qry_expect(p, QRY_TOK_RIGHT_PAREN))
        return NULL;
    enum qry_duration_op op = name.type == QRY_TOK_STEP ? QRY_DUR_STEP : QRY_DUR_RANGE;
    struct qry_pos pos = {name.pos, p->last_closing};
    return new_duration(p, op, pos, NULL, NULL);
}

/* min_of(a, b), max_of(a, b) */
static struct qry_duration *parse_min_max(struct qry_parser *p)
{
    struct qry_token name = qry_take(p);
    if (!qry_expect(p, QRY_TOK_LEFT_PAREN))
        return NULL;
    struct qry_duration *lhs = parse_duration(p, PRECEDENCE_SUM);
    if (!lhs || !qry_expect(p, QRY_TOK_COMMA))
        return NULL;
    struct qry_duration *rhs = parse_duration(p, PRECEDENCE_SUM);
    if (!rhs || !qry_expect(p, QRY_TOK_RIGHT_PAREN))
        return NULL;
    enum qry_duration_op op = name.type == QRY_TOK_MIN_OF ? QRY_DUR_MIN_OF : QRY_DUR_MAX_OF;
    struct qry_pos pos = {lhs->pos.start, rhs->pos.end};
    return new_duration(p, op, pos, lhs, rhs);
}

/* Marks an expression as parenthesised; a literal becomes one by way of a plus sign. */
static struct qry_duration *wrap(struct qry_parser *p, struct qry_duration *inner, uint32_t start)
{
    if (inner->op == QRY_DUR_LITERAL) {
        struct qry_pos pos = {start, inner->pos.end};
        inner = new_duration(p, QRY_DUR_POS, pos, NULL, inner);
    }
    if (inner)
        inner->wrapped = true;
    return inner;
}

/* Behind a sign the position of a literal in parentheses is its own, else that of the parenthesis.
 */
static struct qry_duration *parse_parens(struct qry_parser *p, bool is_signed)
{
    struct qry_token open = qry_take(p);
    struct qry_duration *inner = parse_duration(p, PRECEDENCE_SUM);
    if (!inner || !qry_expect(p, QRY_TOK_RIGHT_PAREN) || (!is_signed && !if_enabled(p, inner)))
        return NULL;
    return wrap(p, inner, is_signed ? inner->pos.start : open.pos);
}

static bool is_call(enum qry_token_type type)
{
    return type == QRY_TOK_STEP || type == QRY_TOK_RANGE || type == QRY_TOK_MIN_OF ||
           type == QRY_TOK_MAX_OF;
}

static struct qry_duration *parse_call(struct qry_parser *p)
{
    enum qry_token_type type = qry_peek(p);
    return type == QRY_TOK_STEP || type == QRY_TOK_RANGE ? parse_query_value(p) : parse_min_max(p);
}

static struct qry_duration *parse_primary(struct qry_parser *p)
{
    enum qry_token_type type = qry_peek(p);

    if (is_number(type)) {
        struct qry_duration *literal = parse_literal(p);
        return literal && in_range(p, literal->seconds, literal->pos.start) ? literal : NULL;
    }
    if (is_call(type))
        return if_enabled(p, parse_call(p));
    if (type == QRY_TOK_LEFT_PAREN)
        return parse_parens(p, false);
    qry_unexpected(p);
    return NULL;
}

static struct qry_duration *apply_sign(struct qry_parser *p, const struct qry_token *sign,
                                       struct qry_duration *operand)
{
    bool minus = sign->type == QRY_TOK_SUB;
    if (operand->op != QRY_DUR_LITERAL) {
        struct qry_pos pos = {sign->pos, operand->pos.end};
        return minus ? new_duration(p, QRY_DUR_NEG, pos, NULL, operand) : operand;
    }
    if (minus)
        operand->seconds = -operand->seconds;
    if (!in_range(p, operand->seconds, sign->pos))
        return NULL;
    operand->pos.start = sign->pos;
    return operand;
}

static struct qry_duration *parse_unary(struct qry_parser *p)
{
    if (!is_sign(qry_peek(p)))
        return parse_primary(p);
    struct qry_token sign = qry_take(p);
    struct qry_duration *operand = parse_duration(p, QRY_PRECEDENCE_POWER);
    return operand ? apply_sign(p, &sign, operand) : NULL;
}

static int operator_of(enum qry_token_type type, enum qry_duration_op *op)
{
    switch ((int)type) {
    case QRY_TOK_ADD:
        *op = QRY_DUR_ADD;
        return PRECEDENCE_SUM;
    case QRY_TOK_SUB:
        *op = QRY_DUR_SUB;
        return PRECEDENCE_SUM;
    case QRY_TOK_MUL:
        *op = QRY_DUR_MUL;
        return PRECEDENCE_SUM + 1;
    case QRY_TOK_DIV:
        *op = QRY_DUR_DIV;
        return PRECEDENCE_SUM + 1;
    case QRY_TOK_MOD:
        *op = QRY_DUR_MOD;
        return PRECEDENCE_SUM + 1;
    case QRY_TOK_POW:
        *op = QRY_DUR_POW;
        return QRY_PRECEDENCE_POWER;
    default:
        return 0;
    }
}

static struct qry_duration *parse_binary(struct qry_parser *p, struct qry_duration *lhs,
                                         enum qry_duration_op op, int precedence)
{
    struct qry_token token = qry_take(p);
    struct qry_duration *rhs = parse_duration(p, op == QRY_DUR_POW ? precedence : precedence + 1);
    if (!rhs || !if_enabled(p, lhs))
        return NULL;
    bool zero = rhs->op == QRY_DUR_LITERAL && rhs->seconds == 0;
    if (zero && (op == QRY_DUR_DIV || op == QRY_DUR_MOD)) {
        qry_parse_error(p, token.pos, op == QRY_DUR_DIV ? "division by zero" : "modulo by zero");
        return NULL;
    }
    return new_duration(p, op, (struct qry_pos){lhs->pos.start, rhs->pos.end}, lhs, rhs);
}

/* The operators and right operands behind a left one. */
static struct qry_duration *parse_operators(struct qry_parser *p, struct qry_duration *duration,
                                            int min_precedence)
{
    while (duration) {
        enum qry_duration_op op;
        int precedence = operator_of(qry_peek(p), &op);
        if (precedence == 0 || precedence < min_precedence)
            break;
        duration = parse_binary(p, duration, op, precedence);
    }
    return p->err == NX_OK ? duration : NULL;
}

static struct qry_duration *parse_duration(struct qry_parser *p, int min_precedence)
{
    if (++p->nesting > QRY_MAX_NESTING) {
        (void)qry_peek(p);
        qry_parse_error(p, p->token.pos,
                        "duration expression is nested too deeply, the limit is %d levels",
                        QRY_MAX_NESTING);
        return NULL;
    }
    struct qry_duration *duration = parse_operators(p, parse_unary(p), min_precedence);
    p->nesting--;
    return duration;
}

struct qry_duration *qry_parse_positive_duration(struct qry_parser *p)
{
    struct qry_duration *duration = parse_duration(p, PRECEDENCE_SUM);
    if (duration && duration->op == QRY_DUR_LITERAL && !(duration->seconds > 0)) {
        qry_parse_error(p, duration->pos.start, "duration must be greater than 0");
        return NULL;
    }
    return duration;
}

/* After `offset` and one sign. */
static struct qry_duration *parse_signed_offset(struct qry_parser *p)
{
    struct qry_token sign = qry_take(p);
    enum qry_token_type type = qry_peek(p);
    struct qry_duration *operand;

    if (is_sign(type)) {
        operand = parse_duration(p, QRY_PRECEDENCE_POWER);
        operand = operand ? apply_sign(p, &sign, operand) : NULL;
        return parse_operators(p, operand, PRECEDENCE_SUM);
    }
    if (is_number(type) || type == QRY_TOK_LEFT_PAREN) {
        operand = is_number(type) ? parse_literal(p) : parse_parens(p, true);
        return operand ? apply_sign(p, &sign, operand) : NULL;
    }
    if (!is_call(type)) {
        qry_unexpected(p);
        return NULL;
    }
    operand = parse_call(p);
    if (!operand)
        return NULL;
    /* before a call even a plus is kept */
    enum qry_duration_op op = sign.type == QRY_TOK_SUB ? QRY_DUR_NEG : QRY_DUR_POS;
    struct qry_pos pos = {sign.pos, operand->pos.end};
    return if_enabled(p, new_duration(p, op, pos, NULL, operand));
}

struct qry_duration *qry_parse_offset_duration(struct qry_parser *p)
{
    if (is_sign(qry_peek(p)))
        return parse_signed_offset(p);
    if (qry_peek(p) == QRY_TOK_LEFT_PAREN)
        return parse_duration(p, PRECEDENCE_SUM);
    return parse_primary(p);
}

int64_t qry_duration_literal_ms(const struct qry_duration *duration)
{
    if (!duration || duration->op != QRY_DUR_LITERAL)
        return 0;
    return (int64_t)(round(duration->seconds * 1e9) / 1e6);
}
