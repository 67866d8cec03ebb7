/* Instant vector selectors. Each series is read once, from the first step's lookback window to the
 * last step, holding the newest sample at or before the step. Its histogram is copied aside before
 * the iterator moves on, and into the result once, however many steps show it. */
#include "querier/promql/eval_selector.h"

#include "querier/promql/eval_extended.h"

enum nx_err qry_select_series(struct qry_eval *ev, const struct qry_select *select,
                              struct qry_series **series, size_t *count)
{
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = ev->source->ops->select(ev->source, select, series, count, &fail);
    if (err == NX_OK)
        return NX_OK;
    return nx_fail_set(ev->fail, err, "expanding series: %s",
                       fail.code ? nx_fail_text(&fail) : nx_err_text(err));
}

enum nx_err qry_iter_error(struct qry_eval *ev, int status)
{
    enum nx_err err = (enum nx_err)status;
    return nx_fail_set(ev->fail, err, "expanding series: %s", nx_err_text(err));
}

/* --- stats-only histograms --- */

enum nx_err qry_stats_init(struct qry_stats *stats, struct qry_eval *ev)
{
    memset(stats, 0, sizeof *stats);
    for (size_t i = 0; i < 2; i++) {
        stats->pools[i] = qry_pool_new(ev);
        if (!stats->pools[i]) {
            qry_stats_release(stats, ev);
            return qry_no_memory(ev);
        }
    }
    return NX_OK;
}

void qry_stats_release(struct qry_stats *stats, struct qry_eval *ev)
{
    for (size_t i = 0; i < 2; i++)
        qry_pool_free(ev, stats->pools[i]);
    memset(stats, 0, sizeof *stats);
}

enum nx_err qry_stats_read(struct qry_stats *stats, struct qry_eval *ev,
                           const struct nx_histogram *h, struct nx_histogram *out)
{
    if (nx_histogram_is_stale(h)) {
        *out = *h;
        return NX_OK;
    }
    *out = (struct nx_histogram){
        .hint = h->hint, .schema = h->schema, .count = h->count, .sum = h->sum};
    struct nx_arena *next = &stats->pools[stats->turn ^ 1U]->arena;
    if (h->hint == NX_HINT_UNKNOWN && stats->previous) {
        out->hint =
            qry_histogram_is_reset(next, h, stats->previous) ? NX_HINT_RESET : NX_HINT_NOT_RESET;
    }
    nx_arena_clear(next);
    const struct nx_histogram *copy = nx_histogram_copy(next, h);
    if (!copy)
        return qry_no_memory(ev);
    stats->previous = copy;
    stats->turn ^= 1U;
    return NX_OK;
}

/* --- instant selector --- */

/* A position in a series: the newest sample at or before the step, and the one after it. */
struct position {
    struct nx_sample_iter *it;
    struct nx_sample current, next;
    bool has_current, has_next;
    struct qry_pool *aside;          /* holds current's histogram */
    const struct nx_histogram *kept; /* current's histogram, copied into the result */
    struct qry_stats *stats;
    struct nx_histogram stats_next; /* next's histogram in stats form */
};

static enum nx_err read_next(struct qry_eval *ev, struct position *pos)
{
    int status = nx_sample_next(pos->it, &pos->next);
    if (status < 0)
        return qry_iter_error(ev, status);
    pos->has_next = status > 0;
    if (pos->has_next && pos->next.histogram && pos->stats) {
        enum nx_err err = qry_stats_read(pos->stats, ev, pos->next.histogram, &pos->stats_next);
        if (err)
            return err;
        pos->next.histogram = &pos->stats_next;
    }
    return qry_work(ev, 1);
}

static enum nx_err advance(struct qry_eval *ev, struct position *pos, int64_t t)
{
    while (pos->has_next && pos->next.t <= t) {
        pos->current = pos->next;
        pos->has_current = true;
        pos->kept = NULL;
        if (pos->current.histogram) {
            nx_arena_clear(&pos->aside->arena);
            pos->current.histogram = nx_histogram_copy(&pos->aside->arena, pos->current.histogram);
            if (!pos->current.histogram)
                return qry_no_memory(ev);
        }
        enum nx_err err = read_next(ev, pos);
        if (err)
            return err;
    }
    return NX_OK;
}

static bool is_stale(const struct nx_sample *sample)
{
    return sample->histogram ? nx_histogram_is_stale(sample->histogram)
                             : nx_is_stale(sample->value);
}

static enum nx_err not_an_info_metric(struct qry_eval *ev, struct nx_labels labels)
{
    struct nx_buf text;
    nx_buf_init(&text, 65536);
    qry_print_label_set(&text, labels);
    enum nx_err err = qry_error(ev, "this should be an info metric, with float samples: %.*s",
                                (int)text.len, text.data ? text.data : "");
    nx_buf_release(&text);
    return err;
}

static enum nx_err put_sample(struct qry_matrix *matrix, struct qry_row *row, size_t i,
                              struct position *pos, enum qry_pick pick)
{
    switch (pick) {
    case QRY_PICK_INFO_TIME:
        if (pos->current.histogram)
            return not_an_info_metric(matrix->ev, row->labels);
        row->values[i] = (double)pos->current.t / 1000;
        return NX_OK;
    case QRY_PICK_TIME:
        row->values[i] = (double)pos->current.t / 1000;
        return NX_OK;
    case QRY_PICK_START_TIME:
        row->values[i] = (double)pos->current.st / 1000;
        return NX_OK;
    case QRY_PICK_VALUE:
        break;
    }
    if (!pos->current.histogram) {
        row->values[i] = pos->current.value;
        return NX_OK;
    }
    if (!pos->kept) {
        pos->kept = nx_histogram_copy(&matrix->pool->arena, pos->current.histogram);
        if (!pos->kept)
            return qry_no_memory(matrix->ev);
    }
    return qry_row_put_histogram(matrix, row, i, pos->kept);
}

static enum nx_err fill_row(const struct qry_scope *scope, const struct qry_selector *selector,
                            struct position *pos, enum qry_pick pick, struct qry_matrix *matrix,
                            struct qry_row *row)
{
    int64_t lookback = scope->ev->params->limits.lookback_ms;
    enum nx_err err = read_next(scope->ev, pos);
    uint64_t points = 0;

    for (size_t i = 0; i < scope->steps && err == NX_OK; i++) {
        int64_t t = qry_reference_time(scope->ev, &selector->mod, qry_step_time(scope, i));
        if ((err = advance(scope->ev, pos, t)))
            break;
        if (!pos->has_current && !pos->has_next)
            break;
        if (!pos->has_current || pos->current.t <= qry_time_sub(t, lookback) ||
            is_stale(&pos->current))
            continue;
        err = put_sample(matrix, row, i, pos, pick);
        bool whole = pick == QRY_PICK_VALUE && pos->current.histogram;
        uint64_t samples = whole ? qry_histogram_samples(pos->current.histogram) : 1;
        qry_count_queryable(scope, i, samples);
        qry_count_read(scope, i, samples);
        points += samples;
    }
    if (err)
        return err;
    matrix->samples += points;
    return qry_hold_samples(scope->ev, points);
}

struct qry_select qry_instant_select(const struct qry_scope *scope,
                                     const struct qry_selector *selector)
{
    struct qry_eval *ev = scope->ev;
    int64_t lookback = ev->params->limits.lookback_ms;
    int64_t first = qry_reference_time(ev, &selector->mod, scope->start);
    int64_t last = qry_reference_time(ev, &selector->mod, qry_last_time(scope));
    return (struct qry_select){
        .matchers = selector->matchers,
        .matcher_count = selector->matcher_count,
        .min_t = qry_time_add(qry_time_sub(first, lookback), 1),
        .max_t = selector->smoothed ? qry_time_add(last, lookback) : last,
        .step_ms = scope->steps > 1 ? scope->step : 0,
        .func = scope->func,
    };
}

static enum nx_err read_series(const struct qry_scope *scope, const struct qry_selector *selector,
                               const struct qry_select *select, const struct qry_series *series,
                               enum qry_pick pick, struct position *pos, struct qry_matrix *matrix)
{
    struct qry_source *source = scope->ev->source;
    struct qry_row *row;
    enum nx_err err = qry_matrix_add(matrix, series->labels, false, &row);
    if (err)
        return err;
    err = source->ops->open(source, series, select->min_t, select->max_t, &pos->it);
    if (err)
        return qry_iter_error(scope->ev, err);
    pos->has_current = pos->has_next = false;
    if (pos->stats)
        pos->stats->previous = NULL;
    err = fill_row(scope, selector, pos, pick, matrix, row);
    nx_sample_iter_free(pos->it);
    pos->it = NULL;
    if (err == NX_OK)
        qry_matrix_drop_last_if_empty(matrix);
    return err;
}

enum nx_err qry_eval_selector(const struct qry_scope *scope, struct qry_expr *expr,
                              enum qry_pick pick, struct qry_matrix *out)
{
    const struct qry_selector *selector = &expr->selector;
    struct qry_eval *ev = scope->ev;
    struct qry_matrix matrix = {0};
    struct qry_stats stats = {0};
    struct position pos = {0};

    if (selector->smoothed)
        return qry_eval_smoothed(scope, expr, pick, out);
    struct qry_select select = qry_instant_select(scope, selector);
    struct qry_series *series;
    size_t count;
    enum nx_err err = qry_select_series(ev, &select, &series, &count);
    if (err)
        return err;
    if ((err = qry_matrix_init(&matrix, ev, scope->steps)))
        return err;
    pos.aside = qry_pool_new(ev);
    if (!pos.aside) {
        err = qry_no_memory(ev);
        goto done;
    }
    if (scope->stats) {
        if ((err = qry_stats_init(&stats, ev)))
            goto done;
        pos.stats = &stats;
    }
    for (size_t i = 0; i < count && err == NX_OK; i++)
        err = read_series(scope, selector, &select, &series[i], pick, &pos, &matrix);
done:
    if (scope->stats)
        qry_stats_release(&stats, ev);
    qry_pool_free(ev, pos.aside);
    if (err) {
        qry_matrix_release(&matrix);
        return err;
    }
    *out = matrix;
    return NX_OK;
}
