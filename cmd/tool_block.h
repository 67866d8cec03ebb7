/* What `narthex tool block` does with a block. */
#ifndef CMD_TOOL_BLOCK_H
#define CMD_TOOL_BLOCK_H

#include "common/labels/matcher.h"
#include "ingester/block/block_reader.h"

struct cmd_block_options {
    const struct nx_matcher *matchers; /* dump */
    size_t matcher_count;
    struct ing_range range;
    bool json;   /* inspect */
    size_t seen; /* blocks before this one */
};

/* Each prints to standard output and says in `fail` why it did not succeed. */
enum nx_err cmd_block_inspect(struct ing_block *block, const struct cmd_block_options *options,
                              struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err cmd_block_verify(struct ing_block *block, const struct cmd_block_options *options,
                             struct nx_fail *fail) NX_WARN_UNUSED;
enum nx_err cmd_block_dump(struct ing_block *block, const struct cmd_block_options *options,
                           struct nx_fail *fail) NX_WARN_UNUSED;

#endif
