/* Inodes are counted by the names, waiting changes and descriptors that mean them. A directory has
 * its entries as they are, and those that a power cut would find, with the changes between the two
 * in order; a move is two changes with one number. */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "tests/sim/disk_internal.h"
#include "tests/sim/sim.h"

#define SECTOR 512u

/* --- inodes --- */

struct sim_inode *sim_inode_new(struct sim_disk *disk, bool is_dir)
{
    struct sim_inode *inode = sim_calloc(1, sizeof *inode);
    inode->is_dir = is_dir;
    nx_refcount_init(&inode->refs);
    inode->next = disk->inodes;
    inode->at = &disk->inodes;
    if (inode->next)
        inode->next->at = &inode->next;
    disk->inodes = inode;
    return inode;
}

static void entries_release(struct sim_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        sim_free(entries->items[i].name);
        sim_inode_drop(entries->items[i].inode);
    }
    sim_free(entries->items);
    *entries = (struct sim_entries){.count = 0};
}

static void change_release(struct sim_change *change)
{
    sim_free(change->name);
    sim_inode_drop(change->inode);
    sim_inode_drop(change->with);
}

static void drop_changes(struct sim_inode *dir)
{
    for (size_t i = 0; i < dir->change_count; i++)
        change_release(&dir->changes[i]);
    dir->change_count = 0;
}

static void inode_free(struct sim_inode *inode)
{
    *inode->at = inode->next;
    if (inode->next)
        inode->next->at = inode->at;
    sim_free(inode->changes);
    sim_free(inode->bytes);
    sim_free(inode->kept);
    sim_free(inode);
}

void sim_inode_drop(struct sim_inode *inode)
{
    if (!inode || !nx_refcount_drop(&inode->refs))
        return;
    entries_release(&inode->now);
    entries_release(&inode->durable);
    drop_changes(inode);
    inode_free(inode);
}

/* Whatever holds them: moves that are not synced hold each other's directories. */
static void free_inodes(struct sim_disk *disk)
{
    while (disk->inodes) {
        struct sim_inode *inode = disk->inodes;
        for (size_t i = 0; i < inode->now.count; i++)
            sim_free(inode->now.items[i].name);
        for (size_t i = 0; i < inode->durable.count; i++)
            sim_free(inode->durable.items[i].name);
        for (size_t i = 0; i < inode->change_count; i++)
            sim_free(inode->changes[i].name);
        sim_free(inode->now.items);
        sim_free(inode->durable.items);
        inode_free(inode);
    }
}

static struct sim_inode *hold(struct sim_inode *inode)
{
    if (inode)
        nx_refcount_take(&inode->refs);
    return inode;
}

/* --- directories --- */

static struct sim_entry *find(const struct sim_entries *entries, const char *name, size_t len)
{
    for (size_t i = 0; i < entries->count; i++)
        if (strncmp(entries->items[i].name, name, len) == 0 && !entries->items[i].name[len])
            return &entries->items[i];
    return NULL;
}

/* NULL: the name goes. */
static void set(struct sim_entries *entries, const char *name, struct sim_inode *inode)
{
    struct sim_entry *entry = find(entries, name, strlen(name));
    hold(inode);
    if (entry) {
        sim_inode_drop(entry->inode);
        entry->inode = inode;
        if (inode)
            return;
        sim_free(entry->name);
        *entry = entries->items[--entries->count];
        return;
    }
    if (!inode)
        return;
    entries->items =
        sim_grow(entries->items, &entries->capacity, entries->count + 1, sizeof *entries->items);
    char *copy = strdup(name);
    sim_check(copy != NULL, "memory for a name");
    entries->items[entries->count++] = (struct sim_entry){.name = copy, .inode = inode};
}

void sim_dir_change(struct sim_inode *dir, uint64_t number, const char *name,
                    struct sim_inode *inode, struct sim_inode *with)
{
    set(&dir->now, name, inode);
    dir->changes =
        sim_grow(dir->changes, &dir->change_capacity, dir->change_count + 1, sizeof *dir->changes);
    char *copy = strdup(name);
    sim_check(copy != NULL, "memory for a name");
    dir->changes[dir->change_count++] = (struct sim_change){
        .number = number, .name = copy, .inode = hold(inode), .with = hold(with)};
}

static void settle(struct sim_inode *dir, uint64_t number)
{
    for (size_t i = 0; i < dir->change_count; i++) {
        struct sim_change change = dir->changes[i];
        if (change.number != number)
            continue;
        set(&dir->durable, change.name, change.inode);
        memmove(&dir->changes[i], &dir->changes[i + 1],
                (dir->change_count - i - 1) * sizeof *dir->changes);
        dir->change_count--;
        i--;
        change_release(&change);
    }
}

void sim_dir_sync(struct sim_inode *dir)
{
    while (dir->change_count > 0) {
        uint64_t number = dir->changes[0].number;
        struct sim_inode *with = hold(dir->changes[0].with);
        settle(dir, number);
        if (with && with != dir)
            settle(with, number);
        sim_inode_drop(with);
    }
}

struct sim_inode *sim_dir_find(const struct sim_inode *dir, const char *name, size_t len)
{
    struct sim_entry *entry = find(&dir->now, name, len);
    return entry ? entry->inode : NULL;
}

/* --- files --- */

void sim_file_append(struct sim_inode *file, const void *bytes, size_t len)
{
    file->bytes = sim_grow(file->bytes, &file->capacity, file->len + len, 1);
    if (len > 0)
        memcpy(file->bytes + file->len, bytes, len);
    file->len += len;
}

void sim_file_truncate(struct sim_inode *file, size_t len)
{
    if (len < file->synced && !file->kept) {
        file->kept = sim_calloc(1, file->synced + 1);
        memcpy(file->kept, file->bytes, file->synced);
        file->kept_len = file->synced;
    }
    if (len < file->synced)
        file->synced = len;
    if (len <= file->len) {
        file->len = len;
        return;
    }
    size_t more = len - file->len;
    char *zeros = sim_calloc(1, more);
    sim_file_append(file, zeros, more);
    sim_free(zeros);
}

void sim_file_sync(struct sim_inode *file)
{
    file->synced = file->len;
    sim_free(file->kept);
    file->kept = NULL;
}

/* What a cut leaves of a file: with `kept` the bytes before the truncation, or else the synced
 * part, and of what was appended since, maybe some. */
static void cut_file(struct sim_inode *file)
{
    if (file->kept && sim_chance(0.5)) {
        sim_free(file->bytes);
        file->bytes = file->kept;
        file->len = file->capacity = file->kept_len;
        file->kept = NULL;
    } else if (file->len > file->synced) {
        size_t tail = file->len - file->synced;
        size_t left = sim_chance(0.4) ? 0 : sim_chance(0.3) ? tail : sim_below(tail + 1);
        bool torn = sim_chance(0.3);
        file->len = file->synced + left;
        for (size_t at = file->synced; torn && at < file->len;) {
            size_t end = (at / SECTOR + 1) * SECTOR;
            end = end < file->len ? end : file->len;
            if (sim_chance(0.3))
                memset(file->bytes + at, 0, end - at);
            at = end;
        }
    }
    sim_file_sync(file);
}

/* One decision a change: both halves of a move share its number. */
static bool survives(const struct sim_change *change, uint64_t seed, bool all)
{
    uint64_t mixed = (change->number + 1) * UINT64_C(0x9E3779B97F4A7C15) ^ seed;
    mixed ^= mixed >> 31;
    mixed *= UINT64_C(0xD6E8FEB86659FD93);
    return all || mixed >> 63;
}

struct cut {
    uint64_t seed;
    bool all, none;
    uint64_t number;
};

static void cut_inode(struct sim_inode *inode, const struct cut *cut)
{
    if (inode->cut_number == cut->number)
        return;
    inode->cut_number = cut->number;
    if (!inode->is_dir) {
        cut_file(inode);
        return;
    }
    for (size_t i = 0; i < inode->change_count && !cut->none; i++)
        if (survives(&inode->changes[i], cut->seed, cut->all))
            set(&inode->durable, inode->changes[i].name, inode->changes[i].inode);
    drop_changes(inode);
    entries_release(&inode->now);
    for (size_t i = 0; i < inode->durable.count; i++)
        set(&inode->now, inode->durable.items[i].name, inode->durable.items[i].inode);
    for (size_t i = 0; i < inode->now.count; i++)
        cut_inode(inode->now.items[i].inode, cut);
}

/* --- the disk --- */

struct sim_disk *sim_disk_new(void)
{
    struct sim_disk *disk = sim_calloc(1, sizeof *disk);
    disk->root = sim_inode_new(disk, true);
    return disk;
}

void sim_disk_close_all(struct sim_disk *disk)
{
    for (size_t i = 0; i < SIM_DESCRIPTORS; i++) {
        sim_inode_drop(disk->open[i].inode);
        disk->open[i].inode = NULL;
    }
}

void sim_disk_free(struct sim_disk *disk)
{
    free_inodes(disk);
    sim_free(disk);
}

void sim_disk_cut(struct sim_disk *disk)
{
    struct cut cut = {.seed = nx_rand_u64(sim_rand()), .number = ++disk->cuts};
    cut.all = sim_chance(0.3);
    cut.none = !cut.all && sim_chance(0.4);
    cut_inode(disk->root, &cut);
}

void sim_disk_wipe(struct sim_disk *disk)
{
    sim_disk_close_all(disk);
    free_inodes(disk);
    disk->root = sim_inode_new(disk, true);
}

void sim_disk_ail(struct sim_disk *disk, double write_failures, double sync_failures, bool full)
{
    disk->write_failures = write_failures;
    disk->sync_failures = sync_failures;
    disk->full = full;
}
