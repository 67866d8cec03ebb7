/* Takes a TSDB block apart into pieces that become blocks of ours: a span of time, aligned to the
 * windows, of some thousands of series each, so that memory follows neither the size of the block
 * nor its number of series. Which pieces there are follows from the block alone: an import that is
 * repeated makes the same ones. One thread; blocking. */
#ifndef ING_TSDB_IMPORT_H
#define ING_TSDB_IMPORT_H

#include "common/labels/series_id.h"
#include "ingester/tsdb/block.h"

struct ing_tsdb_piece {
    int64_t min_t; /* [min_t, max_t), a multiple of the window */
    int64_t max_t;
    int64_t from; /* what of it is wanted: [from, to) */
    int64_t to;
    uint32_t first; /* series of the block */
    uint32_t end;
};

struct ing_tsdb_pieces {
    struct ing_tsdb_piece next;
    bool more;
    int64_t span_ms;
    int64_t begin_t;
    int64_t end_t;
    uint32_t series;
};

/* The pieces of a block, cut to [min_t, max_t) where that is narrower. */
struct ing_tsdb_pieces ing_tsdb_pieces_of(const struct ing_tsdb_block *block, int64_t window_ms,
                                          int64_t min_t, int64_t max_t);
bool ing_tsdb_pieces_next(struct ing_tsdb_pieces *pieces, struct ing_tsdb_piece *out);

/* Names the block that a piece becomes: the same for the same piece, tenant and place (whatever
 * else decides what goes into it). */
#define ING_TSDB_PIECE_NAME_MAX 96
void ing_tsdb_piece_name(const struct ing_tsdb_meta *meta, const struct ing_tsdb_piece *piece,
                         struct nx_view tenant, struct nx_view place,
                         char out[ING_TSDB_PIECE_NAME_MAX]);

struct ing_tsdb_stats {
    uint64_t series;
    uint64_t floats;
    uint64_t histograms;
};

/* Gets each series of the piece with samples in it. Views are valid during the call. */
typedef enum nx_err (*ing_tsdb_take)(void *user, struct nx_series_id id, struct nx_labels labels,
                                     const struct nx_chunk *chunks, size_t count);
/* Reads a piece; adds to `stats`. A failure of `take` ends it. */
enum nx_err ing_tsdb_piece_read(struct ing_tsdb_block *block, const struct ing_tsdb_piece *piece,
                                struct nx_view tenant, ing_tsdb_take take, void *user,
                                struct ing_tsdb_stats *stats, struct nx_fail *fail) NX_WARN_UNUSED;

#endif
