#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/net/http_client.h"
#include "scripted_server.h"

#define MAX_RESULTS 512

struct fixture {
    struct nx_workers *workers;
    struct nx_worker *worker;
    struct nx_http_client *client;
    struct scripted_server *server;
    char url[64];
    bool closed;
    size_t done;
    uv_timer_t tick; /* keeps UV_RUN_ONCE from waiting for ever */
};

/* One call and what came of it. */
struct outcome {
    struct fixture *f;
    struct nx_http_call *call;
    int times;
    enum nx_err err;
    int status;
    char body[4096];
    size_t body_len;
    char error[256];
    char header[64];
    size_t pieces;
    size_t streamed;
    enum nx_err refuse;  /* what on_data answers */
    size_t refuse_after; /* bytes */
    bool cancel_in_data;
    bool pause_in_data;
    bool send_in_data;
    bool sending;
    struct outcome *other;
};

static void on_idle_tick(uv_timer_t *timer)
{
    (void)timer;
}

static void start_client(struct fixture *f)
{
    struct nx_workers_options options = {.count = 1, .name = "test"};
    assert_int_equal(nx_workers_new(&options, &f->workers), NX_OK);
    f->worker = nx_workers_at(f->workers, 0);
    assert_int_equal(nx_http_client_new(f->worker, NULL, &f->client), NX_OK);
    uv_timer_init(nx_worker_loop(f->worker), &f->tick);
    uv_timer_start(&f->tick, on_idle_tick, 2, 2);
}

static void start(struct fixture *f, scripted_connection run, void *user)
{
    *f = (struct fixture){.done = 0};
    start_client(f);
    if (run) {
        f->server = scripted_server_start(run, user);
        (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/x",
                       scripted_server_port(f->server));
    } else {
        (void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u/x", scripted_free_port());
    }
}

static void on_closed(void *user)
{
    struct fixture *f = user;
    f->closed = true;
}

static void run_once(struct fixture *f)
{
    uv_run(nx_worker_loop(f->worker), UV_RUN_ONCE);
}

static void finish(struct fixture *f)
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

static struct nx_http_call_options options_of(struct outcome *o)
{
    return (struct nx_http_call_options){
        .method = "GET", .url = o->f->url, .timeout_ms = 5000, .done = on_done, .user = o};
}

static void send_call(struct outcome *o, const struct nx_http_call_options *options)
{
    o->sending = true;
    assert_int_equal(nx_http_client_send(o->f->client, options, &o->call), NX_OK);
    o->sending = false;
}

static enum nx_err on_data(void *user, struct nx_view piece)
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
        struct nx_http_call_options options = options_of(o->other);
        options.max_body_bytes = 4000;
        send_call(o->other, &options);
    }
    return o->streamed > o->refuse_after ? o->refuse : NX_OK;
}

static void wait_for(struct fixture *f, size_t done)
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

static void turn_for(struct fixture *f, uint64_t ms)
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

/* --- servers -----------------------------------------------------------------------------------
 */

/* Answers every request with its own text as body. */
static void echo(int fd, int nth, void *user)
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

static void say(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send(fd, user);
    }
}

static void silent(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    (void)user;
    while (scripted_read_request(fd, request, sizeof(request))) {
    }
}

static void half_then_silence(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    (void)user;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        (void)recv(fd, request, 1, 0);
    }
}

/* 4 MiB in chunks. */
static void big_stream(int fd, int nth, void *user)
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

/* --- answers -----------------------------------------------------------------------------------
 */

static void call_get_gives_status_body_and_headers(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    struct outcome o = {.f = &f};
    const char *const headers[] = {"X-Mine: 1", NULL};
    struct nx_http_call_options options = options_of(&o);
    options.headers = headers;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.status, 200);
    assert_string_equal(o.header, "yes");
    assert_non_null(strstr(o.body, "GET /x HTTP/1.1\r\n"));
    assert_non_null(strstr(o.body, "\r\nX-Mine: 1\r\n"));
    assert_null(strstr(o.body, "Content-Type"));
    finish(&f);
    assert_int_equal(o.times, 1);
}

static void call_post_sends_body_without_expect(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    struct outcome o[3] = {{.f = &f}, {.f = &f}, {.f = &f}};
    struct nx_buf body;
    nx_buf_init(&body, 100000);
    for (int i = 0; i < 3000; i++) {
        nx_buf_append_char(&body, 'b');
    }
    struct nx_http_call_options options = options_of(&o[0]);
    options.method = "POST";
    options.body = &body;
    send_call(&o[0], &options);
    assert_null(body.data);
    options = options_of(&o[1]);
    options.method = "PUT";
    options.shared_body = NX_VIEW("shared");
    const char *const headers[] = {"content-type: text/plain", NULL};
    options.headers = headers;
    send_call(&o[1], &options);
    options = options_of(&o[2]);
    options.method = "DELETE";
    send_call(&o[2], &options);
    wait_for(&f, 3);
    assert_non_null(strstr(o[0].body, "POST /x HTTP/1.1"));
    assert_non_null(strstr(o[0].body, "Content-Length: 3000\r\n"));
    assert_non_null(strstr(o[0].body, "bbbbbbbbbbbb"));
    assert_null(strstr(o[0].body, "Expect"));
    assert_null(strstr(o[0].body, "Content-Type"));
    assert_non_null(strstr(o[1].body, "PUT /x HTTP/1.1"));
    assert_non_null(strstr(o[1].body, "content-type: text/plain\r\n"));
    assert_non_null(strstr(o[1].body, "\r\n\r\nshared"));
    assert_non_null(strstr(o[2].body, "DELETE /x HTTP/1.1"));
    finish(&f);
}

static void call_post_with_large_body_arrives_whole(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, say, "HTTP/1.1 204 No Content\r\n\r\n");
    /* `say` reads 8 KiB at most, so this server breaks off: the client must report, not hang. */
    struct outcome o = {.f = &f};
    char *big = calloc(1, 8 << 20);
    struct nx_http_call_options options = options_of(&o);
    options.method = "POST";
    options.shared_body = nx_view_make(big, 8 << 20);
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_true(o.err == NX_ERR_UNAVAILABLE || o.status == 204);
    free(big);
    finish(&f);
}

static void answers_of_one_server_reuse_the_connection(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    for (size_t i = 1; i <= 50; i++) {
        send_call(&o, &options);
        wait_for(&f, i);
        assert_int_equal(o.err, NX_OK);
    }
    assert_int_equal(scripted_server_connections(f.server), 1);
    finish(&f);
}

static void one_request_each(int fd, int nth, void *user)
{
    char request[8192];
    (void)nth;
    (void)user;
    if (scripted_read_request(fd, request, sizeof(request))) {
        scripted_send(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

static void connection_closed_while_idle_is_replaced(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, one_request_each, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    for (size_t i = 1; i <= 20; i++) {
        send_call(&o, &options);
        wait_for(&f, i);
        assert_string_equal(o.error, "");
        assert_string_equal(o.body, "ok");
        if (i % 2) {
            usleep(2000);
        }
    }
    finish(&f);
}

static void calls_many_at_once_all_end_once(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    static struct outcome o[200];
    for (size_t i = 0; i < 200; i++) {
        o[i] = (struct outcome){.f = &f};
        struct nx_http_call_options options = options_of(&o[i]);
        send_call(&o[i], &options);
    }
    wait_for(&f, 200);
    for (size_t i = 0; i < 200; i++) {
        assert_int_equal(o[i].times, 1);
        assert_int_equal(o[i].err, NX_OK);
    }
    finish(&f);
}

static void send_from_done(void *user, const struct nx_http_response *response)
{
    struct outcome *o = user;
    assert_int_equal(response->err, NX_OK);
    o->f->done++;
    if (++o->times < 10) {
        struct nx_http_call_options options = options_of(o);
        options.done = send_from_done;
        assert_int_equal(nx_http_client_send(o->f->client, &options, NULL), NX_OK);
    }
}

static void send_from_done_works(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.done = send_from_done;
    assert_int_equal(nx_http_client_send(f.client, &options, NULL), NX_OK);
    wait_for(&f, 10);
    assert_int_equal(scripted_server_connections(f.server), 1);
    finish(&f);
}

/* --- failures ----------------------------------------------------------------------------------
 */

static void connection_refused_is_unavailable(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, NULL, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_ERR_UNAVAILABLE);
    assert_non_null(strstr(o.error, "Failed to connect"));
    finish(&f);
}

/* The name has an address on which nobody listens before or after the one with the server. */
static void name_with_a_dead_address_reaches_the_other(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    (void)snprintf(f.url, sizeof(f.url), "http://localhost:%u/x", scripted_server_port(f.server));
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    for (size_t i = 1; i <= 20; i++) {
        send_call(&o, &options);
        wait_for(&f, i);
        assert_string_equal(o.error, "");
    }
    finish(&f);
}

static void name_unknown_is_unavailable(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, NULL, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.url = "http://no-such-host.invalid:1/";
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_true(o.err == NX_ERR_UNAVAILABLE || o.err == NX_ERR_TIMEOUT);
    finish(&f);
}

static void url_bad_ends_in_invalid(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, NULL, NULL);
    const char *const urls[] = {"http://", "ftp://127.0.0.1/x", "http://[::1/",
                                "file:///etc/passwd"};
    for (size_t i = 0; i < 4; i++) {
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = options_of(&o);
        options.url = urls[i];
        enum nx_err err = nx_http_client_send(f.client, &options, NULL);
        if (err == NX_OK) {
            wait_for(&f, f.done + 1);
            err = o.err;
        }
        assert_int_equal(err, NX_ERR_INVALID);
    }
    finish(&f);
}

static void server_silent_times_out(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, silent, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.timeout_ms = 50;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    finish(&f);
}

static void server_stopping_half_way_times_out(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, half_then_silence, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.timeout_ms = 100;
    options.on_data = on_data;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    assert_int_equal(o.streamed, 4);
    finish(&f);
}

static void answers_broken_in_any_way_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *answer;
        enum nx_err err;
    } cases[] = {
        {"", NX_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", NX_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", NX_ERR_UNAVAILABLE},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhalf\r\n", NX_ERR_UNAVAILABLE},
        {"garbage, not HTTP at all\r\n\r\n", NX_ERR_INVALID},
        {"HTTP/1.1 200 OK\r\nContent-Le", NX_ERR_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;
        start(&f, say, (void *)(uintptr_t)cases[i].answer);
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = options_of(&o);
        send_call(&o, &options);
        wait_for(&f, 1);
        assert_true(o.err != NX_OK || o.body_len == 0);
        assert_int_equal(o.times, 1);
        if (cases[i].err == NX_ERR_UNAVAILABLE && i != 5) {
            assert_int_equal(o.err, NX_ERR_UNAVAILABLE);
        }
        finish(&f);
    }
}

static void answer_beyond_cap_is_too_large(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, big_stream, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.max_body_bytes = 100000;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_ERR_TOO_LARGE);
    finish(&f);
}

/* --- streaming ---------------------------------------------------------------------------------
 */

static void stream_arrives_in_pieces(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, big_stream, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.on_data = on_data;
    options.max_body_bytes = 10;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.streamed, 4 << 20);
    assert_true(o.pieces > 1);
    assert_int_equal(o.body_len, 0);
    finish(&f);
}

static void stream_refused_status_goes_to_body(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, say, "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.status, 503);
    assert_int_equal(o.pieces, 0);
    assert_string_equal(o.body, "busy");
    finish(&f);
}

static void stream_error_of_the_taker_ends_the_call(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, big_stream, NULL);
    struct outcome o = {.f = &f, .refuse = NX_ERR_LIMIT, .refuse_after = 200000};
    struct nx_http_call_options options = options_of(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_ERR_LIMIT);
    assert_string_equal(o.error, nx_err_text(NX_ERR_LIMIT));
    assert_true(o.streamed < 400000);
    finish(&f);
}

static void stream_canceled_from_its_own_data_ends_once(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, big_stream, NULL);
    struct outcome o = {.f = &f, .cancel_in_data = true};
    struct nx_http_call_options options = options_of(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    wait_for(&f, 1);
    turn_for(&f, 20);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    assert_int_equal(o.pieces, 1);
    assert_int_equal(o.times, 1);
    finish(&f);
}

static void stream_paused_waits_until_resumed(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, big_stream, NULL);
    struct outcome o = {.f = &f, .pause_in_data = true};
    struct nx_http_call_options options = options_of(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    while (o.times == 0) {
        size_t before = o.pieces;
        turn_for(&f, 2);
        assert_true(o.pieces <= before + 2);
        if (o.times == 0) {
            nx_http_call_pause(o.call, false);
        }
    }
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(o.streamed, 4 << 20);
    finish(&f);
}

static void stream_paused_still_times_out_and_cancels(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, big_stream, NULL);
    struct outcome o = {.f = &f, .pause_in_data = true};
    struct nx_http_call_options options = options_of(&o);
    options.on_data = on_data;
    options.timeout_ms = 50;
    send_call(&o, &options);
    wait_for(&f, 1);
    assert_int_equal(o.err, NX_ERR_TIMEOUT);
    o.times = 0;
    options.timeout_ms = 5000;
    send_call(&o, &options);
    turn_for(&f, 20);
    nx_http_call_cancel(o.call);
    wait_for(&f, 2);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    finish(&f);
}

static void send_from_data_works(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, big_stream, NULL);
    struct outcome other = {.f = &f};
    struct outcome o = {.f = &f, .send_in_data = true, .other = &other};
    struct nx_http_call_options options = options_of(&o);
    options.on_data = on_data;
    send_call(&o, &options);
    wait_for(&f, 2);
    assert_int_equal(o.err, NX_OK);
    assert_int_equal(other.err, NX_ERR_TOO_LARGE);
    finish(&f);
}

/* --- cancel and close --------------------------------------------------------------------------
 */

static void cancel_right_after_send_ends_once(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    send_call(&o, &options);
    nx_http_call_cancel(o.call);
    nx_http_call_cancel(o.call);
    assert_int_equal(o.times, 0);
    wait_for(&f, 1);
    turn_for(&f, 20);
    assert_int_equal(o.err, NX_ERR_CANCELED);
    assert_int_equal(o.times, 1);
    finish(&f);
}

static void cancel_at_any_moment_ends_once(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    size_t canceled = 0;
    for (size_t round = 1; round <= 300; round++) {
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = options_of(&o);
        send_call(&o, &options);
        for (size_t turns = nx_rand_below(&rand, 12); turns > 0 && o.times == 0; turns--) {
            uv_run(nx_worker_loop(f.worker), UV_RUN_NOWAIT);
        }
        if (o.times == 0) {
            nx_http_call_cancel(o.call);
            canceled++;
        }
        wait_for(&f, round);
        assert_int_equal(o.times, 1);
        assert_true(o.err == NX_OK || o.err == NX_ERR_CANCELED);
    }
    assert_true(canceled > 10);
    finish(&f);
}

static void close_cancels_what_is_in_flight(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, silent, NULL);
    struct outcome o[5];
    for (size_t i = 0; i < 5; i++) {
        o[i] = (struct outcome){.f = &f};
        struct nx_http_call_options options = options_of(&o[i]);
        send_call(&o[i], &options);
    }
    turn_for(&f, 20);
    nx_http_client_close(f.client, on_closed, &f);
    assert_int_equal(f.done, 0);
    assert_false(f.closed);
    struct outcome late = {.f = &f};
    struct nx_http_call_options options = options_of(&late);
    assert_int_equal(nx_http_client_send(f.client, &options, NULL), NX_ERR_CLOSED);
    while (!f.closed) {
        run_once(&f);
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(o[i].times, 1);
        assert_int_equal(o[i].err, NX_ERR_CANCELED);
    }
    f.client = NULL;
    finish(&f);
}

static void close_from_done(void *user, const struct nx_http_response *response)
{
    struct outcome *o = user;
    assert_int_equal(response->err, NX_OK);
    nx_http_client_close(o->f->client, on_closed, o->f);
    o->f->client = NULL;
}

static void close_from_done_works(void **state)
{
    (void)state;
    struct fixture f;
    start(&f, echo, NULL);
    struct outcome o = {.f = &f};
    struct nx_http_call_options options = options_of(&o);
    options.done = close_from_done;
    assert_int_equal(nx_http_client_send(f.client, &options, NULL), NX_OK);
    while (!f.closed) {
        run_once(&f);
    }
    finish(&f);
}

static bool fail_countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    long *left = user;
    return (*left)-- != 0;
}

static void allocation_failing_anywhere_ends_every_call(void **state)
{
    (void)state;
    for (long n = 0; n < 12; n++) {
        struct fixture f;
        start(&f, echo, NULL);
        struct outcome o = {.f = &f};
        struct nx_http_call_options options = options_of(&o);
        options.timeout_ms = 500;
        long left = n;
        nx_alloc_set_hook(fail_countdown, &left);
        enum nx_err err = nx_http_client_send(f.client, &options, NULL);
        if (err == NX_OK) {
            wait_for(&f, 1);
            err = o.err;
        }
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || left < 0);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM || err == NX_ERR_UNAVAILABLE);
        finish(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(call_get_gives_status_body_and_headers),
        cmocka_unit_test(call_post_sends_body_without_expect),
        cmocka_unit_test(call_post_with_large_body_arrives_whole),
        cmocka_unit_test(answers_of_one_server_reuse_the_connection),
        cmocka_unit_test(connection_closed_while_idle_is_replaced),
        cmocka_unit_test(calls_many_at_once_all_end_once),
        cmocka_unit_test(send_from_done_works),
        cmocka_unit_test(connection_refused_is_unavailable),
        cmocka_unit_test(name_with_a_dead_address_reaches_the_other),
        cmocka_unit_test(name_unknown_is_unavailable),
        cmocka_unit_test(url_bad_ends_in_invalid),
        cmocka_unit_test(server_silent_times_out),
        cmocka_unit_test(server_stopping_half_way_times_out),
        cmocka_unit_test(answers_broken_in_any_way_are_errors),
        cmocka_unit_test(answer_beyond_cap_is_too_large),
        cmocka_unit_test(stream_arrives_in_pieces),
        cmocka_unit_test(stream_refused_status_goes_to_body),
        cmocka_unit_test(stream_error_of_the_taker_ends_the_call),
        cmocka_unit_test(stream_canceled_from_its_own_data_ends_once),
        cmocka_unit_test(stream_paused_waits_until_resumed),
        cmocka_unit_test(stream_paused_still_times_out_and_cancels),
        cmocka_unit_test(send_from_data_works),
        cmocka_unit_test(cancel_right_after_send_ends_once),
        cmocka_unit_test(cancel_at_any_moment_ends_once),
        cmocka_unit_test(close_cancels_what_is_in_flight),
        cmocka_unit_test(close_from_done_works),
        cmocka_unit_test(allocation_failing_anywhere_ends_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
