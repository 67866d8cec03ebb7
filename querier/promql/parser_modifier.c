/* What may follow an operand: ranges and subqueries in brackets, offset, @, anchored, smoothed. */
#include "querier/promql/parser_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define DURATION_WANTED "number, duration, step(), or range()"

/* The modifiers of what can have them; NULL for any other expression. */
static struct qry_modifiers *modifiers_of(struct qry_expr *expr)
{
    if (expr->kind == QRY_NODE_SELECTOR)
        return &expr->selector.mod;
    return expr->kind == QRY_NODE_SUBQUERY ? &expr->subquery.mod : NULL;
}

/* --- brackets --------------------------------------------------------------------------------- */

static struct qry_expr *make_range(struct qry_parser *p, struct qry_expr *expr, uint32_t bracket,
                                   struct qry_duration *range)
{
    const char *text = NULL;
    if (expr->kind != QRY_NODE_SELECTOR || expr->selector.range)
        text = "ranges only allowed for vector selectors";
    else if (expr->selector.mod.offset)
        text = "no offset modifiers allowed before range";
    else if (expr->selector.mod.at != QRY_AT_NONE)
        text = "no @ modifiers allowed before range";
    if (text) {
        qry_parse_error(p, bracket, "%s", text);
        return NULL;
    }
    expr->type = QRY_TYPE_MATRIX;
    expr->pos.end = p->last_closing;
    expr->selector.range = range;
    expr->selector.range_ms = qry_duration_literal_ms(range);
    return expr;
}

static struct qry_expr *make_subquery(struct qry_parser *p, struct qry_expr *inner,
                                      struct qry_duration *range, struct qry_duration *step)
{
    struct qry_pos pos = {inner->pos.start, p->last_closing};
    struct qry_expr *expr = qry_new_expr(p, QRY_NODE_SUBQUERY, QRY_TYPE_MATRIX, pos, inner->depth);
    if (!expr)
        return NULL;
    expr->subquery = (struct qry_subquery){
        .expr = inner,
        .range = range,
        .range_ms = qry_duration_literal_ms(range),
        .step = step,
        .step_ms = qry_duration_literal_ms(step),
    };
    return expr;
}

static struct qry_expr *parse_brackets(struct qry_parser *p, struct qry_expr *expr)
{
    struct qry_token open = qry_take(p);
    p->context = (struct qry_context){"subquery or range selector", DURATION_WANTED};
    struct qry_duration *range = qry_parse_positive_duration(p);
    if (!range)
        return NULL;

    p->context = (struct qry_context){"subquery or range", "\":\" or \"]\""};
    if (!qry_accept(p, QRY_TOK_COLON))
        return qry_expect(p, QRY_TOK_RIGHT_BRACKET) ? make_range(p, expr, open.pos, range) : NULL;

    p->context =
        (struct qry_context){"subquery selector", "number, duration, step(), range(), or \"]\""};
    struct qry_duration *step = NULL;
    if (qry_peek(p) != QRY_TOK_RIGHT_BRACKET) {
        step = qry_parse_positive_duration(p);
        if (!step)
            return NULL;
        p->context.expected = "\"]\"";
    }
    return qry_expect(p, QRY_TOK_RIGHT_BRACKET) ? make_subquery(p, expr, range, step) : NULL;
}

/* --- offset ----------------------------------------------------------------------------------- */

static struct qry_expr *parse_offset(struct qry_parser *p, struct qry_expr *expr)
{
    (void)qry_take(p);
    p->context = (struct qry_context){"offset", DURATION_WANTED};
    struct qry_duration *offset = qry_parse_offset_duration(p);
    if (!offset)
        return NULL;

    struct qry_modifiers *mod = modifiers_of(expr);
    if (!mod) {
        qry_parse_error(p, expr->pos.start,
                        "offset modifier must be preceded by an instant vector selector or range "
                        "vector selector or a subquery");
        return NULL;
    }
    if (mod->offset) {
        qry_parse_error(p, expr->pos.start, "offset may not be set multiple times");
        return NULL;
    }
    if (isnan(offset->seconds)) { /* which Prometheus takes for minus 292 years */
        qry_parse_error(p, offset->pos.start, "duration out of range");
        return NULL;
    }
    bool zero = offset->op == QRY_DUR_LITERAL && round(offset->seconds * 1e9) == 0;
    mod->offset = zero ? NULL : offset;
    mod->offset_ms = qry_duration_literal_ms(offset);
    expr->pos.end = p->last_closing;
    return expr;
}

/* --- @ ---------------------------------------------------------------------------------------- */

/* The time after @: start(), end() or seconds. */
static bool parse_at_time(struct qry_parser *p, enum qry_at *at, double *seconds)
{
    enum qry_token_type type = qry_peek(p);
    if (type == QRY_TOK_START || type == QRY_TOK_END) {
        (void)qry_take(p);
        *at = type == QRY_TOK_START ? QRY_AT_START : QRY_AT_END;
        return qry_expect(p, QRY_TOK_LEFT_PAREN) && qry_expect(p, QRY_TOK_RIGHT_PAREN);
    }
    *at = QRY_AT_TIME;
    return qry_parse_signed_number(p, seconds);
}

static bool check_at_bounds(struct qry_parser *p, const struct qry_expr *expr, double seconds)
{
    char number[400];

    if (fabs(seconds) < 0x1p63)
        return true;
    if (isfinite(seconds))
        (void)snprintf(number, sizeof number, "%f", seconds);
    else
        (void)snprintf(number, sizeof number, "%s",
                       isnan(seconds) ? "NaN"
                       : seconds > 0  ? "+Inf"
                                      : "-Inf");
    qry_parse_error(p, expr->pos.start, "timestamp out of bounds for @ modifier: %s", number);
    return false;
}

/* Times beyond what milliseconds can hold are kept at a quarter of the range, where adding offsets
 * to them is still safe. */
static int64_t at_milliseconds(double seconds)
{
    double ms = round(seconds * 1000);
    if (ms >= 0x1p61)
        return INT64_C(1) << 61;
    if (ms <= -0x1p61)
        return -(INT64_C(1) << 61);
    return (int64_t)ms;
}

static struct qry_expr *parse_at(struct qry_parser *p, struct qry_expr *expr)
{
    enum qry_at at;
    double seconds = 0;

    (void)qry_take(p);
    p->context = (struct qry_context){"@", "timestamp"};
    if (!parse_at_time(p, &at, &seconds) || !check_at_bounds(p, expr, seconds))
        return NULL;

    struct qry_modifiers *mod = modifiers_of(expr);
    if (!mod) {
        qry_parse_error(p, expr->pos.start,
                        "@ modifier must be preceded by an instant vector selector or range vector "
                        "selector or a subquery");
        return NULL;
    }
    if (mod->at != QRY_AT_NONE) {
        qry_parse_error(p, expr->pos.start, "@ <timestamp> may not be set multiple times");
        return NULL;
    }
    mod->at = at;
    mod->at_ms = at_milliseconds(seconds);
    expr->pos.end = p->last_closing;
    return expr;
}

/* --- anchored, smoothed ----------------------------------------------------------------------- */

static struct qry_expr *parse_extended(struct qry_parser *p, struct qry_expr *expr)
{
    bool anchored = qry_take(p).type == QRY_TOK_ANCHORED;
    const char *word = anchored ? "anchored" : "smoothed";
    uint32_t start = expr->pos.start;

    if (!p->features->extended_range_selectors) {
        qry_parse_error(p, start, "%s modifier is experimental and not enabled", word);
        return NULL;
    }
    if (expr->kind == QRY_NODE_SUBQUERY) {
        qry_parse_error(p, start, "%s modifier is not supported for subqueries", word);
        return NULL;
    }
    if (expr->kind != QRY_NODE_SELECTOR) {
        qry_parse_error(p, start, "%s modifier not %s", word, "implemented");
        return NULL;
    }
    if (anchored)
        expr->selector.anchored = true;
    else
        expr->selector.smoothed = true;
    if (expr->selector.anchored && expr->selector.smoothed) {
        qry_parse_error(p, start, "anchored and smoothed modifiers cannot be used together");
        return NULL;
    }
    return expr;
}

struct qry_expr *qry_parse_postfix(struct qry_parser *p, struct qry_expr *expr)
{
    struct qry_context outer = p->context;

    while (expr) {
        enum qry_token_type type = qry_peek(p);
        if (type == QRY_TOK_LEFT_BRACKET)
            expr = parse_brackets(p, expr);
        else if (type == QRY_TOK_OFFSET)
            expr = parse_offset(p, expr);
        else if (type == QRY_TOK_AT)
            expr = parse_at(p, expr);
        else if (type == QRY_TOK_ANCHORED || type == QRY_TOK_SMOOTHED)
            expr = parse_extended(p, expr);
        else
            break;
        p->context = outer;
    }
    return expr;
}
