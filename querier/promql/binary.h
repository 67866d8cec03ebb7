/* What the files of the binary operators share. */
#ifndef QRY_PROMQL_BINARY_H
#define QRY_PROMQL_BINARY_H

#include "querier/promql/eval.h"

/* An element of a vector, or a scalar: a histogram where it is set, else a float. */
struct qry_element {
    double value;
    const struct nx_histogram *histogram;
};

/* What came of a pair. */
struct qry_outcome {
    struct qry_element element;
    bool keep;    /* a comparison held; anything else keeps */
    bool dropped; /* the pair yields nothing, not even 0 with bool */
    bool noted;   /* `note` is to be recorded, unless a later pair of the step has one */
    enum qry_note_id note;
    struct qry_note_args args;
};

/* Applies a non-set operator to two elements of vectors. Histograms that come of it are in the
 * arena. */
enum nx_err qry_apply_elements(struct qry_eval *ev, struct nx_arena *arena, enum qry_op op,
                               struct qry_element lhs, struct qry_element rhs,
                               struct qry_outcome *out) NX_WARN_UNUSED;
double qry_apply_arithmetic(enum qry_op op, double lhs, double rhs);
bool qry_apply_comparison(enum qry_op op, double lhs, double rhs);
static inline bool qry_op_is_trim(enum qry_op op)
{
    return op == QRY_OP_TRIM_UPPER || op == QRY_OP_TRIM_LOWER;
}
/* Operators after which a value is no longer that of the metric. */
static inline bool qry_op_changes_metric(enum qry_op op)
{
    return op <= QRY_OP_ATAN2;
}

/* The last note of each step; recorded together at the end. */
struct qry_step_notes {
    struct qry_eval *ev;
    struct qry_pos pos;
    struct nx_arena *arena;
    size_t steps;
    struct qry_step_note {
        bool set;
        enum qry_note_id id;
        struct qry_note_args args;
    } * notes; /* NULL: none yet */
};
enum nx_err qry_step_note(struct qry_step_notes *notes, size_t step,
                          const struct qry_outcome *outcome) NX_WARN_UNUSED;
void qry_step_notes_record(const struct qry_step_notes *notes);

/* vector_match.c: arithmetic and comparison of two vectors; both are used up. */
enum nx_err qry_match_vectors(const struct qry_scope *scope, const struct qry_expr *expr,
                              struct qry_matrix *lhs, struct qry_matrix *rhs,
                              struct qry_matrix *out) NX_WARN_UNUSED;
/* set_operators.c: and, or, unless; both are used up. */
enum nx_err qry_combine_sets(const struct qry_scope *scope, const struct qry_expr *expr,
                             struct qry_matrix *lhs, struct qry_matrix *rhs,
                             struct qry_matrix *out) NX_WARN_UNUSED;

#endif
