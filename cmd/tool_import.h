/* Where `narthex tool import` puts what it reads: the data directory of a stopped node, or a
 * running cluster. */
#ifndef CMD_TOOL_IMPORT_H
#define CMD_TOOL_IMPORT_H

#include "common/base/file.h"
#include "ingester/tsdb/import.h"

struct cmd_import_target {
    const struct cmd_import_target_ops *ops;
};

struct cmd_import_target_ops {
    /* What else decides what a block of the target holds, for its name. */
    struct nx_view (*place)(const struct cmd_import_target *target);
    /* *wanted false: the target has the block of this name already. */
    enum nx_err (*begin)(struct cmd_import_target *target, const struct ing_tsdb_piece *piece,
                         const char *name, bool *wanted, struct nx_fail *fail);
    ing_tsdb_take take; /* the target is its first argument */
    /* The samples of the piece are durable when this succeeds. */
    enum nx_err (*finish)(struct cmd_import_target *target, struct nx_fail *fail);
    /* A line about what is not as it should be, though nothing failed; "" where there is none. */
    const char *(*warning)(const struct cmd_import_target *target);
    void (*close)(struct cmd_import_target *target);
};

/* Locks the directory, making it where there is none. */
enum nx_err cmd_import_dir_open(const char *data_dir, struct nx_view tenant,
                                struct cmd_import_target **out,
                                struct nx_fail *fail) NX_WARN_UNUSED;
/* `work_dir`: where blocks are made before they are sent. */
enum nx_err cmd_import_cluster_open(const char *address, struct nx_view tenant,
                                    const char *work_dir, struct cmd_import_target **out,
                                    struct nx_fail *fail) NX_WARN_UNUSED;

#endif
