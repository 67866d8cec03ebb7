/* Deletions: what the peer knows to be deleted it does not send. What this node knows to be deleted
 * and the peer does not is taken out here, as far as it was written before the deletion was made;
 * the block then says that no deletion that was known when it was begun need be looked at again. */
#include <inttypes.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "ingester/block/block_writer.h"
#include "ingester/repair/pull_internal.h"

#define LABELS_MAX 65536u

struct write {
    struct ing_pull *pull;
    const struct ing_pull_unit *unit;
    struct ing_tombstone_list tombstones; /* those the peer has not told of */
    struct nx_arena arena;                /* of one series */
};

/* --- the block --- */

static enum nx_err writer_open(struct ing_pull *pull, const struct ing_pull_unit *unit)
{
    struct ingester *ing = pull->ing;
    struct nx_rand rand;
    char name[ING_BLOCK_NAME_MAX];
    char *dir;
    nx_rand_system(&rand);
    (void)snprintf(name, sizeof name, "%" PRId64 "-%" PRId64 "-%016" PRIx64, unit->span_min,
                   unit->span_max, nx_rand_u64(&rand));
    struct ing_block_meta meta = {.tenant = unit->diff->tenant,
                                  .min_t = unit->span_min,
                                  .max_t = unit->span_max,
                                  .created_ms = nx_now_ms(ing->deps.clock),
                                  .generation = ing->generation,
                                  .deletions = pull->deletions};
    enum nx_err err = ing_block_set_tenant_dir(ing->blocks, unit->diff->tenant, &dir);
    if (err != NX_OK)
        return err;
    err = ing_block_writer_new(ing->deps.fs, dir, name, &meta, &pull->writer);
    nx_free(dir);
    return err;
}

static enum nx_err publish_block(struct ing_pull *pull)
{
    struct ingester *ing = pull->ing;
    struct ing_block *block;
    enum nx_err err = ing_block_writer_finish(pull->writer);
    if (err == NX_OK)
        err = ing_block_open(ing_block_writer_path(pull->writer), &block, &pull->fail);
    if (err != NX_OK)
        return err;
    pull->samples += ing_block_meta(block)->samples;
    err = ing_block_set_add(ing->blocks, block);
    if (err != NX_OK)
        ing_block_drop(block);
    else
        pull->blocks++;
    return err;
}

enum nx_err ing_pull_publish(struct ing_pull *pull)
{
    if (!pull->writer)
        return NX_OK;
    enum nx_err err = publish_block(pull);
    ing_block_writer_free(pull->writer);
    pull->writer = NULL;
    return err;
}

/* --- deletions --- */

static bool peer_knows(const Narthex__SelectFrame *frame, const struct ing_tombstone *tombstone)
{
    for (size_t i = 0; frame && i < frame->n_deletions; i++) {
        const ProtobufCBinaryData *bytes = &frame->deletions[i]->id;
        struct nx_cursor id = nx_cursor_of(nx_view_make(bytes->data, bytes->len));
        uint64_t hi = nx_cursor_u64(&id);
        uint64_t lo = nx_cursor_u64(&id);
        if (hi == tombstone->id.hi && lo == tombstone->id.lo)
            return true;
    }
    return false;
}

static enum nx_err find_deletions(struct write *write, const Narthex__SelectFrame *first)
{
    struct nx_interval range = {.min_t = write->unit->min_t, .max_t = write->unit->max_t};
    struct ing_tombstone_list *list = &write->tombstones;
    enum nx_err err = ing_tombstones_acquire(write->pull->ing->tombstones,
                                             write->unit->diff->tenant, range, list);
    size_t kept = 0;
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < list->count; i++) {
        struct ing_tombstone *item = list->items[i];
        if (item->number > write->pull->deletions || peer_knows(first, item))
            ing_tombstone_drop(item);
        else
            list->items[kept++] = item;
    }
    list->count = kept;
    return NX_OK;
}

/* What must not come in: outside the range, and deleted here. */
static enum nx_err find_cuts(struct write *write, struct nx_labels labels, struct nx_interval **out,
                             size_t *count)
{
    const struct ing_tombstone_list *list = &write->tombstones;
    struct nx_interval *cuts = nx_arena_array(&write->arena, list->count + 2, sizeof *cuts);
    size_t found = 0;
    if (!cuts)
        return NX_ERR_NOMEM;
    cuts[found++] = (struct nx_interval){.min_t = INT64_MIN, .max_t = write->unit->min_t - 1};
    cuts[found++] = (struct nx_interval){.min_t = write->unit->max_t + 1, .max_t = INT64_MAX};
    for (size_t i = 0; i < list->count; i++) {
        const struct ing_tombstone *item = list->items[i];
        if (!nx_matchers_match(item->matchers, item->matcher_count, labels))
            continue;
        cuts[found] = item->range;
        if (cuts[found].max_t > item->created_ms)
            cuts[found].max_t = item->created_ms;
        found += cuts[found].min_t <= cuts[found].max_t;
    }
    *out = cuts;
    *count = found;
    return NX_OK;
}

/* --- series --- */

static enum nx_err read_chunk(struct write *write, const Narthex__SelectChunk *message,
                              const struct nx_interval *cuts, size_t cut_count,
                              struct nx_chunk *out)
{
    if (!nx_chunk_encoding_is_known(message->encoding) || message->count > NX_CHUNK_MAX_SAMPLES ||
        message->data.len > NX_CHUNK_MAX_BYTES || message->min_t > message->max_t)
        return NX_ERR_CORRUPT;
    struct nx_chunk chunk = {.encoding = (enum nx_chunk_encoding)message->encoding,
                             .count = message->count,
                             .min_t = message->min_t,
                             .max_t = message->max_t,
                             .data = nx_view_make(message->data.data, message->data.len)};
    return nx_chunk_cut(&chunk, cuts, cut_count, &write->arena, out);
}

static enum nx_err add_series(struct write *write, const Narthex__SelectSeries *series)
{
    struct ing_pull *pull = write->pull;
    const struct ing_pull_unit *unit = write->unit;
    struct nx_labels labels;
    struct nx_interval *cuts;
    size_t cut_count, count = 0;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(series->labels.data, series->labels.len));
    enum nx_err err = nx_labels_decode(&cur, &write->arena, LABELS_MAX, &labels);
    if (err != NX_OK)
        return err == NX_ERR_NOMEM ? err : NX_ERR_CORRUPT;
    struct nx_series_id id = nx_series_id_of(unit->diff->tenant, labels);
    struct ing_partition_filter filter = {.partitions = pull->ing->deps.partitions,
                                          .bits = unit->partitions};
    if (!ing_partition_wanted(&filter, id))
        return NX_ERR_CORRUPT;
    struct nx_chunk *chunks = nx_arena_array(&write->arena, series->n_chunks + 1, sizeof *chunks);
    if (!chunks)
        return NX_ERR_NOMEM;
    err = find_cuts(write, labels, &cuts, &cut_count);
    for (size_t i = 0; i < series->n_chunks && err == NX_OK; i++) {
        err = read_chunk(write, series->chunks[i], cuts, cut_count, &chunks[count]);
        count += err == NX_OK && chunks[count].count > 0;
    }
    if (err != NX_OK || count == 0)
        return err;
    if (!pull->writer)
        err = writer_open(pull, unit);
    return err == NX_OK ? ing_block_writer_add(pull->writer, id, labels, chunks, count) : err;
}

static enum nx_err add_frame(struct write *write, const struct ing_pull_frame *bytes, bool first)
{
    struct ing_pb pb;
    ing_pb_init(&pb);
    const Narthex__SelectFrame *frame =
        narthex__select_frame__unpack(&pb.allocator, bytes->len, (const uint8_t *)bytes->bytes);
    enum nx_err err = frame ? NX_OK : NX_ERR_CORRUPT;
    if (err == NX_OK && first)
        err = find_deletions(write, frame);
    for (size_t i = 0; err == NX_OK && i < frame->n_series; i++) {
        nx_arena_clear(&write->arena);
        err = add_series(write, frame->series[i]);
    }
    ing_pb_release(&pb);
    return err;
}

enum nx_err ing_pull_write(struct ing_pull *pull)
{
    struct write write = {.pull = pull, .unit = &pull->units[pull->at]};
    enum nx_err err = NX_OK;
    nx_arena_init(&write.arena, 0);
    for (const struct ing_pull_frame *frame = pull->frames; frame && err == NX_OK;
         frame = frame->next)
        err = add_frame(&write, frame, frame == pull->frames);
    nx_arena_release(&write.arena);
    ing_tombstone_list_release(&write.tombstones);
    ing_pull_drop_frames(pull);
    return err;
}
