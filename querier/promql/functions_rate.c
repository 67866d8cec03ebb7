/* rate, increase and delta over plain ranges (reference section 10). What they say of a counter is
 * extrapolated to the ends of the range, but not below zero. */
#include "querier/promql/counter.h"

#include <math.h>

#include "querier/promql/eval_extended.h"

bool qry_start_is_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t)
{
    if (st == 0 || st >= t || st < prev_t)
        return false;
    if (st > prev_t)
        return true;
    if (prev_st > prev_t)
        return false;
    return prev_st != 0 && prev_st != prev_t;
}

bool qry_start_overlaps(int64_t prev_st, int64_t prev_t, int64_t st)
{
    return st != 0 && st < prev_t && st != prev_st;
}

/* --- floats --- */

static double float_increase(struct qry_range_call *call, const struct qry_window *w, bool counter)
{
    double result = w->v[w->count - 1] - w->v[0];
    bool overlap = false;

    if (!counter)
        return result;
    for (size_t i = 1; i < w->count; i++) {
        bool reset = w->v[i] < w->v[i - 1];
        if (w->st) {
            reset = reset || qry_start_is_reset(w->st[i - 1], w->t[i - 1], w->st[i], w->t[i]);
            overlap = overlap || qry_start_overlaps(w->st[i - 1], w->t[i - 1], w->st[i]);
        }
        if (reset)
            result += w->v[i - 1];
    }
    if (overlap)
        qry_range_note(call, QRY_NOTE_START_OVERLAP);
    return result;
}

/* --- histograms --- */

struct histogram_rate {
    struct qry_range_call *call;
    const struct qry_window *w;
    bool counter;
};

static bool is_custom(const struct nx_histogram *h)
{
    return h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA;
}

static bool resets_at(const struct histogram_rate *r, size_t i, bool *overlap)
{
    const struct qry_window *w = r->w;
    if (w->hst) {
        *overlap = *overlap || qry_start_overlaps(w->hst[i - 1], w->ht[i - 1], w->hst[i]);
        if (qry_start_is_reset(w->hst[i - 1], w->ht[i - 1], w->hst[i], w->ht[i]))
            return true;
    }
    return qry_histogram_is_reset(r->call->scratch, w->h[i], w->h[i - 1]);
}

/* Says what the hints give reason to, finds the common schema; false where layouts do not mix. */
static bool inspect(const struct histogram_rate *r, int32_t *schema)
{
    const struct qry_window *w = r->w;
    const struct nx_histogram *first = w->h[0];
    const struct nx_histogram *last = w->h[w->hcount - 1];
    bool gauge = false;
    bool mixed = is_custom(first) != is_custom(last);

    *schema = first->schema < last->schema ? first->schema : last->schema;
    for (size_t i = 0; i < w->hcount; i++) {
        gauge = gauge || w->h[i]->hint == NX_HINT_GAUGE;
        if (!r->counter || i == 0 || i + 1 == w->hcount)
            continue;
        mixed = mixed || is_custom(w->h[i]) != is_custom(last);
        if (w->h[i]->schema < *schema)
            *schema = w->h[i]->schema;
    }
    if (r->counter && gauge)
        qry_range_note(r->call, QRY_NOTE_NOT_COUNTER);
    if (!mixed && !r->counter && (first->hint != NX_HINT_GAUGE || last->hint != NX_HINT_GAUGE))
        qry_range_note(r->call, QRY_NOTE_NOT_GAUGE);
    return !mixed;
}

static void note_reconciled(struct qry_range_call *call, struct nx_view operation)
{
    qry_annotations_add(&call->scope->ev->notes, QRY_NOTE_BOUNDS_RECONCILED, call->arg->pos,
                        &(struct qry_note_args){.a = operation});
}

enum nx_err qry_rate_subtract(struct qry_range_call *call, const struct nx_histogram *a,
                              const struct nx_histogram *b, struct nx_histogram **out)
{
    struct qry_histogram_notes notes = {0};
    enum nx_err err = qry_histogram_sub(call->scratch, a, b, out, &notes);
    if (notes.bounds_reconciled)
        note_reconciled(call, NX_VIEW("subtraction"));
    return err;
}

enum nx_err qry_rate_add(struct qry_range_call *call, const struct nx_histogram *a,
                         const struct nx_histogram *b, struct nx_histogram **out)
{
    struct qry_histogram_notes notes = {0};
    enum nx_err err = qry_histogram_add(call->scratch, a, b, out, &notes);
    if (notes.bounds_reconciled)
        note_reconciled(call, NX_VIEW("addition"));
    return err;
}

/* Like `h`, without observations. */
static struct nx_histogram empty_like(const struct nx_histogram *h)
{
    return (struct nx_histogram){
        .schema = h->schema, .custom_bounds = h->custom_bounds, .custom_count = h->custom_count};
}

static enum nx_err histogram_increase(const struct histogram_rate *r, struct nx_histogram **out)
{
    const struct qry_window *w = r->w;
    struct nx_arena *arena = r->call->scratch;
    const struct nx_histogram *first = w->h[0];
    struct nx_histogram empty;
    int32_t schema;
    bool overlap = false;
    bool begins_with_reset = false;

    if (r->counter && w->hcount > 1 && resets_at(r, 1, &overlap)) {
        begins_with_reset = true;
        empty = empty_like(w->h[1]);
        first = &empty;
    }
    struct qry_window view = *w;
    const struct nx_histogram **list = NULL;
    if (begins_with_reset) {
        list = nx_arena_array(arena, w->hcount, sizeof *list);
        if (!list)
            return NX_ERR_NOMEM;
        memcpy(list, w->h, w->hcount * sizeof *list);
        list[0] = first;
        view.h = list;
    }
    if (!inspect(&(struct histogram_rate){r->call, &view, r->counter}, &schema))
        return NX_ERR_INVALID;
    if (begins_with_reset && w->h[0]->hint == NX_HINT_GAUGE)
        qry_range_note(r->call, QRY_NOTE_NOT_COUNTER);

    struct nx_histogram *result = qry_histogram_reduce(arena, w->h[w->hcount - 1], schema);
    if (!result)
        return NX_ERR_NOMEM;
    enum nx_err err = qry_rate_subtract(r->call, result, first, &result);
    for (size_t i = 1; r->counter && err == NX_OK && i < w->hcount; i++) {
        /* the reset at the second one is dealt with: its predecessor counts as empty */
        if (resets_at(r, i, &overlap) && !(i == 1 && begins_with_reset))
            err = qry_rate_add(r->call, result, w->h[i - 1], &result);
    }
    if (overlap)
        qry_range_note(r->call, QRY_NOTE_START_OVERLAP);
    if (err)
        return err;
    result->hint = NX_HINT_GAUGE;
    result = qry_histogram_compact(arena, result);
    if (!result)
        return NX_ERR_NOMEM;
    *out = result;
    return NX_OK;
}

/* --- extrapolation --- */

/* What the factor is computed from. */
struct extent {
    int64_t first_t, last_t;
    size_t count;
    bool from_start; /* the first sample's start timestamp begins the counter within the range */
    int64_t st;
    bool counter;
    double first, result; /* value or count of the first sample and of the raw result */
};

static double extrapolation(const struct extent *e, const struct qry_window *w)
{
    double to_start = (double)(e->first_t - w->start) / 1000;
    double to_end = (double)(w->end - e->last_t) / 1000;
    double sampled = (double)(e->last_t - e->first_t) / 1000;
    double average = e->count > 1 ? sampled / (double)(e->count - 1) : 0;
    double threshold = average * 1.1;

    if (e->from_start) {
        to_start = 0;
        sampled = (double)(e->last_t - e->st) / 1000;
    } else {
        if (to_start >= threshold)
            to_start = average / 2;
        if (e->counter && e->result > 0 && e->first >= 0) {
            double to_zero = sampled * (e->first / e->result);
            if (to_zero < to_start)
                to_start = to_zero;
        }
    }
    if (to_end >= threshold)
        to_end = average / 2;
    return sampled == 0 ? 1 : (sampled + to_start + to_end) / sampled;
}

static double range_seconds(const struct qry_range_call *call)
{
    return (double)call->ranges->range_ms / 1000;
}

static bool starts_within(const struct qry_window *w, const int64_t *st, int64_t first_t)
{
    return st && st[0] != 0 && st[0] > w->start && st[0] < first_t;
}

static enum nx_err extrapolate_floats(struct qry_range_call *call, const struct qry_window *w,
                                      bool counter, bool rate, struct qry_yield *out)
{
    struct extent e = {.counter = counter,
                       .count = w->count,
                       .first_t = w->t[0],
                       .last_t = w->t[w->count - 1],
                       .first = w->v[0]};
    e.from_start = counter && starts_within(w, w->st, w->t[0]);
    if (w->count < 2 && !e.from_start)
        return NX_OK;
    e.result = float_increase(call, w, counter);
    if (e.from_start) {
        e.st = w->st[0];
        e.result += w->v[0];
    }
    double factor = extrapolation(&e, w);
    if (rate)
        factor /= range_seconds(call);
    out->value = e.result * factor;
    return NX_OK;
}

static enum nx_err extrapolate_histograms(struct qry_range_call *call, const struct qry_window *w,
                                          bool counter, bool rate, struct qry_yield *out)
{
    struct histogram_rate r = {.call = call, .w = w, .counter = counter};
    struct extent e = {.counter = counter,
                       .count = w->hcount,
                       .first_t = w->ht[0],
                       .last_t = w->ht[w->hcount - 1],
                       .first = w->h[0]->count};
    e.from_start = counter && starts_within(w, w->hst, w->ht[0]);
    if (w->hcount < 2 && !e.from_start)
        return NX_OK;

    struct nx_histogram *result = NULL;
    enum nx_err err = histogram_increase(&r, &result);
    if (err == NX_OK && e.from_start) {
        e.st = w->hst[0];
        err = qry_rate_add(call, result, w->h[0], &result);
        if (err == NX_OK)
            result->hint = NX_HINT_GAUGE;
    }
    if (err == NX_ERR_INVALID) {
        qry_range_note(call, QRY_NOTE_MIXED_SCHEMAS);
        return NX_OK;
    }
    if (err)
        return qry_no_memory(call->scope->ev);
    e.result = result->count;
    double factor = extrapolation(&e, w);
    if (rate)
        factor /= range_seconds(call);
    out->histogram = qry_histogram_scale(call->arena, result, factor);
    return out->histogram ? NX_OK : qry_no_memory(call->scope->ev);
}

enum nx_err qry_rf_extrapolated(struct qry_range_call *call, const struct qry_window *w,
                                struct qry_yield *out)
{
    int id = call->expr->call.function->id;
    bool counter = id != QRY_FN_DELTA;
    bool rate = id == QRY_FN_RATE;

    if (w->count > 0 && w->hcount > 0) {
        qry_range_note(call, QRY_NOTE_MIXED_RANGE);
        return NX_OK;
    }
    if (call->ranges->before_ms > 0)
        return qry_extended_increase(call, w, counter, rate, out);
    if (w->hcount > 0)
        return extrapolate_histograms(call, w, counter, rate, out);
    return extrapolate_floats(call, w, counter, rate, out);
}
