#include <assert.h>

#include "common/base/alloc.h"
#include "common/net/http_server_internal.h"

enum { HEAD_SLACK_BYTES = 1024 };

static struct nx_http_request *request_alloc(struct nx_http_shard *shard)
{
    struct nx_http_request *req = shard->spare;
    if (req) {
        shard->spare = req->next;
        shard->spare_count--;
        return req;
    }
    req = nx_calloc(1, sizeof(*req));
    if (req) {
        nx_arena_init(&req->arena, 0);
        /* the limit is the parser's to enforce: it answers 431 */
        nx_buf_init(&req->head, shard->server->options.max_header_bytes + HEAD_SLACK_BYTES);
    }
    return req;
}

struct nx_http_request *nx_http_request_new(struct nx_http_conn *conn)
{
    struct nx_http_request *req = request_alloc(conn->shard);
    if (!req) {
        return NULL;
    }
    req->conn = conn;
    req->next = NULL;
    req->last_pending = &req->pending;
    req->last_field = &req->fields;
    if (conn->last) {
        conn->last->next = req;
    } else {
        conn->first = req;
    }
    conn->last = req;
    conn->request_count++;
    nx_http_conn_ref(conn);
    return req;
}

static void unlink_request(struct nx_http_request *req)
{
    struct nx_http_conn *conn = req->conn;
    struct nx_http_request *before = NULL;
    struct nx_http_request *at = conn->first;
    while (at != req) {
        before = at;
        at = at->next;
    }
    if (before) {
        before->next = req->next;
    } else {
        conn->first = req->next;
    }
    if (conn->last == req) {
        conn->last = before;
    }
    conn->request_count--;
}

static void request_release(struct nx_http_request *req)
{
    nx_arena_release(&req->arena);
    nx_buf_release(&req->head);
    nx_free(req->headers);
    nx_free(req);
}

/* Back to the shard, or to the allocator where the shard has enough or this one has grown large. */
static void recycle(struct nx_http_shard *shard, struct nx_http_request *req)
{
    if (shard->spare_count >= NX_HTTP_SPARE_REQUESTS || shard->draining) {
        request_release(req);
        return;
    }
    if (req->head.capacity > NX_HTTP_SPARE_HEAD_BYTES) {
        nx_buf_release(&req->head);
    }
    nx_buf_clear(&req->head);
    nx_arena_clear(&req->arena);
    struct nx_http_request empty = {.arena = req->arena,
                                    .head = req->head,
                                    .headers = req->headers,
                                    .header_capacity = req->header_capacity,
                                    .next = shard->spare};
    *req = empty;
    shard->spare = req;
    shard->spare_count++;
}

void nx_http_request_free_spares(struct nx_http_shard *shard)
{
    while (shard->spare) {
        struct nx_http_request *req = shard->spare;
        shard->spare = req->next;
        request_release(req);
    }
    shard->spare_count = 0;
}

static void give_back_budget(struct nx_http_request *req)
{
    if (req->charged_bytes > 0) {
        atomic_fetch_sub(&req->route->route.budget->used_bytes, req->charged_bytes);
        req->charged_bytes = 0;
    }
}

void nx_http_request_settle(struct nx_http_request *req)
{
    struct nx_http_conn *conn = req->conn;
    bool owed = req->dispatched && req->answer != NX_ANSWER_ENDED;
    bool unread = conn->reading == req || conn->held == req;
    if (owed || unread || req->writing > 0) {
        return;
    }
    if (!conn->closing && (req->pending || req->answer != NX_ANSWER_ENDED)) {
        return;
    }
    if (req->head_complete && req->answer != NX_ANSWER_ENDED) {
        nx_metric_add(conn->shard->server->metrics, NX_HTTP_IN_FLIGHT, 0, -1);
    }
    nx_http_drop_pending(req);
    nx_deflater_free(req->deflater);
    give_back_budget(req);
    nx_free(req->body);
    unlink_request(req);
    recycle(conn->shard, req);
    nx_http_conn_unref(conn);
}

struct nx_view nx_http_request_span(const struct nx_http_request *req, struct nx_http_span span)
{
    return nx_view_make(req->head.data + span.at, span.len);
}

bool nx_http_request_is_here(const struct nx_http_request *req)
{
    return nx_worker_is_current(req->conn->shard->worker);
}

bool nx_http_request_is_safe(const struct nx_http_request *req)
{
    return (req->method & (NX_HTTP_GET | NX_HTTP_HEAD | NX_HTTP_OPTIONS)) != 0;
}

enum nx_err nx_http_request_charge(struct nx_http_request *req, size_t bytes)
{
    struct nx_http_budget *budget = req->route->route.budget;
    if (!budget || bytes == 0) {
        return NX_OK;
    }
    size_t used = atomic_load(&budget->used_bytes);
    do {
        if (bytes > budget->max_bytes || used > budget->max_bytes - bytes) {
            return NX_ERR_OVERLOADED;
        }
    } while (!atomic_compare_exchange_weak(&budget->used_bytes, &used, used + bytes));
    req->charged_bytes += bytes;
    return NX_OK;
}

/* --- what a handler may ask ---------------------------------------------------------------------
 */

struct nx_worker *nx_http_request_worker(struct nx_http_request *req)
{
    return req->conn->shard->worker;
}

enum nx_http_method nx_http_request_method(const struct nx_http_request *req)
{
    return req->method;
}

struct nx_view nx_http_request_path(const struct nx_http_request *req)
{
    return req->path;
}

struct nx_view nx_http_request_query(const struct nx_http_request *req)
{
    return req->query;
}

struct nx_view nx_http_request_header(const struct nx_http_request *req, const char *name)
{
    struct nx_view wanted = nx_view_of(name);
    for (size_t i = 0; i < req->header_count; i++) {
        if (nx_view_eq_nocase(nx_http_request_span(req, req->headers[i].name), wanted)) {
            return nx_http_request_span(req, req->headers[i].value);
        }
    }
    return (struct nx_view){.ptr = NULL};
}

struct nx_view nx_http_request_body(const struct nx_http_request *req)
{
    return nx_view_make(req->body, req->body_len);
}

struct nx_view nx_http_request_param(const struct nx_http_request *req)
{
    return req->param;
}

struct nx_arena *nx_http_request_arena(struct nx_http_request *req)
{
    return &req->arena;
}

char *nx_http_request_take_body(struct nx_http_request *req, size_t *len)
{
    char *body = req->body;
    *len = req->body_len;
    req->body = NULL;
    req->body_len = 0;
    req->body_capacity = 0;
    return body;
}

void nx_http_request_on_cancel(struct nx_http_request *req, void (*cancel)(void *user), void *user)
{
    assert(nx_http_request_is_here(req));
    req->cancel = cancel;
    req->cancel_user = user;
}
