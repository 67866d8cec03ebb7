/* Stands in for the RPC of common/net (rpc.h), over the network of the simulation.
 *
 * An exchange is one connection's worth of a call: the request on its way, the request being served
 * (`request`, memory of the callee), the caller's side (`call`, memory of the caller). Either side
 * may be gone: it timed out, was canceled, or its process died. A message that is lost takes the
 * connection with it, as with TCP: nothing of the exchange passes any more, the caller hears of it
 * at once or waits for its time-out, the callee is told after a while that its caller went away.
 * A unary request may be delivered twice, each time as an exchange of its own; the first answer
 * counts. Frames of a stream keep their order. */
#include "common/net/rpc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/base/owner.h"
#include "common/base/refcount.h"
#include "tests/sim/net.h"
#include "tests/sim/peer.h"
#include "tests/sim/turn.h"

#define DEFAULT_MAX_BYTES ((size_t)64 << 20)
#define HIGH_WATER_BYTES ((size_t)64 << 10)
#define LOW_WATER_BYTES ((size_t)16 << 10)
#define SILENCE_NS (15 * SIM_S)
#define METHODS_MAX 64

struct method {
    char *name;
    nx_rpc_handler handle;
    void *user;
    size_t max_body_bytes;
    struct nx_http_budget *budget;
    bool admits_all;
};

struct nx_rpc_server {
    struct sim_process *process;
    struct nx_workers *workers;
    char *cluster;
    struct method methods[METHODS_MAX];
    size_t method_count;
};

struct nx_rpc_client {
    struct sim_process *process;
    struct nx_worker *worker;
    char *cluster;
    TAILQ_HEAD(, nx_rpc_call) calls;
    bool closing;
    void (*closed)(void *user);
    void *closed_user;
};

struct nx_rpc_call {
    TAILQ_ENTRY(nx_rpc_call) link;
    struct nx_rpc_client *client;
    enum nx_err (*on_frame)(void *user, struct nx_view frame);
    void (*done)(void *user, const struct nx_rpc_result *result);
    void *user;
    size_t max_bytes;
    struct exchange *exchanges[2];
    struct message *timeout;
    bool finishing;
};

struct nx_rpc_request {
    struct exchange *exchange;
    struct nx_worker *worker;
    struct nx_buf body;
    size_t charged_bytes;
    struct nx_http_budget *budget;
    void (*cancel)(void *user);
    void *cancel_user;
    void (*drained)(void *user);
    void *drained_user;
    bool streaming, waiting, canceled;
};

struct exchange {
    TAILQ_ENTRY(exchange) link;
    struct nx_refcount refs;
    uint64_t number;
    struct sim_process *from, *to;
    struct nx_rpc_call *call;
    struct nx_rpc_request *request;
    struct nx_worker *caller;
    const char *method, *cluster, *body; /* in `bytes` */
    size_t body_len;
    bool arrived, broken, cancel_sent;
    size_t inflight_bytes;
    uint64_t last_frame_ns;
    char bytes[];
};

enum message_kind {
    MESSAGE_REQUEST,
    MESSAGE_ANSWER,
    MESSAGE_FRAME,
    MESSAGE_END,
    MESSAGE_FAIL, /* the caller hears that the connection is gone */
    MESSAGE_CANCEL,
    MESSAGE_DRAINED,
    MESSAGE_TIMEOUT,
    MESSAGE_CLOSED, /* of a client */
};

struct message {
    struct sim_event event;
    enum message_kind kind;
    struct exchange *exchange;
    struct nx_rpc_call *call;     /* of a time-out, and of the end after a cancel */
    struct nx_rpc_client *client; /* of its close */
    enum nx_err err;
    size_t len;
    char bytes[]; /* the body, or the text of the error; then a NUL */
};

static TAILQ_HEAD(, exchange) exchanges = TAILQ_HEAD_INITIALIZER(exchanges);
static uint64_t next_number;

/* --- exchanges and messages ------------------------------------------------------------------- */

static void exchange_drop(struct exchange *x)
{
    if (!nx_refcount_drop(&x->refs))
        return;
    TAILQ_REMOVE(&exchanges, x, link);
    sim_free(x);
}

static void message_free(struct message *m)
{
    if (m->exchange)
        exchange_drop(m->exchange);
    sim_free(m);
}

static void message_drop(struct sim_event *event)
{
    message_free(NX_OWNER(struct message, event, event));
}

static void deliver(struct sim_event *event);

static struct message *message_new(enum message_kind kind, struct exchange *x, const void *bytes,
                                   size_t len)
{
    struct message *m = sim_calloc(1, sizeof *m + len + 1);
    m->kind = kind;
    m->exchange = x;
    if (x)
        nx_refcount_take(&x->refs);
    m->len = len;
    if (len > 0)
        memcpy(m->bytes, bytes, len);
    m->event = (struct sim_event){.kind = SIM_MESSAGE, .run = deliver, .drop = message_drop};
    return m;
}

/* Both ends will learn, some time, that the connection is gone. */
static void break_exchange(struct exchange *x)
{
    if (x->broken)
        return;
    x->broken = true;
    sim_trace("#%lu %s to %s: connection lost", (unsigned long)x->number, x->method, x->to->name);
    struct message *fail = message_new(MESSAGE_FAIL, x, NULL, 0);
    bool at_once = sim_chance(0.4);
    sim_after(&fail->event, x->from, at_once ? sim_between(1, 300) * SIM_MS : SILENCE_NS);
    struct message *cancel = message_new(MESSAGE_CANCEL, x, NULL, 0);
    sim_after(&cancel->event, x->to, sim_between(1, 30000) * SIM_MS);
}

static void send_to_caller(struct exchange *x, struct message *m)
{
    if (x->broken) {
        message_free(m);
    } else if (!sim_net_passes(x->to, x->from)) {
        break_exchange(x);
        message_free(m);
    } else {
        uint64_t delay = sim_net_delay(x->to, x->from);
        uint64_t at = sim_now() + delay;
        x->last_frame_ns = at > x->last_frame_ns ? at : x->last_frame_ns + 1;
        sim_after(&m->event, x->from, x->last_frame_ns - sim_now());
    }
}

static void send_cancel(struct exchange *x)
{
    if (x->cancel_sent)
        return;
    x->cancel_sent = true;
    bool passes = sim_net_passes(x->from, x->to);
    uint64_t delay = passes ? sim_net_delay(x->from, x->to) : sim_between(1000, 30000) * SIM_MS;
    struct message *m = message_new(MESSAGE_CANCEL, x, NULL, 0);
    m->event.any_life = !x->arrived;
    sim_after(&m->event, x->to, delay);
}

/* --- the caller's side ------------------------------------------------------------------------ */

static void client_settle(struct nx_rpc_client *client)
{
    if (!client->closing || !TAILQ_EMPTY(&client->calls))
        return;
    struct message *m = message_new(MESSAGE_CLOSED, NULL, NULL, 0);
    m->client = client;
    sim_after(&m->event, client->process, SIM_US);
}

static void forget_call(struct nx_rpc_call *call, bool cancel)
{
    for (size_t i = 0; i < 2; i++) {
        struct exchange *x = call->exchanges[i];
        if (!x)
            continue;
        x->call = NULL;
        call->exchanges[i] = NULL;
        if (cancel)
            send_cancel(x);
        exchange_drop(x);
    }
    if (call->timeout)
        sim_cancel(&call->timeout->event);
    call->timeout = NULL;
}

static void complete(struct nx_rpc_call *call, const struct nx_rpc_result *result)
{
    struct nx_rpc_client *client = call->client;
    forget_call(call, true);
    TAILQ_REMOVE(&client->calls, call, link);
    call->done(call->user, result);
    nx_free(call);
    client_settle(client);
}

static void complete_err(struct nx_rpc_call *call, enum nx_err err, const char *text)
{
    struct nx_rpc_result result = {.err = err, .body = NX_VIEW(""), .text = text};
    complete(call, &result);
}

static void take_frame(struct exchange *x, const struct message *m)
{
    struct nx_rpc_call *call = x->call;
    x->inflight_bytes -= m->len;
    if (call && !call->finishing) {
        struct nx_view frame = nx_view_make(m->bytes, m->len);
        enum nx_err err = m->len > call->max_bytes ? NX_ERR_TOO_LARGE
                          : !call->on_frame        ? NX_ERR_CORRUPT
                                                   : call->on_frame(call->user, frame);
        if (err != NX_OK && x->call && !call->finishing)
            complete_err(call, err, nx_err_text(err));
    }
    if (x->inflight_bytes <= LOW_WATER_BYTES && x->request && x->request->waiting) {
        struct message *drained = message_new(MESSAGE_DRAINED, x, NULL, 0);
        sim_after(&drained->event, x->to, sim_net_delay(x->from, x->to));
    }
}

static void take_answer(struct exchange *x, const struct message *m)
{
    struct nx_rpc_call *call = x->call;
    if (!call || call->finishing)
        return;
    bool streamed = m->kind == MESSAGE_END;
    struct nx_rpc_result result = {.err = m->err, .body = NX_VIEW(""), .text = m->bytes};
    if (m->err == NX_OK && streamed != (call->on_frame != NULL))
        result.err = NX_ERR_CORRUPT;
    else if (m->err == NX_OK && m->len > call->max_bytes)
        result.err = NX_ERR_TOO_LARGE;
    else if (m->err == NX_OK)
        result.body = nx_view_make(m->bytes, m->len);
    x->cancel_sent = true;
    complete(call, &result);
}

static void take_failure(struct exchange *x)
{
    struct nx_rpc_call *call = x->call;
    if (!call || call->finishing)
        return;
    for (size_t i = 0; i < 2; i++) /* its other delivery may still answer */
        if (call->exchanges[i] && call->exchanges[i] != x && !call->exchanges[i]->broken)
            return;
    complete_err(call, NX_ERR_UNAVAILABLE, "the connection is gone");
}

/* --- the callee's side ------------------------------------------------------------------------ */

static const struct method *find_method(const struct nx_rpc_server *server, const char *name)
{
    for (size_t i = 0; server && i < server->method_count; i++)
        if (strcmp(server->methods[i].name, name) == 0)
            return &server->methods[i];
    return NULL;
}

static void answer_without_request(struct exchange *x, enum nx_err err, const char *text)
{
    struct message *m = message_new(MESSAGE_ANSWER, x, text, strlen(text));
    m->err = err;
    send_to_caller(x, m);
}

static enum nx_err admit(const struct exchange *x, const struct method *method)
{
    const char *cluster = x->to->rpc->cluster;
    if (!method)
        return NX_ERR_METHOD;
    if (cluster && !method->admits_all && (!x->cluster || strcmp(cluster, x->cluster) != 0))
        return NX_ERR_CLUSTER;
    if (x->body_len > method->max_body_bytes)
        return NX_ERR_TOO_LARGE;
    if (!method->budget || x->body_len == 0)
        return NX_OK;
    size_t used = atomic_fetch_add(&method->budget->used_bytes, x->body_len);
    if (used + x->body_len <= method->budget->max_bytes)
        return NX_OK;
    atomic_fetch_sub(&method->budget->used_bytes, x->body_len);
    return NX_ERR_OVERLOADED;
}

static void serve(struct exchange *x)
{
    if (!x->to->up || !x->to->rpc) {
        if (x->to->dark)
            break_exchange(x);
        else
            answer_without_request(x, NX_ERR_UNAVAILABLE, "connection refused");
        return;
    }
    x->arrived = true;
    struct nx_rpc_server *server = x->to->rpc;
    const struct method *method = find_method(server, x->method);
    enum nx_err err = admit(x, method);
    if (err != NX_OK) {
        answer_without_request(x, err, nx_err_text(err));
        return;
    }
    struct nx_rpc_request *req = sim_process_calloc(1, sizeof *req);
    x->request = req;
    nx_refcount_take(&x->refs);
    req->exchange = x;
    req->worker = nx_workers_at(server->workers, sim_below(nx_workers_count(server->workers)));
    if (method->budget) {
        req->budget = method->budget;
        req->charged_bytes = x->body_len;
    }
    nx_buf_init(&req->body, SIZE_MAX);
    nx_buf_append_view(&req->body, nx_view_make(x->body, x->body_len));
    if (!x->call)
        send_cancel(x);
    struct nx_worker *before = sim_turn(req->worker);
    method->handle(req, method->user);
    (void)sim_turn(before);
}

static void wake_drained(struct nx_rpc_request *req)
{
    if (!req->waiting)
        return;
    req->waiting = false;
    struct nx_worker *before = sim_turn(req->worker);
    req->drained(req->drained_user);
    (void)sim_turn(before);
}

static void cancel_request(struct exchange *x)
{
    struct nx_rpc_request *req = x->request;
    x->broken = true;
    if (!req || req->canceled)
        return;
    req->canceled = true;
    if (!req->cancel) {
        wake_drained(req);
        return;
    }
    struct nx_worker *before = sim_turn(req->worker);
    req->cancel(req->cancel_user);
    (void)sim_turn(before);
}

/* --- delivery --------------------------------------------------------------------------------- */

static const char *const kind_names[] = {"request", "answer",  "frame",    "end",   "fail",
                                         "cancel",  "drained", "time-out", "closed"};

static void trace_message(const struct message *m)
{
    const struct exchange *x = m->exchange;
    if (x)
        sim_mix(x->number ^ nx_hash64(m->bytes, m->len));
    if (x && sim_tracing())
        sim_trace("#%lu %s %s %s->%s %zu bytes%s%s", (unsigned long)x->number, x->method,
                  kind_names[m->kind], x->from->name, x->to->name,
                  m->kind == MESSAGE_REQUEST ? x->body_len : m->len, m->err ? ": " : "",
                  m->err ? m->bytes : "");
}

static void close_client(struct nx_rpc_client *client)
{
    void (*closed)(void *) = client->closed;
    void *user = client->closed_user;
    nx_free(client->cluster);
    nx_free(client);
    if (closed)
        closed(user);
}

/* Of a call, whatever became of its exchanges. */
static void on_call(struct message *m)
{
    struct nx_worker *before = sim_turn(m->client ? m->client->worker : m->call->client->worker);
    if (m->client) {
        close_client(m->client);
    } else {
        m->call->timeout = NULL;
        complete_err(m->call, m->err, nx_err_text(m->err));
    }
    (void)sim_turn(before);
}

static void on_caller(struct exchange *x, struct message *m)
{
    struct nx_worker *before = sim_turn(x->caller);
    if (m->kind == MESSAGE_FRAME)
        take_frame(x, m);
    else if (m->kind == MESSAGE_FAIL)
        take_failure(x);
    else
        take_answer(x, m);
    (void)sim_turn(before);
}

static void on_callee(struct exchange *x, const struct message *m)
{
    if (m->kind == MESSAGE_REQUEST && !x->broken)
        serve(x);
    else if (m->kind == MESSAGE_CANCEL)
        cancel_request(x);
    else if (m->kind == MESSAGE_DRAINED && x->request)
        wake_drained(x->request);
}

static void deliver(struct sim_event *event)
{
    struct message *m = NX_OWNER(struct message, event, event);
    struct exchange *x = m->exchange;
    trace_message(m);
    if (!x)
        on_call(m);
    else if (m->kind == MESSAGE_REQUEST || m->kind == MESSAGE_CANCEL || m->kind == MESSAGE_DRAINED)
        on_callee(x, m);
    else
        on_caller(x, m);
    message_free(m);
}

void sim_rpc_begin(void)
{
    sim_check(TAILQ_EMPTY(&exchanges), "no calls of another world");
    next_number = 0;
}

void sim_net_forget(struct sim_process *process)
{
    struct exchange *x, *next;
    for (x = TAILQ_FIRST(&exchanges); x; x = next) {
        next = TAILQ_NEXT(x, link);
        nx_refcount_take(&x->refs);
        if (x->from == process && x->call) {
            x->call = NULL;
            send_cancel(x);
            exchange_drop(x);
        }
        if (x->to == process && !x->broken) {
            x->broken = true;
            if (x->call) {
                struct message *fail = message_new(MESSAGE_FAIL, x, NULL, 0);
                sim_after(&fail->event, x->from,
                          process->dark ? SILENCE_NS : sim_between(1, 20) * SIM_MS);
            }
        }
        if (x->to == process && x->request) {
            x->request = NULL;
            exchange_drop(x);
        }
        exchange_drop(x);
    }
}

/* --- serving: rpc.h --------------------------------------------------------------------------- */

enum nx_err nx_rpc_server_new(struct nx_http_server *http, struct nx_workers *workers,
                              struct nx_log *log, struct nx_rpc_server **out)
{
    (void)http;
    (void)log;
    struct nx_rpc_server *server = sim_process_calloc(1, sizeof *server);
    server->process = sim_current();
    server->workers = workers;
    server->process->rpc = server;
    *out = server;
    return NX_OK;
}

enum nx_err nx_rpc_server_method(struct nx_rpc_server *server, const char *method,
                                 nx_rpc_handler handle, void *user, size_t max_body_bytes,
                                 struct nx_http_budget *budget)
{
    sim_check(server->method_count < METHODS_MAX, "too many RPC methods");
    server->methods[server->method_count++] =
        (struct method){.name = nx_strdup(method),
                        .handle = handle,
                        .user = user,
                        .max_body_bytes = max_body_bytes ? max_body_bytes : DEFAULT_MAX_BYTES,
                        .budget = budget};
    return NX_OK;
}

enum nx_err nx_rpc_server_set_cluster(struct nx_rpc_server *server, const char *cluster)
{
    server->cluster = nx_strdup(cluster);
    return NX_OK;
}

void nx_rpc_server_admit_all(struct nx_rpc_server *server, const char *method)
{
    for (size_t i = 0; i < server->method_count; i++)
        if (strcmp(server->methods[i].name, method) == 0)
            server->methods[i].admits_all = true;
}

void nx_rpc_server_free(struct nx_rpc_server *server)
{
    if (!server)
        return;
    for (size_t i = 0; i < server->method_count; i++)
        nx_free(server->methods[i].name);
    server->process->rpc = NULL;
    nx_free(server->cluster);
    nx_free(server);
}

struct nx_worker *nx_rpc_request_worker(struct nx_rpc_request *req)
{
    return req->worker;
}

struct nx_view nx_rpc_request_body(const struct nx_rpc_request *req)
{
    return nx_buf_view(&req->body);
}

void nx_rpc_request_on_cancel(struct nx_rpc_request *req, void (*cancel)(void *user), void *user)
{
    req->cancel = cancel;
    req->cancel_user = user;
}

/* The request is answered, and gone. */
static void answer(struct nx_rpc_request *req, enum message_kind kind, struct nx_view body,
                   enum nx_err err, const char *text)
{
    struct exchange *x = req->exchange;
    assert(nx_worker_is_current(req->worker));
    struct message *m = err == NX_OK ? message_new(kind, x, body.ptr, body.len)
                                     : message_new(kind, x, text, strlen(text));
    m->err = err;
    send_to_caller(x, m);
    if (req->charged_bytes > 0)
        atomic_fetch_sub(&req->budget->used_bytes, req->charged_bytes);
    nx_buf_release(&req->body);
    nx_free(req);
    x->request = NULL;
    exchange_drop(x);
}

void nx_rpc_reply(struct nx_rpc_request *req, struct nx_buf *message)
{
    enum nx_err err = nx_buf_err(message);
    assert(!req->streaming);
    struct nx_view body = err == NX_OK ? nx_buf_view(message) : NX_VIEW("");
    answer(req, MESSAGE_ANSWER, body, err, nx_err_text(err));
    nx_buf_release(message);
}

void nx_rpc_reply_error(struct nx_rpc_request *req, enum nx_err err, const char *text)
{
    answer(req, MESSAGE_ANSWER, NX_VIEW(""), err, text);
}

void nx_rpc_stream_begin(struct nx_rpc_request *req, void (*drained)(void *user), void *user)
{
    req->streaming = true;
    req->drained = drained;
    req->drained_user = user;
}

bool nx_rpc_stream_frame(struct nx_rpc_request *req, struct nx_buf *message)
{
    struct exchange *x = req->exchange;
    assert(nx_worker_is_current(req->worker) && req->streaming);
    size_t len = message->len;
    if (len > 0 && !x->broken) {
        struct message *m = message_new(MESSAGE_FRAME, x, message->data, len);
        send_to_caller(x, m);
        x->inflight_bytes += x->broken ? 0 : len;
    }
    nx_buf_release(message);
    if (x->broken || x->inflight_bytes <= HIGH_WATER_BYTES)
        return true;
    req->waiting = true;
    return false;
}

void nx_rpc_stream_end(struct nx_rpc_request *req)
{
    answer(req, MESSAGE_END, NX_VIEW(""), NX_OK, "");
}

void nx_rpc_stream_fail(struct nx_rpc_request *req, enum nx_err err, const char *text)
{
    answer(req, MESSAGE_END, NX_VIEW(""), err, text);
}

/* --- calling: rpc.h --------------------------------------------------------------------------- */

enum nx_err nx_rpc_client_new(struct nx_worker *worker, struct nx_log *log,
                              struct nx_rpc_server *local, const char *local_address,
                              struct nx_rpc_client **out)
{
    (void)log;
    (void)local;
    (void)local_address;
    struct nx_rpc_client *client = sim_process_calloc(1, sizeof *client);
    client->process = sim_current();
    client->worker = worker;
    TAILQ_INIT(&client->calls);
    *out = client;
    return NX_OK;
}

enum nx_err nx_rpc_client_set_cluster(struct nx_rpc_client *client, const char *cluster)
{
    client->cluster = nx_strdup(cluster);
    return NX_OK;
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
    client_settle(client);
}

struct nx_worker *nx_rpc_client_worker(struct nx_rpc_client *client)
{
    return client->worker;
}

/* Ends the call after `delay_ns` with that code, unless it ends before. */
static void end_later(struct nx_rpc_call *call, enum nx_err err, uint64_t delay_ns)
{
    struct message *m = message_new(MESSAGE_TIMEOUT, NULL, NULL, 0);
    m->call = call;
    m->err = err;
    call->timeout = m;
    sim_after(&m->event, call->client->process, delay_ns);
}

void nx_rpc_call_cancel(struct nx_rpc_call *call)
{
    if (call->finishing)
        return;
    forget_call(call, true);
    call->finishing = true;
    end_later(call, NX_ERR_CANCELED, SIM_US);
}

static struct exchange *exchange_new(struct nx_rpc_call *call, struct sim_process *to,
                                     const struct nx_rpc_call_options *options)
{
    const char *cluster = call->client->cluster;
    size_t body_len = options->body ? options->body->len : 0;
    size_t method_size = strlen(options->method) + 1;
    size_t cluster_size = cluster ? strlen(cluster) + 1 : 0;
    struct exchange *x = sim_calloc(1, sizeof *x + method_size + cluster_size + body_len);
    x->number = next_number++;
    nx_refcount_init(&x->refs);
    x->from = call->client->process;
    x->to = to;
    x->call = call;
    x->caller = call->client->worker;
    x->method = memcpy(x->bytes, options->method, method_size);
    if (cluster)
        x->cluster = memcpy(x->bytes + method_size, cluster, cluster_size);
    x->body_len = body_len;
    x->body = x->bytes + method_size + cluster_size;
    if (body_len > 0)
        memcpy(x->bytes + method_size + cluster_size, options->body->data, body_len);
    TAILQ_INSERT_TAIL(&exchanges, x, link);
    sim_mix(nx_hash64(x->body, x->body_len));
    return x;
}

static void send_request(struct exchange *x)
{
    if (!sim_net_passes(x->from, x->to)) {
        break_exchange(x);
        return;
    }
    struct message *m = message_new(MESSAGE_REQUEST, x, NULL, 0);
    m->event.any_life = true;
    sim_after(&m->event, x->to, sim_net_delay(x->from, x->to));
}

enum nx_err nx_rpc_call(struct nx_rpc_client *client, const struct nx_rpc_call_options *options,
                        struct nx_rpc_call **out)
{
    assert(nx_worker_is_current(client->worker));
    struct sim_process *to = sim_peer(options->address);
    enum nx_err err = client->closing ? NX_ERR_CLOSED : to ? NX_OK : NX_ERR_INVALID;
    if (err == NX_OK) {
        struct nx_rpc_call *call = sim_process_calloc(1, sizeof *call);
        call->client = client;
        call->on_frame = options->on_frame;
        call->done = options->done;
        call->user = options->user;
        call->max_bytes = options->max_frame_bytes ? options->max_frame_bytes : DEFAULT_MAX_BYTES;
        TAILQ_INSERT_TAIL(&client->calls, call, link);
        if (options->timeout_ms > 0)
            end_later(call, NX_ERR_TIMEOUT, options->timeout_ms * SIM_MS);
        call->exchanges[0] = exchange_new(call, to, options);
        if (!options->on_frame && sim_net_duplicates(client->process, to))
            call->exchanges[1] = exchange_new(call, to, options);
        send_request(call->exchanges[0]);
        if (call->exchanges[1])
            send_request(call->exchanges[1]);
        if (out)
            *out = call;
    }
    if (options->body)
        nx_buf_release(options->body);
    return err;
}
