/* The heads are read before the blocks, as a select does it: what a flush moves meanwhile is seen
 * twice rather than not at all, and the merge counts it once. */
#include "ingester/repair/gather.h"

#include <string.h>

#include "common/base/alloc.h"
#include "ingester/tombstone/mask.h"

#define GROUP_SERIES 65536
#define SLICE_MAX_BYTES ((size_t)256 << 20)

struct piece {
    struct piece *next;
    struct nx_chunk chunk;
};

struct entry {
    struct nx_series_id id;
    struct piece *pieces;
    size_t count;
};

/* The series of one group. */
struct pile {
    struct nx_arena arena;
    struct nx_index index;
    struct entry *entries;
    size_t count;
    size_t capacity;
};

static bool entry_eq(uint32_t at, const void *key, const void *user)
{
    return nx_series_id_eq(((const struct pile *)user)->entries[at].id,
                           *(const struct nx_series_id *)key);
}

static enum nx_err pile_entry(struct pile *pile, struct nx_series_id id, struct entry **out)
{
    uint32_t at = nx_index_find(&pile->index, id.lo, entry_eq, &id, pile);
    if (at == NX_INDEX_NONE) {
        enum nx_err err =
            nx_grow(&pile->entries, &pile->capacity, pile->count + 1, sizeof *pile->entries);
        if (err == NX_OK)
            err = nx_index_insert(&pile->index, id.lo, (uint32_t)pile->count);
        if (err != NX_OK)
            return err;
        at = (uint32_t)pile->count++;
        pile->entries[at] = (struct entry){.id = id};
    }
    *out = &pile->entries[at];
    return NX_OK;
}

static enum nx_err pile_add(struct pile *pile, struct nx_series_id id, const struct nx_chunk *chunk,
                            bool copy)
{
    struct entry *entry;
    enum nx_err err = pile_entry(pile, id, &entry);
    struct piece *piece = nx_arena_alloc(&pile->arena, sizeof *piece);
    if (err != NX_OK || !piece)
        return err != NX_OK ? err : NX_ERR_NOMEM;
    *piece = (struct piece){.next = entry->pieces, .chunk = *chunk};
    if (copy)
        piece->chunk.data = nx_arena_copy(&pile->arena, chunk->data);
    if (!piece->chunk.data.ptr)
        return NX_ERR_NOMEM;
    entry->pieces = piece;
    entry->count++;
    return NX_OK;
}

/* --- on the lane --- */

static enum nx_err add_slices(struct ing_gather *gather, struct pile *pile)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < gather->slice_count; i++) {
        const struct ing_read_result *slice = &gather->slices[i];
        for (size_t j = 0; j < slice->count; j++)
            for (uint32_t k = 0; k < slice->items[j].chunks.count && err == NX_OK; k++) {
                struct nx_chunk chunk = ing_sealed_chunk(slice->items[j].chunks.items[k]);
                err = pile_add(pile, slice->items[j].id, &chunk, false);
            }
    }
    return err;
}

static enum nx_err add_block(struct ing_gather *gather, struct pile *pile, struct ing_block *block,
                             const struct ing_tombstone_list *tombstones)
{
    struct ing_partition_filter filter = gather->scan.filter;
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct nx_arena arena;
    enum nx_err err = ing_block_select(block, NULL, 0, gather->range, &iter);
    if (err != NX_OK)
        return err;
    bool masked = ing_mask_applies(tombstones, ing_block_meta(block));
    int rc = 0;
    nx_arena_init(&arena, 0);
    while (err == NX_OK && (rc = ing_block_iter_next(iter, &series)) == 1) {
        if (!ing_partition_wanted(&filter, series.id))
            continue;
        nx_arena_clear(&arena);
        if (masked)
            err = ing_mask_chunks(tombstones, ing_block_meta(block), series.labels, &arena,
                                  series.chunks, &series.chunk_count);
        for (size_t i = 0; i < series.chunk_count && err == NX_OK; i++)
            err = pile_add(pile, series.id, &series.chunks[i], true);
    }
    nx_arena_release(&arena);
    ing_block_iter_free(iter);
    return err == NX_OK ? (enum nx_err)rc : err;
}

static enum nx_err add_up(struct ing_gather *gather, const struct pile *pile)
{
    struct ing_digest_sum sum;
    struct nx_chunk *chunks = NULL;
    size_t capacity = 0;
    enum nx_err err = NX_OK;
    ing_digest_sum_init(&sum, &gather->out, gather->ing->deps.partitions);
    for (size_t i = 0; i < pile->count && err == NX_OK; i++) {
        const struct entry *entry = &pile->entries[i];
        size_t count = 0;
        err = nx_grow(&chunks, &capacity, entry->count + 1, sizeof *chunks);
        for (const struct piece *piece = entry->pieces; piece && err == NX_OK; piece = piece->next)
            chunks[count++] = piece->chunk;
        if (err == NX_OK)
            err = ing_digest_sum_chunks(&sum, entry->id, chunks, count, gather->range.min_t,
                                        gather->range.max_t);
    }
    nx_free(chunks);
    ing_digest_sum_release(&sum);
    return err;
}

static void drop_slices(struct ing_gather *gather)
{
    for (size_t i = 0; i < gather->slice_count; i++)
        ing_read_result_release(&gather->slices[i]);
    gather->slice_count = 0;
}

/* A block that is damaged has been reported; what it held is not there. */
static enum nx_err add_blocks(struct ing_gather *gather, struct pile *pile)
{
    struct ing_tombstone_list tombstones;
    struct ing_block_list blocks;
    struct nx_interval interval = {.min_t = gather->range.min_t, .max_t = gather->range.max_t};
    enum nx_err err =
        ing_tombstones_acquire(gather->ing->tombstones, gather->tenant, interval, &tombstones);
    if (err != NX_OK)
        return err;
    err = ing_block_set_acquire(gather->ing->blocks, gather->tenant, gather->range, &blocks);
    if (err == NX_OK) {
        for (size_t i = 0; i < blocks.count && err == NX_OK; i++) {
            err = add_block(gather, pile, blocks.blocks[i], &tombstones);
            err = err == NX_ERR_CORRUPT ? NX_OK : err;
        }
        ing_block_list_release(&blocks);
    }
    ing_tombstone_list_release(&tombstones);
    return err;
}

static void lane_run(struct nx_job *job)
{
    struct ing_gather *gather = NX_OWNER(struct ing_gather, job, job);
    struct pile pile = {.count = 0};
    nx_arena_init(&pile.arena, 0);
    nx_index_init(&pile.index);
    gather->err = add_slices(gather, &pile);
    if (gather->err == NX_OK)
        gather->err = add_blocks(gather, &pile);
    if (gather->err == NX_OK)
        gather->err = add_up(gather, &pile);
    nx_free(pile.entries);
    nx_index_release(&pile.index);
    nx_arena_release(&pile.arena);
    drop_slices(gather);
}

static enum nx_err keep_slice(struct ing_scan *scan, struct ing_read_result *slice)
{
    struct ing_gather *gather = NX_OWNER(struct ing_gather, scan, scan);
    enum nx_err err = nx_grow(&gather->slices, &gather->slice_capacity, gather->slice_count + 1,
                              sizeof *gather->slices);
    if (err != NX_OK)
        return err;
    gather->slices[gather->slice_count++] = *slice;
    ing_read_result_init(slice, slice->max_bytes);
    return NX_OK;
}

/* --- worker 0 --- */

static void next_group(struct ing_gather *gather);

static void lane_done(struct nx_job *job)
{
    struct ing_gather *gather = NX_OWNER(struct ing_gather, job, job);
    if (gather->err == NX_OK)
        next_group(gather);
    else
        gather->done(gather, gather->err);
}

static void scanned(struct ing_scan *scan, enum nx_err err)
{
    struct ing_gather *gather = NX_OWNER(struct ing_gather, scan, scan);
    gather->job = (struct nx_job){.run = lane_run, .done = lane_done};
    if (err == NX_OK)
        err = nx_lane_submit(gather->lane, &gather->job);
    if (err != NX_OK)
        gather->done(gather, err);
}

static void next_group(struct ing_gather *gather)
{
    uint32_t partitions = gather->ing->deps.partitions;
    size_t taken = 0;
    memset(gather->group, 0, (partitions + 7) / 8);
    for (; gather->next < partitions &&
           (taken == 0 || taken * gather->series_per_partition <= GROUP_SERIES);
         gather->next++) {
        if (!(gather->partitions[gather->next / 8] >> (gather->next % 8) & 1))
            continue;
        gather->group[gather->next / 8] |= (uint8_t)(1U << (gather->next % 8));
        taken++;
    }
    if (taken == 0) {
        gather->done(gather, NX_OK);
        return;
    }
    gather->scan = (struct ing_scan){
        .ing = gather->ing,
        .lane = gather->lane,
        .tenant = gather->tenant,
        .range = gather->range,
        .filter = {.partitions = partitions, .bits = gather->group},
        .max_bytes = SLICE_MAX_BYTES,
        .take = keep_slice,
        .done = scanned,
    };
    ing_scan_start(&gather->scan);
}

void ing_gather_start(struct ing_gather *gather)
{
    gather->next = 0;
    gather->group = nx_calloc((gather->ing->deps.partitions + 7) / 8, 1);
    if (!gather->group)
        gather->done(gather, NX_ERR_NOMEM);
    else
        next_group(gather);
}

void ing_gather_release(struct ing_gather *gather)
{
    drop_slices(gather);
    nx_free(gather->slices);
    nx_free(gather->group);
    ing_digest_table_release(&gather->out);
}
