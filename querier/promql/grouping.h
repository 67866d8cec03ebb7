/* Label sets cut down to a key, and the groups of equal keys: for aggregation and for vector
 * matching. A series gets its group once, not at every step. */
#ifndef QRY_PROMQL_GROUPING_H
#define QRY_PROMQL_GROUPING_H

#include "querier/promql/eval.h"

struct qry_grouping {
    struct qry_eval *ev;
    bool by;               /* the key is the names listed; else all labels but those and __name__ */
    struct nx_view *names; /* sorted, each once */
    size_t name_count;
    struct nx_index index;
    struct nx_labels *groups; /* the keys; labels live as long as the query */
    size_t count, capacity;
    struct nx_label *scratch;
    size_t scratch_capacity;
};

/* `extra`, where not empty, is one more name of the list. */
enum nx_err qry_grouping_init(struct qry_grouping *grouping, struct qry_eval *ev, bool by,
                              const struct nx_view *names, size_t count,
                              struct nx_view extra) NX_WARN_UNUSED;
/* The key is all labels but `name`, the metric's name included. */
enum nx_err qry_grouping_init_except(struct qry_grouping *grouping, struct qry_eval *ev,
                                     struct nx_view name) NX_WARN_UNUSED;
void qry_grouping_release(struct qry_grouping *grouping);
/* The group of a series, which is made where it is new. */
enum nx_err qry_grouping_of(struct qry_grouping *grouping, struct nx_labels labels,
                            uint32_t *group) NX_WARN_UNUSED;
/* The group whose key is exactly `labels`, or NX_INDEX_NONE. */
uint32_t qry_grouping_find(const struct qry_grouping *grouping, struct nx_labels labels);

/* The rows of a matrix by group: those of group g are rows[start[g]] ... rows[start[g + 1] - 1], in
 * the matrix's order. Arrays in the pool. */
struct qry_members {
    uint32_t *group; /* of each row */
    uint32_t *start;
    uint32_t *rows;
};
/* Sorts rows into groups; `group` is filled already. */
enum nx_err qry_members_of(struct qry_members *members, struct qry_eval *ev, struct nx_arena *arena,
                           size_t row_count, size_t group_count) NX_WARN_UNUSED;
/* Finds the groups of all rows, into `group` of `members`. */
enum nx_err qry_group_rows(struct qry_grouping *grouping, const struct qry_matrix *matrix,
                           struct nx_arena *arena, struct qry_members *members) NX_WARN_UNUSED;

#endif
