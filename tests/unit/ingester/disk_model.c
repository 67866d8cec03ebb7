/* Nodes are files and directories; both have a durable state and a list of changes that wait. A
 * change is decided for an image by a hash of the image's seed and the change's number, so that
 * images need no state of their own. The two halves of a move share a number. */
#include "disk_model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "fixture.h"

#define SECTOR 512u

struct entry {
    char *name;
    struct disk_node *node;
};

/* Of a file: a write (bytes) or a truncation (NULL); of a directory: a name's new meaning. */
struct change {
    uint64_t number;
    uint64_t offset; /* the new size, of a truncation */
    char *bytes;
    size_t len;
    char *name;
    struct disk_node *node; /* NULL: the name goes */
    struct disk_node *with; /* the other directory of a move */
};

struct disk_node {
    struct disk_node *next; /* all nodes */
    bool is_dir;
    char *bytes;
    size_t len;
    struct entry *entries;
    size_t entry_count;
    struct change *changes;
    size_t change_count;
};

struct disk_model {
    struct disk_node *root;
    struct disk_node *nodes;
    uint64_t next_number;
};

static void *grow(void *array, size_t count, size_t size)
{
    void *grown = realloc(array, count * size);
    assert_non_null(grown);
    return grown;
}

static struct disk_node *node_new(struct disk_model *disk, bool is_dir)
{
    struct disk_node *node = calloc(1, sizeof *node);
    assert_non_null(node);
    node->is_dir = is_dir;
    node->next = disk->nodes;
    disk->nodes = node;
    return node;
}

struct disk_model *disk_new(void)
{
    struct disk_model *disk = calloc(1, sizeof *disk);
    assert_non_null(disk);
    disk->root = node_new(disk, true);
    return disk;
}

static void change_release(struct change *change)
{
    free(change->bytes);
    free(change->name);
}

void disk_free(struct disk_model *disk)
{
    while (disk->nodes) {
        struct disk_node *node = disk->nodes;
        disk->nodes = node->next;
        for (size_t i = 0; i < node->entry_count; i++)
            free(node->entries[i].name);
        for (size_t i = 0; i < node->change_count; i++)
            change_release(&node->changes[i]);
        free(node->entries);
        free(node->changes);
        free(node->bytes);
        free(node);
    }
    free(disk);
}

/* --- states --- */

struct content {
    char *bytes;
    size_t len;
};

static void content_resize(struct content *content, size_t len)
{
    if (len > content->len) {
        content->bytes = grow(content->bytes, len, 1);
        memset(content->bytes + content->len, 0, len - content->len);
    }
    content->len = len;
}

static uint64_t decide(uint64_t seed, uint64_t number, uint64_t part)
{
    uint64_t key[3] = {seed, number, part};
    return nx_hash64(key, sizeof key);
}

/* `seed` NULL: the whole change. */
static void apply_to_file(struct content *content, const struct change *change,
                          const uint64_t *seed)
{
    uint64_t choice = seed ? decide(*seed, change->number, 0) % 4 : 0;
    if (seed && choice == 1)
        return;
    if (!change->bytes) {
        content_resize(content, (size_t)change->offset);
        return;
    }
    size_t end = (size_t)change->offset + change->len;
    if (seed && choice == 2) /* the beginning only */
        end =
            (size_t)change->offset + (size_t)(decide(*seed, change->number, 1) % (change->len + 1));
    if (content->len < end)
        content_resize(content, end);
    for (size_t at = (size_t)change->offset; at < end;) {
        size_t stop = (at / SECTOR + 1) * SECTOR;
        stop = stop < end ? stop : end;
        if (!seed || choice != 3 || decide(*seed, change->number, 2 + at / SECTOR) % 2)
            memcpy(content->bytes + at, change->bytes + (at - (size_t)change->offset), stop - at);
        at = stop;
    }
}

static void set_entry(struct disk_node *dir, const char *name, struct disk_node *node)
{
    size_t i = 0;
    while (i < dir->entry_count && strcmp(dir->entries[i].name, name) != 0)
        i++;
    if (i < dir->entry_count && !node) {
        free(dir->entries[i].name);
        dir->entries[i] = dir->entries[--dir->entry_count];
    } else if (i < dir->entry_count) {
        dir->entries[i].node = node;
    } else if (node) {
        dir->entries = grow(dir->entries, dir->entry_count + 1, sizeof *dir->entries);
        dir->entries[dir->entry_count++] = (struct entry){.name = strdup(name), .node = node};
    }
}

static struct disk_node *find_entry(const struct disk_node *dir, const char *name)
{
    for (size_t i = dir->change_count; i-- > 0;)
        if (strcmp(dir->changes[i].name, name) == 0)
            return dir->changes[i].node;
    for (size_t i = 0; i < dir->entry_count; i++)
        if (strcmp(dir->entries[i].name, name) == 0)
            return dir->entries[i].node;
    return NULL;
}

static struct change *add_change(struct disk_node *node, uint64_t number)
{
    node->changes = grow(node->changes, node->change_count + 1, sizeof *node->changes);
    struct change *change = &node->changes[node->change_count++];
    *change = (struct change){.number = number};
    return change;
}

static void change_entry(struct disk_node *dir, uint64_t number, const char *name,
                         struct disk_node *node, struct disk_node *with)
{
    struct change *change = add_change(dir, number);
    change->name = strdup(name);
    change->node = node;
    change->with = with;
}

/* --- paths --- */

/* The directory that holds the last part of the path, and that part; parents that are not known are
 * really there. */
static struct disk_node *parent_of(struct disk_model *disk, const char *path, char name[256])
{
    struct disk_node *dir = disk->root;
    for (;;) {
        while (*path == '/')
            path++;
        size_t len = strcspn(path, "/");
        assert_in_range(len, 1, 255);
        memcpy(name, path, len);
        name[len] = '\0';
        path += len;
        if (path[strspn(path, "/")] == '\0')
            return dir;
        struct disk_node *next = find_entry(dir, name);
        if (!next) {
            next = node_new(disk, true);
            set_entry(dir, name, next);
        }
        dir = next;
    }
}

/* Takes over what is really there, as synced. */
static struct disk_node *adopt(struct disk_model *disk, const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return NULL;
    struct disk_node *node = node_new(disk, S_ISDIR(info.st_mode));
    if (!node->is_dir) {
        char *bytes;
        assert_int_equal(nx_file_read_all(path, SIZE_MAX / 2, &bytes, &node->len), NX_OK);
        node->bytes = grow(NULL, node->len + 1, 1);
        if (node->len > 0)
            memcpy(node->bytes, bytes, node->len);
        nx_free(bytes);
        return node;
    }
    char **names;
    size_t count;
    assert_int_equal(nx_dir_list(path, &names, &count), NX_OK);
    for (size_t i = 0; i < count; i++) {
        char *below = nx_path_join(path, names[i]);
        set_entry(node, names[i], adopt(disk, below));
        nx_free(below);
    }
    nx_dir_free(names, count);
    return node;
}

static struct disk_node *lookup(struct disk_model *disk, const char *path)
{
    char name[256];
    if (strcmp(path, "/") == 0)
        return disk->root;
    struct disk_node *dir = parent_of(disk, path, name);
    struct disk_node *node = find_entry(dir, name);
    if (!node) {
        node = adopt(disk, path);
        if (node)
            set_entry(dir, name, node);
    }
    return node;
}

/* --- changes --- */

struct disk_node *disk_open(struct disk_model *disk, const char *path, bool created)
{
    char name[256];
    if (!created)
        return lookup(disk, path);
    struct disk_node *dir = parent_of(disk, path, name);
    struct disk_node *file = node_new(disk, false);
    change_entry(dir, disk->next_number++, name, file, NULL);
    return file;
}

static struct content state_of(const struct disk_node *file, const uint64_t *seed, size_t changes)
{
    struct content content = {.len = file->len, .bytes = grow(NULL, file->len + 1, 1)};
    if (file->len > 0)
        memcpy(content.bytes, file->bytes, file->len);
    for (size_t i = 0; i < changes; i++)
        apply_to_file(&content, &file->changes[i], seed);
    return content;
}

uint64_t disk_size(const struct disk_node *file)
{
    struct content now = state_of(file, NULL, file->change_count);
    free(now.bytes);
    return now.len;
}

void disk_write(struct disk_model *disk, struct disk_node *file, uint64_t offset, const void *bytes,
                size_t len)
{
    struct change *change = add_change(file, disk->next_number++);
    change->offset = offset;
    change->len = len;
    change->bytes = grow(NULL, len + 1, 1);
    if (len > 0)
        memcpy(change->bytes, bytes, len);
}

void disk_truncate(struct disk_model *disk, struct disk_node *file, uint64_t size)
{
    add_change(file, disk->next_number++)->offset = size;
}

static void drop_changes(struct disk_node *node)
{
    for (size_t i = 0; i < node->change_count; i++)
        change_release(&node->changes[i]);
    node->change_count = 0;
}

void disk_sync(struct disk_node *file)
{
    struct content now = state_of(file, NULL, file->change_count);
    free(file->bytes);
    file->bytes = now.bytes;
    file->len = now.len;
    drop_changes(file);
}

void disk_sync_failed(struct disk_node *file, bool lost)
{
    if (lost)
        drop_changes(file);
}

void disk_rename(struct disk_model *disk, const char *from, const char *to)
{
    char from_name[256];
    char to_name[256];
    struct disk_node *node = lookup(disk, from);
    struct disk_node *from_dir = parent_of(disk, from, from_name);
    struct disk_node *to_dir = parent_of(disk, to, to_name);
    assert_non_null(node);
    uint64_t number = disk->next_number++;
    change_entry(from_dir, number, from_name, NULL, to_dir);
    change_entry(to_dir, number, to_name, node, from_dir);
}

static void remove_below(struct disk_model *disk, struct disk_node *dir)
{
    /* names that a change made, then the durable ones: each once, where it means something still */
    for (size_t i = 0, count = dir->change_count; i < count; i++)
        if (dir->changes[i].node && find_entry(dir, dir->changes[i].name)) {
            struct disk_node *node = find_entry(dir, dir->changes[i].name);
            if (node->is_dir)
                remove_below(disk, node);
            change_entry(dir, disk->next_number++, dir->changes[i].name, NULL, NULL);
        }
    for (size_t i = 0; i < dir->entry_count; i++) {
        struct disk_node *node = find_entry(dir, dir->entries[i].name);
        if (!node)
            continue;
        if (node->is_dir)
            remove_below(disk, node);
        change_entry(dir, disk->next_number++, dir->entries[i].name, NULL, NULL);
    }
}

void disk_remove(struct disk_model *disk, const char *path)
{
    char name[256];
    struct disk_node *node = lookup(disk, path);
    struct disk_node *dir = parent_of(disk, path, name);
    if (!node)
        return;
    if (node->is_dir)
        remove_below(disk, node);
    change_entry(dir, disk->next_number++, name, NULL, NULL);
}

void disk_mkdir(struct disk_model *disk, const char *path)
{
    char part[1024];
    char name[256];
    size_t len = strlen(path);
    assert_true(len < sizeof part);
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        struct disk_node *dir = parent_of(disk, part, name);
        struct stat info;
        if (find_entry(dir, name) || (i == len && lookup(disk, part)))
            continue;
        if (stat(part, &info) == 0)
            set_entry(dir, name, node_new(disk, true));
        else
            change_entry(dir, disk->next_number++, name, node_new(disk, true), NULL);
    }
}

/* Makes the changes with this number durable in the other directory of a move. */
static void settle(struct disk_node *dir, uint64_t number)
{
    for (size_t i = 0; i < dir->change_count; i++) {
        struct change *change = &dir->changes[i];
        if (change->number != number)
            continue;
        set_entry(dir, change->name, change->node);
        change_release(change);
        memmove(change, change + 1, (dir->change_count - i - 1) * sizeof *change);
        dir->change_count--;
        i--;
    }
}

void disk_sync_dir(struct disk_model *disk, const char *path)
{
    struct disk_node *dir = lookup(disk, path);
    assert_non_null(dir);
    for (size_t i = 0; i < dir->change_count; i++) {
        const struct change *change = &dir->changes[i];
        set_entry(dir, change->name, change->node);
        if (change->with && change->with != dir)
            settle(change->with, change->number);
    }
    drop_changes(dir);
}

/* --- images --- */

struct image {
    struct disk_model *disk;
    enum disk_survival survival;
    uint64_t seed;
};

static void write_node(const struct image *image, const struct disk_node *node, const char *to);

static void write_dir(const struct image *image, const struct disk_node *dir, const char *to)
{
    struct disk_node state = {.is_dir = true};
    for (size_t i = 0; i < dir->entry_count; i++)
        set_entry(&state, dir->entries[i].name, dir->entries[i].node);
    for (size_t i = 0; i < dir->change_count; i++) {
        const struct change *change = &dir->changes[i];
        bool kept = image->survival == DISK_KEPT ||
                    (image->survival == DISK_ANY && decide(image->seed, change->number, 0) % 2);
        if (kept)
            set_entry(&state, change->name, change->node);
    }
    assert_int_equal(nx_fs_posix()->mkdir(nx_fs_posix(), to), NX_OK);
    for (size_t i = 0; i < state.entry_count; i++) {
        char *path = nx_path_join(to, state.entries[i].name);
        write_node(image, state.entries[i].node, path);
        nx_free(path);
        free(state.entries[i].name);
    }
    free(state.entries);
}

static void write_node(const struct image *image, const struct disk_node *node, const char *to)
{
    if (node->is_dir) {
        write_dir(image, node, to);
        return;
    }
    struct content content = state_of(node, image->survival == DISK_ANY ? &image->seed : NULL,
                                      image->survival == DISK_LOST ? 0 : node->change_count);
    file_write(to, content.bytes, content.len);
    free(content.bytes);
}

void disk_image(struct disk_model *disk, const char *from, const char *to,
                enum disk_survival survival, uint64_t seed)
{
    struct image image = {.disk = disk, .survival = survival, .seed = seed};
    struct disk_node *node = lookup(disk, from);
    assert_true(node && node->is_dir);
    write_dir(&image, node, to);
}
