/* The time columns of a block: each distinct one is there once, however many series have it. One
 * thread. */
#ifndef ING_BLOCK_TIMES_H
#define ING_BLOCK_TIMES_H

#include "common/base/index.h"
#include "ingester/block/block_page.h"

struct ing_time_column {
    uint32_t count;
    int64_t min_t;       /* of the first */
    int64_t max_t;       /* of the last */
    struct nx_view code; /* common/chunk/column/ints.h */
};

struct ing_time_page;

struct ing_block_times {
    struct nx_view section;
    struct ing_page_reader *reader;
    struct nx_arena arena;
    struct ing_time_page **pages; /* NULL: not loaded */
    uint32_t column_count;
    uint32_t page_count;
    int64_t min_t; /* of the block */
    int64_t max_t;
};

/* Section and reader outlive it; [min_t, max_t) is the block's. */
enum nx_err ing_block_times_init(struct ing_block_times *times, struct nx_view section,
                                 struct ing_page_reader *reader, int64_t min_t,
                                 int64_t max_t) NX_WARN_UNUSED;
void ing_block_times_release(struct ing_block_times *times);
/* Valid until release. The column lies inside the block's range; that its code agrees with it is
 * not looked at. */
enum nx_err ing_block_times_column(struct ing_block_times *times, uint32_t column,
                                   const struct ing_time_column **out) NX_WARN_UNUSED;
/* What its pages take in the file. */
uint64_t ing_block_times_bytes(const struct ing_block_times *times);

/* --- writing --- */

/* The columns so far, encoded, found again by the hash of their times. */
struct ing_times_made {
    struct nx_index index;
    struct ing_time_made *items;
    size_t count;
    size_t capacity;
    struct nx_buf codes;
};
struct ing_time_made {
    uint64_t hash[2];
    uint64_t offset; /* in the codes */
    uint32_t len;
    uint32_t count;
    int64_t min_t;
    int64_t max_t;
};
void ing_times_made_init(struct ing_times_made *made);
void ing_times_made_release(struct ing_times_made *made);
/* The number of the column of these count > 0 times. */
enum nx_err ing_times_made_add(struct ing_times_made *made, const int64_t *times, size_t count,
                               uint32_t *column) NX_WARN_UNUSED;
enum nx_err ing_block_times_write(const struct ing_times_made *made, int64_t min_t,
                                  struct ing_page_writer *writer, uint64_t pages_offset,
                                  struct nx_buf *pages, struct nx_buf *section) NX_WARN_UNUSED;

#endif
