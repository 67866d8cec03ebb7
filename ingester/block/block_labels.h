/* The labels of a block: every pair of a name and a value has a number, in the order of names, then
 * values. Values lie in pages, of which an operation loads those that it needs. What is read is
 * never trusted: a reference that leads nowhere is NX_ERR_CORRUPT. One thread. */
#ifndef ING_BLOCK_LABELS_H
#define ING_BLOCK_LABELS_H

#include "common/labels/labels.h"
#include "ingester/block/block_page.h"

struct ing_label_page;

struct ing_block_labels {
    struct nx_view section;
    struct ing_page_reader *reader;
    struct nx_arena arena;         /* of the loaded pages */
    struct ing_label_page **pages; /* NULL: not loaded */
    uint32_t pair_count;
    uint32_t name_count;
    uint32_t page_count;
    size_t loaded_bytes;
};

/* Section and reader outlive it. */
enum nx_err ing_block_labels_init(struct ing_block_labels *labels, struct nx_view section,
                                  struct ing_page_reader *reader) NX_WARN_UNUSED;
void ing_block_labels_release(struct ing_block_labels *labels);
/* Forgets the pages once they take more than some MiB: no text handed out before may be in use. */
void ing_block_labels_trim(struct ing_block_labels *labels);

/* The i-th name and its pairs [first, end). The name lies in the section. */
enum nx_err ing_block_labels_name(const struct ing_block_labels *labels, uint32_t i,
                                  struct nx_view *name, uint32_t *first,
                                  uint32_t *end) NX_WARN_UNUSED;
/* NX_ERR_NOT_FOUND where no series has the label. */
enum nx_err ing_block_labels_find(const struct ing_block_labels *labels, struct nx_view name,
                                  uint32_t *first, uint32_t *end) NX_WARN_UNUSED;
/* The number of a pair; NX_ERR_NOT_FOUND. */
enum nx_err ing_block_labels_pair(struct ing_block_labels *labels, struct nx_view name,
                                  struct nx_view value, uint32_t *out) NX_WARN_UNUSED;
/* Name and value of a pair, valid until trim or release. */
enum nx_err ing_block_labels_text(struct ing_block_labels *labels, uint32_t pair,
                                  struct nx_label *out) NX_WARN_UNUSED;
/* What its pages take in the file. */
uint64_t ing_block_labels_bytes(const struct ing_block_labels *labels);

/* --- writing --- */

/* Appends pages to `pages` and makes the section of the pairs, which are sorted and distinct. */
enum nx_err ing_block_labels_write(const struct nx_label *pairs, uint32_t count,
                                   struct ing_page_writer *writer, uint64_t pages_offset,
                                   struct nx_buf *pages, struct nx_buf *section) NX_WARN_UNUSED;

#endif
