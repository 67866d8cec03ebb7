/* Takes in a block that another process has written, file by file and piece by piece. It lies in
 * <dir>/<name>.tmp, which a start removes, until it is whole, checked and synced; then it is
 * renamed. Blocking; one intake of a name at a time. */
#ifndef ING_BLOCK_INTAKE_H
#define ING_BLOCK_INTAKE_H

#include "common/base/file.h"

struct ing_block_intake {
    const struct nx_fs *fs;
    const char *dir; /* of the tenant's blocks */
    struct nx_view tenant;
    const char *name;  /* of the block */
    int64_t window_ms; /* to whose multiples its times are aligned */
};

/* Whether the name can be that of a block: digits, letters a to z and '-'; at most 95 bytes. */
bool ing_block_intake_is_name(const char *name);
bool ing_block_intake_is_there(const struct ing_block_intake *intake);
/* Forgets what an earlier try has left. */
enum nx_err ing_block_intake_begin(const struct ing_block_intake *intake) NX_WARN_UNUSED;
/* Appends to a file of the block; `offset` is what the file must hold before (0: it begins), else
 * NX_ERR_INVALID. */
enum nx_err ing_block_intake_put(const struct ing_block_intake *intake, const char *file,
                                 uint64_t offset, struct nx_view data,
                                 struct nx_fail *fail) NX_WARN_UNUSED;
/* Checks the block (every checksum, the tenant, the times, the ids of the series), syncs and
 * renames it. NX_ERR_INVALID or NX_ERR_CORRUPT with what is wrong; it is gone then. */
enum nx_err ing_block_intake_finish(const struct ing_block_intake *intake,
                                    struct nx_fail *fail) NX_WARN_UNUSED;

#endif
