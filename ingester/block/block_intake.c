#include "ingester/block/block_intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "ingester/block/block_reader.h"

#define FILE_NAME_MAX 64

/* <dir>/<name><suffix>; nx_free it. */
static char *path_of(const struct ing_block_intake *intake, const char *suffix)
{
    size_t len = strlen(intake->dir) + strlen(intake->name) + strlen(suffix) + 2;
    char *path = nx_alloc(len);
    if (path)
        (void)snprintf(path, len, "%s/%s%s", intake->dir, intake->name, suffix);
    return path;
}

static bool is_word(const char *text, const char *marks, size_t max)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !strchr(marks, c))
            return false;
    }
    return len > 0 && len < max && text[0] != '.';
}

bool ing_block_intake_is_name(const char *name)
{
    return is_word(name, "-", ING_BLOCK_NAME_MAX);
}

bool ing_block_intake_is_there(const struct ing_block_intake *intake)
{
    char *path = path_of(intake, "");
    bool there = path && access(path, F_OK) == 0;
    nx_free(path);
    return there;
}

enum nx_err ing_block_intake_begin(const struct ing_block_intake *intake)
{
    char *path = path_of(intake, ".tmp");
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = intake->fs->rmdir(intake->fs, path);
    if (err == NX_OK || err == NX_ERR_NOT_FOUND)
        err = intake->fs->mkdir(intake->fs, path);
    nx_free(path);
    return err;
}

static enum nx_err append(const struct ing_block_intake *intake, const char *path, uint64_t offset,
                          struct nx_view data, struct nx_fail *fail)
{
    int fd;
    uint64_t size = 0;
    enum nx_err err = intake->fs->open(intake->fs, path, NX_FILE_APPEND, &fd);
    if (err != NX_OK)
        return err;
    err = nx_file_size(fd, &size);
    if (err == NX_OK && size != offset)
        err = nx_fail_set(fail, NX_ERR_INVALID,
                          "import: a piece for offset %" PRIu64 " of a file of %" PRIu64 " bytes",
                          offset, size);
    if (err == NX_OK && data.len > 0)
        err = intake->fs->write(intake->fs, fd, data.ptr, data.len);
    (void)intake->fs->close(intake->fs, fd);
    return err;
}

enum nx_err ing_block_intake_put(const struct ing_block_intake *intake, const char *file,
                                 uint64_t offset, struct nx_view data, struct nx_fail *fail)
{
    if (!is_word(file, "-_.", FILE_NAME_MAX))
        return nx_fail_set(fail, NX_ERR_INVALID, "import: a file of a block cannot be named so");
    char *dir = path_of(intake, ".tmp");
    char *path = dir ? nx_path_join(dir, file) : NULL;
    enum nx_err err = path ? append(intake, path, offset, data, fail) : NX_ERR_NOMEM;
    nx_free(path);
    nx_free(dir);
    return err;
}

/* --- the end --- */

static enum nx_err check_ids(struct ing_block *block, struct nx_fail *fail)
{
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct nx_view tenant = ing_block_meta(block)->tenant;
    struct ing_block_iter *iter;
    struct ing_block_series series;
    enum nx_err err = ing_block_select(block, NULL, 0, all, &iter);
    if (err != NX_OK)
        return err;
    int rc;
    while (err == NX_OK && (rc = ing_block_iter_next(iter, &series)) != 0) {
        if (rc < 0)
            err = (enum nx_err)rc;
        else if (!nx_series_id_eq(series.id, nx_series_id_of(tenant, series.labels)))
            err = nx_fail_set(fail, NX_ERR_CORRUPT,
                              "import: a series does not have the id of its labels");
    }
    ing_block_iter_free(iter);
    return err;
}

static enum nx_err check_block(const struct ing_block_intake *intake, const char *path,
                               struct nx_fail *fail)
{
    struct ing_block *block;
    enum nx_err err = ing_block_open(path, &block, fail);
    if (err != NX_OK)
        return err;
    const struct ing_block_meta *meta = ing_block_meta(block);
    if (!nx_view_eq(meta->tenant, intake->tenant))
        err = nx_fail_set(fail, NX_ERR_INVALID, "import: the block is of another tenant");
    else if (meta->min_t % intake->window_ms != 0 || meta->max_t % intake->window_ms != 0)
        err = nx_fail_set(fail, NX_ERR_INVALID,
                          "import: the block does not begin and end with windows of "
                          "storage.block-window, which is %" PRId64 " ms here",
                          intake->window_ms);
    else if (meta->position_count > 0 || meta->source_count > 0)
        err = nx_fail_set(fail, NX_ERR_INVALID, "import: the block is one of a node");
    if (err == NX_OK)
        err = ing_block_verify(block);
    if (err == NX_OK)
        err = check_ids(block, fail);
    ing_block_drop(block);
    return err;
}

static enum nx_err sync_files(const struct ing_block_intake *intake, const char *path)
{
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(path, &names, &count);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        int fd;
        char *file = nx_path_join(path, names[i]);
        err = file ? intake->fs->open(intake->fs, file, NX_FILE_APPEND, &fd) : NX_ERR_NOMEM;
        nx_free(file);
        if (err != NX_OK)
            break;
        err = intake->fs->sync(intake->fs, fd);
        (void)intake->fs->close(intake->fs, fd);
    }
    nx_dir_free(names, count);
    return err == NX_OK ? intake->fs->sync_dir(intake->fs, path) : err;
}

enum nx_err ing_block_intake_finish(const struct ing_block_intake *intake, struct nx_fail *fail)
{
    char *path = path_of(intake, ".tmp");
    char *final_path = path_of(intake, "");
    enum nx_err err = path && final_path ? check_block(intake, path, fail) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = sync_files(intake, path);
    if (err == NX_OK)
        err = intake->fs->rename(intake->fs, path, final_path);
    if (err == NX_OK)
        err = intake->fs->sync_dir(intake->fs, intake->dir);
    else if (path)
        (void)intake->fs->rmdir(intake->fs, path);
    nx_free(path);
    nx_free(final_path);
    return err;
}
