/* Aggregations that make one series of a group. The series of the group are added one after the
 * other into accumulators over the steps, in the order they come, which fixes the rounding. */
#include <math.h>

#include "querier/promql/aggregate.h"
#include "querier/promql/histogram_sum.h"
#include "querier/promql/numeric.h"

/* What a group has seen at a step. */
enum { SEEN_FLOAT = 1, SEEN_HISTOGRAM = 2, INCOMPATIBLE = 4 };

struct reduction {
    struct qry_aggregation *agg;
    enum qry_agg op;
    size_t steps;
    uint8_t *seen;
    double *count;
    double *value; /* sum, extreme, or Welford's sum of squares */
    double *mean;  /* compensation, or Welford's mean */
    uint8_t *incremental;
    struct qry_histogram_sum *histograms; /* NULL until one is met */
    struct qry_pool *pool;                /* of the histograms of one group */
};

static bool takes_histograms(enum qry_agg op)
{
    return op == QRY_AGG_SUM || op == QRY_AGG_AVG || op == QRY_AGG_COUNT || op == QRY_AGG_GROUP;
}

/* --- floats --- */

static void add_to_sum(struct reduction *r, size_t i, double v)
{
    struct qry_kahan k = {.sum = r->value[i], .c = r->mean[i]};
    qry_kahan_add(&k, v);
    r->value[i] = k.sum;
    r->mean[i] = k.c;
}

static void add_to_mean(struct reduction *r, size_t i, double v)
{
    struct qry_mean m = {.k = {.sum = r->value[i], .c = r->mean[i]},
                         .count = r->count[i] - 1,
                         .incremental = r->incremental[i]};
    qry_mean_add(&m, v);
    r->value[i] = m.k.sum;
    r->mean[i] = m.k.c;
    r->incremental[i] = (uint8_t)m.incremental;
}

static void add_to_variance(struct reduction *r, size_t i, double v)
{
    double delta = v - r->mean[i];
    r->mean[i] += delta / r->count[i];
    r->value[i] += delta * (v - r->mean[i]);
}

static void first_float(struct reduction *r, size_t i, double v)
{
    r->value[i] = v;
    r->mean[i] = 0;
    r->incremental[i] = 0;
    if (r->op == QRY_AGG_STDDEV || r->op == QRY_AGG_STDVAR) {
        r->mean[i] = v;
        r->value[i] = isnan(v) || isinf(v) ? QRY_F_NAN : 0;
    }
}

static void add_float(struct reduction *r, size_t i, double v)
{
    r->count[i]++;
    if (!(r->seen[i] & SEEN_FLOAT)) {
        r->seen[i] |= SEEN_FLOAT;
        first_float(r, i, v);
        return;
    }
    switch (r->op) {
    case QRY_AGG_SUM:
        add_to_sum(r, i, v);
        break;
    case QRY_AGG_AVG:
        add_to_mean(r, i, v);
        break;
    case QRY_AGG_MIN:
        if (v < r->value[i] || isnan(r->value[i]))
            r->value[i] = v;
        break;
    case QRY_AGG_MAX:
        if (v > r->value[i] || isnan(r->value[i]))
            r->value[i] = v;
        break;
    case QRY_AGG_STDDEV:
    case QRY_AGG_STDVAR:
        add_to_variance(r, i, v);
        break;
    case QRY_AGG_COUNT:
    case QRY_AGG_GROUP:
    case QRY_AGG_TOPK:
    case QRY_AGG_BOTTOMK:
    case QRY_AGG_COUNT_VALUES:
    case QRY_AGG_QUANTILE:
    case QRY_AGG_LIMITK:
    case QRY_AGG_LIMIT_RATIO:
        break;
    }
}

static double float_result(const struct reduction *r, size_t i)
{
    double variance = r->value[i] / r->count[i];
    switch (r->op) {
    case QRY_AGG_SUM:
        return r->value[i] + r->mean[i];
    case QRY_AGG_AVG:
        return qry_mean_result(&(struct qry_mean){.k = {.sum = r->value[i], .c = r->mean[i]},
                                                  .count = r->count[i],
                                                  .incremental = r->incremental[i]});
    case QRY_AGG_STDDEV:
        return sqrt(variance);
    case QRY_AGG_STDVAR:
        return variance;
    case QRY_AGG_COUNT:
        return r->count[i];
    case QRY_AGG_GROUP:
        return 1;
    case QRY_AGG_MIN:
    case QRY_AGG_MAX:
    case QRY_AGG_TOPK:
    case QRY_AGG_BOTTOMK:
    case QRY_AGG_COUNT_VALUES:
    case QRY_AGG_QUANTILE:
    case QRY_AGG_LIMITK:
    case QRY_AGG_LIMIT_RATIO:
        break;
    }
    return r->value[i];
}

/* --- histograms --- */

static enum nx_err add_histogram(struct reduction *r, size_t i, const struct qry_row *row)
{
    struct qry_eval *ev = r->agg->scope->ev;

    if (!takes_histograms(r->op)) {
        qry_aggregate_note_ignored(r->agg);
        return NX_OK;
    }
    r->count[i]++;
    r->seen[i] |= SEEN_HISTOGRAM;
    if (r->op == QRY_AGG_COUNT || r->op == QRY_AGG_GROUP || (r->seen[i] & INCOMPATIBLE))
        return NX_OK;
    if (!r->histograms) {
        r->histograms = nx_arena_calloc(&r->pool->arena, r->steps, sizeof *r->histograms);
        if (!r->histograms)
            return qry_no_memory(ev);
    }
    enum nx_err err = qry_work(ev, QRY_HISTOGRAM_WORK);
    if (err)
        return err;
    err = qry_histogram_sum_add(&r->histograms[i], &r->pool->arena, row->histograms[i],
                                r->op == QRY_AGG_AVG);
    if (err == NX_ERR_INVALID) {
        r->seen[i] |= INCOMPATIBLE;
        qry_annotations_add(&ev->notes, QRY_NOTE_MIXED_SCHEMAS, r->agg->expr->aggregate.expr->pos,
                            &(struct qry_note_args){.a = qry_metric_name(row->labels)});
        return NX_OK;
    }
    return err ? qry_no_memory(ev) : NX_OK;
}

static enum nx_err put_histogram(struct reduction *r, size_t i, struct qry_matrix *out,
                                 struct qry_row *row)
{
    struct qry_histogram_sum *sum = &r->histograms[i];
    struct qry_eval *ev = r->agg->scope->ev;

    qry_histogram_sum_note(sum, ev, r->agg->expr->aggregate.expr->pos);
    struct nx_histogram *h = qry_histogram_sum_result(sum, &r->pool->arena, r->op == QRY_AGG_AVG);
    if (h)
        h = qry_histogram_compact(&out->pool->arena, h);
    return h ? qry_row_put_histogram(out, row, i, h) : qry_no_memory(ev);
}

/* --- groups --- */

static enum nx_err add_row(struct reduction *r, const struct qry_row *row)
{
    for (size_t i = 0; i < r->steps; i++) {
        if (qry_has_float(row, i))
            add_float(r, i, row->values[i]);
    }
    for (size_t i = 0; row->histograms && i < r->steps; i++) {
        enum nx_err err;
        if (row->histograms[i] && (err = add_histogram(r, i, row)))
            return err;
    }
    return qry_work(r->agg->scope->ev, r->steps);
}

static enum nx_err put_group(struct reduction *r, struct qry_matrix *out, struct qry_row *row)
{
    bool sums = r->op == QRY_AGG_SUM || r->op == QRY_AGG_AVG;
    enum nx_err err = NX_OK;

    for (size_t i = 0; i < r->steps && err == NX_OK; i++) {
        bool floats = r->seen[i] & SEEN_FLOAT;
        bool histograms = r->seen[i] & SEEN_HISTOGRAM;
        if (sums && floats && histograms) {
            qry_annotations_add(&r->agg->scope->ev->notes, QRY_NOTE_MIXED_AGGREGATE,
                                r->agg->expr->aggregate.expr->pos, &(struct qry_note_args){.x = 0});
        } else if (r->seen[i] & INCOMPATIBLE) {
            continue;
        } else if (sums && histograms) {
            err = put_histogram(r, i, out, row);
        } else if (floats || histograms) {
            row->values[i] = float_result(r, i);
        }
    }
    return err;
}

static enum nx_err reduce_group(struct reduction *r, size_t group, struct qry_matrix *out)
{
    const struct qry_members *members = &r->agg->members;
    struct qry_row *row;
    enum nx_err err = qry_matrix_add(out, r->agg->grouping->groups[group], false, &row);
    if (err)
        return err;
    memset(r->seen, 0, r->steps);
    memset(r->count, 0, r->steps * sizeof *r->count);
    for (uint32_t m = members->start[group]; m < members->start[group + 1]; m++) {
        const struct qry_row *from = &r->agg->input->rows[members->rows[m]];
        row->drop_name = row->drop_name || from->drop_name;
        if ((err = add_row(r, from)))
            return err;
    }
    if ((err = put_group(r, out, row)))
        return err;
    if (r->histograms) {
        r->histograms = NULL;
        nx_arena_clear(&r->pool->arena);
    }
    return NX_OK;
}

/* --- quantile --- */

static enum nx_err quantile_group(struct reduction *r, double *values, size_t group,
                                  struct qry_matrix *out)
{
    const struct qry_members *members = &r->agg->members;
    uint32_t first = members->start[group];
    uint32_t last = members->start[group + 1];
    struct qry_row *row;
    enum nx_err err = qry_matrix_add(out, r->agg->grouping->groups[group], false, &row);

    for (uint32_t m = first; m < last && err == NX_OK; m++) {
        const struct qry_row *from = &r->agg->input->rows[members->rows[m]];
        row->drop_name = row->drop_name || from->drop_name;
        if (from->histograms)
            qry_aggregate_note_ignored(r->agg);
    }
    for (size_t i = 0; i < r->steps && err == NX_OK; i++) {
        size_t count = 0;
        for (uint32_t m = first; m < last; m++) {
            const struct qry_row *from = &r->agg->input->rows[members->rows[m]];
            if (qry_has_float(from, i))
                values[count++] = from->values[i];
        }
        if (count > 0)
            row->values[i] = qry_quantile(r->agg->param[i], values, count);
        err = qry_work(r->agg->scope->ev, (size_t)(last - first) * 4);
    }
    return err;
}

static enum nx_err alloc_accumulators(struct reduction *r, struct nx_arena *arena)
{
    r->seen = nx_arena_array(arena, r->steps, 1);
    r->incremental = nx_arena_array(arena, r->steps, 1);
    r->count = nx_arena_array(arena, r->steps, sizeof *r->count);
    r->value = nx_arena_array(arena, r->steps, sizeof *r->value);
    r->mean = nx_arena_array(arena, r->steps, sizeof *r->mean);
    if (!r->seen || !r->incremental || !r->count || !r->value || !r->mean)
        return qry_no_memory(r->agg->scope->ev);
    return NX_OK;
}

enum nx_err qry_aggregate_reduce(struct qry_aggregation *agg, struct qry_matrix *out)
{
    struct qry_eval *ev = agg->scope->ev;
    struct qry_matrix matrix = {0};
    struct reduction r = {.agg = agg, .op = agg->expr->aggregate.agg, .steps = agg->scope->steps};
    double *values = nx_arena_array(agg->scratch, agg->input->count + 1, sizeof *values);
    enum nx_err err = alloc_accumulators(&r, agg->scratch);

    if (err == NX_OK && (!values || !(r.pool = qry_pool_new(ev))))
        err = qry_no_memory(ev);
    if (err == NX_OK)
        err = qry_matrix_init(&matrix, ev, r.steps);
    for (size_t g = 0; g < agg->grouping->count && err == NX_OK; g++) {
        err = r.op == QRY_AGG_QUANTILE ? quantile_group(&r, values, g, &matrix)
                                       : reduce_group(&r, g, &matrix);
    }
    qry_pool_free(ev, r.pool);
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}
