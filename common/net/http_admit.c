/* What is asked of a request when its header is complete, before a byte of its body is read: is it
 * well formed, has it a route, does the route want it, is there room. An answer given here comes
 * ahead of the body, which is then read and forgotten where it is short, so that the connection
 * lives on. */
#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/net/http_server_internal.h"

const char nx_http_overloaded[] = "overloaded: too many request bytes in flight";

static size_t count_headers(const struct nx_http_request *req, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < req->header_count; i++) {
        count +=
            nx_view_eq_nocase(nx_http_request_span(req, req->headers[i].name), nx_view_of(name));
    }
    return count;
}

int nx_http_check_head(struct nx_http_conn *conn)
{
    struct nx_http_request *req = conn->reading;
    if (conn->parser.http_major != 1) {
        return nx_http_parse_stop(conn, 505, "HTTP version not supported");
    }
    size_t hosts = count_headers(req, "host");
    if (hosts > 1 || (hosts == 0 && !req->http_1_0)) {
        return nx_http_parse_malformed(conn, hosts > 1
                                                 ? "malformed request: more than one Host header"
                                                 : "malformed request: missing Host header");
    }
    if (count_headers(req, "transfer-encoding") > 1) {
        return nx_http_parse_malformed(conn, "malformed request: more than one transfer encoding");
    }
    struct nx_view coding = nx_http_request_header(req, "transfer-encoding");
    if (coding.ptr && req->http_1_0) {
        return nx_http_parse_malformed(conn, "malformed request: transfer encoding in HTTP/1.0");
    }
    if (coding.ptr && !nx_view_eq_nocase(coding, NX_VIEW("chunked"))) {
        return nx_http_parse_stop(conn, 501, "unsupported transfer encoding");
    }
    return 0;
}

/* Refuses the request, but not necessarily the connection: a short body is read and forgotten. */
static void refuse_softly(struct nx_http_request *req, int status, const char *text)
{
    nx_http_response_retry_after(req, status);
    nx_http_respond_text(req, status, text);
}

/* Before any answer that comes ahead of the body: may the connection live on? */
static void decide_discard(struct nx_http_request *req, bool has_body)
{
    req->discard = true;
    bool small = req->has_content_length && req->content_length <= NX_HTTP_DISCARD_BYTES;
    if (has_body && (!small || req->expects)) {
        req->close_after = true;
    }
}

const char *nx_http_too_large(struct nx_http_request *req)
{
    enum { TEXT_BYTES = 160 };
    const struct nx_http_route *route = &req->route->route;
    size_t limit = req->max_body_bytes;
    const char *setting = route->body_setting;
    if (route->budget && route->budget->max_bytes < limit) {
        limit = route->budget->max_bytes;
        setting = route->budget->setting;
    }
    char *text = nx_arena_alloc(&req->arena, TEXT_BYTES);
    if (!text) {
        return "request body too large";
    }
    (void)snprintf(text, TEXT_BYTES, "request body too large (limit: %zu bytes%s%s)", limit,
                   setting ? ", from the setting " : "", setting ? setting : "");
    return text;
}

/* Room for the body, charged before it is taken; false when the request was refused. */
static bool reserve_body(struct nx_http_request *req)
{
    const struct nx_http_budget *budget = req->route->route.budget;
    if (req->content_length > req->max_body_bytes ||
        (budget && req->content_length > budget->max_bytes)) {
        refuse_softly(req, 413, nx_http_too_large(req));
        return false;
    }
    size_t len = (size_t)req->content_length;
    if (len == 0) {
        return true;
    }
    if (nx_http_request_charge(req, len) != NX_OK) {
        refuse_softly(req, 503, nx_http_overloaded);
        return false;
    }
    req->body = nx_alloc(len);
    if (!req->body) {
        refuse_softly(req, 503, "out of memory");
        return false;
    }
    req->body_capacity = len;
    return true;
}

void nx_http_admit(struct nx_http_request *req, bool has_body)
{
    bool expects_other = false;
    struct nx_view expect = nx_http_request_header(req, "expect");
    if (expect.ptr && !req->http_1_0) {
        expects_other = !nx_view_eq_nocase(expect, NX_VIEW("100-continue"));
        req->expects = has_body && !expects_other;
    }
    decide_discard(req, has_body);
    int status = expects_other ? 417 : nx_http_route_find(req);
    if (status != 0) {
        refuse_softly(req, status,
                      status == 404 ? "404 page not found" : nx_http_status_text(status));
        return;
    }
    const struct nx_http_route *route = &req->route->route;
    req->max_body_bytes = route->max_body_bytes ? route->max_body_bytes
                                                : req->conn->shard->server->options.max_body_bytes;
    if (route->check && !route->check(req, route->user)) {
        assert(req->answer == NX_ANSWER_ENDED);
        return;
    }
    if (!reserve_body(req)) {
        return;
    }
    req->discard = false;
    req->close_after = !req->keep_alive;
    if (req->expects) {
        nx_http_send_continue(req);
    }
}
