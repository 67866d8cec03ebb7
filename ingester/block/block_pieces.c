/* A piece ends where a slab does, where floats turn into histograms or back, and when it is full.
 * Floats are gathered as they come and encoded together; histograms go into a chunk of runs. */
#include "ingester/block/block_pieces.h"

#include "common/base/alloc.h"
#include "common/chunk/column/values.h"
#include "common/chunk/merge.h"

/* A chunk of histograms is read from its begin. */
#define HISTOGRAMS_MAX 1024u

struct ing_pieces {
    int64_t min_t;
    int64_t slab_ms;
    struct ing_piece *items;
    size_t count;
    size_t capacity;
    struct nx_buf bytes;
    /* the piece that is open */
    bool open;
    enum ing_piece_kind kind;
    uint32_t slab;
    size_t gathered;
    struct nx_chunk_appender *histograms;
    int64_t times[NX_COLUMN_MAX];
    uint64_t bits[NX_COLUMN_MAX];
    struct nx_values_scratch scratch;
};

enum nx_err ing_pieces_new(int64_t min_t, int64_t slab_ms, struct ing_pieces **out)
{
    struct ing_pieces *pieces = nx_alloc(sizeof *pieces);
    if (!pieces)
        return NX_ERR_NOMEM;
    pieces->min_t = min_t;
    pieces->slab_ms = slab_ms;
    pieces->items = NULL;
    pieces->count = pieces->capacity = pieces->gathered = 0;
    pieces->open = false;
    pieces->histograms = NULL;
    nx_buf_init(&pieces->bytes, SIZE_MAX / 4);
    *out = pieces;
    return NX_OK;
}

static void pieces_clear(struct ing_pieces *pieces)
{
    pieces->count = pieces->gathered = 0;
    pieces->open = false;
    nx_buf_clear(&pieces->bytes);
    nx_chunk_appender_free(pieces->histograms);
    pieces->histograms = NULL;
}

void ing_pieces_free(struct ing_pieces *pieces)
{
    if (!pieces)
        return;
    pieces_clear(pieces);
    nx_buf_release(&pieces->bytes);
    nx_free(pieces->items);
    nx_free(pieces);
}

const struct ing_piece *ing_pieces_items(const struct ing_pieces *pieces, size_t *count)
{
    *count = pieces->count;
    return pieces->items;
}

struct nx_view ing_pieces_bytes(const struct ing_pieces *pieces)
{
    return nx_buf_view(&pieces->bytes);
}

static enum nx_err close_piece(struct ing_pieces *pieces, struct ing_times_made *times)
{
    if (!pieces->open)
        return NX_OK;
    struct ing_piece piece = {.kind = pieces->kind,
                              .slab = pieces->slab,
                              .count = (uint32_t)pieces->gathered,
                              .offset = pieces->bytes.len};
    enum nx_err err = NX_OK;
    if (pieces->kind == ING_PIECE_COLUMN) {
        piece.min_t = pieces->times[0];
        piece.max_t = pieces->times[pieces->gathered - 1];
        err = ing_times_made_add(times, pieces->times, pieces->gathered, &piece.column);
        nx_values_encode(&pieces->bytes, pieces->bits, pieces->gathered, &pieces->scratch);
    } else {
        struct nx_chunk chunk = nx_chunk_appender_chunk(pieces->histograms);
        piece.min_t = chunk.min_t;
        piece.max_t = chunk.max_t;
        nx_buf_append_view(&pieces->bytes, chunk.data);
        nx_chunk_appender_free(pieces->histograms);
        pieces->histograms = NULL;
    }
    if (err == NX_OK)
        err = nx_buf_err(&pieces->bytes);
    if (err == NX_OK)
        err = nx_grow(&pieces->items, &pieces->capacity, pieces->count + 1, sizeof piece);
    if (err != NX_OK)
        return err;
    piece.len = pieces->bytes.len - piece.offset;
    pieces->items[pieces->count++] = piece;
    pieces->open = false;
    pieces->gathered = 0;
    return NX_OK;
}

static enum nx_err take(struct ing_pieces *pieces, const struct nx_sample *sample,
                        struct ing_times_made *times)
{
    enum ing_piece_kind kind = sample->histogram ? ING_PIECE_HISTOGRAMS : ING_PIECE_COLUMN;
    size_t most = sample->histogram ? HISTOGRAMS_MAX : NX_COLUMN_MAX;
    uint64_t since = (uint64_t)sample->t - (uint64_t)pieces->min_t;
    uint32_t slab = (uint32_t)(since / (uint64_t)pieces->slab_ms);
    enum nx_err err = NX_OK;
    if (pieces->open && (kind != pieces->kind || slab != pieces->slab || pieces->gathered == most))
        err = close_piece(pieces, times);
    if (err == NX_OK && !pieces->open) {
        pieces->open = true;
        pieces->kind = kind;
        pieces->slab = slab;
        if (sample->histogram)
            err = nx_chunk_appender_new(NX_CHUNK_HISTOGRAM_RUN, &pieces->histograms);
    }
    if (err != NX_OK)
        return err;
    if (sample->histogram) {
        err = nx_chunk_append(pieces->histograms, sample);
    } else {
        pieces->times[pieces->gathered] = sample->t;
        pieces->bits[pieces->gathered] = nx_double_bits(sample->value);
    }
    pieces->gathered++;
    return err;
}

static enum nx_err take_all(struct ing_pieces *pieces, struct nx_sample_iter *samples,
                            struct ing_times_made *times)
{
    struct nx_sample sample;
    int rc;
    while ((rc = nx_sample_next(samples, &sample)) == 1) {
        enum nx_err err = take(pieces, &sample, times);
        if (err != NX_OK)
            return err;
    }
    return (enum nx_err)rc;
}

/* Ascending, apart, and within the range. */
static bool is_in_order(const struct ing_pieces *pieces, const struct nx_chunk *chunks,
                        size_t count, int64_t max_t)
{
    for (size_t i = 0; i < count; i++) {
        if (chunks[i].min_t < pieces->min_t || chunks[i].max_t > max_t)
            return false;
        if (i > 0 && chunks[i].min_t <= chunks[i - 1].max_t)
            return false;
    }
    return true;
}

/* Chunks in order are read one after the other: that costs less than a merge, which would also take
 * the reset hint of a chunk's first histogram away. */
static enum nx_err take_chunks(struct ing_pieces *pieces, const struct nx_chunk *chunks,
                               size_t count, int64_t max_t, struct ing_times_made *times)
{
    struct nx_sample_iter *it;
    enum nx_err err = NX_OK;
    bool in_order = is_in_order(pieces, chunks, count, max_t);
    for (size_t i = 0; in_order && i < count && err == NX_OK; i++) {
        err = nx_chunk_iter_new(chunks[i].encoding, chunks[i].data, &it);
        if (err == NX_OK) {
            err = take_all(pieces, it, times);
            nx_sample_iter_free(it);
        }
    }
    if (in_order)
        return err;
    err = nx_chunks_iter_new(chunks, count, pieces->min_t, max_t, &it);
    if (err == NX_OK) {
        err = take_all(pieces, it, times);
        nx_sample_iter_free(it);
    }
    return err;
}

enum nx_err ing_pieces_cut(struct ing_pieces *pieces, const struct nx_chunk *chunks, size_t count,
                           int64_t max_t, struct ing_times_made *times)
{
    pieces_clear(pieces);
    enum nx_err err = take_chunks(pieces, chunks, count, max_t, times);
    if (err == NX_OK)
        err = close_piece(pieces, times);
    if (err != NX_OK)
        pieces_clear(pieces);
    return err;
}
