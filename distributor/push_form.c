/* How a row is sent to one ingester: by its number where the ingester has given it one and it has
 * float samples alone, else by its id, with labels where the ingester's life has not confirmed it.
 * A row it does not know is sent again in the next longer form: the cache has forgotten the shorter
 * one by then, and the third call sends all labels, whatever the cache says.
 *
 * Rows by number follow those by id, gathered by shard, for the ingester cuts them up there; within
 * a shard they keep their order, in which the numbers mostly ascend. */
#include "common/chunk/push_columns.h"
#include "distributor/push_internal.h"

enum { TRIES_BY_NUMBER = 1, TRIES_BY_ID = 2 };

static bool fits_columns(const struct dist_series *series)
{
    return series->sample_count > 0 && series->histogram_count == 0 && series->exemplar_count == 0;
}

static void look_up(struct dist_leg *leg, struct dist_cache *cache, size_t i)
{
    const struct dist_series *series = dist_push_series(leg->push, leg->rows[i]);
    uint32_t number = 0;
    bool known = dist_cache_knows(cache, series->cache_ref, series->cache_key, leg->life, &number);
    leg->with_labels[i] = !known;
    leg->numbers[i] = 0;
    if (!fits_columns(series))
        return;
    if (number && leg->tries < TRIES_BY_NUMBER)
        leg->numbers[i] = number;
    else
        leg->needs_numbers = true;
}

static void look_all_up(struct dist_leg *leg)
{
    struct dist_cache *cache = leg->push->pusher->options.cache;
    leg->needs_numbers = false;
    leg->samples = 0;
    for (size_t i = 0; i < leg->series_count; i++) {
        const struct dist_series *series = dist_push_series(leg->push, leg->rows[i]);
        leg->samples += series->sample_count + series->histogram_count;
    }
    if (!cache || leg->tries >= TRIES_BY_ID) {
        for (size_t i = 0; i < leg->series_count; i++) {
            leg->with_labels[i] = true;
            leg->numbers[i] = 0;
        }
        leg->needs_numbers = cache != NULL;
        return;
    }
    dist_cache_read_begin(cache);
    for (size_t i = 0; i < leg->series_count; i++)
        look_up(leg, cache, i);
    dist_cache_read_end(cache);
}

/* Where each shard's rows begin, behind those by id. More samples than a message may have go by id.
 */
static void count_shards(struct dist_leg *leg, size_t starts[NX_NUMBER_SHARDS])
{
    size_t samples = 0, rows[NX_NUMBER_SHARDS] = {0};
    leg->by_id = 0;
    for (size_t i = 0; i < leg->series_count; i++) {
        uint32_t number = leg->numbers[i];
        if (number)
            samples += dist_push_series(leg->push, leg->rows[i])->sample_count;
        if (samples > NX_PUSH_MAX_SAMPLES)
            number = leg->numbers[i] = 0;
        if (number)
            rows[nx_number_shard(number)]++;
        else
            leg->by_id++;
    }
    size_t start = leg->by_id;
    for (size_t shard = 0; shard < NX_NUMBER_SHARDS; shard++) {
        starts[shard] = start;
        start += rows[shard];
    }
}

static enum nx_err put_in_order(struct dist_leg *leg)
{
    size_t starts[NX_NUMBER_SHARDS];
    count_shards(leg, starts);
    if (leg->by_id == leg->series_count) {
        if (leg->tries < TRIES_BY_NUMBER)
            leg->tries = TRIES_BY_NUMBER; /* that form is through */
        return NX_OK;
    }
    struct nx_arena *arena = &leg->push->arena;
    uint32_t *rows = nx_arena_array(arena, leg->row_count, sizeof *rows);
    uint32_t *numbers = nx_arena_array(arena, leg->series_count, sizeof *numbers);
    if (!rows || !numbers)
        return NX_ERR_NOMEM;
    size_t by_id = 0;
    for (size_t i = 0; i < leg->series_count; i++) {
        uint32_t number = leg->numbers[i];
        size_t to = number ? starts[nx_number_shard(number)]++ : by_id++;
        rows[to] = leg->rows[i];
        numbers[to] = number;
        if (!number)
            leg->with_labels[to] = leg->with_labels[i]; /* to <= i */
    }
    for (size_t i = leg->series_count; i < leg->row_count; i++)
        rows[i] = leg->rows[i];
    leg->rows = rows;
    leg->numbers = numbers;
    return NX_OK;
}

enum nx_err dist_leg_choose_forms(struct dist_leg *leg)
{
    struct dist_push *push = leg->push;
    struct nx_metrics *metrics = push->pusher->options.metrics;
    look_all_up(leg);
    enum nx_err err = put_in_order(leg);
    size_t with = 0;
    for (size_t i = 0; i < leg->by_id && !err; i++) {
        if (!leg->with_labels[i])
            continue;
        with++;
        err = dist_resolve_canonical(push->request.batch, dist_push_series(push, leg->rows[i]));
    }
    if (err)
        return err;
    leg->any_labels = with > 0;
    nx_metric_add(metrics, DIST_METRIC_PUSH_ROWS, DIST_ROWS_WITH_LABELS, (double)with);
    nx_metric_add(metrics, DIST_METRIC_PUSH_ROWS, DIST_ROWS_BY_ID, (double)(leg->by_id - with));
    nx_metric_add(metrics, DIST_METRIC_PUSH_ROWS, DIST_ROWS_BY_NUMBER,
                  (double)(leg->series_count - leg->by_id));
    return NX_OK;
}

/* NULL where nothing can be noted: the batch was given back, or the row is no series. */
static const struct dist_series *series_of(const struct dist_leg *leg, size_t i)
{
    const struct dist_push *push = leg->push;
    if (!push->pusher->options.cache || !push->request.batch || i >= leg->series_count)
        return NULL;
    return dist_push_series(push, leg->rows[i]);
}

void dist_leg_learn(struct dist_leg *leg, size_t i, uint16_t life, uint32_t number)
{
    /* nothing new: it was sent by the number or the id that it is known by */
    if (life == leg->life && !number && (i >= leg->by_id || !leg->with_labels[i]))
        return;
    const struct dist_series *series = series_of(leg, i);
    if (series)
        dist_cache_confirm(leg->push->pusher->options.cache, series->cache_ref, series->cache_key,
                           life, number);
}

void dist_leg_unlearn(struct dist_leg *leg, size_t i, uint16_t life)
{
    const struct dist_series *series = series_of(leg, i);
    struct dist_cache *cache = leg->push->pusher->options.cache;
    if (!series)
        return;
    if (i < leg->by_id)
        dist_cache_forget(cache, series->cache_ref, series->cache_key, life);
    else
        dist_cache_forget_number(cache, series->cache_ref, series->cache_key, leg->life,
                                 leg->numbers[i]);
}
