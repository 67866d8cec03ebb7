#include "ingester/tsdb/import.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/hash.h"

#define PIECE_SERIES 100000u
/* Windows in a piece; the greatest of which the block spans at least as many. */
static const int64_t spans[] = {12, 4, 1};

static int64_t align_down(int64_t t, int64_t step)
{
    int64_t rest = t % step;
    return t - (rest < 0 ? rest + step : rest);
}

struct ing_tsdb_pieces ing_tsdb_pieces_of(const struct ing_tsdb_block *block, int64_t window_ms,
                                          int64_t min_t, int64_t max_t)
{
    const struct ing_tsdb_meta *meta = ing_tsdb_block_meta(block);
    struct ing_tsdb_pieces pieces = {.series = ing_tsdb_block_count(block)};
    pieces.begin_t = meta->min_t > min_t ? meta->min_t : min_t;
    pieces.end_t = meta->max_t < max_t ? meta->max_t : max_t;
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        pieces.span_ms = spans[i] * window_ms;
        if (meta->max_t - meta->min_t >= pieces.span_ms)
            break;
    }
    pieces.next.min_t = align_down(pieces.begin_t, pieces.span_ms);
    pieces.more = pieces.begin_t < pieces.end_t && pieces.series > 0;
    return pieces;
}

bool ing_tsdb_pieces_next(struct ing_tsdb_pieces *pieces, struct ing_tsdb_piece *out)
{
    if (!pieces->more)
        return false;
    struct ing_tsdb_piece *piece = &pieces->next;
    piece->max_t = piece->min_t + pieces->span_ms;
    piece->from = piece->min_t > pieces->begin_t ? piece->min_t : pieces->begin_t;
    piece->to = piece->max_t < pieces->end_t ? piece->max_t : pieces->end_t;
    piece->end =
        pieces->series - piece->first > PIECE_SERIES ? piece->first + PIECE_SERIES : pieces->series;
    *out = *piece;
    piece->first = piece->end;
    if (piece->first == pieces->series) {
        piece->first = 0;
        piece->min_t = piece->max_t;
        pieces->more = piece->min_t < pieces->end_t;
    }
    return true;
}

void ing_tsdb_piece_name(const struct ing_tsdb_meta *meta, const struct ing_tsdb_piece *piece,
                         struct nx_view tenant, struct nx_view place,
                         char out[ING_TSDB_PIECE_NAME_MAX])
{
    struct nx_hash128 parts[3] = {nx_hash128(meta->ulid, ING_TSDB_ULID_CHARS),
                                  nx_hash128(tenant.ptr, tenant.len),
                                  nx_hash128(place.ptr, place.len)};
    uint64_t numbers[3] = {piece->first, (uint64_t)piece->from, (uint64_t)piece->to};
    uint64_t hash = nx_hash64_seeded(parts, sizeof parts, nx_hash64(numbers, sizeof numbers));
    (void)snprintf(out, ING_TSDB_PIECE_NAME_MAX, "%" PRId64 "-%" PRId64 "-%016" PRIx64,
                   piece->min_t, piece->max_t, hash);
}

enum nx_err ing_tsdb_piece_read(struct ing_tsdb_block *block, const struct ing_tsdb_piece *piece,
                                struct nx_view tenant, ing_tsdb_take take, void *user,
                                struct ing_tsdb_stats *stats, struct nx_fail *fail)
{
    struct nx_arena arena;
    struct ing_tsdb_chunks chunks;
    enum nx_err err = NX_OK;
    nx_arena_init(&arena, 0);
    ing_tsdb_chunks_init(&chunks);
    for (uint32_t i = piece->first; i < piece->end && err == NX_OK; i++) {
        struct ing_tsdb_series series;
        nx_arena_clear(&arena);
        err = ing_tsdb_block_series(block, i, &arena, &series, fail);
        if (err == NX_OK)
            err = ing_tsdb_block_chunks(block, &series, piece->from, piece->to - 1, &chunks, fail);
        if (err != NX_OK || chunks.count == 0)
            continue;
        struct nx_labels labels = series.entry.labels;
        err = take(user, nx_series_id_of(tenant, labels), labels, chunks.items, chunks.count);
        if (err != NX_OK) {
            if (fail && fail->code == NX_OK)
                nx_fail_set(fail, err, "%s", nx_err_text(err));
            continue;
        }
        stats->series++;
        stats->floats += chunks.floats;
        stats->histograms += chunks.histograms;
    }
    ing_tsdb_chunks_release(&chunks);
    nx_arena_release(&arena);
    return err;
}
