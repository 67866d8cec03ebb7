/* common/base/file.h on the disk of the current process: stands in for common/base/file.c and
 * file_read.c. Descriptors begin far above the system's, so that a close(2) meant for one of them
 * finds nothing. Writes go to the end, which is where the program writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "tests/sim/disk_internal.h"
#include "tests/sim/mutants.h"
#include "tests/sim/process.h"

#define FIRST_DESCRIPTOR (1 << 24)

static struct sim_disk *disk(void)
{
    sim_check(sim_current() != NULL, "a file outside of a process");
    return sim_current()->disk;
}

/* --- paths --- */

/* The directory that holds the last part of the path, which *name is then; NULL: there is none. */
static struct sim_inode *parent_of(const char *path, const char **name)
{
    struct sim_inode *at = disk()->root;
    while (at && at->is_dir) {
        while (*path == '/')
            path++;
        const char *end = strchrnul(path, '/');
        if (!*end) {
            *name = path;
            return at;
        }
        at = sim_dir_find(at, path, (size_t)(end - path));
        path = end;
    }
    return NULL;
}

static struct sim_inode *lookup(const char *path)
{
    const char *name = NULL;
    struct sim_inode *dir = parent_of(path, &name);
    if (!dir)
        return NULL;
    return *name ? sim_dir_find(dir, name, strlen(name)) : dir;
}

static struct sim_inode *of(int fd)
{
    sim_check(fd >= FIRST_DESCRIPTOR && fd < FIRST_DESCRIPTOR + SIM_DESCRIPTORS,
              "a descriptor of the disk");
    struct sim_inode *inode = disk()->open[fd - FIRST_DESCRIPTOR].inode;
    sim_check(inode != NULL, "an open descriptor");
    return inode;
}

static enum nx_err open_inode(struct sim_inode *inode, int *fd)
{
    for (int i = 0; i < SIM_DESCRIPTORS; i++) {
        if (disk()->open[i].inode)
            continue;
        nx_refcount_take(&inode->refs);
        disk()->open[i].inode = inode;
        *fd = FIRST_DESCRIPTOR + i;
        return NX_OK;
    }
    sim_check(false, "too many open files");
    return NX_ERR_IO;
}

static bool fails(double probability)
{
    return sim_chance(probability);
}

/* --- struct nx_fs --- */

static enum nx_err fs_open(const struct nx_fs *fs, const char *path, enum nx_file_mode mode,
                           int *fd)
{
    (void)fs;
    const char *name = NULL;
    struct sim_inode *dir = parent_of(path, &name);
    if (!dir)
        return NX_ERR_NOT_FOUND;
    struct sim_inode *inode = sim_dir_find(dir, name, strlen(name));
    if (!inode && mode == NX_FILE_READ)
        return NX_ERR_NOT_FOUND;
    if (inode && mode == NX_FILE_CREATE)
        return NX_ERR_EXISTS;
    if (inode)
        return open_inode(inode, fd);
    if (disk()->full)
        return NX_ERR_NOSPACE;
    inode = sim_inode_new(disk(), false);
    sim_dir_change(dir, disk()->next_number++, name, inode, NULL);
    enum nx_err err = open_inode(inode, fd);
    sim_inode_drop(inode);
    return err;
}

static enum nx_err fs_write(const struct nx_fs *fs, int fd, const void *bytes, size_t len)
{
    (void)fs;
    bool full = disk()->full;
    if (full || fails(disk()->write_failures)) {
        sim_file_append(of(fd), bytes, sim_below(len + 1));
        return full ? NX_ERR_NOSPACE : NX_ERR_IO;
    }
    sim_file_append(of(fd), bytes, len);
    return NX_OK;
}

static enum nx_err fs_sync(const struct nx_fs *fs, int fd)
{
    (void)fs;
    if (fails(disk()->sync_failures))
        return NX_ERR_IO;
    if (!sim_mutant_skips_sync(false))
        sim_file_sync(of(fd));
    return NX_OK;
}

static enum nx_err fs_truncate(const struct nx_fs *fs, int fd, uint64_t size_bytes)
{
    (void)fs;
    if (fails(disk()->write_failures))
        return NX_ERR_IO;
    sim_file_truncate(of(fd), (size_t)size_bytes);
    return NX_OK;
}

static enum nx_err fs_close(const struct nx_fs *fs, int fd)
{
    (void)fs;
    struct sim_inode *inode = of(fd);
    disk()->open[fd - FIRST_DESCRIPTOR].inode = NULL;
    sim_inode_drop(inode);
    return NX_OK;
}

static bool is_empty(const struct sim_inode *inode)
{
    return !inode->is_dir || inode->now.count == 0;
}

static enum nx_err fs_rename(const struct nx_fs *fs, const char *from, const char *to)
{
    (void)fs;
    const char *from_name = NULL, *to_name = NULL;
    struct sim_inode *from_dir = parent_of(from, &from_name);
    struct sim_inode *to_dir = parent_of(to, &to_name);
    struct sim_inode *inode = from_dir ? lookup(from) : NULL;
    if (!inode || !to_dir)
        return NX_ERR_NOT_FOUND;
    const struct sim_inode *there = lookup(to);
    if (there && !is_empty(there))
        return NX_ERR_EXISTS;
    uint64_t number = disk()->next_number++;
    nx_refcount_take(&inode->refs);
    sim_dir_change(from_dir, number, from_name, NULL, to_dir);
    sim_dir_change(to_dir, number, to_name, inode, from_dir);
    sim_inode_drop(inode);
    return NX_OK;
}

static enum nx_err fs_unlink(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    const char *name = NULL;
    struct sim_inode *dir = parent_of(path, &name);
    if (!dir || !sim_dir_find(dir, name, strlen(name)))
        return NX_ERR_NOT_FOUND;
    sim_dir_change(dir, disk()->next_number++, name, NULL, NULL);
    return NX_OK;
}

static enum nx_err fs_mkdir(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    struct sim_inode *at = disk()->root;
    while (at->is_dir) {
        while (*path == '/')
            path++;
        if (!*path)
            return NX_OK;
        const char *end = strchrnul(path, '/');
        struct sim_inode *next = sim_dir_find(at, path, (size_t)(end - path));
        if (!next) {
            char name[256];
            (void)snprintf(name, sizeof name, "%.*s", (int)(end - path), path);
            next = sim_inode_new(disk(), true);
            sim_dir_change(at, disk()->next_number++, name, next, NULL);
            sim_inode_drop(next); /* the directory holds it */
        }
        at = next;
        path = end;
    }
    return NX_ERR_EXISTS;
}

/* From the leaves up, each name a change of its own, as rmdir(2) and unlink(2) do it. */
static void remove_below(struct sim_inode *dir)
{
    while (dir->now.count > 0) {
        struct sim_entry *entry = &dir->now.items[dir->now.count - 1];
        char name[256];
        (void)snprintf(name, sizeof name, "%s", entry->name);
        if (entry->inode->is_dir)
            remove_below(entry->inode);
        sim_dir_change(dir, disk()->next_number++, name, NULL, NULL);
    }
}

static enum nx_err fs_rmdir(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    const char *name = NULL;
    struct sim_inode *dir = parent_of(path, &name);
    struct sim_inode *inode = dir ? lookup(path) : NULL;
    if (!inode)
        return NX_ERR_NOT_FOUND;
    if (!inode->is_dir)
        return NX_ERR_IO;
    remove_below(inode);
    sim_dir_change(dir, disk()->next_number++, name, NULL, NULL);
    return NX_OK;
}

static enum nx_err fs_sync_dir(const struct nx_fs *fs, const char *path)
{
    (void)fs;
    struct sim_inode *dir = lookup(path);
    if (!dir)
        return NX_ERR_NOT_FOUND;
    if (fails(disk()->sync_failures))
        return NX_ERR_IO;
    if (!sim_mutant_skips_sync(true))
        sim_dir_sync(dir);
    return NX_OK;
}

static enum nx_err fs_write_behind(const struct nx_fs *fs, int fd, uint64_t offset, uint64_t len)
{
    (void)fs;
    (void)fd;
    (void)offset;
    (void)len;
    return fails(disk()->sync_failures) ? NX_ERR_IO : NX_OK;
}

const struct nx_fs *nx_fs_posix(void)
{
    static const struct nx_fs fs = {
        .open = fs_open,
        .write = fs_write,
        .sync = fs_sync,
        .truncate = fs_truncate,
        .close = fs_close,
        .rename = fs_rename,
        .unlink = fs_unlink,
        .mkdir = fs_mkdir,
        .rmdir = fs_rmdir,
        .sync_dir = fs_sync_dir,
        .write_behind = fs_write_behind,
    };
    return &fs;
}

/* --- reading --- */

enum nx_err nx_file_size(int fd, uint64_t *size_bytes)
{
    *size_bytes = of(fd)->len;
    return NX_OK;
}

enum nx_err nx_file_pread(int fd, uint64_t offset, void *bytes, size_t len, size_t *got)
{
    const struct sim_inode *inode = of(fd);
    size_t there = offset < inode->len ? inode->len - (size_t)offset : 0;
    *got = len < there ? len : there;
    if (*got > 0)
        memcpy(bytes, inode->bytes + offset, *got);
    return NX_OK;
}

enum nx_err nx_file_read_all(const char *path, size_t max_bytes, char **bytes, size_t *len)
{
    const struct sim_inode *inode = lookup(path);
    if (!inode || inode->is_dir)
        return NX_ERR_NOT_FOUND;
    if (inode->len > max_bytes)
        return NX_ERR_TOO_LARGE;
    char *copy = nx_alloc(inode->len + 1);
    if (inode->len > 0)
        memcpy(copy, inode->bytes, inode->len);
    *bytes = copy;
    *len = inode->len;
    return NX_OK;
}

/* A copy: what is mapped does not change any more. */
enum nx_err nx_file_map(const char *path, struct nx_view *out)
{
    char *bytes = NULL;
    size_t len = 0;
    enum nx_err err = nx_file_read_all(path, SIZE_MAX, &bytes, &len);
    if (err != NX_OK)
        return err;
    if (len == 0) {
        nx_free(bytes);
        bytes = NULL;
    }
    *out = (struct nx_view){.ptr = bytes, .len = len};
    return NX_OK;
}

void nx_file_unmap(struct nx_view mapping)
{
    void *bytes;
    memcpy(&bytes, &mapping.ptr, sizeof bytes);
    nx_free(bytes);
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

enum nx_err nx_dir_list(const char *path, char ***names, size_t *count)
{
    const struct sim_inode *dir = lookup(path);
    if (!dir || !dir->is_dir)
        return NX_ERR_NOT_FOUND;
    char **list = sim_process_calloc(dir->now.count + 1, sizeof *list);
    for (size_t i = 0; i < dir->now.count; i++)
        list[i] = nx_strdup(dir->now.items[i].name);
    qsort(list, dir->now.count, sizeof *list, compare_names);
    *names = list;
    *count = dir->now.count;
    return NX_OK;
}

void nx_dir_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        nx_free(names[i]);
    nx_free(names);
}

enum nx_err nx_dir_lock(const char *path, int *fd)
{
    if (!lookup(path))
        return NX_ERR_NOT_FOUND;
    *fd = FIRST_DESCRIPTOR + SIM_DESCRIPTORS; /* nobody else is on this disk */
    return NX_OK;
}

enum nx_err nx_file_link(const char *from, const char *to)
{
    const char *name = NULL;
    struct sim_inode *inode = lookup(from);
    struct sim_inode *dir = parent_of(to, &name);
    if (!inode || !dir)
        return NX_ERR_NOT_FOUND;
    if (lookup(to))
        return NX_ERR_EXISTS;
    sim_dir_change(dir, disk()->next_number++, name, inode, NULL);
    return NX_OK;
}

char *nx_path_join(const char *dir, const char *name)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    size_t size = len + strlen(name) + 2;
    char *out = nx_alloc(size);
    (void)snprintf(out, size, "%.*s%s%s", (int)len, dir, len > 0 && dir[len - 1] != '/' ? "/" : "",
                   name);
    return out;
}
