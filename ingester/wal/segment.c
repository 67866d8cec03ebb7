/* A write that failed may have left a part: the file is cut back to what was synced. A sync that
 * failed says nothing about what is on disk, and a later one that succeeds does not mean what it
 * says (the kernel has marked the pages clean), so the file is abandoned and the bytes go to a new
 * attempt. The header stands twice in the file: a damaged byte in it must not cost the segment. */
#include "ingester/wal/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"

#define MAGIC_BYTES 8
#define COPY_BYTES (ING_SEGMENT_HEADER_BYTES / 2)
#define ATTEMPTS_MAX 1000u

static const uint8_t header_magic[MAGIC_BYTES] = {'N', 'X', 'W', 'A', 'L', '1', '\r', '\n'};

void ing_segment_header_write(const struct ing_segment_header *header,
                              uint8_t out[ING_SEGMENT_HEADER_BYTES])
{
    uint8_t *at = out;
    memcpy(at, header_magic, MAGIC_BYTES);
    nx_le64_store(at + 8, header->generation);
    nx_le64_store(at + 16, header->segment);
    nx_le64_store(at + 24, header->nonce);
    nx_le64_store(at + 32, header->shard);
    nx_le64_store(at + 40, nx_crc32c(0, at, 40));
    memcpy(out + COPY_BYTES, out, COPY_BYTES);
}

static bool header_copy_read(const char *at, struct ing_segment_header *out)
{
    struct nx_cursor cur = nx_cursor_of(nx_view_make(at, COPY_BYTES));
    struct nx_view magic = nx_cursor_take(&cur, MAGIC_BYTES);
    out->generation = nx_cursor_u64(&cur);
    out->segment = nx_cursor_u64(&cur);
    out->nonce = nx_cursor_u64(&cur);
    out->shard = (uint32_t)nx_cursor_u64(&cur);
    uint64_t crc = nx_cursor_u64(&cur);
    return memcmp(magic.ptr, header_magic, MAGIC_BYTES) == 0 && crc == nx_crc32c(0, at, 40);
}

bool ing_segment_header_read(struct nx_view bytes, struct ing_segment_header *out)
{
    return bytes.len >= ING_SEGMENT_HEADER_BYTES &&
           (header_copy_read(bytes.ptr, out) || header_copy_read(bytes.ptr + COPY_BYTES, out));
}

void ing_segment_name(uint64_t segment, uint32_t attempt, char out[ING_SEGMENT_NAME_MAX])
{
    (void)snprintf(out, ING_SEGMENT_NAME_MAX, "%010" PRIu64 "-%03" PRIu32 ".wal", segment, attempt);
}

/* Decimal digits up to `end`; false where there are none or too many. */
static bool parse_number(const char **text, char end, uint64_t *out)
{
    uint64_t v = 0;
    const char *at = *text;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (at - *text >= 19)
            return false;
        v = v * 10 + (uint64_t)(*at - '0');
    }
    if (at == *text || *at != end)
        return false;
    *text = end ? at + 1 : at;
    *out = v;
    return true;
}

bool ing_segment_name_parse(const char *name, uint64_t *segment, uint32_t *attempt)
{
    uint64_t number;
    uint64_t again;
    if (!parse_number(&name, '-', &number) || !parse_number(&name, '.', &again) ||
        again >= ATTEMPTS_MAX || strcmp(name, "wal") != 0)
        return false;
    *segment = number;
    *attempt = (uint32_t)again;
    return true;
}

void ing_checkpoint_name(uint64_t segment, char out[ING_SEGMENT_NAME_MAX])
{
    (void)snprintf(out, ING_SEGMENT_NAME_MAX, "checkpoint-%010" PRIu64, segment);
}

bool ing_checkpoint_name_parse(const char *name, uint64_t *segment)
{
    static const char prefix[] = "checkpoint-";
    if (strncmp(name, prefix, sizeof prefix - 1) != 0)
        return false;
    name += sizeof prefix - 1;
    return parse_number(&name, '\0', segment);
}

void ing_segment_writer_init(struct ing_segment_writer *writer, const struct nx_fs *fs,
                             const char *dir, uint64_t generation, uint32_t shard, uint64_t nonce)
{
    *writer = (struct ing_segment_writer){.fs = fs, .dir = dir, .sync_each = true, .fd = -1};
    writer->header =
        (struct ing_segment_header){.generation = generation, .shard = shard, .nonce = nonce};
}

void ing_segment_writer_close(struct ing_segment_writer *writer)
{
    if (writer->fd < 0)
        return;
    (void)writer->fs->close(writer->fs, writer->fd);
    writer->fd = -1;
}

static char *segment_path(const struct ing_segment_writer *writer, uint64_t segment,
                          uint32_t attempt)
{
    char name[ING_SEGMENT_NAME_MAX];
    ing_segment_name(segment, attempt, name);
    return nx_path_join(writer->dir, name);
}

/* A new file, opened for appending: after a cut the next write must begin at the new end. */
static enum nx_err create(struct ing_segment_writer *writer, uint64_t segment, uint32_t attempt,
                          int *fd)
{
    const struct nx_fs *fs = writer->fs;
    char *path = segment_path(writer, segment, attempt);
    if (!path)
        return NX_ERR_NOMEM;
    int created;
    enum nx_err err = fs->open(fs, path, NX_FILE_CREATE, &created);
    if (err == NX_OK) {
        (void)fs->close(fs, created);
        err = fs->open(fs, path, NX_FILE_APPEND, fd);
        if (err != NX_OK)
            (void)fs->unlink(fs, path);
    }
    nx_free(path);
    return err;
}

/* Leaves the open file behind. One that holds no record is removed, so that a disk that keeps
 * failing does not fill the directory with attempts. */
static void abandon(struct ing_segment_writer *writer)
{
    ing_segment_writer_close(writer);
    if (writer->good_bytes > ING_SEGMENT_HEADER_BYTES)
        return;
    char *path = segment_path(writer, writer->header.segment, writer->attempt);
    if (path)
        (void)writer->fs->unlink(writer->fs, path);
    nx_free(path);
}

static enum nx_err write_header(struct ing_segment_writer *writer)
{
    const struct nx_fs *fs = writer->fs;
    uint8_t bytes[ING_SEGMENT_HEADER_BYTES];
    ing_segment_header_write(&writer->header, bytes);
    enum nx_err err = fs->write(fs, writer->fd, bytes, sizeof bytes);
    if (err == NX_OK)
        writer->good_bytes = sizeof bytes;
    return err;
}

static enum nx_err open_segment(struct ing_segment_writer *writer, uint64_t segment)
{
    int fd = -1;
    uint32_t attempt = 0;
    if (!writer->sync_never && ing_segment_unsynced(writer)) {
        enum nx_err err = ing_segment_sync(writer);
        if (err != NX_OK)
            return err;
    }
    ing_segment_writer_close(writer);
    enum nx_err err = NX_ERR_EXISTS;
    for (; attempt < ATTEMPTS_MAX; attempt++) {
        err = create(writer, segment, attempt, &fd);
        if (err != NX_ERR_EXISTS)
            break;
    }
    if (err != NX_OK)
        return err;
    writer->header.segment = segment;
    writer->attempt = attempt;
    writer->fd = fd;
    writer->good_bytes = writer->synced_bytes = 0;
    writer->named = false;
    err = write_header(writer);
    if (err != NX_OK)
        abandon(writer);
    return err;
}

/* Whether what is committed must come to the disk at once: by the rules of the log, or because the
 * file is new, and no record in it counts before its header and its name are safe. */
static bool syncs_now(const struct ing_segment_writer *writer)
{
    return writer->sync_each || !(writer->named || writer->sync_never);
}

/* One sync for the header of a new file and its first records. */
static enum nx_err sync_now(struct ing_segment_writer *writer)
{
    const struct nx_fs *fs = writer->fs;
    enum nx_err err = fs->sync(fs, writer->fd);
    if (err == NX_OK && !writer->named)
        err = fs->sync_dir(fs, writer->dir);
    return err;
}

enum nx_err ing_segment_commit(struct ing_segment_writer *writer, uint64_t segment,
                               struct nx_view bytes)
{
    if (writer->fd < 0 || writer->header.segment != segment) {
        enum nx_err err = open_segment(writer, segment);
        if (err != NX_OK)
            return err;
    }
    const struct nx_fs *fs = writer->fs;
    enum nx_err err = bytes.len > 0 ? fs->write(fs, writer->fd, bytes.ptr, bytes.len) : NX_OK;
    if (err != NX_OK) {
        if (fs->truncate(fs, writer->fd, writer->good_bytes) != NX_OK)
            abandon(writer);
        return err;
    }
    bool syncs = syncs_now(writer);
    err = syncs ? sync_now(writer) : NX_OK;
    if (err != NX_OK) {
        (void)fs->truncate(fs, writer->fd, writer->good_bytes);
        abandon(writer);
        return err;
    }
    writer->good_bytes += bytes.len;
    if (syncs) {
        writer->synced_bytes = writer->good_bytes;
        writer->named = true;
    }
    return NX_OK;
}

enum nx_err ing_segment_sync(struct ing_segment_writer *writer)
{
    if (!ing_segment_unsynced(writer))
        return NX_OK;
    enum nx_err err = writer->fs->sync(writer->fs, writer->fd);
    if (err == NX_OK && writer->sync_never) /* the file's name has not been synced either */
        err = writer->fs->sync_dir(writer->fs, writer->dir);
    if (err == NX_OK)
        writer->synced_bytes = writer->good_bytes;
    else
        abandon(writer);
    return err;
}
