/* A reader walks a series once: samples enter at the end of its buffers as the window's end moves
 * on and leave at the front, so that memory follows the window and not the query's range.
 * Histograms that are still in the window move over to a second arena when more are gone than are
 * left. */
#include "common/base/alloc.h"
#include "querier/promql/eval_range.h"

enum nx_err qry_reader_init(struct qry_reader *reader, const struct qry_ranges *ranges)
{
    struct qry_eval *ev = ranges->scope->ev;
    *reader = (struct qry_reader){.ranges = ranges, .ev = ev};
    reader->keep_starts = ranges->series && ev->params->features.use_start_timestamps;
    for (size_t i = 0; i < 2; i++) {
        reader->histograms[i] = qry_pool_new(ev);
        if (!reader->histograms[i]) {
            qry_reader_release(reader);
            return qry_no_memory(ev);
        }
    }
    if (ranges->series && ranges->scope->stats) {
        enum nx_err err = qry_stats_init(&reader->stats_state, ev);
        if (err) {
            qry_reader_release(reader);
            return err;
        }
        reader->stats = &reader->stats_state;
    }
    return NX_OK;
}

static void forget_samples(struct qry_reader *reader)
{
    qry_drop_samples(reader->ev, reader->held);
    reader->held = 0;
    reader->head = reader->len = 0;
    reader->hhead = reader->hlen = 0;
    for (size_t i = 0; i < 2; i++) {
        if (reader->histograms[i])
            nx_arena_clear(&reader->histograms[i]->arena);
    }
}

void qry_reader_release(struct qry_reader *reader)
{
    if (!reader->ev)
        return;
    nx_sample_iter_free(reader->it);
    forget_samples(reader);
    for (size_t i = 0; i < 2; i++)
        qry_pool_free(reader->ev, reader->histograms[i]);
    qry_stats_release(&reader->stats_state, reader->ev);
    reader->ev->window_bytes -= reader->capacity * 24 + reader->hcapacity * 24;
    nx_free(reader->t);
    nx_free(reader->v);
    nx_free(reader->st);
    nx_free(reader->ht);
    nx_free(reader->h);
    nx_free(reader->hst);
    memset(reader, 0, sizeof *reader);
}

static enum nx_err read_next(struct qry_reader *reader, int status)
{
    if (status < 0)
        return qry_iter_error(reader->ev, status);
    reader->has_next = status > 0;
    if (reader->has_next && reader->next.histogram && reader->stats) {
        enum nx_err err =
            qry_stats_read(reader->stats, reader->ev, reader->next.histogram, &reader->stats_next);
        if (err)
            return err;
        reader->next.histogram = &reader->stats_next;
    }
    return qry_work(reader->ev, 1);
}

enum nx_err qry_reader_begin(struct qry_reader *reader, size_t i)
{
    const struct qry_ranges *ranges = reader->ranges;

    nx_sample_iter_free(reader->it);
    reader->it = NULL;
    reader->has_next = false;
    forget_samples(reader);
    if (!ranges->series) {
        reader->row = &ranges->inner.rows[i];
        reader->row_at = 0;
        return NX_OK;
    }
    if (reader->stats)
        reader->stats->previous = NULL;
    struct qry_source *source = reader->ev->source;
    enum nx_err err = source->ops->open(source, &ranges->series[i], ranges->select.min_t,
                                        ranges->select.max_t, &reader->it);
    if (err) {
        reader->it = NULL;
        return qry_iter_error(reader->ev, err);
    }
    return read_next(reader, nx_sample_next(reader->it, &reader->next));
}

/* Room for one more element in three parallel arrays of 8-byte elements; `arrays` are the addresses
 * of the pointers to them. */
static enum nx_err make_room(struct qry_eval *ev, void *const arrays[3], size_t *head, size_t *len,
                             size_t *capacity)
{
    char *base;

    if (*len < *capacity)
        return NX_OK;
    if (*head > *capacity / 2) {
        for (size_t i = 0; i < 3; i++) {
            memcpy(&base, arrays[i], sizeof base);
            memmove(base, base + *head * 8, (*len - *head) * 8);
        }
        *len -= *head;
        *head = 0;
        return NX_OK;
    }
    size_t more = *capacity < 64 ? 64 : *capacity * 2;
    size_t max = ev->params->limits.max_memory_bytes;
    if (max > 0 && qry_memory_used(ev) + (more - *capacity) * 24 > max)
        return qry_over_memory(ev);
    for (size_t i = 0; i < 3; i++) {
        memcpy(&base, arrays[i], sizeof base);
        base = nx_realloc_array(base, more, 8);
        if (!base)
            return qry_no_memory(ev);
        memcpy(arrays[i], &base, sizeof base);
    }
    ev->window_bytes += (more - *capacity) * 24;
    *capacity = more;
    return NX_OK;
}

static enum nx_err hold(struct qry_reader *reader, uint64_t samples)
{
    reader->held += samples;
    reader->entered += samples;
    return qry_hold_samples(reader->ev, samples);
}

static enum nx_err push_float(struct qry_reader *reader, int64_t t, double v, int64_t st)
{
    enum nx_err err = make_room(reader->ev, (void *[3]){&reader->t, &reader->v, &reader->st},
                                &reader->head, &reader->len, &reader->capacity);
    if (err)
        return err;
    reader->t[reader->len] = t;
    reader->v[reader->len] = v;
    reader->st[reader->len] = st;
    reader->len++;
    return hold(reader, 1);
}

/* The live histograms move to the other arena, the old one is emptied. */
static enum nx_err sweep_histograms(struct qry_reader *reader)
{
    struct nx_arena *from = &reader->histograms[reader->turn]->arena;
    struct nx_arena *into = &reader->histograms[reader->turn ^ 1U]->arena;

    for (size_t i = reader->hhead; i < reader->hlen; i++) {
        reader->h[i] = nx_histogram_copy(into, reader->h[i]);
        if (!reader->h[i])
            return qry_no_memory(reader->ev);
    }
    nx_arena_clear(from);
    reader->turn ^= 1U;
    return NX_OK;
}

static enum nx_err push_histogram(struct qry_reader *reader, int64_t t,
                                  const struct nx_histogram *h, int64_t st)
{
    enum nx_err err = NX_OK;
    if (reader->hlen == reader->hcapacity && reader->hhead > reader->hcapacity / 2 &&
        (err = sweep_histograms(reader)))
        return err;
    err = make_room(reader->ev, (void *[3]){&reader->ht, &reader->h, &reader->hst}, &reader->hhead,
                    &reader->hlen, &reader->hcapacity);
    if (err)
        return err;
    const struct nx_histogram *copy =
        nx_histogram_copy(&reader->histograms[reader->turn]->arena, h);
    if (!copy)
        return qry_no_memory(reader->ev);
    reader->ht[reader->hlen] = t;
    reader->h[reader->hlen] = copy;
    reader->hst[reader->hlen] = st;
    reader->hlen++;
    if ((err = qry_work(reader->ev, QRY_HISTOGRAM_WORK)))
        return err;
    return hold(reader, qry_histogram_samples(copy));
}

static enum nx_err fill_from_series(struct qry_reader *reader, int64_t after, int64_t until)
{
    enum nx_err err = NX_OK;

    if (reader->has_next && reader->next.t < after) {
        if (reader->stats)
            reader->stats->previous = NULL;
        if ((err = read_next(reader, nx_sample_seek(reader->it, after, &reader->next))))
            return err;
    }
    while (reader->has_next && reader->next.t <= until) {
        const struct nx_sample *s = &reader->next;
        if (s->t > after) {
            if (s->histogram) {
                if (!nx_histogram_is_stale(s->histogram))
                    err = push_histogram(reader, s->t, s->histogram, s->st);
            } else if (!nx_is_stale(s->value)) {
                err = push_float(reader, s->t, s->value, s->st);
            }
            if (err)
                return err;
        }
        if ((err = read_next(reader, nx_sample_next(reader->it, &reader->next))))
            return err;
    }
    return NX_OK;
}

/* A histogram that left its sequence in storage does not know whether it follows a reset. */
static enum nx_err push_inner_histogram(struct qry_reader *reader, int64_t t,
                                        const struct nx_histogram *h)
{
    struct nx_histogram plain = *h;
    if (plain.hint == NX_HINT_RESET || plain.hint == NX_HINT_NOT_RESET)
        plain.hint = NX_HINT_UNKNOWN;
    return push_histogram(reader, t, &plain, 0);
}

static enum nx_err fill_from_subquery(struct qry_reader *reader, int64_t after, int64_t until)
{
    const struct qry_scope *grid = &reader->ranges->inner_scope;
    const struct qry_row *row = reader->row;
    enum nx_err err = NX_OK;

    for (; reader->row_at < grid->steps && err == NX_OK; reader->row_at++) {
        size_t i = reader->row_at;
        int64_t t = qry_step_time(grid, i);
        if (t > until)
            break;
        if (t <= after)
            continue;
        const struct nx_histogram *h = qry_histogram_at(row, i);
        if (h)
            err = push_inner_histogram(reader, t, h);
        else if (qry_has_float(row, i))
            err = push_float(reader, t, row->values[i], 0);
        if (err == NX_OK)
            err = qry_work(reader->ev, 1);
    }
    return err;
}

static void drop_until(struct qry_reader *reader, int64_t after)
{
    uint64_t dropped = 0;
    while (reader->head < reader->len && reader->t[reader->head] <= after) {
        reader->head++;
        dropped++;
    }
    while (reader->hhead < reader->hlen && reader->ht[reader->hhead] <= after)
        dropped += qry_histogram_samples(reader->h[reader->hhead++]);
    if (reader->head == reader->len)
        reader->head = reader->len = 0;
    if (reader->hhead == reader->hlen && reader->hlen > 0) {
        reader->hhead = reader->hlen = 0;
        nx_arena_clear(&reader->histograms[reader->turn]->arena);
    }
    reader->held -= dropped;
    qry_drop_samples(reader->ev, dropped);
}

enum nx_err qry_reader_window(struct qry_reader *reader, size_t step, struct qry_window *out)
{
    const struct qry_ranges *ranges = reader->ranges;
    int64_t eval_t = qry_step_time(ranges->scope, step);
    int64_t end = qry_reference_time(reader->ev, ranges->mod, eval_t);
    int64_t start = qry_time_sub(end, ranges->range_ms);
    int64_t after = qry_time_sub(start, ranges->before_ms);
    int64_t until = qry_time_add(end, ranges->after_ms);

    drop_until(reader, after);
    reader->entered = 0;
    enum nx_err err = ranges->series ? fill_from_series(reader, after, until)
                                     : fill_from_subquery(reader, after, until);
    if (err)
        return err;
    *out = (struct qry_window){
        .eval_t = eval_t,
        .start = start,
        .end = end,
        .count = reader->len - reader->head,
        .hcount = reader->hlen - reader->hhead,
    };
    if (out->count > 0) {
        out->t = reader->t + reader->head;
        out->v = reader->v + reader->head;
        out->st = reader->keep_starts ? reader->st + reader->head : NULL;
    }
    if (out->hcount > 0) {
        out->ht = reader->ht + reader->hhead;
        out->h = reader->h + reader->hhead;
        out->hst = reader->keep_starts ? reader->hst + reader->hhead : NULL;
    }
    if (ranges->series)
        qry_count_read(ranges->scope, step, reader->entered);
    if (ranges->series || !ranges->scope->is_result)
        qry_count_queryable(ranges->scope, step, reader->held);
    return NX_OK;
}
