/* The POSIX file system behind struct nx_fs. */
#include "common/base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/alloc.h"

enum { REMOVE_DEPTH_MAX = 32 };

static enum nx_err last_error(void)
{
    return nx_err_from_errno(errno);
}

static enum nx_err posix_open(const struct nx_fs *fs, const char *path, enum nx_file_mode mode,
                              int *fd)
{
    (void)fs;
    int flags = O_CLOEXEC;
    switch (mode) {
    case NX_FILE_READ:
        flags |= O_RDONLY;
        break;
    case NX_FILE_CREATE:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
    case NX_FILE_APPEND:
        flags |= O_RDWR | O_CREAT | O_APPEND;
        break;
    }
    int got = open(path, flags, 0640);
    if (got < 0)
        return last_error();
    *fd = got;
    return NX_OK;
}

static enum nx_err posix_write(const struct nx_fs *fs, int fd, const void *bytes, size_t len)
{
    (void)fs;
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? last_error() : NX_ERR_IO;
        p += n;
        len -= (size_t)n;
    }
    return NX_OK;
}

static enum nx_err posix_sync(const struct nx_fs *fs, int fd)
{
    (void)fs;
    return fdatasync(fd) == 0 ? NX_OK : last_error();
}

static enum nx_err posix_truncate(const struct nx_fs *fs, int fd, uint64_t size_bytes)
{
    (void)fs;
    if (size_bytes > INT64_MAX)
        return NX_ERR_TOO_LARGE;
    return ftruncate(fd, (off_t)size_bytes) == 0 ? NX_OK : last_error();
}

static enum nx_err posix_close(const struct nx_fs *fs, int fd)
{
    (void)fs;
    /* After EINTR the descriptor is closed all the same (Linux). */
    return close(fd) == 0 || errno == EINTR ? NX_OK : last_error();
}

static enum nx_err posix_rename(const struct nx_fs *fs, const char *from, const char *to)
{
    (void)fs;
    return rename(from, to) == 0 ? NX_OK : last_error();
}

static enum nx_err posix_unlink(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    return unlink(path) == 0 ? NX_OK : last_error();
}

static enum nx_err make_one_dir(const char *path)
{
    if (mkdir(path, 0750) == 0)
        return NX_OK;
    int reason = errno;
    struct stat st;
    if (reason == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return NX_OK;
    return nx_err_from_errno(reason);
}

static enum nx_err posix_mkdir(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return len == 0 ? NX_ERR_INVALID : NX_ERR_TOO_LARGE;
    memcpy(part, path, len + 1);
    for (size_t i = 1; i < len; i++) {
        if (part[i] != '/')
            continue;
        part[i] = '\0';
        enum nx_err err = make_one_dir(part);
        if (err != NX_OK)
            return err;
        part[i] = '/';
    }
    return make_one_dir(path);
}

static enum nx_err remove_entry(int dir_fd, const char *name, unsigned depth);

/* Removes what is in the directory behind `fd`, which it closes. */
static enum nx_err remove_contents(int fd, unsigned depth)
{
    DIR *dir = fdopendir(fd);
    if (!dir) {
        enum nx_err err = last_error();
        close(fd);
        return err;
    }
    enum nx_err err = NX_OK;
    while (err == NX_OK) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            err = nx_err_from_errno(errno);
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = remove_entry(fd, entry->d_name, depth);
    }
    closedir(dir);
    return err;
}

static enum nx_err remove_entry(int dir_fd, const char *name, unsigned depth)
{
    if (unlinkat(dir_fd, name, 0) == 0)
        return NX_OK;
    if (errno != EISDIR && errno != EPERM)
        return last_error();
    if (depth >= REMOVE_DEPTH_MAX)
        return NX_ERR_LIMIT;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    enum nx_err err = remove_contents(fd, depth + 1);
    if (err == NX_OK && unlinkat(dir_fd, name, AT_REMOVEDIR) != 0)
        err = last_error();
    return err;
}

static enum nx_err posix_rmdir(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    enum nx_err err = remove_contents(fd, 0);
    if (err == NX_OK && rmdir(path) != 0)
        err = last_error();
    return err;
}

static enum nx_err posix_sync_dir(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return last_error();
    enum nx_err err = fsync(fd) == 0 ? NX_OK : last_error();
    close(fd);
    return err;
}

static enum nx_err posix_write_behind(const struct nx_fs *fs, int fd, uint64_t offset, uint64_t len)
{
    (void)fs;
    uint64_t before = offset < len ? 0 : offset - len;
    if (offset > INT64_MAX - len)
        return NX_ERR_TOO_LARGE;
    int rc = sync_file_range(fd, (off_t)offset, (off_t)len, SYNC_FILE_RANGE_WRITE);
    if (rc == 0 && before < offset)
        rc = sync_file_range(fd, (off_t)before, (off_t)(offset - before),
                             SYNC_FILE_RANGE_WAIT_BEFORE);
    /* a file system that cannot: the sync at the end does it all */
    return rc == 0 || errno == ENOSYS || errno == ESPIPE ? NX_OK : last_error();
}

const struct nx_fs *nx_fs_posix(void)
{
    static const struct nx_fs fs = {
        .open = posix_open,
        .write = posix_write,
        .sync = posix_sync,
        .truncate = posix_truncate,
        .close = posix_close,
        .rename = posix_rename,
        .unlink = posix_unlink,
        .mkdir = posix_mkdir,
        .rmdir = posix_rmdir,
        .sync_dir = posix_sync_dir,
        .write_behind = posix_write_behind,
    };
    return &fs;
}

enum nx_err nx_file_link(const char *from, const char *to)
{
    return link(from, to) == 0 ? NX_OK : nx_err_from_errno(errno);
}
