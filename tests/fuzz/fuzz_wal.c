/* A segment of the log, as its file: [header, 96 bytes][records]. The header and the checksums of
 * the records are mended first, as far as frames follow each other, so that mutations get behind
 * them. The segment is replayed, then once more from what the first replay left of the file: both
 * bring back the same, and every chunk that is brought back is sound and ascending. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/chunk/merge.h"
#include "ingester/head/read.h"
#include "ingester/wal/record.h"
#include "ingester/wal/replay.h"
#include "ingester/wal/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NOW_MS INT64_C(1704067200000)
#define HOUR_MS INT64_C(3600000)
#define MEMORY_MAX_SERIES 10000

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void store_u32(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (8 * i));
}

/* docs/formats/wal.md: magic, length of the payload, type, CRC-32C over (nonce, length, type,
 * payload). */
static void mend(uint8_t *bytes, size_t size)
{
    static const struct ing_segment_header header = {.generation = 1, .segment = 1, .nonce = 7};
    static const uint8_t nonce[8] = {7};
    if (size < ING_SEGMENT_HEADER_BYTES)
        return;
    ing_segment_header_write(&header, bytes);
    for (size_t at = ING_SEGMENT_HEADER_BYTES; size - at >= ING_RECORD_FRAME_BYTES;) {
        uint8_t *frame = bytes + at;
        size_t len = (size_t)frame[4] | (size_t)frame[5] << 8 | (size_t)frame[6] << 16;
        if (len > size - at - ING_RECORD_FRAME_BYTES)
            return;
        uint32_t crc = nx_crc32c(0, nonce, sizeof nonce);
        crc = nx_crc32c(crc, frame + 4, 8);
        store_u32(frame + 12, nx_crc32c(crc, frame + ING_RECORD_FRAME_BYTES, len));
        at += ING_RECORD_FRAME_BYTES + len;
    }
}

struct found {
    uint64_t samples;
    uint64_t series;
    uint64_t hash;
};

static void read_series(const struct ing_head *head, uint32_t ref, struct found *found)
{
    const struct ing_series *series = ing_head_series(head, ref);
    struct ing_sealed_list list = {0};
    struct nx_sample_iter *it;
    struct nx_sample sample;
    int64_t before = INT64_MIN;
    int rc;
    require(ing_series_read(&head->pool, series, INT64_MIN, INT64_MAX, &list) == NX_OK);
    require(ing_sealed_list_load(&list, INT64_MIN, INT64_MAX) == NX_OK);
    struct nx_chunk *chunks = nx_alloc_array(list.count + 1, sizeof *chunks);
    require(chunks != NULL);
    for (uint32_t i = 0; i < list.count; i++)
        chunks[i] = ing_sealed_chunk(list.items[i]);
    require(nx_chunks_iter_new(chunks, list.count, INT64_MIN, INT64_MAX, &it) == NX_OK);
    while ((rc = nx_sample_next(it, &sample)) == 1) {
        uint64_t words[3] = {series->id.lo, (uint64_t)sample.t,
                             sample.histogram ? 1 : nx_double_bits(sample.value)};
        require(sample.t > before || before == INT64_MIN);
        before = sample.t;
        found->samples++;
        found->hash += nx_crc32c(0, words, sizeof words);
    }
    require(rc == 0);
    found->series++;
    nx_sample_iter_free(it);
    nx_free(chunks);
    ing_sealed_list_release(&list);
}

static struct found replay(const char *dir, const char *chunks_dir)
{
    struct found found = {0};
    struct nx_clock_manual clock;
    struct ing_series_limit limit;
    struct ing_head *head;
    struct ing_coverage coverage;
    struct ing_book book;
    uint64_t next_segment = 0;
    nx_clock_manual_init(&clock, NOW_MS);
    atomic_init(&limit.used, 0);
    atomic_init(&limit.max, MEMORY_MAX_SERIES);
    struct ing_head_options options = {
        .rules = {.window_ms = 2 * HOUR_MS, .out_of_order_ms = 2 * HOUR_MS},
        .limit = &limit,
        .max_exemplars = 16,
        .chunks = {.fs = nx_fs_posix(),
                   .clock = &clock.base,
                   .dir = chunks_dir,
                   .buffer_bytes = 1024,
                   .file_bytes = 4096}};
    require(ing_head_new(&options, &head) == NX_OK);
    ing_coverage_init(&coverage);
    ing_book_init(&book);
    struct ing_replay replay = {.head = head,
                                .heads = 1,
                                .partitions = 64,
                                .reports = true,
                                .cuts = true,
                                .coverage = &coverage,
                                .fs = nx_fs_posix(),
                                .clock = &clock.base};
    /* more series than the limit end a start with that error */
    enum nx_err err = ing_replay_dir(&replay, dir, 0, &book, &next_segment);
    require(err == NX_OK || err == NX_ERR_RATE_LIMITED);
    require(err != NX_OK || next_segment == 2);
    for (uint32_t ref = 0; ref < head->series_end; ref++)
        if (ing_series_live(ing_head_series(head, ref)))
            read_series(head, ref, &found);
    ing_book_release(&book);
    ing_coverage_release(&coverage);
    ing_head_free(head);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char dir[] = "/tmp/narthex-fuzz-wal-XXXXXX";
    char name[ING_SEGMENT_NAME_MAX];
    const struct nx_fs *fs = nx_fs_posix();
    require(mkdtemp(dir) != NULL);
    ing_segment_name(1, 0, name);
    char *path = nx_path_join(dir, name);
    char *chunks_dir = nx_path_join(dir, "chunks");
    uint8_t *bytes = malloc(size + 1);
    int fd;
    require(path && chunks_dir && bytes);
    if (size > 0)
        memcpy(bytes, data, size);
    mend(bytes, size);
    require(fs->open(fs, path, NX_FILE_CREATE, &fd) == NX_OK);
    require(fs->write(fs, fd, bytes, size) == NX_OK);
    require(fs->close(fs, fd) == NX_OK);
    struct found first = replay(dir, chunks_dir);
    (void)fs->rmdir(fs, chunks_dir);
    struct found again = replay(dir, chunks_dir);
    require(first.samples == again.samples && first.series == again.series &&
            first.hash == again.hash);
    require(fs->rmdir(fs, dir) == NX_OK);
    free(bytes);
    nx_free(path);
    nx_free(chunks_dir);
    return 0;
}
