/* First every shard cuts its log: whatever it logged of a target's windows before the cut is in
 * memory now, and so will be in the block, which says so ("segments before N"); what comes in while
 * the block is written lies behind the cut, whether or not it made it into the block. Then, target
 * by target and shard by shard, slices of series go from the shard's worker to the flush lane and
 * into the writer. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "ingester/block/block_writer.h"
#include "ingester/flush.h"

#define SLICE_SERIES 256u
#define LABELS_MAX 65536u
#define NICE 5 /* workers first; but a flush is to end, other than a compaction */

struct slice_item {
    struct ing_flush_item item;
    struct nx_view labels; /* encoded */
};

struct write {
    struct ing_flush_run *run;
    void (*next)(struct ing_flush_run *run, enum nx_err err);
    struct ing_fan cut;
    size_t target;
    uint32_t shard;
    /* of the target in the shard; made and freed on the shard's worker */
    roaring_bitmap_t *series;
    roaring_uint32_iterator_t it;
    bool shard_done;
    struct nx_task task;
    struct nx_job job;
    struct nx_arena arena; /* labels of the slice */
    struct slice_item items[SLICE_SERIES];
    size_t count;
    struct ing_block_position *positions;
};

static struct ing_flush_target *target_of(struct write *write)
{
    return &write->run->targets[write->target];
}

static void write_next(struct write *write);

/* --- on the shard --- */

static void cut_run(struct ing_fan_slot *slot)
{
    struct write *write = NX_OWNER(struct write, cut, slot->fan);
    struct ing_shard *shard = slot->shard;
    write->run->before[shard->index] = ing_log_cut(shard->log);
    ing_head_pin(shard->store.head);
    for (size_t i = 0; i < write->run->target_count; i++) {
        const struct ing_flush_target *target = &write->run->targets[i];
        uint32_t tenant = ing_head_tenant_find(shard->store.head, target->tenant);
        for (int64_t t = target->min_t; tenant != ING_REF_NONE && t < target->max_t;
             t += write->run->ing->rules.window_ms) {
            struct ing_window *window =
                ing_tenant_window(ing_head_tenant(shard->store.head, tenant), t);
            if (window)
                window->samples = 0;
        }
    }
    ing_fan_answer(slot, NX_OK);
}

static enum nx_err slice_add(struct write *write, struct ing_head *head, uint32_t ref,
                             struct nx_buf *scratch)
{
    struct ing_series *series = ing_head_series(head, ref);
    const struct ing_flush_target *target = target_of(write);
    struct slice_item *out = &write->items[write->count];
    *out = (struct slice_item){.item = {.id = series->id, .ref = ref}};
    enum nx_err err = ing_series_snapshot(&head->pool, series, target->min_t, target->max_t - 1,
                                          &out->item.chunks);
    if (err == NX_OK && !ing_sealed_list_is_empty(&out->item.chunks)) {
        nx_buf_clear(scratch);
        ing_head_encode_labels(head, series, scratch);
        err = nx_buf_err(scratch);
        if (err == NX_OK) {
            out->labels = nx_arena_copy(&write->arena, nx_buf_view(scratch));
            err = out->labels.ptr ? NX_OK : NX_ERR_NOMEM;
        }
    }
    if (err != NX_OK)
        ing_sealed_list_release(&out->item.chunks);
    else if (!ing_sealed_list_is_empty(&out->item.chunks))
        write->count++;
    return err;
}

static enum nx_err slice_take(struct write *write, struct ing_head *head)
{
    enum nx_err err = NX_OK;
    struct nx_buf scratch;
    nx_buf_init(&scratch, SIZE_MAX / 4);
    for (uint32_t seen = 0; seen < SLICE_SERIES && write->it.has_value && err == NX_OK; seen++) {
        uint32_t ref = write->it.current_value;
        roaring_advance_uint32_iterator(&write->it);
        if (ing_series_live(ing_head_series(head, ref)))
            err = slice_add(write, head, ref, &scratch);
    }
    nx_buf_release(&scratch);
    return err;
}

static void to_lane(struct write *write);

static void slice_run(struct nx_task *task)
{
    struct write *write = NX_OWNER(struct write, task, task);
    struct ing_head *head = write->run->ing->shards[write->shard].store.head;
    struct ing_flush_target *target = target_of(write);
    write->count = 0;
    if (!write->series) {
        uint32_t tenant = ing_head_tenant_find(head, target->tenant);
        write->series = tenant == ING_REF_NONE
                            ? roaring_bitmap_create()
                            : roaring_bitmap_copy(ing_head_tenant(head, tenant)->postings.all);
        if (write->series)
            roaring_init_iterator(write->series, &write->it);
        else
            target->err = NX_ERR_NOMEM;
    }
    if (target->err == NX_OK)
        target->err = slice_take(write, head);
    write->shard_done = target->err != NX_OK || !write->it.has_value;
    if (write->shard_done && write->series) {
        roaring_bitmap_free(write->series);
        write->series = NULL;
    }
    to_lane(write);
}

/* --- on the lane --- */

static enum nx_err writer_open(struct write *write, struct ing_flush_target *target)
{
    struct ingester *ing = write->run->ing;
    struct nx_rand rand;
    char name[ING_BLOCK_NAME_MAX];
    char *dir;
    nx_rand_system(&rand);
    (void)snprintf(name, sizeof name, "%" PRId64 "-%" PRId64 "-%016" PRIx64, target->min_t,
                   target->max_t, nx_rand_u64(&rand));
    for (uint32_t i = 0; i < ing->shard_count; i++)
        write->positions[i] =
            (struct ing_block_position){.shard = i, .before = write->run->before[i]};
    struct ing_block_meta meta = {.tenant = target->tenant,
                                  .min_t = target->min_t,
                                  .max_t = target->max_t,
                                  .created_ms = nx_now_ms(ing->deps.clock),
                                  .generation = ing->generation,
                                  .deletions = write->run->deletions,
                                  .positions = write->positions,
                                  .position_count = ing->shard_count};
    enum nx_err err = ing_block_set_tenant_dir(ing->blocks, target->tenant, &dir);
    if (err != NX_OK)
        return err;
    err = ing_block_writer_new(ing->deps.fs, dir, name, &meta, &target->writer);
    nx_free(dir);
    if (err == NX_OK)
        ing_block_writer_slow(target->writer, &write->run->pace);
    return err;
}

static enum nx_err writer_add(struct ing_flush_target *target, struct slice_item *item,
                              struct nx_arena *arena)
{
    struct nx_cursor cur = nx_cursor_of(item->labels);
    struct nx_labels labels;
    enum nx_err err = nx_labels_decode(&cur, arena, LABELS_MAX, &labels);
    if (err == NX_OK)
        err = ing_sealed_list_load(&item->item.chunks, target->min_t, target->max_t - 1);
    if (err != NX_OK)
        return err;
    size_t count = item->item.chunks.count;
    if (count == 0)
        return NX_OK; /* all that is in files lies elsewhere in time */
    struct nx_chunk *chunks = nx_arena_array(arena, count, sizeof *chunks);
    if (!chunks)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        chunks[i] = ing_sealed_chunk(item->item.chunks.items[i]);
        target->chunk_bytes += chunks[i].data.len;
    }
    err = ing_block_writer_add(target->writer, item->item.id, labels, chunks, count);
    ing_sealed_list_unload(&item->item.chunks);
    return err;
}

/* What went into the block is kept for the drop; the rest of the slice is let go. */
static enum nx_err write_slice(struct write *write, struct ing_flush_target *target)
{
    struct ing_flush_kept *kept = &target->kept[write->shard];
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    enum nx_err err = target->err;
    if (err == NX_OK && write->count > 0 && !target->writer)
        err = writer_open(write, target);
    if (err == NX_OK)
        err =
            nx_grow(&kept->items, &kept->capacity, kept->count + write->count, sizeof *kept->items);
    for (size_t i = 0; i < write->count; i++) {
        nx_arena_clear(&arena);
        if (err == NX_OK)
            err = writer_add(target, &write->items[i], &arena);
        if (err == NX_OK)
            kept->items[kept->count++] = write->items[i].item;
        else
            ing_sealed_list_release(&write->items[i].item.chunks);
    }
    nx_arena_release(&arena);
    return err;
}

static enum nx_err finish_block(struct write *write, struct ing_flush_target *target)
{
    struct ingester *ing = write->run->ing;
    struct nx_fail fail = {.code = NX_OK};
    if (!target->writer)
        return NX_OK; /* an empty window */
    enum nx_err err = ing_block_writer_finish(target->writer);
    if (err != NX_OK)
        return err;
    err = ing_block_open(ing_block_writer_path(target->writer), &target->block, &fail);
    if (err != NX_OK) {
        nx_log(ing->deps.log, NX_LOG_ERROR, "written block cannot be read",
               NX_S("why", nx_fail_text(&fail)));
        return err;
    }
    err = ing_block_set_add(ing->blocks, target->block);
    if (err != NX_OK) {
        ing_block_drop(target->block);
        target->block = NULL;
        return err;
    }
    nx_metric_inc(ing->metrics, ING_M_BLOCKS_WRITTEN);
    nx_metric_add(ing->metrics, ING_M_FLUSHED_CHUNK_BYTES, 0, (double)target->chunk_bytes);
    return NX_OK;
}

static void lane_run(struct nx_job *job)
{
    struct write *write = NX_OWNER(struct write, job, job);
    struct ing_flush_target *target = target_of(write);
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICE);
    target->err = write_slice(write, target);
    bool last = write->shard_done && write->shard + 1 == write->run->ing->shard_count;
    if (target->err == NX_OK && last)
        target->err = finish_block(write, target);
    if (target->err != NX_OK || last) {
        ing_block_writer_free(target->writer);
        target->writer = NULL;
    }
}

/* --- worker 0 --- */

static void lane_done(struct nx_job *job)
{
    struct write *write = NX_OWNER(struct write, job, job);
    const struct ing_flush_target *target = target_of(write);
    nx_arena_clear(&write->arena);
    if (target->err != NX_OK) {
        if (write->series)
            roaring_bitmap_free(write->series);
        write->series = NULL;
        nx_log(write->run->ing->deps.log, NX_LOG_ERROR,
               "block not written: its samples stay in memory", NX_V("tenant", target->tenant),
               NX_I("min_t", target->min_t), NX_I("max_t", target->max_t), NX_E(target->err));
        write->target++;
        write->shard = 0;
    } else if (write->shard_done && ++write->shard == write->run->ing->shard_count) {
        write->target++;
        write->shard = 0;
    }
    write_next(write);
}

static void submit(struct nx_task *task)
{
    struct write *write = NX_OWNER(struct write, task, task);
    write->job = (struct nx_job){.run = lane_run, .done = lane_done};
    enum nx_err err = nx_lane_submit(write->run->ing->flush_lane, &write->job);
    if (err != NX_OK) {
        target_of(write)->err = err;
        lane_run(&write->job);
        lane_done(&write->job);
    }
}

static void to_lane(struct write *write)
{
    write->task.run = submit;
    nx_worker_reply(nx_workers_at(write->run->ing->deps.workers, 0), &write->task);
}

static void write_end(struct write *write, enum nx_err err)
{
    struct ing_flush_run *run = write->run;
    void (*next)(struct ing_flush_run *, enum nx_err) = write->next;
    nx_arena_release(&write->arena);
    nx_free(write->positions);
    nx_free(write->cut.slots);
    nx_free(write);
    next(run, err);
}

static void write_next(struct write *write)
{
    if (write->run->stopping && write->shard == 0 && !write->series)
        for (; write->target < write->run->target_count; write->target++)
            target_of(write)->err = NX_ERR_CLOSED;
    if (write->target == write->run->target_count) {
        write_end(write, NX_OK);
        return;
    }
    write->task.run = slice_run;
    nx_worker_reply(write->run->ing->shards[write->shard].worker, &write->task);
}

static void cut_done(struct ing_fan *fan)
{
    struct write *write = NX_OWNER(struct write, cut, fan);
    write->run->cut = true;
    write_next(write);
}

enum nx_err ing_flush_write(struct ing_flush_run *run,
                            void (*next)(struct ing_flush_run *run, enum nx_err err))
{
    struct write *write = nx_calloc(1, sizeof *write);
    if (!write)
        return NX_ERR_NOMEM;
    write->run = run;
    write->next = next;
    nx_arena_init(&write->arena, 0);
    write->positions = nx_calloc(run->ing->shard_count, sizeof *write->positions);
    write->cut.slots = nx_calloc(run->ing->shard_count, sizeof *write->cut.slots);
    if (!write->positions || !write->cut.slots) {
        nx_free(write->positions);
        nx_free(write->cut.slots);
        nx_free(write);
        return NX_ERR_NOMEM;
    }
    write->cut.ing = run->ing;
    write->cut.home = nx_workers_at(run->ing->deps.workers, 0);
    write->cut.run = cut_run;
    write->cut.done = cut_done;
    write->cut.urgent = true;
    ing_fan_start(&write->cut);
    return NX_OK;
}
