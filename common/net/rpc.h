/* Internal RPC: POST /internal/v1/METHOD over HTTP/1.1 (docs/formats/rpc.md).
 *
 * A unary answer is one message. A streamed answer is a run of frames, each [u32 little-endian
 * length][bytes], closed by a frame of length 0: a stream without it was cut and ends in
 * NX_ERR_UNAVAILABLE. Errors travel as the HTTP status, the header X-Narthex-Error with the
 * symbolic code, and the text as body; within a stream that has begun, as a last frame of a kind of
 * its own.
 *
 * Both sides name their cluster: a node that was pointed at members of another one would read and
 * write under the wrong placement, so its calls are refused one by one (X-Narthex-Cluster).
 *
 * A call to an address that an RPC server in the same process serves does not touch the network: it
 * goes through the mailboxes of the workers, so that `narthex all` costs no sockets and roles need
 * not know. */
#ifndef NX_NET_RPC_H
#define NX_NET_RPC_H

#include "common/net/http_client.h"
#include "common/net/http_server.h"

struct nx_rpc_server;
struct nx_rpc_request;
struct nx_rpc_client;
struct nx_rpc_call;

/* --- serving --- */
typedef void (*nx_rpc_handler)(struct nx_rpc_request *req, void *user);

/* Routes on the HTTP server are added with each method; `workers` carry the local calls (round
 * robin). `http` may be NULL: local calls only. */
enum nx_err nx_rpc_server_new(struct nx_http_server *http, struct nx_workers *workers,
                              struct nx_log *log, struct nx_rpc_server **out) NX_WARN_UNUSED;
/* Before start. max_body_bytes 0: 64 MiB. `budget` may be NULL. Local calls are held to both as
 * well. `method` is copied: letters, digits, '_', '-', '.' and '/'. */
enum nx_err nx_rpc_server_method(struct nx_rpc_server *server, const char *method,
                                 nx_rpc_handler handle, void *user, size_t max_body_bytes,
                                 struct nx_http_budget *budget) NX_WARN_UNUSED;
/* Before start. From now on a call over HTTP that does not name the same cluster is answered with
 * NX_ERR_CLUSTER and a text that tells both, before its body is read. `cluster` is compared as a
 * whole: at most 200 characters, printable ASCII without blanks (else NX_ERR_INVALID); copied. A
 * server to which none was given takes every call. */
enum nx_err nx_rpc_server_set_cluster(struct nx_rpc_server *server,
                                      const char *cluster) NX_WARN_UNUSED;
/* Before start. This method is served to callers of any cluster: its handler compares by itself. */
void nx_rpc_server_admit_all(struct nx_rpc_server *server, const char *method);
void nx_rpc_server_free(struct nx_rpc_server *server);

/* On the worker on which the handler was called, also for the answer. */
struct nx_worker *nx_rpc_request_worker(struct nx_rpc_request *req);
struct nx_view nx_rpc_request_body(const struct nx_rpc_request *req);
/* The caller went away: stop working for it; the answer is still owed, and may be given from within
 * `cancel`. Who waits for `drained` is woken by `cancel`, or by `drained` where no `cancel` is set.
 */
void nx_rpc_request_on_cancel(struct nx_rpc_request *req, void (*cancel)(void *user), void *user);
/* Takes the buffer's memory. */
void nx_rpc_reply(struct nx_rpc_request *req, struct nx_buf *message);
/* At most 500 bytes of the text reach the caller. */
void nx_rpc_reply_error(struct nx_rpc_request *req, enum nx_err err, const char *text);
/* Frames: false asks to wait for `drained`, which is called on the same worker. Takes the buffer's
 * memory. Begin with nx_rpc_stream_begin; end with nx_rpc_stream_end or, after a failure,
 * nx_rpc_stream_fail. An empty message is not sent. `drained` is never called from inside
 * nx_rpc_stream_frame. */
void nx_rpc_stream_begin(struct nx_rpc_request *req, void (*drained)(void *user), void *user);
bool nx_rpc_stream_frame(struct nx_rpc_request *req, struct nx_buf *message);
void nx_rpc_stream_end(struct nx_rpc_request *req);
void nx_rpc_stream_fail(struct nx_rpc_request *req, enum nx_err err, const char *text);

/* --- calling; one client a worker --- */
/* `local` (may be NULL) and its address ("host:port", as members advertise it) for calls within the
 * process. */
enum nx_err nx_rpc_client_new(struct nx_worker *worker, struct nx_log *log,
                              struct nx_rpc_server *local, const char *local_address,
                              struct nx_rpc_client **out) NX_WARN_UNUSED;
/* Before the first call: what every call over HTTP names as its cluster, as for
 * nx_rpc_server_set_cluster. A call within the process needs none. */
enum nx_err nx_rpc_client_set_cluster(struct nx_rpc_client *client,
                                      const char *cluster) NX_WARN_UNUSED;
void nx_rpc_client_close(struct nx_rpc_client *client, void (*closed)(void *user), void *user);
struct nx_worker *nx_rpc_client_worker(struct nx_rpc_client *client);

struct nx_rpc_result {
    enum nx_err err; /* the remote code, or NX_ERR_UNAVAILABLE, NX_ERR_TIMEOUT, NX_ERR_CANCELED */
    struct nx_view body; /* unary: the message, valid during the callback */
    const char *text;    /* the error's text */
};

struct nx_rpc_call_options {
    const char *address; /* "host:port" */
    const char *method;
    struct nx_buf *body;    /* its memory is taken over, also when nx_rpc_call fails; NULL: empty */
    uint64_t timeout_ms;    /* of the whole call; 0: none */
    size_t max_frame_bytes; /* 0: 64 MiB */
    /* Set for a streamed answer: each whole frame; an error cancels the call with that code. */
    enum nx_err (*on_frame)(void *user, struct nx_view frame);
    void (*done)(void *user,
                 const struct nx_rpc_result *result); /* exactly once, never from inside call */
    void *user;
};
/* Fails at once with NX_ERR_NOMEM, NX_ERR_CLOSED, or NX_ERR_INVALID (address or method cannot be
 * such); then `done` is not called. `out` (may be NULL) is valid until done. May be called from
 * on_frame and done. */
enum nx_err nx_rpc_call(struct nx_rpc_client *client, const struct nx_rpc_call_options *options,
                        struct nx_rpc_call **out) NX_WARN_UNUSED;
/* `done` follows with NX_ERR_CANCELED, later in the loop, and on_frame is not called again. */
void nx_rpc_call_cancel(struct nx_rpc_call *call);

#endif
