/* A process that serves RPC methods and calls them, over loopback or within itself, and calls whose
 * outcome a test looks at. */
#ifndef TESTS_UNIT_NET_RPC_FIXTURE_H
#define TESTS_UNIT_NET_RPC_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/net/rpc.h"

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

void nap(void);
void on_worker(struct process *p, size_t worker, void (*run)(void *arg), void *arg);
void echo(struct nx_rpc_request *req, void *user);
/* Answers only once the caller is gone. */
void hold(struct nx_rpc_request *req, void *user);

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

void process_add_methods(struct process *p);
/* The cluster that the callee and the callers name; NULL: none. */
void process_start_in(struct process *p, bool local, const char *callee, const char *caller);
void process_start(struct process *p, bool local);
void on_client_closed(void *user);
void close_clients(struct process *p);
void process_finish(struct process *p);

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

void on_done(void *user, const struct nx_rpc_result *result);
enum nx_err on_frame(void *user, struct nx_view frame);
void cancel_call(void *arg);
void call_begin(struct outcome *o);
void call_await(struct outcome *o);
void await_count(atomic_int *count, int value);
void call_and_wait(struct outcome *o);

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

#endif
