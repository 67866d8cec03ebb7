/* A sample newer than all others goes to the open chunk; an older one is looked up first (same
 * bits: accepted and forgotten, other bits: refused) and then joins the out-of-order run, which is
 * turned into sealed chunks when it is full, one a window. Out-of-order histograms are rare and
 * become chunks of one sample at once. Chunks may therefore overlap in time, never in timestamps;
 * readers merge. */
#include "ingester/head/series.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/chunk/merge.h"
#include "ingester/head/open_chunk.h"

#define OOO_MAX 120u
#define OPEN_MAX_BYTES 1000u
#define OPEN_SHORT_BYTES 112u /* four blocks */

int64_t ing_window_of(int64_t window_ms, int64_t t)
{
    int64_t rest = t % window_ms;
    return t - (rest < 0 ? rest + window_ms : rest);
}

static bool same_sample(const struct nx_sample *a, const struct nx_sample *b)
{
    if (!a->histogram != !b->histogram)
        return false;
    if (a->histogram)
        return nx_histogram_identical(a->histogram, b->histogram);
    return nx_double_bits(a->value) == nx_double_bits(b->value);
}

/* 1: the chunk has a sample at t, *same tells whether it is this one; 0: it has not; negative:
 * error. */
static int chunk_lookup(const struct nx_chunk *chunk, const struct nx_sample *sample, bool *same)
{
    if (sample->t < chunk->min_t || sample->t > chunk->max_t)
        return 0;
    struct nx_sample_iter *it;
    enum nx_err err = nx_chunk_iter_new(chunk->encoding, chunk->data, &it);
    if (err != NX_OK)
        return err;
    struct nx_sample found;
    int rc = nx_sample_seek(it, sample->t, &found);
    if (rc == 1) {
        rc = found.t == sample->t;
        *same = rc == 1 && same_sample(&found, sample);
    }
    nx_sample_iter_free(it);
    return rc;
}

/* The position of the first entry at or after t. */
static uint32_t ooo_position(const struct ing_ooo *ooo, int64_t t)
{
    uint32_t low = 0;
    uint32_t high = ooo->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (ooo->items[mid].t < t)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* --- what few series have --- */

void ing_pool_init(struct ing_pool *pool, const struct ing_window_rules *rules,
                   struct ing_chunk_files *files)
{
    *pool = (struct ing_pool){.rules = rules, .files = files};
}

void ing_pool_release(struct ing_pool *pool)
{
    ing_slab_release(&pool->slab);
    ing_chunk_files_free(pool->files);
    nx_free(pool->extras);
    ing_pool_init(pool, pool->rules, NULL);
}

static struct ing_extra *extra_of(const struct ing_pool *pool, const struct ing_series *series)
{
    return series->extra ? &pool->extras[series->extra - 1] : NULL;
}

static enum nx_err extra_get(struct ing_pool *pool, struct ing_series *series,
                             struct ing_extra **out)
{
    if (!series->extra) {
        uint32_t number = pool->free_extra;
        if (number) {
            pool->free_extra = pool->extras[number - 1].next_free;
        } else {
            enum nx_err err = nx_grow(&pool->extras, &pool->extra_capacity, pool->extra_count + 1,
                                      sizeof *pool->extras);
            if (err != NX_OK)
                return err;
            number = (uint32_t)++pool->extra_count;
        }
        pool->extras[number - 1] = (struct ing_extra){.ooo = NULL};
        series->extra = number;
    }
    *out = extra_of(pool, series);
    return NX_OK;
}

/* Gives it back where it holds nothing. */
static void extra_settle(struct ing_pool *pool, struct ing_series *series)
{
    struct ing_extra *extra = extra_of(pool, series);
    if (!extra || extra->ooo || extra->sealed.count > 0)
        return;
    ing_sealed_list_release(&extra->sealed);
    extra->next_free = pool->free_extra;
    pool->free_extra = series->extra;
    series->extra = 0;
}

/* --- chunks in files --- */

static uint32_t owner_of(const struct ing_series *series)
{
    return (uint32_t)series->id.lo;
}

static void set_chain(struct ing_series *series, uint64_t address)
{
    series->chain_low = (uint32_t)address;
    series->chain_high = (uint16_t)(address >> 32);
}

static void set_floor(struct ing_series *series, uint64_t address)
{
    series->floor_low = (uint32_t)address;
    series->floor_high = (uint16_t)(address >> 32);
}

/* Whether the chunk went to the files. */
static bool chain_add(struct ing_pool *pool, struct ing_series *series,
                      const struct nx_chunk *chunk)
{
    if (!pool->files)
        return false;
    struct ing_chunk_piece piece = {
        .before = ing_series_chain(series), .owner = owner_of(series), .chunk = *chunk};
    uint64_t address = ing_chunk_files_append(pool->files, &piece, series->tenant,
                                              ing_window_of(pool->rules->window_ms, chunk->min_t));
    if (address != ING_CHUNK_ADDRESS_NONE)
        set_chain(series, address);
    return address != ING_CHUNK_ADDRESS_NONE;
}

/* The piece at the address, wherever it is. Blocks for those in files. */
static enum nx_err piece_read(const struct ing_pool *pool, const struct ing_series *series,
                              uint64_t address, struct ing_chunk_piece_buffer *buffer,
                              struct ing_chunk_piece *out)
{
    if (address >= ing_chunk_files_written(pool->files))
        return ing_chunk_files_read_memory(pool->files, address, owner_of(series), out);
    return ing_chunk_view_read(ing_chunk_files_view(pool->files), address, owner_of(series), buffer,
                               out);
}

/* The lowest address that can be the series'. */
static uint64_t chain_floor(const struct ing_pool *pool, const struct ing_series *series)
{
    uint64_t floor = ing_series_floor(series);
    uint64_t begin = ing_chunk_view_begin(ing_chunk_files_view(pool->files));
    uint64_t written = ing_chunk_files_written(pool->files);
    begin = begin < written ? begin : written;
    return floor > begin ? floor : begin;
}

/* As chunk_lookup. A chunk that cannot be read does not hold up ingestion: a sample that is in it
 * is then kept twice, which reading and the block repair. */
static int chain_lookup(const struct ing_pool *pool, const struct ing_series *series,
                        const struct nx_sample *sample, bool *same)
{
    struct ing_chunk_piece_buffer buffer;
    struct ing_chunk_piece piece;
    uint64_t floor = chain_floor(pool, series);
    for (uint64_t at = ing_series_chain(series); at >= floor && at > 0; at = piece.before) {
        if (piece_read(pool, series, at, &buffer, &piece) != NX_OK || piece.before >= at ||
            piece.chunk.max_t < sample->t)
            return 0;
        if (piece.chunk.min_t <= sample->t)
            return chunk_lookup(&piece.chunk, sample, same);
    }
    return 0;
}

/* --- looking for a time --- */

static int open_lookup(const struct ing_pool *pool, const struct ing_series *series,
                       const struct nx_sample *sample, bool *same)
{
    if (sample->t == series->newest_t) {
        struct nx_sample last = ing_open_chunk_last(series);
        *same = same_sample(&last, sample);
        return 1;
    }
    if (sample->t < ing_open_chunk_min_t(pool, series))
        return 0;
    struct ing_open_chunk_copy copy;
    struct nx_chunk chunk = ing_open_chunk_bytes(pool, series, &copy);
    return chunk_lookup(&chunk, sample, same);
}

static int extra_lookup(const struct ing_extra *extra, const struct nx_sample *sample, bool *same)
{
    if (extra->ooo) {
        uint32_t at = ooo_position(extra->ooo, sample->t);
        if (at < extra->ooo->count && extra->ooo->items[at].t == sample->t) {
            *same =
                !sample->histogram && extra->ooo->items[at].bits == nx_double_bits(sample->value);
            return 1;
        }
    }
    for (uint32_t i = extra->sealed.count; i-- > 0;) {
        struct nx_chunk chunk = ing_sealed_chunk(extra->sealed.items[i]);
        int rc = chunk_lookup(&chunk, sample, same);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int series_lookup(const struct ing_pool *pool, const struct ing_series *series,
                         const struct nx_sample *sample, bool *same)
{
    const struct ing_extra *extra = extra_of(pool, series);
    int rc = ing_open_chunk_exists(series) ? open_lookup(pool, series, sample, same) : 0;
    if (rc == 0 && extra)
        rc = extra_lookup(extra, sample, same);
    if (rc == 0 && ing_series_chain(series))
        rc = chain_lookup(pool, series, sample, same);
    return rc;
}

/* --- sealing --- */

static enum nx_err seal_chunk(struct ing_sealed_list *list, const struct nx_chunk *chunk)
{
    struct ing_sealed *sealed = ing_sealed_new(chunk);
    if (!sealed)
        return NX_ERR_NOMEM;
    enum nx_err err = ing_sealed_list_add(list, sealed);
    if (err != NX_OK)
        ing_sealed_drop(sealed);
    return err;
}

/* To the files, if they take it. */
static bool spill_open(struct ing_pool *pool, struct ing_series *series)
{
    struct ing_open_chunk_copy copy;
    struct nx_chunk chunk = ing_open_chunk_bytes(pool, series, &copy);
    if (!chain_add(pool, series, &chunk))
        return false;
    ing_open_chunk_release(pool, series);
    return true;
}

static enum nx_err seal_open(struct ing_pool *pool, struct ing_series *series)
{
    struct ing_open_chunk_copy copy;
    struct nx_chunk chunk = ing_open_chunk_bytes(pool, series, &copy);
    struct ing_extra *extra;
    enum nx_err err = extra_get(pool, series, &extra);
    if (err == NX_OK)
        err = seal_chunk(&extra->sealed, &chunk);
    if (err == NX_OK)
        ing_open_chunk_release(pool, series);
    extra_settle(pool, series);
    return err;
}

/* The samples [from, to) of the run as one sealed chunk. */
static enum nx_err seal_run(const struct ing_ooo *ooo, uint32_t from, uint32_t to,
                            struct ing_sealed_list *list)
{
    struct nx_chunk_appender *app;
    enum nx_err err = nx_chunk_appender_new(NX_CHUNK_XOR, &app);
    if (err != NX_OK)
        return err;
    for (uint32_t i = from; i < to && err == NX_OK; i++) {
        struct nx_sample sample = {.t = ooo->items[i].t,
                                   .value = nx_double_from_bits(ooo->items[i].bits)};
        err = nx_chunk_append(app, &sample);
    }
    if (err == NX_OK) {
        struct nx_chunk chunk = nx_chunk_appender_chunk(app);
        err = seal_chunk(list, &chunk);
    }
    nx_chunk_appender_free(app);
    return err;
}

/* Moves the run's samples in [min_t, max_t] to sealed chunks, one a window. The run is in order, so
 * what was sealed before a failure is cut from it. */
static enum nx_err seal_ooo(struct ing_extra *extra, int64_t window_ms, int64_t min_t,
                            int64_t max_t)
{
    struct ing_ooo *ooo = extra->ooo;
    if (!ooo)
        return NX_OK;
    uint32_t first = ooo_position(ooo, min_t);
    uint32_t from = first;
    enum nx_err err = NX_OK;
    while (from < ooo->count && ooo->items[from].t <= max_t) {
        int64_t end = ing_window_of(window_ms, ooo->items[from].t) + window_ms;
        uint32_t to = from + 1;
        while (to < ooo->count && ooo->items[to].t <= max_t && ooo->items[to].t < end)
            to++;
        err = seal_run(ooo, from, to, &extra->sealed);
        if (err != NX_OK)
            break;
        from = to;
    }
    memmove(&ooo->items[first], &ooo->items[from], (ooo->count - from) * sizeof ooo->items[0]);
    ooo->count -= from - first;
    if (ooo->count == 0) {
        nx_free(ooo);
        extra->ooo = NULL;
    }
    return err;
}

static enum nx_err ooo_insert(struct ing_extra *extra, const struct nx_sample *sample)
{
    struct ing_ooo *ooo = extra->ooo;
    uint32_t count = ooo ? ooo->count : 0;
    if (!ooo || count == ooo->capacity) {
        uint32_t capacity = ooo ? ooo->capacity * 2 : 4;
        struct ing_ooo *grown = nx_realloc(ooo, sizeof *ooo + capacity * sizeof ooo->items[0]);
        if (!grown)
            return NX_ERR_NOMEM;
        grown->count = count;
        grown->capacity = capacity;
        extra->ooo = ooo = grown;
    }
    uint32_t at = ooo_position(ooo, sample->t);
    memmove(&ooo->items[at + 1], &ooo->items[at], (count - at) * sizeof ooo->items[0]);
    ooo->items[at] = (struct ing_ooo_sample){.t = sample->t, .bits = nx_double_bits(sample->value)};
    ooo->count++;
    return NX_OK;
}

static enum nx_err histogram_insert(struct ing_extra *extra, const struct nx_sample *sample)
{
    struct nx_chunk_appender *app;
    enum nx_err err = nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &app);
    if (err != NX_OK)
        return err;
    err = nx_chunk_append(app, sample);
    if (err == NX_OK) {
        struct nx_chunk chunk = nx_chunk_appender_chunk(app);
        err = seal_chunk(&extra->sealed, &chunk);
    }
    nx_chunk_appender_free(app);
    return err;
}

static enum nx_err insert_older(struct ing_pool *pool, struct ing_extra *extra,
                                const struct nx_sample *sample)
{
    if (sample->histogram)
        return histogram_insert(extra, sample);
    if (extra->ooo && extra->ooo->count >= OOO_MAX) {
        enum nx_err err = seal_ooo(extra, pool->rules->window_ms, INT64_MIN, INT64_MAX);
        if (err != NX_OK)
            return err;
    }
    return ooo_insert(extra, sample);
}

static enum nx_err append_older(struct ing_pool *pool, struct ing_series *series,
                                const struct nx_sample *sample, enum ing_append_result *out)
{
    bool same = false;
    int rc = series_lookup(pool, series, sample, &same);
    if (rc < 0)
        return (enum nx_err)rc;
    if (rc == 1 && !same)
        return NX_ERR_CONFLICT;
    if (rc == 1) {
        *out = ING_DUPLICATE;
        return NX_OK;
    }
    if (pool->rules->out_of_order_ms == 0)
        return NX_ERR_OUT_OF_ORDER;
    if (sample->t < series->newest_t - pool->rules->out_of_order_ms)
        return NX_ERR_TOO_OLD;
    struct ing_extra *extra;
    enum nx_err err = extra_get(pool, series, &extra);
    if (err == NX_OK)
        err = insert_older(pool, extra, sample);
    extra_settle(pool, series);
    if (err == NX_OK)
        *out = ING_APPENDED;
    return err;
}

/* An open chunk is closed early where the files take it; else it grows to its full length. */
static bool open_goes_on(struct ing_pool *pool, struct ing_series *series,
                         const struct nx_sample *sample)
{
    if (!ing_open_chunk_takes(pool, series, sample, OPEN_MAX_BYTES))
        return false;
    if (!pool->files || ing_open_chunk_takes(pool, series, sample, OPEN_SHORT_BYTES))
        return true;
    return !spill_open(pool, series);
}

static enum nx_err append_newest(struct ing_pool *pool, struct ing_series *series,
                                 const struct nx_sample *sample)
{
    if (ing_open_chunk_exists(series) && open_goes_on(pool, series, sample))
        return ing_open_chunk_append(pool, series, sample);
    struct ing_open_chunk_next next;
    enum nx_err err = ing_open_chunk_prepare(pool, sample, &next);
    if (err != NX_OK)
        return err;
    if (ing_open_chunk_exists(series) && !spill_open(pool, series))
        err = seal_open(pool, series);
    if (err == NX_OK)
        ing_open_chunk_start(pool, series, sample, &next);
    else
        ing_open_chunk_discard(pool, &next);
    return err;
}

enum nx_err ing_series_append(struct ing_pool *pool, struct ing_series *series,
                              const struct nx_sample *sample, enum ing_append_result *out)
{
    if (sample->t > ING_TIME_LIMIT || sample->t < -ING_TIME_LIMIT)
        return NX_ERR_OUT_OF_BOUNDS;
    if (series->newest_t != INT64_MIN && sample->t <= series->newest_t)
        return append_older(pool, series, sample, out);
    enum nx_err err = append_newest(pool, series, sample);
    if (err == NX_OK)
        *out = ING_APPENDED;
    return err;
}

void ing_series_release_samples(struct ing_pool *pool, struct ing_series *series)
{
    struct ing_extra *extra = extra_of(pool, series);
    ing_open_chunk_release(pool, series);
    set_chain(series, 0);
    set_floor(series, 0);
    if (!extra)
        return;
    nx_free(extra->ooo);
    extra->ooo = NULL;
    ing_sealed_list_release(&extra->sealed);
    extra_settle(pool, series);
}

bool ing_series_has_samples(const struct ing_series *series)
{
    return ing_open_chunk_exists(series) || series->extra || ing_series_chain(series);
}

static bool overlaps(int64_t from, int64_t to, int64_t min_t, int64_t max_t)
{
    return from <= max_t && to >= min_t;
}

static bool open_overlaps(const struct ing_pool *pool, const struct ing_series *series,
                          int64_t min_t, int64_t max_t)
{
    return ing_open_chunk_exists(series) &&
           overlaps(ing_open_chunk_min_t(pool, series), series->newest_t, min_t, max_t);
}

static enum nx_err list_add_ref(struct ing_sealed_list *list, struct ing_sealed *sealed)
{
    enum nx_err err = ing_sealed_list_add(list, sealed);
    if (err == NX_OK)
        ing_sealed_take(sealed);
    return err;
}

static enum nx_err read_sealed(const struct ing_extra *extra, int64_t min_t, int64_t max_t,
                               struct ing_sealed_list *out)
{
    for (uint32_t i = 0; i < extra->sealed.count; i++) {
        struct ing_sealed *sealed = extra->sealed.items[i];
        if (!overlaps(sealed->min_t, sealed->max_t, min_t, max_t))
            continue;
        enum nx_err err = list_add_ref(out, sealed);
        if (err != NX_OK)
            return err;
    }
    return NX_OK;
}

/* The chain into the list: chunks that are not written yet as copies, the others by name. */
static enum nx_err read_chain(const struct ing_pool *pool, const struct ing_series *series,
                              int64_t min_t, int64_t max_t, struct ing_sealed_list *out)
{
    uint64_t floor = chain_floor(pool, series);
    uint64_t written = ing_chunk_files_written(pool->files);
    uint64_t at = ing_series_chain(series);
    struct ing_chunk_piece piece;
    for (; at >= floor && at >= written; at = piece.before) {
        enum nx_err err = ing_chunk_files_read_memory(pool->files, at, owner_of(series), &piece);
        if (err != NX_OK)
            return err;
        if (piece.chunk.max_t < min_t) {
            out->older = at;
            return NX_OK;
        }
        if (piece.chunk.min_t <= max_t)
            err = ing_sealed_list_add_copy(out, &piece.chunk, at);
        if (err != NX_OK)
            return err;
    }
    if (at >= floor && at > 0)
        out->chain =
            (struct ing_chain){.view = ing_chunk_view_take(ing_chunk_files_view(pool->files)),
                               .head = at,
                               .floor = floor,
                               .owner = owner_of(series)};
    return NX_OK;
}

/* Whether chunks in files may overlap: they end before the open one begins. */
static bool chain_overlaps(const struct ing_pool *pool, const struct ing_series *series,
                           int64_t min_t)
{
    if (!ing_series_chain(series))
        return false;
    return ing_open_chunk_exists(series) ? min_t < ing_open_chunk_min_t(pool, series)
                                         : min_t <= series->newest_t;
}

enum nx_err ing_series_snapshot(struct ing_pool *pool, struct ing_series *series, int64_t min_t,
                                int64_t max_t, struct ing_sealed_list *out)
{
    bool in_chain = chain_overlaps(pool, series, min_t);
    enum nx_err err = NX_OK;
    if (open_overlaps(pool, series, min_t, max_t))
        err = seal_open(pool, series);
    struct ing_extra *extra = extra_of(pool, series);
    if (err == NX_OK && extra)
        err = seal_ooo(extra, pool->rules->window_ms, min_t, max_t);
    if (err == NX_OK && extra)
        err = read_sealed(extra, min_t, max_t, out);
    return err == NX_OK && in_chain ? read_chain(pool, series, min_t, max_t, out) : err;
}

static void drop_sealed(struct ing_extra *extra, const struct ing_sealed_list *list)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < extra->sealed.count; i++) {
        struct ing_sealed *sealed = extra->sealed.items[i];
        bool listed = false;
        for (uint32_t j = 0; j < list->count && !listed; j++)
            listed = list->items[j] == sealed;
        if (listed)
            ing_sealed_drop(sealed);
        else
            extra->sealed.items[kept++] = sealed;
    }
    extra->sealed.count = kept;
    if (kept == 0)
        ing_sealed_list_release(&extra->sealed);
}

/* Chunks below `end` that lie before min_t come into memory: the chain is cut above them. */
static enum nx_err rescue_older(struct ing_pool *pool, struct ing_series *series, uint64_t end,
                                int64_t min_t)
{
    struct ing_chunk_piece_buffer buffer;
    struct ing_chunk_piece piece;
    uint64_t floor = chain_floor(pool, series);
    struct ing_extra *extra;
    enum nx_err err = extra_get(pool, series, &extra);
    for (uint64_t at = ing_series_chain(series); err == NX_OK && at >= floor && at > 0;
         at = piece.before) {
        err = piece_read(pool, series, at, &buffer, &piece);
        if (err == NX_OK && at < end && piece.chunk.max_t < min_t)
            err = seal_chunk(&extra->sealed, &piece.chunk);
    }
    extra_settle(pool, series);
    return err;
}

static void drop_chain(struct ing_pool *pool, struct ing_series *series,
                       const struct ing_sealed_list *list, int64_t min_t)
{
    if (list->end <= ing_series_floor(series) || !ing_series_chain(series))
        return;
    /* without memory for them they stay, and what is in the block with them: seen twice, merged */
    if (list->older >= ing_series_floor(series) && list->older > 0 &&
        rescue_older(pool, series, list->end, min_t) != NX_OK)
        return;
    set_floor(series, list->end);
    if (ing_series_chain(series) < list->end) {
        set_chain(series, 0);
        set_floor(series, 0);
    }
}

void ing_series_drop(struct ing_pool *pool, struct ing_series *series,
                     const struct ing_sealed_list *list, int64_t min_t)
{
    struct ing_extra *extra = extra_of(pool, series);
    if (extra)
        drop_sealed(extra, list);
    drop_chain(pool, series, list, min_t);
    extra_settle(pool, series);
}

static enum nx_err read_open(const struct ing_pool *pool, const struct ing_series *series,
                             struct ing_sealed_list *out)
{
    struct ing_open_chunk_copy copy;
    struct nx_chunk chunk = ing_open_chunk_bytes(pool, series, &copy);
    return seal_chunk(out, &chunk);
}

static enum nx_err read_ooo(const struct ing_ooo *ooo, int64_t min_t, int64_t max_t,
                            struct ing_sealed_list *out)
{
    uint32_t from = ooo_position(ooo, min_t);
    uint32_t to = from;
    while (to < ooo->count && ooo->items[to].t <= max_t)
        to++;
    return from < to ? seal_run(ooo, from, to, out) : NX_OK;
}

enum nx_err ing_series_read(const struct ing_pool *pool, const struct ing_series *series,
                            int64_t min_t, int64_t max_t, struct ing_sealed_list *out)
{
    const struct ing_extra *extra = extra_of(pool, series);
    enum nx_err err = extra ? read_sealed(extra, min_t, max_t, out) : NX_OK;
    if (err == NX_OK && open_overlaps(pool, series, min_t, max_t))
        err = read_open(pool, series, out);
    if (err == NX_OK && extra && extra->ooo)
        err = read_ooo(extra->ooo, min_t, max_t, out);
    if (err == NX_OK && chain_overlaps(pool, series, min_t))
        err = read_chain(pool, series, min_t, max_t, out);
    return err;
}

bool ing_series_overlaps(const struct ing_pool *pool, const struct ing_series *series,
                         int64_t min_t, int64_t max_t)
{
    if (open_overlaps(pool, series, min_t, max_t) || chain_overlaps(pool, series, min_t))
        return true;
    const struct ing_extra *extra = extra_of(pool, series);
    if (extra && extra->ooo) {
        uint32_t at = ooo_position(extra->ooo, min_t);
        if (at < extra->ooo->count && extra->ooo->items[at].t <= max_t)
            return true;
    }
    for (uint32_t i = 0; extra && i < extra->sealed.count; i++) {
        if (overlaps(extra->sealed.items[i]->min_t, extra->sealed.items[i]->max_t, min_t, max_t))
            return true;
    }
    return false;
}

size_t ing_series_chunk_count(const struct ing_pool *pool, const struct ing_series *series)
{
    const struct ing_extra *extra = extra_of(pool, series);
    size_t count = (ing_open_chunk_exists(series) ? 1u : 0u) + (ing_series_chain(series) ? 1u : 0u);
    return extra ? count + extra->sealed.count + (extra->ooo ? 1 : 0) : count;
}
