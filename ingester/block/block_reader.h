/* Reads a block: mapped into memory, its sections checked (bounds, checksum) on first use, each
 * page when it is read. Any damage is NX_ERR_CORRUPT, never a wrong answer. Any thread; page
 * faults make calls block, so they belong on a lane. */
#ifndef ING_BLOCK_READER_H
#define ING_BLOCK_READER_H

#include "common/base/refcount.h"
#include "common/chunk/chunk.h"
#include "common/labels/matcher.h"
#include "common/labels/series_id.h"
#include "ingester/block/block_meta.h"
#include "ingester/head/read.h"

struct ing_block;

/* Opens <dir>/block.nxb; the caller holds the first reference. `fail` says what is wrong with it.
 */
enum nx_err ing_block_open(const char *dir, struct ing_block **out,
                           struct nx_fail *fail) NX_WARN_UNUSED;
struct ing_block *ing_block_take(struct ing_block *block);
/* The last one unmaps it, and removes its directory where that was asked for. */
void ing_block_drop(struct ing_block *block);

const struct ing_block_meta *ing_block_meta(const struct ing_block *block);
const char *ing_block_dir(const struct ing_block *block);
uint64_t ing_block_size(const struct ing_block *block);
/* Checks every checksum. */
enum nx_err ing_block_verify(struct ing_block *block) NX_WARN_UNUSED;
/* The same, resting as the pace wants (ingester/pace.h). */
struct ing_pace;
enum nx_err ing_block_verify_slowly(struct ing_block *block, struct ing_pace *pace) NX_WARN_UNUSED;

/* Where the bytes of the file are. */
struct ing_block_sizes {
    uint64_t values; /* and histograms */
    uint64_t times;
    uint64_t series;
    uint64_t labels;
    uint64_t lists;
    uint64_t tables; /* sections, table of contents, footer */
    uint64_t time_columns;
    uint64_t bundles;
    uint64_t label_pairs;
};
enum nx_err ing_block_sizes(struct ing_block *block, struct ing_block_sizes *out) NX_WARN_UNUSED;

/* One matching series. */
struct ing_block_series {
    struct nx_series_id id;
    struct nx_labels labels; /* in the iterator's arena, valid until the next call */
    struct nx_chunk
        *chunks; /* those that overlap the range, ascending, with their data; the same */
    size_t chunk_count;
};
struct ing_block_iter;

/* The series that match and have samples in the range, in label order. Holds the block. */
enum nx_err ing_block_select(struct ing_block *block, const struct nx_matcher *matchers,
                             size_t count, struct ing_range range,
                             struct ing_block_iter **out) NX_WARN_UNUSED;
/* 1: *out is the next one, 0: the end, negative: enum nx_err. */
int ing_block_iter_next(struct ing_block_iter *iter, struct ing_block_series *out) NX_WARN_UNUSED;
void ing_block_iter_free(struct ing_block_iter *iter);

/* Label names (`name` empty) or values of a label of the series that match, added to the list. */
enum nx_err ing_block_labels(struct ing_block *block, struct nx_view name,
                             const struct nx_matcher *matchers, size_t count,
                             struct ing_texts *out) NX_WARN_UNUSED;

#endif
