/* What the files of the evaluator share: the state of one evaluation, the grid of steps a node is
 * evaluated on, and the value a node yields. Private to querier/promql.
 *
 * A node is evaluated over all steps of its scope at once, into a matrix: one row a series, in each
 * row one cell a step. Everything is reached by one thread. */
#ifndef QRY_PROMQL_EVAL_H
#define QRY_PROMQL_EVAL_H

#include "common/base/index.h"
#include "querier/promql/annotations.h"
#include "querier/promql/engine.h"
#include "querier/promql/function_table.h"
#include "querier/promql/histogram_math.h"
#include "querier/promql/sample_counts.h"

/* --- memory --- */
/* An arena counted against the query's memory. A matrix owns one, and those it took over from
 * others. */
struct qry_pool {
    struct nx_arena arena;
    struct qry_pool *prev, *next; /* all live ones of the evaluation */
    struct qry_pool *adopted;     /* taken over, freed together with this one */
};

struct qry_eval {
    struct qry_query *query;
    struct qry_source *source;
    const struct qry_eval_params *params;
    struct nx_fail *fail;
    struct qry_pool *pools;
    struct qry_pool *names; /* label sets and what else lives as long as the query */
    size_t window_bytes;    /* heap held by range windows */
    size_t regex_bytes;     /* what the expressions of label_replace may come to hold */
    struct qry_annotations notes;
    uint64_t samples; /* held now, as Prometheus counts them */
    uint64_t peak_samples;
    struct qry_sample_counts counts;
    uint32_t work; /* since the last look at clock and cancellation */
};

/* The steps start, start + step, ... that a subtree is evaluated on. */
struct qry_scope {
    struct qry_eval *ev;
    int64_t start, step;
    int64_t end;      /* may lie behind the last step */
    size_t steps;     /* at least 1 */
    const char *func; /* innermost function or aggregation around; "" */
    bool stats;       /* histograms are read for count and sum only (reference 14.7) */
    /* below subqueries: a time of this scope is seen so much later by the query, or, below @, by
     * its first step */
    int64_t seen_later_ms;
    bool pinned;
    bool is_result; /* the range vector at hand is the query's result */
};

static inline int64_t qry_step_time(const struct qry_scope *scope, size_t i)
{
    return scope->start + (int64_t)i * scope->step;
}
static inline int64_t qry_last_time(const struct qry_scope *scope)
{
    return qry_step_time(scope, scope->steps - 1);
}
/* Differences and sums of times that stop at the ends of the range instead of overflowing. */
static inline int64_t qry_time_add(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}
static inline int64_t qry_time_sub(int64_t a, int64_t b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a, b, &difference))
        return b > 0 ? INT64_MIN : INT64_MAX;
    return difference;
}

/* --- budget.c --- */
struct qry_pool *qry_pool_new(struct qry_eval *ev) NX_WARN_UNUSED;
void qry_pool_free(struct qry_eval *ev, struct qry_pool *pool);
/* Bytes held by all pools and windows. */
size_t qry_memory_used(const struct qry_eval *ev);
/* The error of an allocation that failed: the query's limit or no memory. */
enum nx_err qry_no_memory(struct qry_eval *ev) NX_WARN_UNUSED;
enum nx_err qry_over_memory(struct qry_eval *ev) NX_WARN_UNUSED;
/* Looks at clock, cancellation and memory. */
enum nx_err qry_check_budget(struct qry_eval *ev) NX_WARN_UNUSED;
/* What handling a histogram costs, in floats. */
#define QRY_HISTOGRAM_WORK 16
/* To be called with the number of samples or cells handled; calls qry_check_budget now and then. */
static inline enum nx_err NX_WARN_UNUSED qry_work(struct qry_eval *ev, size_t amount)
{
    ev->work += amount > 8192 ? 8192 : (uint32_t)amount;
    return ev->work < 8192 ? NX_OK : qry_check_budget(ev);
}
/* Counts samples held; NX_ERR_LIMIT beyond max_samples. */
enum nx_err qry_hold_samples(struct qry_eval *ev, uint64_t samples) NX_WARN_UNUSED;
static inline void qry_drop_samples(struct qry_eval *ev, uint64_t samples)
{
    ev->samples -= samples;
}

/* --- matrix.c --- */
/* A cell without a sample: the stale marker's bits, which no result ever holds. */
#define QRY_ABSENT nx_double_from_bits(NX_STALE_NAN_BITS)

/* A step holds a float (values[i]), or a histogram (histograms[i], while values[i] is absent), or
 * nothing. */
struct qry_row {
    struct nx_labels labels;
    double *values;
    const struct nx_histogram **histograms; /* NULL: none at any step */
    bool drop_name;                         /* delayed name removal: to be dropped at the end */
};

struct qry_matrix {
    struct qry_eval *ev;
    struct qry_pool *pool; /* rows, cells, histograms */
    struct qry_row *rows;
    size_t count, capacity;
    size_t steps;
    double *spare;    /* cells of a row that was taken back */
    uint64_t samples; /* counted as held */
};

static inline bool qry_has_float(const struct qry_row *row, size_t i)
{
    return !nx_is_stale(row->values[i]);
}
static inline const struct nx_histogram *qry_histogram_at(const struct qry_row *row, size_t i)
{
    return row->histograms ? row->histograms[i] : NULL;
}
static inline bool qry_has_point(const struct qry_row *row, size_t i)
{
    return qry_has_float(row, i) || qry_histogram_at(row, i);
}

enum nx_err qry_matrix_init(struct qry_matrix *matrix, struct qry_eval *ev,
                            size_t steps) NX_WARN_UNUSED;
/* Safe on a matrix of zero bytes, and twice. */
void qry_matrix_release(struct qry_matrix *matrix);
/* A new row with all cells absent. The pointer is good until the next row is added. */
enum nx_err qry_matrix_add(struct qry_matrix *matrix, struct nx_labels labels, bool drop_name,
                           struct qry_row **row) NX_WARN_UNUSED;
/* Adds a row that shares the cells of another matrix, which must be adopted. */
enum nx_err qry_matrix_share(struct qry_matrix *matrix, const struct qry_row *row) NX_WARN_UNUSED;
/* Takes the last row back where it has no point. */
void qry_matrix_drop_last_if_empty(struct qry_matrix *matrix);
enum nx_err qry_row_put_histogram(struct qry_matrix *matrix, struct qry_row *row, size_t i,
                                  const struct nx_histogram *histogram) NX_WARN_UNUSED;
/* The memory of `from`, which is left empty, lives on as part of `matrix`. */
void qry_matrix_adopt(struct qry_matrix *matrix, struct qry_matrix *from);
bool qry_matrix_has_histograms(const struct qry_matrix *matrix);
/* Forgets all histograms. */
void qry_matrix_floats_only(struct qry_matrix *matrix);
/* Leaves out rows without a point and counts the samples held. */
enum nx_err qry_matrix_settle(struct qry_matrix *matrix) NX_WARN_UNUSED;
/* Rows with equal labels become one, where no step has both; else the duplicate error. */
enum nx_err qry_matrix_merge(struct qry_matrix *matrix) NX_WARN_UNUSED;
/* The same for the outcome of an operation on vectors. With delayed name removal an instant query
 * is checked at its end only. */
enum nx_err qry_matrix_check(const struct qry_scope *scope,
                             struct qry_matrix *matrix) NX_WARN_UNUSED;
/* The duplicate error where two rows have equal labels. */
enum nx_err qry_matrix_require_unique(struct qry_matrix *matrix) NX_WARN_UNUSED;
/* Sorts rows by labels. */
void qry_matrix_sort(struct qry_matrix *matrix);
enum nx_err qry_duplicate_error(struct qry_eval *ev) NX_WARN_UNUSED;

/* --- labels of results (row_labels.c) --- */
/* Without __name__, __type__ and __unit__. */
enum nx_err qry_labels_without_metadata(struct qry_eval *ev, struct nx_labels labels,
                                        struct nx_labels *out) NX_WARN_UNUSED;
enum nx_err qry_labels_without(struct qry_eval *ev, struct nx_labels labels, struct nx_view name,
                               struct nx_labels *out) NX_WARN_UNUSED;
/* Marks the row, or drops the labels at once, as the query's features say. */
enum nx_err qry_row_drop_name(struct qry_eval *ev, struct qry_row *row) NX_WARN_UNUSED;
enum nx_err qry_rows_drop_name(struct qry_matrix *matrix) NX_WARN_UNUSED;
/* As Go prints a label set in errors: `{__name__="x", a="b"}`. */
void qry_print_label_set(struct nx_buf *buf, struct nx_labels labels);
static inline struct nx_view qry_metric_name(struct nx_labels labels)
{
    return nx_labels_get(labels, NX_LABEL_METRIC_NAME);
}
static inline bool qry_delayed_names(const struct qry_eval *ev)
{
    return ev->params->features.delayed_name_removal;
}

/* --- evaluation --- */
/* Records a failure in Prometheus's words. */
enum nx_err qry_error(struct qry_eval *ev, const char *format, ...) NX_PRINTF(2, 3) NX_WARN_UNUSED;

/* The grid of the whole query. */
enum nx_err qry_scope_init(struct qry_eval *ev, struct qry_scope *scope) NX_WARN_UNUSED;
/* A scalar or an instant vector over all steps of the scope. A scalar is one row without labels
 * that has a float at each step. `out` is written on success only. */
enum nx_err qry_eval_expr(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out) NX_WARN_UNUSED;
/* Through parentheses. */
struct qry_expr *qry_unwrap(struct qry_expr *expr);
const struct qry_expr *qry_unwrap_const(const struct qry_expr *expr);
/* The text of a string literal. */
struct nx_view qry_string_of(const struct qry_expr *expr);
/* Whether the subtree yields the same at each step (reference 5.6). */
bool qry_is_invariant(const struct qry_expr *expr);

enum nx_err qry_eval_aggregate(const struct qry_scope *scope, struct qry_expr *expr,
                               struct qry_matrix *out) NX_WARN_UNUSED;
enum nx_err qry_eval_binary(const struct qry_scope *scope, struct qry_expr *expr,
                            struct qry_matrix *out) NX_WARN_UNUSED;
enum nx_err qry_eval_call(const struct qry_scope *scope, struct qry_expr *expr,
                          struct qry_matrix *out) NX_WARN_UNUSED;

/* What an instant selector's cells hold. */
enum qry_pick {
    QRY_PICK_VALUE,
    QRY_PICK_TIME,       /* the sample's own, in seconds */
    QRY_PICK_START_TIME, /* likewise */
    QRY_PICK_INFO_TIME,  /* the sample's own, in seconds; a histogram is an error */
};
enum nx_err qry_eval_selector(const struct qry_scope *scope, struct qry_expr *expr,
                              enum qry_pick pick, struct qry_matrix *out) NX_WARN_UNUSED;
/* The time a selector or subquery refers to, at evaluation time t. */
int64_t qry_reference_time(const struct qry_eval *ev, const struct qry_modifiers *mod, int64_t t);
/* Asks the source; its failure gets Prometheus's prefix. */
enum nx_err qry_select_series(struct qry_eval *ev, const struct qry_select *select,
                              struct qry_series **series, size_t *count) NX_WARN_UNUSED;
/* Turns what an iterator returned into an error of the query. */
enum nx_err qry_iter_error(struct qry_eval *ev, int status) NX_WARN_UNUSED;

#endif
