/* The identity is a file of 12 bytes: the number and its checksum. */
#include "ingester/datadir.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "common/base/rand.h"

#define IDENTITY_BYTES 12

/* The directory above it, "." for a bare name; false for the root and for ".". */
static bool go_up(char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len <= 1 && (path[0] == '/' || path[0] == '.'))
        return false;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0)
        path[len++] = '.';
    path[len] = '\0';
    return true;
}

/* The directory may be new, and those above it: without their names in the ones above nothing below
 * is found again after a power cut. One that cannot be synced (it may be unreadable) was not made
 * here. */
static enum nx_err sync_names(const struct nx_fs *fs, const char *dir)
{
    char *path = nx_strdup(dir);
    if (!path)
        return NX_ERR_NOMEM;
    while (go_up(path))
        (void)fs->sync_dir(fs, path);
    nx_free(path);
    return NX_OK;
}

enum nx_err ing_datadir_lock(const struct nx_fs *fs, const char *dir, int *lock_fd,
                             struct nx_fail *fail)
{
    enum nx_err err = fs->mkdir(fs, dir);
    if (err == NX_ERR_EXISTS)
        return nx_fail_set(fail, err, "storage.data-dir %s: expected a directory, got a file", dir);
    if (err == NX_ERR_NOT_FOUND)
        return nx_fail_set(
            fail, err, "storage.data-dir %s: expected a directory, or a name in one that exists",
            dir);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "storage.data-dir %s: %s", dir, nx_err_text(err));
    err = sync_names(fs, dir);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "storage.data-dir %s: %s", dir, nx_err_text(err));
    err = nx_dir_lock(dir, lock_fd);
    if (err == NX_ERR_EXISTS)
        return nx_fail_set(fail, err, "storage.data-dir %s is in use by another process", dir);
    if (err != NX_OK)
        return nx_fail_set(fail, err, "storage.data-dir %s: cannot be locked: %s", dir,
                           nx_err_text(err));
    return NX_OK;
}

static bool identity_read(const char *path, uint64_t *out)
{
    char *bytes;
    size_t len;
    if (nx_file_read_all(path, IDENTITY_BYTES, &bytes, &len) != NX_OK)
        return false;
    struct nx_cursor cur = nx_cursor_of(nx_view_make(bytes, len));
    uint64_t number = nx_cursor_u64(&cur);
    uint32_t crc = nx_cursor_u32(&cur);
    bool good = nx_cursor_ok(&cur) && crc == nx_crc32c(0, bytes, 8) && number != 0;
    nx_free(bytes);
    if (good)
        *out = number;
    return good;
}

static enum nx_err identity_write(const struct nx_fs *fs, const char *dir, const char *path,
                                  uint64_t number)
{
    struct nx_buf buf;
    nx_buf_init(&buf, IDENTITY_BYTES);
    nx_buf_put_u64(&buf, number);
    if (nx_buf_err(&buf) == NX_OK)
        nx_buf_put_u32(&buf, nx_crc32c(0, buf.data, buf.len));
    enum nx_err err = nx_buf_err(&buf);
    char *tmp = nx_path_join(dir, "incarnation.tmp");
    int fd;
    if (!tmp)
        err = NX_ERR_NOMEM;
    if (err == NX_OK) {
        enum nx_err gone = fs->unlink(fs, tmp);
        err = gone == NX_ERR_NOT_FOUND ? NX_OK : gone;
    }
    if (err == NX_OK)
        err = fs->open(fs, tmp, NX_FILE_CREATE, &fd);
    if (err == NX_OK) {
        err = fs->write(fs, fd, buf.data, buf.len);
        if (err == NX_OK)
            err = fs->sync(fs, fd);
        (void)fs->close(fs, fd);
    }
    if (err == NX_OK)
        err = fs->rename(fs, tmp, path);
    if (err == NX_OK)
        err = fs->sync_dir(fs, dir);
    nx_free(tmp);
    nx_buf_release(&buf);
    return err;
}

enum nx_err ing_datadir_incarnation(const struct nx_fs *fs, const char *dir, uint64_t *out,
                                    bool *fresh)
{
    char *path = nx_path_join(dir, "incarnation");
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = NX_OK;
    uint64_t number;
    bool found = identity_read(path, &number);
    if (!found) {
        struct nx_rand rand;
        nx_rand_system(&rand);
        do
            number = nx_rand_u64(&rand);
        while (number == 0);
        err = identity_write(fs, dir, path, number);
    }
    nx_free(path);
    if (err == NX_OK) {
        *out = number;
        *fresh = !found;
    }
    return err;
}
