#include "ingester/repair/held.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)

/* "NXHELD1\n", u32 CRC of the rest, u32 partitions, the bitmap. */
static const char magic[8] = {'N', 'X', 'H', 'E', 'L', 'D', '1', '\n'};

static enum nx_err decode(struct nx_view bytes, uint32_t partitions, uint8_t *bits)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct nx_view head = nx_cursor_take(&cur, sizeof magic);
    uint32_t crc = nx_cursor_u32(&cur);
    struct nx_cursor rest = cur;
    uint32_t count = nx_cursor_u32(&cur);
    struct nx_view body = nx_cursor_take(&cur, (partitions + 7) / 8);
    if (!nx_cursor_ok(&cur) || !nx_view_eq(head, nx_view_make(magic, sizeof magic)) ||
        crc != nx_crc32c(0, rest.ptr, nx_cursor_left(&rest)) || count != partitions ||
        nx_cursor_left(&cur) > 0 || body.len == 0)
        return NX_ERR_CORRUPT;
    memcpy(bits, body.ptr, body.len);
    return NX_OK;
}

enum nx_err ing_held_load(const char *dir, uint32_t partitions, uint8_t *bits)
{
    char *path = nx_path_join(dir, "held");
    char *bytes;
    size_t len;
    enum nx_err err = path ? nx_file_read_all(path, FILE_MAX_BYTES, &bytes, &len) : NX_ERR_NOMEM;
    nx_free(path);
    if (err != NX_OK)
        return err;
    err = decode(nx_view_make(bytes, len), partitions, bits);
    nx_free(bytes);
    return err;
}

static enum nx_err write_file(const struct nx_fs *fs, const char *tmp, const struct nx_buf *buf)
{
    int fd;
    enum nx_err gone = fs->unlink(fs, tmp);
    if (gone != NX_OK && gone != NX_ERR_NOT_FOUND)
        return gone;
    enum nx_err err = fs->open(fs, tmp, NX_FILE_CREATE, &fd);
    if (err != NX_OK)
        return err;
    err = fs->write(fs, fd, buf->data, buf->len);
    if (err == NX_OK)
        err = fs->sync(fs, fd);
    (void)fs->close(fs, fd);
    return err;
}

enum nx_err ing_held_store(const struct nx_fs *fs, const char *dir, uint32_t partitions,
                           const uint8_t *bits)
{
    struct nx_buf buf, body;
    char *path = nx_path_join(dir, "held");
    char *tmp = nx_path_join(dir, "held.tmp");
    nx_buf_init(&buf, FILE_MAX_BYTES);
    nx_buf_init(&body, FILE_MAX_BYTES);
    nx_buf_put_u32(&body, partitions);
    nx_buf_append(&body, bits, (partitions + 7) / 8);
    nx_buf_append(&buf, magic, sizeof magic);
    nx_buf_put_u32(&buf, nx_crc32c(0, body.data, body.len));
    nx_buf_append_view(&buf, nx_buf_view(&body));
    enum nx_err err = nx_buf_err(&body) == NX_OK ? nx_buf_err(&buf) : NX_ERR_NOMEM;
    if (!path || !tmp)
        err = NX_ERR_NOMEM;
    if (err == NX_OK)
        err = write_file(fs, tmp, &buf);
    if (err == NX_OK)
        err = fs->rename(fs, tmp, path);
    if (err == NX_OK)
        err = fs->sync_dir(fs, dir);
    nx_free(path);
    nx_free(tmp);
    nx_buf_release(&buf);
    nx_buf_release(&body);
    return err;
}
