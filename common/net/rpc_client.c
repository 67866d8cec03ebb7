/* Calls: over HTTP, or through rpc_local.c where the address is this process's own. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/net/rpc_internal.h"

#define ADDRESS_MAX 255

/* --- life ------------------------------------------------------------------------------------ */

enum nx_err nx_rpc_client_new(struct nx_worker *worker, struct nx_log *log,
                              struct nx_rpc_server *local, const char *local_address,
                              struct nx_rpc_client **out)
{
    struct nx_rpc_client *client = nx_calloc(1, sizeof(*client));
    if (!client) {
        return NX_ERR_NOMEM;
    }
    client->worker = worker;
    client->log = log;
    TAILQ_INIT(&client->calls);
    enum nx_err err = NX_ERR_NOMEM;
    if (local && local_address) {
        client->local = local;
        client->local_address = nx_strdup(local_address);
        if (!client->local_address) {
            goto fail;
        }
    }
    err = nx_http_client_new(worker, log, &client->http);
    if (err != NX_OK) {
        goto fail;
    }
    *out = client;
    return NX_OK;
fail:
    nx_free(client->local_address);
    nx_free(client);
    return err;
}

enum nx_err nx_rpc_client_set_cluster(struct nx_rpc_client *client, const char *cluster)
{
    if (!nx_rpc_is_cluster(cluster)) {
        return NX_ERR_INVALID;
    }
    char header[sizeof(NX_RPC_CLUSTER_HEADER) + 2 + NX_RPC_CLUSTER_MAX];
    (void)snprintf(header, sizeof(header), NX_RPC_CLUSTER_HEADER ": %s", cluster);
    char *copy = nx_strdup(header);
    if (!copy) {
        return NX_ERR_NOMEM;
    }
    nx_free(client->cluster_header);
    client->cluster_header = copy;
    return NX_OK;
}

void nx_rpc_client_settle(struct nx_rpc_client *client)
{
    if (!client->http_closed || client->timers > 0 || !TAILQ_EMPTY(&client->calls)) {
        return;
    }
    void (*closed)(void *) = client->closed;
    void *user = client->closed_user;
    nx_free(client->cluster_header);
    nx_free(client->local_address);
    nx_free(client);
    if (closed) {
        closed(user);
    }
}

static void on_http_closed(void *user)
{
    struct nx_rpc_client *client = user;
    client->http_closed = true;
    nx_rpc_client_settle(client);
}

void nx_rpc_client_close(struct nx_rpc_client *client, void (*closed)(void *user), void *user)
{
    assert(nx_worker_is_current(client->worker) && !client->closing);
    client->closing = true;
    client->closed = closed;
    client->closed_user = user;
    struct nx_rpc_call *call;
    TAILQ_FOREACH(call, &client->calls, link)
    {
        nx_rpc_call_cancel(call);
    }
    nx_http_client_close(client->http, on_http_closed, client);
}

struct nx_worker *nx_rpc_client_worker(struct nx_rpc_client *client)
{
    return client->worker;
}

void nx_rpc_call_free(struct nx_rpc_call *call)
{
    nx_rpc_frames_release(&call->frames);
    nx_free(call);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct nx_rpc_call *call = handle->data;
    struct nx_rpc_client *client = call->client;
    nx_rpc_call_free(call);
    client->timers--;
    if (client->closing) {
        nx_rpc_client_settle(client);
    }
}

void nx_rpc_call_complete(struct nx_rpc_call *call, const struct nx_rpc_result *result)
{
    TAILQ_REMOVE(&call->client->calls, call, link);
    call->done(call->user, result);
    if (call->timer.data) {
        uv_close((uv_handle_t *)&call->timer, on_timer_closed);
    } else {
        nx_rpc_call_free(call);
    }
}

/* --- answers over HTTP ----------------------------------------------------------------------- */

static bool has_type(struct nx_http_call *http, const char *type)
{
    const char *header = nx_http_call_header(http, "Content-Type");
    return header && strcmp(header, type) == 0;
}

static enum nx_err on_piece(void *user, struct nx_view piece)
{
    struct nx_rpc_call *call = user;
    if (!has_type(call->http, NX_RPC_TYPE_FRAMES)) {
        return NX_ERR_CORRUPT;
    }
    return nx_rpc_frames_feed(&call->frames, piece, call->on_frame, call->user);
}

/* What a status means that no handler gave: it comes from the HTTP server below. */
static enum nx_err err_of_status(struct nx_http_call *http, int status)
{
    switch (status) {
    case 400:
        return NX_ERR_INVALID;
    case 401:
        return NX_ERR_UNAUTHORIZED;
    case 403:
        return NX_ERR_FORBIDDEN;
    case 404:
    case 405:
        return NX_ERR_METHOD;
    case 408:
        return NX_ERR_TIMEOUT;
    case 413:
    case 431:
        return NX_ERR_TOO_LARGE;
    case 415:
        return NX_ERR_UNSUPPORTED;
    case 429:
        return NX_ERR_RATE_LIMITED;
    case 503:
        return nx_http_call_header(http, "Retry-After") ? NX_ERR_OVERLOADED : NX_ERR_UNAVAILABLE;
    default:
        return NX_ERR_UNAVAILABLE;
    }
}

static void read_error(const struct nx_http_response *response, struct nx_rpc_result *result,
                       char *text, size_t size)
{
    const char *name = nx_http_call_header(response->call, NX_RPC_ERROR_HEADER);
    result->err =
        name ? nx_rpc_err_parse(nx_view_of(name)) : err_of_status(response->call, response->status);
    struct nx_view body = nx_view_trim(response->body);
    if (body.len > NX_RPC_TEXT_MAX) {
        body.len = NX_RPC_TEXT_MAX;
    }
    if (body.len > 0) {
        (void)snprintf(text, size, "%.*s", NX_VIEW_ARG(body));
    } else {
        (void)snprintf(text, size, "HTTP status %d", response->status);
    }
    result->text = text;
}

static void read_stream(struct nx_rpc_call *call, struct nx_rpc_result *result)
{
    if (!call->frames.ended) {
        result->err = NX_ERR_UNAVAILABLE;
        result->text = "the answer was cut off";
    } else if (call->frames.err != NX_OK) {
        result->err = call->frames.err;
        result->text = call->frames.text;
    }
}

static void on_http_done(void *user, const struct nx_http_response *response)
{
    struct nx_rpc_call *call = user;
    struct nx_rpc_result result = {.err = NX_OK, .body = NX_VIEW(""), .text = ""};
    char text[NX_RPC_TEXT_MAX + 1];
    bool whole_stream = call->on_frame && call->frames.ended && response->err == NX_ERR_UNAVAILABLE;
    if (response->err != NX_OK && !whole_stream) {
        result.err = response->err;
        result.text = response->error;
    } else if (response->err == NX_OK && response->status != 200) {
        read_error(response, &result, text, sizeof(text));
    } else if (call->on_frame) {
        read_stream(call, &result);
    } else if (!has_type(response->call, NX_RPC_TYPE_MESSAGE)) {
        result.err = NX_ERR_CORRUPT;
        result.text = "the answer is not a message";
    } else {
        result.body = response->body;
    }
    nx_rpc_call_complete(call, &result);
}

/* --- calling --------------------------------------------------------------------------------- */

/* Nothing that could change the meaning of the URL around it. */
static bool is_plain(const char *text, const char *extra)
{
    size_t len = strlen(text);
    if (len == 0 || len > ADDRESS_MAX) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !strchr(extra, c)) {
            return false;
        }
    }
    return true;
}

static enum nx_err call_http(struct nx_rpc_call *call, const struct nx_rpc_call_options *options)
{
    const char *const headers[] = {"Content-Type: " NX_RPC_TYPE_MESSAGE,
                                   call->client->cluster_header, NULL};
    char url[2 * ADDRESS_MAX + 64];
    if (!is_plain(options->address, ".-_:[]") || !is_plain(options->method, ".-_/")) {
        return NX_ERR_INVALID;
    }
    (void)snprintf(url, sizeof(url), "http://%s" NX_RPC_PREFIX "%s", options->address,
                   options->method);
    struct nx_http_call_options http = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = options->body,
        .timeout_ms = options->timeout_ms,
        .max_body_bytes = call->frames.max_frame_bytes,
        .on_data = options->on_frame ? on_piece : NULL,
        .done = on_http_done,
        .user = call,
    };
    return nx_http_client_send(call->client->http, &http, &call->http);
}

enum nx_err nx_rpc_call(struct nx_rpc_client *client, const struct nx_rpc_call_options *options,
                        struct nx_rpc_call **out)
{
    assert(nx_worker_is_current(client->worker));
    assert(options->address && options->method && options->done);
    enum nx_err err = client->closing ? NX_ERR_CLOSED : NX_ERR_NOMEM;
    struct nx_rpc_call *call = client->closing ? NULL : nx_calloc(1, sizeof(*call));
    if (!call) {
        goto fail;
    }
    call->client = client;
    call->on_frame = options->on_frame;
    call->done = options->done;
    call->user = options->user;
    nx_rpc_frames_init(&call->frames, options->max_frame_bytes ? options->max_frame_bytes
                                                               : NX_RPC_DEFAULT_MAX_BYTES);
    bool local = client->local && strcmp(options->address, client->local_address) == 0;
    err = local ? nx_rpc_local_call(call, options) : call_http(call, options);
    if (err != NX_OK) {
        nx_rpc_call_free(call);
        goto fail;
    }
    TAILQ_INSERT_TAIL(&client->calls, call, link);
    if (out) {
        *out = call;
    }
    return NX_OK;
fail:
    if (options->body) {
        nx_buf_release(options->body);
    }
    return err;
}

void nx_rpc_call_cancel(struct nx_rpc_call *call)
{
    assert(nx_worker_is_current(call->client->worker));
    if (call->local) {
        nx_rpc_local_cancel(call);
    } else if (call->http) {
        nx_http_call_cancel(call->http);
    }
}
