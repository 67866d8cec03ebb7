/* A TSDB block: [index length, four bytes little-endian][index][segment of chunks]. Checksums are
 * mended first (of the table of contents, and of the sections, series and chunks it leads to, as
 * far as they can be found), so that mutations get behind them. What can be read must be ascending
 * and sound. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "ingester/tsdb/block.h"
#include "ingester/tsdb/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void put_be32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The checksum behind [offset, offset + len). */
static void mend(uint8_t *bytes, size_t size, uint64_t offset, uint64_t len)
{
    if (offset <= size && len <= size - offset && size - offset - len >= 4)
        put_be32(bytes + offset + len, nx_crc32c(0, bytes + offset, (size_t)len));
}

static void mend_section(uint8_t *bytes, size_t size, uint64_t offset)
{
    if (offset <= size && size - offset >= 4)
        mend(bytes, size, offset + 4, ing_tsdb_be32(bytes + offset));
}

/* [length as a varint][what is summed, `extra` longer][checksum] */
static void mend_varint(uint8_t *bytes, size_t size, uint64_t offset, uint64_t extra)
{
    if (offset >= size)
        return;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(bytes + offset, size - (size_t)offset));
    uint64_t len = nx_cursor_uvarint(&cur);
    if (nx_cursor_ok(&cur) && len < size)
        mend(bytes, size, size - nx_cursor_left(&cur), len + extra);
}

static void mend_index(uint8_t *bytes, size_t size)
{
    if (size < ING_TSDB_TOC_BYTES)
        return;
    uint8_t *toc = bytes + size - ING_TSDB_TOC_BYTES;
    mend(bytes, size, size - ING_TSDB_TOC_BYTES, ING_TSDB_TOC_BYTES - 4);
    mend_section(bytes, size, ing_tsdb_be64(toc));
    mend_section(bytes, size, ing_tsdb_be64(toc + 32));
    mend_section(bytes, size, ing_tsdb_be64(toc + 40));
    for (size_t at = 0; at < size && at < 4096; at += ING_TSDB_SERIES_ALIGN)
        if (at >= ing_tsdb_be64(toc + 8) && at < ing_tsdb_be64(toc + 16))
            mend_varint(bytes, size, at, 0);
}

static void mend_segment(uint8_t *bytes, size_t size)
{
    size_t at = ING_TSDB_SEGMENT_HEADER_BYTES;
    for (int i = 0; i < 64 && at < size; i++) {
        struct nx_cursor cur = nx_cursor_of(nx_view_make(bytes + at, size - at));
        uint64_t len = nx_cursor_uvarint(&cur);
        if (!nx_cursor_ok(&cur) || len > nx_cursor_left(&cur))
            return;
        mend_varint(bytes, size, at, 1);
        at = size - nx_cursor_left(&cur) + (size_t)len + 5;
    }
}

static void check_chunks(const struct ing_tsdb_chunks *chunks, int64_t min_t, int64_t max_t)
{
    uint64_t samples = 0;
    for (size_t i = 0; i < chunks->count; i++) {
        struct nx_chunk found;
        const struct nx_chunk *chunk = &chunks->items[i];
        require(nx_chunk_inspect(chunk->encoding, chunk->data, &found) == NX_OK);
        require(found.count == chunk->count && found.count > 0);
        require(found.min_t >= min_t && found.max_t <= max_t);
        samples += found.count;
    }
    require(samples == chunks->floats + chunks->histograms);
}

static void read_block(struct ing_tsdb_block *block)
{
    static const int64_t ranges[][2] = {{INT64_MIN, INT64_MAX},
                                        {INT64_C(1700006500000), INT64_C(1700006700000)}};
    struct nx_arena arena;
    struct ing_tsdb_chunks chunks;
    nx_arena_init(&arena, 0);
    ing_tsdb_chunks_init(&chunks);
    for (uint32_t i = 0; i < ing_tsdb_block_count(block) && i < 64; i++) {
        struct ing_tsdb_series series;
        struct nx_fail fail = {.code = NX_OK};
        nx_arena_clear(&arena);
        if (ing_tsdb_block_series(block, i, &arena, &series, &fail) != NX_OK) {
            require(fail.code != NX_OK);
            continue;
        }
        for (size_t k = 0; k < 2; k++)
            if (ing_tsdb_block_chunks(block, &series, ranges[k][0], ranges[k][1], &chunks, &fail) ==
                NX_OK)
                check_chunks(&chunks, ranges[k][0], ranges[k][1]);
    }
    ing_tsdb_chunks_release(&chunks);
    nx_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    size_t index_len = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
    if (index_len > size - 4)
        index_len = size - 4;
    size_t segment_len = size - 4 - index_len;
    uint8_t *index = malloc(index_len + 1);
    uint8_t *segment = malloc(segment_len + 1);
    require(index && segment);
    memcpy(index, data + 4, index_len);
    memcpy(segment, data + 4 + index_len, segment_len);
    mend_index(index, index_len);
    mend_segment(segment, segment_len);
    struct ing_tsdb_block *block;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err =
        ing_tsdb_block_of(nx_view_make(index, index_len), nx_view_make(segment, segment_len),
                          NX_VIEW(""), &block, &fail);
    if (err == NX_OK)
        read_block(block);
    else
        require(fail.code == err);
    if (err == NX_OK)
        ing_tsdb_block_close(block);
    free(index);
    free(segment);
    return 0;
}
