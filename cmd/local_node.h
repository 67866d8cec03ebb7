/* An ingester within the tool, over the data directory of a node that is stopped: locked, its log
 * replayed, asked over the same RPC as in a cluster. It does no maintenance: nothing is flushed,
 * compacted or deleted. */
#ifndef CMD_LOCAL_NODE_H
#define CMD_LOCAL_NODE_H

#include "common/base/buf.h"

struct cmd_local_node;

/* The directory must be there. */
enum nx_err cmd_local_node_open(const char *data_dir, struct cmd_local_node **out,
                                struct nx_fail *fail) NX_WARN_UNUSED;
void cmd_local_node_close(struct cmd_local_node *node);

/* A call of a method whose answer is a stream (on_frame set: called for each frame, on another
 * thread, while the caller waits; its failure ends the call) or a message (`reply` gets it). Takes
 * the body. */
enum nx_err cmd_local_node_call(struct cmd_local_node *node, const char *method,
                                struct nx_buf *body,
                                enum nx_err (*on_frame)(void *user, struct nx_view frame),
                                void *user, struct nx_buf *reply,
                                struct nx_fail *fail) NX_WARN_UNUSED;

#endif
