/* The metric part of a series description, with the parser's own tokens and messages. */
#include "querier/promql/series_parse.h"

#include "querier/promql/parser_internal.h"

/* ident|string = string, or a string alone: the metric's name. */
static bool parse_label(struct qry_parser *p, struct nx_labels_builder *builder)
{
    bool quoted = qry_peek(p) == QRY_TOK_STRING;
    if (!quoted && qry_peek(p) != QRY_TOK_IDENTIFIER) {
        qry_unexpected(p);
        return false;
    }
    struct qry_token label = qry_take(p);
    struct nx_view name = label.text;
    if (quoted && !qry_string_value(p, &label, &name))
        return false;

    p->context.expected = "\"=\"";
    if (quoted && qry_peek(p) != QRY_TOK_EQL) {
        nx_labels_builder_set(builder, NX_LABEL_METRIC_NAME, name);
        return p->err == NX_OK;
    }
    if (!qry_expect(p, QRY_TOK_EQL))
        return false;
    p->context.expected = "string";
    if (qry_peek(p) != QRY_TOK_STRING) {
        qry_unexpected(p);
        return false;
    }
    struct qry_token text = qry_take(p);
    struct nx_view value;
    if (!qry_string_value(p, &text, &value))
        return false;
    nx_labels_builder_set(builder, name, value);
    return true;
}

/* { label, ... } */
static bool parse_label_set(struct qry_parser *p, struct nx_labels_builder *builder)
{
    (void)qry_take(p);
    p->context.where = "label set";
    for (;;) {
        p->context.expected = "identifier or \"}\"";
        if (qry_peek(p) == QRY_TOK_RIGHT_BRACE)
            break;
        if (!parse_label(p, builder))
            return false;
        p->context.expected = "\",\" or \"}\"";
        if (!qry_accept(p, QRY_TOK_COMMA))
            break;
    }
    return qry_expect(p, QRY_TOK_RIGHT_BRACE);
}

/* A name before the braces counts more than one inside. */
static bool parse_metric(struct qry_parser *p, struct nx_labels_builder *builder, size_t *consumed)
{
    struct qry_token name = {0};

    p->context.where = "series values";
    if (qry_is_metric_word(qry_peek(p))) {
        name = qry_take(p);
        *consumed = qry_token_end(&name);
    }
    /* What follows a name is in the language of the values: only a brace right behind it is still
     * the metric's. */
    bool more = *consumed < p->lexer.text.len && p->lexer.text.ptr[*consumed] == '{';
    if (name.text.len == 0 || more) {
        if (qry_peek(p) != QRY_TOK_LEFT_BRACE) {
            qry_unexpected(p);
            return false;
        }
        if (!parse_label_set(p, builder))
            return false;
        *consumed = p->last_closing;
    }
    if (name.text.len > 0)
        nx_labels_builder_set(builder, NX_LABEL_METRIC_NAME, name.text);
    return true;
}

enum nx_err qry_parse_metric(struct nx_view text, struct nx_arena *arena, struct nx_labels *labels,
                             size_t *consumed, struct nx_fail *fail)
{
    if (text.len >= UINT32_MAX)
        return nx_fail_set(fail, NX_ERR_TOO_LARGE, "series description is too long");

    struct qry_parser p;
    struct nx_labels_builder builder;
    struct nx_labels result;
    size_t end = 0;

    qry_parser_init(&p, text, arena, fail);
    nx_labels_builder_init(&builder, arena, (struct nx_labels){0});
    if (!parse_metric(&p, &builder, &end) || p.err != NX_OK)
        return p.err;
    enum nx_err err = nx_labels_builder_take(&builder, &result);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "%s", nx_err_text(err));
    *labels = result;
    *consumed = end;
    return NX_OK;
}
