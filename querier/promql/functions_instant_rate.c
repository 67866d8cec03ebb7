/* irate and idelta: the last two samples of a window, whatever their type. */
#include "querier/promql/counter.h"

struct last_two {
    struct nx_sample previous, last;
};

/* false where the window has fewer than two. */
static bool last_two(const struct qry_window *w, struct last_two *out)
{
    size_t f = w->count;
    size_t h = w->hcount;
    struct nx_sample *slots[2] = {&out->last, &out->previous};

    if (f + h < 2)
        return false;
    for (size_t i = 0; i < 2; i++) {
        if (h == 0 || (f > 0 && w->t[f - 1] > w->ht[h - 1])) {
            f--;
            *slots[i] =
                (struct nx_sample){.t = w->t[f], .st = w->st ? w->st[f] : 0, .value = w->v[f]};
        } else {
            h--;
            *slots[i] = (struct nx_sample){
                .t = w->ht[h], .st = w->hst ? w->hst[h] : 0, .histogram = w->h[h]};
        }
    }
    return true;
}

static void note_hints(struct qry_range_call *call, const struct last_two *s, bool counter)
{
    enum nx_reset_hint a = s->previous.histogram->hint;
    enum nx_reset_hint b = s->last.histogram->hint;

    if (counter && (a == NX_HINT_GAUGE || b == NX_HINT_GAUGE))
        qry_range_note(call, QRY_NOTE_NOT_COUNTER);
    if (!counter && (a != NX_HINT_GAUGE || b != NX_HINT_GAUGE))
        qry_range_note(call, QRY_NOTE_NOT_GAUGE);
}

static enum nx_err instant_histograms(struct qry_range_call *call, const struct last_two *s,
                                      bool counter, bool started, double seconds,
                                      struct qry_yield *out)
{
    const struct nx_histogram *last = s->last.histogram;
    const struct nx_histogram *previous = s->previous.histogram;
    struct nx_histogram *result;
    enum nx_err err = NX_OK;

    note_hints(call, s, counter);
    if (counter && (started || qry_histogram_is_reset(call->scratch, last, previous))) {
        result = nx_histogram_copy(call->scratch, last);
        err = result ? NX_OK : NX_ERR_NOMEM;
    } else {
        err = qry_rate_subtract(call, last, previous, &result);
    }
    if (err == NX_ERR_INVALID) {
        qry_range_note(call, QRY_NOTE_MIXED_SCHEMAS);
        return NX_OK;
    }
    if (err || !(result = qry_histogram_compact(call->scratch, result)))
        return qry_no_memory(call->scope->ev);
    result->hint = NX_HINT_GAUGE;
    out->histogram = counter ? qry_histogram_divide(call->arena, result, seconds)
                             : nx_histogram_copy(call->arena, result);
    return out->histogram ? NX_OK : qry_no_memory(call->scope->ev);
}

enum nx_err qry_rf_instant(struct qry_range_call *call, const struct qry_window *w,
                           struct qry_yield *out)
{
    bool counter = call->expr->call.function->id == QRY_FN_IRATE;
    struct last_two s;

    if (!last_two(w, &s))
        return NX_OK;
    double seconds = (double)(s.last.t - s.previous.t) / 1000;
    if (s.last.t == s.previous.t)
        return NX_OK;
    if (!s.last.histogram != !s.previous.histogram) {
        qry_range_note(call, QRY_NOTE_MIXED_RANGE);
        return NX_OK;
    }
    bool started = counter && call->scope->ev->params->features.use_start_timestamps &&
                   qry_start_is_reset(s.previous.st, s.previous.t, s.last.st, s.last.t);
    if (s.last.histogram && s.previous.histogram)
        return instant_histograms(call, &s, counter, started, seconds, out);

    double value = s.last.value;
    if (!counter || !(started || s.last.value < s.previous.value))
        value = s.last.value - s.previous.value;
    out->value = counter ? value / seconds : value;
    return NX_OK;
}
