/* Chunk files and a series that is read from them: [owner][address of its latest chunk][where the
 * second file begins], four bytes each, little-endian; then the bytes of both files
 * (docs/formats/head-chunks.md). Where pieces follow each other from the ninth byte on their
 * checksums are mended first. What is read is the error of damage, or chunks on a chain of
 * descending addresses, each of which can be read through to its end or to an error. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/hash.h"
#include "ingester/head/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_HEADER_BYTES = 12, FILE_HEADER_BYTES = 8 };
#define START UINT64_C(1) /* the first address that a process gives */

static void require(bool condition)
{
    if (!condition)
        abort();
}

static uint32_t load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void mend(uint8_t *bytes, size_t size)
{
    for (size_t at = FILE_HEADER_BYTES; at + ING_CHUNK_PIECE_HEADER_BYTES < size;) {
        size_t len =
            ING_CHUNK_PIECE_HEADER_BYTES + ((size_t)bytes[at + 4] | (size_t)bytes[at + 5] << 8);
        if (len > size - at)
            return;
        uint32_t crc = nx_crc32c(0, bytes + at + 4, len - 4);
        for (int i = 0; i < 4; i++)
            bytes[at + (size_t)i] = (uint8_t)(crc >> (8 * i));
        at += len;
    }
}

static struct ing_chunk_file *file_of(uint64_t start, const uint8_t *bytes, size_t size)
{
    struct ing_chunk_file *file = ing_chunk_file_new(start, "fuzz");
    require(file != NULL);
    file->fd = memfd_create("fuzz", MFD_CLOEXEC);
    require(file->fd >= 0);
    for (size_t done = 0; done < size;) {
        ssize_t n = write(file->fd, bytes + done, size - done);
        require(n > 0);
        done += (size_t)n;
    }
    return file;
}

static void read_through(const struct ing_sealed_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct nx_chunk chunk = ing_sealed_chunk(list->items[i]);
        struct nx_sample_iter *it;
        struct nx_sample sample;
        uint32_t count = 0;
        if (nx_chunk_iter_new(chunk.encoding, chunk.data, &it) != NX_OK)
            continue;
        while (nx_sample_next(it, &sample) == 1)
            require(++count <= UINT16_MAX);
        nx_sample_iter_free(it);
    }
}

static void read_range(const struct ing_chain *chain, int64_t min_t, int64_t max_t)
{
    struct ing_sealed_list list = {.chain = *chain};
    (void)ing_chunk_view_take(chain->view);
    enum nx_err err = ing_sealed_list_load(&list, min_t, max_t);
    require(err == NX_OK || err == NX_ERR_CORRUPT);
    require(err == NX_OK || list.count == 0);
    for (uint32_t i = 0; i < list.count; i++)
        require(list.items[i]->min_t <= max_t && list.items[i]->max_t >= min_t);
    if (list.count > 0)
        require(list.end > START && list.end <= chain->head + 1);
    read_through(&list);
    ing_sealed_list_release(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < INPUT_HEADER_BYTES)
        return 0;
    size_t len = size - INPUT_HEADER_BYTES;
    size_t split = load_u32(data + 8);
    uint8_t *bytes = malloc(len + 1);
    require(bytes != NULL);
    memcpy(bytes, data + INPUT_HEADER_BYTES, len);
    if (split > len)
        split = len;
    mend(bytes, split);
    mend(bytes + split, len - split);
    struct ing_chunk_file *files[2] = {file_of(START, bytes, split),
                                       file_of(START + split, bytes + split, len - split)};
    struct ing_chain chain = {.view = ing_chunk_view_new(files, split < len ? 2 : 1),
                              .head = START + load_u32(data + 4),
                              .floor = START,
                              .owner = load_u32(data)};
    require(chain.view != NULL);
    read_range(&chain, INT64_MIN, INT64_MAX);
    read_range(&chain, INT64_C(1700000000000), INT64_C(1700000600000));
    ing_chunk_view_drop(chain.view);
    ing_chunk_file_drop(files[0]);
    ing_chunk_file_drop(files[1]);
    free(bytes);
    return 0;
}
