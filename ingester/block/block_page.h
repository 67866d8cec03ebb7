/* Pages: the units in which the parts of a block are stored, compressed where that pays, each with
 * a checksum. */
#ifndef ING_BLOCK_PAGE_H
#define ING_BLOCK_PAGE_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"

struct ing_page_ref {
    uint64_t offset;
    uint32_t stored; /* bytes in the file; equal to raw: not compressed */
    uint32_t raw;
    uint32_t crc; /* of the stored bytes */
};
void ing_page_ref_put(struct nx_buf *buf, const struct ing_page_ref *ref);
struct ing_page_ref ing_page_ref_read(struct nx_cursor *cur);

/* --- reading --- */

/* Memory for decompression; one operation at a time. */
struct ing_page_reader;
enum nx_err ing_page_reader_new(struct nx_view pages, struct ing_page_reader **out) NX_WARN_UNUSED;
void ing_page_reader_free(struct ing_page_reader *reader);
/* The raw bytes: in the file, or decompressed into the arena. NX_ERR_CORRUPT for any damage. */
enum nx_err ing_page_load(struct ing_page_reader *reader, const struct ing_page_ref *ref,
                          struct nx_arena *arena, struct nx_view *out) NX_WARN_UNUSED;

/* --- writing --- */

struct ing_page_writer;
enum nx_err ing_page_writer_new(struct ing_page_writer **out) NX_WARN_UNUSED;
void ing_page_writer_free(struct ing_page_writer *writer);
/* Appends the page to `out`; ref->offset is left to the caller. */
enum nx_err ing_page_put(struct ing_page_writer *writer, struct nx_view raw, struct nx_buf *out,
                         struct ing_page_ref *ref) NX_WARN_UNUSED;

#endif
