/* An HTTP client on a loop of its own, servers that misbehave as told, and calls whose outcome a
 * test looks at. */
#ifndef TESTS_UNIT_NET_HTTP_CLIENT_FIXTURE_H
#define TESTS_UNIT_NET_HTTP_CLIENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/net/http_client.h"
#include "scripted_server.h"

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

void client_start(struct fixture *f, scripted_connection run, void *user);
void on_closed(void *user);
void run_once(struct fixture *f);
void client_finish(struct fixture *f);
struct nx_http_call_options call_options(struct outcome *o);
void send_call(struct outcome *o, const struct nx_http_call_options *options);
enum nx_err on_data(void *user, struct nx_view piece);
void client_wait(struct fixture *f, size_t done);
void client_turn(struct fixture *f, uint64_t ms);
/* Answers every request with its own text as body. */
void serve_echo(int fd, int nth, void *user);
void serve_text(int fd, int nth, void *user);
void serve_silence(int fd, int nth, void *user);
void serve_half(int fd, int nth, void *user);
/* 4 MiB in chunks. */
void serve_big_stream(int fd, int nth, void *user);

#endif
