/* The typed tree of a PromQL expression. Nodes live in the arena of the parse; positions are byte
 * offsets into the query text, half open. */
#ifndef QRY_PROMQL_AST_H
#define QRY_PROMQL_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/labels/matcher.h"

/* What an expression yields. The texts ("scalar", "instant vector", ...) are those of Prometheus's
 * messages; the short ones ("scalar", "vector", "matrix", "string", "none") of its JSON. */
enum qry_type { QRY_TYPE_NONE, QRY_TYPE_SCALAR, QRY_TYPE_VECTOR, QRY_TYPE_MATRIX, QRY_TYPE_STRING };
const char *qry_type_text(enum qry_type type);
const char *qry_type_short(enum qry_type type);

/* Feature switches, named as Prometheus's --enable-feature values (reference section 0). */
struct qry_features {
    bool experimental_functions;
    bool duration_expressions;
    bool extended_range_selectors;
    bool binop_fill_modifiers;
    /* engine */
    bool delayed_name_removal;
    bool type_and_unit_labels;
    bool use_start_timestamps;
    bool per_step_stats;
};

enum qry_op {
    QRY_OP_ADD,
    QRY_OP_SUB,
    QRY_OP_MUL,
    QRY_OP_DIV,
    QRY_OP_MOD,
    QRY_OP_POW,
    QRY_OP_ATAN2,
    QRY_OP_EQ,
    QRY_OP_NE,
    QRY_OP_LT,
    QRY_OP_LE,
    QRY_OP_GT,
    QRY_OP_GE,
    QRY_OP_TRIM_UPPER, /* </ */
    QRY_OP_TRIM_LOWER, /* >/ */
    QRY_OP_AND,
    QRY_OP_OR,
    QRY_OP_UNLESS,
};
const char *qry_op_text(enum qry_op op);
static inline bool qry_op_is_comparison(enum qry_op op)
{
    return op >= QRY_OP_EQ && op <= QRY_OP_GE;
}
static inline bool qry_op_is_set(enum qry_op op)
{
    return op >= QRY_OP_AND;
}

enum qry_agg {
    QRY_AGG_SUM,
    QRY_AGG_AVG,
    QRY_AGG_COUNT,
    QRY_AGG_MIN,
    QRY_AGG_MAX,
    QRY_AGG_GROUP,
    QRY_AGG_STDDEV,
    QRY_AGG_STDVAR,
    QRY_AGG_TOPK,
    QRY_AGG_BOTTOMK,
    QRY_AGG_COUNT_VALUES,
    QRY_AGG_QUANTILE,
    QRY_AGG_LIMITK,
    QRY_AGG_LIMIT_RATIO,
};
const char *qry_agg_text(enum qry_agg agg);

enum qry_node_kind {
    QRY_NODE_NUMBER,
    QRY_NODE_STRING,
    QRY_NODE_SELECTOR, /* vector selector; with `range` a matrix selector */
    QRY_NODE_SUBQUERY,
    QRY_NODE_CALL,
    QRY_NODE_BINARY,
    QRY_NODE_UNARY,
    QRY_NODE_PAREN,
    QRY_NODE_AGGREGATE,
};

struct qry_pos {
    uint32_t start;
    uint32_t end;
};

/* --- durations -------------------------------------------------------------------------------- */
/* A duration where one is required: a literal, or an expression over literals, step(), range(),
 * min_of and max_of, whose value depends on the query (qry_resolve_durations). A literal in
 * parentheses is an expression: POS over the literal, wrapped. */
enum qry_duration_op {
    QRY_DUR_LITERAL,
    QRY_DUR_STEP,
    QRY_DUR_RANGE,
    QRY_DUR_MIN_OF,
    QRY_DUR_MAX_OF,
    QRY_DUR_ADD,
    QRY_DUR_SUB,
    QRY_DUR_MUL,
    QRY_DUR_DIV,
    QRY_DUR_MOD,
    QRY_DUR_POW,
    QRY_DUR_NEG,
    QRY_DUR_POS,
};
struct qry_duration {
    enum qry_duration_op op;
    struct qry_pos pos;
    double seconds;                 /* literal */
    bool is_duration;               /* literal written with units */
    bool wrapped;                   /* in parentheses */
    uint16_t depth;                 /* levels of the tree from here down, itself included */
    struct qry_duration *lhs, *rhs; /* unary: rhs only */
};

/* --- selectors' time modifiers, shared with subqueries ---------------------------------------- */
enum qry_at { QRY_AT_NONE, QRY_AT_TIME, QRY_AT_START, QRY_AT_END };
struct qry_modifiers {
    struct qry_duration *offset; /* NULL: none, or a literal 0; signed */
    int64_t offset_ms;     /* its value where it is a literal, and after qry_resolve_durations */
    bool operator_follows; /* arithmetic stands behind the operand; it is not the offset's (printer)
                            */
    enum qry_at at;
    int64_t at_ms;
};

struct qry_selector {
    struct nx_view name; /* written outside the braces; empty otherwise */
    struct nx_matcher
        *matchers; /* in written order, the outside name as an equality matcher last */
    size_t matcher_count;
    struct qry_duration *range; /* NULL: an instant vector selector */
    int64_t range_ms;           /* as offset_ms */
    struct qry_modifiers mod;
    bool anchored;
    bool smoothed;
    bool allow_empty;            /* second argument of info() */
    struct qry_pos selector_pos; /* of the selector alone, without range and modifiers */
};

struct qry_subquery {
    struct qry_expr *expr;
    struct qry_duration *range;
    int64_t range_ms;
    struct qry_duration *step; /* NULL: the default */
    int64_t step_ms;           /* 0: the default */
    struct qry_modifiers mod;
};

enum qry_card {
    QRY_CARD_ONE_TO_ONE,
    QRY_CARD_MANY_TO_ONE,
    QRY_CARD_ONE_TO_MANY,
    QRY_CARD_MANY_TO_MANY
};
const char *qry_card_text(enum qry_card card); /* "one-to-one", ... */

struct qry_matching {
    enum qry_card card;
    bool on;                /* labels are those of on(); else of ignoring() */
    struct nx_view *labels; /* as written */
    size_t label_count;
    struct nx_view *include; /* group_left/group_right (...) */
    size_t include_count;
    bool has_fill_lhs, has_fill_rhs;
    double fill_lhs, fill_rhs;
};

struct qry_binary {
    enum qry_op op;
    bool return_bool;
    struct qry_expr *lhs, *rhs;
    struct qry_matching *matching; /* NULL where an operand is a scalar */
    bool matching_written;         /* on/ignoring stood in the text (an empty ignoring() too) */
};

struct qry_aggregate {
    enum qry_agg agg;
    struct qry_expr *param; /* NULL: none */
    struct qry_expr *expr;
    bool without;
    bool grouping_written;    /* by or without stood in the text */
    struct nx_view *grouping; /* as written */
    size_t grouping_count;
};

struct qry_call {
    const struct qry_function *function;
    struct qry_expr **args;
    size_t arg_count;
};

struct qry_expr {
    enum qry_node_kind kind;
    enum qry_type type;
    uint16_t depth; /* levels of the tree from here down, itself included */
    struct qry_pos pos;
    union {
        struct {
            double value;
            bool is_duration; /* written with units: printed so */
        } number;
        struct nx_view string; /* unescaped */
        struct qry_selector selector;
        struct qry_subquery subquery;
        struct qry_call call;
        struct qry_binary binary;
        struct {
            bool minus;
            struct qry_expr *expr;
        } unary;
        struct qry_expr *paren;
        struct qry_aggregate aggregate;
    };
};

/* Limits of a query's tree. Prometheus has none; they keep every recursion over a tree off the
 * stack's end. */
#define QRY_MAX_NESTING 1000 /* parentheses, calls, signs within each other */
#define QRY_MAX_DEPTH 2000   /* levels of a tree: a chain of binary operators leans to the left */
#define QRY_MAX_REGEXES 1000 /* regular expressions in a query */
#define QRY_MAX_REGEX_BYTES ((size_t)128 << 20) /* what they may come to hold together */

/* A parsed query. Owns the arena with the tree and a copy of the text, and the matchers'
 * expressions. */
struct qry_query;
struct nx_fail;

/* Parses and type-checks. On failure `fail` holds Prometheus's message with its position
 * ("1:5: parse error: ..."). Depth of nesting and length of text are limited; memory is bounded by
 * both. */
enum nx_err qry_parse(struct nx_view text, const struct qry_features *features,
                      struct qry_query **out, struct nx_fail *fail) NX_WARN_UNUSED;
/* A selector alone (match[], series of rules): an instant vector selector without modifiers; its
 * matchers. */
enum nx_err qry_parse_selector(struct nx_view text, struct qry_query **out,
                               struct nx_fail *fail) NX_WARN_UNUSED;
void qry_query_free(struct qry_query *query);
struct qry_expr *qry_query_expr(struct qry_query *query);
struct nx_view qry_query_text(const struct qry_query *query);
struct nx_arena *qry_query_arena(struct qry_query *query);
/* "line:col" of a byte offset, both from 1, columns in bytes. */
void qry_position(struct nx_view text, uint32_t offset, uint32_t *line, uint32_t *col);

/* Evaluates every duration expression for a query of this step and range and stores the values in
 * the tree (start == end: step and range are 0). NX_ERR_EXECUTION with the reference's texts
 * (section 2.2). */
enum nx_err qry_resolve_durations(struct qry_query *query, int64_t start_ms, int64_t end_ms,
                                  int64_t step_ms, struct nx_fail *fail) NX_WARN_UNUSED;

/* Calls `visit` for every node, parents first; false stops. */
bool qry_walk(struct qry_expr *expr, bool (*visit)(struct qry_expr *expr, void *user), void *user);

#endif
