/* The directories of the log (docs/formats/wal.md):
 *
 *     wal/gen-<number, 8 digits>/meta                  how many shards and partitions
 *     wal/gen-<number>/shard-<number, 4 digits>/...    segments and checkpoints of a shard
 *
 * A generation belongs to one number of shards and partitions; where those change, everything is
 * written anew into the next generation, which takes effect with a rename. Blocking; while no
 * worker runs. */
#ifndef ING_WAL_LAYOUT_H
#define ING_WAL_LAYOUT_H

#include "common/base/file.h"

struct ing_wal_layout {
    uint64_t generation; /* 0: there is none yet */
    uint32_t shards;     /* as its meta says; 0 where that is damaged */
    uint32_t partitions;
    uint32_t shard_dirs; /* directories found: the highest number + 1 */
};

/* Finds the current generation; removes unfinished and older ones. */
enum nx_err ing_wal_layout_find(const struct nx_fs *fs, const char *wal_dir,
                                struct ing_wal_layout *out) NX_WARN_UNUSED;
/* The directory of a shard, of nx_alloc; NULL without memory. `unfinished`: of a generation being
 * written. */
char *ing_wal_shard_dir(const char *wal_dir, uint64_t generation, bool unfinished, uint32_t shard);
/* Makes the directories of an unfinished generation and its meta. */
enum nx_err ing_wal_generation_begin(const struct nx_fs *fs, const char *wal_dir,
                                     const struct ing_wal_layout *layout) NX_WARN_UNUSED;
/* Puts it in force; removes the one before. */
enum nx_err ing_wal_generation_finish(const struct nx_fs *fs, const char *wal_dir,
                                      const struct ing_wal_layout *layout) NX_WARN_UNUSED;

/* The files of a shard's directory in the order in which they are to be read: the newest
 * checkpoint, then the segments that it does not cover. */
struct ing_wal_file {
    uint64_t segment;
    uint32_t attempt;
    bool checkpoint;
};
struct ing_wal_files {
    struct ing_wal_file *items;
    size_t count;
    uint64_t next_segment; /* behind all that exist */
};
enum nx_err ing_wal_files_list(const char *dir, struct ing_wal_files *out) NX_WARN_UNUSED;
void ing_wal_files_release(struct ing_wal_files *files);
/* Removes segments and checkpoints before `segment`, and unfinished checkpoints. */
enum nx_err ing_wal_files_remove(const struct nx_fs *fs, const char *dir,
                                 uint64_t segment) NX_WARN_UNUSED;

#endif
