/* Each shard's thread reads that shard's log. Where the log was written by another number of shards
 * or partitions, each reads all of it and takes what is its own now; what the shards hold is then
 * written into a new generation, so that each has a log of its own again. */
#include "ingester/open.h"

#include <stdio.h>

#include "common/base/alloc.h"
#include "ingester/metrics.h"
#include "ingester/wal/coverage.h"
#include "ingester/wal/replay.h"

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

struct replaying {
    const struct ing_open_options *options;
    const struct ing_wal_layout *layout;
    bool same; /* number of shards and partitions as when the log was written */
    struct ing_coverage coverage;
    struct ing_open_shard *shards;
    struct ing_replay_stats *stats; /* one a shard */
};

static enum nx_err replay_dir(const struct replaying *all, struct ing_replay *replay, uint32_t dir)
{
    const struct ing_open_options *options = all->options;
    struct ing_open_shard *shard = &all->shards[replay->number];
    char *path = ing_wal_shard_dir(options->wal_dir, all->layout->generation, false, dir);
    uint64_t next_segment = 0;
    enum nx_err err = path ? ing_replay_dir(replay, path, dir,
                                            all->same ? &shard->store.book : NULL, &next_segment)
                           : NX_ERR_NOMEM;
    nx_free(path);
    if (err == NX_OK && all->same) {
        shard->next_segment = next_segment;
        shard->first_segment = replay->first_segment;
        shard->store.next_log_ref = ing_first_log_ref(next_segment);
    }
    return err;
}

static enum nx_err replay_shard(void *user, uint32_t number)
{
    struct replaying *all = user;
    const struct ing_open_options *options = all->options;
    struct ing_head *head = all->shards[number].store.head;
    int64_t out_of_order_ms = head->options.rules.out_of_order_ms;
    struct ing_replay replay = {.head = head,
                                .number = number,
                                .heads = options->shards,
                                .partitions = options->partitions,
                                .reports = all->same || number == 0,
                                .cuts = all->same,
                                .coverage = &all->coverage,
                                .fs = options->fs,
                                .clock = options->clock,
                                .log = options->log,
                                .progress = options->progress};
    enum nx_err err = NX_OK;
    /* what is in the log was let in; a push's histograms are logged behind its floats */
    head->options.rules.out_of_order_ms = 2 * ING_TIME_LIMIT;
    if (all->same)
        err = replay_dir(all, &replay, number);
    for (uint32_t dir = 0; !all->same && dir < all->layout->shard_dirs && err == NX_OK; dir++)
        err = replay_dir(all, &replay, dir);
    head->options.rules.out_of_order_ms = out_of_order_ms;
    if (err == NX_OK)
        (void)ing_head_collect(head, 0, UINT32_MAX, nx_now_ms(options->clock), true);
    all->stats[number] = replay.stats;
    return err;
}

/* The parts' sum; what several saw of the same files is in the first one's only. */
static struct ing_replay_stats add_up(const struct replaying *all)
{
    struct ing_replay_stats sum = {0};
    for (uint32_t i = 0; i < all->options->shards; i++) {
        const struct ing_replay_stats *part = &all->stats[i];
        sum.files += part->files;
        sum.bytes += part->bytes;
        sum.samples += part->samples;
        sum.covered += part->covered;
        sum.refused += part->refused;
        sum.damaged_spots += part->damaged_spots;
        sum.damaged_bytes += part->damaged_bytes;
        sum.torn_bytes += part->torn_bytes;
        if (all->same || i == 0)
            sum.lost += part->lost;
    }
    return sum;
}

/* What the damaged bytes may have held, going by what the others do. */
static uint64_t guess_samples(const struct ing_replay_stats *stats)
{
    uint64_t read = stats->bytes > stats->damaged_bytes ? stats->bytes - stats->damaged_bytes : 1;
    double per_byte = (double)(stats->samples + stats->covered) / (double)read;
    return (uint64_t)((double)stats->damaged_bytes * per_byte + 0.5);
}

static void report_damage(const struct ing_open_options *options,
                          const struct ing_replay_stats *stats)
{
    if (stats->damaged_spots == 0 && stats->lost == 0)
        return;
    nx_log(options->log, NX_LOG_ERROR,
           "samples that were acknowledged are missing here: the log is damaged. Other replicas "
           "answer for them; with ring.replication-factor=1 they are gone",
           NX_I("unreadable_spots", stats->damaged_spots),
           NX_I("unreadable_bytes", stats->damaged_bytes),
           NX_I("samples_in_them_about", guess_samples(stats)),
           NX_I("samples_of_unknown_series", stats->lost));
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
    report_damage(options, stats);
}

static uint64_t log_size(const struct ing_open_options *options,
                         const struct ing_wal_layout *layout)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < layout->shard_dirs; i++) {
        char *path = ing_wal_shard_dir(options->wal_dir, layout->generation, false, i);
        total += path ? ing_replay_size(path) : 0;
        nx_free(path);
    }
    return total;
}

/* Damage lies among what is in the log: it is as old as the oldest sample that came back, or, where
 * none did, as what a log holds at most. */
static struct ing_log_loss loss_of(const struct ing_open_options *options,
                                   const struct ing_replay_stats *stats,
                                   const struct ing_open_shard *shards)
{
    struct ing_log_loss loss = {0};
    uint64_t damaged = guess_samples(stats);
    if (stats->damaged_spots == 0 && stats->lost == 0)
        return loss;
    loss.noticed_ms = nx_now_ms(options->clock);
    loss.samples = damaged + stats->lost > 0 ? damaged + stats->lost : 1;
    loss.min_t =
        loss.noticed_ms - options->head.rules.window_ms * 2 - options->head.rules.out_of_order_ms;
    loss.max_t = loss.noticed_ms;
    for (uint32_t i = 0; i < options->shards; i++) {
        const struct ing_head *head = shards[i].store.head;
        for (uint32_t number = 0; number < head->tenant_count; number++) {
            const struct ing_tenant *tenant = ing_head_tenant(head, number);
            for (size_t w = 0; w < tenant->window_count; w++)
                if (tenant->windows[w].oldest_t < loss.min_t)
                    loss.min_t = tenant->windows[w].oldest_t;
            if (tenant->window_count > 0 && tenant->newest_t > loss.max_t)
                loss.max_t = tenant->newest_t;
        }
    }
    return loss;
}

static enum nx_err replay(const struct ing_open_options *options,
                          const struct ing_wal_layout *layout, bool same,
                          struct ing_open_shard *shards, struct ing_log_loss *loss)
{
    struct replaying all = {.options = options, .layout = layout, .same = same, .shards = shards};
    uint64_t began_ns = nx_now_ns(options->clock);
    ing_coverage_init(&all.coverage);
    all.stats = nx_calloc(options->shards, sizeof *all.stats);
    enum nx_err err = all.stats ? cover(options, layout->generation, &all.coverage) : NX_ERR_NOMEM;
    if (err == NX_OK) {
        if (options->progress)
            atomic_store(&options->progress->total_bytes, log_size(options, layout));
        err = ing_open_each(options, ING_PHASE_LOG, replay_shard, &all);
    }
    if (err == NX_OK) {
        struct ing_replay_stats sum = add_up(&all);
        report(options, &sum, began_ns);
        *loss = loss_of(options, &sum, shards);
    }
    ing_coverage_release(&all.coverage);
    nx_free(all.stats);
    return err;
}

/* With chunk files in a directory of the shard's own. */
static enum nx_err new_store(const struct ing_open_options *options, uint32_t number,
                             struct ing_store *out)
{
    char name[16];
    (void)snprintf(name, sizeof name, "%u", number);
    struct ing_head_options head_options = options->head;
    char *dir = options->chunks_dir ? nx_path_join(options->chunks_dir, name) : NULL;
    if (options->chunks_dir && !dir)
        return NX_ERR_NOMEM;
    head_options.chunks.fs = options->fs;
    head_options.chunks.clock = options->clock;
    head_options.chunks.dir = dir;
    head_options.chunks.log = options->log;
    head_options.chunks.metrics = options->metrics;
    struct ing_head *head;
    enum nx_err err = ing_head_new(&head_options, &head);
    nx_free(dir);
    if (err == NX_OK)
        ing_store_init(out, head, 1);
    return err;
}

enum nx_err ing_open_shards(const struct ing_open_options *options, struct ing_open_shard *shards,
                            uint64_t *generation, struct ing_log_loss *loss)
{
    struct ing_wal_layout layout;
    *loss = (struct ing_log_loss){0};
    for (uint32_t i = 0; i < options->shards; i++)
        shards[i] = (struct ing_open_shard){0};
    enum nx_err err = options->fs->mkdir(options->fs, options->wal_dir);
    if (err == NX_OK)
        err = ing_wal_layout_find(options->fs, options->wal_dir, &layout);
    for (uint32_t i = 0; i < options->shards && err == NX_OK; i++) {
        err = new_store(options, i, &shards[i].store);
    }
    if (err != NX_OK)
        goto fail;
    bool same = layout.generation > 0 && layout.shards == options->shards &&
                layout.partitions == options->partitions && layout.shard_dirs <= options->shards;
    if (layout.generation > 0)
        err = replay(options, &layout, same, shards, loss);
    if (err == NX_OK && !same) {
        layout.generation++;
        err = ing_open_dump(options, layout.generation, shards);
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
