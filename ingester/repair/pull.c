/* Unit by unit: ask, gather the frames, write them; between two units as long a pause as the
 * bandwidth asks for. Units of one block follow each other and go into one writer, until it has
 * taken so much that it is better finished. A unit that fails leaves no trace of its own in the
 * block, unless writing failed: then the block is given up. */
#include "ingester/repair/pull.h"

#include "common/base/alloc.h"
#include "ingester/block/block_writer.h"
#include "ingester/repair/pull_internal.h"

#define BLOCK_SAMPLES UINT64_C(64000000)
#define UNIT_MAX_BYTES ((size_t)512 << 20)

static void next_unit(struct ing_pull *pull);

void ing_pull_drop_frames(struct ing_pull *pull)
{
    while (pull->frames) {
        struct ing_pull_frame *next = pull->frames->next;
        nx_free(pull->frames);
        pull->frames = next;
    }
    pull->last_frame = &pull->frames;
    pull->frame_bytes = 0;
}

/* --- the end --- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct ing_pull *pull = handle->data;
    pull->timer_open = false;
    pull->done(pull, pull->err);
}

static void end_done(struct nx_job *job)
{
    struct ing_pull *pull = NX_OWNER(struct ing_pull, job, job);
    if (pull->timer_open)
        uv_close((uv_handle_t *)&pull->timer, on_timer_closed);
    else
        pull->done(pull, pull->err);
}

/* What came before a failure is kept, if it can be written. */
static void end_run(struct nx_job *job)
{
    struct ing_pull *pull = NX_OWNER(struct ing_pull, job, job);
    enum nx_err err = ing_pull_publish(pull);
    if (pull->err == NX_OK)
        pull->err = err;
}

static void end(struct ing_pull *pull, enum nx_err err)
{
    pull->err = err;
    ing_pull_drop_frames(pull);
    pull->job = (struct nx_job){.run = end_run, .done = end_done};
    if (nx_lane_submit(pull->lane, &pull->job) != NX_OK)
        end_done(&pull->job); /* the writer is given up by the release */
}

/* --- units --- */

static bool ends_block(const struct ing_pull *pull)
{
    const struct ing_pull_unit *unit = &pull->units[pull->at];
    if (pull->at + 1 == pull->unit_count || pull->block_samples >= BLOCK_SAMPLES)
        return true;
    const struct ing_pull_unit *next = unit + 1;
    return next->diff != unit->diff || next->span_min != unit->span_min ||
           next->span_max != unit->span_max;
}

static void write_run(struct nx_job *job)
{
    struct ing_pull *pull = NX_OWNER(struct ing_pull, job, job);
    pull->err = ing_pull_write(pull);
    if (pull->err != NX_OK) {
        ing_block_writer_free(pull->writer); /* half a unit may be in it */
        pull->writer = NULL;
    } else if (ends_block(pull)) {
        pull->err = ing_pull_publish(pull);
    }
}

static void on_timer(uv_timer_t *timer)
{
    next_unit(timer->data);
}

static void write_done(struct nx_job *job)
{
    struct ing_pull *pull = NX_OWNER(struct ing_pull, job, job);
    if (pull->err != NX_OK || pull->canceled) {
        end(pull, pull->err != NX_OK ? pull->err : NX_ERR_CANCELED);
        return;
    }
    if (ends_block(pull))
        pull->block_samples = 0;
    pull->at++;
    uint64_t spent_ms = (nx_now_ns(pull->ing->deps.clock) - pull->asked_ns) / 1000000;
    uint64_t due_ms = pull->bandwidth > 0 ? pull->bytes * 1000 / (uint64_t)pull->bandwidth : 0;
    if (due_ms > spent_ms)
        uv_timer_start(&pull->timer, on_timer, due_ms - spent_ms, 0);
    else
        next_unit(pull);
}

static enum nx_err on_frame(void *user, struct nx_view bytes)
{
    struct ing_pull *pull = user;
    if (bytes.len > UNIT_MAX_BYTES - pull->frame_bytes)
        return NX_ERR_LIMIT;
    struct ing_pull_frame *frame = nx_alloc(sizeof *frame + bytes.len);
    if (!frame)
        return NX_ERR_NOMEM;
    frame->next = NULL;
    frame->len = bytes.len;
    if (bytes.len > 0)
        memcpy(frame->bytes, bytes.ptr, bytes.len);
    *pull->last_frame = frame;
    pull->last_frame = &frame->next;
    pull->frame_bytes += bytes.len;
    return NX_OK;
}

static void on_answer(void *user, const struct nx_rpc_result *result)
{
    struct ing_pull *pull = user;
    pull->call = NULL;
    if (result->err != NX_OK || pull->canceled) {
        end(pull, result->err != NX_OK ? result->err : NX_ERR_CANCELED);
        return;
    }
    pull->bytes += pull->frame_bytes;
    pull->block_samples += pull->units[pull->at].samples;
    pull->progress(pull, pull->frame_bytes);
    pull->job = (struct nx_job){.run = write_run, .done = write_done};
    enum nx_err err = nx_lane_submit(pull->lane, &pull->job);
    if (err != NX_OK)
        end(pull, err);
}

static void next_unit(struct ing_pull *pull)
{
    if (pull->canceled || pull->at == pull->unit_count) {
        end(pull, pull->canceled ? NX_ERR_CANCELED : NX_OK);
        return;
    }
    const struct ing_pull_unit *unit = &pull->units[pull->at];
    Narthex__SelectRequest request = NARTHEX__SELECT_REQUEST__INIT;
    request.tenant = (char *)(uintptr_t)unit->diff->tenant.ptr;
    request.min_t = unit->min_t;
    request.max_t = unit->max_t;
    request.partitions = (ProtobufCBinaryData){.data = unit->partitions,
                                               .len = (pull->ing->deps.partitions + 7) / 8};
    if (pull->block_samples == 0)
        pull->deletions = ing_tombstones_last(pull->ing->tombstones);
    struct nx_buf body;
    nx_buf_init(&body, 1 << 20);
    enum nx_err err = ing_pb_pack(&request.base, &body);
    struct nx_rpc_call_options options = {.address = pull->address,
                                          .method = "select",
                                          .body = &body,
                                          .timeout_ms = pull->timeout_ms,
                                          .on_frame = on_frame,
                                          .done = on_answer,
                                          .user = pull};
    if (err == NX_OK)
        err = nx_rpc_call(pull->client, &options, &pull->call);
    nx_buf_release(&body);
    if (err != NX_OK)
        end(pull, err);
}

/* --- life --- */

static void plan_run(struct nx_job *job)
{
    struct ing_pull *pull = NX_OWNER(struct ing_pull, job, job);
    pull->err = ing_pull_plan(pull);
}

static void plan_done(struct nx_job *job)
{
    struct ing_pull *pull = NX_OWNER(struct ing_pull, job, job);
    pull->asked_ns = nx_now_ns(pull->ing->deps.clock);
    if (pull->err == NX_OK)
        next_unit(pull);
    else
        end(pull, pull->err);
}

void ing_pull_start(struct ing_pull *pull)
{
    pull->last_frame = &pull->frames;
    int rc = uv_timer_init(nx_worker_loop(nx_rpc_client_worker(pull->client)), &pull->timer);
    pull->timer_open = rc == 0;
    pull->timer.data = pull;
    pull->job = (struct nx_job){.run = plan_run, .done = plan_done};
    enum nx_err err = rc == 0 ? nx_lane_submit(pull->lane, &pull->job) : nx_err_from_uv(rc);
    if (err != NX_OK)
        end(pull, err);
}

void ing_pull_cancel(struct ing_pull *pull)
{
    pull->canceled = true;
    if (pull->call)
        nx_rpc_call_cancel(pull->call);
    else if (pull->timer_open && uv_is_active((uv_handle_t *)&pull->timer))
        uv_timer_start(&pull->timer, on_timer, 0, 0);
}

void ing_pull_release(struct ing_pull *pull)
{
    ing_pull_drop_frames(pull);
    ing_block_writer_free(pull->writer);
    pull->writer = NULL;
    for (size_t i = 0; i < pull->unit_count; i++)
        nx_free(pull->units[i].partitions);
    nx_free(pull->units);
    pull->units = NULL;
    pull->unit_count = 0;
}
