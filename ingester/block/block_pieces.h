/* Cuts the samples of a series into the pieces of a block and encodes them. One thread. */
#ifndef ING_BLOCK_PIECES_H
#define ING_BLOCK_PIECES_H

#include "common/chunk/chunk.h"
#include "ingester/block/block_series.h"

/* The pieces of the series at hand; reused for the next. */
struct ing_pieces;

enum nx_err ing_pieces_new(int64_t min_t, int64_t slab_ms, struct ing_pieces **out) NX_WARN_UNUSED;
void ing_pieces_free(struct ing_pieces *pieces);
/* Replaces what was there by the pieces of a series' chunks, in any order and overlapping: of their
 * samples those in [min_t, max_t]. Its time columns are added to `times`. After a failure it is
 * empty. */
enum nx_err ing_pieces_cut(struct ing_pieces *pieces, const struct nx_chunk *chunks, size_t count,
                           int64_t max_t, struct ing_times_made *times) NX_WARN_UNUSED;

/* `offset` of a piece is its place in the bytes. */
const struct ing_piece *ing_pieces_items(const struct ing_pieces *pieces, size_t *count);
struct nx_view ing_pieces_bytes(const struct ing_pieces *pieces);

#endif
