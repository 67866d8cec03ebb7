/* The tree as the JSON of /api/v1/parse_query. Keys stand in alphabetical order, as Go's encoder
 * sorts maps; strings are escaped as it does it, with <, > and & as \u escapes. */
#include "querier/promql/print_internal.h"

#include <math.h>

#include "common/base/quote.h"
#include "common/cxx/number_shim.h"
#include "querier/promql/function_table.h"

static void put_escape(struct nx_buf *out, uint32_t rune)
{
    nx_buf_printf(out, "\\u%04x", rune);
}

static void put_string(struct nx_buf *out, struct nx_view text)
{
    nx_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len && out->err == NX_OK;) {
        size_t len;
        uint32_t rune = nx_rune_decode(nx_view_make(text.ptr + i, text.len - i), &len);
        if (rune == '"' || rune == '\\')
            nx_buf_printf(out, "\\%c", (char)rune);
        else if (rune == '\n')
            nx_buf_append_str(out, "\\n");
        else if (rune == '\r')
            nx_buf_append_str(out, "\\r");
        else if (rune == '\t')
            nx_buf_append_str(out, "\\t");
        else if (rune < 0x20 || rune == '<' || rune == '>' || rune == '&' || rune == 0x2028 ||
                 rune == 0x2029 || (rune == 0xFFFD && len == 1))
            put_escape(out, rune);
        else
            nx_buf_append(out, text.ptr + i, len);
        i += len;
    }
    nx_buf_append_char(out, '"');
}

static void put_text(struct nx_buf *out, const char *text)
{
    put_string(out, nx_view_of(text));
}

/* `"key":`, after a comma unless it is the object's first. */
static void put_key(struct nx_buf *out, const char *key)
{
    if (out->len > 0 && out->data[out->len - 1] != '{')
        nx_buf_append_char(out, ',');
    nx_buf_printf(out, "\"%s\":", key);
}

static void put_key_text(struct nx_buf *out, const char *key, const char *text)
{
    put_key(out, key);
    put_text(out, text);
}

static void put_key_bool(struct nx_buf *out, const char *key, bool value)
{
    put_key(out, key);
    nx_buf_append_str(out, value ? "true" : "false");
}

static void put_key_int(struct nx_buf *out, const char *key, int64_t value)
{
    put_key(out, key);
    nx_buf_printf(out, "%lld", (long long)value);
}

static void put_strings(struct nx_buf *out, const char *key, const struct nx_view *items,
                        size_t count)
{
    put_key(out, key);
    nx_buf_append_char(out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            nx_buf_append_char(out, ',');
        put_string(out, items[i]);
    }
    nx_buf_append_char(out, ']');
}

static void put_expr(struct nx_buf *out, const char *key, const struct qry_expr *expr)
{
    put_key(out, key);
    if (expr)
        qry_print_json(out, expr);
    else
        nx_buf_append_str(out, "null");
}

static void put_number(struct nx_buf *out, double value)
{
    char text[NX_FLOAT_MAX];
    size_t len = nx_float_format_f(value, text);
    put_key_text(out, "type", "numberLiteral");
    put_key(out, "val");
    put_string(out, nx_view_make(text, len));
}

/* --- durations and modifiers ------------------------------------------------------------------ */

static void put_duration(struct nx_buf *out, const char *key, const struct qry_duration *d)
{
    put_key(out, key);
    if (!d || out->err != NX_OK) {
        nx_buf_append_str(out, "null");
        return;
    }
    nx_buf_append_char(out, '{');
    if (d->op == QRY_DUR_LITERAL) {
        put_key_bool(out, "duration", d->is_duration);
        put_number(out, d->seconds);
        nx_buf_append_char(out, '}');
        return;
    }
    put_duration(out, "lhs", d->lhs);
    put_key_text(out, "op", qry_duration_op_text(d->op));
    put_duration(out, "rhs", d->rhs);
    put_key_text(out, "type", "durationExpr");
    put_key_bool(out, "wrapped", d->wrapped);
    nx_buf_append_char(out, '}');
}

/* The expression where the duration is one, null for a literal. */
static void put_duration_expr(struct nx_buf *out, const char *key, const struct qry_duration *d)
{
    put_duration(out, key, d && d->op != QRY_DUR_LITERAL ? d : NULL);
}

static int64_t literal_ms(const struct qry_duration *d, int64_t ms)
{
    return d && d->op == QRY_DUR_LITERAL ? ms : 0;
}

static void put_offset(struct nx_buf *out, const struct qry_modifiers *mod)
{
    put_key_int(out, "offset", literal_ms(mod->offset, mod->offset_ms));
    put_duration_expr(out, "offsetExpr", mod->offset);
}

static void put_range(struct nx_buf *out, const struct qry_duration *range, int64_t range_ms)
{
    put_key_int(out, "range", literal_ms(range, range_ms));
    put_duration_expr(out, "rangeExpr", range);
}

static void put_start_or_end(struct nx_buf *out, const struct qry_modifiers *mod)
{
    put_key(out, "startOrEnd");
    nx_buf_append_str(out, mod->at == QRY_AT_START ? "\"start\""
                           : mod->at == QRY_AT_END ? "\"end\""
                                                   : "null");
}

static void put_timestamp(struct nx_buf *out, const struct qry_modifiers *mod)
{
    if (mod->at == QRY_AT_TIME) {
        put_key_int(out, "timestamp", mod->at_ms);
    } else {
        put_key(out, "timestamp");
        nx_buf_append_str(out, "null");
    }
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void put_matchers(struct nx_buf *out, const struct qry_selector *selector)
{
    put_key(out, "matchers");
    nx_buf_append_char(out, '[');
    for (size_t i = 0; i < selector->matcher_count; i++) {
        const struct nx_matcher *matcher = &selector->matchers[i];
        if (i > 0)
            nx_buf_append_char(out, ',');
        nx_buf_append_char(out, '{');
        put_key(out, "name");
        put_string(out, matcher->name);
        put_key_text(out, "type", nx_match_type_text(matcher->type));
        put_key(out, "value");
        put_string(out, matcher->value);
        nx_buf_append_char(out, '}');
    }
    nx_buf_append_char(out, ']');
}

static void put_selector(struct nx_buf *out, const struct qry_selector *selector)
{
    put_key_bool(out, "anchored", selector->anchored);
    put_matchers(out, selector);
    put_key(out, "name");
    put_string(out, selector->name);
    put_offset(out, &selector->mod);
    if (selector->range)
        put_range(out, selector->range, selector->range_ms);
    put_key_bool(out, "smoothed", selector->smoothed);
    put_start_or_end(out, &selector->mod);
    put_timestamp(out, &selector->mod);
    put_key_text(out, "type", selector->range ? "matrixSelector" : "vectorSelector");
}

static void put_subquery(struct nx_buf *out, const struct qry_subquery *subquery)
{
    put_expr(out, "expr", subquery->expr);
    put_offset(out, &subquery->mod);
    put_range(out, subquery->range, subquery->range_ms);
    put_start_or_end(out, &subquery->mod);
    put_key_int(out, "step", literal_ms(subquery->step, subquery->step_ms));
    put_duration_expr(out, "stepExpr", subquery->step);
    put_timestamp(out, &subquery->mod);
    put_key_text(out, "type", "subquery");
}

static void put_call(struct nx_buf *out, const struct qry_call *call)
{
    const struct qry_function *function = call->function;

    put_key(out, "args");
    nx_buf_append_char(out, '[');
    for (size_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            nx_buf_append_char(out, ',');
        qry_print_json(out, call->args[i]);
    }
    nx_buf_append_char(out, ']');
    put_key(out, "func");
    nx_buf_append_char(out, '{');
    put_key(out, "argTypes");
    nx_buf_append_char(out, '[');
    for (size_t i = 0; i < function->arg_count; i++) {
        if (i > 0)
            nx_buf_append_char(out, ',');
        put_text(out, qry_type_short(function->args[i]));
    }
    nx_buf_append_char(out, ']');
    put_key_text(out, "name", function->name);
    put_key_text(out, "returnType", qry_type_short(function->result));
    put_key_int(out, "variadic", function->variadic);
    nx_buf_append_char(out, '}');
    put_key_text(out, "type", "call");
}

/* A JSON number; null for what JSON cannot say. */
static void put_fill(struct nx_buf *out, const char *key, bool has, double value)
{
    char text[NX_FLOAT_MAX];

    put_key(out, key);
    if (!has || !isfinite(value)) {
        nx_buf_append_str(out, "null");
        return;
    }
    size_t len = nx_float_format_api(value, text);
    nx_buf_append(out, text, len);
}

static void put_matching(struct nx_buf *out, const struct qry_matching *matching)
{
    put_key(out, "matching");
    if (!matching) {
        nx_buf_append_str(out, "null");
        return;
    }
    nx_buf_append_char(out, '{');
    put_key_text(out, "card", qry_card_text(matching->card));
    put_key(out, "fillValues");
    nx_buf_append_char(out, '{');
    put_fill(out, "lhs", matching->has_fill_lhs, matching->fill_lhs);
    put_fill(out, "rhs", matching->has_fill_rhs, matching->fill_rhs);
    nx_buf_append_char(out, '}');
    put_strings(out, "include", matching->include, matching->include_count);
    put_strings(out, "labels", matching->labels, matching->label_count);
    put_key_bool(out, "on", matching->on);
    nx_buf_append_char(out, '}');
}

static void put_binary(struct nx_buf *out, const struct qry_binary *binary)
{
    put_key_bool(out, "bool", binary->return_bool);
    put_expr(out, "lhs", binary->lhs);
    put_matching(out, binary->matching);
    put_key_text(out, "op", qry_op_text(binary->op));
    put_expr(out, "rhs", binary->rhs);
    put_key_text(out, "type", "binaryExpr");
}

static void put_aggregate(struct nx_buf *out, const struct qry_aggregate *aggregate)
{
    put_expr(out, "expr", aggregate->expr);
    put_strings(out, "grouping", aggregate->grouping, aggregate->grouping_count);
    put_key_text(out, "op", qry_agg_text(aggregate->agg));
    put_expr(out, "param", aggregate->param);
    put_key_text(out, "type", "aggregation");
    put_key_bool(out, "without", aggregate->without);
}

static void put_node(struct nx_buf *out, const struct qry_expr *expr)
{
    switch (expr->kind) {
    case QRY_NODE_NUMBER:
        put_number(out, expr->number.value);
        break;
    case QRY_NODE_STRING:
        put_key_text(out, "type", "stringLiteral");
        put_key(out, "val");
        put_string(out, expr->string);
        break;
    case QRY_NODE_SELECTOR:
        put_selector(out, &expr->selector);
        break;
    case QRY_NODE_SUBQUERY:
        put_subquery(out, &expr->subquery);
        break;
    case QRY_NODE_CALL:
        put_call(out, &expr->call);
        break;
    case QRY_NODE_BINARY:
        put_binary(out, &expr->binary);
        break;
    case QRY_NODE_UNARY:
        put_expr(out, "expr", expr->unary.expr);
        put_key_text(out, "op", expr->unary.minus ? "-" : "+");
        put_key_text(out, "type", "unaryExpr");
        break;
    case QRY_NODE_PAREN:
        put_expr(out, "expr", expr->paren);
        put_key_text(out, "type", "parenExpr");
        break;
    case QRY_NODE_AGGREGATE:
        put_aggregate(out, &expr->aggregate);
        break;
    }
}

void qry_print_json(struct nx_buf *out, const struct qry_expr *expr)
{
    if (out->err != NX_OK)
        return;
    nx_buf_append_char(out, '{');
    put_node(out, expr);
    nx_buf_append_char(out, '}');
}
