/* Rows are taken in the order of time and then of partitions, so that each block is written once:
 * windows of one block together, and within it the partitions in groups of so many samples as one
 * ask may bring. */
#include <stdlib.h>

#include "common/base/alloc.h"
#include "ingester/repair/pull_internal.h"

#define WIDE_WINDOWS 12 /* blocks of old data may be as long as the third level of compaction */
#define WIDE_SAMPLES UINT64_C(20000000)

static int64_t floor_to(int64_t t, int64_t step)
{
    int64_t rest = t % step;
    return t - (rest < 0 ? rest + step : rest);
}

struct sorted {
    int64_t span;
    const struct ing_digest_row *row;
};

static int by_span(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    if (x->span != y->span)
        return x->span < y->span ? -1 : 1;
    if (x->row->partition != y->row->partition)
        return x->row->partition < y->row->partition ? -1 : 1;
    return (x->row->window > y->row->window) - (x->row->window < y->row->window);
}

static enum nx_err unit_add(struct ing_pull *pull, const struct ing_diff *diff, int64_t min_t)
{
    enum nx_err err =
        nx_grow(&pull->units, &pull->unit_capacity, pull->unit_count + 1, sizeof *pull->units);
    if (err != NX_OK)
        return err;
    struct ing_pull_unit *unit = &pull->units[pull->unit_count];
    *unit = (struct ing_pull_unit){.diff = diff, .min_t = min_t, .max_t = min_t};
    unit->partitions = nx_calloc((pull->ing->deps.partitions + 7) / 8, 1);
    if (!unit->partitions)
        return NX_ERR_NOMEM;
    pull->unit_count++;
    return NX_OK;
}

static void unit_take(struct ing_pull_unit *unit, const struct ing_digest_row *row, int64_t until)
{
    int64_t last = row->window + ING_DIGEST_WINDOW_MS - 1;
    last = last < until ? last : until - 1;
    unit->partitions[row->partition / 8] |= (uint8_t)(1U << (row->partition % 8));
    unit->min_t = row->window < unit->min_t ? row->window : unit->min_t;
    unit->max_t = last > unit->max_t ? last : unit->max_t;
    unit->samples += row->digest.count;
}

/* The rows of one block, already in the order of their partitions. */
static enum nx_err plan_span(struct ing_pull *pull, const struct ing_diff *diff,
                             const struct sorted *rows, size_t count)
{
    int64_t window_ms = pull->ing->rules.window_ms;
    size_t first = pull->unit_count;
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        bool other = i == 0 || rows[i].row->partition != rows[i - 1].row->partition;
        if (i == 0 || (other && pull->units[pull->unit_count - 1].samples >= pull->unit_samples))
            err = unit_add(pull, diff, rows[i].row->window);
        if (err == NX_OK)
            unit_take(&pull->units[pull->unit_count - 1], rows[i].row, pull->until);
    }
    int64_t min_t = INT64_MAX, max_t = INT64_MIN;
    for (size_t i = first; i < pull->unit_count; i++) {
        min_t = pull->units[i].min_t < min_t ? pull->units[i].min_t : min_t;
        max_t = pull->units[i].max_t > max_t ? pull->units[i].max_t : max_t;
    }
    for (size_t i = first; i < pull->unit_count; i++) {
        pull->units[i].span_min = floor_to(min_t, window_ms);
        pull->units[i].span_max = floor_to(max_t, window_ms) + window_ms;
    }
    return err;
}

/* Days of little data make one block; what is much, or not over yet, one a window. */
static void choose_spans(const struct ing_pull *pull, struct sorted *rows, size_t count)
{
    int64_t window_ms = pull->ing->rules.window_ms;
    int64_t wide = WIDE_WINDOWS * window_ms;
    if (wide * 3 > pull->ing->deps.settings->retention_ms)
        wide = window_ms;
    for (size_t i = 0; i < count;) {
        uint64_t samples = 0;
        size_t end = i;
        while (end < count && rows[end].span == rows[i].span)
            samples += rows[end++].row->digest.count;
        bool narrow = samples > WIDE_SAMPLES || rows[i].span + wide > pull->until;
        for (; i < end && narrow; i++)
            rows[i].span = floor_to(rows[i].row->window, window_ms);
        i = end;
    }
}

static enum nx_err plan_tenant(struct ing_pull *pull, const struct ing_diff *diff)
{
    int64_t wide = WIDE_WINDOWS * pull->ing->rules.window_ms;
    size_t count = diff->rows.count;
    struct sorted *rows = nx_alloc_array(count + 1, sizeof *rows);
    enum nx_err err = rows ? NX_OK : NX_ERR_NOMEM;
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < count; i++)
        rows[i] = (struct sorted){.span = floor_to(diff->rows.rows[i].window, wide),
                                  .row = &diff->rows.rows[i]};
    qsort(rows, count, sizeof *rows, by_span);
    choose_spans(pull, rows, count);
    qsort(rows, count, sizeof *rows, by_span);
    for (size_t i = 0; i < count && err == NX_OK;) {
        size_t end = i;
        while (end < count && rows[end].span == rows[i].span)
            end++;
        err = plan_span(pull, diff, rows + i, end - i);
        i = end;
    }
    nx_free(rows);
    return err;
}

enum nx_err ing_pull_plan(struct ing_pull *pull)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < pull->diffs->count && err == NX_OK; i++)
        if (pull->diffs->items[i].rows.count > 0)
            err = plan_tenant(pull, &pull->diffs->items[i]);
    return err;
}
