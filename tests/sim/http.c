/* Stands in for the HTTP server of common/net (http_server.h), as far as the roles use it. A
 * request has two parts: the client's (`exchange`), and the server's, which is memory of the
 * process. */
#include "tests/sim/http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/owner.h"
#include "common/base/refcount.h"
#include "common/net/http_server.h"
#include "tests/sim/turn.h"

enum { ROUTES_MAX = 128, HEADERS_MAX = 8 };

struct nx_http_server {
    struct sim_process *process;
    struct nx_workers *workers;
    struct nx_http_route routes[ROUTES_MAX];
    size_t route_count;
    size_t requests;
    bool stopping;
    void (*stopped)(void *user);
    void *stopped_user;
    struct nx_task stop_task;
};

struct exchange {
    TAILQ_ENTRY(exchange) link;
    struct nx_refcount refs;
    struct sim_process *to;
    unsigned method;
    char *path, *query;
    char *names[HEADERS_MAX], *values[HEADERS_MAX];
    char *body;
    size_t body_len;
    struct nx_http_request *request; /* while it is served */
    bool over;
    void (*done)(void *user, int status, struct nx_view body);
    void *user;
};

struct nx_http_request {
    struct exchange *exchange;
    struct nx_http_server *server;
    struct nx_worker *worker;
    struct nx_arena arena;
    const struct nx_http_route *route;
    size_t charged_bytes;
    void (*cancel)(void *user);
    void *cancel_user;
    int status; /* of a stream */
    struct nx_buf stream;
};

enum message_kind { MESSAGE_REQUEST, MESSAGE_ANSWER, MESSAGE_TIMEOUT };

struct message {
    struct sim_event event;
    enum message_kind kind;
    struct exchange *exchange;
    int status;
    size_t len;
    char bytes[];
};

static TAILQ_HEAD(, exchange) exchanges = TAILQ_HEAD_INITIALIZER(exchanges);

/* --- the client's side ------------------------------------------------------------------------ */

static void exchange_drop(struct exchange *x)
{
    if (!nx_refcount_drop(&x->refs))
        return;
    TAILQ_REMOVE(&exchanges, x, link);
    for (size_t i = 0; i < HEADERS_MAX; i++) {
        sim_free(x->names[i]);
        sim_free(x->values[i]);
    }
    sim_free(x->path);
    sim_free(x->query);
    sim_free(x->body);
    sim_free(x);
}

static void message_drop(struct sim_event *event)
{
    struct message *m = NX_OWNER(struct message, event, event);
    exchange_drop(m->exchange);
    sim_free(m);
}

static void deliver(struct sim_event *event);

static void post_message(enum message_kind kind, struct exchange *x, int status,
                         struct nx_view body, uint64_t delay_ns)
{
    struct message *m = sim_calloc(1, sizeof *m + body.len);
    m->kind = kind;
    m->exchange = x;
    nx_refcount_take(&x->refs);
    m->status = status;
    m->len = body.len;
    if (body.len > 0)
        memcpy(m->bytes, body.ptr, body.len);
    m->event = (struct sim_event){
        .kind = SIM_HTTP, .run = deliver, .drop = message_drop, .any_life = true};
    sim_after(&m->event, kind == MESSAGE_REQUEST ? x->to : NULL, delay_ns);
}

static char *copy_text(const char *text)
{
    char *copy = strdup(text);
    sim_check(copy != NULL, "memory for a text");
    return copy;
}

void sim_http_send(struct sim_process *to, const struct sim_http_request *request)
{
    struct exchange *x = sim_calloc(1, sizeof *x);
    nx_refcount_init(&x->refs);
    x->to = to;
    x->method = request->method;
    x->path = copy_text(request->path);
    x->query = copy_text(request->query ? request->query : "");
    for (size_t i = 0; request->headers && request->headers[i].name; i++) {
        assert(i < HEADERS_MAX);
        x->names[i] = copy_text(request->headers[i].name);
        x->values[i] = copy_text(request->headers[i].value);
    }
    x->body_len = request->body.len;
    x->body = sim_calloc(1, x->body_len + 1);
    if (x->body_len > 0)
        memcpy(x->body, request->body.ptr, x->body_len);
    x->done = request->done;
    x->user = request->user;
    TAILQ_INSERT_TAIL(&exchanges, x, link);
    post_message(MESSAGE_REQUEST, x, 0, NX_VIEW(""), sim_between(50, 500) * SIM_US);
    post_message(MESSAGE_TIMEOUT, x, 0, NX_VIEW(""), request->timeout_ns);
}

static void finish(struct exchange *x, int status, struct nx_view body)
{
    if (x->over)
        return;
    x->over = true;
    sim_mix((uint64_t)status ^ nx_hash64(body.ptr, body.len));
    x->done(x->user, status, body);
    struct nx_http_request *req = x->request;
    if (req && req->cancel) { /* the client has given up */
        struct sim_process *outer = sim_enter(x->to);
        struct nx_worker *before = sim_turn(req->worker);
        void (*cancel)(void *) = req->cancel;
        req->cancel = NULL;
        cancel(req->cancel_user);
        (void)sim_turn(before);
        (void)sim_enter(outer);
    }
    exchange_drop(x);
}

/* --- the server's side ------------------------------------------------------------------------ */

static const struct nx_http_route *find_route(const struct nx_http_server *server,
                                              const struct exchange *x)
{
    for (size_t i = 0; i < server->route_count; i++)
        if (strcmp(server->routes[i].path, x->path) == 0 &&
            (server->routes[i].methods & x->method) != 0)
            return &server->routes[i];
    return NULL;
}

static bool charge(struct nx_http_request *req)
{
    struct nx_http_budget *budget = req->route->budget;
    size_t len = req->exchange->body_len;
    if (!budget || len == 0)
        return true;
    if (atomic_fetch_add(&budget->used_bytes, len) + len > budget->max_bytes) {
        atomic_fetch_sub(&budget->used_bytes, len);
        return false;
    }
    req->charged_bytes = len;
    return true;
}

static void serve(struct exchange *x)
{
    struct nx_http_server *server = x->to->up ? x->to->http : NULL;
    if (!server || server->stopping) {
        if (!x->to->dark)
            post_message(MESSAGE_ANSWER, x, 0, NX_VIEW(""), SIM_MS);
        return;
    }
    const struct nx_http_route *route = find_route(server, x);
    sim_check(route != NULL, "a route for the request");
    struct nx_http_request *req = sim_process_calloc(1, sizeof *req);
    req->exchange = x;
    nx_refcount_take(&x->refs);
    x->request = req;
    req->server = server;
    server->requests++;
    req->route = route;
    req->worker = nx_workers_at(server->workers, sim_below(nx_workers_count(server->workers)));
    nx_arena_init(&req->arena, 0);
    nx_buf_init(&req->stream, SIZE_MAX);
    struct nx_worker *before = sim_turn(req->worker);
    if (!route->check || route->check(req, route->user)) {
        if (charge(req))
            route->handle(req, route->user);
        else
            nx_http_respond_text(req, 503, "overloaded");
    }
    (void)sim_turn(before);
}

static void deliver(struct sim_event *event)
{
    struct message *m = NX_OWNER(struct message, event, event);
    if (m->kind == MESSAGE_REQUEST)
        serve(m->exchange);
    else
        finish(m->exchange, m->status, nx_view_make(m->bytes, m->len));
    message_drop(event);
}

void sim_http_forget(struct sim_process *process)
{
    struct exchange *x;
    TAILQ_FOREACH(x, &exchanges, link)
    {
        if (x->to != process || !x->request)
            continue;
        x->request = NULL;
        (void)nx_refcount_drop(&x->refs); /* the request's; the time-out holds it */
        if (!process->dark && !x->over)
            post_message(MESSAGE_ANSWER, x, 0, NX_VIEW(""), sim_between(1, 20) * SIM_MS);
    }
}

/* --- the server: http_server.h ---------------------------------------------------------------- */

enum nx_err nx_http_server_new(const struct nx_http_server_options *options,
                               struct nx_workers *workers, struct nx_log *log,
                               struct nx_telemetry *telemetry, struct nx_http_server **out)
{
    (void)options;
    (void)log;
    (void)telemetry;
    struct nx_http_server *server = sim_process_calloc(1, sizeof *server);
    server->process = sim_current();
    server->workers = workers;
    server->process->http = server;
    *out = server;
    return NX_OK;
}

enum nx_err nx_http_server_route(struct nx_http_server *server, const struct nx_http_route *route)
{
    sim_check(server->route_count < ROUTES_MAX, "too many routes");
    struct nx_http_route *copy = &server->routes[server->route_count++];
    *copy = *route;
    copy->path = nx_strdup(route->path);
    return NX_OK;
}

static void run_stopped(struct nx_task *task)
{
    struct nx_http_server *server = NX_OWNER(struct nx_http_server, stop_task, task);
    server->stopped(server->stopped_user);
}

static void settle_stop(struct nx_http_server *server)
{
    if (!server->stopping || server->requests > 0)
        return;
    server->stop_task.run = run_stopped;
    nx_worker_reply(nx_workers_at(server->workers, 0), &server->stop_task);
}

void nx_http_server_stop(struct nx_http_server *server, uint64_t grace_ms, void (*done)(void *user),
                         void *user)
{
    (void)grace_ms;
    server->stopping = true;
    server->stopped = done;
    server->stopped_user = user;
    settle_stop(server);
}

void nx_http_server_free(struct nx_http_server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < server->route_count; i++) {
        void *path;
        memcpy(&path, &server->routes[i].path, sizeof path);
        nx_free(path);
    }
    server->process->http = NULL;
    nx_free(server);
}

struct nx_worker *nx_http_request_worker(struct nx_http_request *req)
{
    return req->worker;
}

enum nx_http_method nx_http_request_method(const struct nx_http_request *req)
{
    return (enum nx_http_method)req->exchange->method;
}

struct nx_view nx_http_request_path(const struct nx_http_request *req)
{
    return nx_view_of(req->exchange->path);
}

struct nx_view nx_http_request_query(const struct nx_http_request *req)
{
    return nx_view_of(req->exchange->query);
}

struct nx_view nx_http_request_header(const struct nx_http_request *req, const char *name)
{
    const struct exchange *x = req->exchange;
    for (size_t i = 0; i < HEADERS_MAX && x->names[i]; i++)
        if (strcasecmp(x->names[i], name) == 0)
            return nx_view_of(x->values[i]);
    return (struct nx_view){.ptr = NULL};
}

struct nx_view nx_http_request_body(const struct nx_http_request *req)
{
    return nx_view_make(req->exchange->body, req->exchange->body_len);
}

struct nx_view nx_http_request_param(const struct nx_http_request *req)
{
    (void)req;
    return NX_VIEW("");
}

struct nx_arena *nx_http_request_arena(struct nx_http_request *req)
{
    return &req->arena;
}

void nx_http_request_on_cancel(struct nx_http_request *req, void (*cancel)(void *user), void *user)
{
    req->cancel = cancel;
    req->cancel_user = user;
}

void nx_http_response_header(struct nx_http_request *req, const char *name, const char *value)
{
    (void)req;
    (void)name;
    (void)value;
}

void nx_http_response_compress(struct nx_http_request *req)
{
    (void)req;
}

void nx_http_respond(struct nx_http_request *req, int status, const char *type, struct nx_view body)
{
    (void)type;
    struct exchange *x = req->exchange;
    struct nx_http_server *server = req->server;
    assert(nx_worker_is_current(req->worker));
    post_message(MESSAGE_ANSWER, x, status, body, sim_between(50, 500) * SIM_US);
    if (req->charged_bytes > 0)
        atomic_fetch_sub(&req->route->budget->used_bytes, req->charged_bytes);
    nx_arena_release(&req->arena);
    nx_buf_release(&req->stream);
    nx_free(req);
    x->request = NULL;
    exchange_drop(x);
    server->requests--;
    settle_stop(server);
}

void nx_http_respond_buf(struct nx_http_request *req, int status, const char *type,
                         struct nx_buf *body)
{
    struct nx_buf taken = *body;
    nx_buf_init(body, body->max);
    nx_http_respond(req, status, type, nx_buf_view(&taken));
    nx_buf_release(&taken);
}

void nx_http_respond_text(struct nx_http_request *req, int status, const char *text)
{
    nx_http_respond(req, status, "text/plain", nx_view_of(text));
}

void nx_http_stream_begin(struct nx_http_request *req, int status, const char *type,
                          void (*drained)(void *user), void *user)
{
    (void)type;
    (void)drained;
    (void)user;
    req->status = status;
}

bool nx_http_stream_write(struct nx_http_request *req, struct nx_buf *piece)
{
    nx_buf_append_view(&req->stream, nx_buf_view(piece));
    nx_buf_release(piece);
    return true;
}

void nx_http_stream_end(struct nx_http_request *req)
{
    struct nx_buf taken = req->stream;
    nx_buf_init(&req->stream, SIZE_MAX);
    nx_http_respond(req, req->status, NULL, nx_buf_view(&taken));
    nx_buf_release(&taken);
}

void nx_http_stream_abort(struct nx_http_request *req)
{
    nx_http_respond(req, 0, NULL, NX_VIEW(""));
}
