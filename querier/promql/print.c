/* Expressions on one line, as Prometheus's Expr.String() writes them: durations in their normal
 * form, numbers in plain decimal, matchers sorted by their text, grouping in front of the
 * parentheses. */
#include "querier/promql/print_internal.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/quote.h"
#include "common/base/time.h"
#include "common/cxx/number_shim.h"
#include "querier/promql/function_table.h"

static void print_ms(struct nx_buf *out, int64_t ms)
{
    char text[NX_DURATION_MAX];
    nx_duration_format(ms, text, sizeof text);
    nx_buf_append_str(out, text);
}

/* A number of seconds, as written: with units, or plain. */
static void print_number(struct nx_buf *out, double value, bool is_duration)
{
    if (is_duration) {
        if (value < 0)
            nx_buf_append_char(out, '-');
        print_ms(out, (int64_t)(fabs(value) * 1e9) / 1000000);
        return;
    }
    char text[NX_FLOAT_MAX];
    size_t len = nx_float_format_f(value, text);
    nx_buf_append(out, text, len);
}

static void print_label(struct nx_buf *out, struct nx_view name)
{
    if (nx_label_name_is_legacy(name))
        nx_buf_append_view(out, name);
    else
        nx_quote(out, name);
}

static void print_labels(struct nx_buf *out, const struct nx_view *labels, size_t count)
{
    nx_buf_append_char(out, '(');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            nx_buf_append_str(out, ", ");
        print_label(out, labels[i]);
    }
    nx_buf_append_char(out, ')');
}

/* --- durations -------------------------------------------------------------------------------- */

const char *qry_duration_op_text(enum qry_duration_op op)
{
    static const char *const texts[] = {
        [QRY_DUR_LITERAL] = "",      [QRY_DUR_STEP] = "step",     [QRY_DUR_RANGE] = "range",
        [QRY_DUR_MIN_OF] = "min_of", [QRY_DUR_MAX_OF] = "max_of", [QRY_DUR_ADD] = "+",
        [QRY_DUR_SUB] = "-",         [QRY_DUR_MUL] = "*",         [QRY_DUR_DIV] = "/",
        [QRY_DUR_MOD] = "%",         [QRY_DUR_POW] = "^",         [QRY_DUR_NEG] = "-",
        [QRY_DUR_POS] = "+",
    };
    return texts[op];
}

static void print_duration(struct nx_buf *out, const struct qry_duration *d)
{
    if (out->err != NX_OK)
        return;
    if (d->wrapped)
        nx_buf_append_char(out, '(');
    switch (d->op) {
    case QRY_DUR_LITERAL:
        print_number(out, d->seconds, d->is_duration);
        break;
    case QRY_DUR_STEP:
    case QRY_DUR_RANGE:
        nx_buf_printf(out, "%s()", qry_duration_op_text(d->op));
        break;
    case QRY_DUR_MIN_OF:
    case QRY_DUR_MAX_OF:
        nx_buf_printf(out, "%s(", qry_duration_op_text(d->op));
        print_duration(out, d->lhs);
        nx_buf_append_str(out, ", ");
        print_duration(out, d->rhs);
        nx_buf_append_char(out, ')');
        break;
    case QRY_DUR_NEG:
        nx_buf_append_char(out, '-');
        print_duration(out, d->rhs);
        break;
    case QRY_DUR_POS:
        print_duration(out, d->rhs);
        break;
    case QRY_DUR_ADD:
    case QRY_DUR_SUB:
    case QRY_DUR_MUL:
    case QRY_DUR_DIV:
    case QRY_DUR_MOD:
    case QRY_DUR_POW:
        print_duration(out, d->lhs);
        nx_buf_printf(out, " %s ", qry_duration_op_text(d->op));
        print_duration(out, d->rhs);
        break;
    }
    if (d->wrapped)
        nx_buf_append_char(out, ')');
}

/* A range or step: a literal in its normal form, whether written with units or not. */
static void print_range(struct nx_buf *out, const struct qry_duration *d, int64_t literal_ms)
{
    if (d->op == QRY_DUR_LITERAL)
        print_ms(out, literal_ms);
    else
        print_duration(out, d);
}

static void print_at(struct nx_buf *out, const struct qry_modifiers *mod)
{
    switch (mod->at) {
    case QRY_AT_NONE:
        return;
    case QRY_AT_TIME:
        nx_buf_printf(out, " @ %.3f", (double)mod->at_ms / 1000);
        return;
    case QRY_AT_START:
        nx_buf_append_str(out, " @ start()");
        return;
    case QRY_AT_END:
        nx_buf_append_str(out, " @ end()");
        return;
    }
}

static bool is_compound(const struct qry_duration *d)
{
    if (d->wrapped)
        return false;
    if (d->op == QRY_DUR_NEG || d->op == QRY_DUR_POS)
        return is_compound(d->rhs);
    return d->lhs && d->op != QRY_DUR_MIN_OF && d->op != QRY_DUR_MAX_OF;
}

/* The signs that its text begins with; 2 for a parenthesis without one. */
static int leading_signs(const struct qry_duration *d)
{
    int signs = 0;
    for (; !d->wrapped; d = d->lhs) {
        for (; !d->wrapped && (d->op == QRY_DUR_NEG || d->op == QRY_DUR_POS); d = d->rhs)
            signs++;
        if (!is_compound(d))
            break;
    }
    if (d->wrapped)
        return signs == 0 ? 2 : signs;
    return signs + (d->op == QRY_DUR_LITERAL && d->seconds < 0);
}

/* Operators that are not in parentheses belong to an offset only behind two signs or a parenthesis;
 * else they would be operators of the selector. Prometheus prints such text all the same. */
static void print_signs(struct nx_buf *out, const struct qry_duration *d)
{
    if (is_compound(d))
        for (int signs = leading_signs(d); signs < 2; signs++)
            nx_buf_append_char(out, '+');
}

static void print_offset(struct nx_buf *out, const struct qry_modifiers *mod)
{
    if (!mod->offset)
        return;
    nx_buf_append_str(out, " offset ");
    if (mod->offset->op != QRY_DUR_LITERAL) {
        if (mod->operator_follows && mod->offset->wrapped)
            nx_buf_append_char(out, '+');
        print_signs(out, mod->offset);
        print_duration(out, mod->offset);
        return;
    }
    if (mod->offset->seconds < 0)
        nx_buf_append_char(out, '-');
    print_ms(out, mod->offset_ms < 0 ? -mod->offset_ms : mod->offset_ms);
}

/* Whether an arithmetic operator behind the offset would be read as part of it. A parenthesis is
 * closed by a plus in front (print_offset); other expressions have to stand in front of the other
 * modifiers, one of which then ends them. Prometheus prints such text all the same. */
static bool offset_stands_first(const struct qry_modifiers *mod)
{
    const struct qry_duration *d = mod->offset;

    if (!mod->operator_follows || !d || d->wrapped)
        return false;
    if (d->op == QRY_DUR_NEG || d->op == QRY_DUR_POS)
        return !d->rhs->wrapped && (d->rhs->lhs || d->rhs->rhs) && d->rhs->op != QRY_DUR_MIN_OF &&
               d->rhs->op != QRY_DUR_MAX_OF;
    return d->lhs && d->op != QRY_DUR_MIN_OF && d->op != QRY_DUR_MAX_OF;
}

/* @, anchored or smoothed, offset. Of a range and of a vector they stand in another order. */
static void print_modifiers(struct nx_buf *out, const struct qry_modifiers *mod,
                            const char *before_at, const char *after_at)
{
    bool first = offset_stands_first(mod);

    if (first)
        print_offset(out, mod);
    nx_buf_append_str(out, before_at);
    print_at(out, mod);
    nx_buf_append_str(out, after_at);
    if (!first)
        print_offset(out, mod);
}

/* --- selectors -------------------------------------------------------------------------------- */

static int compare_views(const void *a, const void *b)
{
    return nx_view_cmp(*(const struct nx_view *)a, *(const struct nx_view *)b);
}

static void print_matcher(struct nx_buf *out, const struct nx_matcher *matcher)
{
    print_label(out, matcher->name);
    nx_buf_append_str(out, nx_match_type_text(matcher->type));
    nx_quote(out, matcher->value);
}

/* The matcher that the name outside the braces stands for. */
static bool is_name_matcher(const struct qry_selector *selector, const struct nx_matcher *matcher)
{
    return matcher->type == NX_MATCH_EQ && matcher->value.len > 0 &&
           nx_view_eq(matcher->name, NX_LABEL_METRIC_NAME) &&
           nx_view_eq(matcher->value, selector->name);
}

static void print_sorted(struct nx_buf *out, const struct nx_buf *texts, struct nx_view *items,
                         size_t count)
{
    size_t offset = 0;

    for (size_t i = 0; i < count; i++) {
        items[i].ptr = texts->data + offset;
        offset += items[i].len;
    }
    qsort(items, count, sizeof *items, compare_views);
    nx_buf_append_char(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            nx_buf_append_char(out, ',');
        nx_buf_append_view(out, items[i]);
    }
    nx_buf_append_char(out, '}');
}

static void print_matchers(struct nx_buf *out, const struct qry_selector *selector)
{
    struct nx_view *items = nx_alloc_array(selector->matcher_count, sizeof *items);
    struct nx_buf texts;
    size_t count = 0;

    nx_buf_init(&texts, out->max);
    for (size_t i = 0; items && i < selector->matcher_count && texts.err == NX_OK; i++) {
        if (is_name_matcher(selector, &selector->matchers[i]))
            continue;
        size_t before = texts.len;
        print_matcher(&texts, &selector->matchers[i]);
        items[count++].len = texts.len - before;
    }
    if (!items)
        out->err = NX_ERR_NOMEM;
    else if (texts.err != NX_OK)
        out->err = texts.err;
    else if (count > 0)
        print_sorted(out, &texts, items, count);
    nx_buf_release(&texts);
    nx_free(items);
}

static void print_selector(struct nx_buf *out, const struct qry_selector *selector)
{
    const char *extended = selector->anchored ? " anchored" : selector->smoothed ? " smoothed" : "";
    nx_buf_append_view(out, selector->name);
    if (selector->matcher_count > 0)
        print_matchers(out, selector);
    else /* of info(); Prometheus prints nothing, which does not parse again */
        nx_buf_append_str(out, "{}");
    if (selector->range) {
        nx_buf_append_char(out, '[');
        print_range(out, selector->range, selector->range_ms);
        nx_buf_append_char(out, ']');
        print_modifiers(out, &selector->mod, extended, "");
    } else {
        print_modifiers(out, &selector->mod, "", extended);
    }
}

void qry_print_subquery_suffix(struct nx_buf *out, const struct qry_subquery *subquery)
{
    nx_buf_append_char(out, '[');
    print_range(out, subquery->range, subquery->range_ms);
    nx_buf_append_char(out, ':');
    if (subquery->step)
        print_range(out, subquery->step, subquery->step_ms);
    nx_buf_append_char(out, ']');
    print_modifiers(out, &subquery->mod, "", "");
}

/* --- operators -------------------------------------------------------------------------------- */

static void print_fill(struct nx_buf *out, const char *word, double value)
{
    char text[NX_FLOAT_MAX];
    size_t len = nx_float_format_g(value, text);
    nx_buf_printf(out, " %s (%.*s)", word, (int)len, text);
}

void qry_print_matching(struct nx_buf *out, const struct qry_binary *binary)
{
    const struct qry_matching *matching = binary->matching;

    if (binary->return_bool)
        nx_buf_append_str(out, " bool");
    if (!matching)
        return;
    bool grouped = matching->card == QRY_CARD_MANY_TO_ONE || matching->card == QRY_CARD_ONE_TO_MANY;
    if (matching->label_count > 0 || matching->on || grouped) {
        nx_buf_append_str(out, matching->on ? " on " : " ignoring ");
        print_labels(out, matching->labels, matching->label_count);
    }
    if (grouped) {
        nx_buf_append_str(out, matching->card == QRY_CARD_MANY_TO_ONE ? " group_left "
                                                                      : " group_right ");
        print_labels(out, matching->include, matching->include_count);
    }
    if (matching->has_fill_lhs && matching->has_fill_rhs &&
        matching->fill_lhs == matching->fill_rhs) {
        print_fill(out, "fill", matching->fill_lhs);
        return;
    }
    if (matching->has_fill_lhs)
        print_fill(out, "fill_left", matching->fill_lhs);
    if (matching->has_fill_rhs)
        print_fill(out, "fill_right", matching->fill_rhs);
}

bool qry_is_base_infinity(const struct qry_binary *binary)
{
    return binary->op == QRY_OP_POW && binary->lhs->kind == QRY_NODE_NUMBER &&
           isinf(binary->lhs->number.value) && !signbit(binary->lhs->number.value);
}

static void print_binary(struct nx_buf *out, const struct qry_binary *binary)
{
    if (qry_is_base_infinity(binary))
        nx_buf_append_str(out, "Inf");
    else
        qry_print(out, binary->lhs);
    nx_buf_printf(out, " %s", qry_op_text(binary->op));
    qry_print_matching(out, binary);
    nx_buf_append_char(out, ' ');
    qry_print(out, binary->rhs);
}

void qry_print_aggregate_head(struct nx_buf *out, const struct qry_aggregate *aggregate)
{
    nx_buf_append_str(out, qry_agg_text(aggregate->agg));
    if (!aggregate->without && aggregate->grouping_count == 0)
        return;
    nx_buf_append_str(out, aggregate->without ? " without " : " by ");
    print_labels(out, aggregate->grouping, aggregate->grouping_count);
    nx_buf_append_char(out, ' ');
}

static void print_aggregate(struct nx_buf *out, const struct qry_aggregate *aggregate)
{
    qry_print_aggregate_head(out, aggregate);
    nx_buf_append_char(out, '(');
    if (aggregate->param) {
        qry_print(out, aggregate->param);
        nx_buf_append_str(out, ", ");
    }
    qry_print(out, aggregate->expr);
    nx_buf_append_char(out, ')');
}

static void print_call(struct nx_buf *out, const struct qry_call *call)
{
    nx_buf_printf(out, "%s(", call->function->name);
    for (size_t i = 0; i < call->arg_count; i++) {
        if (i > 0)
            nx_buf_append_str(out, ", ");
        qry_print(out, call->args[i]);
    }
    nx_buf_append_char(out, ')');
}

void qry_print(struct nx_buf *out, const struct qry_expr *expr)
{
    if (out->err != NX_OK)
        return;
    switch (expr->kind) {
    case QRY_NODE_NUMBER:
        print_number(out, expr->number.value, expr->number.is_duration);
        return;
    case QRY_NODE_STRING:
        nx_quote(out, expr->string);
        return;
    case QRY_NODE_SELECTOR:
        print_selector(out, &expr->selector);
        return;
    case QRY_NODE_SUBQUERY:
        qry_print(out, expr->subquery.expr);
        qry_print_subquery_suffix(out, &expr->subquery);
        return;
    case QRY_NODE_CALL:
        print_call(out, &expr->call);
        return;
    case QRY_NODE_BINARY:
        print_binary(out, &expr->binary);
        return;
    case QRY_NODE_UNARY:
        nx_buf_append_char(out, expr->unary.minus ? '-' : '+');
        qry_print(out, expr->unary.expr);
        return;
    case QRY_NODE_PAREN:
        nx_buf_append_char(out, '(');
        qry_print(out, expr->paren);
        nx_buf_append_char(out, ')');
        return;
    case QRY_NODE_AGGREGATE:
        print_aggregate(out, &expr->aggregate);
        return;
    }
}
