/* Aggregations: the argument is evaluated, its series are sorted into groups, then each group is
 * worked off on its own, so that the accumulators of one group, an array over the steps, are all
 * that is needed. */
#include <math.h>

#include "common/cxx/number_shim.h"
#include "querier/promql/aggregate.h"
#include "querier/promql/numeric.h"

void qry_aggregate_note_ignored(const struct qry_aggregation *agg)
{
    enum qry_agg op = agg->expr->aggregate.agg;
    struct qry_pos pos = op == QRY_AGG_TOPK || op == QRY_AGG_BOTTOMK
                             ? agg->expr->pos
                             : agg->expr->aggregate.expr->pos;
    qry_annotations_add(&agg->scope->ev->notes, QRY_NOTE_HISTOGRAM_IGNORED_IN_AGGREGATE, pos,
                        &(struct qry_note_args){.a = nx_view_of(qry_agg_text(op))});
}

/* --- parameters --- */

struct extremes {
    double min, max;
    bool nan;
};

static struct extremes param_extremes(const struct qry_aggregation *agg)
{
    struct extremes e = {.min = agg->param[0], .max = agg->param[0], .nan = isnan(agg->param[0])};
    for (size_t i = 1; i < agg->scope->steps; i++) {
        e.min = qry_go_min(e.min, agg->param[i]);
        e.max = qry_go_max(e.max, agg->param[i]);
        e.nan = e.nan || isnan(agg->param[i]);
    }
    return e;
}

static enum nx_err check_count(const struct qry_aggregation *agg, bool *empty)
{
    struct qry_eval *ev = agg->scope->ev;
    struct extremes e = param_extremes(agg);
    char text[NX_FLOAT_MAX];

    if (e.max < 1) {
        *empty = true;
        return NX_OK;
    }
    if (e.nan)
        return qry_error(ev, "Parameter value is NaN");
    if (e.min <= -0x1p63) {
        nx_float_format_g(e.min, text);
        return qry_error(ev, "Scalar value %s underflows int64", text);
    }
    if (e.max >= 9223372036854774784.0) {
        nx_float_format_g(e.max, text);
        return qry_error(ev, "Scalar value %s overflows int64", text);
    }
    return NX_OK;
}

static void note_param(const struct qry_aggregation *agg, enum qry_note_id id, double x, double y)
{
    qry_annotations_add(&agg->scope->ev->notes, id, agg->expr->aggregate.param->pos,
                        &(struct qry_note_args){.x = x, .y = y});
}

static enum nx_err check_ratio(const struct qry_aggregation *agg, bool *empty)
{
    struct extremes e = param_extremes(agg);

    if (e.max == 0 && e.min == 0) {
        *empty = true;
        return NX_OK;
    }
    if (e.nan)
        return qry_error(agg->scope->ev, "Ratio value is NaN");
    if (e.max > 1)
        note_param(agg, QRY_NOTE_RATIO, e.max, 1);
    if (e.min < -1)
        note_param(agg, QRY_NOTE_RATIO, e.min, -1);
    return NX_OK;
}

enum nx_err qry_aggregate_check_param(struct qry_aggregation *agg, bool *empty)
{
    enum qry_agg op = agg->expr->aggregate.agg;

    *empty = false;
    if (op == QRY_AGG_TOPK || op == QRY_AGG_BOTTOMK || op == QRY_AGG_LIMITK)
        return check_count(agg, empty);
    if (op == QRY_AGG_LIMIT_RATIO)
        return check_ratio(agg, empty);
    if (op == QRY_AGG_QUANTILE) {
        struct extremes e = param_extremes(agg);
        if (e.nan)
            note_param(agg, QRY_NOTE_QUANTILE, QRY_F_NAN, 0);
        if (e.max > 1)
            note_param(agg, QRY_NOTE_QUANTILE, e.max, 0);
        if (e.min < 0)
            note_param(agg, QRY_NOTE_QUANTILE, e.min, 0);
    }
    return NX_OK;
}

/* --- evaluation --- */

static bool keeps_samples(enum qry_agg op)
{
    return op == QRY_AGG_TOPK || op == QRY_AGG_BOTTOMK || op == QRY_AGG_LIMITK ||
           op == QRY_AGG_LIMIT_RATIO;
}

/* The argument evaluated and grouped: computes the result. */
static enum nx_err aggregate(struct qry_aggregation *agg, struct nx_view value_label,
                             struct qry_matrix *out)
{
    struct qry_eval *ev = agg->scope->ev;
    enum qry_agg op = agg->expr->aggregate.agg;
    bool empty = false;
    enum nx_err err = NX_OK;

    if (agg->param && (err = qry_aggregate_check_param(agg, &empty)))
        return err;
    if (empty)
        return qry_matrix_init(out, ev, agg->scope->steps);
    if ((err = qry_group_rows(agg->grouping, agg->input, agg->scratch, &agg->members)))
        return err;
    if ((err = qry_members_of(&agg->members, ev, agg->scratch, agg->input->count,
                              agg->grouping->count)))
        return err;
    if (op == QRY_AGG_COUNT_VALUES)
        return qry_aggregate_count_values(agg, value_label, out);
    if (!keeps_samples(op))
        return qry_aggregate_reduce(agg, out);
    if ((err = qry_aggregate_select(agg)))
        return err;
    *out = *agg->input;
    memset(agg->input, 0, sizeof *agg->input);
    return NX_OK;
}

static enum nx_err value_label_of(struct qry_eval *ev, const struct qry_expr *param,
                                  struct nx_view *label)
{
    *label = qry_string_of(param);
    if (label->len > 0 && nx_view_is_utf8(*label))
        return NX_OK;
    struct nx_buf text;
    nx_buf_init(&text, 4096);
    nx_print_quoted(&text, *label);
    enum nx_err err =
        qry_error(ev, "invalid label name %.*s", (int)text.len, text.data ? text.data : "");
    nx_buf_release(&text);
    return err;
}

enum nx_err qry_eval_aggregate(const struct qry_scope *scope, struct qry_expr *expr,
                               struct qry_matrix *out)
{
    struct qry_eval *ev = scope->ev;
    struct qry_aggregate *node = &expr->aggregate;
    struct qry_scope inner = *scope;
    struct qry_matrix param = {0}, input = {0};
    struct qry_grouping grouping = {0};
    struct qry_pool *scratch = NULL;
    struct nx_view value_label = {NULL, 0};
    struct qry_aggregation agg = {
        .scope = &inner, .expr = expr, .input = &input, .grouping = &grouping};
    enum nx_err err = NX_OK;

    inner.func = qry_agg_text(node->agg);
    if (node->agg == QRY_AGG_COUNT_VALUES) {
        err = value_label_of(ev, node->param, &value_label);
    } else if (node->param) {
        if ((err = qry_eval_expr(&inner, node->param, &param)) == NX_OK)
            agg.param = param.rows[0].values;
    }
    if (err || (err = qry_eval_expr(&inner, node->expr, &input)))
        goto done;
    if (!(scratch = qry_pool_new(ev))) {
        err = qry_no_memory(ev);
        goto done;
    }
    agg.scratch = &scratch->arena;
    if ((err = qry_grouping_init(&grouping, ev, !node->without, node->grouping,
                                 node->grouping_count, value_label)))
        goto done;
    err = aggregate(&agg, value_label, out);
done:
    qry_grouping_release(&grouping);
    qry_pool_free(ev, scratch);
    qry_matrix_release(&param);
    qry_matrix_release(&input);
    return err;
}
