#include "ingester/tsdb/out_file.h"

#include "common/base/alloc.h"

enum nx_err ing_out_file_open(struct ing_out_file *file, const struct nx_fs *fs, const char *dir,
                              const char *name)
{
    char *path = nx_path_join(dir, name);
    if (!path)
        return NX_ERR_NOMEM;
    *file = (struct ing_out_file){.fs = fs, .fd = -1};
    nx_buf_init(&file->buf, SIZE_MAX / 4);
    enum nx_err err = fs->open(fs, path, NX_FILE_CREATE, &file->fd);
    if (err != NX_OK)
        *file = (struct ing_out_file){.fs = NULL};
    nx_free(path);
    return err;
}

enum nx_err ing_out_file_flush(struct ing_out_file *file, size_t at_least)
{
    enum nx_err err = nx_buf_err(&file->buf);
    if (err != NX_OK || file->buf.len < at_least || file->buf.len == 0)
        return err;
    err = file->fs->write(file->fs, file->fd, file->buf.data, file->buf.len);
    if (err != NX_OK)
        return err;
    file->written += file->buf.len;
    nx_buf_clear(&file->buf);
    return NX_OK;
}

void ing_out_file_pad(struct ing_out_file *file, size_t align)
{
    while (ing_out_file_position(file) % align != 0 && nx_buf_err(&file->buf) == NX_OK)
        nx_buf_put_u8(&file->buf, 0);
}

enum nx_err ing_out_file_finish(struct ing_out_file *file)
{
    enum nx_err err = ing_out_file_flush(file, 0);
    if (err == NX_OK)
        err = file->fs->sync(file->fs, file->fd);
    ing_out_file_release(file);
    return err;
}

void ing_out_file_release(struct ing_out_file *file)
{
    if (!file->fs)
        return;
    if (file->fd >= 0)
        (void)file->fs->close(file->fs, file->fd);
    nx_buf_release(&file->buf);
    *file = (struct ing_out_file){.fs = NULL};
}
