/* Methods, and requests on the callee's side. A request over HTTP lives in the arena of its HTTP
 * request; one within the process is part of its nx_rpc_local. The HTTP answer of a stream begins
 * with its first frame, so that a failure before it still travels as a status.
 *
 * A handler that streams from a loop is told to wait not only when the way is full but also after a
 * burst of frames, until the loop has turned: a taker that keeps up would otherwise let it hold the
 * worker for ever, and what was sent is only freed when the loop turns. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/net/rpc_internal.h"

#define BURST_BYTES ((size_t)1 << 20)

/* A turn of the loop that a stream waits for; outlives a request that ends meanwhile. */
struct nx_rpc_yield {
    struct nx_task task;
    struct nx_rpc_request *req; /* NULL once it has ended */
};

enum nx_err nx_rpc_server_new(struct nx_http_server *http, struct nx_workers *workers,
                              struct nx_log *log, struct nx_rpc_server **out)
{
    struct nx_rpc_server *server = nx_calloc(1, sizeof(*server));
    if (!server) {
        return NX_ERR_NOMEM;
    }
    server->http = http;
    server->workers = workers;
    server->log = log;
    atomic_init(&server->next_worker, 0);
    *out = server;
    return NX_OK;
}

void nx_rpc_server_free(struct nx_rpc_server *server)
{
    if (!server) {
        return;
    }
    for (size_t i = 0; i < server->method_count; i++) {
        nx_free(server->methods[i]);
    }
    nx_free(server->methods);
    nx_free(server->cluster);
    nx_free(server);
}

bool nx_rpc_is_cluster(const char *cluster)
{
    size_t len = strlen(cluster);
    for (size_t i = 0; i < len; i++) {
        if (cluster[i] <= ' ' || cluster[i] > '~') {
            return false;
        }
    }
    return len > 0 && len <= NX_RPC_CLUSTER_MAX;
}

enum nx_err nx_rpc_server_set_cluster(struct nx_rpc_server *server, const char *cluster)
{
    if (!nx_rpc_is_cluster(cluster)) {
        return NX_ERR_INVALID;
    }
    char *copy = nx_strdup(cluster);
    if (!copy) {
        return NX_ERR_NOMEM;
    }
    nx_free(server->cluster);
    server->cluster = copy;
    return NX_OK;
}

const struct nx_rpc_method *nx_rpc_server_find(const struct nx_rpc_server *server,
                                               const char *method)
{
    for (size_t i = 0; i < server->method_count; i++) {
        if (strcmp(server->methods[i]->name, method) == 0) {
            return server->methods[i];
        }
    }
    return NULL;
}

/* --- over HTTP ------------------------------------------------------------------------------- */

static void on_http_cancel(void *user)
{
    nx_rpc_request_canceled(user);
}

/* Browsers cannot send this type across sites without asking, and nobody else sends another one. */
static bool check_type(struct nx_http_request *http)
{
    struct nx_view type = nx_http_request_header(http, "content-type");
    if (nx_view_is(type, NX_RPC_TYPE_MESSAGE)) {
        return true;
    }
    nx_http_respond_text(http, 415, "the internal RPC takes " NX_RPC_TYPE_MESSAGE);
    return false;
}

static bool check_cluster(struct nx_http_request *http, const struct nx_rpc_method *method)
{
    const char *own = method->server->cluster;
    if (!own || method->admits_all) {
        return true;
    }
    struct nx_view named = nx_http_request_header(http, NX_RPC_CLUSTER_HEADER);
    if (nx_view_is(named, own)) {
        return true;
    }
    char text[2 * NX_RPC_CLUSTER_MAX + 64];
    if (named.len > NX_RPC_CLUSTER_MAX) {
        named.len = NX_RPC_CLUSTER_MAX;
    }
    if (named.len == 0) {
        (void)snprintf(text, sizeof(text), "belongs to %s; the call names no cluster", own);
    } else {
        (void)snprintf(text, sizeof(text), "belongs to %s, not to %.*s", own, NX_VIEW_ARG(named));
    }
    nx_http_response_header(http, NX_RPC_ERROR_HEADER, nx_err_name(NX_ERR_CLUSTER));
    nx_http_respond_text(http, nx_err_http(NX_ERR_CLUSTER), text);
    return false;
}

static bool check(struct nx_http_request *http, void *user)
{
    return check_type(http) && check_cluster(http, user);
}

static void serve_http(struct nx_http_request *http, void *user)
{
    const struct nx_rpc_method *method = user;
    struct nx_rpc_request *req = nx_arena_calloc(nx_http_request_arena(http), 1, sizeof(*req));
    if (!req) {
        nx_http_response_header(http, NX_RPC_ERROR_HEADER, nx_err_name(NX_ERR_NOMEM));
        nx_http_respond_text(http, nx_err_http(NX_ERR_NOMEM), nx_err_text(NX_ERR_NOMEM));
        return;
    }
    req->http = http;
    nx_http_request_on_cancel(http, on_http_cancel, req);
    method->handle(req, method->user);
}

static bool is_method_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NX_RPC_METHOD_MAX &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./") ==
               len;
}

static enum nx_err add_route(struct nx_rpc_server *server, struct nx_rpc_method *method)
{
    if (!server->http) {
        return NX_OK;
    }
    struct nx_http_route route = {
        .methods = NX_HTTP_POST,
        .path = method->path,
        .handle = serve_http,
        .check = check,
        .user = method,
        .max_body_bytes = method->max_body_bytes,
        .budget = method->budget,
    };
    return nx_http_server_route(server->http, &route);
}

enum nx_err nx_rpc_server_method(struct nx_rpc_server *server, const char *name,
                                 nx_rpc_handler handle, void *user, size_t max_body_bytes,
                                 struct nx_http_budget *budget)
{
    assert(is_method_name(name));
    if (nx_rpc_server_find(server, name)) {
        return NX_ERR_EXISTS;
    }
    if (nx_grow(&server->methods, &server->method_capacity, server->method_count + 1,
                sizeof(struct nx_rpc_method *)) != NX_OK) {
        return NX_ERR_NOMEM;
    }
    struct nx_rpc_method *method = nx_calloc(1, sizeof(*method));
    if (!method) {
        return NX_ERR_NOMEM;
    }
    (void)snprintf(method->path, sizeof(method->path), NX_RPC_PREFIX "%s", name);
    method->name = method->path + strlen(NX_RPC_PREFIX);
    method->server = server;
    method->handle = handle;
    method->user = user;
    method->max_body_bytes = max_body_bytes ? max_body_bytes : NX_RPC_DEFAULT_MAX_BYTES;
    method->budget = budget;
    enum nx_err err = add_route(server, method);
    if (err != NX_OK) {
        nx_free(method);
        return err;
    }
    server->methods[server->method_count++] = method;
    return NX_OK;
}

void nx_rpc_server_admit_all(struct nx_rpc_server *server, const char *name)
{
    for (size_t i = 0; i < server->method_count; i++) {
        if (strcmp(server->methods[i]->name, name) == 0) {
            server->methods[i]->admits_all = true;
        }
    }
}

/* --- the request ----------------------------------------------------------------------------- */

struct nx_worker *nx_rpc_request_worker(struct nx_rpc_request *req)
{
    return req->local ? nx_rpc_local_worker(req->local) : nx_http_request_worker(req->http);
}

struct nx_view nx_rpc_request_body(const struct nx_rpc_request *req)
{
    return req->local ? nx_rpc_local_body(req->local) : nx_http_request_body(req->http);
}

void nx_rpc_request_on_cancel(struct nx_rpc_request *req, void (*cancel)(void *user), void *user)
{
    req->cancel = cancel;
    req->cancel_user = user;
}

void nx_rpc_request_drained(struct nx_rpc_request *req)
{
    req->burst_bytes = 0;
    if (req->waiting) {
        req->waiting = false;
        if (req->drained) {
            req->drained(req->drained_user);
        }
    }
}

static void on_http_drained(void *user)
{
    nx_rpc_request_drained(user);
}

static void on_yielded(struct nx_task *task)
{
    struct nx_rpc_yield *yield = (struct nx_rpc_yield *)(void *)task;
    struct nx_rpc_request *req = yield->req;
    nx_free(yield);
    if (req) {
        req->yield = NULL;
        nx_rpc_request_drained(req);
    }
}

/* Whether a turn of the loop is awaited now, which then calls `drained`. */
static bool must_yield(struct nx_rpc_request *req, size_t sent_bytes)
{
    req->burst_bytes += sent_bytes;
    if (req->burst_bytes < BURST_BYTES) {
        return false;
    }
    if (!req->yield) {
        struct nx_rpc_yield *yield = nx_calloc(1, sizeof(*yield));
        if (!yield) {
            return false;
        }
        yield->task.run = on_yielded;
        yield->req = req;
        req->yield = yield;
        nx_worker_reply(nx_rpc_request_worker(req), &yield->task);
    }
    return true;
}

/* The request is about to end. */
static void forget_yield(struct nx_rpc_request *req)
{
    if (req->yield) {
        req->yield->req = NULL;
        req->yield = NULL;
    }
}

void nx_rpc_request_canceled(struct nx_rpc_request *req)
{
    req->canceled = true;
    if (req->cancel) {
        req->cancel(req->cancel_user);
    } else {
        nx_rpc_request_drained(req);
    }
}

/* --- the answer ------------------------------------------------------------------------------ */

void nx_rpc_reply(struct nx_rpc_request *req, struct nx_buf *message)
{
    assert(!req->streaming);
    enum nx_err err = nx_buf_err(message);
    if (err != NX_OK) {
        nx_buf_release(message);
        nx_rpc_reply_error(req, err, NULL);
        return;
    }
    if (req->local) {
        nx_rpc_local_reply(req->local, message, NX_OK, NULL);
    } else {
        nx_http_respond_buf(req->http, 200, NX_RPC_TYPE_MESSAGE, message);
    }
}

void nx_rpc_reply_error(struct nx_rpc_request *req, enum nx_err err, const char *text)
{
    assert(err != NX_OK && !req->begun);
    text = text ? text : nx_err_text(err);
    forget_yield(req);
    if (req->local) {
        nx_rpc_local_reply(req->local, NULL, err, text);
        return;
    }
    nx_http_response_header(req->http, NX_RPC_ERROR_HEADER, nx_err_name(err));
    nx_http_respond_text(req->http, nx_err_http(err), text);
}

void nx_rpc_stream_begin(struct nx_rpc_request *req, void (*on_drained)(void *user), void *user)
{
    assert(!req->streaming);
    req->streaming = true;
    req->drained = on_drained;
    req->drained_user = user;
}

static void begin_http(struct nx_rpc_request *req)
{
    if (!req->begun) {
        req->begun = true;
        nx_http_stream_begin(req->http, 200, NX_RPC_TYPE_FRAMES, on_http_drained, req);
    }
}

bool nx_rpc_stream_frame(struct nx_rpc_request *req, struct nx_buf *message)
{
    assert(req->streaming && nx_buf_err(message) == NX_OK);
    if (message->len == 0 || req->canceled) {
        nx_buf_release(message);
        return true;
    }
    bool more;
    size_t len = message->len;
    if (req->local) {
        more = nx_rpc_local_frame(req->local, message);
    } else {
        begin_http(req);
        /* Without memory for the head a part of the stream is missing: the end must not be sent. */
        if (!nx_rpc_frame_wrap(message)) {
            req->canceled = true;
            return true;
        }
        more = nx_http_stream_write(req->http, message);
    }
    more = more && !must_yield(req, len);
    req->waiting = !more;
    return more;
}

static void end_http(struct nx_rpc_request *req, enum nx_err err, const char *text)
{
    struct nx_buf last;
    nx_buf_init(&last, 2048);
    if (err == NX_OK) {
        nx_rpc_frame_put_end(&last);
    } else {
        nx_rpc_frame_put_error(&last, err, text);
    }
    begin_http(req);
    if (nx_buf_err(&last) != NX_OK || req->canceled) {
        nx_buf_release(&last);
        nx_http_stream_abort(req->http);
        return;
    }
    (void)nx_http_stream_write(req->http, &last);
    nx_http_stream_end(req->http);
}

void nx_rpc_stream_end(struct nx_rpc_request *req)
{
    assert(req->streaming);
    forget_yield(req);
    if (req->local) {
        nx_rpc_local_reply(req->local, NULL, NX_OK, NULL);
    } else {
        end_http(req, NX_OK, NULL);
    }
}

void nx_rpc_stream_fail(struct nx_rpc_request *req, enum nx_err err, const char *text)
{
    assert(req->streaming && err != NX_OK);
    forget_yield(req);
    if (req->local || !req->begun) {
        nx_rpc_reply_error(req, err, text);
    } else {
        end_http(req, err, text);
    }
}
