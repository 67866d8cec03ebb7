/* What the two halves of the writer share: taking series in, and writing them out. */
#ifndef ING_BLOCK_WRITER_INTERNAL_H
#define ING_BLOCK_WRITER_INTERNAL_H

#include "ingester/block/block_labels.h"
#include "ingester/block/block_pieces.h"
#include "ingester/block/block_writer.h"

/* A series: where its pieces wait, and its labels by number. */
struct ing_series_made {
    uint32_t *pairs; /* in the arena; as they came, then as they are numbered in the block */
    uint64_t record; /* offset in the spill */
    uint32_t pair_count;
};

/* Records of series, in memory until there are many, then in a file beside the block's. */
struct ing_spill {
    char *path;
    int fd; /* -1: no file yet */
    uint64_t written;
    struct nx_buf buf;
    struct nx_view map;
};

struct ing_block_writer {
    const struct nx_fs *fs;
    struct ing_block_meta meta;
    uint32_t slab_count;
    char *dir;
    char *tmp_dir;
    char *final_dir;
    struct ing_pace *pace; /* NULL: none */
    int fd;
    bool finished;
    uint64_t written; /* bytes handed to the file */
    struct nx_buf out;
    struct nx_arena arena; /* texts and the pairs of series */
    struct nx_index names;
    struct nx_view *name_items;
    size_t name_count;
    size_t name_capacity;
    struct nx_index pairs;
    struct nx_label *pair_items;
    uint32_t *pair_series; /* how many have it */
    size_t pair_count;
    size_t pair_capacity;
    size_t pair_series_capacity;
    uint64_t pair_uses;
    struct ing_series_made *series;
    size_t series_count;
    size_t series_capacity;
    struct ing_pieces *pieces;
    struct ing_times_made times;
    struct ing_spill spill;
    struct nx_buf record;
};

/* Where the next byte of the file goes. */
static inline uint64_t ing_block_writer_position(const struct ing_block_writer *writer)
{
    return writer->written + writer->out.len;
}
/* Hands `out` to the file once it holds that much. */
enum nx_err ing_block_writer_flush(struct ing_block_writer *writer, size_t at_least) NX_WARN_UNUSED;
/* Everything behind the magic: pages, sections, table, footer. Leaves nothing in `out`. */
enum nx_err ing_block_writer_content(struct ing_block_writer *writer) NX_WARN_UNUSED;

#endif
