/* Evaluation of a parsed query over a source. Synchronous and CPU-bound: it belongs on a lane. It holds no
 * state between queries; one query is evaluated by one thread, several may run side by side. */
#ifndef QRY_PROMQL_ENGINE_H
#define QRY_PROMQL_ENGINE_H

#include <stdatomic.h>

#include "common/base/arena.h"
#include "common/base/time.h"
#include "querier/promql/ast.h"
#include "querier/promql/source.h"

struct qry_limits {
    int64_t lookback_ms;          /* 5 min */
    int64_t default_step_ms;      /* of subqueries; 1 min */
    uint64_t max_samples;         /* 50,000,000; loaded and held at a time, as Prometheus counts them */
    size_t max_memory_bytes;      /* of one evaluation */
    uint64_t deadline_ns;         /* monotonic clock of the process; 0 = none */
};

struct qry_eval_params {
    int64_t start_ms, end_ms;
    int64_t step_ms; /* 0: an instant query at start_ms == end_ms */
    struct qry_features features;
    struct qry_limits limits;
    const struct nx_clock *clock;
    const atomic_bool *cancel; /* may be NULL; checked at least every few ms of work */
};

/* One point: a float, or a histogram where `histogram` is set. */
struct qry_point {
    int64_t t;
    double value;
    const struct nx_histogram *histogram;
};

struct qry_result_series {
    struct nx_labels labels;
    struct qry_point *points;
    size_t count;
};

struct qry_annotation {
    bool warning; /* else info */
    struct nx_view text; /* with prefix and position: "PromQL info: ... (1:5)" */
};

/* The result and all it points to live in its arena. */
struct qry_result {
    struct nx_arena arena;
    enum qry_type type; /* VECTOR: one point a series, at start_ms; MATRIX; SCALAR: series[0].points[0]; STRING */
    struct qry_result_series *series;
    size_t count;
    struct nx_view string;
    struct qry_annotation *annotations;
    size_t annotation_count;
    /* querier/promql/sample_counts.h; by step only with the feature per_step_stats, else NULL */
    uint64_t samples_queryable, samples_read;
    const uint64_t *samples_queryable_at, *samples_read_at;
    size_t steps;
    uint64_t peak_samples;
};

/* The selects a query will make, for a source that has to fetch them beforehand. After
 * qry_resolve_durations. Array in the query's arena; equal ones may repeat. */
enum nx_err qry_plan(struct qry_query *query, const struct qry_eval_params *params,
                     struct qry_select **selects, size_t *count, struct nx_fail *fail) NX_WARN_UNUSED;

/* Evaluates. NX_ERR_EXECUTION, _LIMIT, _TIMEOUT, _CANCELED, _NOMEM ... with Prometheus's text. The result is
 * written on success only; release it with qry_result_release. */
enum nx_err qry_evaluate(struct qry_query *query, struct qry_source *source,
                         const struct qry_eval_params *params, struct qry_result *out, struct nx_fail *fail)
    NX_WARN_UNUSED;
void qry_result_release(struct qry_result *result);

#endif
