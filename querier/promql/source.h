/* Where the engine's series come from: the cluster, a test's memory, a rule evaluator's. The engine sees
 * storage through this only. */
#ifndef QRY_PROMQL_SOURCE_H
#define QRY_PROMQL_SOURCE_H

#include "common/chunk/sample.h"
#include "common/labels/matcher.h"

/* One selector of a query, with all it may read. */
struct qry_select {
    const struct nx_matcher *matchers;
    size_t matcher_count;
    int64_t min_t; /* inclusive, ms */
    int64_t max_t; /* inclusive, ms */
    int64_t step_ms;
    int64_t range_ms;     /* of a matrix selector; 0 */
    const char *func;     /* innermost function or aggregation over the selector; "" */
};

/* A selected series. Labels and `data` belong to the source and live until it is closed. */
struct qry_series {
    struct nx_labels labels;
    void *data;
};

struct qry_source;
struct qry_source_ops {
    /* The series matching, sorted by labels, each label set once; the array is the source's. May be called
     * several times for the same selector. NX_ERR_* with a text for the user. */
    enum nx_err (*select)(struct qry_source *source, const struct qry_select *select,
                          struct qry_series **series, size_t *count, struct nx_fail *fail);
    /* Samples of [min_t, max_t] of the select, ascending; free with nx_sample_iter_free. */
    enum nx_err (*open)(struct qry_source *source, const struct qry_series *series, int64_t min_t,
                        int64_t max_t, struct nx_sample_iter **out);
};
struct qry_source {
    const struct qry_source_ops *ops;
};

#endif
