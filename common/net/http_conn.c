/* A connection reads into its shard's one buffer (the callback parses at once), or straight into a
 * body whose length is known. It stops reading while it is blocked: the pipeline is full, the next
 * request must wait for an unsafe one, or the client does not take its answers; what was read by
 * then is saved.
 *
 * Closing: nx_http_conn_abort marks and closes; libuv calls back the writes, then on_closed cancels
 * what handlers still work on. The object goes when the last owed answer is given. One coarse timer
 * a shard looks at all time-outs. */
#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/net/http_server_internal.h"

static void drop_saved(struct nx_http_conn *conn)
{
    nx_free(conn->saved);
    conn->saved = NULL;
    conn->saved_len = 0;
    conn->saved_at = 0;
}

static uint64_t now_ms(const struct nx_http_conn *conn)
{
    return uv_now(nx_worker_loop(conn->shard->worker));
}

void nx_http_conn_ref(struct nx_http_conn *conn)
{
    conn->refs++;
}

void nx_http_conn_unref(struct nx_http_conn *conn)
{
    if (--conn->refs > 0) {
        return;
    }
    struct nx_http_shard *shard = conn->shard;
    assert(!conn->first);
    drop_saved(conn);
    nx_free(conn);
    shard->conn_count--;
    nx_http_shard_check_drained(shard);
}

/* The first request in order whose handler works and does not know yet that the client went away.
 */
static struct nx_http_request *next_to_cancel(const struct nx_http_conn *conn)
{
    for (struct nx_http_request *req = conn->first; req; req = req->next) {
        if (req->dispatched && req->answer != NX_ANSWER_ENDED && !req->cancelled) {
            return req;
        }
    }
    return NULL;
}

static void cancel_requests(struct nx_http_conn *conn)
{
    struct nx_http_request *req;
    while ((req = next_to_cancel(conn)) != NULL) {
        req->cancelled = true;
        if (req->cancel) {
            req->cancel(req->cancel_user);
        }
    }
}

/* A stream that waits for room goes on, into nothing, so that it comes to its end. */
static void release_drains(struct nx_http_conn *conn)
{
    struct nx_http_request *req = conn->first;
    while (req) {
        if (req->wants_drain && req->drained && req->answer == NX_ANSWER_STREAM) {
            req->wants_drain = false;
            req->drained(req->drained_user);
            req = conn->first;
        } else {
            req = req->next;
        }
    }
}

static void settle_all(struct nx_http_conn *conn)
{
    struct nx_http_request *req = conn->first;
    while (req) {
        struct nx_http_request *next = req->next;
        nx_http_request_settle(req);
        req = next;
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct nx_http_conn *conn = handle->data;
    struct nx_http_shard *shard = conn->shard;
    atomic_fetch_sub(&shard->load, 1);
    if (conn->refuse) {
        atomic_fetch_sub(&shard->server->refusing, 1);
    }
    conn->reading = NULL;
    conn->held = NULL;
    cancel_requests(conn);
    release_drains(conn);
    settle_all(conn);
    nx_metric_add(shard->server->metrics, NX_HTTP_CONNECTIONS, 0, -1);
    nx_http_conn_unref(conn);
}

static void begin_close(struct nx_http_conn *conn)
{
    struct nx_http_shard *shard = conn->shard;
    conn->closing = true;
    conn->no_more = true;
    if (conn->prev) {
        conn->prev->next = conn->next;
    } else {
        shard->conns = conn->next;
    }
    if (conn->next) {
        conn->next->prev = conn->prev;
    }
    if (!shard->conns && !shard->ended) {
        uv_timer_stop(&shard->tick);
    }
}

void nx_http_conn_abort(struct nx_http_conn *conn)
{
    if (!conn->closing) {
        begin_close(conn);
        uv_close((uv_handle_t *)&conn->tcp, on_closed);
    }
}

void nx_http_conn_reset(struct nx_http_conn *conn)
{
    if (!conn->closing) {
        begin_close(conn);
        if (uv_tcp_close_reset(&conn->tcp, on_closed) != 0) {
            uv_close((uv_handle_t *)&conn->tcp, on_closed);
        }
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct nx_http_conn *conn = handle->data;
    *buf = nx_http_parse_body_room(conn);
    if (buf->len == 0) {
        *buf = uv_buf_init(conn->shard->read_buf, sizeof(conn->shard->read_buf));
    }
}

/* The client sends no more. What is being answered is told so, and is still written: a client may
 * have closed only its sending side. */
static void on_eof(struct nx_http_conn *conn)
{
    conn->eof = true;
    uv_read_stop((uv_stream_t *)&conn->tcp);
    conn->reads = false;
    if (conn->shut) {
        nx_http_conn_abort(conn);
        return;
    }
    nx_http_conn_ref(conn);
    cancel_requests(conn);
    nx_http_conn_advance(conn);
    nx_http_conn_unref(conn);
}

/* Only while nothing is saved yet: a blocked connection does not read. */
static void save(struct nx_http_conn *conn, const char *bytes, size_t len)
{
    assert(!conn->saved);
    conn->saved = nx_alloc(len);
    if (!conn->saved) {
        nx_http_conn_abort(conn);
        return;
    }
    memcpy(conn->saved, bytes, len);
    conn->saved_len = len;
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buf)
{
    struct nx_http_conn *conn = stream->data;
    if (got == UV_EOF) {
        on_eof(conn);
        return;
    }
    if (got < 0) {
        nx_http_conn_abort(conn);
        return;
    }
    if (got == 0 || conn->no_more) {
        return;
    }
    nx_metric_add(conn->shard->server->metrics, NX_HTTP_RECEIVED_BYTES, 0, (double)got);
    nx_http_conn_ref(conn);
    size_t used = nx_http_parse_feed(conn, buf->base, (size_t)got);
    if (used < (size_t)got && !conn->no_more) {
        save(conn, buf->base + used, (size_t)got - used);
    }
    nx_http_conn_advance(conn);
    nx_http_conn_unref(conn);
}

static void set_reading(struct nx_http_conn *conn, bool on)
{
    if (conn->closing || conn->eof || conn->reads == on) {
        return;
    }
    conn->reads = on;
    if (!on) {
        uv_read_stop((uv_stream_t *)&conn->tcp);
    } else if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0) {
        nx_http_conn_abort(conn);
    } else if (conn->reading) {
        conn->phase_ms = now_ms(conn); /* waiting for us is not the client's slowness */
    }
}

static void feed_saved(struct nx_http_conn *conn)
{
    conn->saved_at +=
        nx_http_parse_feed(conn, conn->saved + conn->saved_at, conn->saved_len - conn->saved_at);
    if (conn->saved_at == conn->saved_len || conn->no_more) {
        drop_saved(conn);
    }
}

static bool is_idle(const struct nx_http_conn *conn)
{
    return conn->request_count == 0 && conn->saved_len == 0;
}

void nx_http_conn_advance(struct nx_http_conn *conn)
{
    if (conn->feeding) {
        return;
    }
    for (;;) {
        if (conn->closing) {
            return;
        }
        nx_http_parse_release_held(conn);
        if (conn->closing || nx_http_parse_blocked(conn) || conn->saved_len == 0 || conn->no_more) {
            break;
        }
        feed_saved(conn);
    }
    if (conn->closing) {
        return;
    }
    bool only_reading = conn->request_count == (conn->reading ? 1 : 0);
    if (conn->eof && only_reading && (conn->saved_len == 0 || conn->no_more)) {
        nx_http_conn_abort(conn);
        return;
    }
    if (conn->shard->draining && is_idle(conn) && !conn->shut) {
        nx_http_conn_abort(conn);
        return;
    }
    set_reading(conn, conn->no_more || !nx_http_parse_blocked(conn));
}

void nx_http_conn_refuse(struct nx_http_conn *conn, int status, const char *text)
{
    struct nx_http_request *req = conn->reading;
    conn->no_more = true;
    if (!req) {
        req = nx_http_request_new(conn);
    }
    if (!req) {
        nx_http_conn_abort(conn);
        return;
    }
    conn->reading = NULL;
    req->read = true;
    req->close_after = true;
    if (req->answer == NX_ANSWER_NONE) {
        nx_http_response_retry_after(req, status);
        nx_http_respond_text(req, status, text);
    } else if (req->pending || req->writing > 0) {
        return; /* answered already; the end follows when that is written */
    } else {
        nx_http_conn_ref(conn);
        nx_http_request_settle(req);
        nx_http_conn_end(conn);
        nx_http_conn_unref(conn);
    }
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    (void)status;
    nx_http_conn_unref(shutdown->data);
}

void nx_http_conn_end(struct nx_http_conn *conn)
{
    if (conn->closing || conn->shut) {
        return;
    }
    conn->no_more = true;
    if (conn->eof) {
        nx_http_conn_abort(conn);
        return;
    }
    conn->shut = true;
    conn->phase_ms = now_ms(conn);
    conn->shutdown.data = conn;
    if (uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, on_shutdown) == 0) {
        nx_http_conn_ref(conn);
    } else {
        nx_http_conn_abort(conn);
    }
}

static void timed_out(struct nx_http_conn *conn, enum nx_http_timeout which)
{
    nx_metric_add(conn->shard->server->metrics, NX_HTTP_TIMEOUTS, which, 1);
}

/* Whether the connection was closed for not taking its answers. */
static bool check_write(struct nx_http_conn *conn, uint64_t now)
{
    size_t left = uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp);
    if (left == 0 || left != conn->write_left) {
        conn->write_left = left;
        conn->write_ms = now;
        return false;
    }
    if (now - conn->write_ms < conn->shard->server->options.write_timeout_ms) {
        return false;
    }
    timed_out(conn, NX_TIMEOUT_WRITE);
    nx_http_conn_abort(conn);
    return true;
}

static void check_read(struct nx_http_conn *conn, uint64_t now)
{
    const struct nx_http_server_options *options = &conn->shard->server->options;
    const struct nx_http_request *req = conn->reading;
    uint64_t waited = now - conn->phase_ms;
    if (!req->head_complete && waited >= options->header_timeout_ms) {
        timed_out(conn, NX_TIMEOUT_HEADER);
        nx_http_conn_refuse(conn, 408, "request header not received in time");
    } else if (req->head_complete && waited >= options->body_timeout_ms && !req->pending) {
        timed_out(conn, NX_TIMEOUT_BODY);
        nx_http_conn_refuse(conn, 408, "request body not received in time");
    }
}

void nx_http_conn_tick(struct nx_http_conn *conn, uint64_t now)
{
    const struct nx_http_server_options *options = &conn->shard->server->options;
    if (check_write(conn, now)) {
        return;
    }
    if (conn->shut) {
        if (now - conn->phase_ms >= NX_HTTP_LINGER_MS) {
            nx_http_conn_abort(conn);
        }
        return;
    }
    if (conn->reading) {
        if (conn->reads) {
            check_read(conn, now);
        }
        return;
    }
    if (is_idle(conn) && now - conn->phase_ms >= options->idle_timeout_ms) {
        timed_out(conn, NX_TIMEOUT_IDLE);
        nx_http_conn_abort(conn);
    }
}

void nx_http_conn_drain(struct nx_http_conn *conn)
{
    if (is_idle(conn) && !conn->shut) {
        nx_http_conn_abort(conn);
    }
}

static void start(struct nx_http_conn *conn)
{
    conn->phase_ms = now_ms(conn);
    if (conn->refuse) {
        nx_http_conn_refuse(conn, 503, "too many connections");
    }
    nx_http_conn_ref(conn);
    nx_http_conn_advance(conn);
    nx_http_conn_unref(conn);
}

void nx_http_conn_adopt(struct nx_http_conn *conn)
{
    struct nx_http_shard *shard = conn->shard;
    uv_loop_t *loop = nx_worker_loop(shard->worker);
    if (shard->draining || uv_tcp_init(loop, &conn->tcp) != 0) {
        close(conn->fd);
        atomic_fetch_sub(&shard->load, 1);
        atomic_fetch_sub(&shard->server->refusing, conn->refuse ? 1 : 0);
        nx_metric_add(shard->server->metrics, NX_HTTP_CONNECTIONS, 0, -1);
        nx_free(conn);
        return;
    }
    conn->tcp.data = conn;
    conn->refs = 1;
    llhttp_init(&conn->parser, HTTP_REQUEST, &shard->server->parser_settings);
    conn->parser.data = conn;
    if (!shard->conns) {
        uv_update_time(loop);
        uv_timer_start(&shard->tick, nx_http_shard_tick, shard->server->tick_ms,
                       shard->server->tick_ms);
    }
    conn->next = shard->conns;
    if (conn->next) {
        conn->next->prev = conn;
    }
    shard->conns = conn;
    shard->conn_count++;
    if (uv_tcp_open(&conn->tcp, conn->fd) != 0) {
        close(conn->fd);
        nx_http_conn_abort(conn);
        return;
    }
    uv_tcp_nodelay(&conn->tcp, 1);
    start(conn);
}
