/* A page is compressed where that saves a sixteenth of it: less is not worth the time of reading.
 */
#include "ingester/block/block_page.h"

#include <zstd.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/block/block_format.h"

enum { LEVEL = 6, WORTH_SHARE = 16 };

void ing_page_ref_put(struct nx_buf *buf, const struct ing_page_ref *ref)
{
    nx_buf_put_u64(buf, ref->offset);
    nx_buf_put_u32(buf, ref->stored);
    nx_buf_put_u32(buf, ref->raw);
    nx_buf_put_u32(buf, ref->crc);
}

struct ing_page_ref ing_page_ref_read(struct nx_cursor *cur)
{
    struct ing_page_ref ref = {.offset = nx_cursor_u64(cur)};
    ref.stored = nx_cursor_u32(cur);
    ref.raw = nx_cursor_u32(cur);
    ref.crc = nx_cursor_u32(cur);
    return ref;
}

/* --- reading --- */

struct ing_page_reader {
    struct nx_view pages;
    ZSTD_DCtx *zstd; /* made when it is first needed */
};

enum nx_err ing_page_reader_new(struct nx_view pages, struct ing_page_reader **out)
{
    struct ing_page_reader *reader = nx_calloc(1, sizeof *reader);
    if (!reader)
        return NX_ERR_NOMEM;
    reader->pages = pages;
    *out = reader;
    return NX_OK;
}

void ing_page_reader_free(struct ing_page_reader *reader)
{
    if (!reader)
        return;
    (void)ZSTD_freeDCtx(reader->zstd);
    nx_free(reader);
}

enum nx_err ing_page_load(struct ing_page_reader *reader, const struct ing_page_ref *ref,
                          struct nx_arena *arena, struct nx_view *out)
{
    struct nx_view pages = reader->pages;
    if (ref->offset > pages.len || ref->stored > pages.len - ref->offset ||
        ref->stored > ref->raw || ref->raw > ING_PAGE_RAW_MAX)
        return NX_ERR_CORRUPT;
    struct nx_view stored = nx_view_make(pages.ptr + ref->offset, ref->stored);
    if (nx_crc32c(0, stored.ptr, stored.len) != ref->crc)
        return NX_ERR_CORRUPT;
    if (ref->stored == ref->raw) {
        *out = stored;
        return NX_OK;
    }
    if (!reader->zstd)
        reader->zstd = ZSTD_createDCtx();
    char *raw = nx_arena_alloc(arena, ref->raw);
    if (!raw || !reader->zstd)
        return NX_ERR_NOMEM;
    if (ZSTD_decompressDCtx(reader->zstd, raw, ref->raw, stored.ptr, stored.len) != ref->raw)
        return NX_ERR_CORRUPT;
    *out = nx_view_make(raw, ref->raw);
    return NX_OK;
}

/* --- writing --- */

struct ing_page_writer {
    ZSTD_CCtx *zstd;
};

enum nx_err ing_page_writer_new(struct ing_page_writer **out)
{
    struct ing_page_writer *writer = nx_calloc(1, sizeof *writer);
    if (!writer)
        return NX_ERR_NOMEM;
    writer->zstd = ZSTD_createCCtx();
    if (!writer->zstd) {
        nx_free(writer);
        return NX_ERR_NOMEM;
    }
    *out = writer;
    return NX_OK;
}

void ing_page_writer_free(struct ing_page_writer *writer)
{
    if (!writer)
        return;
    (void)ZSTD_freeCCtx(writer->zstd);
    nx_free(writer);
}

enum nx_err ing_page_put(struct ing_page_writer *writer, struct nx_view raw, struct nx_buf *out,
                         struct ing_page_ref *ref)
{
    if (raw.len > ING_PAGE_RAW_MAX)
        return NX_ERR_TOO_LARGE;
    size_t bound = ZSTD_compressBound(raw.len);
    enum nx_err err = nx_buf_reserve(out, bound);
    if (err != NX_OK)
        return err;
    char *to = out->data + out->len;
    size_t stored = ZSTD_compressCCtx(writer->zstd, to, bound, raw.ptr, raw.len, LEVEL);
    if (ZSTD_isError(stored) || stored > raw.len - raw.len / WORTH_SHARE || stored >= raw.len) {
        stored = raw.len;
        if (raw.len > 0)
            memcpy(to, raw.ptr, raw.len);
    }
    out->len += stored;
    *ref = (struct ing_page_ref){
        .stored = (uint32_t)stored, .raw = (uint32_t)raw.len, .crc = nx_crc32c(0, to, stored)};
    return NX_OK;
}
