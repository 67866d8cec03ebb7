/* Where the log was written by another number of shards or partitions, its records are dealt to the
 * shards of now, and what they hold is written into a new generation, so that each shard has a log
 * of its own again. */
#include "ingester/open.h"

#include "common/base/alloc.h"
#include "ingester/metrics.h"
#include "ingester/wal/coverage.h"
#include "ingester/wal/dump.h"
#include "ingester/wal/replay.h"
#include "ingester/wal/segment.h"

#define DUMP_SLICE 1024u
#define DUMP_WRITE_BYTES ((size_t)4 << 20)

void ing_open_release(struct ing_open_shard *shards, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ing_store_release(&shards[i].store);
        ing_head_free(shards[i].store.head);
        nx_free(shards[i].dir);
        shards[i] = (struct ing_open_shard){0};
    }
}

/* A window that the block holds in part only (the setting has changed) is not covered by it. */
static enum nx_err cover_position(struct ing_coverage *coverage, int64_t window_ms,
                                  struct nx_view tenant, const struct ing_block_position *position)
{
    enum nx_err err = NX_OK;
    int64_t window = ing_window_of(window_ms, position->min_t + window_ms - 1);
    for (; window + window_ms <= position->max_t && err == NX_OK; window += window_ms)
        err = ing_coverage_add(coverage, tenant, window, position->shard, position->before);
    return err;
}

static enum nx_err cover(const struct ing_open_options *options, uint64_t generation,
                         struct ing_coverage *coverage)
{
    struct ing_block_list list;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    int64_t window_ms = options->head.rules.window_ms;
    enum nx_err err = ing_block_set_acquire(options->blocks, (struct nx_view){0}, all, &list);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < list.count && err == NX_OK; i++) {
        const struct ing_block_meta *meta = ing_block_meta(list.blocks[i]);
        for (size_t j = 0; j < meta->position_count && meta->generation == generation; j++)
            err = err == NX_OK
                      ? cover_position(coverage, window_ms, meta->tenant, &meta->positions[j])
                      : err;
    }
    ing_block_list_release(&list);
    return err;
}

static void report(const struct ing_open_options *options, const struct ing_replay_stats *stats,
                   uint64_t began_ns)
{
    double seconds = (double)(nx_now_ns(options->clock) - began_ns) / 1e9;
    nx_metric_set(options->metrics, ING_M_WAL_REPLAY_SECONDS, 0, seconds);
    nx_metric_set(options->metrics, ING_M_WAL_REPLAY_SAMPLES, 0, (double)stats->samples);
    nx_metric_add(options->metrics, ING_M_WAL_DAMAGED_BYTES, 0, (double)stats->damaged_bytes);
    nx_metric_add(options->metrics, ING_M_WAL_DAMAGED_SPOTS, 0, (double)stats->damaged_spots);
    nx_metric_add(options->metrics, ING_M_WAL_LOST_SAMPLES, 0, (double)stats->lost);
    nx_log(options->log, stats->damaged_spots > 0 ? NX_LOG_WARN : NX_LOG_INFO, "log replayed",
           NX_I("files", stats->files), NX_I("bytes", stats->bytes),
           NX_I("samples", stats->samples), NX_I("in_blocks", stats->covered),
           NX_I("lost", stats->lost), NX_I("refused", stats->refused),
           NX_I("damaged_spots", stats->damaged_spots), NX_I("damaged_bytes", stats->damaged_bytes),
           NX_I("torn_bytes", stats->torn_bytes), NX_D("seconds", seconds));
}

/* A number that no series of the directory can have had, read or not: each life of the process
 * begins in a segment of its own, and has its numbers from there. */
static uint64_t first_log_ref(uint64_t next_segment)
{
    return (next_segment << 32) + 1;
}

static enum nx_err replay(const struct ing_open_options *options,
                          const struct ing_wal_layout *layout, bool same,
                          struct ing_open_shard *shards)
{
    struct ing_coverage coverage;
    ing_coverage_init(&coverage);
    uint64_t began_ns = nx_now_ns(options->clock);
    struct ing_head **heads = nx_alloc_array(options->shards, sizeof(struct ing_head *));
    enum nx_err err = heads ? cover(options, layout->generation, &coverage) : NX_ERR_NOMEM;
    for (uint32_t i = 0; heads && i < options->shards; i++) {
        heads[i] = shards[i].store.head;
        /* what is in the log was let in; a push's histograms are logged behind its floats */
        heads[i]->options.rules.out_of_order_ms = 2 * ING_TIME_LIMIT;
    }
    struct ing_replay run = {.heads = heads,
                             .shards = options->shards,
                             .partitions = options->partitions,
                             .coverage = &coverage,
                             .fs = options->fs,
                             .clock = options->clock,
                             .log = options->log};
    uint32_t dirs = layout->shard_dirs > options->shards ? layout->shard_dirs : options->shards;
    for (uint32_t i = 0; i < dirs && err == NX_OK; i++) {
        char *dir = ing_wal_shard_dir(options->wal_dir, layout->generation, false, i);
        uint64_t next_segment = 0;
        err = dir ? ing_replay_dir(&run, dir, i, same ? &shards[i].store.book : NULL, &next_segment)
                  : NX_ERR_NOMEM;
        nx_free(dir);
        if (err == NX_OK && same) {
            shards[i].next_segment = next_segment;
            shards[i].first_segment = run.first_segment;
            shards[i].store.next_log_ref = first_log_ref(next_segment);
        }
    }
    for (uint32_t i = 0; heads && i < options->shards; i++)
        heads[i]->options.rules.out_of_order_ms = options->head.rules.out_of_order_ms;
    if (err == NX_OK)
        report(options, &run.stats, began_ns);
    ing_coverage_release(&coverage);
    nx_free(heads);
    return err;
}

/* --- a new generation --- */

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

static enum nx_err dump_head(struct dump_file *file, struct ing_open_shard *shard, uint64_t nonce)
{
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
            err = dump_flush(file, DUMP_WRITE_BYTES);
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
        err = dump_head(&file, shard, options->nonce);
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

static enum nx_err write_generation(const struct ing_open_options *options, uint64_t generation,
                                    struct ing_open_shard *shards)
{
    struct ing_wal_layout layout = {
        .generation = generation, .shards = options->shards, .partitions = options->partitions};
    enum nx_err err = ing_wal_generation_begin(options->fs, options->wal_dir, &layout);
    for (uint32_t i = 0; i < options->shards && err == NX_OK; i++) {
        struct ing_head *head = shards[i].store.head;
        shards[i].store.next_log_ref = 1;
        if (head->tenant_count == 0)
            continue;
        err = dump_shard(options, generation, i, &shards[i]);
        shards[i].next_segment = 1;
        shards[i].store.next_log_ref = first_log_ref(1);
    }
    return err == NX_OK ? ing_wal_generation_finish(options->fs, options->wal_dir, &layout) : err;
}

enum nx_err ing_open_shards(const struct ing_open_options *options, struct ing_open_shard *shards,
                            uint64_t *generation)
{
    struct ing_wal_layout layout;
    for (uint32_t i = 0; i < options->shards; i++)
        shards[i] = (struct ing_open_shard){0};
    enum nx_err err = options->fs->mkdir(options->fs, options->wal_dir);
    if (err == NX_OK)
        err = ing_wal_layout_find(options->fs, options->wal_dir, &layout);
    for (uint32_t i = 0; i < options->shards && err == NX_OK; i++) {
        struct ing_head *head;
        err = ing_head_new(&options->head, &head);
        if (err == NX_OK)
            ing_store_init(&shards[i].store, head, 1);
    }
    if (err != NX_OK)
        goto fail;
    bool same = layout.generation > 0 && layout.shards == options->shards &&
                layout.partitions == options->partitions && layout.shard_dirs <= options->shards;
    if (layout.generation > 0) {
        err = replay(options, &layout, same, shards);
        for (uint32_t i = 0; i < options->shards; i++)
            (void)ing_head_collect(shards[i].store.head, 0, UINT32_MAX, nx_now_ms(options->clock),
                                   true);
    }
    if (err == NX_OK && !same) {
        layout.generation++;
        err = write_generation(options, layout.generation, shards);
    }
    for (uint32_t i = 0; i < options->shards && err == NX_OK; i++) {
        shards[i].dir = ing_wal_shard_dir(options->wal_dir, layout.generation, false, i);
        err = shards[i].dir ? NX_OK : NX_ERR_NOMEM;
    }
    if (err != NX_OK)
        goto fail;
    *generation = layout.generation;
    return NX_OK;
fail:
    for (uint32_t i = 0; i < options->shards; i++) {
        if (!shards[i].store.head)
            continue;
        ing_store_release(&shards[i].store);
        ing_head_free(shards[i].store.head);
        nx_free(shards[i].dir);
    }
    return err;
}
