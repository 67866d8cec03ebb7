/* Read with pread: pages of a mapping would count as the process's memory, and a failing disk would
 * be a signal instead of an error. Most pieces come with the first read. */
#include "ingester/head/chunk_view.h"

#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/file.h"

#define FIRST_READ_BYTES 512u

struct ing_chunk_file *ing_chunk_file_new(uint64_t start, const char *path)
{
    struct ing_chunk_file *file = nx_calloc(1, sizeof *file);
    char *copy = nx_strdup(path);
    if (!file || !copy) {
        nx_free(file);
        nx_free(copy);
        return NULL;
    }
    nx_refcount_init(&file->refs);
    file->start = start;
    file->fd = -1;
    file->path = copy;
    return file;
}

void ing_chunk_file_drop(struct ing_chunk_file *file)
{
    if (!file || !nx_refcount_drop(&file->refs))
        return;
    if (file->fd >= 0)
        (void)close(file->fd);
    nx_free(file->path);
    nx_free(file);
}

struct ing_chunk_view *ing_chunk_view_new(struct ing_chunk_file *const *files, size_t count)
{
    struct ing_chunk_view *view = nx_alloc(sizeof *view + count * sizeof(struct ing_chunk_file *));
    if (!view)
        return NULL;
    nx_refcount_init(&view->refs);
    view->count = count;
    for (size_t i = 0; i < count; i++) {
        nx_refcount_take(&files[i]->refs);
        view->files[i] = files[i];
    }
    return view;
}

void ing_chunk_view_drop(struct ing_chunk_view *view)
{
    if (!view || !nx_refcount_drop(&view->refs))
        return;
    for (size_t i = 0; i < view->count; i++)
        ing_chunk_file_drop(view->files[i]);
    nx_free(view);
}

uint64_t ing_chunk_view_begin(const struct ing_chunk_view *view)
{
    return view->count > 0 ? view->files[0]->start : UINT64_MAX;
}

/* The file that holds the address, which is not below the first. */
static const struct ing_chunk_file *file_of(const struct ing_chunk_view *view, uint64_t address)
{
    size_t low = 0;
    size_t high = view->count;
    while (high - low > 1) {
        size_t mid = low + (high - low) / 2;
        if (view->files[mid]->start <= address)
            low = mid;
        else
            high = mid;
    }
    return view->files[low];
}

enum nx_err ing_chunk_view_read(const struct ing_chunk_view *view, uint64_t address, uint32_t owner,
                                struct ing_chunk_piece_buffer *buffer, struct ing_chunk_piece *out)
{
    if (address < ing_chunk_view_begin(view))
        return NX_ERR_CORRUPT;
    const struct ing_chunk_file *file = file_of(view, address);
    uint64_t offset = address - file->start;
    size_t got;
    size_t len;
    enum nx_err err = nx_file_pread(file->fd, offset, buffer->bytes, FIRST_READ_BYTES, &got);
    if (err != NX_OK)
        return err;
    if (got < ING_CHUNK_PIECE_HEADER_BYTES)
        return NX_ERR_CORRUPT;
    err = ing_chunk_piece_length(buffer->bytes, &len);
    len += ING_CHUNK_PIECE_HEADER_BYTES;
    if (err == NX_OK && len > got)
        err = nx_file_pread(file->fd, offset, buffer->bytes, len, &got);
    if (err != NX_OK)
        return err;
    return got < len ? NX_ERR_CORRUPT
                     : ing_chunk_piece_read(nx_view_make(buffer->bytes, len), owner, out);
}
