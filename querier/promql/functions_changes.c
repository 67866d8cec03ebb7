/* changes and resets: neighbours in time compared, floats and histograms mixed. */
#include <math.h>

#include "querier/promql/counter.h"

/* Walks both kinds in order of time. */
struct walk {
    const struct qry_window *w;
    size_t f, h;
};

static bool walk_next(struct walk *walk, struct nx_sample *out)
{
    const struct qry_window *w = walk->w;
    bool has_float = walk->f < w->count;
    bool has_histogram = walk->h < w->hcount;

    if (!has_float && !has_histogram)
        return false;
    if (has_float && (!has_histogram || w->t[walk->f] <= w->ht[walk->h])) {
        size_t i = walk->f++;
        *out = (struct nx_sample){.t = w->t[i], .st = w->st ? w->st[i] : 0, .value = w->v[i]};
    } else {
        size_t i = walk->h++;
        *out =
            (struct nx_sample){.t = w->ht[i], .st = w->hst ? w->hst[i] : 0, .histogram = w->h[i]};
    }
    return true;
}

static bool changed(struct qry_range_call *call, const struct nx_sample *a,
                    const struct nx_sample *b)
{
    (void)call;
    if (!a->histogram != !b->histogram)
        return true;
    if (a->histogram)
        return !qry_histogram_equal(b->histogram, a->histogram);
    return a->value != b->value && !(isnan(a->value) && isnan(b->value));
}

static bool was_reset(struct qry_range_call *call, const struct nx_sample *a,
                      const struct nx_sample *b)
{
    if (!a->histogram != !b->histogram)
        return true;
    if (call->scope->ev->params->features.use_start_timestamps &&
        qry_start_is_reset(a->st, a->t, b->st, b->t))
        return true;
    if (a->histogram)
        return qry_histogram_is_reset(call->scratch, b->histogram, a->histogram);
    return b->value < a->value;
}

/* Counts the pairs of neighbours for which `differs` holds. An anchored range begins with the
 * newest sample at or before its start. */
static enum nx_err count_pairs(struct qry_range_call *call, const struct qry_window *w,
                               bool (*differs)(struct qry_range_call *call,
                                               const struct nx_sample *a,
                                               const struct nx_sample *b),
                               struct qry_yield *out)
{
    struct walk walk = {.w = w};
    struct nx_sample previous = {0}, current;
    bool has_previous = false;
    bool inside = false;
    double pairs = 0;

    while (walk_next(&walk, &current)) {
        if (current.t > w->start) {
            inside = true;
            if (has_previous && differs(call, &previous, &current))
                pairs++;
        }
        previous = current;
        has_previous = true;
    }
    if (inside)
        out->value = pairs;
    return NX_OK;
}

enum nx_err qry_rf_changes(struct qry_range_call *call, const struct qry_window *w,
                           struct qry_yield *out)
{
    return count_pairs(call, w, changed, out);
}

enum nx_err qry_rf_resets(struct qry_range_call *call, const struct qry_window *w,
                          struct qry_yield *out)
{
    return count_pairs(call, w, was_reset, out);
}
