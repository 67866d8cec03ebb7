#include "ingester/import.h"

#include <inttypes.h>

#include "common/base/alloc.h"
#include "ingester/block/block_intake.h"

#define BODY_MAX ((size_t)8 << 20)
#define QUEUE 256

struct intake {
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct ing_pb pb;
    const Narthex__ImportRequest *request;
    int64_t retention_ms; /* for the job: the setting may be reloaded while it runs */
    struct nx_job job;
    bool present;
    enum nx_err err;
    struct nx_fail fail;
};

static void intake_free(struct intake *intake)
{
    struct ingester *ing = intake->ing;
    ing_pb_release(&intake->pb);
    nx_free(intake);
    ing_leave(ing);
}

static void answer(struct intake *intake)
{
    if (intake->err != NX_OK) {
        nx_rpc_reply_error(intake->req, intake->err,
                           intake->fail.code != NX_OK ? nx_fail_text(&intake->fail)
                                                      : nx_err_text(intake->err));
    } else {
        Narthex__ImportResponse message = NARTHEX__IMPORT_RESPONSE__INIT;
        message.present = intake->present;
        ing_pb_reply(intake->req, &message.base);
    }
    intake_free(intake);
}

/* --- on the lane --- */

static enum nx_err begin(struct intake *intake, const struct ing_block_intake *target)
{
    int64_t oldest = nx_now_ms(intake->ing->deps.clock) - intake->retention_ms;
    if (intake->request->max_t <= oldest)
        return nx_fail_set(&intake->fail, NX_ERR_TOO_OLD,
                           "older than storage.retention keeps: it would be deleted at once");
    return ing_block_intake_begin(target);
}

static enum nx_err publish(struct intake *intake, const struct ing_block_intake *target)
{
    struct ingester *ing = intake->ing;
    struct ing_block *block;
    enum nx_err err = ing_block_intake_finish(target, &intake->fail);
    if (err != NX_OK)
        return err;
    char *path = nx_path_join(target->dir, target->name);
    err = path ? ing_block_open(path, &block, &intake->fail) : NX_ERR_NOMEM;
    nx_free(path);
    if (err != NX_OK)
        return err;
    nx_log(ing->deps.log, NX_LOG_INFO, "block imported", NX_S("dir", ing_block_dir(block)),
           NX_I("series", ing_block_meta(block)->series),
           NX_I("samples", ing_block_meta(block)->samples));
    err = ing_block_set_add(ing->blocks, block);
    if (err != NX_OK)
        ing_block_drop(block);
    else
        nx_metric_inc(ing->metrics, ING_M_BLOCKS_IMPORTED);
    return err;
}

static enum nx_err serve(struct intake *intake)
{
    const Narthex__ImportRequest *request = intake->request;
    struct ingester *ing = intake->ing;
    struct ing_block_intake target = {.fs = ing->deps.fs,
                                      .tenant = nx_view_of(request->tenant),
                                      .name = request->name,
                                      .window_ms = ing->rules.window_ms};
    char *dir;
    if (!ing_block_intake_is_name(request->name) || target.tenant.len == 0)
        return nx_fail_set(&intake->fail, NX_ERR_INVALID, "import: no name of a block or tenant");
    enum nx_err err = ing_block_set_tenant_dir(ing->blocks, target.tenant, &dir);
    if (err != NX_OK)
        return err;
    target.dir = dir;
    intake->present = ing_block_intake_is_there(&target);
    if (!intake->present) {
        struct nx_view data = nx_view_make(request->data.data, request->data.len);
        switch ((int)request->step) { /* the generated type has a value for its size */
        case NARTHEX__IMPORT_STEP__IMPORT_BEGIN:
            err = begin(intake, &target);
            break;
        case NARTHEX__IMPORT_STEP__IMPORT_PUT:
            err =
                ing_block_intake_put(&target, request->file, request->offset, data, &intake->fail);
            break;
        case NARTHEX__IMPORT_STEP__IMPORT_FINISH:
            err = publish(intake, &target);
            break;
        case NARTHEX__IMPORT_STEP__IMPORT_ASK:
        default:
            break;
        }
    }
    nx_free(dir);
    return err;
}

static void lane_run(struct nx_job *job)
{
    struct intake *intake = NX_OWNER(struct intake, job, job);
    intake->err = serve(intake);
}

static void lane_done(struct nx_job *job)
{
    answer(NX_OWNER(struct intake, job, job));
}

static void handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    if (!ing_admit(ing, req))
        return;
    struct intake *intake = nx_calloc(1, sizeof *intake);
    if (!intake) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return;
    }
    intake->ing = ing;
    intake->req = req;
    intake->retention_ms = ing->deps.settings->retention_ms;
    ing_pb_init(&intake->pb);
    struct nx_view body = nx_rpc_request_body(req);
    intake->request =
        narthex__import_request__unpack(&intake->pb.allocator, body.len, (const uint8_t *)body.ptr);
    intake->job = (struct nx_job){.run = lane_run, .done = lane_done};
    enum nx_err err = intake->request
                          ? nx_lane_submit(ing->import_lane, &intake->job)
                          : nx_fail_set(&intake->fail, NX_ERR_INVALID, "import: malformed message");
    if (err == NX_OK) /* from here on the intake is the lane's */
        return;
    intake->err = err;
    answer(intake);
}

enum nx_err ing_import_open(struct ingester *ing)
{
    enum nx_err err = nx_lane_new("ing-import", 1, QUEUE, &ing->import_lane);
    if (err == NX_OK)
        err = nx_lane_observe(ing->import_lane, ing->deps.telemetry);
    if (err == NX_OK)
        err = nx_rpc_server_method(ing->deps.rpc, "import", handle, ing, BODY_MAX, &ing->budget);
    return err;
}

void ing_import_close(struct ingester *ing)
{
    nx_lane_free(ing->import_lane);
    ing->import_lane = NULL;
}
