/* A generation's directory is written under a temporary name and renamed when everything in it is
 * synced, so that exactly one is in force at any time. */
#include "ingester/wal/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/hash.h"
#include "ingester/wal/segment.h"

#define META_MAGIC UINT32_C(0x4d57584e) /* "NXWM" */
#define META_BYTES 16
#define SHARDS_MAX 4096u
#define NAME_MAX_BYTES 48

static void generation_name(uint64_t generation, bool unfinished, char out[NAME_MAX_BYTES])
{
    (void)snprintf(out, NAME_MAX_BYTES, "gen-%08" PRIu64 "%s", generation,
                   unfinished ? ".tmp" : "");
}

static char *generation_dir(const char *wal_dir, uint64_t generation, bool unfinished)
{
    char name[NAME_MAX_BYTES];
    generation_name(generation, unfinished, name);
    return nx_path_join(wal_dir, name);
}

char *ing_wal_shard_dir(const char *wal_dir, uint64_t generation, bool unfinished, uint32_t shard)
{
    char name[NAME_MAX_BYTES];
    (void)snprintf(name, sizeof name, "shard-%04" PRIu32, shard);
    char *base = generation_dir(wal_dir, generation, unfinished);
    char *path = base ? nx_path_join(base, name) : NULL;
    nx_free(base);
    return path;
}

static enum nx_err remove_in(const struct nx_fs *fs, const char *dir, const char *name)
{
    char *path = nx_path_join(dir, name);
    if (!path)
        return NX_ERR_NOMEM;
    enum nx_err err = fs->rmdir(fs, path);
    nx_free(path);
    return err;
}

/* The number in `prefix` digits `suffix`; anything else is another file. */
static bool name_number(const char *name, const char *prefix, const char *suffix, uint64_t *out)
{
    size_t prefix_len = strlen(prefix);
    if (strncmp(name, prefix, prefix_len) != 0)
        return false;
    const char *at = name + prefix_len;
    uint64_t number = 0;
    for (; *at >= '0' && *at <= '9'; at++) {
        if (number > UINT64_MAX / 100)
            return false;
        number = number * 10 + (uint64_t)(*at - '0');
    }
    if (at == name + prefix_len || strcmp(at, suffix) != 0)
        return false;
    *out = number;
    return true;
}

static void meta_read(const char *dir, struct ing_wal_layout *layout)
{
    char *path = nx_path_join(dir, "meta");
    char *bytes = NULL;
    size_t len = 0;
    if (path && nx_file_read_all(path, META_BYTES, &bytes, &len) == NX_OK && len == META_BYTES) {
        struct nx_cursor cur = nx_cursor_of(nx_view_make(bytes, len));
        uint32_t magic = nx_cursor_u32(&cur);
        uint32_t shards = nx_cursor_u32(&cur);
        uint32_t partitions = nx_cursor_u32(&cur);
        if (magic == META_MAGIC && nx_cursor_u32(&cur) == nx_crc32c(0, bytes, META_BYTES - 4)) {
            layout->shards = shards;
            layout->partitions = partitions;
        }
    }
    nx_free(bytes);
    nx_free(path);
}

static enum nx_err count_shards(const char *dir, struct ing_wal_layout *layout)
{
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(dir, &names, &count);
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        if (name_number(names[i], "shard-", "", &number) && number < SHARDS_MAX &&
            number >= layout->shard_dirs)
            layout->shard_dirs = (uint32_t)number + 1;
    }
    nx_dir_free(names, count);
    return NX_OK;
}

enum nx_err ing_wal_layout_find(const struct nx_fs *fs, const char *wal_dir,
                                struct ing_wal_layout *out)
{
    struct ing_wal_layout layout = {0};
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(wal_dir, &names, &count);
    if (err == NX_ERR_NOT_FOUND) {
        *out = layout;
        return NX_OK;
    }
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        if (name_number(names[i], "gen-", "", &number) && number > layout.generation)
            layout.generation = number;
    }
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        uint64_t number;
        bool older = name_number(names[i], "gen-", "", &number) && number < layout.generation;
        if (older || name_number(names[i], "gen-", ".tmp", &number))
            err = remove_in(fs, wal_dir, names[i]);
    }
    nx_dir_free(names, count);
    if (err == NX_OK && layout.generation > 0) {
        char *dir = generation_dir(wal_dir, layout.generation, false);
        if (dir)
            meta_read(dir, &layout);
        err = dir ? count_shards(dir, &layout) : NX_ERR_NOMEM;
        nx_free(dir);
    }
    if (err == NX_OK)
        *out = layout;
    return err;
}

static enum nx_err meta_write(const struct nx_fs *fs, const char *dir,
                              const struct ing_wal_layout *layout)
{
    struct nx_buf buf;
    nx_buf_init(&buf, META_BYTES);
    nx_buf_put_u32(&buf, META_MAGIC);
    nx_buf_put_u32(&buf, layout->shards);
    nx_buf_put_u32(&buf, layout->partitions);
    if (nx_buf_err(&buf) == NX_OK)
        nx_buf_put_u32(&buf, nx_crc32c(0, buf.data, buf.len));
    enum nx_err err = nx_buf_err(&buf);
    char *path = nx_path_join(dir, "meta");
    int fd;
    if (!path)
        err = NX_ERR_NOMEM;
    if (err == NX_OK)
        err = fs->open(fs, path, NX_FILE_CREATE, &fd);
    if (err == NX_OK) {
        err = fs->write(fs, fd, buf.data, buf.len);
        if (err == NX_OK)
            err = fs->sync(fs, fd);
        (void)fs->close(fs, fd);
    }
    nx_free(path);
    nx_buf_release(&buf);
    return err;
}

enum nx_err ing_wal_generation_begin(const struct nx_fs *fs, const char *wal_dir,
                                     const struct ing_wal_layout *layout)
{
    char *dir = generation_dir(wal_dir, layout->generation, true);
    enum nx_err err = dir ? fs->mkdir(fs, dir) : NX_ERR_NOMEM;
    for (uint32_t i = 0; i < layout->shards && err == NX_OK; i++) {
        char *shard = ing_wal_shard_dir(wal_dir, layout->generation, true, i);
        err = shard ? fs->mkdir(fs, shard) : NX_ERR_NOMEM;
        nx_free(shard);
    }
    if (err == NX_OK)
        err = meta_write(fs, dir, layout);
    if (err == NX_OK)
        err = fs->sync_dir(fs, dir);
    nx_free(dir);
    return err;
}

enum nx_err ing_wal_generation_finish(const struct nx_fs *fs, const char *wal_dir,
                                      const struct ing_wal_layout *layout)
{
    char *from = generation_dir(wal_dir, layout->generation, true);
    char *to = generation_dir(wal_dir, layout->generation, false);
    enum nx_err err = from && to ? fs->rename(fs, from, to) : NX_ERR_NOMEM;
    if (err == NX_OK)
        err = fs->sync_dir(fs, wal_dir);
    nx_free(from);
    nx_free(to);
    if (err == NX_OK && layout->generation > 1) {
        char name[NAME_MAX_BYTES];
        generation_name(layout->generation - 1, false, name);
        err = remove_in(fs, wal_dir, name);
    }
    return err;
}

static int file_cmp(const void *a, const void *b)
{
    const struct ing_wal_file *x = a;
    const struct ing_wal_file *y = b;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    if (x->checkpoint != y->checkpoint)
        return x->checkpoint ? -1 : 1;
    return (x->attempt > y->attempt) - (x->attempt < y->attempt);
}

static bool file_parse(const char *name, struct ing_wal_file *out)
{
    *out = (struct ing_wal_file){0};
    if (ing_segment_name_parse(name, &out->segment, &out->attempt))
        return true;
    out->checkpoint = ing_checkpoint_name_parse(name, &out->segment);
    return out->checkpoint;
}

enum nx_err ing_wal_files_list(const char *dir, struct ing_wal_files *out)
{
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(dir, &names, &count);
    if (err == NX_ERR_NOT_FOUND) {
        *out = (struct ing_wal_files){0};
        return NX_OK;
    }
    if (err != NX_OK)
        return err;
    struct ing_wal_files files = {.items = nx_alloc_array(count, sizeof *files.items)};
    uint64_t checkpoint = 0;
    bool found = false;
    for (size_t i = 0; files.items && i < count; i++) {
        struct ing_wal_file file;
        if (!file_parse(names[i], &file))
            continue;
        files.items[files.count++] = file;
        uint64_t next = file.checkpoint ? file.segment : file.segment + 1;
        if (next > files.next_segment)
            files.next_segment = next;
        if (file.checkpoint && (!found || file.segment > checkpoint)) {
            found = true;
            checkpoint = file.segment;
        }
    }
    nx_dir_free(names, count);
    if (!files.items)
        return NX_ERR_NOMEM;
    size_t kept = 0;
    for (size_t i = 0; i < files.count; i++) {
        if (!found || files.items[i].segment >= checkpoint)
            files.items[kept++] = files.items[i];
    }
    files.count = kept;
    qsort(files.items, files.count, sizeof *files.items, file_cmp);
    *out = files;
    return NX_OK;
}

void ing_wal_files_release(struct ing_wal_files *files)
{
    nx_free(files->items);
    *files = (struct ing_wal_files){0};
}

enum nx_err ing_wal_files_remove(const struct nx_fs *fs, const char *dir, uint64_t segment)
{
    char **names;
    size_t count;
    enum nx_err err = nx_dir_list(dir, &names, &count);
    if (err == NX_ERR_NOT_FOUND)
        return NX_OK;
    if (err != NX_OK)
        return err;
    for (size_t i = 0; i < count && err == NX_OK; i++) {
        struct ing_wal_file file;
        size_t len = strlen(names[i]);
        bool unfinished = len > 4 && strcmp(names[i] + len - 4, ".tmp") == 0;
        if (!unfinished && (!file_parse(names[i], &file) || file.segment >= segment))
            continue;
        char *path = nx_path_join(dir, names[i]);
        err = path ? fs->unlink(fs, path) : NX_ERR_NOMEM;
        nx_free(path);
    }
    nx_dir_free(names, count);
    return err;
}
