/* What the files of the RPC share: rpc_server.c (methods, requests over HTTP), rpc_local.c (calls
 * within the process), rpc_client.c (calls over HTTP, and the life of all calls). */
#ifndef NX_NET_RPC_INTERNAL_H
#define NX_NET_RPC_INTERNAL_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "common/base/refcount.h"
#include "common/net/rpc.h"
#include "common/net/rpc_frame.h"

#define NX_RPC_PREFIX "/internal/v1/"
#define NX_RPC_TYPE_MESSAGE "application/x-protobuf"
#define NX_RPC_TYPE_FRAMES "application/x-narthex-frames"
#define NX_RPC_ERROR_HEADER "X-Narthex-Error"
#define NX_RPC_CLUSTER_HEADER "X-Narthex-Cluster"
#define NX_RPC_CLUSTER_MAX 200
#define NX_RPC_DEFAULT_MAX_BYTES ((size_t)64 << 20)
#define NX_RPC_METHOD_MAX 128

struct nx_rpc_local;

struct nx_rpc_method {
    struct nx_rpc_server *server;
    char path[sizeof(NX_RPC_PREFIX) + NX_RPC_METHOD_MAX];
    const char *name; /* within path */
    nx_rpc_handler handle;
    void *user;
    size_t max_body_bytes;
    struct nx_http_budget *budget;
    bool admits_all; /* also callers of another cluster */
};

struct nx_rpc_server {
    struct nx_http_server *http;
    struct nx_workers *workers;
    struct nx_log *log;
    char *cluster; /* NULL: not compared */
    struct nx_rpc_method **methods;
    size_t method_count;
    size_t method_capacity;
    atomic_size_t next_worker;
};

/* On the callee's worker. Exactly one of http and local is set. */
struct nx_rpc_request {
    struct nx_http_request *http;
    struct nx_rpc_local *local;
    void (*cancel)(void *user);
    void *cancel_user;
    void (*drained)(void *user);
    void *drained_user;
    bool streaming; /* nx_rpc_stream_begin was called */
    bool begun;     /* and the HTTP answer has begun */
    bool waiting;   /* a frame was answered with false */
    bool canceled;
    size_t burst_bytes; /* sent since the loop last turned, as far as we know */
    struct nx_rpc_yield *yield;
};

struct nx_rpc_client {
    struct nx_worker *worker;
    struct nx_log *log;
    struct nx_rpc_server *local;
    char *local_address;
    char *cluster_header; /* "NAME: VALUE"; NULL: not sent */
    struct nx_http_client *http;
    bool closing;
    bool http_closed;
    size_t timers; /* handles of local calls that are not closed yet */
    TAILQ_HEAD(, nx_rpc_call) calls;
    void (*closed)(void *user);
    void *closed_user;
};

/* On the caller's worker. */
struct nx_rpc_call {
    TAILQ_ENTRY(nx_rpc_call) link;
    struct nx_rpc_client *client;
    enum nx_err (*on_frame)(void *user, struct nx_view frame);
    void (*done)(void *user, const struct nx_rpc_result *result);
    void *user;
    struct nx_rpc_frames frames;
    struct nx_http_call *http;  /* over HTTP */
    struct nx_rpc_local *local; /* within the process */
    uv_timer_t timer;           /* local */
    struct nx_task finish;      /* local: ends the call with `verdict` from the mailbox */
    bool finishing;             /* `finish` is on its way; nothing else counts any more */
    enum nx_err verdict;
};

/* --- rpc_server.c --- */
/* Whether the text can be sent as the name of a cluster. */
bool nx_rpc_is_cluster(const char *cluster);
const struct nx_rpc_method *nx_rpc_server_find(const struct nx_rpc_server *server,
                                               const char *method);
/* The caller of the request went away. */
void nx_rpc_request_canceled(struct nx_rpc_request *req);
/* There is room for frames again. */
void nx_rpc_request_drained(struct nx_rpc_request *req);

/* --- rpc_local.c --- */
enum nx_err nx_rpc_local_call(struct nx_rpc_call *call,
                              const struct nx_rpc_call_options *options) NX_WARN_UNUSED;
void nx_rpc_local_cancel(struct nx_rpc_call *call);
struct nx_worker *nx_rpc_local_worker(const struct nx_rpc_local *local);
struct nx_view nx_rpc_local_body(const struct nx_rpc_local *local);
/* The answer: a message (may be NULL), or an error. */
void nx_rpc_local_reply(struct nx_rpc_local *local, struct nx_buf *message, enum nx_err err,
                        const char *text);
bool nx_rpc_local_frame(struct nx_rpc_local *local, struct nx_buf *message);

/* --- rpc_client.c --- */
/* Takes the call out of its client and calls `done`; the call is freed once its timer is closed. */
void nx_rpc_call_complete(struct nx_rpc_call *call, const struct nx_rpc_result *result);
void nx_rpc_call_free(struct nx_rpc_call *call);
/* Frees a closing client of which nothing is left. */
void nx_rpc_client_settle(struct nx_rpc_client *client);

#endif
