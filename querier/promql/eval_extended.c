/* anchored and smoothed: instead of extrapolating, the values at the ends of the range are taken
 * from the sample before it (anchored) or interpolated between the samples around them (smoothed).
 */
#include "querier/promql/eval_extended.h"

#include "querier/promql/counter.h"

static double fraction_of(int64_t t1, int64_t t2, int64_t t)
{
    return (double)(t - t1) / (double)(t2 - t1);
}

static double interpolate(int64_t t1, double v1, int64_t t2, double v2, int64_t t, bool counter)
{
    if (counter && v2 < v1)
        v1 = 0;
    return v1 + (v2 - v1) * fraction_of(t1, t2, t);
}

/* The samples of `times` that bound the range. */
struct bounds {
    size_t first, last;
};

static bool find_bounds(const int64_t *times, size_t count, const struct qry_window *w,
                        bool smoothed, struct bounds *out)
{
    size_t first = 0;
    size_t last = count - 1;

    while (first + 1 < count && times[first + 1] <= w->start)
        first++;
    if (smoothed) {
        size_t i = 0;
        while (i < count && times[i] < w->end)
            i++;
        if (i < count)
            last = i;
    }
    if (times[last] <= w->start || (smoothed && times[first] > w->end))
        return false;
    *out = (struct bounds){.first = first, .last = last};
    return true;
}

static void edge_values(const struct qry_window *w, const struct bounds *b, bool smoothed,
                        bool counter, double *left, double *right)
{
    size_t f = b->first;
    size_t l = b->last;

    *left = w->v[f];
    if (smoothed && w->t[f] < w->start && f + 1 < w->count)
        *left = interpolate(w->t[f], w->v[f], w->t[f + 1], w->v[f + 1], w->start, counter);
    *right = w->v[l];
    if (smoothed && l > 0 && w->t[l] > w->end)
        *right = interpolate(w->t[l - 1], w->v[l - 1], w->t[l], w->v[l], w->end, counter);
}

static void increase_floats(struct qry_range_call *call, const struct qry_window *w, bool smoothed,
                            bool counter, struct qry_yield *out)
{
    struct bounds b;
    double left, right;

    (void)call;
    if (!find_bounds(w->t, w->count, w, smoothed, &b))
        return;
    edge_values(w, &b, smoothed, counter, &left, &right);
    double result = right - left;
    if (counter) {
        double previous = left;
        for (size_t i = b.first; i <= b.last; i++) {
            if (w->t[i] <= w->start || w->t[i] >= w->end)
                continue;
            if (w->v[i] < previous)
                result += previous;
            previous = w->v[i];
        }
        if (right < previous)
            result += previous;
    }
    out->value = result;
}

/* --- histograms --- */

static bool is_custom(const struct nx_histogram *h)
{
    return h->schema == NX_HISTOGRAM_CUSTOM_SCHEMA;
}

/* h1 + (h2 - h1) * fraction; after a reset h1 counts as empty. */
static enum nx_err interpolate_histograms(struct qry_range_call *call,
                                          const struct nx_histogram *h1,
                                          const struct nx_histogram *h2, double fraction,
                                          bool counter, struct nx_histogram **out)
{
    struct nx_histogram *delta, *part;

    if (counter && qry_histogram_is_reset(call->scratch, h2, h1)) {
        *out = qry_histogram_scale(call->scratch, h2, fraction);
        return *out ? NX_OK : NX_ERR_NOMEM;
    }
    enum nx_err err = qry_rate_subtract(call, h2, h1, &delta);
    if (err)
        return err;
    if (!(part = qry_histogram_scale(call->scratch, delta, fraction)))
        return NX_ERR_NOMEM;
    return qry_rate_add(call, h1, part, out);
}

static enum nx_err edge_histograms(struct qry_range_call *call, const struct qry_window *w,
                                   const struct bounds *b, bool smoothed, bool counter,
                                   const struct nx_histogram **left,
                                   const struct nx_histogram **right)
{
    size_t f = b->first;
    size_t l = b->last;
    struct nx_histogram *made;
    enum nx_err err;

    *left = w->h[f];
    if (smoothed && w->ht[f] < w->start && f + 1 < w->hcount) {
        err = interpolate_histograms(call, w->h[f], w->h[f + 1],
                                     fraction_of(w->ht[f], w->ht[f + 1], w->start), counter, &made);
        if (err)
            return err;
        *left = made;
    }
    *right = w->h[l];
    if (smoothed && l > 0 && w->ht[l] > w->end) {
        err = interpolate_histograms(call, w->h[l - 1], w->h[l],
                                     fraction_of(w->ht[l - 1], w->ht[l], w->end), counter, &made);
        if (err)
            return err;
        *right = made;
    }
    return NX_OK;
}

/* Adds what was lost at each reset between left, the samples inside and right. A reset that the
 * interpolation on the left has taken care of is passed over. */
static enum nx_err add_resets(struct qry_range_call *call, const struct qry_window *w,
                              const struct bounds *b, const struct nx_histogram *left,
                              const struct nx_histogram *right, struct nx_histogram **result)
{
    const struct nx_histogram *previous = left;
    bool left_made = left != w->h[b->first];
    enum nx_err err = NX_OK;

    bool covered =
        left_made && qry_histogram_is_reset(call->scratch, w->h[b->first + 1], w->h[b->first]);
    for (size_t i = b->first; i <= b->last && err == NX_OK; i++) {
        if (w->ht[i] <= w->start || w->ht[i] >= w->end)
            continue;
        bool skip = covered && i == b->first + 1;
        if (!skip && qry_histogram_is_reset(call->scratch, w->h[i], previous))
            err = qry_rate_add(call, *result, previous, result);
        previous = w->h[i];
    }
    if (err)
        return err;
    bool right_is_next = covered && previous == left;
    if (!right_is_next && right != previous &&
        qry_histogram_is_reset(call->scratch, right, previous))
        err = qry_rate_add(call, *result, previous, result);
    return err;
}

static void note_hints(struct qry_range_call *call, const struct qry_window *w,
                       const struct bounds *b, bool counter)
{
    bool gauge = false;
    for (size_t i = b->first; i <= b->last; i++)
        gauge = gauge || w->h[i]->hint == NX_HINT_GAUGE;
    if (counter && gauge)
        qry_range_note(call, QRY_NOTE_NOT_COUNTER);
    if (!counter && (w->h[b->first]->hint != NX_HINT_GAUGE || w->h[b->last]->hint != NX_HINT_GAUGE))
        qry_range_note(call, QRY_NOTE_NOT_GAUGE);
}

static enum nx_err increase_histograms(struct qry_range_call *call, const struct qry_window *w,
                                       bool smoothed, bool counter, struct nx_histogram **out)
{
    struct bounds b;
    const struct nx_histogram *left, *right;
    struct nx_histogram *result;

    if (!find_bounds(w->ht, w->hcount, w, smoothed, &b))
        return NX_OK;
    for (size_t i = b.first; i <= b.last; i++) {
        if (is_custom(w->h[i]) != is_custom(w->h[b.first]))
            return NX_ERR_INVALID;
    }
    note_hints(call, w, &b, counter);
    enum nx_err err = edge_histograms(call, w, &b, smoothed, counter, &left, &right);
    if (err)
        return err;
    if ((err = qry_rate_subtract(call, right, left, &result)))
        return err;
    if (counter && (err = add_resets(call, w, &b, left, right, &result)))
        return err;
    if (!(result = qry_histogram_compact(call->scratch, result)))
        return NX_ERR_NOMEM;
    result->hint = NX_HINT_GAUGE;
    *out = result;
    return NX_OK;
}

enum nx_err qry_extended_increase(struct qry_range_call *call, const struct qry_window *w,
                                  bool counter, bool rate, struct qry_yield *out)
{
    bool smoothed = call->ranges->after_ms > 0;
    double per = rate ? (double)call->ranges->range_ms / 1000 : 1;

    if (w->count > 0) {
        increase_floats(call, w, smoothed, counter, out);
        if (rate && !nx_is_stale(out->value))
            out->value /= per;
        return NX_OK;
    }
    struct nx_histogram *result = NULL;
    enum nx_err err = increase_histograms(call, w, smoothed, counter, &result);
    if (err == NX_ERR_INVALID) {
        qry_range_note(call, QRY_NOTE_MIXED_SCHEMAS);
        return NX_OK;
    }
    if (err)
        return qry_no_memory(call->scope->ev);
    if (!result)
        return NX_OK;
    out->histogram = rate ? qry_histogram_divide(call->arena, result, per)
                          : nx_histogram_copy(call->arena, result);
    return out->histogram ? NX_OK : qry_no_memory(call->scope->ev);
}

/* --- bare ranges --- */

enum nx_err qry_extended_points(struct qry_eval *ev, struct nx_arena *arena,
                                const struct qry_selector *selector, const struct qry_window *w,
                                struct qry_point **points, size_t *count)
{
    struct bounds b;
    double left, right;
    size_t n = 0;

    *count = 0;
    if (w->hcount > 0)
        return qry_error(ev, "%s modifier is not supported with histograms",
                         selector->smoothed ? "smoothed" : "anchored");
    if (w->count == 0 || !find_bounds(w->t, w->count, w, selector->smoothed, &b))
        return NX_OK;
    struct qry_point *list = nx_arena_array(arena, w->count + 2, sizeof *list);
    if (!list)
        return qry_no_memory(ev);
    edge_values(w, &b, selector->smoothed, false, &left, &right);
    list[n++] = (struct qry_point){.t = w->start, .value = left};
    for (size_t i = b.first; i <= b.last; i++) {
        if (w->t[i] > w->start && w->t[i] < w->end)
            list[n++] = (struct qry_point){.t = w->t[i], .value = w->v[i]};
    }
    list[n++] = (struct qry_point){.t = w->end, .value = right};
    *points = list;
    *count = n;
    return NX_OK;
}

/* --- smoothed instant vectors --- */

/* The interpolated sample at the window's end, which lies between its samples. */
static enum nx_err smooth_floats(const struct qry_window *w, struct qry_yield *out)
{
    size_t next = 0;
    while (next < w->count && w->t[next] < w->end)
        next++;
    if (next < w->count && w->t[next] == w->end)
        out->value = w->v[next];
    else if (next == 0)
        return NX_OK;
    else if (next == w->count)
        out->value = w->v[next - 1];
    else
        out->value =
            interpolate(w->t[next - 1], w->v[next - 1], w->t[next], w->v[next], w->end, false);
    return NX_OK;
}

static enum nx_err smooth_histograms(struct qry_range_call *call, const struct qry_window *w,
                                     struct qry_yield *out)
{
    size_t next = 0;
    struct nx_histogram *made;
    while (next < w->hcount && w->ht[next] < w->end)
        next++;
    bool exact = next < w->hcount && w->ht[next] == w->end;
    if (!exact && next == 0)
        return NX_OK;
    if (exact || next == w->hcount) {
        made = nx_histogram_copy(call->arena, w->h[exact ? next : next - 1]);
        if (!made)
            return qry_no_memory(call->scope->ev);
        if (!exact)
            made->hint = NX_HINT_UNKNOWN;
        out->histogram = made;
        return NX_OK;
    }
    const struct nx_histogram *a = w->h[next - 1];
    const struct nx_histogram *b = w->h[next];
    bool gauge = a->hint == NX_HINT_GAUGE && b->hint == NX_HINT_GAUGE;
    enum nx_err err = NX_ERR_INVALID;
    if (is_custom(a) == is_custom(b))
        err = interpolate_histograms(call, a, b, fraction_of(w->ht[next - 1], w->ht[next], w->end),
                                     !gauge, &made);
    if (err == NX_ERR_INVALID) {
        qry_range_note(call, QRY_NOTE_MIXED_SCHEMAS);
        return NX_OK;
    }
    if (err == NX_OK && (made = qry_histogram_compact(call->arena, made)))
        out->histogram = made;
    return out->histogram ? NX_OK : qry_no_memory(call->scope->ev);
}

static enum nx_err smooth(struct qry_range_call *call, const struct qry_window *w,
                          struct qry_yield *out)
{
    if (w->count > 0 && w->hcount > 0) {
        qry_range_note(call, QRY_NOTE_MIXED_RANGE);
        return NX_OK;
    }
    return w->count > 0 ? smooth_floats(w, out) : smooth_histograms(call, w, out);
}

enum nx_err qry_eval_smoothed(const struct qry_scope *scope, struct qry_expr *expr,
                              enum qry_pick pick, struct qry_matrix *out)
{
    int64_t lookback = scope->ev->params->limits.lookback_ms;
    const struct qry_selector *selector = &expr->selector;
    struct qry_ranges ranges = {
        .scope = scope,
        .expr = expr,
        .mod = &selector->mod,
        .range_ms = lookback,
        .after_ms = lookback,
        .select = qry_instant_select(scope, selector),
    };
    enum nx_err err = qry_select_series(scope->ev, &ranges.select, &ranges.series, &ranges.count);
    if (err)
        return err;
    struct qry_matrix matrix;
    if ((err = qry_apply_range(scope, expr, &ranges, smooth, &matrix)))
        return err;
    if (pick != QRY_PICK_VALUE) {
        for (size_t r = 0; r < matrix.count; r++) {
            for (size_t i = 0; i < matrix.steps; i++) {
                if (qry_has_point(&matrix.rows[r], i))
                    matrix.rows[r].values[i] = (double)qry_step_time(scope, i) / 1000;
            }
        }
        qry_matrix_floats_only(&matrix);
    }
    *out = matrix;
    return NX_OK;
}
