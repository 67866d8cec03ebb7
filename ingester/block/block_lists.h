/* For each pair of a label and its value, the numbers of the series that have it. One thread. */
#ifndef ING_BLOCK_LISTS_H
#define ING_BLOCK_LISTS_H

#include <roaring/roaring.h>

#include "ingester/block/block_page.h"

struct ing_block_lists {
    struct nx_view section;
    struct ing_page_reader *reader;
    struct nx_arena arena; /* of the page */
    uint32_t page_count;
    uint32_t series; /* how many the block has */
    /* the page at hand, and the list at which its cursor stands */
    struct nx_cursor cur;
    uint32_t first; /* pair */
    uint32_t next;
    uint32_t end;
};

/* Section and reader outlive it. */
enum nx_err ing_block_lists_init(struct ing_block_lists *lists, struct nx_view section,
                                 struct ing_page_reader *reader, uint32_t series) NX_WARN_UNUSED;
void ing_block_lists_release(struct ing_block_lists *lists);
/* Adds the series of a pair to the set. Cheapest in ascending order of pairs. */
enum nx_err ing_block_lists_add(struct ing_block_lists *lists, uint32_t pair,
                                roaring_bitmap_t *set) NX_WARN_UNUSED;
/* What its pages take in the file. */
uint64_t ing_block_lists_bytes(const struct ing_block_lists *lists);

/* --- writing --- */

/* The lists of all pairs: that of pair i is series[starts[i] ... starts[i + 1]), ascending. */
enum nx_err ing_block_lists_write(const uint32_t *series, const uint32_t *starts,
                                  uint32_t pair_count, struct ing_page_writer *writer,
                                  uint64_t pages_offset, struct nx_buf *pages,
                                  struct nx_buf *section) NX_WARN_UNUSED;

#endif
