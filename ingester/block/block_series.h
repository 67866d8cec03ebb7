/* The series of a block, in bundles of neighbours: a page of their labels and pieces, and a page of
 * data for each slab of time. One thread. */
#ifndef ING_BLOCK_SERIES_H
#define ING_BLOCK_SERIES_H

#include "common/labels/series_id.h"
#include "ingester/block/block_format.h"
#include "ingester/block/block_times.h"

/* A run of samples of one series within a slab. */
struct ing_piece {
    enum ing_piece_kind kind;
    uint32_t slab;
    uint32_t column; /* of times; COLUMN */
    uint32_t count;  /* HISTOGRAMS, as the next two */
    int64_t min_t;
    int64_t max_t;
    uint64_t offset; /* in the data of bundle and slab */
    uint64_t len;
};

/* A series as it stands in its page; the arrays are the bundle's. */
struct ing_series_entry {
    const uint32_t *pairs; /* of labels, ascending */
    size_t pair_count;
    bool has_id; /* else the id follows from the labels */
    struct nx_series_id id;
    const struct ing_piece *pieces; /* ascending */
    size_t piece_count;
};

struct ing_block_bundles {
    struct nx_view section;
    struct ing_page_reader *reader;
    uint32_t series_count;
    uint32_t bundle_count;
    uint32_t slab_count;
    int64_t min_t; /* of the block */
    int64_t max_t;
    /* the bundle at hand */
    struct nx_arena arena;
    uint32_t bundle;
    uint32_t first;
    uint32_t count;
    struct ing_series_entry *entries;
    struct nx_view *data; /* of each slab; ptr NULL: not loaded */
};

/* Section and reader outlive it; [min_t, max_t) is the block's. */
enum nx_err ing_block_bundles_init(struct ing_block_bundles *bundles, struct nx_view section,
                                   struct ing_page_reader *reader, int64_t min_t, int64_t max_t,
                                   uint32_t slab_count) NX_WARN_UNUSED;
void ing_block_bundles_release(struct ing_block_bundles *bundles);
/* Both are valid until an entry of another bundle is asked for. */
enum nx_err ing_block_bundles_entry(struct ing_block_bundles *bundles, uint32_t series,
                                    const struct ing_series_entry **out) NX_WARN_UNUSED;
/* The bytes of a piece of the bundle at hand. */
enum nx_err ing_block_bundles_data(struct ing_block_bundles *bundles, const struct ing_piece *piece,
                                   struct nx_view *out) NX_WARN_UNUSED;
/* What the pages take in the file: those of series, and those of data. */
void ing_block_bundles_bytes(const struct ing_block_bundles *bundles, uint64_t *series,
                             uint64_t *data);

#endif
