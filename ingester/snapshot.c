/* A snapshot: memory goes to blocks, and the files of all blocks are linked into
 * <data-dir>/snapshots/<name>/blocks, beside a copy of the list of deletions. Links cost no space
 * until the block they share goes. It appears under its name when all of it is there; as a data
 * directory it starts a node. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "ingester/flush.h"
#include "ingester/ingester_internal.h"

#define NAME_MAX_BYTES 100
#define SNAPSHOTS "snapshots"
#define UNFINISHED ".tmp"
#define TRIES 10

struct snapshot {
    struct ingester *ing;
    struct nx_rpc_request *req;
    struct ing_pb pb;
    const Narthex__SnapshotRequest *request;
    struct ing_flush_want want;
    struct nx_job job;
    enum nx_err err;
};

static void snapshot_end(struct snapshot *snapshot, enum nx_err err)
{
    struct ingester *ing = snapshot->ing;
    if (err == NX_OK) {
        struct nx_buf empty;
        nx_buf_init(&empty, 16);
        nx_rpc_reply(snapshot->req, &empty);
        nx_metric_inc(ing->metrics, ING_M_SNAPSHOTS);
    } else {
        nx_log(ing->deps.log, NX_LOG_ERROR, "snapshot not made", NX_E(err));
        nx_rpc_reply_error(snapshot->req, err, nx_err_text(err));
    }
    ing_pb_release(&snapshot->pb);
    nx_free(snapshot);
    ing_leave(ing);
}

/* --- on the lane --- */

static enum nx_err link_files(const char *from_dir, const char *to_dir)
{
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(from_dir, &names, &count);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        char *from = nx_path_join(from_dir, names[i]);
        char *to = nx_path_join(to_dir, names[i]);
        err = from && to ? nx_file_link(from, to) : NX_ERR_NOMEM;
        nx_free(from);
        nx_free(to);
    }
    nx_dir_free(names, count);
    return err;
}

static enum nx_err link_block(const struct nx_fs *fs, const char *root,
                              const struct ing_block *block)
{
    char tenant[ING_TENANT_DIR_MAX];
    const char *name = strrchr(ing_block_dir(block), '/');
    ing_tenant_dir(ing_block_meta(block)->tenant, tenant);
    char *above = nx_path_join(root, tenant);
    char *dir = above && name ? nx_path_join(above, name + 1) : NULL;
    enum nx_err err = dir ? fs->mkdir(fs, dir) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = link_files(ing_block_dir(block), dir);
    if (err == NX_OK)
        err = fs->sync_dir(fs, dir);
    if (err == NX_OK)
        err = fs->sync_dir(fs, above);
    nx_free(above);
    nx_free(dir);
    return err;
}

static enum nx_err link_blocks(struct ingester *ing, const char *dir)
{
    struct ing_block_list list;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    const struct nx_fs *fs = ing->deps.fs;
    char *root = nx_path_join(dir, "blocks");
    enum nx_err err = root ? fs->mkdir(fs, root) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = ing_tombstones_copy(ing->tombstones, dir);
    if (err == NX_OK)
        err = ing_block_set_acquire(ing->blocks, (struct nx_view){0}, all, &list);
    if (err == NX_OK) {
        for (size_t i = 0; i < list.count && err == NX_OK; i++)
            err = link_block(fs, root, list.blocks[i]);
        ing_block_list_release(&list);
    }
    if (err == NX_OK)
        err = fs->sync_dir(fs, root);
    nx_free(root);
    return err;
}

/* Compaction or retention may take a block away between its being listed and linked: all of it is
 * begun again then, with what there is now. */
static enum nx_err fill(struct ingester *ing, const char *dir)
{
    const struct nx_fs *fs = ing->deps.fs;
    enum nx_err err = NX_ERR_NOT_FOUND;
    for (int i = 0; i < TRIES && err == NX_ERR_NOT_FOUND; i++) {
        err = i > 0 ? fs->rmdir(fs, dir) : NX_OK;
        if (err == NX_OK)
            err = fs->mkdir(fs, dir);
        if (err == NX_OK)
            err = link_blocks(ing, dir);
    }
    return err == NX_OK ? fs->sync_dir(fs, dir) : err;
}

static enum nx_err make_snapshot(struct ingester *ing, const char *name)
{
    const struct nx_fs *fs = ing->deps.fs;
    char tmp[NAME_MAX_BYTES + 8];
    (void)snprintf(tmp, sizeof tmp, "%s" UNFINISHED, name);
    char *above = nx_path_join(ing->deps.settings->data_dir, SNAPSHOTS);
    char *unfinished = above ? nx_path_join(above, tmp) : NULL;
    char *path = above ? nx_path_join(above, name) : NULL;
    enum nx_err err = unfinished && path ? fill(ing, unfinished) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = fs->rename(fs, unfinished, path);
    if (err == NX_OK)
        err = fs->sync_dir(fs, above);
    if (err == NX_OK)
        err = fs->sync_dir(fs, ing->deps.settings->data_dir);
    if (err != NX_OK && unfinished)
        (void)fs->rmdir(fs, unfinished);
    nx_free(above);
    nx_free(unfinished);
    nx_free(path);
    return err;
}

void ing_snapshots_clean(struct ingester *ing)
{
    const struct nx_fs *fs = ing->deps.fs;
    char *above = nx_path_join(ing->deps.settings->data_dir, SNAPSHOTS);
    char **names;
    size_t count;
    if (above && nx_dir_list(above, &names, &count) == NX_OK) {
        for (size_t i = 0; i < count; i++) {
            if (!nx_view_has_suffix(nx_view_of(names[i]), NX_VIEW(UNFINISHED)))
                continue;
            char *path = nx_path_join(above, names[i]);
            enum nx_err err = path ? fs->rmdir(fs, path) : NX_ERR_NOMEM;
            if (err != NX_OK)
                nx_log(ing->deps.log, NX_LOG_WARN, "unfinished snapshot not removed",
                       NX_S("name", names[i]), NX_E(err));
            nx_free(path);
        }
        nx_dir_free(names, count);
    }
    nx_free(above);
}

static void lane_run(struct nx_job *job)
{
    struct snapshot *snapshot = NX_OWNER(struct snapshot, job, job);
    snapshot->err = make_snapshot(snapshot->ing, snapshot->request->name);
}

static void lane_done(struct nx_job *job)
{
    struct snapshot *snapshot = NX_OWNER(struct snapshot, job, job);
    snapshot_end(snapshot, snapshot->err);
}

/* --- the request --- */

static void make_on_lane(struct snapshot *snapshot)
{
    snapshot->job = (struct nx_job){.run = lane_run, .done = lane_done};
    enum nx_err err = nx_lane_submit(snapshot->ing->flush_lane, &snapshot->job);
    if (err != NX_OK)
        snapshot_end(snapshot, err);
}

static void flushed(struct ing_flush_want *want)
{
    struct snapshot *snapshot = NX_OWNER(struct snapshot, want, want);
    if (want->err != NX_OK)
        snapshot_end(snapshot, want->err);
    else
        make_on_lane(snapshot);
}

/* It becomes a file name. */
static bool name_is_good(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_BYTES && strspn(name, allowed) == len;
}

void ing_snapshot_handle(struct nx_rpc_request *req, void *user)
{
    struct ingester *ing = user;
    if (!ing_admit(ing, req))
        return;
    struct snapshot *snapshot = nx_calloc(1, sizeof *snapshot);
    if (!snapshot) {
        nx_rpc_reply_error(req, NX_ERR_NOMEM, nx_err_text(NX_ERR_NOMEM));
        ing_leave(ing);
        return;
    }
    snapshot->ing = ing;
    snapshot->req = req;
    ing_pb_init(&snapshot->pb);
    struct nx_view body = nx_rpc_request_body(req);
    snapshot->request = narthex__snapshot_request__unpack(&snapshot->pb.allocator, body.len,
                                                          (const uint8_t *)body.ptr);
    if (!snapshot->request || !name_is_good(snapshot->request->name)) {
        snapshot_end(snapshot, NX_ERR_INVALID);
        return;
    }
    if (snapshot->request->skip_head) {
        make_on_lane(snapshot);
        return;
    }
    snapshot->want = (struct ing_flush_want){.home = nx_rpc_request_worker(req),
                                             .range = {.min_t = INT64_MIN, .max_t = INT64_MAX},
                                             .done = flushed};
    ing_flush_ask(ing->flush, &snapshot->want);
}
