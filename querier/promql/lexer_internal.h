/* Shared by the lexer's files: the cursor, and the scanners of numbers and strings. */
#ifndef QRY_PROMQL_LEXER_INTERNAL_H
#define QRY_PROMQL_LEXER_INTERNAL_H

#include "querier/promql/lexer.h"

#define QRY_RUNE_EOF (-1)
#define QRY_RUNE_ERROR 0xFFFD

static inline int32_t qry_lexer_peek(const struct qry_lexer *lexer)
{
    uint32_t width;
    return qry_decode_rune(lexer->text, lexer->pos, &width);
}

static inline int32_t qry_lexer_take(struct qry_lexer *lexer)
{
    uint32_t width;
    int32_t rune = qry_decode_rune(lexer->text, lexer->pos, &width);
    lexer->pos += width;
    return rune;
}

/* NUL-terminated UTF-8; a negative rune reads as U+FFFD. */
void qry_rune_encode(int32_t rune, char out[5]);
/* Go's %q of a character: 'a', '\n', '\u00a0'. Returns `out`. */
const char *qry_quote_rune(int32_t rune, char out[16]);

/* Takes the next character where it is one of `set` (ASCII). */
bool qry_lexer_accept(struct qry_lexer *lexer, const char *set);
void qry_lexer_emit(struct qry_lexer *lexer, struct qry_token *token, enum qry_token_type type);
/* Makes an ERROR token with this text, at the start of the token being read. */
void qry_lexer_error(struct qry_lexer *lexer, struct qry_token *token, const char *text);
/* The same with Go's %q of a character or of the bytes read so far behind the text. */
void qry_lexer_error_rune(struct qry_lexer *lexer, struct qry_token *token, const char *text,
                          int32_t rune);
void qry_lexer_error_read(struct qry_lexer *lexer, struct qry_token *token, const char *text);

/* At the first digit or the dot. */
void qry_lex_number_or_duration(struct qry_lexer *lexer, struct qry_token *token);
/* After the opening quote. */
void qry_lex_string(struct qry_lexer *lexer, struct qry_token *token, int32_t quote);

#endif
