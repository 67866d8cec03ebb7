/* Splits a PromQL text into tokens, as Prometheus's lexer does (reference section 1): same tokens,
 * same errors, same positions. Pure; one lexer per text and thread. */
#ifndef QRY_PROMQL_LEXER_H
#define QRY_PROMQL_LEXER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/view.h"

/* How a token reads in "unexpected ..." (qry_token_describe). */
enum qry_token_class {
    QRY_TOKEN_SPECIAL,
    QRY_TOKEN_LITERAL,
    QRY_TOKEN_PLAIN,
    QRY_TOKEN_OPERATOR,
    QRY_TOKEN_AGGREGATOR,
    QRY_TOKEN_KEYWORD,
    QRY_TOKEN_PREPROCESSOR,
};

/* X(name, text, class). Aggregators stand in the order of enum qry_agg. */
#define QRY_TOKENS(X)                                  \
    X(EOF, "end of input", SPECIAL)                    \
    X(ERROR, "error", SPECIAL)                         \
    X(IDENTIFIER, "identifier", LITERAL)               \
    X(METRIC_IDENTIFIER, "metric identifier", LITERAL) \
    X(STRING, "string", LITERAL)                       \
    X(NUMBER, "number", LITERAL)                       \
    X(DURATION, "duration", LITERAL)                   \
    X(LEFT_PAREN, "(", PLAIN)                          \
    X(RIGHT_PAREN, ")", PLAIN)                         \
    X(LEFT_BRACE, "{", PLAIN)                          \
    X(RIGHT_BRACE, "}", PLAIN)                         \
    X(LEFT_BRACKET, "[", PLAIN)                        \
    X(RIGHT_BRACKET, "]", PLAIN)                       \
    X(COMMA, ",", PLAIN)                               \
    X(COLON, ":", PLAIN)                               \
    X(EQL, "=", PLAIN)                                 \
    X(ADD, "+", OPERATOR)                              \
    X(SUB, "-", OPERATOR)                              \
    X(MUL, "*", OPERATOR)                              \
    X(DIV, "/", OPERATOR)                              \
    X(MOD, "%", OPERATOR)                              \
    X(POW, "^", OPERATOR)                              \
    X(EQLC, "==", OPERATOR)                            \
    X(NEQ, "!=", OPERATOR)                             \
    X(LTE, "<=", OPERATOR)                             \
    X(LSS, "<", OPERATOR)                              \
    X(GTE, ">=", OPERATOR)                             \
    X(GTR, ">", OPERATOR)                              \
    X(EQL_REGEX, "=~", OPERATOR)                       \
    X(NEQ_REGEX, "!~", OPERATOR)                       \
    X(TRIM_UPPER, "</", OPERATOR)                      \
    X(TRIM_LOWER, ">/", OPERATOR)                      \
    X(AT, "@", OPERATOR)                               \
    X(LAND, "and", OPERATOR)                           \
    X(LOR, "or", OPERATOR)                             \
    X(LUNLESS, "unless", OPERATOR)                     \
    X(ATAN2, "atan2", OPERATOR)                        \
    X(SUM, "sum", AGGREGATOR)                          \
    X(AVG, "avg", AGGREGATOR)                          \
    X(COUNT, "count", AGGREGATOR)                      \
    X(MIN, "min", AGGREGATOR)                          \
    X(MAX, "max", AGGREGATOR)                          \
    X(GROUP, "group", AGGREGATOR)                      \
    X(STDDEV, "stddev", AGGREGATOR)                    \
    X(STDVAR, "stdvar", AGGREGATOR)                    \
    X(TOPK, "topk", AGGREGATOR)                        \
    X(BOTTOMK, "bottomk", AGGREGATOR)                  \
    X(COUNT_VALUES, "count_values", AGGREGATOR)        \
    X(QUANTILE, "quantile", AGGREGATOR)                \
    X(LIMITK, "limitk", AGGREGATOR)                    \
    X(LIMIT_RATIO, "limit_ratio", AGGREGATOR)          \
    X(OFFSET, "offset", KEYWORD)                       \
    X(SMOOTHED, "smoothed", KEYWORD)                   \
    X(ANCHORED, "anchored", KEYWORD)                   \
    X(BY, "by", KEYWORD)                               \
    X(WITHOUT, "without", KEYWORD)                     \
    X(ON, "on", KEYWORD)                               \
    X(IGNORING, "ignoring", KEYWORD)                   \
    X(GROUP_LEFT, "group_left", KEYWORD)               \
    X(GROUP_RIGHT, "group_right", KEYWORD)             \
    X(FILL, "fill", KEYWORD)                           \
    X(FILL_LEFT, "fill_left", KEYWORD)                 \
    X(FILL_RIGHT, "fill_right", KEYWORD)               \
    X(BOOL, "bool", KEYWORD)                           \
    X(START, "start", PREPROCESSOR)                    \
    X(END, "end", PREPROCESSOR)                        \
    X(STEP, "step", PREPROCESSOR)                      \
    X(RANGE, "range", PREPROCESSOR)                    \
    X(MAX_OF, "max_of", PREPROCESSOR)                  \
    X(MIN_OF, "min_of", PREPROCESSOR)

enum qry_token_type {
#define X(name, text, class) QRY_TOK_##name,
    QRY_TOKENS(X)
#undef X
        QRY_TOKEN_TYPES
};

enum qry_token_class qry_token_class(enum qry_token_type type);
/* The canonical text of a keyword or operator. */
const char *qry_token_text(enum qry_token_type type);

/* `text` is the source's bytes from `pos`; of a string with its quotes. */
struct qry_token {
    enum qry_token_type type;
    uint32_t pos;
    struct nx_view text;
};

static inline uint32_t qry_token_end(const struct qry_token *token)
{
    return token->pos + (uint32_t)token->text.len;
}

struct qry_lexer {
    struct nx_view text;
    uint32_t pos;
    uint32_t start; /* of the token being read */
    int64_t paren_depth;
    bool brace_open;
    bool bracket_open;
    bool duration_start;  /* inside brackets, up to the first number */
    bool got_colon;       /* since the last '[' */
    bool got_duration;    /* ever */
    struct nx_fail error; /* text of the ERROR token */
};

/* `text` must be shorter than 4 GiB and outlive the lexer and its tokens. */
void qry_lexer_init(struct qry_lexer *lexer, struct nx_view text);
/* The next token, comments left out. ERROR ends the scan: its text is in lexer->error, its position
 * in token->pos. After the end every further call gives EOF. */
void qry_lexer_next(struct qry_lexer *lexer, struct qry_token *token);

/* "identifier \"foo\"", "<op:+>", "end of input": what an "unexpected" message says of a token. */
void qry_token_describe(struct nx_buf *out, const struct qry_token *token);

/* The character at `offset` and its length in bytes: U+FFFD and 1 for bytes that are not UTF-8; -1
 * and 0 at the end. */
int32_t qry_decode_rune(struct nx_view text, size_t offset, uint32_t *width);

static inline bool qry_is_space(int32_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
static inline bool qry_is_digit(int32_t c)
{
    return c >= '0' && c <= '9';
}
static inline bool qry_is_alpha(int32_t c)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

#endif
