#include "querier/promql/sample_counts.h"

#include "querier/promql/eval.h"

void qry_count_queryable(const struct qry_scope *scope, size_t i, uint64_t samples)
{
    struct qry_sample_counts *counts = &scope->ev->counts;
    if (counts->muted > 0)
        return;
    counts->queryable += samples;
    if (counts->queryable_at)
        counts->queryable_at[i < counts->steps ? i : counts->steps - 1] += samples;
}

/* The step of the query that a time of the scope belongs to. */
static size_t step_of(const struct qry_scope *scope, size_t i)
{
    const struct qry_eval_params *params = scope->ev->params;
    size_t last = scope->ev->counts.steps - 1;
    int64_t t = qry_time_add(qry_step_time(scope, i), scope->seen_later_ms);
    if (scope->pinned || t <= params->start_ms || last == 0)
        return 0;
    uint64_t behind = (uint64_t)t - (uint64_t)params->start_ms;
    uint64_t at = (behind - 1) / (uint64_t)params->step_ms + 1;
    return at < last ? (size_t)at : last;
}

void qry_count_read(const struct qry_scope *scope, size_t i, uint64_t samples)
{
    struct qry_sample_counts *counts = &scope->ev->counts;
    counts->read += samples;
    if (counts->read_at)
        counts->read_at[step_of(scope, i)] += samples;
}

void qry_count_repeated(const struct qry_scope *scope, uint64_t before, size_t steps)
{
    struct qry_sample_counts *counts = &scope->ev->counts;
    uint64_t once = counts->queryable - before;
    if (counts->muted > 0)
        return;
    counts->queryable += once * (steps - 1);
    for (size_t i = 1; i < steps && counts->queryable_at && i < counts->steps; i++)
        counts->queryable_at[i] += once;
}
