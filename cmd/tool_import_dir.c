/* Blocks for a node that is not running, written to where it looks for them when it starts. */
#include <unistd.h>

#include "cmd/tool_import.h"
#include "common/base/alloc.h"
#include "common/base/time.h"
#include "ingester/block/block_writer.h"
#include "ingester/datadir.h"

struct dir_target {
    struct cmd_import_target base;
    const struct nx_fs *fs;
    struct nx_view tenant;
    char *dir; /* of the tenant's blocks */
    int lock_fd;
    struct ing_block_writer *writer;
    uint64_t series; /* in it */
};

static struct nx_view dir_place(const struct cmd_import_target *target)
{
    (void)target;
    return NX_VIEW("");
}

static bool is_there(const char *dir, const char *name)
{
    char *path = nx_path_join(dir, name);
    bool there = path && access(path, F_OK) == 0;
    nx_free(path);
    return there;
}

static enum nx_err dir_begin(struct cmd_import_target *base, const struct ing_tsdb_piece *piece,
                             const char *name, bool *wanted, struct nx_fail *fail)
{
    struct dir_target *target = (struct dir_target *)base;
    *wanted = !is_there(target->dir, name);
    if (!*wanted)
        return NX_OK;
    struct ing_block_meta meta = {.tenant = target->tenant,
                                  .min_t = piece->min_t,
                                  .max_t = piece->max_t,
                                  .created_ms = nx_now_ms(nx_clock_system())};
    target->series = 0;
    enum nx_err err = ing_block_writer_new(target->fs, target->dir, name, &meta, &target->writer);
    return err == NX_OK ? err
                        : nx_fail_set(fail, err, "%s/%s: %s", target->dir, name, nx_err_text(err));
}

static enum nx_err dir_take(void *user, struct nx_series_id id, struct nx_labels labels,
                            const struct nx_chunk *chunks, size_t count)
{
    struct dir_target *target = user;
    target->series++;
    return ing_block_writer_add(target->writer, id, labels, chunks, count);
}

static enum nx_err dir_finish(struct cmd_import_target *base, struct nx_fail *fail)
{
    struct dir_target *target = (struct dir_target *)base;
    enum nx_err err = NX_OK;
    if (target->series > 0) {
        err = ing_block_writer_finish(target->writer);
        if (err != NX_OK)
            nx_fail_set(fail, err, "%s: %s", ing_block_writer_path(target->writer),
                        nx_err_text(err));
    }
    ing_block_writer_free(target->writer);
    target->writer = NULL;
    return err;
}

static const char *dir_warning(const struct cmd_import_target *base)
{
    (void)base;
    return "";
}

static void dir_close(struct cmd_import_target *base)
{
    struct dir_target *target = (struct dir_target *)base;
    ing_block_writer_free(target->writer);
    if (target->lock_fd >= 0)
        (void)close(target->lock_fd);
    nx_free(target->dir);
    nx_free(target);
}

/* <data_dir>/blocks/<tenant>, as the node lays it out. */
static enum nx_err make_tenant_dir(struct dir_target *target, const char *data_dir,
                                   struct nx_fail *fail)
{
    char name[ING_TENANT_DIR_MAX];
    ing_tenant_dir(target->tenant, name);
    char *blocks = nx_path_join(data_dir, "blocks");
    target->dir = blocks ? nx_path_join(blocks, name) : NULL;
    enum nx_err err = target->dir ? target->fs->mkdir(target->fs, target->dir) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = target->fs->sync_dir(target->fs, blocks);
    if (err == NX_OK)
        err = target->fs->sync_dir(target->fs, data_dir);
    if (err != NX_OK)
        nx_fail_set(fail, err, "%s: %s", target->dir ? target->dir : data_dir, nx_err_text(err));
    nx_free(blocks);
    return err;
}

enum nx_err cmd_import_dir_open(const char *data_dir, struct nx_view tenant,
                                struct cmd_import_target **out, struct nx_fail *fail)
{
    static const struct cmd_import_target_ops ops = {.place = dir_place,
                                                     .begin = dir_begin,
                                                     .take = dir_take,
                                                     .finish = dir_finish,
                                                     .warning = dir_warning,
                                                     .close = dir_close};
    struct dir_target *target = nx_calloc(1, sizeof *target);
    if (!target)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    target->base.ops = &ops;
    target->fs = nx_fs_posix();
    target->tenant = tenant;
    target->lock_fd = -1;
    enum nx_err err = ing_datadir_lock(target->fs, data_dir, &target->lock_fd, fail);
    if (err == NX_OK)
        err = make_tenant_dir(target, data_dir, fail);
    if (err != NX_OK)
        dir_close(&target->base);
    else
        *out = &target->base;
    return err;
}
