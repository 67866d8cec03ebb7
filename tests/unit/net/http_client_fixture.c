#include "http_client_fixture.h"

#include <stdio.h>
#include <sys/socket.h>

#define MAX_RESULTS 512

static void on_idle_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void client_start_alone(struct fixture *f)
{
    struct nx_workers_options options = {.count = 1, .name = "test"};
    assert_int_equal(nx_workers_new(&options, &f->workers), NX_OK);
    f->worker = nx_workers_at(f->workers, 0);
    assert_int_equal(nx_http_client_new(f->worker, NULL, &f->client), NX_OK);
    uv_timer_init(nx_worker_loop(f->worker), &f->tick);
    uv_timer_start(&f->tick, on_idle_tick, 2, 2);
}

void client_start(struct fixture *f, scripted_connection run, void *user)
{
    *f = (struct fixture){.done = 0};
    client_start_alone(f);
    if (run) {
        f->server = scripted_server_start(run, user);
        (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/x",
                       scripted_server_port(f->server));
    } else {
        (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/x", scripted_free_port());
    }
}

void on_closed(void *user)
{
    struct fixture *f = user;
    f->closed = true;
}

void run_once(struct fixture *f)
{
    uv_run(nx_worker_loop(f->worker), UV_RUN_ONCE);
}

void client_finish(struct fixture *f)
{
    if (f->client) {
        nx_http_client_close(f->client, on_closed, f);
        while (!f->closed) {
            run_once(f);
        }
    }
    if (f->server) {
        scripted_server_stop(f->server);
    }
    uv_close((uv_handle_t *)&f->tick, NULL);
    nx_workers_free(f->workers);
}

static void on_done(void *user, const struct nx_http_response *response)
{
    struct outcome *o = user;
    assert_false(o->sending);
    o->times++;
    o->err = response->err;
    o->status = response->status;
    o->body_len = response->body.len;
    assert_true(o->body_len < sizeof(o->body));
    if (response->body.len > 0) {
        memcpy(o->body, response->body.ptr, response->body.len);
    }
    o->body[o->body_len] = '\0';
    assert_true((response->err == NX_OK) == (response->error == NULL));
    (void)snprintf(o->error, sizeof(o->error), "%s", response->error ? response->error : "");
    const char *header = nx_http_call_header(response->call, "x-test");
    (void)snprintf(o->header, sizeof(o->header), "%s", header ? header : "");
    o->f->done++;
}

struct nx_http_call_options call_options(struct outcome *o)
{
    return (struct nx_http_call_options){
        .method = "GET", .url = o->f->url, .timeout_ms = 5000, .done = on_done, .user = o};
}

void send_call(struct outcome *o, const struct nx_http_call_options *options)
{
    o->sending = true;
    assert_int_equal(nx_http_client_send(o->f->client, options, &o->call), NX_OK);
    o->sending = false;
}

enum nx_err on_data(void *user, struct nx_view piece)
{
    struct outcome *o = user;
    assert_int_equal(o->times, 0);
    o->pieces++;
    o->streamed += piece.len;
    if (o->cancel_in_data) {
        nx_http_call_cancel(o->call);
    }
    if (o->pause_in_data) {
        nx_http_call_pause(o->call, true);
    }
    if (o->send_in_data) {
        o->send_in_data = false;
        struct nx_http_call_options options = call_options(o->other);
        options.max_body_bytes = 4000;
        send_call(o->other, &options);
    }
    return o->streamed > o->refuse_after ? o->refuse : NX_OK;
}

void client_wait(struct fixture *f, size_t done)
{
    while (f->done < done) {
        run_once(f);
    }
}

/* Lets the loop turn for a while, to see that nothing more happens. */
static void on_tick(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void client_turn(struct fixture *f, uint64_t ms)
{
    bool over = false;
    uv_timer_t timer;
    uv_timer_init(nx_worker_loop(f->worker), &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_tick, ms, 0);
    while (!over) {
        run_once(f);
    }
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(nx_worker_loop(f->worker), UV_RUN_NOWAIT);
}

void serve_echo(int fd, int nth, void *user)
{
    char request[8192];
    char answer[9000];
    (void)nth;
    (void)user;
    while (scripted_read_request(fd, request, sizeof(request))) {
        (void)snprintf(answer, sizeof(answer),
                       "HTTP/1.1 200 OK\r\nX-Test: yes\r\nContent-Length: %zu\r\n\r\n%s",
                       strlen(request), request);
        scripted_send(fd, answer);
    }
}

void serve_text(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send(fd, user);
    }
}

void serve_silence(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    (void)user;
    while (scripted_read_request(fd, request, sizeof(request))) {
    }
}

void serve_half(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    (void)user;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        (void)recv(fd, request, 1, 0);
    }
}

void serve_big_stream(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    (void)user;
    while (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (int i = 0; i < 64; i++) {
            char local[65536 + 16];
            memset(local, 'x', sizeof(local));
            memcpy(local, "10000\r\n", 7);
            memcpy(local + 7 + 65536, "\r\n", 2);
            scripted_send_bytes(fd, local, 65536 + 9);
        }
        scripted_send(fd, "0\r\n\r\n");
    }
}
