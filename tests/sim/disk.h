/* A disk in memory that knows what a power cut leaves of it.
 *
 * A file's bytes wait for its sync; without it what was appended is there, missing, or there in
 * some of its sectors only, and a truncation happened or not. A directory's new, moved and missing
 * names wait for the directory's sync; without it each is there or not, a move as one thing. The
 * death of the process alone loses nothing.
 *
 * The files of a disk are reached through common/base/file.h, whose functions work on the disk of
 * the current process (files.c). */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include "common/base/file.h"

struct sim_disk;
struct sim_inode;

struct sim_disk *sim_disk_new(void);
void sim_disk_free(struct sim_disk *disk);
/* The process is gone: its descriptors are closed. */
void sim_disk_close_all(struct sim_disk *disk);
/* The power is cut: what was not synced is lost in part, by chance. */
void sim_disk_cut(struct sim_disk *disk);
/* A new, empty disk. */
void sim_disk_wipe(struct sim_disk *disk);
/* Chances that a write, or a sync, fails with NX_ERR_IO; `full`: every write fails with
 * NX_ERR_NOSPACE. */
void sim_disk_ail(struct sim_disk *disk, double write_failures, double sync_failures, bool full);

#endif
