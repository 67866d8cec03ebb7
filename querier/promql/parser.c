/* Entry points of the parser, its tokens and its failures.
 *
 * The parser is a recursive descent with precedence climbing over the grammar of reference
 * section 2. What makes it Prometheus's is when things fail, and with what text: checks run where
 * the generated parser reduces the rule, tokens are read only when a decision needs them, and only
 * the first failure counts. Nesting, depth of the tree and memory are limited, so that no text can
 * exhaust stack or heap. */
#include "querier/promql/parser_internal.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "querier/promql/series_parse.h"

#define TEXT_MAX_BYTES ((size_t)64 << 20)
#define ARENA_MAX_BYTES ((size_t)256 << 20)

void qry_parser_init(struct qry_parser *p, struct nx_view text, struct nx_arena *arena,
                     struct nx_fail *fail)
{
    static const struct qry_features none;

    *p = (struct qry_parser){.arena = arena, .features = &none, .fail = fail};
    p->context = (struct qry_context){"", ""};
    qry_lexer_init(&p->lexer, text);
}

void qry_parse_error(struct qry_parser *p, uint32_t offset, const char *format, ...)
{
    char message[sizeof p->fail->text];
    char place[32] = "unknown position";
    va_list args;

    if (p->err != NX_OK)
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (p->lexer.text.len > 0) {
        uint32_t line;
        uint32_t col;
        qry_position(p->lexer.text, offset, &line, &col);
        (void)snprintf(place, sizeof place, "%u:%u", line, col);
    }
    p->err = nx_fail_set(p->fail, NX_ERR_INVALID, "%s: parse error: %s", place, message);
}

void qry_parse_nomem(struct qry_parser *p)
{
    if (p->err != NX_OK)
        return;
    p->err = nx_arena_over(p->arena)
                 ? nx_fail_set(p->fail, NX_ERR_TOO_LARGE, "query is too large to be parsed")
                 : nx_fail_set(p->fail, NX_ERR_NOMEM, "out of memory while parsing the query");
}

void *qry_parse_alloc(struct qry_parser *p, size_t size_bytes)
{
    void *memory = nx_arena_calloc(p->arena, 1, size_bytes);
    if (!memory)
        qry_parse_nomem(p);
    return memory;
}

enum qry_token_type qry_peek(struct qry_parser *p)
{
    if (!p->peeked) {
        qry_lexer_next(&p->lexer, &p->token);
        p->peeked = true;
        if (p->token.type == QRY_TOK_ERROR)
            qry_parse_error(p, p->token.pos, "%s", p->lexer.error.text);
    }
    return p->token.type;
}

static bool is_closing(enum qry_token_type type)
{
    return type == QRY_TOK_RIGHT_BRACE || type == QRY_TOK_RIGHT_PAREN ||
           type == QRY_TOK_RIGHT_BRACKET || type == QRY_TOK_DURATION || type == QRY_TOK_NUMBER;
}

struct qry_token qry_take(struct qry_parser *p)
{
    (void)qry_peek(p);
    p->peeked = false;
    if (is_closing(p->token.type))
        p->last_closing = qry_token_end(&p->token);
    return p->token;
}

bool qry_accept(struct qry_parser *p, enum qry_token_type type)
{
    if (qry_peek(p) != type)
        return false;
    (void)qry_take(p);
    return true;
}

bool qry_expect(struct qry_parser *p, enum qry_token_type type)
{
    if (qry_accept(p, type))
        return true;
    qry_unexpected(p);
    return false;
}

void qry_unexpected(struct qry_parser *p)
{
    if (qry_peek(p) == QRY_TOK_ERROR || p->err != NX_OK)
        return;

    struct nx_buf message;
    nx_buf_init(&message, 4096);
    nx_buf_append_str(&message, "unexpected ");
    qry_token_describe(&message, &p->token);
    if (p->context.where[0] != '\0')
        nx_buf_printf(&message, " in %s", p->context.where);
    if (p->context.expected[0] != '\0')
        nx_buf_printf(&message, ", expected %s", p->context.expected);
    if (nx_buf_err(&message) == NX_OK)
        qry_parse_error(p, p->token.pos, "%.*s", (int)message.len, message.data);
    else
        qry_parse_nomem(p);
    nx_buf_release(&message);
}

/* NULL with the reason in *err. */
static struct qry_query *query_new(struct nx_view text, enum nx_err *err, struct nx_fail *fail)
{
    if (text.len > TEXT_MAX_BYTES) {
        *err =
            nx_fail_set(fail, NX_ERR_TOO_LARGE, "query is longer than %zu bytes", TEXT_MAX_BYTES);
        return NULL;
    }
    struct qry_query *query = nx_calloc(1, sizeof *query);
    if (query) {
        nx_arena_init(&query->arena, ARENA_MAX_BYTES);
        query->text = nx_arena_copy(&query->arena, text);
    }
    if (!query || !query->text.ptr) {
        qry_query_free(query);
        *err = nx_fail_set(fail, NX_ERR_NOMEM, "out of memory while parsing the query");
        return NULL;
    }
    return query;
}

void qry_query_free(struct qry_query *query)
{
    if (!query)
        return;
    for (struct qry_matcher_block *block = query->blocks; block; block = block->next) {
        for (size_t i = 0; i < block->count; i++)
            nx_matcher_release(&block->matchers[i]);
    }
    nx_arena_release(&query->arena);
    nx_free(query);
}

/* Hands the query over, or frees it where the parser failed. */
static enum nx_err query_finish(struct qry_parser *p, struct qry_query *query,
                                struct qry_query **out)
{
    if (p->err != NX_OK) {
        qry_query_free(query);
        return p->err;
    }
    *out = query;
    return NX_OK;
}

enum nx_err qry_parse(struct nx_view text, const struct qry_features *features,
                      struct qry_query **out, struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    struct qry_query *query = query_new(text, &err, fail);
    if (!query)
        return err;

    struct qry_parser p;
    qry_parser_init(&p, query->text, &query->arena, fail);
    p.query = query;
    p.features = features;
    if (qry_peek(&p) == QRY_TOK_EOF) {
        qry_parse_error(&p, 0, "no expression found in input");
    } else {
        query->expr = qry_parse_expr(&p, QRY_PRECEDENCE_LOWEST);
        if (query->expr && qry_peek(&p) != QRY_TOK_EOF)
            qry_unexpected(&p);
    }
    if (p.err == NX_OK)
        (void)qry_check(&p, query->expr);
    return query_finish(&p, query, out);
}

enum nx_err qry_parse_selector(struct nx_view text, struct qry_query **out, struct nx_fail *fail)
{
    enum nx_err err = NX_OK;
    struct qry_query *query = query_new(text, &err, fail);
    if (!query)
        return err;

    struct qry_parser p;
    qry_parser_init(&p, query->text, &query->arena, fail);
    p.query = query;
    enum qry_token_type first = qry_peek(&p);
    if (qry_is_metric_word(first)) {
        struct qry_token name = qry_take(&p);
        query->expr = qry_parse_vector_selector(&p, &name);
    } else if (first == QRY_TOK_LEFT_BRACE) {
        query->expr = qry_parse_vector_selector(&p, NULL);
    } else {
        qry_unexpected(&p);
    }
    if (query->expr && qry_peek(&p) != QRY_TOK_EOF)
        qry_unexpected(&p);
    return query_finish(&p, query, out);
}
