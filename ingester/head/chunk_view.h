/* The chunk files of a shard as a reader sees them: an unchanging, counted list. The shard makes a
 * new one when a file comes or goes; who holds an old one still reads what was in it. Any thread.
 */
#ifndef ING_HEAD_CHUNK_VIEW_H
#define ING_HEAD_CHUNK_VIEW_H

#include "common/base/refcount.h"
#include "ingester/head/chunk_piece.h"

/* One file; it holds the addresses from `start` on. Closed by who drops it last. */
struct ing_chunk_file {
    struct nx_refcount refs;
    uint64_t start;
    int fd; /* -1: not there yet */
    char *path;
};
struct ing_chunk_file *ing_chunk_file_new(uint64_t start, const char *path)
    __attribute__((warn_unused_result));
void ing_chunk_file_drop(struct ing_chunk_file *file);

struct ing_chunk_view {
    struct nx_refcount refs;
    size_t count;
    struct ing_chunk_file *files[]; /* ascending, without gaps */
};
/* Of those files; takes references. NULL without memory. */
struct ing_chunk_view *ing_chunk_view_new(struct ing_chunk_file *const *files, size_t count)
    __attribute__((warn_unused_result));
static inline struct ing_chunk_view *ing_chunk_view_take(struct ing_chunk_view *view)
{
    nx_refcount_take(&view->refs);
    return view;
}
void ing_chunk_view_drop(struct ing_chunk_view *view);

/* Room for one piece; the first bytes of larger ones are read twice. */
struct ing_chunk_piece_buffer {
    uint8_t bytes[ING_CHUNK_PIECE_HEADER_BYTES + ING_CHUNK_PIECE_MAX_BYTES];
};
/* The lowest address the view holds; above all addresses where it holds none. */
uint64_t ing_chunk_view_begin(const struct ing_chunk_view *view);
/* The piece at the address, in the buffer. Blocks. NX_ERR_CORRUPT, NX_ERR_IO. */
enum nx_err ing_chunk_view_read(const struct ing_chunk_view *view, uint64_t address, uint32_t owner,
                                struct ing_chunk_piece_buffer *buffer,
                                struct ing_chunk_piece *out) NX_WARN_UNUSED;

#endif
