/* The sealed chunks of one shard, in append-only files, so that a head that ages takes no more
 * memory. Addresses ascend for the life of the process and are never used twice; the chunks of a
 * series are a chain from its latest one back.
 *
 * The log remains the truth: the files are never synced, are removed at a start and written anew by
 * the replay. A file goes when every window that has chunks in it has left the head, and all files
 * before it have gone.
 *
 * One thread, that of the shard; views (chunk_view.h) and a lane do what blocks. */
#ifndef ING_HEAD_CHUNK_FILES_H
#define ING_HEAD_CHUNK_FILES_H

#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/time.h"
#include "common/net/lane.h"
#include "common/telemetry/telemetry.h"
#include "ingester/head/chunk_view.h"

#define ING_CHUNK_ADDRESS_NONE 0u

struct ing_chunk_files_options {
    const struct nx_fs *fs;
    const struct nx_clock *clock;
    const char *dir; /* copied; made when the first file is */
    struct nx_log *log;
    struct nx_metrics *metrics; /* ingester/metrics.h; may be NULL */
    size_t buffer_bytes;        /* of one write; 0: 256 KiB */
    uint64_t file_bytes;        /* a file is ended beyond; 0: 64 MiB */
};
struct ing_chunk_files;
enum nx_err ing_chunk_files_new(const struct ing_chunk_files_options *options,
                                struct ing_chunk_files **out) NX_WARN_UNUSED;
/* No write may be in flight: the lane has been freed and the shard's worker has ended. */
void ing_chunk_files_free(struct ing_chunk_files *files);
/* Until this call writes block; from it on they are made on the lane, and the caller is always the
 * same worker. */
void ing_chunk_files_serve(struct ing_chunk_files *files, struct nx_lane *lane);
/* On that worker, before the lane is freed: the write in flight is the last one. */
void ing_chunk_files_end(struct ing_chunk_files *files);

/* The address of the chunk, which is in a window of a tenant. ING_CHUNK_ADDRESS_NONE where it
 * cannot be taken: too large, no memory, or writes that fail or do not keep up; the caller keeps
 * it. What has been taken is never lost: it stays in memory until it is written. */
uint64_t ing_chunk_files_append(struct ing_chunk_files *files, const struct ing_chunk_piece *piece,
                                uint32_t tenant, int64_t window) NX_WARN_UNUSED;
/* The window's chunks are needed no longer. */
void ing_chunk_files_forget(struct ing_chunk_files *files, uint32_t tenant, int64_t window);

/* Addresses from this one on are in memory still. */
uint64_t ing_chunk_files_written(const struct ing_chunk_files *files);
/* A piece that is; valid until the next call that changes something. */
enum nx_err ing_chunk_files_read_memory(const struct ing_chunk_files *files, uint64_t address,
                                        uint32_t owner, struct ing_chunk_piece *out) NX_WARN_UNUSED;
/* What is written; belongs to `files`, take a reference to keep it. */
struct ing_chunk_view *ing_chunk_files_view(const struct ing_chunk_files *files);

#endif
