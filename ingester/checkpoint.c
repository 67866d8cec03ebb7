/* A checkpoint holds the series, metadata and exemplars that are in memory; samples are in later
 * segments or in blocks. It is made in slices: the shard encodes one, the flush lane appends it to
 * the file, and so on; series that come meanwhile are logged in later segments anyway. Renamed when
 * it is synced; only then the old segments go. */
#include <string.h>

#include "common/base/alloc.h"
#include "ingester/flush.h"
#include "ingester/wal/dump.h"
#include "ingester/wal/layout.h"
#include "ingester/wal/segment.h"

#define SLICE_SERIES 2048u

struct checkpoint {
    struct ing_shard *shard;
    struct ing_fan_slot *slot;
    uint64_t segment;
    char *path;
    char *tmp_path;
    int fd;
    uint32_t next_ref;
    size_t next_tenant;
    bool last;
    struct nx_buf buf;
    struct nx_job job;
    enum nx_err err;
};

static void checkpoint_end(struct checkpoint *checkpoint, enum nx_err err)
{
    struct ing_fan_slot *slot = checkpoint->slot;
    ing_head_unpin(checkpoint->shard->store.head);
    nx_buf_release(&checkpoint->buf);
    nx_free(checkpoint->path);
    nx_free(checkpoint->tmp_path);
    nx_free(checkpoint);
    ing_fan_answer(slot, err);
}

/* On the shard. */
static void encode_slice(struct checkpoint *checkpoint)
{
    const struct ing_head *head = checkpoint->shard->store.head;
    uint64_t nonce = checkpoint->shard->ing->nonce;
    if (checkpoint->next_ref < head->series_end) {
        ing_dump_series(head, checkpoint->next_ref, checkpoint->next_ref + SLICE_SERIES, nonce,
                        &checkpoint->buf);
        checkpoint->next_ref += SLICE_SERIES;
    } else if (checkpoint->next_tenant < head->tenant_count) {
        ing_dump_extras(head->tenants[checkpoint->next_tenant++], nonce, &checkpoint->buf);
    }
    checkpoint->last =
        checkpoint->next_ref >= head->series_end && checkpoint->next_tenant >= head->tenant_count;
}

static enum nx_err file_begin(struct checkpoint *checkpoint)
{
    const struct nx_fs *fs = checkpoint->shard->ing->deps.fs;
    uint8_t bytes[ING_SEGMENT_HEADER_BYTES];
    struct ing_segment_header header = {.generation = checkpoint->shard->ing->generation,
                                        .segment = checkpoint->segment,
                                        .nonce = checkpoint->shard->ing->nonce,
                                        .shard = checkpoint->shard->index};
    ing_segment_header_write(&header, bytes);
    enum nx_err err = fs->unlink(fs, checkpoint->tmp_path);
    if (err == NX_OK || err == NX_ERR_NOT_FOUND)
        err = fs->open(fs, checkpoint->tmp_path, NX_FILE_CREATE, &checkpoint->fd);
    return err == NX_OK ? fs->write(fs, checkpoint->fd, bytes, sizeof bytes) : err;
}

static enum nx_err file_finish(struct checkpoint *checkpoint)
{
    const struct nx_fs *fs = checkpoint->shard->ing->deps.fs;
    enum nx_err err = fs->sync(fs, checkpoint->fd);
    if (err == NX_OK)
        err = fs->rename(fs, checkpoint->tmp_path, checkpoint->path);
    if (err == NX_OK)
        err = fs->sync_dir(fs, checkpoint->shard->dir);
    return err == NX_OK ? ing_wal_files_remove(fs, checkpoint->shard->dir, checkpoint->segment)
                        : err;
}

/* On the lane. */
static void write_slice(struct nx_job *job)
{
    struct checkpoint *checkpoint = NX_OWNER(struct checkpoint, job, job);
    const struct nx_fs *fs = checkpoint->shard->ing->deps.fs;
    enum nx_err err = nx_buf_err(&checkpoint->buf);
    if (err == NX_OK && checkpoint->fd < 0)
        err = file_begin(checkpoint);
    if (err == NX_OK)
        err = fs->write(fs, checkpoint->fd, checkpoint->buf.data, checkpoint->buf.len);
    if (err == NX_OK && checkpoint->last)
        err = file_finish(checkpoint);
    if ((err != NX_OK || checkpoint->last) && checkpoint->fd >= 0) {
        (void)fs->close(fs, checkpoint->fd);
        checkpoint->fd = -1;
    }
    checkpoint->err = err;
}

static void slice_written(struct nx_job *job);

static void next_slice(struct checkpoint *checkpoint)
{
    nx_buf_clear(&checkpoint->buf);
    encode_slice(checkpoint);
    checkpoint->job = (struct nx_job){.run = write_slice, .done = slice_written};
    enum nx_err err = nx_lane_submit(checkpoint->shard->ing->flush_lane, &checkpoint->job);
    if (err != NX_OK) {
        checkpoint->last = true;
        checkpoint->err = err;
        slice_written(&checkpoint->job);
    }
}

static void slice_written(struct nx_job *job)
{
    struct checkpoint *checkpoint = NX_OWNER(struct checkpoint, job, job);
    if (checkpoint->err == NX_OK && !checkpoint->last) {
        next_slice(checkpoint);
        return;
    }
    if (checkpoint->err == NX_OK)
        checkpoint->shard->first_segment = checkpoint->segment;
    else
        nx_log(checkpoint->shard->ing->deps.log, NX_LOG_WARN,
               "log checkpoint not written: segments stay", NX_S("dir", checkpoint->shard->dir),
               NX_E(checkpoint->err));
    checkpoint_end(checkpoint, checkpoint->err);
}

void ing_checkpoint_start(struct ing_shard *shard, uint64_t segment, struct ing_fan_slot *slot)
{
    struct checkpoint *checkpoint = nx_calloc(1, sizeof *checkpoint);
    if (!checkpoint) {
        ing_fan_answer(slot, NX_ERR_NOMEM);
        return;
    }
    char name[ING_SEGMENT_NAME_MAX + 4];
    checkpoint->shard = shard;
    checkpoint->slot = slot;
    checkpoint->segment = segment;
    checkpoint->fd = -1;
    nx_buf_init(&checkpoint->buf, SIZE_MAX / 4);
    ing_head_pin(shard->store.head);
    ing_checkpoint_name(segment, name);
    checkpoint->path = nx_path_join(shard->dir, name);
    memcpy(name + strlen(name), ".tmp", 5);
    checkpoint->tmp_path = nx_path_join(shard->dir, name);
    if (!checkpoint->path || !checkpoint->tmp_path) {
        checkpoint_end(checkpoint, NX_ERR_NOMEM);
        return;
    }
    next_slice(checkpoint);
}
