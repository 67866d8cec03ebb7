/* What the files of the HTTP server share, and nobody else.
 *
 *     http_server.c    options, set-up, graceful stop
 *     http_listener.c  the listening socket, accepting, choosing a worker
 *     http_conn.c      a connection's life: reading, time-outs, closing
 *     http_parse.c     llhttp's callbacks: bytes to requests, limits
 *     http_admit.c     what is asked before a body is read
 *     http_route.c     which route a path is for
 *     http_request.c   a request's life and what a handler may ask of it
 *     http_response.c  the answer: head and body
 *     http_stream.c    an answer in pieces
 *     http_write.c     answers onto the socket, in order, with high water
 *     http_metrics.c   the server's own metrics
 *
 * Ownership. A shard is the part of the server that lives on one worker. A connection is referenced
 * by its open socket and by each of its requests, and goes with the last of them. A request goes
 * when it has been read (or given up), answered, and its answer written (or the connection is
 * closed). Requests are kept in the order in which they came: the first that is not written out is
 * the one whose segments go to the socket; answers of later ones wait in their requests. */
#ifndef NX_NET_HTTP_SERVER_INTERNAL_H
#define NX_NET_HTTP_SERVER_INTERNAL_H

#include <llhttp.h>

#include "common/base/time.h"
#include "common/net/http_encoding.h"
#include "common/net/http_server.h"

enum {
    NX_HTTP_MAX_HEADERS = 256,      /* fields of one request */
    NX_HTTP_MAX_PIPELINE = 64,      /* requests of one connection at a time */
    NX_HTTP_READ_BYTES = 64 * 1024, /* the shard's read buffer */
    NX_HTTP_DISCARD_BYTES =
        1 << 20,              /* a refused body up to this length is read to keep the connection */
    NX_HTTP_LINGER_MS = 2000, /* a closing connection listens this long for the client's end */
    NX_HTTP_SPARE_REQUESTS = 64, /* kept by a shard for reuse */
    NX_HTTP_SPARE_HEAD_BYTES = 16 * 1024,
    NX_HTTP_SEGMENT_PARTS = 3,
};

struct nx_http_shard;
struct nx_http_conn;

/* One piece of an answer on its way to the socket. */
struct nx_http_segment {
    struct nx_http_segment *next;
    struct nx_http_request *req;
    uv_write_t write;
    uv_buf_t parts[NX_HTTP_SEGMENT_PARTS];
    unsigned part_count;
    size_t bytes;
    char chunk_line[24];
    char *owned; /* freed with it; NULL: the bytes live in the request's arena */
    bool heap;   /* itself from the heap, else embedded in the request */
};

struct nx_http_field {
    struct nx_http_field *next;
    const char *name;
    const char *value;
};

/* Offsets into the request's head buffer. */
struct nx_http_span {
    uint32_t at;
    uint32_t len;
};

struct nx_http_header {
    struct nx_http_span name;
    struct nx_http_span value;
};

enum nx_http_answer { NX_ANSWER_NONE, NX_ANSWER_STREAM, NX_ANSWER_ENDED };

struct nx_http_route_entry {
    struct nx_http_route route;
    char *path;
    struct nx_metrics *metrics;
};

struct nx_http_request {
    struct nx_http_request *next; /* in the connection's order, or spare */
    struct nx_http_conn *conn;
    const struct nx_http_route_entry *route; /* NULL until one was found */
    struct nx_arena arena;

    /* what came */
    struct nx_buf head; /* target, then names and values, back to back */
    struct nx_http_span target;
    struct nx_http_header *headers;
    size_t header_count;
    size_t header_capacity;
    enum nx_http_method method; /* 0: one the server does not know */
    struct nx_view path;
    struct nx_view query;
    struct nx_view param;
    char *body;
    size_t body_len;
    size_t body_capacity;
    size_t max_body_bytes;
    size_t charged_bytes; /* to the route's budget */
    uint64_t content_length;
    bool has_content_length;
    bool head_complete;
    bool http_1_0;
    bool keep_alive;
    bool expects; /* 100-continue was asked for */
    bool discard; /* answered before its body came */
    bool read;    /* nothing more comes */

    /* what goes */
    enum nx_http_answer answer;
    bool dispatched;
    bool cancelled;
    bool close_after;
    bool compress;
    bool chunked;
    bool no_body;
    bool broken; /* aborted: the connection closes where the answer ends */
    bool wants_drain;
    int status;
    struct nx_http_field *fields; /* of the answer, in order */
    struct nx_http_field **last_field;
    struct nx_deflater *deflater;    /* of a compressed stream */
    struct nx_http_segment *pending; /* not yet given to the socket */
    struct nx_http_segment **last_pending;
    size_t unsent_bytes; /* of its segments, pending or given to the socket and not called back */
    unsigned writing;    /* segments given to the socket and not called back */
    struct nx_http_segment first_segment;
    bool first_segment_used;
    void (*cancel)(void *user);
    void *cancel_user;
    void (*drained)(void *user);
    void *drained_user;
    uint64_t started_ns; /* the header was complete */
};

struct nx_http_conn {
    uv_tcp_t tcp;
    uv_shutdown_t shutdown;
    struct nx_task adopt; /* from the listener to the shard */
    int fd;               /* until adopted */
    bool refuse;          /* too many connections: 503 and close */
    struct nx_http_shard *shard;
    struct nx_http_conn *prev;
    struct nx_http_conn *next;
    size_t refs; /* the open socket, and each request */

    llhttp_t parser;
    struct nx_http_request *reading; /* being parsed */
    struct nx_http_request *first;   /* all live ones, in order, `reading` included */
    struct nx_http_request *last;
    size_t request_count;
    size_t running;               /* handlers that have not answered */
    size_t running_unsafe;        /* of these, not GET, HEAD or OPTIONS */
    struct nx_http_request *held; /* read, but may not start yet */

    char *saved; /* bytes read but not parsed, while the connection is blocked */
    size_t saved_len;
    size_t saved_at; /* parsed up to here */

    int refuse_status; /* set by a parser callback that stops the parsing */
    const char *refuse_text;
    const char *feed_begin; /* the bytes being parsed */
    const char *feed_end;
    uint64_t feed;       /* counts them */
    uint64_t value_feed; /* the last one that ended within a header value */
    size_t unsent_bytes; /* of all its requests */
    size_t extra_bytes;  /* trailers and chunk extensions of this request */

    bool reads;   /* uv_read_start is on */
    bool feeding; /* the parser runs: no re-entry */
    bool no_more; /* what else comes is not parsed */
    bool eof;
    bool shut; /* all written, our end is shut, waiting for theirs */
    bool closing;

    uint64_t phase_ms; /* the last byte of a body, the first of a header, the begin of idling or
                          lingering */
    uint64_t write_ms; /* the last progress of writing */
    size_t write_left; /* at that time */
};

struct nx_http_shard {
    struct nx_http_server *server;
    struct nx_worker *worker;
    struct nx_http_conn *conns;
    size_t conn_count;  /* objects, closed ones with owed requests included */
    atomic_size_t load; /* connections given to it; written by listener and shard */
    uv_timer_t tick;
    bool draining;
    bool ended;
    uint64_t drain_deadline_ms;
    struct nx_task drain;
    struct nx_http_request *spare;
    size_t spare_count;
    struct nx_deflater *deflaters[NX_ENCODING_COUNT]; /* for whole bodies */
    int64_t date_s;
    char date[40];
    char read_buf[NX_HTTP_READ_BYTES];
};

enum nx_http_metric {
    NX_HTTP_IN_FLIGHT,
    NX_HTTP_CONNECTIONS,
    NX_HTTP_ACCEPTED,
    NX_HTTP_REFUSED,
    NX_HTTP_RECEIVED_BYTES,
    NX_HTTP_SENT_BYTES,
    NX_HTTP_TIMEOUTS, /* enum nx_http_timeout */
    NX_HTTP_MALFORMED,
    NX_HTTP_METRICS
};
enum nx_http_timeout { NX_TIMEOUT_HEADER, NX_TIMEOUT_BODY, NX_TIMEOUT_IDLE, NX_TIMEOUT_WRITE };

struct nx_http_server {
    struct nx_http_server_options options; /* defaults filled in */
    char *host;
    struct nx_workers *workers;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
    struct nx_metrics *metrics;
    struct nx_metrics *unrouted; /* route metrics of requests that no route took */
    struct nx_http_route_entry *routes;
    size_t route_count;
    size_t route_capacity;
    char **aliases;
    size_t alias_count;
    size_t alias_capacity;
    llhttp_settings_t parser_settings;
    struct nx_http_shard *shards;
    size_t shard_count;
    uint64_t tick_ms;

    /* the listener, on worker 0 */
    int listen_fd; /* -1: none */
    uint16_t port;
    uv_poll_t listen_poll;
    uv_timer_t listen_retry; /* runs while descriptors are out */
    void (*listener_closed)(struct nx_http_server *server);
    size_t next_shard;
    atomic_size_t refusing; /* connections that are being told 503 */

    struct nx_task stop;
    uint64_t grace_ms;
    void (*stopped)(void *user);
    void *stopped_user;
    atomic_size_t shards_left;
};

/* http_server.c */
void nx_http_shard_tick(uv_timer_t *timer);
/* Ends the shard's part of a stop once nothing is left of its connections. */
void nx_http_shard_check_drained(struct nx_http_shard *shard);

/* http_listener.c */
enum nx_err nx_http_listener_open(struct nx_http_server *server,
                                  struct nx_fail *fail) NX_WARN_UNUSED;
/* On worker 0; `closed` is called when the handle is gone. */
void nx_http_listener_close(struct nx_http_server *server,
                            void (*closed)(struct nx_http_server *server));

/* http_conn.c */
/* Runs on the shard's worker; the connection comes from the listener, not yet on a loop. */
void nx_http_conn_adopt(struct nx_http_conn *conn);
void nx_http_conn_tick(struct nx_http_conn *conn, uint64_t now_ms);
void nx_http_conn_drain(struct nx_http_conn *conn);
/* Begins to close; requests are cancelled later, from the loop, never inside the caller. Reset: the
 * client's end sees an error rather than an end. */
void nx_http_conn_abort(struct nx_http_conn *conn);
void nx_http_conn_reset(struct nx_http_conn *conn);
/* All that will be answered is written: shuts our end and listens for the client's, so that one
 * that still sends does not lose the answer to a reset. */
void nx_http_conn_end(struct nx_http_conn *conn);
/* After anything that may have changed what the connection can do next. */
void nx_http_conn_advance(struct nx_http_conn *conn);
void nx_http_conn_ref(struct nx_http_conn *conn);
void nx_http_conn_unref(struct nx_http_conn *conn);
/* Answers the request being read with an error and closes after it. */
void nx_http_conn_refuse(struct nx_http_conn *conn, int status, const char *text);

/* http_parse.c */
void nx_http_parse_settings(llhttp_settings_t *settings);
/* Parses until the bytes end, the connection is blocked or nothing more is to be parsed; returns
 * how many bytes are done with. */
size_t nx_http_parse_feed(struct nx_http_conn *conn, const char *bytes, size_t len);
/* No request can be started, or read further, now. */
bool nx_http_parse_blocked(const struct nx_http_conn *conn);
/* Starts the held request if it may now. */
void nx_http_parse_release_held(struct nx_http_conn *conn);
/* Where the rest of a body of known length is to be read; empty where there is none. */
uv_buf_t nx_http_parse_body_room(const struct nx_http_conn *conn);

/* For the parser's callbacks, which return what these return: the request is refused, and the
 * connection closed, once the parser has come back. The text must be static. */
int nx_http_parse_stop(struct nx_http_conn *conn, int status, const char *text);
int nx_http_parse_malformed(struct nx_http_conn *conn, const char *text);

/* http_admit.c */
extern const char nx_http_overloaded[];
/* What llhttp leaves to its user (RFC 9110, 9112); 0 where all is well, else what the callback
 * returns. */
int nx_http_check_head(struct nx_http_conn *conn);
/* Finds the route and reserves the body, or answers. */
void nx_http_admit(struct nx_http_request *req, bool has_body);
/* The text of a 413: the limit in force, and the setting behind it. Lives as long as the request.
 */
const char *nx_http_too_large(struct nx_http_request *req);

/* http_route.c */
/* Sets route, path, query and param; else the status to refuse with (400, 404 or 405 with Allow
 * set). */
int nx_http_route_find(struct nx_http_request *req);

/* http_request.c */
struct nx_http_request *nx_http_request_new(struct nx_http_conn *conn);
/* Frees it where nothing holds it any more. */
void nx_http_request_settle(struct nx_http_request *req);
struct nx_view nx_http_request_span(const struct nx_http_request *req, struct nx_http_span span);
/* Whether the caller is on the request's worker. */
bool nx_http_request_is_here(const struct nx_http_request *req);
bool nx_http_request_is_safe(const struct nx_http_request *req);
enum nx_err nx_http_request_charge(struct nx_http_request *req, size_t bytes) NX_WARN_UNUSED;
void nx_http_request_free_spares(struct nx_http_shard *shard);

/* http_write.c */
struct nx_http_segment *nx_http_segment_new(struct nx_http_request *req);
void nx_http_segment_part(struct nx_http_segment *segment, const char *bytes, size_t len);
void nx_http_segment_free(struct nx_http_segment *segment);
/* Appends to the request's answer and writes what is in order. */
void nx_http_segment_send(struct nx_http_segment *segment);
/* The answer is complete as far as the handler is concerned. */
void nx_http_answer_end(struct nx_http_request *req);
void nx_http_flush(struct nx_http_conn *conn);
void nx_http_drop_pending(struct nx_http_request *req);

/* http_response.c */
/* For the server's own 503 answers; nothing for others. */
void nx_http_response_retry_after(struct nx_http_request *req, int status);
bool nx_http_status_has_no_body(int status);
void nx_http_answer_begin(struct nx_http_request *req, int status);
/* What the handler allows and the client takes. */
enum nx_encoding nx_http_answer_encoding(const struct nx_http_request *req);
/* The head, and a body that follows it in the same piece of memory; body_len below 0: no
 * Content-Length. NULL where memory failed, now or when the header fields were set. */
struct nx_http_segment *nx_http_answer_head(struct nx_http_request *req, const char *type,
                                            int64_t body_len, enum nx_encoding encoding,
                                            struct nx_view copied);
/* Ends an answer that cannot be given, or not to its end. */
void nx_http_answer_fail(struct nx_http_request *req);

/* http_stream.c */
/* "HTTP/1.1 100 Continue" ahead of the answer. */
void nx_http_send_continue(struct nx_http_request *req);

/* http_metrics.c */
enum nx_err nx_http_metrics_register(struct nx_http_server *server) NX_WARN_UNUSED;
/* `path` NULL: requests that no route took. */
enum nx_err nx_http_metrics_route(struct nx_http_server *server, const char *path,
                                  struct nx_metrics **out) NX_WARN_UNUSED;
void nx_http_metrics_answered(const struct nx_http_request *req);

#endif
