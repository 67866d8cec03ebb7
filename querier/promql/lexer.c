/* The lexer is a function from its state to the next token; the state is what Prometheus's lexer
 * keeps: open braces (keywords are off), open brackets (durations), the nesting of parentheses.
 * Three readers, one for each context; numbers and strings are in lexer_literal.c.
 *
 * Inside brackets the reader for durations is in charge up to the first number, the general one
 * from there on: they differ in the texts of their errors, which are part of the interface. */
#include "querier/promql/lexer_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/base/quote.h"

/* A message ends up in a struct nx_fail: longer quotations would be cut anyway. */
#define QUOTED_MAX 400

static const struct {
    const char *text;
    enum qry_token_class class;
} tokens[QRY_TOKEN_TYPES] = {
#define X(name, token_text, token_class) {.text = token_text, .class = QRY_TOKEN_##token_class},
    QRY_TOKENS(X)
#undef X
};

enum qry_token_class qry_token_class(enum qry_token_type type)
{
    return tokens[type].class;
}

const char *qry_token_text(enum qry_token_type type)
{
    return tokens[type].text;
}

int32_t qry_decode_rune(struct nx_view text, size_t offset, uint32_t *width)
{
    if (offset >= text.len) {
        *width = 0;
        return QRY_RUNE_EOF;
    }
    size_t len;
    uint32_t rune = nx_rune_decode(nx_view_make(text.ptr + offset, text.len - offset), &len);
    *width = (uint32_t)len;
    return (int32_t)rune;
}

void qry_rune_encode(int32_t rune, char out[5])
{
    uint32_t r = rune < 0 ? QRY_RUNE_ERROR : (uint32_t)rune;
    size_t len = 0;
    if (r < 0x80) {
        out[len++] = (char)r;
    } else {
        if (r < 0x800) {
            out[len++] = (char)(0xC0 | (r >> 6));
        } else {
            if (r < 0x10000) {
                out[len++] = (char)(0xE0 | (r >> 12));
            } else {
                out[len++] = (char)(0xF0 | (r >> 18));
                out[len++] = (char)(0x80 | ((r >> 12) & 0x3F));
            }
            out[len++] = (char)(0x80 | ((r >> 6) & 0x3F));
        }
        out[len++] = (char)(0x80 | (r & 0x3F));
    }
    out[len] = '\0';
}

const char *qry_quote_rune(int32_t rune, char out[16])
{
    char utf8[5];
    char quoted[16];

    if (rune == '\'' || rune == '"') {
        (void)snprintf(out, 16, rune == '"' ? "'\"'" : "'\\''");
        return out;
    }
    qry_rune_encode(rune, utf8);
    nx_quote_into(nx_view_make(utf8, rune == 0 ? 1 : strlen(utf8)), quoted, sizeof quoted);
    size_t len = strlen(quoted);
    (void)snprintf(out, 16, "'%.*s'", len < 2 ? 0 : (int)len - 2, quoted + 1);
    return out;
}

static struct nx_view cut(struct nx_view text, size_t max)
{
    return nx_view_make(text.ptr, text.len < max ? text.len : max);
}

void qry_token_describe(struct nx_buf *out, const struct qry_token *token)
{
    struct nx_view text = cut(token->text, QUOTED_MAX);

    switch (qry_token_class(token->type)) {
    case QRY_TOKEN_SPECIAL:
        nx_buf_append_str(out, qry_token_text(token->type));
        return;
    case QRY_TOKEN_KEYWORD:
        nx_buf_printf(out, "<%.*s>", NX_VIEW_ARG(text));
        return;
    case QRY_TOKEN_OPERATOR:
        nx_buf_printf(out, "<op:%.*s>", NX_VIEW_ARG(text));
        return;
    case QRY_TOKEN_AGGREGATOR:
        nx_buf_printf(out, "<aggr:%.*s>", NX_VIEW_ARG(text));
        return;
    case QRY_TOKEN_LITERAL:
        nx_buf_printf(out, "%s ", qry_token_text(token->type));
        break;
    case QRY_TOKEN_PLAIN:
    case QRY_TOKEN_PREPROCESSOR:
        break;
    }
    bool name = token->type == QRY_TOK_IDENTIFIER || token->type == QRY_TOK_METRIC_IDENTIFIER;
    if (name || token->text.len <= 10) {
        nx_quote(out, text);
        return;
    }
    uint32_t end = 0;
    for (int i = 0; i < 10 && end < text.len; i++) {
        uint32_t width;
        qry_decode_rune(text, end, &width);
        end += width;
    }
    nx_quote(out, cut(text, end));
    nx_buf_append_str(out, "...");
}

void qry_lexer_init(struct qry_lexer *lexer, struct nx_view text)
{
    *lexer = (struct qry_lexer){.text = text};
}

bool qry_lexer_accept(struct qry_lexer *lexer, const char *set)
{
    if (lexer->pos >= lexer->text.len)
        return false;
    char c = lexer->text.ptr[lexer->pos];
    if (c == '\0' || !strchr(set, c))
        return false;
    lexer->pos++;
    return true;
}

void qry_lexer_emit(struct qry_lexer *lexer, struct qry_token *token, enum qry_token_type type)
{
    token->type = type;
    token->pos = lexer->start;
    token->text = nx_view_make(lexer->text.ptr + lexer->start, lexer->pos - lexer->start);
    lexer->start = lexer->pos;
}

void qry_lexer_error(struct qry_lexer *lexer, struct qry_token *token, const char *text)
{
    nx_fail_set(&lexer->error, NX_ERR_INVALID, "%s", text);
    *token = (struct qry_token){.type = QRY_TOK_ERROR, .pos = lexer->start};
}

void qry_lexer_error_rune(struct qry_lexer *lexer, struct qry_token *token, const char *text,
                          int32_t rune)
{
    char quoted[16];
    nx_fail_set(&lexer->error, NX_ERR_INVALID, "%s%s", text, qry_quote_rune(rune, quoted));
    *token = (struct qry_token){.type = QRY_TOK_ERROR, .pos = lexer->start};
}

void qry_lexer_error_read(struct qry_lexer *lexer, struct qry_token *token, const char *text)
{
    char quoted[2 * QUOTED_MAX];
    struct nx_view read = nx_view_make(lexer->text.ptr + lexer->start, lexer->pos - lexer->start);
    nx_fail_set(&lexer->error, NX_ERR_INVALID, "%s%s", text,
                nx_quote_into(cut(read, QUOTED_MAX), quoted, sizeof quoted));
    *token = (struct qry_token){.type = QRY_TOK_ERROR, .pos = lexer->start};
}

static void skip_spaces(struct qry_lexer *lexer)
{
    while (lexer->pos < lexer->text.len && qry_is_space(lexer->text.ptr[lexer->pos]))
        lexer->pos++;
    lexer->start = lexer->pos;
}

static void skip_comment(struct qry_lexer *lexer)
{
    while (lexer->pos < lexer->text.len && lexer->text.ptr[lexer->pos] != '\n' &&
           lexer->text.ptr[lexer->pos] != '\r')
        lexer->pos++;
    lexer->start = lexer->pos;
}

/* --- words ------------------------------------------------------------------------------------ */

/* Whether the next character that is not space opens a parenthesis: `fill` is a keyword only then.
 */
static bool paren_follows(const struct qry_lexer *lexer)
{
    uint32_t pos = lexer->pos;
    while (pos < lexer->text.len && qry_is_space(lexer->text.ptr[pos]))
        pos++;
    return pos < lexer->text.len && lexer->text.ptr[pos] == '(';
}

static enum qry_token_type keyword(const struct qry_lexer *lexer, struct nx_view word)
{
    if (nx_view_eq_nocase(word, NX_VIEW("inf")) || nx_view_eq_nocase(word, NX_VIEW("nan")))
        return QRY_TOK_NUMBER;
    for (int type = QRY_TOK_LAND; type < QRY_TOKEN_TYPES; type++) {
        if (!nx_view_eq_nocase(word, nx_view_of(tokens[type].text)))
            continue;
        bool fill = type == QRY_TOK_FILL || type == QRY_TOK_FILL_LEFT || type == QRY_TOK_FILL_RIGHT;
        return fill && !paren_follows(lexer) ? QRY_TOK_IDENTIFIER : (enum qry_token_type)type;
    }
    return QRY_TOK_IDENTIFIER;
}

static void lex_word(struct qry_lexer *lexer, struct qry_token *token)
{
    bool colon = lexer->text.ptr[lexer->start] == ':';
    while (lexer->pos < lexer->text.len) {
        char c = lexer->text.ptr[lexer->pos];
        if (!qry_is_alpha(c) && !qry_is_digit(c) && c != ':')
            break;
        colon |= c == ':';
        lexer->pos++;
    }
    struct nx_view word = nx_view_make(lexer->text.ptr + lexer->start, lexer->pos - lexer->start);
    qry_lexer_emit(lexer, token, colon ? QRY_TOK_METRIC_IDENTIFIER : keyword(lexer, word));
}

/* step, range, max_of and min_of, in brackets. */
static bool lex_duration_word(struct qry_lexer *lexer, struct qry_token *token)
{
    uint32_t end = lexer->pos;
    while (end < lexer->text.len && qry_is_alpha(lexer->text.ptr[end]))
        end++;
    struct nx_view word = nx_view_make(lexer->text.ptr + lexer->start, end - lexer->start);
    for (int type = QRY_TOK_STEP; type <= QRY_TOK_MIN_OF; type++) {
        if (nx_view_eq_nocase(word, nx_view_of(tokens[type].text))) {
            lexer->pos = end;
            qry_lexer_emit(lexer, token, (enum qry_token_type)type);
            return true;
        }
    }
    return false;
}

/* --- the three contexts ----------------------------------------------------------------------- */

static void lex_right_paren(struct qry_lexer *lexer, struct qry_token *token)
{
    qry_lexer_emit(lexer, token, QRY_TOK_RIGHT_PAREN);
    if (--lexer->paren_depth < 0)
        qry_lexer_error_rune(lexer, token, "unexpected right parenthesis ", ')');
}

static void lex_left_paren(struct qry_lexer *lexer, struct qry_token *token)
{
    qry_lexer_emit(lexer, token, QRY_TOK_LEFT_PAREN);
    lexer->paren_depth++;
}

static void lex_inside_braces(struct qry_lexer *lexer, struct qry_token *token)
{
    int32_t c = qry_lexer_take(lexer);

    if (qry_is_alpha(c)) {
        while (qry_is_alpha(qry_lexer_peek(lexer)) || qry_is_digit(qry_lexer_peek(lexer)))
            lexer->pos++;
        qry_lexer_emit(lexer, token, QRY_TOK_IDENTIFIER);
        return;
    }
    switch (c) {
    case QRY_RUNE_EOF:
        qry_lexer_error(lexer, token, "unexpected end of input inside braces");
        return;
    case ',':
        qry_lexer_emit(lexer, token, QRY_TOK_COMMA);
        return;
    case '"':
    case '\'':
    case '`':
        qry_lex_string(lexer, token, c);
        return;
    case '=':
        qry_lexer_emit(lexer, token,
                       qry_lexer_accept(lexer, "~") ? QRY_TOK_EQL_REGEX : QRY_TOK_EQL);
        return;
    case '!':
        if (qry_lexer_accept(lexer, "~"))
            qry_lexer_emit(lexer, token, QRY_TOK_NEQ_REGEX);
        else if (qry_lexer_accept(lexer, "="))
            qry_lexer_emit(lexer, token, QRY_TOK_NEQ);
        else
            qry_lexer_error_rune(lexer, token, "unexpected character after '!' inside braces: ",
                                 qry_lexer_peek(lexer));
        return;
    case '{':
        qry_lexer_error_rune(lexer, token, "unexpected left brace ", c);
        return;
    case '}':
        qry_lexer_emit(lexer, token, QRY_TOK_RIGHT_BRACE);
        lexer->brace_open = false;
        return;
    default:
        qry_lexer_error_rune(lexer, token, "unexpected character inside braces: ", c);
        return;
    }
}

static enum qry_token_type arithmetic(int32_t c)
{
    switch (c) {
    case '+':
        return QRY_TOK_ADD;
    case '-':
        return QRY_TOK_SUB;
    case '*':
        return QRY_TOK_MUL;
    case '/':
        return QRY_TOK_DIV;
    case '%':
        return QRY_TOK_MOD;
    case '^':
        return QRY_TOK_POW;
    case ',':
        return QRY_TOK_COMMA;
    default:
        return QRY_TOK_ERROR;
    }
}

static bool starts_number(const struct qry_lexer *lexer, int32_t c)
{
    return qry_is_digit(c) || (c == '.' && qry_is_digit(qry_lexer_peek(lexer)));
}

/* Whether a word of durations may begin with the character. */
static bool starts_duration_word(int32_t c)
{
    return c == 's' || c == 'S' || c == 'm' || c == 'M' || c == 'r' || c == 'R';
}

static void lex_duration_start(struct qry_lexer *lexer, struct qry_token *token)
{
    skip_spaces(lexer);
    int32_t c = qry_lexer_take(lexer);

    if (arithmetic(c) != QRY_TOK_ERROR) {
        qry_lexer_emit(lexer, token, arithmetic(c));
    } else if (c == QRY_RUNE_EOF) {
        qry_lexer_error(lexer, token, "unexpected end of input in duration expression");
    } else if (c == ']') {
        qry_lexer_emit(lexer, token, QRY_TOK_RIGHT_BRACKET);
        lexer->bracket_open = false;
        lexer->duration_start = false;
        lexer->got_colon = false;
    } else if (c == ':') {
        qry_lexer_emit(lexer, token, QRY_TOK_COLON);
        if (!lexer->got_duration)
            qry_lexer_error(lexer, token,
                            "unexpected colon before duration in duration expression");
        else if (lexer->got_colon)
            qry_lexer_error(lexer, token, "unexpected repeated colon in duration expression");
        lexer->got_colon = true;
    } else if (c == '(') {
        lex_left_paren(lexer, token);
    } else if (c == ')') {
        lex_right_paren(lexer, token);
    } else if (starts_number(lexer, c)) {
        lexer->pos = lexer->start;
        lexer->got_duration = true;
        lexer->duration_start = false;
        qry_lex_number_or_duration(lexer, token);
    } else if (!starts_duration_word(c) || !lex_duration_word(lexer, token)) {
        qry_lexer_error_rune(lexer, token, "unexpected character in duration expression: ", c);
    }
}

/* A letter or colon outside braces. */
static void lex_letter(struct qry_lexer *lexer, struct qry_token *token, int32_t c)
{
    if (!lexer->bracket_open) {
        lex_word(lexer, token);
    } else if (c == ':') {
        if (lexer->got_colon) {
            qry_lexer_error_rune(lexer, token, "unexpected colon ", c);
            return;
        }
        qry_lexer_emit(lexer, token, QRY_TOK_COLON);
        lexer->got_colon = true;
    } else if (!starts_duration_word(c) || !lex_duration_word(lexer, token)) {
        char quoted[16];
        nx_fail_set(&lexer->error, NX_ERR_INVALID, "unexpected character: %s, expected ':'",
                    qry_quote_rune(c, quoted));
        *token = (struct qry_token){.type = QRY_TOK_ERROR, .pos = lexer->start};
    }
}

static void lex_end(struct qry_lexer *lexer, struct qry_token *token)
{
    if (lexer->paren_depth != 0)
        qry_lexer_error(lexer, token, "unclosed left parenthesis");
    else if (lexer->bracket_open)
        qry_lexer_error(lexer, token, "unclosed left bracket");
    else
        qry_lexer_emit(lexer, token, QRY_TOK_EOF);
}

static void lex_comparison(struct qry_lexer *lexer, struct qry_token *token, int32_t c)
{
    if (c == '=') {
        if (qry_lexer_accept(lexer, "="))
            qry_lexer_emit(lexer, token, QRY_TOK_EQLC);
        else if (qry_lexer_peek(lexer) == '~')
            qry_lexer_error_rune(lexer, token, "unexpected character after '=': ", '~');
        else
            qry_lexer_emit(lexer, token, QRY_TOK_EQL);
    } else if (c == '!') {
        if (qry_lexer_accept(lexer, "="))
            qry_lexer_emit(lexer, token, QRY_TOK_NEQ);
        else
            qry_lexer_error_rune(lexer, token,
                                 "unexpected character after '!': ", qry_lexer_peek(lexer));
    } else if (c == '<') {
        qry_lexer_emit(lexer, token,
                       qry_lexer_accept(lexer, "=")   ? QRY_TOK_LTE
                       : qry_lexer_accept(lexer, "/") ? QRY_TOK_TRIM_UPPER
                                                      : QRY_TOK_LSS);
    } else {
        qry_lexer_emit(lexer, token,
                       qry_lexer_accept(lexer, "=")   ? QRY_TOK_GTE
                       : qry_lexer_accept(lexer, "/") ? QRY_TOK_TRIM_LOWER
                                                      : QRY_TOK_GTR);
    }
}

static void lex_bracket(struct qry_lexer *lexer, struct qry_token *token, int32_t c)
{
    if (c == '[') {
        if (lexer->bracket_open) {
            qry_lexer_error_rune(lexer, token, "unexpected left bracket ", c);
            return;
        }
        lexer->got_colon = false;
        qry_lexer_emit(lexer, token, QRY_TOK_LEFT_BRACKET);
        lexer->bracket_open = true;
        lexer->duration_start = true;
        return;
    }
    if (!lexer->bracket_open) {
        qry_lexer_error_rune(lexer, token, "unexpected right bracket ", c);
        return;
    }
    qry_lexer_emit(lexer, token, QRY_TOK_RIGHT_BRACKET);
    lexer->bracket_open = false;
}

static void lex_statement(struct qry_lexer *lexer, struct qry_token *token)
{
    int32_t c = qry_lexer_take(lexer);

    if (qry_is_alpha(c) || c == ':') {
        lex_letter(lexer, token, c);
        return;
    }
    if (starts_number(lexer, c)) {
        lexer->pos = lexer->start;
        qry_lex_number_or_duration(lexer, token);
        return;
    }
    if (arithmetic(c) != QRY_TOK_ERROR) {
        qry_lexer_emit(lexer, token, arithmetic(c));
        return;
    }
    switch (c) {
    case QRY_RUNE_EOF:
        lex_end(lexer, token);
        return;
    case '=':
    case '!':
    case '<':
    case '>':
        lex_comparison(lexer, token, c);
        return;
    case '"':
    case '\'':
    case '`':
        qry_lex_string(lexer, token, c);
        return;
    case '(':
        lex_left_paren(lexer, token);
        return;
    case ')':
        lex_right_paren(lexer, token);
        return;
    case '{':
        qry_lexer_emit(lexer, token, QRY_TOK_LEFT_BRACE);
        lexer->brace_open = true;
        return;
    case '[':
    case ']':
        lex_bracket(lexer, token, c);
        return;
    case '@':
        qry_lexer_emit(lexer, token, QRY_TOK_AT);
        return;
    default:
        qry_lexer_error_rune(lexer, token, "unexpected character: ", c);
        return;
    }
}

void qry_lexer_next(struct qry_lexer *lexer, struct qry_token *token)
{
    if (lexer->duration_start) {
        lex_duration_start(lexer, token);
        return;
    }
    skip_spaces(lexer);
    while (lexer->pos < lexer->text.len && lexer->text.ptr[lexer->pos] == '#') {
        skip_comment(lexer);
        skip_spaces(lexer);
    }
    if (lexer->brace_open)
        lex_inside_braces(lexer, token);
    else
        lex_statement(lexer, token);
}
