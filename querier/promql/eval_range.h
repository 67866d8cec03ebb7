/* Range vectors: the series of a matrix selector or subquery, and windows that slide over one
 * series at a time. */
#ifndef QRY_PROMQL_EVAL_RANGE_H
#define QRY_PROMQL_EVAL_RANGE_H

#include "querier/promql/eval_selector.h"

/* The samples of one series that a step sees, floats and histograms apart, each ascending in time.
 * Stale markers are left out. For anchored and smoothed ranges it holds the samples around (start,
 * end] as well. */
struct qry_window {
    int64_t eval_t;     /* the step */
    int64_t start, end; /* the range (start, end] */
    const int64_t *t;
    const double *v;
    const int64_t *st; /* start timestamps; NULL where they are not in use */
    size_t count;
    const int64_t *ht;
    const struct nx_histogram *const *h;
    const int64_t *hst;
    size_t hcount;
};

/* A range vector expression, opened over a scope. */
struct qry_ranges {
    const struct qry_scope *scope;
    const struct qry_expr *expr;
    const struct qry_modifiers *mod;
    int64_t range_ms;
    int64_t before_ms, after_ms; /* fetched around the range (anchored, smoothed) */
    size_t count;
    /* selector */
    struct qry_select select;
    struct qry_series *series;
    /* subquery */
    struct qry_matrix inner;
    struct qry_scope inner_scope;
};
enum nx_err qry_ranges_open(const struct qry_scope *scope, struct qry_expr *expr,
                            struct qry_ranges *out) NX_WARN_UNUSED;
void qry_ranges_close(struct qry_ranges *ranges);
struct nx_labels qry_ranges_labels(const struct qry_ranges *ranges, size_t i);
bool qry_ranges_drop_name(const struct qry_ranges *ranges, size_t i);
/* Opens a subquery: evaluates its expression on its own grid. */
enum nx_err qry_subquery_open(const struct qry_scope *scope, struct qry_expr *expr,
                              struct qry_ranges *out) NX_WARN_UNUSED;
/* The grid of a subquery; false where it has no step. */
bool qry_subquery_scope(const struct qry_scope *scope, const struct qry_subquery *subquery,
                        struct qry_scope *out);
/* What a matrix selector asks of the source. */
struct qry_select qry_range_select(const struct qry_scope *scope,
                                   const struct qry_selector *selector);

/* A reader of windows; serves one series after the other with the same buffers. */
struct qry_reader {
    const struct qry_ranges *ranges;
    struct qry_eval *ev;
    bool keep_starts;
    /* floats [head, len) of t, v, st; histograms likewise */
    int64_t *t, *st;
    double *v;
    size_t head, len, capacity;
    int64_t *ht, *hst;
    const struct nx_histogram **h;
    size_t hhead, hlen, hcapacity;
    struct qry_pool *histograms[2]; /* copies; the live ones are in [turn] */
    unsigned turn;
    uint64_t held;
    uint64_t entered; /* since the window before */
    /* where the samples come from */
    struct nx_sample_iter *it;
    struct nx_sample next;
    bool has_next;
    struct qry_stats *stats;
    struct qry_stats stats_state;
    struct nx_histogram stats_next;
    const struct qry_row *row;
    size_t row_at;
};
enum nx_err qry_reader_init(struct qry_reader *reader,
                            const struct qry_ranges *ranges) NX_WARN_UNUSED;
void qry_reader_release(struct qry_reader *reader);
/* Begins series i of the ranges; forgets the one before. */
enum nx_err qry_reader_begin(struct qry_reader *reader, size_t i) NX_WARN_UNUSED;
/* The window of a step; steps in ascending order. */
enum nx_err qry_reader_window(struct qry_reader *reader, size_t step,
                              struct qry_window *out) NX_WARN_UNUSED;

/* --- functions over windows --- */
struct qry_range_call {
    const struct qry_scope *scope;
    const struct qry_expr *expr; /* the call */
    const struct qry_expr *arg;  /* its range vector */
    const struct qry_ranges *ranges;
    struct nx_labels labels; /* of the series, with its name */
    size_t step;
    const double *scalars[2]; /* values of the scalar arguments, one a step */
    struct nx_arena *arena;   /* of the result */
    struct nx_arena *scratch; /* emptied after each window */
    struct qry_matrix *out;
};

/* What a function yields for a window: a float, a histogram (in call->arena), or nothing. */
struct qry_yield {
    double value; /* QRY_ABSENT: none */
    const struct nx_histogram *histogram;
};
/* `*out` is absent on entry. */
typedef enum nx_err (*qry_range_function)(struct qry_range_call *call,
                                          const struct qry_window *window, struct qry_yield *out);

/* Applies a function to each window of each series. */
enum nx_err qry_eval_range_call(const struct qry_scope *scope, struct qry_expr *expr,
                                qry_range_function function, bool keep_name,
                                struct qry_matrix *out) NX_WARN_UNUSED;
/* The same over ranges already open; `expr` is what annotations point to. Names are kept. */
enum nx_err qry_apply_range(const struct qry_scope *scope, const struct qry_expr *expr,
                            const struct qry_ranges *ranges, qry_range_function function,
                            struct qry_matrix *out) NX_WARN_UNUSED;
void qry_range_note(struct qry_range_call *call, enum qry_note_id id);

#endif
