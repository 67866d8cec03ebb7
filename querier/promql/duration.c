/* Values of duration expressions: float64 seconds, C's fmod and pow, Go's Min and Max, cut to whole
 * milliseconds towards zero at the end (reference section 2.2). */
#include <math.h>

#include "querier/promql/parser_internal.h"

#define MAX_SECONDS 9223372036.854775808 /* 2^63 ns */

struct resolver {
    double step;
    double range;
    enum nx_err err;
    struct nx_fail *fail;
};

static double fail_at(struct resolver *r, struct qry_pos pos, const char *text)
{
    if (r->err == NX_OK)
        r->err = nx_fail_set(r->fail, NX_ERR_EXECUTION, "%u:%u: %s", pos.start, pos.end, text);
    return (double)NAN;
}

static double go_min(double a, double b)
{
    if ((isinf(a) && a < 0) || (isinf(b) && b < 0))
        return -(double)INFINITY;
    if (isnan(a) || isnan(b))
        return (double)NAN;
    return a < b ? a : b;
}

static double go_max(double a, double b)
{
    return -go_min(-a, -b);
}

static double evaluate(struct resolver *r, const struct qry_duration *d)
{
    double lhs = d->lhs ? evaluate(r, d->lhs) : 0;
    double rhs = d->rhs ? evaluate(r, d->rhs) : 0;

    if (r->err != NX_OK)
        return (double)NAN;
    switch (d->op) {
    case QRY_DUR_LITERAL:
        return d->seconds;
    case QRY_DUR_STEP:
        return r->step;
    case QRY_DUR_RANGE:
        return r->range;
    case QRY_DUR_MIN_OF:
        return go_min(lhs, rhs);
    case QRY_DUR_MAX_OF:
        return go_max(lhs, rhs);
    case QRY_DUR_ADD:
        return lhs + rhs;
    case QRY_DUR_SUB:
        return lhs - rhs;
    case QRY_DUR_MUL:
        return lhs * rhs;
    case QRY_DUR_DIV:
        return rhs == 0 ? fail_at(r, d->pos, "division by zero") : lhs / rhs;
    case QRY_DUR_MOD:
        return rhs == 0 ? fail_at(r, d->pos, "modulo by zero") : fmod(lhs, rhs);
    case QRY_DUR_POW:
        return pow(lhs, rhs);
    case QRY_DUR_NEG:
        return -rhs;
    case QRY_DUR_POS:
        return rhs;
    }
    return (double)NAN;
}

/* Literals have their value from the parser, which rounds them differently. */
static void resolve(struct resolver *r, const struct qry_duration *d, bool positive, int64_t *ms)
{
    if (!d || d->op == QRY_DUR_LITERAL || r->err != NX_OK)
        return;
    double seconds = evaluate(r, d);
    if (r->err != NX_OK)
        return;
    if (!isfinite(seconds))
        fail_at(r, d->pos, "duration is NaN or infinite");
    else if (positive && seconds <= 0)
        fail_at(r, d->pos, "duration must be greater than 0");
    else if (fabs(seconds) > MAX_SECONDS)
        fail_at(r, d->pos, "duration is out of range");
    else
        *ms = (int64_t)(seconds * 1000);
}

static bool resolve_node(struct qry_expr *expr, void *user)
{
    struct resolver *r = user;

    if (expr->kind == QRY_NODE_SELECTOR) {
        resolve(r, expr->selector.range, true, &expr->selector.range_ms);
        resolve(r, expr->selector.mod.offset, false, &expr->selector.mod.offset_ms);
    } else if (expr->kind == QRY_NODE_SUBQUERY) {
        resolve(r, expr->subquery.mod.offset, false, &expr->subquery.mod.offset_ms);
        resolve(r, expr->subquery.step, true, &expr->subquery.step_ms);
        resolve(r, expr->subquery.range, true, &expr->subquery.range_ms);
    }
    return r->err == NX_OK;
}

enum nx_err qry_resolve_durations(struct qry_query *query, int64_t start_ms, int64_t end_ms,
                                  int64_t step_ms, struct nx_fail *fail)
{
    bool instant = start_ms == end_ms;
    struct resolver r = {
        .step = instant ? 0 : (double)step_ms / 1000,
        .range = instant ? 0 : ((double)end_ms - (double)start_ms) / 1000,
        .fail = fail,
    };
    (void)qry_walk(query->expr, resolve_node, &r);
    return r.err;
}
