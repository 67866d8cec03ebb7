/* Spans are tried from the shortest to the longest and, of one length, from the oldest on: what is
 * cheap comes first. Weight decides inside a span: seen from the largest block down, a block joins
 * when all the smaller ones together have at least a quarter of its bytes (tiered compaction),
 * which bounds how often a byte is rewritten by the logarithm of the amount of data. */
#include "ingester/compact/plan.h"

#include <stdlib.h>

#include "common/base/alloc.h"

#define CROWD 8    /* blocks in one window before the window is over */
#define LATE_MIN 4 /* overlapping blocks worth a rewrite */
#define WEIGHT 4   /* 1/4 */
#define LEFT_ALONE_MS INT64_C(86400000)

static const int64_t spans[] = {1, 4, 12, 48};
#define SPANS (sizeof spans / sizeof spans[0])

int64_t ing_compact_max_span(int64_t retention_ms)
{
    return retention_ms / 3;
}

struct pick {
    const struct ing_compact_item *item;
    size_t at;
};

static int64_t floor_to(int64_t t, int64_t span)
{
    int64_t rest = t % span;
    return t - (rest < 0 ? rest + span : rest);
}

static int largest_first(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    if (x->item->bytes != y->item->bytes)
        return x->item->bytes < y->item->bytes ? 1 : -1;
    return (x->at > y->at) - (x->at < y->at);
}

static int by_time(const void *a, const void *b)
{
    const struct pick *x = a, *y = b;
    return (x->item->min_t > y->item->min_t) - (x->item->min_t < y->item->min_t);
}

/* The picks inside the span that begins at `start`. */
static size_t inside(const struct ing_compact_item *items, size_t count, int64_t start,
                     int64_t span, struct pick *out)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        if (!items[i].excluded && items[i].min_t >= start && items[i].max_t <= start + span)
            out[found++] = (struct pick){.item = &items[i], .at = i};
    return found;
}

/* Windows go to blocks in their order: one behind the span tells that the span's are there. */
static bool is_over(const struct ing_compact_rules *rules, const struct ing_compact_item *items,
                    size_t count, int64_t end, int64_t now_ms)
{
    if (now_ms >= end + 2 * rules->window_ms + rules->out_of_order_ms)
        return true;
    for (size_t i = 0; i < count; i++)
        if (items[i].min_t >= end)
            return true;
    return false;
}

static bool overlap(struct pick *picks, size_t count)
{
    qsort(picks, count, sizeof *picks, by_time);
    int64_t end = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        if (picks[i].item->min_t < end)
            return true;
        end = picks[i].item->max_t > end ? picks[i].item->max_t : end;
    }
    return false;
}

static bool left_alone(const struct pick *picks, size_t count, int64_t now_ms)
{
    for (size_t i = 0; i < count; i++)
        if (now_ms - picks[i].item->created_ms < LEFT_ALONE_MS)
            return false;
    return true;
}

/* Drops those that are too large for the rest from the front; how many are left. */
static size_t weigh(struct pick *picks, size_t count)
{
    uint64_t rest = 0;
    size_t from = count;
    qsort(picks, count, sizeof *picks, largest_first);
    for (size_t i = count; i-- > 0;) {
        if (i + 1 < count && rest * WEIGHT >= picks[i].item->bytes)
            from = i;
        rest += picks[i].item->bytes;
    }
    for (size_t i = from; i < count; i++)
        picks[i - from] = picks[i];
    return count - from;
}

/* Reduces the picks of a span to those that are joined now. */
static size_t choose(const struct ing_compact_rules *rules, const struct ing_compact_item *items,
                     size_t count, size_t level, int64_t start, int64_t now_ms, struct pick *picks)
{
    int64_t span = spans[level] * rules->window_ms;
    size_t found = inside(items, count, start, span, picks);
    if (found < 2)
        return 0;
    if (left_alone(picks, found, now_ms))
        return found;
    if (level == 0) {
        if (found < CROWD)
            return 0;
    } else if (!is_over(rules, items, count, start + span, now_ms)) {
        return 0;
    }
    found = weigh(picks, found);
    if (found < 2 || (found < LATE_MIN && overlap(picks, found)))
        return 0;
    return found;
}

int64_t ing_compact_plan(const struct ing_compact_rules *rules,
                         const struct ing_compact_item *items, size_t count, int64_t now_ms,
                         size_t *chosen)
{
    struct pick *order = nx_alloc_array(count + 1, sizeof *order);
    struct pick *picks = nx_alloc_array(count + 1, sizeof *picks);
    size_t found = 0;
    if (!order || !picks) {
        nx_free(order);
        nx_free(picks);
        return NX_ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (struct pick){.item = &items[i], .at = i};
    if (count > 1)
        qsort(order, count, sizeof *order, by_time);
    for (size_t level = 0; level < SPANS && found == 0; level++) {
        int64_t span = spans[level] * rules->window_ms;
        int64_t last = INT64_MIN;
        if (level > 0 && span > rules->max_span_ms)
            break;
        for (size_t i = 0; i < count && found == 0; i++) {
            int64_t start = floor_to(order[i].item->min_t, span);
            if (start == last)
                continue;
            last = start;
            found = choose(rules, items, count, level, start, now_ms, picks);
        }
    }
    for (size_t i = 0; i < found; i++)
        chosen[i] = picks[i].at;
    nx_free(order);
    nx_free(picks);
    return (int64_t)found;
}
