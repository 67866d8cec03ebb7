/* Parameters of /api/v1/cardinality/..., with Mimir's names, bounds and error texts. */
#ifndef QRY_API_CARDINALITY_PARAMS_H
#define QRY_API_CARDINALITY_PARAMS_H

#include "querier/api/job.h"

/* A series counts as active that long after its newest sample. */
#define QRY_ACTIVE_SERIES_MS (INT64_C(20) * 60 * 1000)

struct qry_cardinality_params {
    struct qry_query *query; /* of the selector; NULL: none given */
    struct qry_matcher_set matchers;
    uint64_t limit;       /* items of a list */
    int64_t active_since; /* ms; 0: all series in memory */
};

/* Each of them; false (and the operation has failed) where one is wrong. What the selector holds is
 * released by qry_cardinality_params_release. */
bool qry_cardinality_selector(struct qry_job *op, struct qry_cardinality_params *params);
bool qry_cardinality_limit(struct qry_job *op, struct qry_cardinality_params *params);
bool qry_cardinality_method(struct qry_job *op, struct qry_cardinality_params *params);
void qry_cardinality_params_release(struct qry_cardinality_params *params);

#endif
