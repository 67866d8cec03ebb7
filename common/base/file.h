/* File I/O behind an interface, so that tests can fail or cut the n-th write, fsync or rename.
 * All calls block: they belong on a lane (net/lane.h) or before the loops run. */
#ifndef NX_BASE_FILE_H
#define NX_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/view.h"

enum nx_file_mode {
    NX_FILE_READ,   /* existing file, read only */
    NX_FILE_CREATE, /* new file, must not exist; read and write */
    NX_FILE_APPEND, /* existing or new, writes go to the end; read and write */
};

/* A file system. `nx_fs_posix()` is the real one. Each call is all or nothing as its caller sees
 * it, save write, which on failure may have written a part. Descriptors are ordinary ones. */
struct nx_fs {
    enum nx_err (*open)(const struct nx_fs *fs, const char *path, enum nx_file_mode mode, int *fd);
    /* Writes all of it, or fails. */
    enum nx_err (*write)(const struct nx_fs *fs, int fd, const void *bytes, size_t len);
    enum nx_err (*sync)(const struct nx_fs *fs, int fd); /* fdatasync */
    enum nx_err (*truncate)(const struct nx_fs *fs, int fd, uint64_t size_bytes);
    enum nx_err (*close)(const struct nx_fs *fs, int fd);
    enum nx_err (*rename)(const struct nx_fs *fs, const char *from, const char *to);
    enum nx_err (*unlink)(const struct nx_fs *fs, const char *path);
    enum nx_err (*mkdir)(const struct nx_fs *fs,
                         const char *path); /* and its parents; existing is ok */
    enum nx_err (*rmdir)(const struct nx_fs *fs, const char *path); /* and everything below it */
    enum nx_err (*sync_dir)(const struct nx_fs *fs, const char *path);
    /* [offset, offset + len) was just written at the end of the file: it begins its way to the disk
     * now, and the `len` bytes before it have come there (so that a file that grows never holds
     * much that others' syncs have to wait for). Promises nothing; only sync does. On failure the
     * file is not to be trusted: the error may not be told again. */
    enum nx_err (*write_behind)(const struct nx_fs *fs, int fd, uint64_t offset, uint64_t len);
};

const struct nx_fs *nx_fs_posix(void);

/* Reading needs no fault layer of its own: damaged content is what tests write into the files. */
enum nx_err nx_file_size(int fd, uint64_t *size_bytes) NX_WARN_UNUSED;
/* Up to `len` bytes at `offset`; *got is short only at the end of the file. */
enum nx_err nx_file_pread(int fd, uint64_t offset, void *bytes, size_t len,
                          size_t *got) NX_WARN_UNUSED;
/* The whole file in memory of nx_alloc; NX_ERR_TOO_LARGE beyond max_bytes. */
enum nx_err nx_file_read_all(const char *path, size_t max_bytes, char **bytes,
                             size_t *len) NX_WARN_UNUSED;
/* A read-only shared mapping of the whole file; an empty file gives {NULL, 0}. */
enum nx_err nx_file_map(const char *path, struct nx_view *out) NX_WARN_UNUSED;
void nx_file_unmap(struct nx_view mapping);

/* The entries of a directory, without "." and "..", sorted by name; free with nx_dir_free. A
 * missing directory is NX_ERR_NOT_FOUND. */
enum nx_err nx_dir_list(const char *path, char ***names, size_t *count) NX_WARN_UNUSED;
void nx_dir_free(char **names, size_t count);
/* An exclusive advisory lock on `path`/lock, held until the process ends or the descriptor is
 * closed; NX_ERR_EXISTS where another process holds it. */
enum nx_err nx_dir_lock(const char *path, int *fd) NX_WARN_UNUSED;

/* A second name for a file on the same file system; NX_ERR_EXISTS where the name is taken. */
enum nx_err nx_file_link(const char *from, const char *to) NX_WARN_UNUSED;

/* "a/b" into a new string (nx_free), NULL without memory. */
char *nx_path_join(const char *dir, const char *name);

#endif
