#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/net/rpc.h"
#include "scripted_server.h"

#define WORKERS 3

/* A process that serves methods and calls them, over loopback or locally: what a caller sees must
 * be the same. */
struct process {
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_rpc_server *rpc;
    struct nx_rpc_client *clients[WORKERS];
    bool clients_closed;
    char address[64];
    atomic_bool stopped;
    struct nx_http_budget budget;
    /* what the methods saw */
    atomic_int cancels;
    atomic_int served;
    atomic_int refused_frames;
    atomic_long ahead; /* frame bytes sent and not yet taken */
    atomic_long most_ahead;
};

static void nap(void)
{
    usleep(1000);
}

/* --- work on a worker from the test's thread ---------------------------------------------------
 */

struct errand {
    struct nx_task task;
    void (*run)(void *arg);
    void *arg;
    sem_t done;
};

static void run_errand(struct nx_task *task)
{
    struct errand *errand = (struct errand *)task;
    errand->run(errand->arg);
    sem_post(&errand->done);
}

static void on_worker(struct process *p, size_t worker, void (*run)(void *arg), void *arg)
{
    struct errand errand = {.task = {.run = run_errand}, .run = run, .arg = arg};
    sem_init(&errand.done, 0, 0);
    nx_worker_reply(nx_workers_at(p->workers, worker), &errand.task);
    while (sem_wait(&errand.done) != 0) {
    }
    sem_destroy(&errand.done);
}

/* --- methods -----------------------------------------------------------------------------------
 */

static void echo(struct nx_rpc_request *req, void *user)
{
    struct process *p = user;
    assert_true(nx_worker_is_current(nx_rpc_request_worker(req)));
    atomic_fetch_add(&p->served, 1);
    struct nx_buf out;
    nx_buf_init(&out, 64 << 20);
    nx_buf_append_view(&out, nx_rpc_request_body(req));
    nx_rpc_reply(req, &out);
}

/* The body is the code to fail with. */
static void fail_with(struct nx_rpc_request *req, void *user)
{
    (void)user;
    struct nx_view body = nx_rpc_request_body(req);
    char number[16] = {0};
    memcpy(number, body.ptr, body.len < 15 ? body.len : 15);
    nx_rpc_reply_error(req, (enum nx_err)strtol(number, NULL, 10), "no more of this");
}

struct held {
    struct process *p;
    struct nx_rpc_request *req;
};

static void on_held_cancel(void *user)
{
    struct held *held = user;
    atomic_fetch_add(&held->p->cancels, 1);
    nx_rpc_reply_error(held->req, NX_ERR_CANCELED, "gone");
    free(held);
}

/* Answers only once the caller is gone. */
static void hold(struct nx_rpc_request *req, void *user)
{
    struct process *p = user;
    struct held *held = malloc(sizeof(*held));
    *held = (struct held){.p = p, .req = req};
    atomic_fetch_add(&p->served, 1);
    nx_rpc_request_on_cancel(req, on_held_cancel, held);
}

struct stream {
    struct process *p;
    struct nx_rpc_request *req;
    unsigned count;
    unsigned size;
    unsigned fail_at; /* frame before which it fails; 0: never */
    unsigned sent;
    bool no_cancel;
    bool canceled;
};

static void push_stream(void *user);

static void on_stream_cancel(void *user)
{
    struct stream *stream = user;
    atomic_fetch_add(&stream->p->cancels, 1);
    stream->canceled = true;
    push_stream(stream);
}

static void note_ahead(struct process *p, long bytes)
{
    long ahead = atomic_fetch_add(&p->ahead, bytes) + bytes;
    long most = atomic_load(&p->most_ahead);
    while (ahead > most && !atomic_compare_exchange_weak(&p->most_ahead, &most, ahead)) {
    }
}

/* Frame i holds its number, and fill. */
static void push_stream(void *user)
{
    struct stream *stream = user;
    for (;;) {
        if (stream->canceled) {
            nx_rpc_stream_fail(stream->req, NX_ERR_CANCELED, "gone");
            break;
        }
        if (stream->fail_at && stream->sent + 1 == stream->fail_at) {
            nx_rpc_stream_fail(stream->req, NX_ERR_LIMIT, "the stream is over the limit");
            break;
        }
        if (stream->sent == stream->count) {
            nx_rpc_stream_end(stream->req);
            break;
        }
        struct nx_buf frame;
        nx_buf_init(&frame, 64 << 20);
        nx_buf_put_u32(&frame, stream->sent++);
        while (frame.len < stream->size && nx_buf_err(&frame) == NX_OK) {
            nx_buf_append(&frame, "fillfillfillfill", 16);
        }
        if (nx_buf_err(&frame) != NX_OK) {
            nx_buf_release(&frame);
            nx_rpc_stream_fail(stream->req, NX_ERR_NOMEM, "no memory");
            break;
        }
        note_ahead(stream->p, (long)frame.len);
        if (!nx_rpc_stream_frame(stream->req, &frame)) {
            atomic_fetch_add(&stream->p->refused_frames, 1);
            return;
        }
    }
    free(stream);
}

static void stream_frames(struct nx_rpc_request *req, void *user)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    char text[64] = {0};
    struct nx_view body = nx_rpc_request_body(req);
    memcpy(text, body.ptr, body.len < 63 ? body.len : 63);
    char *at = text;
    stream->p = user;
    stream->req = req;
    stream->count = (unsigned)strtoul(at, &at, 10);
    stream->size = (unsigned)strtoul(at, &at, 10);
    stream->fail_at = (unsigned)strtoul(at, &at, 10);
    stream->no_cancel = strtoul(at, &at, 10) != 0;
    atomic_fetch_add(&stream->p->served, 1);
    if (!stream->no_cancel) {
        nx_rpc_request_on_cancel(req, on_stream_cancel, stream);
    }
    nx_rpc_stream_begin(req, push_stream, stream);
    push_stream(stream);
}

/* --- the process -------------------------------------------------------------------------------
 */

static void add_methods(struct process *p)
{
    p->budget = (struct nx_http_budget){.max_bytes = 100000, .retry_after_s = 1};
    assert_int_equal(nx_rpc_server_method(p->rpc, "echo", echo, p, 0, NULL), NX_OK);
    assert_int_equal(nx_rpc_server_method(p->rpc, "small", echo, p, 1000, NULL), NX_OK);
    assert_int_equal(nx_rpc_server_method(p->rpc, "budget", hold, p, 0, &p->budget), NX_OK);
    assert_int_equal(nx_rpc_server_method(p->rpc, "fail", fail_with, p, 0, NULL), NX_OK);
    assert_int_equal(nx_rpc_server_method(p->rpc, "hold", hold, p, 0, NULL), NX_OK);
    assert_int_equal(nx_rpc_server_method(p->rpc, "stream", stream_frames, p, 0, NULL), NX_OK);
    assert_int_equal(nx_rpc_server_method(p->rpc, "echo", echo, p, 0, NULL), NX_ERR_EXISTS);
}

/* The cluster that the callee and the callers name; NULL: none. */
static void start_in(struct process *p, bool local, const char *callee, const char *caller)
{
    *p = (struct process){.clients_closed = false};
    struct nx_workers_options options = {.count = WORKERS, .name = "rpc"};
    struct nx_http_server_options http = {.host = "127.0.0.1"};
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_workers_new(&options, &p->workers), NX_OK);
    assert_int_equal(nx_http_server_new(&http, p->workers, NULL, NULL, &p->http), NX_OK);
    assert_int_equal(nx_rpc_server_new(p->http, p->workers, NULL, &p->rpc), NX_OK);
    if (callee) {
        assert_int_equal(nx_rpc_server_set_cluster(p->rpc, callee), NX_OK);
    }
    add_methods(p);
    nx_rpc_server_admit_all(p->rpc, "small");
    assert_int_equal(nx_http_server_listen(p->http, &fail), NX_OK);
    (void)snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", nx_http_server_port(p->http));
    for (size_t i = 0; i < WORKERS; i++) {
        assert_int_equal(nx_rpc_client_new(nx_workers_at(p->workers, i), NULL,
                                           local ? p->rpc : NULL, local ? p->address : NULL,
                                           &p->clients[i]),
                         NX_OK);
        if (caller) {
            assert_int_equal(nx_rpc_client_set_cluster(p->clients[i], caller), NX_OK);
        }
    }
    assert_int_equal(nx_workers_start(p->workers), NX_OK);
}

static void start(struct process *p, bool local)
{
    start_in(p, local, NULL, NULL);
}

static void on_client_closed(void *user)
{
    atomic_fetch_sub((atomic_int *)user, 1);
}

struct closing {
    struct process *p;
    size_t worker;
    atomic_int *open;
};

static void close_client(void *arg)
{
    struct closing *closing = arg;
    nx_rpc_client_close(closing->p->clients[closing->worker], on_client_closed, closing->open);
}

static void close_clients(struct process *p)
{
    atomic_int open = WORKERS;
    for (size_t i = 0; i < WORKERS; i++) {
        struct closing closing = {.p = p, .worker = i, .open = &open};
        on_worker(p, i, close_client, &closing);
    }
    while (atomic_load(&open) > 0) {
        nap();
    }
    p->clients_closed = true;
}

static void on_stopped(void *user)
{
    atomic_store((atomic_bool *)user, true);
}

static void finish(struct process *p)
{
    if (!p->clients_closed) {
        close_clients(p);
    }
    nx_http_server_stop(p->http, 1000, on_stopped, &p->stopped);
    while (!atomic_load(&p->stopped)) {
        nap();
    }
    nx_workers_stop(p->workers);
    nx_rpc_server_free(p->rpc);
    nx_http_server_free(p->http);
    nx_workers_free(p->workers);
}

/* --- calls -------------------------------------------------------------------------------------
 */

struct outcome {
    struct process *p;
    size_t worker;
    /* the call */
    const char *address;
    const char *method;
    const char *body_text;
    size_t body_bytes; /* instead of a text */
    uint64_t timeout_ms;
    size_t max_frame_bytes;
    bool streamed;
    bool slow;
    unsigned refuse_at; /* frame */
    unsigned cancel_at;
    bool cancel_at_once;
    /* what came of it; written on the worker, read after `times` */
    atomic_int times;
    bool sending;
    struct nx_rpc_call *call;
    enum nx_err started;
    enum nx_err err;
    char text[600];
    size_t answer_bytes;
    char answer[256];
    atomic_uint frames;
    bool out_of_order;
};

static void on_done(void *user, const struct nx_rpc_result *result)
{
    struct outcome *o = user;
    assert_false(o->sending);
    o->err = result->err;
    o->call = NULL;
    (void)snprintf(o->text, sizeof(o->text), "%s", result->text ? result->text : "(null)");
    o->answer_bytes = result->body.len;
    size_t shown = result->body.len < 255 ? result->body.len : 255;
    if (shown > 0) {
        memcpy(o->answer, result->body.ptr, shown);
    }
    o->answer[shown] = '\0';
    atomic_fetch_add(&o->times, 1);
}

static enum nx_err on_frame(void *user, struct nx_view frame)
{
    struct outcome *o = user;
    unsigned number = 0;
    assert_true(frame.len >= 4);
    memcpy(&number, frame.ptr, 4);
    unsigned frames = atomic_fetch_add(&o->frames, 1) + 1;
    o->out_of_order |= number + 1 != frames;
    atomic_fetch_sub(&o->p->ahead, (long)frame.len);
    if (o->slow && frames % 16 == 0) {
        nap();
    }
    if (frames == o->cancel_at) {
        nx_rpc_call_cancel(o->call);
    }
    return frames == o->refuse_at ? NX_ERR_EXECUTION : NX_OK;
}

static void start_call(void *arg)
{
    struct outcome *o = arg;
    struct nx_buf body;
    nx_buf_init(&body, 64 << 20);
    if (o->body_text) {
        nx_buf_append_str(&body, o->body_text);
    }
    while (body.len < o->body_bytes) {
        nx_buf_append(&body, "0123456789",
                      o->body_bytes - body.len < 10 ? o->body_bytes - body.len : 10);
    }
    struct nx_rpc_call_options options = {
        .address = o->address ? o->address : o->p->address,
        .method = o->method,
        .body = &body,
        .timeout_ms = o->timeout_ms ? o->timeout_ms : 20000,
        .max_frame_bytes = o->max_frame_bytes,
        .on_frame = o->streamed ? on_frame : NULL,
        .done = on_done,
        .user = o,
    };
    o->sending = true;
    o->started = nx_rpc_call(o->p->clients[o->worker], &options, &o->call);
    o->sending = false;
    assert_null(body.data);
    if (o->cancel_at_once && o->started == NX_OK) {
        nx_rpc_call_cancel(o->call);
    }
}

static void cancel_call(void *arg)
{
    struct outcome *o = arg;
    if (o->call) {
        nx_rpc_call_cancel(o->call);
    }
}

static void begin(struct outcome *o)
{
    on_worker(o->p, o->worker, start_call, o);
}

static void await(struct outcome *o)
{
    while (atomic_load(&o->times) == 0) {
        nap();
    }
}

static void await_count(atomic_int *count, int value)
{
    for (int i = 0; i < 10000 && atomic_load(count) < value; i++) {
        nap();
    }
    assert_int_equal(atomic_load(count), value);
}

static void call(struct outcome *o)
{
    begin(o);
    assert_int_equal(o->started, NX_OK);
    await(o);
}

#define BOTH(name)                                  \
    static void name##_over_http(void **state)      \
    {                                               \
        (void)state;                                \
        name(false);                                \
    }                                               \
    static void name##_within_process(void **state) \
    {                                               \
        (void)state;                                \
        name(true);                                 \
    }

/* --- unary -------------------------------------------------------------------------------------
 */

static void call_returns_the_message(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p, .method = "echo", .body_text = "hello"};
    call(&o);
    assert_int_equal(o.err, NX_OK);
    assert_string_equal(o.answer, "hello");
    assert_string_equal(o.text, "");
    struct outcome empty = {.p = &p, .worker = 1, .method = "echo"};
    call(&empty);
    assert_int_equal(empty.err, NX_OK);
    assert_int_equal(empty.answer_bytes, 0);
    struct outcome big = {.p = &p, .worker = 2, .method = "echo", .body_bytes = 8 << 20};
    call(&big);
    assert_int_equal(big.err, NX_OK);
    assert_int_equal(big.answer_bytes, 8 << 20);
    finish(&p);
}
BOTH(call_returns_the_message)

static void error_travels_with_code_and_text(bool local)
{
    struct process p;
    start(&p, local);
    for (int code = NX_ERR_NOMEM; code >= NX_ERR_CLUSTER; code--) {
        char number[16];
        (void)snprintf(number, sizeof(number), "%d", code);
        struct outcome o = {.p = &p, .method = "fail", .body_text = number};
        call(&o);
        assert_int_equal(o.err, code);
        assert_string_equal(o.text, "no more of this");
    }
    finish(&p);
}
BOTH(error_travels_with_code_and_text)

static void method_unknown_is_an_error(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p, .method = "nonsense"};
    call(&o);
    assert_int_equal(o.err, NX_ERR_METHOD);
    finish(&p);
}
BOTH(method_unknown_is_an_error)

static void body_beyond_limit_is_too_large(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p, .method = "small", .body_bytes = 1001};
    call(&o);
    assert_int_equal(o.err, NX_ERR_TOO_LARGE);
    struct outcome fits = {.p = &p, .method = "small", .body_bytes = 1000};
    call(&fits);
    assert_int_equal(fits.err, NX_OK);
    finish(&p);
}
BOTH(body_beyond_limit_is_too_large)

static void budget_exceeded_is_overloaded_and_given_back(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome first = {.p = &p, .method = "budget", .body_bytes = 60000};
    begin(&first);
    await_count(&p.served, 1);
    assert_int_equal(atomic_load(&p.budget.used_bytes), 60000);
    struct outcome second = {.p = &p, .method = "budget", .body_bytes = 60000};
    call(&second);
    assert_int_equal(second.err, NX_ERR_OVERLOADED);
    on_worker(&p, 0, cancel_call, &first);
    await(&first);
    await_count(&p.cancels, 1);
    for (int i = 0; i < 1000 && atomic_load(&p.budget.used_bytes) > 0; i++) {
        nap();
    }
    assert_int_equal(atomic_load(&p.budget.used_bytes), 0);
    finish(&p);
}
BOTH(budget_exceeded_is_overloaded_and_given_back)

static void timeout_ends_the_call_and_tells_the_callee(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p, .method = "hold", .timeout_ms = 50};
    call(&o);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    await_count(&p.cancels, 1);
    finish(&p);
    assert_int_equal(atomic_load(&o.times), 1);
}
BOTH(timeout_ends_the_call_and_tells_the_callee)

static void cancel_ends_the_call_and_tells_the_callee(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p, .method = "hold"};
    begin(&o);
    await_count(&p.served, 1);
    on_worker(&p, 0, cancel_call, &o);
    await(&o);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    await_count(&p.cancels, 1);
    struct outcome at_once = {.p = &p, .method = "hold", .cancel_at_once = true};
    call(&at_once);
    assert_int_equal(at_once.err, NX_ERR_CANCELED);
    finish(&p);
    assert_int_equal(atomic_load(&at_once.times), 1);
}
BOTH(cancel_ends_the_call_and_tells_the_callee)

/* --- streams -----------------------------------------------------------------------------------
 */

static void stream_arrives_in_order_without_running_ahead(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {
        .p = &p, .method = "stream", .body_text = "3000 8192 0", .streamed = true, .slow = true};
    call(&o);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(atomic_load(&o.frames), 3000);
    assert_false(o.out_of_order);
    assert_true(atomic_load(&p.refused_frames) > 0);
    /* The high-water mark; over HTTP the sockets' buffers come on top. */
    assert_true(atomic_load(&p.most_ahead) < (local ? 1100000 : 20000000));
    finish(&p);
}
BOTH(stream_arrives_in_order_without_running_ahead)

static void stream_of_nothing_ends_well(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p, .method = "stream", .body_text = "0 0 0", .streamed = true};
    call(&o);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(atomic_load(&o.frames), 0);
    finish(&p);
}
BOTH(stream_of_nothing_ends_well)

static void stream_failing_anywhere_carries_code_and_text(bool local)
{
    struct process p;
    start(&p, local);
    const char *const bodies[] = {"100 1000 1", "100 1000 2", "100 1000 50", "2000 10000 1999"};
    const unsigned frames[] = {0, 1, 49, 1998};
    for (size_t i = 0; i < 4; i++) {
        struct outcome o = {.p = &p, .method = "stream", .body_text = bodies[i], .streamed = true};
        call(&o);
        assert_int_equal(o.err, NX_ERR_LIMIT);
        assert_string_equal(o.text, "the stream is over the limit");
        assert_int_equal(atomic_load(&o.frames), frames[i]);
    }
    finish(&p);
}
BOTH(stream_failing_anywhere_carries_code_and_text)

static void stream_refused_by_the_taker_stops_the_sender(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "4000000000 8192 0",
                        .streamed = true,
                        .refuse_at = 10};
    call(&o);
    assert_int_equal(o.err, NX_ERR_EXECUTION);
    assert_int_equal(atomic_load(&o.frames), 10);
    await_count(&p.cancels, 1);
    finish(&p);
    assert_int_equal(atomic_load(&o.times), 1);
}
BOTH(stream_refused_by_the_taker_stops_the_sender)

static void stream_canceled_from_its_frame_stops_the_sender(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "4000000000 8192 0",
                        .streamed = true,
                        .cancel_at = 10};
    call(&o);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    await_count(&p.cancels, 1);
    finish(&p);
    assert_int_equal(atomic_load(&o.times), 1);
}
BOTH(stream_canceled_from_its_frame_stops_the_sender)

/* A sender without `cancel` that waits must be let run to its end: it would wait for ever. */
static void stream_canceled_frees_a_sender_that_only_waits(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "3000 65536 0 1",
                        .streamed = true,
                        .cancel_at = 3};
    call(&o);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    finish(&p);
}
BOTH(stream_canceled_frees_a_sender_that_only_waits)

static void frame_beyond_limit_is_too_large(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o = {.p = &p,
                        .method = "stream",
                        .body_text = "10 100000 0",
                        .streamed = true,
                        .max_frame_bytes = 50000};
    call(&o);
    assert_int_equal(o.err, NX_ERR_TOO_LARGE);
    finish(&p);
}
BOTH(frame_beyond_limit_is_too_large)

static void answer_of_the_other_kind_is_corrupt(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome unary = {.p = &p, .method = "stream", .body_text = "3 100 0"};
    call(&unary);
    assert_int_equal(unary.err, NX_ERR_CORRUPT);
    struct outcome streamed = {.p = &p, .method = "echo", .body_text = "x", .streamed = true};
    call(&streamed);
    assert_int_equal(streamed.err, NX_ERR_CORRUPT);
    finish(&p);
}
BOTH(answer_of_the_other_kind_is_corrupt)

/* --- life --------------------------------------------------------------------------------------
 */

static void close_cancels_every_call(bool local)
{
    struct process p;
    start(&p, local);
    struct outcome o[20];
    for (size_t i = 0; i < 20; i++) {
        o[i] = (struct outcome){.p = &p, .worker = i % WORKERS, .method = "hold"};
        if (i % 4 == 3) {
            o[i].method = "stream";
            o[i].body_text = "4000000000 8192 0";
            o[i].streamed = true;
        }
        begin(&o[i]);
    }
    close_clients(&p);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(atomic_load(&o[i].times), 1);
        assert_string_equal(o[i].text, nx_err_text(NX_ERR_CANCELED));
        assert_int_equal(o[i].err, NX_ERR_CANCELED);
    }
    finish(&p);
}
BOTH(close_cancels_every_call)

static void calls_of_all_kinds_at_once_end_once_each(bool local)
{
    struct process p;
    start(&p, local);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 42);
    static struct outcome o[600];
    static const char *const methods[] = {"echo", "fail", "stream", "hold", "stream", "echo"};
    for (size_t i = 0; i < 600; i++) {
        uint64_t kind = nx_rand_below(&rand, 6);
        o[i] = (struct outcome){.p = &p, .worker = i % WORKERS, .method = methods[kind]};
        o[i].body_text = kind == 1   ? "-11"
                         : kind == 2 ? "200 2000 0"
                         : kind == 4 ? "90 9000 60"
                                     : "x";
        o[i].streamed = kind == 2 || kind == 4;
        o[i].timeout_ms = kind == 3 ? 1 + nx_rand_below(&rand, 30) : 0;
        o[i].cancel_at = nx_rand_below(&rand, 4) == 0 ? (unsigned)nx_rand_below(&rand, 50) : 0;
        o[i].cancel_at_once = nx_rand_below(&rand, 10) == 0;
        begin(&o[i]);
        assert_int_equal(o[i].started, NX_OK);
    }
    for (size_t i = 0; i < 600; i++) {
        await(&o[i]);
    }
    finish(&p);
    for (size_t i = 0; i < 600; i++) {
        assert_int_equal(atomic_load(&o[i].times), 1);
        assert_false(o[i].out_of_order);
    }
}
BOTH(calls_of_all_kinds_at_once_end_once_each)

/* --- memory ---------------------------------------------------------------------------------- */

static bool fail_countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    long *left = user;
    return (*left)-- != 0;
}

/* One loop on the test's own thread, so that the n-th allocation is the same one each time. */
static long call_with_failure(const char *method, const char *body, bool streamed, long fail_at)
{
    struct process p = {.clients_closed = false};
    struct nx_workers_options options = {.count = 1, .name = "rpc"};
    assert_int_equal(nx_workers_new(&options, &p.workers), NX_OK);
    assert_int_equal(nx_rpc_server_new(NULL, p.workers, NULL, &p.rpc), NX_OK);
    add_methods(&p);
    struct nx_worker *worker = nx_workers_at(p.workers, 0);
    assert_int_equal(nx_rpc_client_new(worker, NULL, p.rpc, "self:1", &p.clients[0]), NX_OK);
    struct nx_buf request;
    nx_buf_init(&request, 1000);
    nx_buf_append_str(&request, body);
    struct outcome o = {.p = &p};
    struct nx_rpc_call_options call_options = {
        .address = "self:1",
        .method = method,
        .body = &request,
        .timeout_ms = 5000,
        .on_frame = streamed ? on_frame : NULL,
        .done = on_done,
        .user = &o,
    };
    nx_alloc_set_hook(fail_countdown, &fail_at);
    enum nx_err err = nx_rpc_call(p.clients[0], &call_options, &o.call);
    while (err == NX_OK && atomic_load(&o.times) == 0) {
        uv_run(nx_worker_loop(worker), UV_RUN_NOWAIT);
    }
    nx_alloc_set_hook(NULL, NULL);
    err = err == NX_OK ? o.err : err;
    assert_true(err == NX_ERR_NOMEM || (err == NX_OK && fail_at >= 0) ||
                (err == NX_OK && streamed)); /* a turn of the loop may be saved */
    atomic_int open = 1;
    nx_rpc_client_close(p.clients[0], on_client_closed, &open);
    nx_workers_stop(p.workers);
    assert_int_equal(open, 0);
    nx_rpc_server_free(p.rpc);
    nx_workers_free(p.workers);
    return fail_at;
}

static void allocation_failing_anywhere_ends_the_call(void **state)
{
    (void)state;
    long n = 0;
    for (; call_with_failure("echo", "hello", false, n) < 0; n++) {
    }
    assert_true(n >= 3);
    n = 0;
    for (; call_with_failure("stream", "30 100000 0", true, n) < 0; n++) {
    }
    assert_true(n > 30);
}

/* --- what only a network does ------------------------------------------------------------------
 */

static void address_bad_is_refused_at_once(void **state)
{
    (void)state;
    struct process p;
    start(&p, false);
    const char *const addresses[] = {"",      "a b:1", "h:1/x",      "user@h:1",
                                     "h:1?x", "h:1#x", "h:1\r\nX: y"};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        struct outcome o = {.p = &p, .address = addresses[i], .method = "echo", .body_text = "x"};
        begin(&o);
        assert_int_equal(o.started, NX_ERR_INVALID);
    }
    struct outcome o = {.p = &p, .method = "echo?x", .body_text = "x"};
    begin(&o);
    assert_int_equal(o.started, NX_ERR_INVALID);
    finish(&p);
}

static void expect_refusal(struct process *p, const char *method, size_t body_bytes, bool streamed,
                           const char *text)
{
    struct outcome o = {.p = p, .method = method, .body_bytes = body_bytes, .streamed = streamed};
    call(&o);
    assert_int_equal(o.err, NX_ERR_CLUSTER);
    assert_string_equal(o.text, text);
}

static void call_from_another_cluster_is_refused_naming_both(void **state)
{
    (void)state;
    struct process p;
    static const char text[] = "belongs to narthex/512/3, not to other/512/3";
    start_in(&p, false, "narthex/512/3", "other/512/3");
    expect_refusal(&p, "echo", 5, false, text);
    expect_refusal(&p, "stream", 0, true, text);
    expect_refusal(&p, "budget", 50000, false, text);
    expect_refusal(&p, "echo", 8 << 20, false, text); /* its body is not read */
    assert_int_equal(atomic_load(&p.budget.used_bytes), 0);
    struct outcome open = {.p = &p, .method = "small", .body_text = "x"};
    call(&open);
    assert_int_equal(open.err, NX_OK);
    assert_string_equal(open.answer, "x");
    finish(&p);
}

static void call_that_names_no_cluster_is_refused(void **state)
{
    (void)state;
    struct process p;
    start_in(&p, false, "narthex/512/3", NULL);
    expect_refusal(&p, "echo", 5, false, "belongs to narthex/512/3; the call names no cluster");
    struct outcome open = {.p = &p, .method = "small", .body_text = "x"};
    call(&open);
    assert_int_equal(open.err, NX_OK);
    finish(&p);
}

static void call_from_the_same_cluster_is_served(bool local)
{
    struct process p;
    start_in(&p, local, "narthex/512/3", local ? NULL : "narthex/512/3");
    struct outcome o = {.p = &p, .method = "echo", .body_text = "x"};
    call(&o);
    assert_int_equal(o.err, NX_OK);
    assert_string_equal(o.answer, "x");
    finish(&p);
    start_in(&p, local, NULL, "narthex/512/3"); /* a callee that does not compare */
    struct outcome lax = {.p = &p, .method = "echo", .body_text = "x"};
    call(&lax);
    assert_int_equal(lax.err, NX_OK);
    finish(&p);
}
BOTH(call_from_the_same_cluster_is_served)

static void cluster_that_no_header_can_carry_is_invalid(void **state)
{
    (void)state;
    struct process p;
    char name[202];
    memset(name, 'x', sizeof(name));
    name[201] = '\0';
    start_in(&p, false, NULL, NULL);
    const char *const bad[] = {"", "a b", "a\r\nX: y", "\xC3\xA9", "a\x7F", name};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(nx_rpc_server_set_cluster(p.rpc, bad[i]), NX_ERR_INVALID);
        assert_int_equal(nx_rpc_client_set_cluster(p.clients[0], bad[i]), NX_ERR_INVALID);
    }
    finish(&p);
    name[200] = '\0';
    start_in(&p, false, name, name);
    struct outcome o = {.p = &p, .method = "echo", .body_text = "x"};
    call(&o);
    assert_int_equal(o.err, NX_OK);
    finish(&p);
}

static void process_absent_is_unavailable(void **state)
{
    (void)state;
    struct process p;
    start(&p, false);
    char address[32];
    (void)snprintf(address, sizeof(address), "127.0.0.1:%u", scripted_free_port());
    struct outcome o = {.p = &p, .address = address, .method = "echo"};
    call(&o);
    assert_int_equal(o.err, NX_ERR_UNAVAILABLE);
    finish(&p);
}

static void say(int fd, int nth, void *user)
{
    char request[8192];
    const struct nx_view *answer = user;
    (void)nth;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send_bytes(fd, answer->ptr, answer->len);
    }
}

#define STREAM_HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-narthex-frames\r\nConnection: close\r\n\r\n"
#define MESSAGE_HEAD \
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nConnection: close\r\n\r\n"

static void answers_cut_or_strange_are_errors(void **state)
{
    (void)state;
    static const struct {
        struct nx_view answer;
        bool streamed;
        enum nx_err err;
    } cases[] = {
        {NX_VIEW(STREAM_HEAD "\x08\0\0\0\0\0\0\0four"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD "\x08\0\0\0\0\0\0"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD "\x08\0"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW(STREAM_HEAD "\x08\0\0\0\0\0\0\0four\0\0\0\0"), true, NX_OK},
        {NX_VIEW(STREAM_HEAD "\0\0\0\0rest"), true, NX_ERR_CORRUPT},
        {NX_VIEW(STREAM_HEAD "\0\0\0\x70rest"), true, NX_ERR_TOO_LARGE},
        {NX_VIEW(STREAM_HEAD "\x0E\0\0\x80"
                             "ERR_LIMIT full"),
         true, NX_ERR_LIMIT},
        {NX_VIEW(MESSAGE_HEAD "x"), true, NX_ERR_CORRUPT},
        {NX_VIEW(STREAM_HEAD "\0\0\0\0"), false, NX_ERR_CORRUPT},
        {NX_VIEW("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), false, NX_ERR_CORRUPT},
        {NX_VIEW(""), false, NX_ERR_UNAVAILABLE},
        {NX_VIEW("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"), false,
         NX_ERR_OVERLOADED},
        {NX_VIEW("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), true, NX_ERR_UNAVAILABLE},
        {NX_VIEW("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), true, NX_ERR_METHOD},
        {NX_VIEW(
             "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
         false, NX_ERR_UNAVAILABLE},
        {NX_VIEW("HTTP/1.1 422 X\r\nX-Narthex-Error: ERR_LIMIT\r\nContent-Length: 4\r\n\r\nfull"),
         false, NX_ERR_LIMIT},
        {NX_VIEW("HTTP/1.1 422 X\r\nX-Narthex-Error: ERR_FUTURE\r\nContent-Length: 4\r\n\r\nfull"),
         false, NX_ERR_INTERNAL},
    };
    struct process p;
    start(&p, false);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_view answer = cases[i].answer;
        struct scripted_server *server = scripted_server_start(say, &answer);
        char address[32];
        (void)snprintf(address, sizeof(address), "127.0.0.1:%u", scripted_server_port(server));
        struct outcome o = {
            .p = &p, .address = address, .method = "echo", .streamed = cases[i].streamed};
        call(&o);
        if (o.err != cases[i].err) {
            print_message("case %zu: %s\n", i, o.text);
        }
        assert_int_equal(o.err, cases[i].err);
        scripted_server_stop(server);
    }
    finish(&p);
}

int main(void)
{
#define PAIR(name) cmocka_unit_test(name##_over_http), cmocka_unit_test(name##_within_process)
    const struct CMUnitTest tests[] = {
        PAIR(call_returns_the_message),
        PAIR(error_travels_with_code_and_text),
        PAIR(method_unknown_is_an_error),
        PAIR(body_beyond_limit_is_too_large),
        PAIR(budget_exceeded_is_overloaded_and_given_back),
        PAIR(timeout_ends_the_call_and_tells_the_callee),
        PAIR(cancel_ends_the_call_and_tells_the_callee),
        PAIR(stream_arrives_in_order_without_running_ahead),
        PAIR(stream_of_nothing_ends_well),
        PAIR(stream_failing_anywhere_carries_code_and_text),
        PAIR(stream_refused_by_the_taker_stops_the_sender),
        PAIR(stream_canceled_from_its_frame_stops_the_sender),
        PAIR(stream_canceled_frees_a_sender_that_only_waits),
        PAIR(frame_beyond_limit_is_too_large),
        PAIR(answer_of_the_other_kind_is_corrupt),
        PAIR(close_cancels_every_call),
        PAIR(calls_of_all_kinds_at_once_end_once_each),
        cmocka_unit_test(allocation_failing_anywhere_ends_the_call),
        cmocka_unit_test(address_bad_is_refused_at_once),
        cmocka_unit_test(call_from_another_cluster_is_refused_naming_both),
        cmocka_unit_test(call_that_names_no_cluster_is_refused),
        PAIR(call_from_the_same_cluster_is_served),
        cmocka_unit_test(cluster_that_no_header_can_carry_is_invalid),
        cmocka_unit_test(process_absent_is_unavailable),
        cmocka_unit_test(answers_cut_or_strange_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
