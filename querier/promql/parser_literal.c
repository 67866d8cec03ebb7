/* From the text of a token to its value: numbers as Go's ParseInt with base 0 and ParseFloat read
 * them, durations, strings with Go's escapes. */
#include "querier/promql/parser_internal.h"

#include <math.h>
#include <stdlib.h>

#include "common/base/quote.h"
#include "common/base/time.h"
#include "common/cxx/number_shim.h"

#define NUMBER_MAX                                                                 \
    400 /* of a number's text where digits matter; longer ones go through the heap \
         */

static uint32_t digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (uint32_t)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (uint32_t)(c - 'A') + 10;
    return 16;
}

/* Go's rule for underscores: between digits, or between a base prefix and a digit. */
static bool underscores_are_placed(struct nx_view text, bool hex)
{
    bool after_digit = hex; /* the prefix counts as one */
    bool after_underscore = false;

    for (size_t i = hex ? 2 : 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '_') {
            if (!after_digit)
                return false;
            after_digit = false;
            after_underscore = true;
            continue;
        }
        after_digit = digit_of(c) < (hex ? 16u : 10u);
        if (!after_digit && after_underscore)
            return false;
        after_underscore = false;
    }
    return !after_underscore;
}

/* strconv.ParseInt(text, 0, 64) of an unsigned text. */
static bool parse_integer(struct nx_view text, bool hex, double *out)
{
    uint64_t base = hex ? 16 : text.len > 1 && text.ptr[0] == '0' ? 8 : 10;
    uint64_t value = 0;
    bool digits = false;

    for (size_t i = hex ? 2 : 0; i < text.len; i++) {
        if (text.ptr[i] == '_')
            continue;
        uint32_t digit = digit_of(text.ptr[i]);
        if (digit >= base || value > ((uint64_t)INT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
        digits = true;
    }
    if (digits)
        *out = (double)value;
    return digits;
}

static bool parse_float(struct qry_parser *p, struct nx_view text, bool *range, double *out)
{
    char *plain = nx_arena_alloc(p->arena, text.len + 1);
    size_t len = 0;

    if (!plain) {
        qry_parse_nomem(p);
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '_')
            plain[len++] = text.ptr[i];
    }
    if (!nx_float_parse(nx_view_make(plain, len), out))
        return false;
    *range = isinf(*out) && (qry_is_digit(plain[0]) || plain[0] == '.');
    return !*range;
}

static bool number_value(struct qry_parser *p, const struct qry_token *token, double *out)
{
    struct nx_view text = token->text;
    bool hex = text.len > 1 && text.ptr[0] == '0' && (text.ptr[1] == 'x' || text.ptr[1] == 'X');
    bool range = false;

    if (underscores_are_placed(text, hex)) {
        if (parse_integer(text, hex, out))
            return true;
        if (!hex && parse_float(p, text, &range, out))
            return true;
    }
    char quoted[NUMBER_MAX];
    qry_parse_error(p, token->pos, "error parsing number: strconv.ParseFloat: parsing %s: %s",
                    nx_quote_into(text, quoted, sizeof quoted),
                    range ? "value out of range" : "invalid syntax");
    return false;
}

bool qry_number_value(struct qry_parser *p, const struct qry_token *token, double *out)
{
    if (token->type == QRY_TOK_NUMBER)
        return number_value(p, token, out);

    struct nx_fail fail = {0};
    int64_t ms;
    if (nx_duration_parse(token->text, &ms, &fail) != NX_OK) {
        qry_parse_error(p, token->pos, "%s", nx_fail_text(&fail));
        return false;
    }
    /* Go's Duration.Seconds: whole seconds and the rest apart */
    int64_t seconds = ms / 1000;
    *out = (double)seconds + (double)(ms % 1000 * 1000000) / 1e9;
    return true;
}

bool qry_parse_signed_number(struct qry_parser *p, double *out)
{
    bool minus = qry_peek(p) == QRY_TOK_SUB;
    if (minus || qry_peek(p) == QRY_TOK_ADD)
        (void)qry_take(p);
    if (qry_peek(p) != QRY_TOK_NUMBER && qry_peek(p) != QRY_TOK_DURATION) {
        qry_unexpected(p);
        return false;
    }
    struct qry_token token = qry_take(p);
    double value;
    if (!qry_number_value(p, &token, &value))
        return false;
    *out = minus ? -value : value;
    return true;
}

/* --- strings ---------------------------------------------------------------------------------- */

static size_t put_utf8(uint32_t rune, char *out)
{
    if (rune < 0x80) {
        out[0] = (char)rune;
        return 1;
    }
    if (rune < 0x800) {
        out[0] = (char)(0xC0 | (rune >> 6));
        out[1] = (char)(0x80 | (rune & 0x3F));
        return 2;
    }
    if (rune < 0x10000) {
        out[0] = (char)(0xE0 | (rune >> 12));
        out[1] = (char)(0x80 | ((rune >> 6) & 0x3F));
        out[2] = (char)(0x80 | (rune & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (rune >> 18));
    out[1] = (char)(0x80 | ((rune >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((rune >> 6) & 0x3F));
    out[3] = (char)(0x80 | (rune & 0x3F));
    return 4;
}

/* The escape behind a backslash at in[*i], which the lexer has checked; no longer written than
 * read. */
static size_t unescape(const char *in, size_t *i, char *out)
{
    static const char simple[][2] = {{'a', '\a'}, {'b', '\b'}, {'f', '\f'}, {'n', '\n'},
                                     {'r', '\r'}, {'t', '\t'}, {'v', '\v'}};
    char c = in[(*i)++];
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t base = 16;

    if (c >= '0' && c <= '7') {
        digits = 3;
        base = 8;
        (*i)--;
    }
    if (digits > 0) {
        uint32_t value = 0;
        for (size_t n = 0; n < digits; n++)
            value = value * base + digit_of(in[(*i)++]);
        if (c == 'u' || c == 'U')
            return put_utf8(value, out);
        out[0] = (char)value;
        return 1;
    }
    out[0] = c;
    for (size_t n = 0; n < sizeof simple / sizeof simple[0]; n++) {
        if (simple[n][0] == c)
            out[0] = simple[n][1];
    }
    return 1;
}

bool qry_string_value(struct qry_parser *p, const struct qry_token *token, struct nx_view *out)
{
    const char *in = token->text.ptr;
    size_t end = token->text.len - 1;
    bool raw = in[0] == '`';
    char *copy = nx_arena_alloc(p->arena, token->text.len);
    size_t len = 0;

    if (!copy) {
        qry_parse_nomem(p);
        return false;
    }
    for (size_t i = 1; i < end;) {
        if (in[i] != '\\' || raw) {
            copy[len++] = in[i++];
            continue;
        }
        i++;
        len += unescape(in, &i, copy + len);
    }
    copy[len] = '\0';
    *out = nx_view_make(copy, len);
    return true;
}
