/* Expressions as format_query gives them: what fits into 100 bytes stays on one line, anything
 * longer is split at its parentheses or operator, its parts two blanks further in. */
#include "querier/promql/function_table.h"
#include "querier/promql/print_internal.h"

#define LINE_MAX_BYTES 100

/* Where a nested expression is written behind a sign, its own indent is left out. */
struct place {
    uint32_t level;
    bool indented;
};

static void pretty(struct nx_buf *out, const struct qry_expr *expr, struct place place);

static void indent(struct nx_buf *out, struct place place)
{
    for (uint32_t i = 0; !place.indented && i < place.level; i++)
        nx_buf_append_str(out, "  ");
}

static struct place at(uint32_t level)
{
    return (struct place){.level = level};
}

static bool needs_split(struct nx_buf *out, const struct qry_expr *expr)
{
    struct nx_buf line;

    nx_buf_init(&line, LINE_MAX_BYTES);
    qry_print(&line, expr);
    bool split = line.err == NX_ERR_TOO_LARGE;
    if (line.err != NX_OK && !split)
        out->err = line.err;
    nx_buf_release(&line);
    return split;
}

static void pretty_aggregate(struct nx_buf *out, const struct qry_aggregate *aggregate,
                             uint32_t level)
{
    qry_print_aggregate_head(out, aggregate);
    nx_buf_append_str(out, "(\n");
    if (aggregate->param) {
        pretty(out, aggregate->param, at(level + 1));
        nx_buf_append_str(out, ",\n");
    }
    pretty(out, aggregate->expr, at(level + 1));
    nx_buf_append_char(out, '\n');
    indent(out, at(level));
    nx_buf_append_char(out, ')');
}

static void pretty_binary(struct nx_buf *out, const struct qry_binary *binary, struct place place)
{
    struct place inner = {.level = place.level + 1, .indented = place.indented};

    if (qry_is_base_infinity(binary)) {
        indent(out, inner);
        nx_buf_append_str(out, "Inf");
    } else {
        pretty(out, binary->lhs, inner);
    }
    nx_buf_append_char(out, '\n');
    indent(out, at(place.level));
    nx_buf_append_str(out, qry_op_text(binary->op));
    qry_print_matching(out, binary);
    nx_buf_append_char(out, '\n');
    pretty(out, binary->rhs, at(place.level + 1));
}

static void pretty_call(struct nx_buf *out, const struct qry_call *call, uint32_t level)
{
    nx_buf_printf(out, "%s(\n", call->function->name);
    for (size_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            nx_buf_append_str(out, ",\n");
        pretty(out, call->args[i], at(level + 1));
    }
    nx_buf_append_char(out, '\n');
    indent(out, at(level));
    nx_buf_append_char(out, ')');
}

/* A node that does not fit its line. */
static void pretty_split(struct nx_buf *out, const struct qry_expr *expr, struct place place)
{
    switch (expr->kind) {
    case QRY_NODE_BINARY:
        pretty_binary(out, &expr->binary, place);
        return;
    case QRY_NODE_SUBQUERY:
        pretty(out, expr->subquery.expr, place);
        qry_print_subquery_suffix(out, &expr->subquery);
        return;
    case QRY_NODE_AGGREGATE:
        indent(out, place);
        pretty_aggregate(out, &expr->aggregate, place.level);
        return;
    case QRY_NODE_CALL:
        indent(out, place);
        pretty_call(out, &expr->call, place.level);
        return;
    case QRY_NODE_PAREN:
        indent(out, place);
        nx_buf_append_str(out, "(\n");
        pretty(out, expr->paren, at(place.level + 1));
        nx_buf_append_char(out, '\n');
        indent(out, at(place.level));
        nx_buf_append_char(out, ')');
        return;
    case QRY_NODE_NUMBER:
    case QRY_NODE_STRING:
    case QRY_NODE_SELECTOR:
    case QRY_NODE_UNARY:
        indent(out, place);
        qry_print(out, expr);
        return;
    }
}

static void pretty(struct nx_buf *out, const struct qry_expr *expr, struct place place)
{
    if (out->err != NX_OK)
        return;
    if (expr->kind == QRY_NODE_UNARY) {
        indent(out, place);
        nx_buf_append_char(out, expr->unary.minus ? '-' : '+');
        pretty(out, expr->unary.expr, (struct place){.level = place.level, .indented = true});
        return;
    }
    bool leaf = expr->kind == QRY_NODE_NUMBER || expr->kind == QRY_NODE_STRING ||
                expr->kind == QRY_NODE_SELECTOR;
    if (!leaf && needs_split(out, expr)) {
        pretty_split(out, expr, place);
        return;
    }
    /* Prometheus leaves out the indent of a subquery that fits its line. */
    if (expr->kind != QRY_NODE_SUBQUERY)
        indent(out, place);
    qry_print(out, expr);
}

void qry_print_pretty(struct nx_buf *out, const struct qry_expr *expr)
{
    pretty(out, expr, at(0));
}
