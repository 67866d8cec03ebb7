#include "ingester/tsdb/segment_writer.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/base/hash.h"
#include "ingester/tsdb/format.h"

#define WRITE_BYTES ((size_t)1 << 20)
#define CHUNK_OVERHEAD_MAX 10 /* length, encoding, checksum */

void ing_tsdb_segment_writer_init(struct ing_tsdb_segment_writer *writer, const struct nx_fs *fs,
                                  const char *dir, uint64_t max_bytes)
{
    *writer = (struct ing_tsdb_segment_writer){.fs = fs, .dir = dir, .max_bytes = max_bytes};
}

static enum nx_err next_segment(struct ing_tsdb_segment_writer *writer)
{
    char name[16];
    enum nx_err err = NX_OK;
    if (writer->number > 0)
        err = ing_out_file_finish(&writer->file);
    if (err != NX_OK)
        return err;
    (void)snprintf(name, sizeof name, "%06" PRIu32, writer->number + 1);
    err = ing_out_file_open(&writer->file, writer->fs, writer->dir, name);
    if (err != NX_OK)
        return err;
    writer->number++;
    ing_tsdb_put_be32(&writer->file.buf, ING_TSDB_SEGMENT_MAGIC);
    ing_tsdb_put_be32(&writer->file.buf, (uint32_t)ING_TSDB_SEGMENT_VERSION << 24);
    return NX_OK;
}

enum nx_err ing_tsdb_segment_writer_add(struct ing_tsdb_segment_writer *writer, unsigned kind,
                                        struct nx_view data, uint64_t *ref)
{
    enum nx_err err = NX_OK;
    if (writer->number == 0 ||
        ing_out_file_position(&writer->file) + data.len + CHUNK_OVERHEAD_MAX > writer->max_bytes)
        err = next_segment(writer);
    if (err != NX_OK)
        return err;
    struct nx_buf *buf = &writer->file.buf;
    uint64_t at = ing_out_file_position(&writer->file);
    uint8_t byte = (uint8_t)kind;
    nx_buf_put_uvarint(buf, data.len);
    nx_buf_put_u8(buf, byte);
    nx_buf_append_view(buf, data);
    ing_tsdb_put_be32(buf, nx_crc32c(nx_crc32c(0, &byte, 1), data.ptr, data.len));
    *ref = (uint64_t)(writer->number - 1) << 32 | at;
    return ing_out_file_flush(&writer->file, WRITE_BYTES);
}

enum nx_err ing_tsdb_segment_writer_finish(struct ing_tsdb_segment_writer *writer)
{
    enum nx_err err = writer->number > 0 ? ing_out_file_finish(&writer->file) : NX_OK;
    return err == NX_OK ? writer->fs->sync_dir(writer->fs, writer->dir) : err;
}

void ing_tsdb_segment_writer_release(struct ing_tsdb_segment_writer *writer)
{
    ing_out_file_release(&writer->file);
}
