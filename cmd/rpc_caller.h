/* Internal RPC for the subcommands that talk to the nodes of a cluster: calls to several of them
 * side by side, from a thread that waits for the answers. */
#ifndef CMD_RPC_CALLER_H
#define CMD_RPC_CALLER_H

#include "common/base/buf.h"

struct cmd_rpc_caller;

/* `cluster` as each call names it (docs/formats/rpc.md). */
enum nx_err cmd_rpc_caller_open(const char *cluster, struct cmd_rpc_caller **out) NX_WARN_UNUSED;
void cmd_rpc_caller_close(struct cmd_rpc_caller *caller);

struct cmd_rpc_call {
    const char *address;
    const char *method;
    struct nx_buf body; /* taken by the call */
    /* the outcome: */
    enum nx_err err;
    char text[512];      /* of an error */
    struct nx_buf reply; /* nx_buf_release it, whatever came of the call */
};
/* Makes the calls and returns when each has its outcome. */
void cmd_rpc_caller_run(struct cmd_rpc_caller *caller, struct cmd_rpc_call *calls, size_t count,
                        uint64_t timeout_ms);

#endif
