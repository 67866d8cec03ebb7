/* HTTP/1.1 server on libuv and llhttp.
 *
 * One listener; accepted connections are handed to the least-loaded worker, on whose thread everything about
 * them then happens. Keep-alive, pipelining (answers in order), chunked bodies both ways, Expect:
 * 100-continue (answered only after the route's checks passed). A handler is called once the whole body is
 * there, and answers now or later, exactly once, from the same thread.
 *
 * Limits answer before memory is taken: header 431, unknown path 404, wrong method 405 with Allow, body 413
 * (from Content-Length where there is one), budget 503 with Retry-After. Time-outs close: header and body
 * 408 where nothing was answered yet. Error answers are text/plain lines. HEAD is served by GET handlers,
 * save where a route says otherwise.
 * A handler's answer that a client does not take within the write time-out closes the connection.
 *
 * Beyond 256 header fields: 431. Malformed requests: 400 and the end. Pipelined requests run side by side while
 * all of them are GET, HEAD or OPTIONS, at most 64 of a connection; others wait their turn. A refused body of
 * at most 1 MiB is read and forgotten, so that the connection lives on. */
#ifndef NX_NET_HTTP_SERVER_H
#define NX_NET_HTTP_SERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/net/worker.h"
#include "common/telemetry/telemetry.h"

struct nx_http_server;
struct nx_http_request;

struct nx_http_server_options {
    const char *host; /* numeric or name */
    uint16_t port;    /* 0: any; see nx_http_server_port */
    size_t max_connections;      /* beyond: 503 and close; 0: 10000 */
    size_t max_header_bytes;     /* 0: 64 KiB */
    size_t max_body_bytes;       /* 0: 64 MiB; a route may set less or more */
    uint64_t header_timeout_ms;  /* from the first byte of a request; 0: 10 s */
    uint64_t body_timeout_ms;    /* without progress; 0: 30 s */
    uint64_t idle_timeout_ms;    /* between requests; 0: 5 min */
    uint64_t write_timeout_ms;   /* without progress; 0: 30 s */
    size_t write_high_water_bytes; /* 0: 1 MiB */
};

enum nx_http_method { NX_HTTP_GET = 1, NX_HTTP_POST = 2, NX_HTTP_PUT = 4, NX_HTTP_DELETE = 8,
                      NX_HTTP_OPTIONS = 16, NX_HTTP_HEAD = 32 };

/* Bytes of bodies in flight, shared by the routes that name it: a body is charged (its Content-Length, else
 * as it grows) before it is read, and given back when the request is freed. Any thread. */
struct nx_http_budget {
    atomic_size_t used_bytes;
    size_t max_bytes;
    unsigned retry_after_s;
    const char *setting; /* that max_bytes comes from, for the text of a 413; may be NULL; static */
};

typedef void (*nx_http_handler)(struct nx_http_request *req, void *user);

struct nx_http_route {
    unsigned methods;          /* enum nx_http_method bits; of a path of only OPTIONS others are 404, not 405 */
    bool no_head;              /* GET does not imply HEAD */
    const char *path;          /* exact, or with one "{name}" segment, or ending in "/" + "*" for all below */
    nx_http_handler handle;
    /* Optional: called when the header is complete, before any body byte is read; false when it has
     * answered (nx_http_respond, at once), the body is then discarded. */
    bool (*check)(struct nx_http_request *req, void *user);
    void *user;
    size_t max_body_bytes;     /* 0: the server's */
    const char *body_setting; /* that max_body_bytes comes from, for the text of a 413; may be NULL;
                                 static */
    struct nx_http_budget *budget; /* may be NULL */
};

/* `log` and `telemetry` may be NULL. Telemetry is registered per route, so it must outlive the server. */
enum nx_err nx_http_server_new(const struct nx_http_server_options *options, struct nx_workers *workers,
                               struct nx_log *log, struct nx_telemetry *telemetry,
                               struct nx_http_server **out) NX_WARN_UNUSED;
/* Before start. No two routes have a path and a method in common. The path is copied. */
enum nx_err nx_http_server_route(struct nx_http_server *server, const struct nx_http_route *route)
    NX_WARN_UNUSED;
/* Before start. Requests below this prefix ("/prometheus") are served as if it were not there. */
enum nx_err nx_http_server_alias(struct nx_http_server *server, const char *prefix) NX_WARN_UNUSED;
/* Binds and listens, before nx_workers_start; failures say the address in `fail`. */
enum nx_err nx_http_server_listen(struct nx_http_server *server, struct nx_fail *fail) NX_WARN_UNUSED;
uint16_t nx_http_server_port(const struct nx_http_server *server);
/* Any thread: stops accepting, lets requests in flight finish for up to grace_ms (idle connections close at
 * once, answers carry Connection: close), closes the rest, then calls `done` once, on a worker. */
void nx_http_server_stop(struct nx_http_server *server, uint64_t grace_ms, void (*done)(void *user),
                         void *user);
/* After the workers have stopped. */
void nx_http_server_free(struct nx_http_server *server);

/* --- the request; owning worker's thread ------------------------------------------------------------ */
struct nx_worker *nx_http_request_worker(struct nx_http_request *req);
enum nx_http_method nx_http_request_method(const struct nx_http_request *req);
struct nx_view nx_http_request_path(const struct nx_http_request *req);  /* decoded, without alias prefix */
struct nx_view nx_http_request_query(const struct nx_http_request *req); /* raw, without '?' */
/* Names are case-insensitive; an absent header has ptr NULL. */
struct nx_view nx_http_request_header(const struct nx_http_request *req, const char *name);
struct nx_view nx_http_request_body(const struct nx_http_request *req);
/* What the path's {name} or trailing star stood for, percent-decoded. */
struct nx_view nx_http_request_param(const struct nx_http_request *req);
/* Memory that lives until the request has been answered and sent. */
struct nx_arena *nx_http_request_arena(struct nx_http_request *req);
/* Gives the body's memory to the caller (nx_free); the body view stays valid as long as that. */
char *nx_http_request_take_body(struct nx_http_request *req, size_t *len);
/* Called at most once, on the worker, from the loop, if the client goes away before the answer is complete; the
 * handler must still answer, which may happen in the callback. The answer then only frees, except that a
 * client that has ended no more than its own sending is still sent it. Set it when the handler is called. */
void nx_http_request_on_cancel(struct nx_http_request *req, void (*cancel)(void *user), void *user);

/* --- the answer; owning worker's thread ------------------------------------------------------------- */
/* Before respond or stream; the text is copied, control characters become blanks. */
void nx_http_response_header(struct nx_http_request *req, const char *name, const char *value);
/* Allows the body to be compressed as the request's Accept-Encoding asks (gzip, deflate). */
void nx_http_response_compress(struct nx_http_request *req);
/* Complete answer; the bytes are copied. `type` NULL: no Content-Type. The request is gone afterwards. */
void nx_http_respond(struct nx_http_request *req, int status, const char *type, struct nx_view body);
/* The same, taking over the buffer's memory. */
void nx_http_respond_buf(struct nx_http_request *req, int status, const char *type, struct nx_buf *body);
/* text/plain, the line and a newline. */
void nx_http_respond_text(struct nx_http_request *req, int status, const char *text);

/* A chunked answer in pieces. nx_http_stream_write takes the buffer's memory (and leaves it empty) and returns
 * false when the connection holds more than the high-water mark: stop until `drained` (from the loop) is called. A
 * client that has gone away also drains, and what is written then goes nowhere: the stream still wants its
 * end. HTTP/1.0 gets the same bytes without chunks. */
void nx_http_stream_begin(struct nx_http_request *req, int status, const char *type,
                          void (*drained)(void *user), void *user);
bool nx_http_stream_write(struct nx_http_request *req, struct nx_buf *piece);
void nx_http_stream_end(struct nx_http_request *req);
/* Ends the answer in a way the client sees as broken (the connection closes without the last chunk). */
void nx_http_stream_abort(struct nx_http_request *req);

const char *nx_http_status_text(int status);

#endif
