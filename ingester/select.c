/* The shards answer first, the blocks are acquired only then: a flush publishes its block before
 * the heads drop what is in it, so every sample is seen in one of the two places (or in both, which
 * readers merge). What was found is gathered by series on the read lane, where page faults hurt
 * nobody, and goes out as frames, a few at a time, each round beginning when the connection has
 * taken the one before. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "ingester/ingester_internal.h"
#include "ingester/tombstone/mask.h"

#define SLICE_SERIES 1024
#define FRAME_BYTES ((size_t)256 << 10)
#define FRAMES_A_ROUND 4
#define FRAME_SERIES_MAX 4096

struct select_part {
    struct ing_read_cursor cursor;
    struct ing_read_result result;
    bool begun;
};

struct chunk_run {
    struct chunk_run *next;
    const struct nx_chunk *chunks;  /* a block's; NULL: a head's */
    struct ing_sealed_list *sealed; /* loaded while a frame is built of it */
    size_t count;
};

struct entry {
    struct nx_series_id id;
    struct nx_view labels; /* encoded */
    struct chunk_run *runs;
};

struct select {
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct ing_pb pb;
    const Narthex__SelectRequest *request;
    struct nx_matcher *matchers;
    size_t matcher_count;
    struct ing_range range;
    struct ing_partition_filter filter;
    struct ing_fan fan;
    struct select_part *parts;
    struct ing_tombstone_list tombstones; /* of the tenant in the range */
    struct ing_block_list blocks;
    uint64_t began_ns;
    atomic_bool canceled;
    /* on the read lane, or between its jobs */
    struct nx_job job;
    struct nx_arena arena;
    struct nx_index index;
    struct entry *entries;
    size_t entry_count;
    size_t entry_capacity;
    bool collected;
    bool told; /* of the deletions, in the first frame */
    size_t next_entry;
    uint64_t chunk_bytes;
    struct nx_buf frames[FRAMES_A_ROUND];
    size_t frame_count;
    struct nx_fail fail;
    enum nx_err err;
    /* on the home worker */
    bool streaming;
    bool waiting; /* for drained */
    size_t next_frame;
};

static void select_free(struct select *select)
{
    struct ingester *ing = select->ing;
    for (uint32_t i = 0; select->parts && i < ing->shard_count; i++)
        ing_read_result_release(&select->parts[i].result);
    for (size_t i = 0; i < FRAMES_A_ROUND; i++)
        nx_buf_release(&select->frames[i]);
    ing_block_list_release(&select->blocks);
    ing_tombstone_list_release(&select->tombstones);
    ing_matchers_release(select->matchers, select->matcher_count);
    nx_index_release(&select->index);
    nx_free(select->entries);
    nx_arena_release(&select->arena);
    ing_pb_release(&select->pb);
    nx_free(select);
    ing_leave(ing);
}

static void select_end(struct select *select, enum nx_err err)
{
    struct ingester *ing = select->ing;
    double seconds = (double)(nx_now_ns(ing->deps.clock) - select->began_ns) / 1e9;
    nx_metric_observe(ing->metrics, ING_M_SELECT_SECONDS, 0, seconds);
    if (err != NX_OK) {
        const char *text =
            select->fail.code != NX_OK ? nx_fail_text(&select->fail) : nx_err_text(err);
        nx_metric_inc(ing->metrics, ING_M_SELECT_ERRORS);
        if (select->streaming)
            nx_rpc_stream_fail(select->req, err, text);
        else
            nx_rpc_reply_error(select->req, err, text);
    } else {
        nx_rpc_stream_end(select->req);
    }
    select_free(select);
}

/* --- the heads --- */

static void part_run(struct ing_fan_slot *slot)
{
    struct select *select = NX_OWNER(struct select, fan, slot->fan);
    struct select_part *part = &select->parts[slot->shard->index];
    enum nx_err err = atomic_load(&select->canceled) ? NX_ERR_CANCELED : NX_OK;
    if (err == NX_OK && !part->begun) {
        part->begun = true;
        err = ing_read_begin(&part->cursor, slot->shard->store.head,
                             nx_view_of(select->request->tenant), select->matchers,
                             select->matcher_count, select->range);
        part->cursor.filter = select->filter;
    }
    int more = err;
    if (err == NX_OK)
        more = ing_read_step(&part->cursor, select->range, select->request->labels_only,
                             SLICE_SERIES, &part->result);
    if (more == 1) {
        ing_fan_again(slot);
        return;
    }
    if (part->begun)
        ing_read_end(&part->cursor);
    ing_fan_answer(slot, (enum nx_err)more);
}

/* --- gathering, on the lane --- */

static bool entry_eq(uint32_t at, const void *key, const void *user)
{
    return nx_series_id_eq(((const struct select *)user)->entries[at].id,
                           *(const struct nx_series_id *)key);
}

static enum nx_err arena_err(const struct nx_arena *arena)
{
    return nx_arena_over(arena) ? NX_ERR_LIMIT : NX_ERR_NOMEM;
}

static enum nx_err entry_add(struct select *select, struct nx_series_id id, struct nx_view labels,
                             uint32_t *out)
{
    enum nx_err err = nx_grow(&select->entries, &select->entry_capacity, select->entry_count + 1,
                              sizeof *select->entries);
    if (err == NX_OK)
        err = nx_index_insert(&select->index, id.lo, (uint32_t)select->entry_count);
    if (err != NX_OK)
        return err;
    *out = (uint32_t)select->entry_count;
    select->entries[select->entry_count++] = (struct entry){.id = id, .labels = labels};
    return NX_OK;
}

static enum nx_err run_add(struct select *select, uint32_t entry, const struct chunk_run *run)
{
    struct chunk_run *copy = nx_arena_alloc(&select->arena, sizeof *copy);
    if (!copy)
        return arena_err(&select->arena);
    *copy = *run;
    copy->next = select->entries[entry].runs;
    select->entries[entry].runs = copy;
    return NX_OK;
}

static enum nx_err collect_heads(struct select *select)
{
    for (uint32_t i = 0; i < select->ing->shard_count; i++) {
        struct ing_read_result *result = &select->parts[i].result;
        for (size_t j = 0; j < result->count; j++) {
            struct ing_read_series *series = &result->items[j];
            uint32_t entry;
            enum nx_err err = entry_add(select, series->id, series->labels, &entry);
            if (err == NX_OK && !ing_sealed_list_is_empty(&series->chunks)) {
                struct chunk_run run = {.sealed = &series->chunks};
                err = run_add(select, entry, &run);
            }
            if (err != NX_OK)
                return err;
        }
    }
    return NX_OK;
}

static enum nx_err collect_series(struct select *select, const struct ing_block_series *series,
                                  struct nx_buf *scratch)
{
    uint32_t entry = nx_index_find(&select->index, series->id.lo, entry_eq, &series->id, select);
    if (entry == NX_INDEX_NONE) {
        nx_buf_clear(scratch);
        nx_labels_encode(scratch, series->labels);
        enum nx_err err = nx_buf_err(scratch);
        if (err != NX_OK)
            return err;
        struct nx_view labels = nx_arena_copy(&select->arena, nx_buf_view(scratch));
        if (!labels.ptr)
            return arena_err(&select->arena);
        err = entry_add(select, series->id, labels, &entry);
        if (err != NX_OK)
            return err;
    }
    if (select->request->labels_only)
        return NX_OK;
    struct nx_chunk *chunks = nx_arena_array(&select->arena, series->chunk_count, sizeof *chunks);
    if (!chunks)
        return arena_err(&select->arena);
    for (size_t i = 0; i < series->chunk_count; i++) {
        chunks[i] = series->chunks[i];
        chunks[i].data = nx_arena_copy(&select->arena, series->chunks[i].data);
        if (!chunks[i].data.ptr)
            return arena_err(&select->arena);
    }
    struct chunk_run run = {.chunks = chunks, .count = series->chunk_count};
    return run_add(select, entry, &run);
}

static enum nx_err collect_block(struct select *select, struct ing_block *block,
                                 struct nx_buf *scratch)
{
    struct ing_block_iter *iter;
    struct ing_block_series series;
    enum nx_err err =
        ing_block_select(block, select->matchers, select->matcher_count, select->range, &iter);
    if (err == NX_OK) {
        int rc;
        bool masked = ing_mask_applies(&select->tombstones, ing_block_meta(block));
        while ((rc = ing_block_iter_next(iter, &series)) == 1 && err == NX_OK) {
            if (masked)
                err = ing_mask_chunks(&select->tombstones, ing_block_meta(block), series.labels,
                                      &select->arena, series.chunks, &series.chunk_count);
            if (atomic_load(&select->canceled))
                err = NX_ERR_CANCELED;
            if (err == NX_OK && series.chunk_count > 0 &&
                ing_partition_wanted(&select->filter, series.id))
                err = collect_series(select, &series, scratch);
        }
        if (err == NX_OK)
            err = (enum nx_err)rc;
        ing_block_iter_free(iter);
    }
    if (err == NX_ERR_CORRUPT) {
        ing_block_set_report(select->ing->blocks, block, err);
        nx_fail_set(&select->fail, err, "damaged block %s", ing_block_dir(block));
    }
    return err;
}

static enum nx_err collect(struct select *select)
{
    enum nx_err err = collect_heads(select);
    struct nx_buf scratch;
    nx_buf_init(&scratch, SIZE_MAX / 4);
    for (size_t i = 0; i < select->blocks.count && err == NX_OK; i++)
        err = collect_block(select, select->blocks.blocks[i], &scratch);
    nx_buf_release(&scratch);
    if (select->request->limit > 0 && select->entry_count > select->request->limit)
        select->entry_count = (size_t)select->request->limit;
    return err;
}

/* --- frames, on the lane --- */

/* The messages of one frame, in an arena of its own. */
struct frame {
    Narthex__SelectFrame message;
    struct nx_arena arena;
    size_t bytes;
    uint64_t max_chunk_bytes;
    uint64_t *chunk_bytes;
};

static enum nx_err frame_chunk(struct frame *frame, Narthex__SelectSeries *series,
                               const struct nx_chunk *chunk)
{
    Narthex__SelectChunk *message = nx_arena_alloc(&frame->arena, sizeof *message);
    if (!message)
        return NX_ERR_NOMEM;
    *message = (Narthex__SelectChunk)NARTHEX__SELECT_CHUNK__INIT;
    message->encoding = (uint32_t)chunk->encoding;
    message->count = chunk->count;
    message->min_t = chunk->min_t;
    message->max_t = chunk->max_t;
    message->data.data = (uint8_t *)(uintptr_t)chunk->data.ptr;
    message->data.len = chunk->data.len;
    series->chunks[series->n_chunks++] = message;
    frame->bytes += chunk->data.len + 40;
    *frame->chunk_bytes += chunk->data.len;
    return frame->max_chunk_bytes > 0 && *frame->chunk_bytes > frame->max_chunk_bytes ? NX_ERR_LIMIT
                                                                                      : NX_OK;
}

static enum nx_err frame_run(struct frame *frame, Narthex__SelectSeries *series,
                             const struct chunk_run *run)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < run->count && err == NX_OK; i++) {
        struct nx_chunk chunk =
            run->chunks ? run->chunks[i] : ing_sealed_chunk(run->sealed->items[i]);
        err = frame_chunk(frame, series, &chunk);
    }
    return err;
}

static enum nx_err load_runs(struct ing_range range, const struct entry *entry, size_t *chunks)
{
    *chunks = 0;
    for (struct chunk_run *run = entry->runs; run; run = run->next) {
        if (run->sealed) {
            enum nx_err err = ing_sealed_list_load(run->sealed, range.min_t, range.max_t);
            if (err != NX_OK)
                return err;
            run->count = run->sealed->count;
        }
        *chunks += run->count;
    }
    return NX_OK;
}

static void unload_runs(const struct entry *entry)
{
    for (const struct chunk_run *run = entry->runs; run; run = run->next)
        if (run->sealed)
            ing_sealed_list_unload(run->sealed);
}

static enum nx_err frame_entry(struct frame *frame, struct ing_range range,
                               const struct entry *entry)
{
    size_t chunks;
    enum nx_err err = load_runs(range, entry, &chunks);
    if (err != NX_OK || (entry->runs && chunks == 0))
        return err; /* all that is in chunk files lies elsewhere in time */
    Narthex__SelectSeries *series = nx_arena_alloc(&frame->arena, sizeof *series);
    uint8_t *id = nx_arena_alloc(&frame->arena, NX_SERIES_ID_BYTES);
    if (!series || !id)
        return NX_ERR_NOMEM;
    *series = (Narthex__SelectSeries)NARTHEX__SELECT_SERIES__INIT;
    series->chunks = nx_arena_array(&frame->arena, chunks, sizeof(Narthex__SelectChunk *));
    if (!series->chunks)
        return NX_ERR_NOMEM;
    nx_le64_store(id, entry->id.hi);
    nx_le64_store(id + 8, entry->id.lo);
    series->series_id = (ProtobufCBinaryData){.data = id, .len = NX_SERIES_ID_BYTES};
    series->labels = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)entry->labels.ptr,
                                           .len = entry->labels.len};
    frame->message.series[frame->message.n_series++] = series;
    frame->bytes += entry->labels.len + 40;
    for (const struct chunk_run *run = entry->runs; run && err == NX_OK; run = run->next)
        err = frame_run(frame, series, run);
    return err;
}

static enum nx_err frame_deletions(struct select *select, struct frame *frame)
{
    const struct ing_tombstone_list *list = &select->tombstones;
    enum nx_err err = NX_OK;
    select->told = true;
    frame->message.deletions =
        nx_arena_array(&frame->arena, list->count, sizeof(Narthex__Deletion *));
    if (!frame->message.deletions)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < list->count && err == NX_OK; i++) {
        err = ing_tombstone_message(list->items[i], &frame->arena, &frame->message.deletions[i]);
        frame->message.n_deletions += err == NX_OK;
    }
    return err;
}

/* What this ingester's log lost is in no other's where there is one copy of each series. */
static bool lacks_samples(const struct select *select)
{
    const struct ing_log_loss *loss = &select->ing->loss;
    if (loss->samples == 0 || loss->max_t < select->range.min_t ||
        loss->min_t > select->range.max_t || !select->ing->ring)
        return false;
    struct nx_ring_view *view = nx_ring_acquire(select->ing->ring);
    bool alone = view->rf == 1 || view->member_count == 1;
    nx_ring_release(view);
    return alone;
}

static enum nx_err frame_warning(struct select *select, struct frame *frame)
{
    const struct ing_log_loss *loss = &select->ing->loss;
    char noticed[40], from[40], to[40];
    struct nx_buf text;
    if (!lacks_samples(select))
        return NX_OK;
    nx_time_format_rfc3339(loss->noticed_ms, noticed, sizeof noticed);
    nx_time_format_rfc3339(loss->min_t, from, sizeof from);
    nx_time_format_rfc3339(loss->max_t, to, sizeof to);
    nx_buf_init(&text, 1024);
    nx_buf_printf(&text,
                  "samples may be missing: the log of ingester \"%s\" was damaged when it started "
                  "at %s, and about %" PRIu64 " samples between %s and %s have no other copy%c",
                  select->ing->deps.node_name, noticed, loss->samples, from, to, '\0');
    struct nx_view copy = nx_arena_copy(&frame->arena, nx_buf_view(&text));
    enum nx_err err = nx_buf_err(&text) == NX_OK && copy.ptr ? NX_OK : NX_ERR_NOMEM;
    if (err == NX_OK)
        frame->message.warning = (char *)(uintptr_t)copy.ptr;
    nx_buf_release(&text);
    return err;
}

static enum nx_err frame_first(struct select *select, struct frame *frame)
{
    enum nx_err err = frame_deletions(select, frame);
    return err == NX_OK ? frame_warning(select, frame) : err;
}

static enum nx_err frame_build(struct select *select, struct nx_buf *out)
{
    struct frame frame = {.message = NARTHEX__SELECT_FRAME__INIT,
                          .max_chunk_bytes = select->request->max_chunk_bytes,
                          .chunk_bytes = &select->chunk_bytes};
    size_t first = select->next_entry;
    nx_arena_init(&frame.arena, 0);
    enum nx_err err = NX_OK;
    frame.message.series =
        nx_arena_array(&frame.arena, FRAME_SERIES_MAX, sizeof(Narthex__SelectSeries *));
    if (!frame.message.series)
        err = NX_ERR_NOMEM;
    if (err == NX_OK && !select->told)
        err = frame_first(select, &frame);
    while (err == NX_OK && select->next_entry < select->entry_count && frame.bytes < FRAME_BYTES &&
           frame.message.n_series < FRAME_SERIES_MAX)
        err = frame_entry(&frame, select->range, &select->entries[select->next_entry++]);
    if (err == NX_OK)
        err = ing_pb_pack(&frame.message.base, out);
    for (; first < select->next_entry; first++)
        unload_runs(&select->entries[first]);
    if (err == NX_ERR_LIMIT)
        nx_fail_set(&select->fail, err,
                    "the select would fetch more than %llu bytes of chunks "
                    "(query.max-fetched-bytes)",
                    (unsigned long long)select->request->max_chunk_bytes);
    nx_arena_release(&frame.arena);
    return err;
}

static void lane_run(struct nx_job *job)
{
    struct select *select = NX_OWNER(struct select, job, job);
    if (!select->collected)
        select->err = collect(select);
    select->collected = true;
    select->frame_count = 0;
    if (select->request->labels_only)
        select->told = true;
    while (select->err == NX_OK && select->frame_count < FRAMES_A_ROUND &&
           (select->next_entry < select->entry_count ||
            (!select->told && (select->tombstones.count > 0 || lacks_samples(select)))))
        select->err = frame_build(select, &select->frames[select->frame_count++]);
}

/* --- the home worker --- */

static void lane_done(struct nx_job *job);

static void next_round(struct select *select)
{
    select->job = (struct nx_job){.run = lane_run, .done = lane_done};
    enum nx_err err = nx_lane_submit(select->ing->read_lane, &select->job);
    if (err != NX_OK)
        select_end(select, err);
}

static void send_frames(struct select *select)
{
    while (select->next_frame < select->frame_count) {
        if (!nx_rpc_stream_frame(select->req, &select->frames[select->next_frame++])) {
            select->waiting = true;
            return;
        }
    }
    if (select->next_entry < select->entry_count)
        next_round(select);
    else
        select_end(select, NX_OK);
}

static void on_drained(void *user)
{
    struct select *select = user;
    if (!select->waiting)
        return;
    select->waiting = false;
    send_frames(select);
}

static void lane_done(struct nx_job *job)
{
    struct select *select = NX_OWNER(struct select, job, job);
    if (select->err == NX_OK && atomic_load(&select->canceled))
        select->err = NX_ERR_CANCELED;
    if (select->err != NX_OK) {
        select_end(select, select->err);
        return;
    }
    if (!select->streaming) {
        select->streaming = true;
        nx_rpc_stream_begin(select->req, on_drained, select);
    }
    select->next_frame = 0;
    send_frames(select);
}

static void heads_done(struct ing_fan *fan)
{
    struct select *select = NX_OWNER(struct select, fan, fan);
    enum nx_err err = fan->err;
    struct nx_interval range = {.min_t = select->range.min_t, .max_t = select->range.max_t};
    /* before the blocks: a deletion is forgotten once no block of the set needs it */
    if (err == NX_OK)
        err = ing_tombstones_acquire(select->ing->tombstones, nx_view_of(select->request->tenant),
                                     range, &select->tombstones);
    if (err == NX_OK)
        err = ing_block_set_check_lost(select->ing->blocks, nx_view_of(select->request->tenant),
                                       select->range, &select->fail);
    if (err == NX_OK)
        err = ing_block_set_acquire(select->ing->blocks, nx_view_of(select->request->tenant),
                                    select->range, &select->blocks);
    if (err == NX_ERR_LIMIT)
        nx_fail_set(&select->fail, err,
                    "the select needs more than %lld bytes (ingester.select-max-bytes)",
                    (long long)select->ing->deps.settings->select_max_bytes);
    if (err != NX_OK)
        select_end(select, err);
    else
        next_round(select);
}

static void on_cancel(void *user)
{
    struct select *select = user;
    atomic_store(&select->canceled, true);
    if (select->waiting) {
        select->waiting = false;
        select_end(select, NX_ERR_CANCELED);
    }
}

static enum nx_err select_init(struct select *select, struct nx_view body)
{
    struct ingester *ing = select->ing;
    size_t max_bytes = (size_t)ing->deps.settings->select_max_bytes;
    select->request =
        narthex__select_request__unpack(&select->pb.allocator, body.len, (const uint8_t *)body.ptr);
    if (!select->request)
        return nx_fail_set(&select->fail, NX_ERR_INVALID, "select: malformed message");
    enum nx_err err = ing_matchers_init(select->request->matchers, select->request->n_matchers,
                                        &select->pb.arena, &select->matchers, &select->fail);
    if (err != NX_OK)
        return err;
    select->matcher_count = select->request->n_matchers;
    err = ing_partition_filter_init(&select->filter, &select->request->partitions,
                                    ing->deps.partitions);
    if (err != NX_OK)
        return nx_fail_set(&select->fail, err, "select: partitions of another number");
    select->range =
        (struct ing_range){.min_t = select->request->min_t, .max_t = select->request->max_t};
    select->parts = nx_arena_calloc(&select->pb.arena, ing->shard_count, sizeof *select->parts);
    select->fan.slots =
        nx_arena_calloc(&select->pb.arena, ing->shard_count, sizeof *select->fan.slots);
    if (!select->parts || !select->fan.slots) {
        select->parts = NULL;
        return NX_ERR_NOMEM;
    }
    for (uint32_t i = 0; i < ing->shard_count; i++)
        ing_read_result_init(&select->parts[i].result, max_bytes / ing->shard_count);
    select->arena.max_bytes = max_bytes;
    return NX_OK;
}

void ing_select_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    nx_metric_inc(ing->metrics, ING_M_SELECTS);
    if (!ing_admit(ing, req))
        return;
    struct select *select = nx_calloc(1, sizeof *select);
    if (!select) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return;
    }
    select->ing = ing;
    select->req = req;
    select->began_ns = nx_now_ns(ing->deps.clock);
    ing_pb_init(&select->pb);
    nx_arena_init(&select->arena, 0);
    nx_index_init(&select->index);
    for (size_t i = 0; i < FRAMES_A_ROUND; i++)
        nx_buf_init(&select->frames[i], SIZE_MAX / 4);
    enum nx_err err = select_init(select, nx_rpc_request_body(req));
    if (err != NX_OK) {
        select_end(select, err);
        return;
    }
    nx_rpc_request_on_cancel(req, on_cancel, select);
    select->fan.ing = ing;
    select->fan.home = nx_rpc_request_worker(req);
    select->fan.run = part_run;
    select->fan.done = heads_done;
    ing_fan_start(&select->fan);
}
