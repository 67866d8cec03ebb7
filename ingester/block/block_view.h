/* One operation's view of an open block: what it has loaded of the index. One thread. */
#ifndef ING_BLOCK_VIEW_H
#define ING_BLOCK_VIEW_H

#include "ingester/block/block_labels.h"
#include "ingester/block/block_lists.h"
#include "ingester/block/block_reader.h"
#include "ingester/block/block_series.h"
#include "ingester/match.h"

struct ing_block_view {
    struct ing_block *block;
    struct ing_page_reader *reader;
    struct ing_block_labels labels;
    struct ing_block_lists lists;
    struct ing_block_times times;
    struct ing_block_bundles bundles;
};

/* Holds the block. NX_ERR_CORRUPT where a section is damaged. */
enum nx_err ing_block_view_new(struct ing_block *block, struct ing_block_view **out) NX_WARN_UNUSED;
void ing_block_view_free(struct ing_block_view *view);
/* The numbers of the series that match. */
enum nx_err ing_block_view_match(struct ing_block_view *view, const struct nx_matcher *matchers,
                                 size_t count, roaring_bitmap_t **out) NX_WARN_UNUSED;

/* --- of the block (block_reader.c) --- */

/* Looks at the checksums of the sections that opening leaves alone; what came out is remembered. */
enum nx_err ing_block_check(struct ing_block *block) NX_WARN_UNUSED;
struct nx_view ing_block_section(const struct ing_block *block, enum ing_block_section kind);

#endif
