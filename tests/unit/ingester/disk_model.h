/* What a disk holds when the power fails: what was synced, and of what was not, any part. Kept
 * beside the real files: each change that a test's file system makes is told here too, and an image
 * of what a power cut now could leave is written to another directory.
 *
 * A file's writes and truncations wait for its sync; without it each is there, missing, or there in
 * some of its sectors only. A directory's new, moved and missing names wait for the directory's
 * sync; without it each is there or not, a move as one thing. After a sync that failed, what waited
 * is lost or not, and a later sync that succeeds does not bring it back. */
#ifndef TEST_INGESTER_DISK_MODEL_H
#define TEST_INGESTER_DISK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_model;
struct disk_node;

struct disk_model *disk_new(void);
void disk_free(struct disk_model *disk);

/* The file, made where it is not known; what is really there counts as synced. `created`: it is a
 * new one. */
struct disk_node *disk_open(struct disk_model *disk, const char *path, bool created);
uint64_t disk_size(const struct disk_node *file);
void disk_write(struct disk_model *disk, struct disk_node *file, uint64_t offset, const void *bytes,
                size_t len);
void disk_truncate(struct disk_model *disk, struct disk_node *file, uint64_t size);
void disk_sync(struct disk_node *file);
/* `lost`: what waited never comes to the disk. */
void disk_sync_failed(struct disk_node *file, bool lost);
void disk_rename(struct disk_model *disk, const char *from, const char *to);
void disk_remove(struct disk_model *disk, const char *path); /* with what is below it */
/* And its parents; before it is really made. */
void disk_mkdir(struct disk_model *disk, const char *path);
void disk_sync_dir(struct disk_model *disk, const char *path);

enum disk_survival {
    DISK_LOST, /* nothing that was not synced is there */
    DISK_KEPT, /* all of it is, as after the death of the process alone */
    DISK_ANY,  /* any part, by the seed */
};
/* Writes what is left of the directory `from` as `to`, which must not exist. */
void disk_image(struct disk_model *disk, const char *from, const char *to,
                enum disk_survival survival, uint64_t seed);

#endif
