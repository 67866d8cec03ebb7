/* The file `held` of the data directory: the partitions this node holds all data of, so that a
 * restart in the middle of a hand-over does not claim more than was there. Blocking. */
#ifndef ING_REPAIR_HELD_H
#define ING_REPAIR_HELD_H

#include <stdint.h>

#include "common/base/file.h"

/* Into a bitmap of so many partitions. NX_ERR_NOT_FOUND: there is no file (a directory from before
 * there was one); NX_ERR_CORRUPT: or none that can be believed. */
enum nx_err ing_held_load(const char *dir, uint32_t partitions, uint8_t *bits) NX_WARN_UNUSED;
enum nx_err ing_held_store(const struct nx_fs *fs, const char *dir, uint32_t partitions,
                           const uint8_t *bits) NX_WARN_UNUSED;

#endif
