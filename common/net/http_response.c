/* Answers. The head, and a body that is copied, lie in the request's arena as one piece, so that a
 * small answer is one write of one buffer. Where memory for an answer fails, the connection is
 * closed: there is nothing true left to say on it. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/alloc.h"
#include "common/net/http_server_internal.h"

/* More than the fixed lines of any head take. */
enum { HEAD_FIXED_BYTES = 512 };

/* A buffer of sufficient size, measured before. */
struct pen {
    char *at;
    char *end;
};

static void put(struct pen *pen, const char *bytes, size_t len)
{
    assert(bytes && len <= (size_t)(pen->end - pen->at));
    memcpy(pen->at, bytes, len);
    pen->at += len;
}

static void put_text(struct pen *pen, const char *text)
{
    put(pen, text, strlen(text));
}

static void put_line(struct pen *pen, const char *name, const char *value)
{
    put_text(pen, name);
    put(pen, ": ", 2);
    put_text(pen, value);
    put(pen, "\r\n", 2);
}

/* A copy without what could end the line early. */
static char *clean_copy(struct nx_arena *arena, const char *text)
{
    struct nx_view copy = nx_arena_copy(arena, nx_view_of(text));
    if (!copy.ptr) {
        return NULL;
    }
    char *clean = (char *)(uintptr_t)copy.ptr;
    for (char *c = clean; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            *c = ' ';
        }
    }
    return clean;
}

void nx_http_response_header(struct nx_http_request *req, const char *name, const char *value)
{
    assert(nx_http_request_is_here(req));
    assert(req->answer == NX_ANSWER_NONE);
    struct nx_http_field *field = nx_arena_alloc(&req->arena, sizeof(*field));
    if (field) {
        *field = (struct nx_http_field){.name = clean_copy(&req->arena, name),
                                        .value = clean_copy(&req->arena, value)};
    }
    if (!field || !field->name || !field->value) {
        req->broken = true;
        return;
    }
    *req->last_field = field;
    req->last_field = &field->next;
}

void nx_http_response_retry_after(struct nx_http_request *req, int status)
{
    if (status != 503) {
        return;
    }
    const struct nx_http_budget *budget = req->route ? req->route->route.budget : NULL;
    char seconds[16];
    (void)snprintf(seconds, sizeof(seconds), "%u",
                   budget && budget->retry_after_s > 0 ? budget->retry_after_s : 1);
    nx_http_response_header(req, "Retry-After", seconds);
}

void nx_http_response_compress(struct nx_http_request *req)
{
    if (!req->compress) {
        req->compress = true;
        nx_http_response_header(req, "Vary", "Accept-Encoding");
    }
}

static const char *date_of(struct nx_http_shard *shard)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    int64_t now = (int64_t)time(NULL);
    if (shard->date_s != now) {
        struct nx_civil civil;
        nx_civil_from_unix(now, &civil);
        (void)snprintf(shard->date, sizeof(shard->date), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                       days[civil.wday], civil.day, months[civil.month - 1], (int)civil.year,
                       civil.hour, civil.minute, civil.second);
        shard->date_s = now;
    }
    return shard->date;
}

static size_t head_size(const struct nx_http_request *req, const char *type)
{
    size_t size = HEAD_FIXED_BYTES + (type ? strlen(type) : 0);
    for (const struct nx_http_field *field = req->fields; field; field = field->next) {
        size += strlen(field->name) + strlen(field->value) + 4;
    }
    return size;
}

/* Length below 0: not known. */
static void put_head(struct nx_http_request *req, struct pen *pen, const char *type, int64_t len,
                     enum nx_encoding encoding)
{
    char number[64];
    (void)snprintf(number, sizeof(number), "HTTP/1.1 %d ", req->status);
    put_text(pen, number);
    put_text(pen, nx_http_status_text(req->status));
    put(pen, "\r\n", 2);
    put_line(pen, "Date", date_of(req->conn->shard));
    if (type) {
        put_line(pen, "Content-Type", type);
    }
    for (const struct nx_http_field *field = req->fields; field; field = field->next) {
        put_line(pen, field->name, field->value);
    }
    if (encoding != NX_ENCODING_IDENTITY) {
        put_line(pen, "Content-Encoding", nx_encoding_name(encoding));
    }
    if (req->chunked) {
        put_line(pen, "Transfer-Encoding", "chunked");
    } else if (len >= 0) {
        (void)snprintf(number, sizeof(number), "%" PRId64, len);
        put_line(pen, "Content-Length", number);
    }
    if (req->close_after) {
        put_line(pen, "Connection", "close");
    } else if (req->http_1_0) {
        put_line(pen, "Connection", "keep-alive");
    }
    put(pen, "\r\n", 2);
}

bool nx_http_status_has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

void nx_http_answer_begin(struct nx_http_request *req, int status)
{
    assert(nx_http_request_is_here(req));
    assert(req->answer == NX_ANSWER_NONE && status >= 200 && status < 600);
    req->status = status;
    req->no_body = req->method == NX_HTTP_HEAD || nx_http_status_has_no_body(status);
    if (req->conn->shard->draining && req->conn->last == req) {
        req->close_after = true;
        req->conn->no_more |= req->read;
    }
}

void nx_http_answer_fail(struct nx_http_request *req)
{
    req->broken = true;
    req->close_after = true;
    nx_http_answer_end(req);
}

enum nx_encoding nx_http_answer_encoding(const struct nx_http_request *req)
{
    if (!req->compress || nx_http_status_has_no_body(req->status)) {
        return NX_ENCODING_IDENTITY;
    }
    return nx_encoding_choose(nx_http_request_header(req, "accept-encoding"));
}

/* The body compressed into `out`; identity where that fails. */
static enum nx_encoding compress_body(struct nx_http_request *req, struct nx_view body,
                                      struct nx_buf *out)
{
    enum nx_encoding encoding = body.len > 0 ? nx_http_answer_encoding(req) : NX_ENCODING_IDENTITY;
    if (encoding == NX_ENCODING_IDENTITY) {
        return encoding;
    }
    struct nx_deflater **deflater = &req->conn->shard->deflaters[encoding];
    if ((!*deflater && nx_deflater_new(encoding, deflater) != NX_OK) ||
        nx_deflater_write(*deflater, body, true, out) != NX_OK) {
        nx_buf_release(out);
        return NX_ENCODING_IDENTITY;
    }
    return encoding;
}

struct nx_http_segment *nx_http_answer_head(struct nx_http_request *req, const char *type,
                                            int64_t body_len, enum nx_encoding encoding,
                                            struct nx_view copied)
{
    size_t size = head_size(req, type) + copied.len;
    struct nx_http_segment *segment = req->broken ? NULL : nx_http_segment_new(req);
    char *bytes = segment ? nx_arena_alloc(&req->arena, size) : NULL;
    if (!bytes) {
        if (segment) {
            nx_http_segment_free(segment);
        }
        return NULL;
    }
    struct pen pen = {.at = bytes, .end = bytes + size};
    put_head(req, &pen, type, body_len, encoding);
    if (copied.len > 0) {
        put(&pen, copied.ptr, copied.len);
    }
    nx_http_segment_part(segment, bytes, (size_t)(pen.at - bytes));
    return segment;
}

/* `owned` (may be NULL) is the memory behind `body`, taken over; else the body is copied. */
static void answer_whole(struct nx_http_request *req, const char *type, struct nx_view body,
                         char *owned, enum nx_encoding encoding)
{
    int64_t len = nx_http_status_has_no_body(req->status) ? -1 : (int64_t)body.len;
    struct nx_view copied = owned || req->no_body ? nx_view_make(NULL, 0) : body;
    struct nx_http_segment *segment = nx_http_answer_head(req, type, len, encoding, copied);
    if (!segment) {
        nx_free(owned);
        nx_http_answer_fail(req);
        return;
    }
    segment->owned = owned;
    if (owned && !req->no_body) {
        nx_http_segment_part(segment, body.ptr, body.len);
    }
    nx_http_segment_send(segment);
    nx_http_answer_end(req);
}

void nx_http_respond(struct nx_http_request *req, int status, const char *type, struct nx_view body)
{
    nx_http_answer_begin(req, status);
    struct nx_buf packed;
    nx_buf_init(&packed, SIZE_MAX / 2);
    enum nx_encoding encoding = compress_body(req, body, &packed);
    if (encoding == NX_ENCODING_IDENTITY) {
        answer_whole(req, type, body, NULL, encoding);
    } else {
        size_t len = 0;
        char *bytes = nx_buf_take(&packed, &len);
        answer_whole(req, type, nx_view_make(bytes, len), bytes, encoding);
    }
}

void nx_http_respond_buf(struct nx_http_request *req, int status, const char *type,
                         struct nx_buf *body)
{
    nx_http_answer_begin(req, status);
    size_t len = 0;
    char *bytes = nx_buf_take(body, &len);
    struct nx_buf packed;
    nx_buf_init(&packed, SIZE_MAX / 2);
    enum nx_encoding encoding = compress_body(req, nx_view_make(bytes, len), &packed);
    if (encoding != NX_ENCODING_IDENTITY) {
        nx_free(bytes);
        bytes = nx_buf_take(&packed, &len);
    }
    answer_whole(req, type, nx_view_make(bytes, len), bytes, encoding);
}

void nx_http_respond_text(struct nx_http_request *req, int status, const char *text)
{
    static const char type[] = "text/plain; charset=utf-8";
    size_t len = strlen(text);
    char *line = nx_arena_alloc(&req->arena, len + 2);
    if (!line) {
        nx_http_respond(req, status, type, NX_VIEW(""));
        return;
    }
    (void)snprintf(line, len + 2, "%s\n", text);
    nx_http_respond(req, status, type, nx_view_make(line, len + 1));
}

void nx_http_send_continue(struct nx_http_request *req)
{
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct nx_http_segment *segment = nx_http_segment_new(req);
    if (segment) {
        nx_http_segment_part(segment, line, sizeof(line) - 1);
        nx_http_segment_send(segment);
    }
}
