/* Bytes to requests. llhttp runs without any leniency: a request with both Content-Length and
 * Transfer-Encoding, two Content-Lengths, or a transfer coding that does not end in chunked is
 * malformed, and a malformed request ends the connection, because where the next one begins is then
 * anybody's guess.
 *
 * The parser pauses at the end of each message. A request is started at once, unless it or one that
 * still runs on the connection is unsafe (RFC 9112, 9.3.2: only safe methods may run side by side):
 * then it is held, and parsing stops. */
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/net/http_server_internal.h"

enum { CHUNKED_FIRST_BYTES = 16 * 1024, STOP = -1, FIELD_OVERHEAD = 4 };

static struct nx_http_conn *conn_of(llhttp_t *parser)
{
    return parser->data;
}

static size_t max_header(const struct nx_http_conn *conn)
{
    return conn->shard->server->options.max_header_bytes;
}

int nx_http_parse_stop(struct nx_http_conn *conn, int status, const char *text)
{
    conn->refuse_status = status;
    conn->refuse_text = text;
    return STOP;
}

static int on_message_begin(llhttp_t *parser)
{
    struct nx_http_conn *conn = conn_of(parser);
    conn->reading = nx_http_request_new(conn);
    if (!conn->reading) {
        return nx_http_parse_stop(conn, 503, "out of memory");
    }
    conn->extra_bytes = 0;
    conn->phase_ms = uv_now(nx_worker_loop(conn->shard->worker));
    return 0;
}

/* Appends to the head buffer; `span` is the piece at its end. */
static int append_head(struct nx_http_conn *conn, struct nx_http_span *span, const char *at,
                       size_t len)
{
    struct nx_http_request *req = conn->reading;
    size_t total = req->head.len + req->header_count * FIELD_OVERHEAD + len;
    if (total > max_header(conn)) {
        return nx_http_parse_stop(conn, 431, "request header too large");
    }
    nx_buf_append(&req->head, at, len);
    if (nx_buf_err(&req->head) != NX_OK) {
        return nx_http_parse_stop(conn, 503, "out of memory");
    }
    span->len += (uint32_t)len;
    return 0;
}

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
    struct nx_http_conn *conn = conn_of(parser);
    return append_head(conn, &conn->reading->target, at, len);
}

/* Trailers and chunk extensions are not kept, only bounded. */
static int skip_extra(struct nx_http_conn *conn, size_t len)
{
    conn->extra_bytes += len + 1;
    return conn->extra_bytes > max_header(conn)
               ? nx_http_parse_stop(conn, 431, "request trailer too large")
               : 0;
}

static int on_extra(llhttp_t *parser, const char *at, size_t len)
{
    (void)at;
    return skip_extra(conn_of(parser), len);
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct nx_http_conn *conn = conn_of(parser);
    struct nx_http_request *req = conn->reading;
    if (req->head_complete) {
        return skip_extra(conn, len);
    }
    struct nx_http_header *last =
        req->header_count > 0 ? &req->headers[req->header_count - 1] : NULL;
    if (!last || last->value.at != 0) {
        if (req->header_count == NX_HTTP_MAX_HEADERS) {
            return nx_http_parse_stop(conn, 431, "too many request header fields");
        }
        if (nx_grow(&req->headers, &req->header_capacity, req->header_count + 1,
                    sizeof(*req->headers)) != NX_OK) {
            return nx_http_parse_stop(conn, 503, "out of memory");
        }
        last = &req->headers[req->header_count++];
        *last = (struct nx_http_header){.name = {.at = (uint32_t)req->head.len}};
    }
    return append_head(conn, &last->name, at, len);
}

int nx_http_parse_malformed(struct nx_http_conn *conn, const char *text)
{
    nx_metric_inc(conn->shard->server->metrics, NX_HTTP_MALFORMED);
    return nx_http_parse_stop(conn, 400, text);
}

/* RFC 9110, 5.6.2. A blank before the colon is the classic way to hide a header from one of two
 * parsers. */
static bool is_token(struct nx_view name)
{
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
        if (!alnum && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c))) {
            return false;
        }
    }
    return name.len > 0;
}

/* llhttp lets an empty name pass; no callback has opened a field for it then. */
static int on_header_field_complete(llhttp_t *parser)
{
    struct nx_http_conn *conn = conn_of(parser);
    struct nx_http_request *req = conn->reading;
    if (req->head_complete) {
        return 0;
    }
    struct nx_http_header *last =
        req->header_count > 0 ? &req->headers[req->header_count - 1] : NULL;
    if (!last || last->value.at != 0 || !is_token(nx_http_request_span(req, last->name))) {
        return nx_http_parse_malformed(conn, "malformed request: invalid header field name");
    }
    last->value.at = (uint32_t)req->head.len;
    conn->value_feed = 0;
    return 0;
}

/* A second piece of a value goes on where the bytes before it ended. Elsewhere it is the next line
 * of a folded value, which llhttp joins without a blank; RFC 9112, 5.2 lets a server refuse it. */
static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct nx_http_conn *conn = conn_of(parser);
    struct nx_http_request *req = conn->reading;
    if (req->head_complete) {
        return skip_extra(conn, len);
    }
    struct nx_http_span *value = &req->headers[req->header_count - 1].value;
    if (value->len > 0 && (conn->value_feed + 1 != conn->feed || at != conn->feed_begin)) {
        return nx_http_parse_malformed(conn, "malformed request: folded header field");
    }
    conn->value_feed = at + len == conn->feed_end ? conn->feed : 0;
    return append_head(conn, value, at, len);
}

/* The blanks behind a value are not part of it (RFC 9112, 5.1). */
static int on_header_value_complete(llhttp_t *parser)
{
    struct nx_http_request *req = conn_of(parser)->reading;
    if (!req->head_complete) {
        struct nx_http_span *value = &req->headers[req->header_count - 1].value;
        value->len = (uint32_t)nx_view_trim(nx_http_request_span(req, *value)).len;
    }
    return 0;
}

static enum nx_http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case HTTP_GET:
        return NX_HTTP_GET;
    case HTTP_POST:
        return NX_HTTP_POST;
    case HTTP_PUT:
        return NX_HTTP_PUT;
    case HTTP_DELETE:
        return NX_HTTP_DELETE;
    case HTTP_OPTIONS:
        return NX_HTTP_OPTIONS;
    case HTTP_HEAD:
        return NX_HTTP_HEAD;
    default:
        return (enum nx_http_method)0;
    }
}

static int on_headers_complete(llhttp_t *parser)
{
    struct nx_http_conn *conn = conn_of(parser);
    struct nx_http_request *req = conn->reading;
    req->head_complete = true;
    req->started_ns = uv_hrtime();
    nx_metric_add(conn->shard->server->metrics, NX_HTTP_IN_FLIGHT, 0, 1);
    req->http_1_0 = parser->http_minor == 0;
    req->keep_alive = llhttp_should_keep_alive(parser) != 0;
    req->close_after = !req->keep_alive;
    req->method = method_of(parser);
    req->has_content_length = (parser->flags & F_CONTENT_LENGTH) != 0;
    req->content_length = req->has_content_length ? parser->content_length : 0;
    parser->upgrade =
        0; /* no other protocol is spoken here: RFC 9110, 7.8 lets a server ignore it */
    conn->phase_ms = uv_now(nx_worker_loop(conn->shard->worker));
    int status = nx_http_check_head(conn);
    if (status != 0) {
        return status;
    }
    nx_http_admit(req, (parser->flags & F_CHUNKED) || req->content_length > 0);
    return conn->closing ? STOP : 0;
}

/* Makes room for a chunked body as it grows, within the limits. */
static int grow_body(struct nx_http_conn *conn, size_t len)
{
    struct nx_http_request *req = conn->reading;
    if (len > req->max_body_bytes - req->body_len) {
        return nx_http_parse_stop(conn, 413, nx_http_too_large(req));
    }
    size_t need = req->body_len + len;
    if (need <= req->body_capacity) {
        return 0;
    }
    size_t capacity = req->body_capacity ? req->body_capacity : CHUNKED_FIRST_BYTES;
    while (capacity < need) {
        capacity = capacity > req->max_body_bytes / 2 ? req->max_body_bytes : capacity * 2;
    }
    if (nx_http_request_charge(req, capacity - req->body_capacity) != NX_OK) {
        return nx_http_parse_stop(conn, 503, nx_http_overloaded);
    }
    char *grown = nx_realloc(req->body, capacity);
    if (!grown) {
        return nx_http_parse_stop(conn, 503, "out of memory");
    }
    req->body = grown;
    req->body_capacity = capacity;
    return 0;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct nx_http_conn *conn = conn_of(parser);
    struct nx_http_request *req = conn->reading;
    conn->phase_ms = uv_now(nx_worker_loop(conn->shard->worker));
    if (req->discard) {
        return 0;
    }
    if (!req->has_content_length) {
        int status = grow_body(conn, len);
        if (status != 0) {
            return status;
        }
    }
    if (at != req->body + req->body_len) {
        memcpy(req->body + req->body_len, at, len);
    }
    req->body_len += len;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

void nx_http_parse_settings(llhttp_settings_t *settings)
{
    llhttp_settings_init(settings);
    settings->on_message_begin = on_message_begin;
    settings->on_url = on_url;
    settings->on_header_field = on_header_field;
    settings->on_header_field_complete = on_header_field_complete;
    settings->on_header_value = on_header_value;
    settings->on_header_value_complete = on_header_value_complete;
    settings->on_headers_complete = on_headers_complete;
    settings->on_body = on_body;
    settings->on_message_complete = on_message_complete;
    settings->on_chunk_extension_name = on_extra;
    settings->on_chunk_extension_value = on_extra;
}

uv_buf_t nx_http_parse_body_room(const struct nx_http_conn *conn)
{
    const struct nx_http_request *req = conn->reading;
    if (!req || !req->has_content_length || !req->body || conn->no_more || conn->saved_len > 0) {
        return uv_buf_init(NULL, 0);
    }
    uv_buf_t room = {.base = req->body + req->body_len, .len = req->body_capacity - req->body_len};
    return room;
}

static bool may_start(const struct nx_http_conn *conn, const struct nx_http_request *req)
{
    return conn->running == 0 || (conn->running_unsafe == 0 && nx_http_request_is_safe(req));
}

static void start(struct nx_http_request *req)
{
    struct nx_http_conn *conn = req->conn;
    req->dispatched = true;
    conn->running++;
    conn->running_unsafe += !nx_http_request_is_safe(req);
    req->route->route.handle(req, req->route->route.user);
}

static void message_complete(struct nx_http_conn *conn)
{
    struct nx_http_request *req = conn->reading;
    conn->reading = NULL;
    req->read = true;
    if (!req->keep_alive) {
        conn->no_more = true;
    }
    if (req->discard) {
        if (req->close_after) {
            conn->no_more = true;
        }
        nx_http_request_settle(req);
    } else if (may_start(conn, req)) {
        start(req);
    } else {
        conn->held = req;
    }
}

void nx_http_parse_release_held(struct nx_http_conn *conn)
{
    struct nx_http_request *req = conn->held;
    if (req && may_start(conn, req)) {
        conn->held = NULL;
        start(req);
    }
}

bool nx_http_parse_blocked(const struct nx_http_conn *conn)
{
    return conn->held || conn->request_count >= NX_HTTP_MAX_PIPELINE ||
           conn->unsent_bytes > conn->shard->server->options.write_high_water_bytes;
}

static void parse_failed(struct nx_http_conn *conn, llhttp_errno_t err)
{
    int status = conn->refuse_status;
    const char *text = conn->refuse_text;
    conn->refuse_status = 0;
    if (conn->closing) {
        return;
    }
    char line[160];
    if (status == 0) {
        nx_metric_inc(conn->shard->server->metrics, NX_HTTP_MALFORMED);
        const char *reason = llhttp_get_error_reason(&conn->parser);
        (void)snprintf(line, sizeof(line), "malformed request: %s",
                       reason ? reason : llhttp_errno_name(err));
        status = err == HPE_PAUSED_H2_UPGRADE ? 505 : 400;
        text = line;
    }
    nx_http_conn_refuse(conn, status, text);
}

size_t nx_http_parse_feed(struct nx_http_conn *conn, const char *bytes, size_t len)
{
    size_t used = 0;
    conn->feeding = true;
    conn->feed++;
    conn->feed_begin = bytes;
    conn->feed_end = bytes + len;
    while (used < len && !conn->closing && !conn->no_more && !nx_http_parse_blocked(conn)) {
        llhttp_errno_t err = llhttp_execute(&conn->parser, bytes + used, len - used);
        if (err == HPE_OK) {
            used = len;
        } else if (err == HPE_PAUSED) {
            used = (size_t)(llhttp_get_error_pos(&conn->parser) - bytes);
            llhttp_resume(&conn->parser);
            message_complete(conn);
        } else {
            used = len;
            parse_failed(conn, err);
        }
    }
    conn->feeding = false;
    return used;
}
