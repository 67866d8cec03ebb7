/* Segments are numbered from 1 without a gap; a reference is the number less one and the offset of
 * the chunk's length in the file. */
#include "ingester/tsdb/segments.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "ingester/tsdb/format.h"

enum { CRC_BYTES = 4, SEGMENTS_MAX = 1 << 20 };

enum nx_err ing_tsdb_segment_check(struct nx_view file, size_t number, struct nx_fail *fail)
{
    if (file.len < ING_TSDB_SEGMENT_HEADER_BYTES)
        return nx_fail_set(fail, NX_ERR_CORRUPT, "chunks/%06zu: %zu bytes hold no header", number,
                           file.len);
    uint32_t magic = ing_tsdb_be32(file.ptr);
    if (magic != ING_TSDB_SEGMENT_MAGIC)
        return nx_fail_set(fail, NX_ERR_CORRUPT,
                           "chunks/%06zu: begins with %08" PRIx32 ", not as a chunk segment does",
                           number, magic);
    if (file.ptr[4] != ING_TSDB_SEGMENT_VERSION)
        return nx_fail_set(fail, NX_ERR_UNSUPPORTED, "chunks/%06zu: version %d is not known",
                           number, file.ptr[4]);
    return NX_OK;
}

static enum nx_err open_segment(const char *dir, struct ing_tsdb_segments *segments, bool *found,
                                struct nx_fail *fail)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%06zu", segments->count + 1);
    char *path = nx_path_join(dir, name);
    if (!path)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    struct nx_view file;
    enum nx_err err = nx_file_map(path, &file);
    *found = err == NX_OK;
    if (err == NX_OK) {
        segments->files[segments->count++] = file;
        err = ing_tsdb_segment_check(file, segments->count, fail);
    } else if (err == NX_ERR_NOT_FOUND) {
        err = NX_OK;
    } else {
        nx_fail_set(fail, err, "%s: %s", path, nx_err_text(err));
    }
    nx_free(path);
    return err;
}

enum nx_err ing_tsdb_segments_open(const char *dir, struct ing_tsdb_segments *out,
                                   struct nx_fail *fail)
{
    struct ing_tsdb_segments segments = {0};
    size_t capacity = 0;
    bool found = true;
    enum nx_err err = NX_OK;
    while (err == NX_OK && found && segments.count < SEGMENTS_MAX) {
        err = nx_grow(&segments.files, &capacity, segments.count + 1, sizeof *segments.files);
        if (err != NX_OK)
            nx_fail_set(fail, err, "%s", nx_err_text(err));
        else
            err = open_segment(dir, &segments, &found, fail);
    }
    if (err != NX_OK)
        ing_tsdb_segments_close(&segments);
    else
        *out = segments;
    return err;
}

void ing_tsdb_segments_close(struct ing_tsdb_segments *segments)
{
    for (size_t i = 0; i < segments->count; i++)
        nx_file_unmap(segments->files[i]);
    nx_free(segments->files);
    *segments = (struct ing_tsdb_segments){0};
}

enum nx_err ing_tsdb_segments_chunk(const struct ing_tsdb_segments *segments, uint64_t ref,
                                    struct ing_tsdb_chunk *out, struct nx_fail *fail)
{
    uint64_t number = ref >> 32;
    size_t offset = (size_t)(ref & UINT32_MAX);
    if (number >= segments->count)
        return nx_fail_set(fail, NX_ERR_CORRUPT,
                           "a chunk lies in chunks/%06" PRIu64 ", which is missing", number + 1);
    struct nx_view file = segments->files[number];
    if (offset < ING_TSDB_SEGMENT_HEADER_BYTES || offset >= file.len)
        return nx_fail_set(fail, NX_ERR_CORRUPT,
                           "chunks/%06" PRIu64 ": a chunk at %zu of %zu bytes", number + 1, offset,
                           file.len);
    struct nx_cursor cur = nx_cursor_of(nx_view_make(file.ptr + offset, file.len - offset));
    uint64_t len = nx_cursor_uvarint(&cur);
    if (!nx_cursor_ok(&cur) || len > UINT32_MAX || len + 1 + CRC_BYTES > nx_cursor_left(&cur))
        return nx_fail_set(fail, NX_ERR_CORRUPT,
                           "chunks/%06" PRIu64 ": the chunk at %zu reaches beyond the file",
                           number + 1, offset);
    const uint8_t *body = cur.ptr; /* the encoding, the data, the checksum of both */
    if (nx_crc32c(0, body, (size_t)len + 1) != ing_tsdb_be32(body + len + 1))
        return nx_fail_set(fail, NX_ERR_CORRUPT,
                           "chunks/%06" PRIu64 ": the checksum of the chunk at %zu does not fit",
                           number + 1, offset);
    *out = (struct ing_tsdb_chunk){.kind = body[0], .data = nx_view_make(body + 1, (size_t)len)};
    return NX_OK;
}
