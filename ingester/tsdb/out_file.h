/* A file that is written from its beginning to its end through a buffer. One thread; blocking. */
#ifndef ING_TSDB_OUT_FILE_H
#define ING_TSDB_OUT_FILE_H

#include "common/base/buf.h"
#include "common/base/file.h"

struct ing_out_file {
    const struct nx_fs *fs;
    int fd; /* -1: not open */
    uint64_t written;
    struct nx_buf buf; /* append to it, then call ing_out_file_flush now and then */
};

/* Creates <dir>/<name>. */
enum nx_err ing_out_file_open(struct ing_out_file *file, const struct nx_fs *fs, const char *dir,
                              const char *name) NX_WARN_UNUSED;
static inline uint64_t ing_out_file_position(const struct ing_out_file *file)
{
    return file->written + file->buf.len;
}
/* Writes the buffer once it holds `at_least` bytes. */
enum nx_err ing_out_file_flush(struct ing_out_file *file, size_t at_least) NX_WARN_UNUSED;
/* Zeros up to a multiple of `align`. */
void ing_out_file_pad(struct ing_out_file *file, size_t align);
/* Writes the rest, syncs and closes. */
enum nx_err ing_out_file_finish(struct ing_out_file *file) NX_WARN_UNUSED;
/* Closes it however it stands; for a file that was never opened (all zero) too. */
void ing_out_file_release(struct ing_out_file *file);

#endif
