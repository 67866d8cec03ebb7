/* The disk's parts: disk.c (inodes, and what a cut leaves of them), files.c (paths, descriptors and
 * the interface of common/base/file.h). */
#ifndef SIM_DISK_INTERNAL_H
#define SIM_DISK_INTERNAL_H

#include "common/base/refcount.h"
#include "tests/sim/disk.h"

enum { SIM_DESCRIPTORS = 512 };

struct sim_entry {
    char *name;
    struct sim_inode *inode;
};

struct sim_entries {
    struct sim_entry *items;
    size_t count, capacity;
};

struct sim_change {
    uint64_t number;
    char *name;
    struct sim_inode *inode; /* NULL: the name goes */
    struct sim_inode *with;  /* the other directory of a move */
};

struct sim_inode {
    struct sim_inode *next, **at; /* all of the disk */
    struct nx_refcount refs;
    bool is_dir;
    uint64_t cut_number;
    /* of a file */
    char *bytes;
    size_t len, capacity;
    size_t synced; /* so much of the beginning is on the disk */
    char *kept;    /* what was, before a truncation that is not; or NULL */
    size_t kept_len;
    /* of a directory */
    struct sim_entries now, durable;
    struct sim_change *changes;
    size_t change_count, change_capacity;
};

struct sim_descriptor {
    struct sim_inode *inode; /* NULL: free */
};

struct sim_disk {
    struct sim_inode *root;
    struct sim_inode *inodes;
    struct sim_descriptor open[SIM_DESCRIPTORS];
    uint64_t next_number;
    uint64_t cuts;
    double write_failures, sync_failures;
    bool full;
};

/* With one reference, the caller's. */
struct sim_inode *sim_inode_new(struct sim_disk *disk, bool is_dir);
void sim_inode_drop(struct sim_inode *inode);
void sim_dir_change(struct sim_inode *dir, uint64_t number, const char *name,
                    struct sim_inode *inode, struct sim_inode *with);
void sim_dir_sync(struct sim_inode *dir);
struct sim_inode *sim_dir_find(const struct sim_inode *dir, const char *name, size_t len);
void sim_file_append(struct sim_inode *file, const void *bytes, size_t len);
void sim_file_truncate(struct sim_inode *file, size_t len);
void sim_file_sync(struct sim_inode *file);

#endif
