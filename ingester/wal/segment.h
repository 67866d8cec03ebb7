/* The files of a shard's log: names, headers, and writing with repair. Blocking calls; one thread
 * at a time.
 *
 *     <dir>/<segment, 10 digits>-<attempt, 3 digits>.wal    log
 *     <dir>/checkpoint-<segment, 10 digits>                 what the segments before that one held
 *
 * A segment has a second attempt where writing the first one failed in a way that leaves its end in
 * doubt. */
#ifndef ING_WAL_SEGMENT_H
#define ING_WAL_SEGMENT_H

#include "common/base/file.h"

#define ING_SEGMENT_HEADER_BYTES 96
#define ING_SEGMENT_NAME_MAX 32
#define ING_SEGMENT_MAX_BYTES (UINT64_C(1) << 30)

struct ing_segment_header {
    uint64_t generation;
    uint64_t segment;
    uint64_t nonce;
    uint32_t shard;
};
void ing_segment_header_write(const struct ing_segment_header *header,
                              uint8_t out[ING_SEGMENT_HEADER_BYTES]);
/* False where both copies are damaged. */
bool ing_segment_header_read(struct nx_view bytes, struct ing_segment_header *out);

void ing_segment_name(uint64_t segment, uint32_t attempt, char out[ING_SEGMENT_NAME_MAX]);
bool ing_segment_name_parse(const char *name, uint64_t *segment, uint32_t *attempt);
void ing_checkpoint_name(uint64_t segment, char out[ING_SEGMENT_NAME_MAX]);
bool ing_checkpoint_name_parse(const char *name, uint64_t *segment);

struct ing_segment_writer {
    const struct nx_fs *fs;
    const char *dir; /* exists; the caller's */
    bool sync_each;  /* else what is committed is synced by ing_segment_sync */
    bool sync_never; /* not even when the segment changes */
    struct ing_segment_header
        header; /* of the open file; generation, shard and nonce are the caller's */
    uint32_t attempt;
    int fd;                /* -1: none */
    bool named;            /* the directory has been synced since the open file was made */
    uint64_t good_bytes;   /* committed to the open file, header included */
    uint64_t synced_bytes; /* of them */
};
/* Commits are synced one by one (`sync_each`). */
void ing_segment_writer_init(struct ing_segment_writer *writer, const struct nx_fs *fs,
                             const char *dir, uint64_t generation, uint32_t shard, uint64_t nonce);
/* Writes the bytes at the end of the segment, opening it where another one was open, and syncs them
 * where each commit is to be. On failure none of them counts as written: the file has been cut
 * back, or abandoned for another attempt, and the call may be repeated as it is. */
enum nx_err ing_segment_commit(struct ing_segment_writer *writer, uint64_t segment,
                               struct nx_view bytes) NX_WARN_UNUSED;
/* Syncs what was committed without. On failure nobody knows what of it is on disk; the file is
 * abandoned, and later commits go to another attempt. */
enum nx_err ing_segment_sync(struct ing_segment_writer *writer) NX_WARN_UNUSED;
static inline bool ing_segment_unsynced(const struct ing_segment_writer *writer)
{
    return writer->fd >= 0 && writer->synced_bytes < writer->good_bytes;
}
/* Syncs nothing. */
void ing_segment_writer_close(struct ing_segment_writer *writer);

#endif
