/* What `narthex tool export` reads from: the data directory of a stopped node, or the querier of a
 * running cluster. */
#ifndef CMD_TOOL_EXPORT_H
#define CMD_TOOL_EXPORT_H

#include "common/chunk/sample.h"
#include "common/labels/matcher.h"

/* Gets a series with its samples of the range asked for; takes the iterator. */
typedef enum nx_err (*cmd_export_take)(void *user, struct nx_labels labels,
                                       struct nx_sample_iter *samples);

struct cmd_export_range {
    int64_t min_t; /* inclusive */
    int64_t max_t; /* inclusive */
};

struct cmd_export_source {
    const struct cmd_export_source_ops *ops;
};

struct cmd_export_source_ops {
    /* The time that there are samples of; NX_ERR_NOT_FOUND where there are none or it cannot be
     * known. */
    enum nx_err (*range)(struct cmd_export_source *source, struct cmd_export_range *out,
                         struct nx_fail *fail);
    /* Each series with samples in the range, once. NX_ERR_LIMIT: too much at a time, a part of the
     * range may do. A failure of `take` ends it. */
    enum nx_err (*read)(struct cmd_export_source *source, struct cmd_export_range range,
                        cmd_export_take take, void *user, struct nx_fail *fail);
    void (*close)(struct cmd_export_source *source);
};

struct cmd_export_options {
    struct nx_view tenant; /* NULL-terminated */
    const struct nx_matcher *matchers;
    size_t matcher_count;
    uint64_t timeout_ms; /* of one read */
};

/* Opens the directory as a node does when it starts: what is in its log is exported too. */
enum nx_err cmd_export_dir_open(const char *data_dir, const struct cmd_export_options *options,
                                struct cmd_export_source **out,
                                struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err cmd_export_remote_open(const char *address, const struct cmd_export_options *options,
                                   struct cmd_export_source **out,
                                   struct nx_fail *fail) NX_WARN_UNUSED;

#endif
