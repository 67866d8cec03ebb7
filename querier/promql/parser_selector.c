/* Selectors, their matchers, and lists of labels. */
#include "querier/promql/parser_internal.h"

#include <string.h>

#include "common/base/quote.h"
#include "common/cxx/re2_shim.h"

bool qry_is_metric_word(enum qry_token_type type)
{
    switch (qry_token_class(type)) {
    case QRY_TOKEN_LITERAL:
        return type == QRY_TOK_IDENTIFIER || type == QRY_TOK_METRIC_IDENTIFIER;
    case QRY_TOKEN_AGGREGATOR:
    case QRY_TOKEN_PREPROCESSOR:
        return true;
    case QRY_TOKEN_OPERATOR:
        return type == QRY_TOK_LAND || type == QRY_TOK_LOR || type == QRY_TOK_LUNLESS;
    case QRY_TOKEN_KEYWORD:
        return type != QRY_TOK_BOOL && type != QRY_TOK_ON && type != QRY_TOK_IGNORING &&
               type != QRY_TOK_GROUP_LEFT && type != QRY_TOK_GROUP_RIGHT;
    case QRY_TOKEN_SPECIAL:
    case QRY_TOKEN_PLAIN:
        break;
    }
    return false;
}

static bool is_label_word(enum qry_token_type type)
{
    if (type == QRY_TOK_WITHOUT)
        return false;
    return qry_is_metric_word(type) || qry_token_class(type) == QRY_TOKEN_KEYWORD ||
           type == QRY_TOK_ATAN2;
}

static bool match_type(enum qry_token_type token, enum nx_match_type *type)
{
    if (token == QRY_TOK_EQL)
        *type = NX_MATCH_EQ;
    else if (token == QRY_TOK_NEQ)
        *type = NX_MATCH_NE;
    else if (token == QRY_TOK_EQL_REGEX)
        *type = NX_MATCH_RE;
    else if (token == QRY_TOK_NEQ_REGEX)
        *type = NX_MATCH_NRE;
    else
        return false;
    return true;
}

/* --- matchers --------------------------------------------------------------------------------- */

/* A selector's matchers while they grow; released where the selector fails. */
struct matcher_list {
    struct nx_matcher *items;
    size_t count;
    size_t capacity;
};

static bool charge_regex(struct qry_parser *p, uint32_t offset, const struct nx_regex *regex)
{
    p->regex_bytes += nx_regex_max_bytes(regex);
    if (p->regex_bytes <= QRY_MAX_REGEX_BYTES)
        return true;
    qry_parse_error(p, offset, "regular expressions of more than %zu MiB together",
                    QRY_MAX_REGEX_BYTES >> 20);
    return false;
}

static bool add_matcher(struct qry_parser *p, struct matcher_list *list, uint32_t offset,
                        enum nx_match_type type, struct nx_view name, struct nx_view value)
{
    if (type == NX_MATCH_RE || type == NX_MATCH_NRE) {
        if (++p->regexes > QRY_MAX_REGEXES) {
            qry_parse_error(p, offset, "too many regular expressions, the limit is %d",
                            QRY_MAX_REGEXES);
            return false;
        }
    }
    if (!nx_arena_grow(p->arena, &list->items, list->count, &list->capacity, list->count + 1,
                       sizeof *list->items)) {
        qry_parse_nomem(p);
        return false;
    }
    struct nx_fail fail = {0};
    enum nx_err err =
        nx_matcher_init(&list->items[list->count], p->arena, type, name, value, &fail);
    if (err == NX_OK) {
        list->count++;
        return charge_regex(p, offset, list->items[list->count - 1].regex);
    }
    if (err == NX_ERR_NOMEM)
        qry_parse_nomem(p);
    else if (strncmp(fail.text, "error parsing regexp", 20) == 0)
        qry_parse_error(p, offset, "%s", fail.text);
    else
        qry_parse_error(p, offset, "error parsing regexp: %s", nx_fail_text(&fail));
    return false;
}

static bool parse_matcher(struct qry_parser *p, struct matcher_list *list)
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

    enum nx_match_type type;
    p->context.expected = "label matching operator";
    if (!match_type(qry_peek(p), &type)) {
        if (quoted)
            return add_matcher(p, list, label.pos, NX_MATCH_EQ, NX_LABEL_METRIC_NAME, name);
        qry_unexpected(p);
        return false;
    }
    (void)qry_take(p);
    p->context.expected = "string";
    if (qry_peek(p) != QRY_TOK_STRING) {
        qry_unexpected(p);
        return false;
    }
    struct qry_token text = qry_take(p);
    struct nx_view value;
    return qry_string_value(p, &text, &value) && add_matcher(p, list, label.pos, type, name, value);
}

/* { matcher, ... }, with p->context set to ("label matching", ...). */
static bool parse_matchers(struct qry_parser *p, struct matcher_list *list)
{
    (void)qry_take(p);
    for (;;) {
        p->context.expected = "identifier or \"}\"";
        if (qry_peek(p) == QRY_TOK_RIGHT_BRACE)
            break;
        if (!parse_matcher(p, list))
            return false;
        p->context.expected = "\",\" or \"}\"";
        if (!qry_accept(p, QRY_TOK_COMMA))
            break;
    }
    return qry_expect(p, QRY_TOK_RIGHT_BRACE);
}

/* Gives the matchers to the query, which releases them. */
static bool register_matchers(struct qry_parser *p, const struct matcher_list *list)
{
    struct qry_matcher_block *block = qry_parse_alloc(p, sizeof *block);
    if (!block)
        return false;
    *block = (struct qry_matcher_block){list->items, list->count, p->query->blocks};
    p->query->blocks = block;
    return true;
}

struct qry_expr *qry_parse_vector_selector(struct qry_parser *p, const struct qry_token *name)
{
    struct matcher_list list = {0};
    bool ok = true;
    uint32_t start = name ? name->pos : UINT32_MAX;
    uint32_t end = name ? qry_token_end(name) : 0;

    if (qry_peek(p) == QRY_TOK_LEFT_BRACE) {
        start = name ? start : p->token.pos;
        struct qry_context outer = qry_enter(p, "label matching", "");
        ok = parse_matchers(p, &list);
        qry_leave(p, outer);
        end = p->last_closing;
    }
    ok = ok &&
         (!name || add_matcher(p, &list, start, NX_MATCH_EQ, NX_LABEL_METRIC_NAME, name->text));

    struct qry_pos pos = {start, end};
    struct qry_expr *expr = ok ? qry_new_expr(p, QRY_NODE_SELECTOR, QRY_TYPE_VECTOR, pos, 0) : NULL;
    if (!expr || !register_matchers(p, &list)) {
        for (size_t i = 0; i < list.count; i++)
            nx_matcher_release(&list.items[i]);
        return NULL;
    }
    expr->selector.name = name ? name->text : nx_view_make("", 0);
    expr->selector.matchers = list.items;
    expr->selector.matcher_count = list.count;
    expr->selector.selector_pos = pos;
    return expr;
}

/* --- grouping --------------------------------------------------------------------------------- */

static bool parse_grouping_label(struct qry_parser *p, struct nx_view *out)
{
    enum qry_token_type type = qry_peek(p);
    if (type != QRY_TOK_STRING && !is_label_word(type)) {
        qry_unexpected(p);
        return false;
    }
    struct qry_token token = qry_take(p);
    *out = token.text;
    if (type != QRY_TOK_STRING)
        return true;
    if (!qry_string_value(p, &token, out))
        return false;
    if (out->len > 0 && nx_view_is_utf8(*out))
        return true;
    char quoted[400];
    qry_parse_error(p, token.pos, "invalid label name for grouping: %s",
                    nx_quote_into(*out, quoted, sizeof quoted));
    return false;
}

static bool parse_grouping_list(struct qry_parser *p, struct nx_view **labels, size_t *count)
{
    size_t capacity = 0;

    if (!qry_expect(p, QRY_TOK_LEFT_PAREN))
        return false;
    for (;;) {
        p->context.expected = "label";
        if (qry_peek(p) == QRY_TOK_RIGHT_PAREN)
            break;
        struct nx_view label;
        if (!parse_grouping_label(p, &label))
            return false;
        if (!nx_arena_grow(p->arena, labels, *count, &capacity, *count + 1, sizeof **labels)) {
            qry_parse_nomem(p);
            return false;
        }
        (*labels)[(*count)++] = label;
        p->context.expected = "\",\" or \")\"";
        if (!qry_accept(p, QRY_TOK_COMMA))
            break;
    }
    return qry_expect(p, QRY_TOK_RIGHT_PAREN);
}

bool qry_parse_grouping(struct qry_parser *p, struct nx_view **labels, size_t *count)
{
    struct qry_context outer = qry_enter(p, "grouping opts", "\"(\"");
    *labels = NULL;
    *count = 0;
    bool ok = parse_grouping_list(p, labels, count);
    qry_leave(p, outer);
    return ok;
}
