/* The file is written beside the block and renamed; without it, or with a damaged one, nothing is
 * lost but the time to read the block again. */
#include "ingester/repair/block_digest.h"

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/tombstone/mask.h"

#define FILE_MAX_BYTES ((size_t)256 << 20)

static const char magic[8] = {'N', 'X', 'D', 'I', 'G', '1', '\n', '\0'};

/* The last deletion that takes something of the block's time, 0: none. */
static uint64_t last_deletion(const struct ing_block *block,
                              const struct ing_tombstone_list *tombstones)
{
    uint64_t last = 0;
    for (size_t i = 0; i < tombstones->count; i++) {
        struct ing_tombstone_list one = {.items = &tombstones->items[i], .count = 1};
        uint64_t number = tombstones->items[i]->number;
        if (number > last && ing_mask_applies(&one, ing_block_meta(block)))
            last = number;
    }
    return last;
}

/* --- the file --- */

static enum nx_err decode(struct nx_view bytes, uint64_t deletion, uint32_t partitions,
                          struct ing_digest_table *out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    struct nx_view head = nx_cursor_take(&cur, sizeof magic);
    uint32_t crc = nx_cursor_u32(&cur);
    if (!nx_cursor_ok(&cur) || !nx_view_eq(head, nx_view_make(magic, sizeof magic)) ||
        crc != nx_crc32c(0, cur.ptr, nx_cursor_left(&cur)))
        return NX_ERR_CORRUPT;
    uint64_t known = nx_cursor_uvarint(&cur);
    uint64_t slices = nx_cursor_uvarint(&cur);
    if (!nx_cursor_ok(&cur) || known != deletion || slices != partitions)
        return NX_ERR_NOT_FOUND;
    enum nx_err err = ing_digest_table_decode(&cur, partitions, out);
    return err == NX_OK && nx_cursor_left(&cur) > 0 ? NX_ERR_CORRUPT : err;
}

static enum nx_err load(const char *path, uint64_t deletion, uint32_t partitions,
                        struct ing_digest_table *out)
{
    char *bytes;
    size_t len;
    enum nx_err err = nx_file_read_all(path, FILE_MAX_BYTES, &bytes, &len);
    if (err != NX_OK)
        return err;
    err = decode(nx_view_make(bytes, len), deletion, partitions, out);
    nx_free(bytes);
    return err;
}

static enum nx_err write_file(const struct nx_fs *fs, const char *path, const char *tmp,
                              const struct nx_buf *head, const struct nx_buf *body)
{
    int fd;
    enum nx_err gone = fs->unlink(fs, tmp);
    if (gone != NX_OK && gone != NX_ERR_NOT_FOUND)
        return gone;
    enum nx_err err = fs->open(fs, tmp, NX_FILE_CREATE, &fd);
    if (err != NX_OK)
        return err;
    err = fs->write(fs, fd, head->data, head->len);
    if (err == NX_OK)
        err = fs->write(fs, fd, body->data, body->len);
    (void)fs->close(fs, fd);
    /* not synced: the checksum tells whether it has arrived */
    return err == NX_OK ? fs->rename(fs, tmp, path) : err;
}

static void store(const struct nx_fs *fs, const char *path, const char *tmp, uint64_t deletion,
                  uint32_t partitions, struct ing_digest_table *table)
{
    struct nx_buf head, body;
    nx_buf_init(&head, 64);
    nx_buf_init(&body, FILE_MAX_BYTES);
    nx_buf_put_uvarint(&body, deletion);
    nx_buf_put_uvarint(&body, partitions);
    if (ing_digest_table_encode(table, &body) == NX_OK) {
        nx_buf_append(&head, magic, sizeof magic);
        nx_buf_put_u32(&head, nx_crc32c(0, body.data, body.len));
        if (nx_buf_err(&head) == NX_OK && write_file(fs, path, tmp, &head, &body) != NX_OK)
            (void)fs->unlink(fs, tmp);
    }
    nx_buf_release(&head);
    nx_buf_release(&body);
}

/* --- the block --- */

static enum nx_err compute(struct ing_block *block, const struct ing_tombstone_list *tombstones,
                           uint32_t partitions, struct ing_digest_table *out)
{
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_digest_sum sum;
    struct ing_block_iter *iter;
    struct ing_block_series series;
    struct nx_arena arena;
    enum nx_err err = ing_block_select(block, NULL, 0, all, &iter);
    if (err != NX_OK)
        return err;
    bool masked = ing_mask_applies(tombstones, ing_block_meta(block));
    int rc = 0;
    ing_digest_sum_init(&sum, out, partitions);
    nx_arena_init(&arena, 0);
    while (err == NX_OK && (rc = ing_block_iter_next(iter, &series)) == 1) {
        nx_arena_clear(&arena);
        if (masked)
            err = ing_mask_chunks(tombstones, ing_block_meta(block), series.labels, &arena,
                                  series.chunks, &series.chunk_count);
        if (err == NX_OK)
            err = ing_digest_sum_chunks(&sum, series.id, series.chunks, series.chunk_count,
                                        all.min_t, all.max_t);
    }
    nx_arena_release(&arena);
    ing_digest_sum_release(&sum);
    ing_block_iter_free(iter);
    return err == NX_OK ? (enum nx_err)rc : err;
}

enum nx_err ing_block_digest(const struct nx_fs *fs, struct ing_block *block,
                             const struct ing_tombstone_list *tombstones, uint32_t partitions,
                             struct ing_digest_table *out)
{
    uint64_t deletion = last_deletion(block, tombstones);
    char *path = nx_path_join(ing_block_dir(block), "digests");
    char *tmp = nx_path_join(ing_block_dir(block), "digests.tmp");
    enum nx_err err = path && tmp ? load(path, deletion, partitions, out) : NX_ERR_NOMEM;
    if (err != NX_OK && err != NX_ERR_NOMEM) {
        ing_digest_table_clear(out);
        err = compute(block, tombstones, partitions, out);
        if (err == NX_OK)
            store(fs, path, tmp, deletion, partitions, out);
    }
    nx_free(path);
    nx_free(tmp);
    return err;
}
