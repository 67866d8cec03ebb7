/* A stream lies in a ring of blocks of one size: the last block names the first, each other one the
 * next. Blocks never move and are never made larger, so that memory is what the bytes take and half
 * a block a series, however the chunks of all series grow together; buffers of growing sizes left
 * holes of every size behind them. Reading copies. */
#include "ingester/head/open_chunk.h"

#include <assert.h>
#include <string.h>

#include "common/chunk/xor_code.h"
#include "common/chunk/xor_stream.h"

#define BLOCK_BYTES 28u
#define HEADER_BYTES 2u
#define NO_WINDOW 63u /* in a field of six bits */

struct block {
    uint32_t next;
    uint8_t bytes[BLOCK_BYTES];
};

static struct block *block_at(const struct ing_pool *pool, uint32_t ref)
{
    return ing_slab_at(&pool->slab, ref);
}

static struct nx_xor_state state_of(const struct ing_series *series)
{
    return (struct nx_xor_state){.t = series->newest_t,
                                 .value_bits = series->value_bits,
                                 .delta = series->delta,
                                 .count = series->open_count,
                                 .leading = series->leading == NO_WINDOW ? NX_XOR_NO_WINDOW
                                                                         : (uint8_t)series->leading,
                                 .trailing = (uint8_t)series->trailing,
                                 .free_bits = (uint8_t)series->free_bits};
}

static void state_keep(struct ing_series *series, const struct nx_xor_state *state)
{
    series->newest_t = state->t;
    series->value_bits = state->value_bits;
    series->delta = (uint32_t)state->delta;
    series->open_count = (uint8_t)state->count;
    series->leading = state->leading == NX_XOR_NO_WINDOW ? NO_WINDOW : state->leading & 63u;
    series->trailing = state->trailing & 63u;
    series->free_bits = state->free_bits & 7u;
}

bool ing_open_chunk_takes(const struct ing_pool *pool, const struct ing_series *series,
                          const struct nx_sample *sample, uint32_t max_bytes)
{
    int64_t window_ms = pool->rules->window_ms;
    if (series->is_run != (sample->histogram != NULL))
        return false;
    int64_t start = ing_window_of(window_ms, series->newest_t);
    if (sample->t < start || sample->t - start >= window_ms)
        return false;
    if (series->is_run)
        return nx_chunk_appender_chunk(series->run).count < ING_CHUNK_SAMPLES;
    return series->open_count < ING_CHUNK_SAMPLES &&
           (uint32_t)series->open_len + NX_XOR_SAMPLE_MAX_BYTES <= max_bytes &&
           (uint64_t)sample->t - (uint64_t)series->newest_t <= UINT32_MAX;
}

/* Writes bytes to [at, at + len) of the stream, of which all before the last block's room is there:
 * `at` lies in the last block or at its end, `fresh` is a block to go on with. True when that was
 * used. */
static bool stream_write(struct ing_pool *pool, struct ing_series *series, uint32_t at,
                         const uint8_t *bytes, uint32_t len, uint32_t fresh)
{
    struct block *last = block_at(pool, series->open_last);
    uint32_t blocks = (series->open_len + BLOCK_BYTES - 1) / BLOCK_BYTES;
    uint32_t offset = at - (blocks - 1) * BLOCK_BYTES;
    uint32_t here = BLOCK_BYTES - offset < len ? BLOCK_BYTES - offset : len;
    memcpy(last->bytes + offset, bytes, here);
    if (here == len)
        return false;
    struct block *block = block_at(pool, fresh);
    block->next = last->next;
    last->next = fresh;
    series->open_last = fresh;
    memcpy(block->bytes, bytes + here, len - here);
    return true;
}

static enum nx_err float_append(struct ing_pool *pool, struct ing_series *series,
                                const struct nx_sample *sample)
{
    struct nx_xor_state state = state_of(series);
    struct nx_bits bits;
    uint32_t len = series->open_len;
    uint8_t last_byte = block_at(pool, series->open_last)->bytes[(len - 1) % BLOCK_BYTES];
    uint32_t at = len - (state.free_bits > 0);
    uint32_t bytes =
        nx_xor_stream_add(&state, sample->t, nx_double_bits(sample->value), last_byte, &bits);
    uint32_t room = (len + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
    uint32_t fresh = ING_SLAB_NONE;
    if (at + bytes > room) {
        fresh = ing_slab_alloc(&pool->slab, sizeof(struct block));
        if (fresh == ING_SLAB_NONE)
            return NX_ERR_NOMEM;
    }
    bool used = stream_write(pool, series, at, bits.bytes, bytes, fresh);
    assert(used == (fresh != ING_SLAB_NONE));
    (void)used;
    series->open_len = (at + bytes) & 1023u;
    state_keep(series, &state);
    return NX_OK;
}

enum nx_err ing_open_chunk_append(struct ing_pool *pool, struct ing_series *series,
                                  const struct nx_sample *sample)
{
    if (!series->is_run)
        return float_append(pool, series, sample);
    enum nx_err err = nx_chunk_append(series->run, sample);
    if (err == NX_OK)
        series->newest_t = sample->t;
    return err;
}

enum nx_err ing_open_chunk_prepare(struct ing_pool *pool, const struct nx_sample *sample,
                                   struct ing_open_chunk_next *next)
{
    *next = (struct ing_open_chunk_next){.block = ING_SLAB_NONE};
    if (!sample->histogram) {
        next->block = ing_slab_alloc(&pool->slab, sizeof(struct block));
        return next->block == ING_SLAB_NONE ? NX_ERR_NOMEM : NX_OK;
    }
    enum nx_err err = nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &next->run);
    if (err != NX_OK)
        return err;
    err = nx_chunk_append(next->run, sample);
    if (err != NX_OK)
        nx_chunk_appender_free(next->run);
    return err;
}

void ing_open_chunk_discard(struct ing_pool *pool, struct ing_open_chunk_next *next)
{
    ing_slab_free(&pool->slab, next->block);
    nx_chunk_appender_free(next->run);
}

void ing_open_chunk_start(struct ing_pool *pool, struct ing_series *series,
                          const struct nx_sample *sample, const struct ing_open_chunk_next *next)
{
    assert(!ing_open_chunk_exists(series));
    if (next->run) {
        series->run = next->run;
        series->is_run = 1;
        series->newest_t = sample->t;
        return;
    }
    struct nx_xor_state state = {.leading = NX_XOR_NO_WINDOW};
    struct nx_bits bits;
    uint32_t bytes = nx_xor_stream_add(&state, sample->t, nx_double_bits(sample->value), 0, &bits);
    struct block *block = block_at(pool, next->block);
    block->next = next->block;
    memcpy(block->bytes, bits.bytes, bytes);
    series->open_last = next->block;
    series->open_len = bytes & 1023u;
    state_keep(series, &state);
}

int64_t ing_open_chunk_min_t(const struct ing_pool *pool, const struct ing_series *series)
{
    if (series->is_run)
        return nx_chunk_appender_chunk(series->run).min_t;
    const struct block *last = block_at(pool, series->open_last);
    return nx_xor_stream_first_time(block_at(pool, last->next)->bytes);
}

struct nx_chunk ing_open_chunk_bytes(const struct ing_pool *pool, const struct ing_series *series,
                                     struct ing_open_chunk_copy *copy)
{
    if (series->is_run)
        return nx_chunk_appender_chunk(series->run);
    uint8_t *out = copy->bytes;
    out[0] = 0;
    out[1] = (uint8_t)series->open_count;
    uint32_t ref = block_at(pool, series->open_last)->next;
    for (uint32_t done = 0; done < series->open_len; done += BLOCK_BYTES) {
        const struct block *block = block_at(pool, ref);
        uint32_t left = series->open_len - done;
        memcpy(out + HEADER_BYTES + done, block->bytes, left < BLOCK_BYTES ? left : BLOCK_BYTES);
        ref = block->next;
    }
    return (struct nx_chunk){.encoding = NX_CHUNK_XOR,
                             .count = series->open_count,
                             .min_t = nx_xor_stream_first_time(out + HEADER_BYTES),
                             .max_t = series->newest_t,
                             .data = nx_view_make(out, HEADER_BYTES + series->open_len)};
}

struct nx_sample ing_open_chunk_last(const struct ing_series *series)
{
    if (series->is_run)
        return nx_chunk_appender_last(series->run);
    return (struct nx_sample){.t = series->newest_t,
                              .value = nx_double_from_bits(series->value_bits)};
}

void ing_open_chunk_release(struct ing_pool *pool, struct ing_series *series)
{
    if (series->is_run) {
        nx_chunk_appender_free(series->run);
        series->is_run = 0;
        series->run = NULL;
        return;
    }
    if (series->open_last == ING_SLAB_NONE)
        return;
    uint32_t ref = block_at(pool, series->open_last)->next;
    for (;;) {
        uint32_t next = block_at(pool, ref)->next;
        ing_slab_free(&pool->slab, ref);
        if (ref == series->open_last)
            break;
        ref = next;
    }
    series->open_last = ING_SLAB_NONE;
    series->open_len = 0;
    series->open_count = 0;
}
