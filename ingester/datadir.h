/* The data directory: its lock and its identity. Blocking. */
#ifndef ING_DATADIR_H
#define ING_DATADIR_H

#include "common/base/file.h"

/* Makes the directory and locks it; NX_ERR_EXISTS where another process has it. */
enum nx_err ing_datadir_lock(const struct nx_fs *fs, const char *dir, int *lock_fd,
                             struct nx_fail *fail) NX_WARN_UNUSED;
/* The number that was drawn when the directory was first used; drawn anew where it is missing or
 * damaged: then *fresh. */
enum nx_err ing_datadir_incarnation(const struct nx_fs *fs, const char *dir, uint64_t *out,
                                    bool *fresh) NX_WARN_UNUSED;

#endif
