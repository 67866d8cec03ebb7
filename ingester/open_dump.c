/* A new generation of the log: segment 0 of each shard holds what the shard holds. Written under a
 * temporary name that layout.c renames once everything in it is synced. */
#include "common/base/alloc.h"
#include "ingester/open.h"
#include "ingester/wal/dump.h"
#include "ingester/wal/layout.h"
#include "ingester/wal/segment.h"

#define DUMP_SLICE 1024u
#define DUMP_WRITE_BYTES ((size_t)1 << 20)

struct dump_file {
    const struct nx_fs *fs;
    int fd;
    struct nx_buf buf;
};

static enum nx_err dump_flush(struct dump_file *file, size_t at_least)
{
    enum nx_err err = nx_buf_err(&file->buf);
    if (err != NX_OK || file->buf.len < at_least || file->buf.len == 0)
        return err;
    err = file->fs->write(file->fs, file->fd, file->buf.data, file->buf.len);
    nx_buf_clear(&file->buf);
    return err;
}

static enum nx_err dump_head(struct dump_file *file, const struct ing_open_options *options,
                             struct ing_open_shard *shard)
{
    uint64_t nonce = options->nonce;
    struct ing_head *head = shard->store.head;
    enum nx_err err = NX_OK;
    for (uint32_t ref = 0; ref < head->series_end; ref++) {
        struct ing_series *series = ing_head_series(head, ref);
        if (ing_series_live(series))
            series->log_ref = shard->store.next_log_ref++;
    }
    for (uint32_t from = 0; from < head->series_end && err == NX_OK; from += DUMP_SLICE) {
        ing_dump_series(head, from, from + DUMP_SLICE, nonce, &file->buf);
        err = ing_dump_samples(head, from, from + DUMP_SLICE, nonce, &file->buf);
        if (err == NX_OK)
            err = ing_progress_canceled(options->progress) ? NX_ERR_CLOSED
                                                           : dump_flush(file, DUMP_WRITE_BYTES);
    }
    for (size_t i = 0; i < head->tenant_count && err == NX_OK; i++) {
        ing_dump_extras(head->tenants[i], nonce, &file->buf);
        err = dump_flush(file, DUMP_WRITE_BYTES);
    }
    if (err == NX_OK)
        err = dump_flush(file, 0);
    return err == NX_OK ? file->fs->sync(file->fs, file->fd) : err;
}

static enum nx_err note_windows(struct ing_store *store, uint64_t segment)
{
    for (uint32_t i = 0; i < store->head->tenant_count; i++) {
        const struct ing_tenant *tenant = store->head->tenants[i];
        for (size_t j = 0; j < tenant->window_count; j++) {
            enum nx_err err = ing_book_reserve(&store->book, segment);
            if (err != NX_OK)
                return err;
            ing_book_note(&store->book, segment, i, tenant->windows[j].start);
        }
    }
    return NX_OK;
}

static enum nx_err dump_shard(const struct ing_open_options *options, uint64_t generation,
                              uint32_t number, struct ing_open_shard *shard)
{
    char name[ING_SEGMENT_NAME_MAX];
    uint8_t bytes[ING_SEGMENT_HEADER_BYTES];
    struct ing_segment_header header = {
        .generation = generation, .segment = 0, .nonce = options->nonce, .shard = number};
    ing_segment_name(0, 0, name);
    ing_segment_header_write(&header, bytes);
    char *dir = ing_wal_shard_dir(options->wal_dir, generation, true, number);
    char *path = dir ? nx_path_join(dir, name) : NULL;
    struct dump_file file = {.fs = options->fs};
    nx_buf_init(&file.buf, SIZE_MAX / 4);
    nx_buf_append(&file.buf, bytes, sizeof bytes);
    enum nx_err err =
        path ? options->fs->open(options->fs, path, NX_FILE_CREATE, &file.fd) : NX_ERR_NOMEM;
    if (err == NX_OK) {
        err = dump_head(&file, options, shard);
        (void)options->fs->close(options->fs, file.fd);
    }
    if (err == NX_OK)
        err = options->fs->sync_dir(options->fs, dir);
    if (err == NX_OK)
        err = note_windows(&shard->store, 0);
    nx_buf_release(&file.buf);
    nx_free(path);
    nx_free(dir);
    return err;
}

struct dumping {
    const struct ing_open_options *options;
    struct ing_open_shard *shards;
    uint64_t generation;
};

static enum nx_err dump_one(void *user, uint32_t number)
{
    const struct dumping *all = user;
    struct ing_open_shard *shard = &all->shards[number];
    shard->store.next_log_ref = 1;
    if (shard->store.head->tenant_count == 0)
        return NX_OK;
    enum nx_err err = dump_shard(all->options, all->generation, number, shard);
    shard->next_segment = 1;
    shard->store.next_log_ref = ing_first_log_ref(1);
    return err;
}

enum nx_err ing_open_dump(const struct ing_open_options *options, uint64_t generation,
                          struct ing_open_shard *shards)
{
    struct dumping all = {.options = options, .shards = shards, .generation = generation};
    struct ing_wal_layout layout = {
        .generation = generation, .shards = options->shards, .partitions = options->partitions};
    enum nx_err err = ing_wal_generation_begin(options->fs, options->wal_dir, &layout);
    if (err == NX_OK)
        err = ing_open_each(options, ING_PHASE_DUMP, dump_one, &all);
    return err == NX_OK ? ing_wal_generation_finish(options->fs, options->wal_dir, &layout) : err;
}
