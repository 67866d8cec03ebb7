/* Numbers, durations and strings. The scanner of numbers accepts what Prometheus's accepts, not
 * what a number is: the conversion (parser_literal.c) has the last word. Its quirks (0x1e, 1.5h)
 * are kept, since they decide which message a bad number gets. */
#include "querier/promql/lexer_internal.h"

#include "common/base/quote.h"

#define DECIMAL "0123456789"
#define HEX "0123456789abcdefABCDEF"

static bool at_any(const struct qry_lexer *lexer, const char *set)
{
    struct qry_lexer copy = {.text = lexer->text, .pos = lexer->pos};
    return qry_lexer_accept(&copy, set);
}

static bool at_end(const struct qry_lexer *lexer)
{
    return lexer->pos >= lexer->text.len;
}

static bool at_word(const struct qry_lexer *lexer)
{
    int32_t c = qry_lexer_peek(lexer);
    return qry_is_alpha(c) || qry_is_digit(c);
}

static void accept_run(struct qry_lexer *lexer, const char *set)
{
    while (qry_lexer_accept(lexer, set)) {
    }
}

/* One step of the number's tail; false where the number is malformed. */
static bool scan_number_part(struct qry_lexer *lexer, bool hex, bool *dot, bool *exponent)
{
    if (qry_lexer_accept(lexer, ".")) {
        if (*dot)
            return false;
        *dot = true;
        return !qry_lexer_accept(lexer, "_.") && !hex;
    }
    if (qry_lexer_accept(lexer, "eE")) {
        if (*exponent)
            return false;
        *exponent = true;
        (void)qry_lexer_accept(lexer, "+-");
        return !qry_lexer_accept(lexer, "._eE") && !at_end(lexer);
    }
    if (qry_lexer_accept(lexer, "_"))
        return !qry_lexer_accept(lexer, "._eE") && !at_end(lexer);
    accept_run(lexer, hex ? HEX : DECIMAL);
    return true;
}

static bool scan_number(struct qry_lexer *lexer)
{
    bool hex = false;
    bool dot = false;
    bool exponent = false;

    if (qry_lexer_accept(lexer, "0") && qry_lexer_accept(lexer, "xX")) {
        (void)qry_lexer_accept(lexer, "_");
        hex = true;
    }
    (void)qry_lexer_accept(lexer, ".");
    (void)qry_lexer_accept(lexer, hex ? HEX : DECIMAL);
    while (at_any(lexer, hex ? HEX "._" : DECIMAL "._eE")) {
        if (!scan_number_part(lexer, hex, &dot, &exponent))
            return false;
    }
    return !at_word(lexer);
}

/* The rest of a duration, after its first digits; false leaves the offending character read. */
static bool scan_duration_rest(struct qry_lexer *lexer)
{
    if (!qry_lexer_accept(lexer, "smhdwy"))
        return false;
    (void)qry_lexer_accept(lexer, "s");
    while (qry_lexer_accept(lexer, DECIMAL)) {
        accept_run(lexer, DECIMAL);
        if (!qry_lexer_accept(lexer, "smhdw"))
            return false;
        (void)qry_lexer_accept(lexer, "s");
    }
    if (!at_word(lexer))
        return true;
    lexer->pos++;
    return false;
}

void qry_lex_number_or_duration(struct qry_lexer *lexer, struct qry_token *token)
{
    if (scan_number(lexer))
        qry_lexer_emit(lexer, token, QRY_TOK_NUMBER);
    else if (scan_duration_rest(lexer))
        qry_lexer_emit(lexer, token, QRY_TOK_DURATION);
    else
        qry_lexer_error_read(lexer, token, "bad number or duration syntax: ");
}

/* --- strings ---------------------------------------------------------------------------------- */

static uint32_t digit_value(int32_t c)
{
    if (qry_is_digit(c))
        return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (uint32_t)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (uint32_t)(c - 'A') + 10;
    return 16;
}

/* With Go's %#U of the character: U+0071 'q', or U+000A alone where it does not print. */
static void error_code_point(struct qry_lexer *lexer, struct qry_token *token, const char *before,
                             int32_t c, const char *after)
{
    char utf8[5];
    bool print = nx_rune_is_print((uint32_t)c);

    qry_rune_encode(c, utf8);
    nx_fail_set(&lexer->error, NX_ERR_INVALID, "%sU+%04X%s%s%s%s", before, (unsigned int)c,
                print ? " '" : "", print ? utf8 : "", print ? "'" : "", after);
    *token = (struct qry_token){.type = QRY_TOK_ERROR, .pos = lexer->start};
}

/* `count` digits, the first of which is `c`. */
static bool scan_code(struct qry_lexer *lexer, struct qry_token *token, int32_t c, int count,
                      uint32_t base, uint32_t max)
{
    uint32_t value = 0;
    for (int i = 0; i < count; i++) {
        if (i > 0)
            c = qry_lexer_take(lexer);
        uint32_t digit = digit_value(c);
        if (digit >= base) {
            if (c == QRY_RUNE_EOF)
                qry_lexer_error(lexer, token, "escape sequence not terminated");
            else
                error_code_point(lexer, token, "illegal character ", c, " in escape sequence");
            return false;
        }
        value = value * base + digit;
    }
    if (value > max || (value >= 0xD800 && value < 0xE000)) {
        qry_lexer_error(lexer, token, "escape sequence is an invalid Unicode code point");
        return false;
    }
    return true;
}

/* After the backslash. */
static bool scan_escape(struct qry_lexer *lexer, struct qry_token *token, int32_t quote)
{
    int32_t c = qry_lexer_take(lexer);

    if (c == quote)
        return true;
    if (c >= '0' && c <= '7')
        return scan_code(lexer, token, c, 3, 8, 255);
    switch (c) {
    case 'a':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
    case 'v':
    case '\\':
        return true;
    case 'x':
        return scan_code(lexer, token, qry_lexer_take(lexer), 2, 16, 255);
    case 'u':
        return scan_code(lexer, token, qry_lexer_take(lexer), 4, 16, 0x10FFFF);
    case 'U':
        return scan_code(lexer, token, qry_lexer_take(lexer), 8, 16, 0x10FFFF);
    case QRY_RUNE_EOF:
        qry_lexer_error(lexer, token, "escape sequence not terminated");
        return false;
    default:
        error_code_point(lexer, token, "unknown escape sequence ", c, "");
        return false;
    }
}

void qry_lex_string(struct qry_lexer *lexer, struct qry_token *token, int32_t quote)
{
    bool raw = quote == '`';

    for (;;) {
        int32_t c = qry_lexer_take(lexer);
        if (c == quote)
            break;
        if (c == QRY_RUNE_ERROR) {
            qry_lexer_error(lexer, token, "invalid UTF-8 rune");
            return;
        }
        if (c == QRY_RUNE_EOF || (c == '\n' && !raw)) {
            qry_lexer_error(lexer, token,
                            raw ? "unterminated raw string" : "unterminated quoted string");
            return;
        }
        if (c == '\\' && !raw && !scan_escape(lexer, token, quote))
            return;
    }
    qry_lexer_emit(lexer, token, QRY_TOK_STRING);
}
