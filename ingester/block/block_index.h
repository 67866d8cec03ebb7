/* The index sections of a block as bounds-checked tables. What is read from them is never trusted:
 * a reference that leads nowhere is NX_ERR_CORRUPT. */
#ifndef ING_BLOCK_INDEX_H
#define ING_BLOCK_INDEX_H

#include <roaring/roaring.h>

#include "common/base/err.h"
#include "common/base/view.h"
#include "ingester/match.h"

struct ing_block_index {
    struct nx_view symbols;
    struct nx_view names;
    struct nx_view pairs;
    struct nx_view lists;
    uint32_t series; /* how many the block has */
};

enum nx_err ing_block_symbol(const struct ing_block_index *index, uint32_t symbol,
                             struct nx_view *out) NX_WARN_UNUSED;
uint32_t ing_block_name_count(const struct ing_block_index *index);
/* The symbol of the i-th name and its pairs [first, end). */
enum nx_err ing_block_name(const struct ing_block_index *index, uint32_t i, uint32_t *symbol,
                           uint32_t *first, uint32_t *end) NX_WARN_UNUSED;
/* NX_ERR_NOT_FOUND where no series has the label. */
enum nx_err ing_block_name_find(const struct ing_block_index *index, struct nx_view name,
                                uint32_t *first, uint32_t *end) NX_WARN_UNUSED;
enum nx_err ing_block_pair_value(const struct ing_block_index *index, uint32_t pair,
                                 struct nx_view *out) NX_WARN_UNUSED;
/* Adds the series of a pair to the set. */
enum nx_err ing_block_pair_series(const struct ing_block_index *index, uint32_t pair,
                                  roaring_bitmap_t *set) NX_WARN_UNUSED;
/* For ing_match. */
struct ing_match_index ing_block_match_index(const struct ing_block_index *index);

#endif
