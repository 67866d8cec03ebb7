/* What the files of the aggregations share. */
#ifndef QRY_PROMQL_AGGREGATE_H
#define QRY_PROMQL_AGGREGATE_H

#include "querier/promql/grouping.h"

struct qry_aggregation {
    const struct qry_scope *scope;
    const struct qry_expr *expr; /* the aggregation */
    struct qry_matrix *input;
    struct qry_grouping *grouping;
    struct qry_members members;
    struct nx_arena *scratch;
    const double *param; /* one a step; NULL: none */
};

/* Reduces each group to one series (sum, avg, count, min, max, group, stddev, stdvar, quantile). */
enum nx_err qry_aggregate_reduce(struct qry_aggregation *agg,
                                 struct qry_matrix *out) NX_WARN_UNUSED;
/* Strikes from the input what topk, bottomk, limitk and limit_ratio do not keep. */
enum nx_err qry_aggregate_select(struct qry_aggregation *agg) NX_WARN_UNUSED;
enum nx_err qry_aggregate_count_values(struct qry_aggregation *agg, struct nx_view label,
                                       struct qry_matrix *out) NX_WARN_UNUSED;
/* Checks the parameter over all steps; *empty: nothing can come of it. */
enum nx_err qry_aggregate_check_param(struct qry_aggregation *agg, bool *empty) NX_WARN_UNUSED;
void qry_aggregate_note_ignored(const struct qry_aggregation *agg);

#endif
