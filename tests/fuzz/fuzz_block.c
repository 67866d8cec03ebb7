/* A block, as its file. Footer, sections and pages get good checksums first, as far as they can be
 * found, so that mutations get behind them. Then the block is opened, its labels are listed, and
 * everything is selected and decoded: an error, or series in order whose samples lie in the block's
 * range and ascend. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/chunk/chunk.h"
#include "ingester/block/block_format.h"
#include "ingester/block/block_page.h"
#include "ingester/block/block_reader.h"
#include "ingester/head/read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* --- checksums (docs/formats/block.md) --- */

static uint64_t load(const uint8_t *at, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)at[i] << (8 * i);
    return v;
}

static void store_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

struct part {
    uint8_t *at;
    size_t len;
};

/* `count` references, `stride` apart from `offset` in the section on. */
static void mend_pages(struct part pages, struct part section, uint64_t offset, uint64_t count,
                       size_t stride)
{
    for (uint64_t i = 0; i < count; i++, offset += stride) {
        if (offset > section.len || section.len - offset < ING_PAGE_REF_BYTES)
            return;
        uint8_t *ref = section.at + offset;
        uint64_t at = load(ref, 8);
        uint64_t len = load(ref + 8, 4);
        if (len > 0 && at <= pages.len && len <= pages.len - at)
            store_u32(ref + 16, nx_crc32c(0, pages.at + at, (size_t)len));
    }
}

static void mend_section(struct part pages, struct part section, uint32_t kind)
{
    uint64_t head[3] = {0};
    for (size_t i = 0; i < 3 && section.len >= (i + 1) * 4; i++)
        head[i] = load(section.at + i * 4, 4);
    if (kind == ING_SECTION_LABELS) {
        mend_pages(pages, section, 12 + head[1] * 8, head[2], ING_PAGE_REF_BYTES + 8);
    } else if (kind == ING_SECTION_LISTS) {
        mend_pages(pages, section, 8, head[0], ING_PAGE_REF_BYTES + 4);
    } else if (kind == ING_SECTION_TIMES) {
        mend_pages(pages, section, 8, head[1], ING_PAGE_REF_BYTES + 4);
    } else if (kind == ING_SECTION_SERIES) {
        size_t stride = ING_PAGE_REF_BYTES + 4 + (size_t)head[2] * ING_PAGE_REF_BYTES;
        mend_pages(pages, section, 12, head[1], stride);
        for (uint64_t slab = 0; slab < head[2] && slab < 64; slab++)
            mend_pages(pages, section, 12 + ING_PAGE_REF_BYTES + 4 + slab * ING_PAGE_REF_BYTES,
                       head[1], stride);
    }
}

static void mend(uint8_t *file, size_t size)
{
    if (size < ING_BLOCK_MAGIC_BYTES + ING_BLOCK_FOOTER_BYTES)
        return;
    uint8_t *footer = file + size - ING_BLOCK_FOOTER_BYTES;
    size_t body = size - ING_BLOCK_FOOTER_BYTES;
    uint64_t offset = load(footer, 8);
    uint64_t len = load(footer + 8, 4);
    if (offset > body || len > body - offset)
        return;
    struct part pages = {.len = 0};
    for (uint32_t i = 0; (i + 1) * ING_BLOCK_TOC_ENTRY_BYTES <= len; i++) {
        uint8_t *entry = file + offset + (size_t)i * ING_BLOCK_TOC_ENTRY_BYTES;
        uint64_t at = load(entry + 8, 8);
        uint64_t bytes = load(entry + 16, 8);
        if (at > body || bytes > body - at)
            continue;
        struct part part = {.at = file + at, .len = (size_t)bytes};
        if (i == 0)
            pages = part;
        else
            mend_section(pages, part, i + 1);
        if (i > 0)
            store_u32(entry + 4, nx_crc32c(0, part.at, part.len));
    }
    store_u32(footer + 12, nx_crc32c(0, file + offset, (size_t)len));
    store_u32(footer + 20, nx_crc32c(0, footer, 20));
}

/* --- reading --- */

static void read_chunk(const struct nx_chunk *chunk, const struct ing_block_meta *meta)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    int64_t last = INT64_MIN;
    int rc;
    if (nx_chunk_iter_new(chunk->encoding, chunk->data, &it) != NX_OK)
        return;
    while ((rc = nx_sample_next(it, &sample)) == 1) {
        require(last == INT64_MIN || sample.t > last);
        last = sample.t;
    }
    require(rc == 0 || rc == NX_ERR_CORRUPT);
    require(chunk->min_t >= meta->min_t && chunk->max_t < meta->max_t);
    nx_sample_iter_free(it);
}

static void read_all(struct ing_block *block)
{
    const struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_block_iter *iter;
    struct ing_block_series series;
    int rc;
    if (ing_block_select(block, NULL, 0, all, &iter) != NX_OK)
        return;
    while ((rc = ing_block_iter_next(iter, &series)) == 1)
        for (size_t i = 0; i < series.chunk_count; i++)
            read_chunk(&series.chunks[i], ing_block_meta(block));
    require(rc <= 0);
    ing_block_iter_free(iter);
}

static void list_labels(struct ing_block *block, struct nx_view name)
{
    struct ing_texts texts;
    ing_texts_init(&texts, 1 << 20);
    enum nx_err err = ing_block_labels(block, name, NULL, 0, &texts);
    if (err == NX_OK)
        ing_texts_sort(&texts);
    ing_texts_release(&texts);
}

static void write_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    require(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char in_memory[] = "/dev/shm/narthex-fuzz-block-XXXXXX"; /* far faster, where there is one */
    char on_disk[] = "/tmp/narthex-fuzz-block-XXXXXX";
    char *dir = mkdtemp(in_memory);
    struct ing_block *block;
    struct nx_fail fail = {.code = NX_OK};
    uint8_t *copy = nx_alloc(size ? size : 1);
    dir = dir ? dir : mkdtemp(on_disk);
    require(copy && dir);
    char *path = nx_path_join(dir, ING_BLOCK_FILE);
    require(path != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    mend(copy, size);
    write_file(path, copy, size);
    if (ing_block_open(dir, &block, &fail) == NX_OK) {
        list_labels(block, NX_VIEW(""));
        list_labels(block, NX_VIEW("__name__"));
        list_labels(block, NX_VIEW("instance"));
        read_all(block);
        ing_block_drop(block);
    }
    (void)unlink(path);
    (void)rmdir(dir);
    nx_free(path);
    nx_free(copy);
    return 0;
}
