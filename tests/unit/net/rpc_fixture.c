#include "rpc_fixture.h"

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

void nap(void)
{
    usleep(1000);
}

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

void on_worker(struct process *p, size_t worker, void (*run)(void *arg), void *arg)
{
    struct errand errand = {.task = {.run = run_errand}, .run = run, .arg = arg};
    sem_init(&errand.done, 0, 0);
    nx_worker_reply(nx_workers_at(p->workers, worker), &errand.task);
    while (sem_wait(&errand.done) != 0) {
    }
    sem_destroy(&errand.done);
}

void echo(struct nx_rpc_request *req, void *user)
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

void hold(struct nx_rpc_request *req, void *user)
{
    struct process *p = user;
    struct held *held = malloc(sizeof(*held));
    *held = (struct held){.p = p, .req = req};
    atomic_fetch_add(&p->served, 1);
    nx_rpc_request_on_cancel(req, on_held_cancel, held);
}

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

void process_add_methods(struct process *p)
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

void process_start_in(struct process *p, bool local, const char *callee, const char *caller)
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
    process_add_methods(p);
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

void process_start(struct process *p, bool local)
{
    process_start_in(p, local, NULL, NULL);
}

void on_client_closed(void *user)
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

void close_clients(struct process *p)
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

void process_finish(struct process *p)
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

void on_done(void *user, const struct nx_rpc_result *result)
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

enum nx_err on_frame(void *user, struct nx_view frame)
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

void cancel_call(void *arg)
{
    struct outcome *o = arg;
    if (o->call) {
        nx_rpc_call_cancel(o->call);
    }
}

void call_begin(struct outcome *o)
{
    on_worker(o->p, o->worker, start_call, o);
}

void call_await(struct outcome *o)
{
    while (atomic_load(&o->times) == 0) {
        nap();
    }
}

void await_count(atomic_int *count, int value)
{
    for (int i = 0; i < 10000 && atomic_load(count) < value; i++) {
        nap();
    }
    assert_int_equal(atomic_load(count), value);
}

void call_and_wait(struct outcome *o)
{
    call_begin(o);
    assert_int_equal(o->started, NX_OK);
    call_await(o);
}
