/* See job.h. The lane's job is the operation itself; while the client is slow, no job is queued and
 * the operation waits for `drained`. When the lane is full in the middle of an answer, the piece is
 * written on the worker. */
#include "querier/api/job.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/net/tenant.h"

/* Fetches and evaluations admitted for each evaluating thread; more wait for nothing but each
 * other's memory. */
#define ADMITTED_PER_THREAD 16
#define PIECE_MAX_BYTES ((size_t)64 << 20)

/* --- outcomes --- */

bool qry_job_fail(struct qry_job *op, enum qry_api_error error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(op->error_text, sizeof op->error_text, format, args);
    va_end(args);
    op->failed = true;
    op->error = error;
    return false;
}

static enum qry_api_error error_of(enum nx_err err)
{
    switch ((int)err) {
    case NX_ERR_INVALID:
    case NX_ERR_TOO_LARGE:
        return QRY_API_BAD_DATA;
    case NX_ERR_UNAUTHORIZED:
        return QRY_API_UNAUTHORIZED;
    case NX_ERR_EXECUTION:
    case NX_ERR_LIMIT:
        return QRY_API_EXECUTION;
    case NX_ERR_CANCELED:
        return QRY_API_CANCELED;
    case NX_ERR_TIMEOUT:
        return QRY_API_TIMEOUT;
    case NX_ERR_NOMEM:
    case NX_ERR_UNAVAILABLE:
    case NX_ERR_OVERLOADED:
    case NX_ERR_CLOSED:
        return QRY_API_UNAVAILABLE;
    default:
        return QRY_API_INTERNAL;
    }
}

bool qry_job_fail_err(struct qry_job *op, enum nx_err err, const struct nx_fail *fail)
{
    if (err == NX_ERR_NOMEM && nx_arena_over(&op->arena))
        return qry_job_fail(
            op, QRY_API_EXECUTION,
            "the query needs more than %lld bytes of memory (query.max-memory-bytes)",
            (long long)op->qry->deps.settings->max_memory_bytes);
    const char *text = fail && fail->text[0] ? fail->text : nx_err_text(err);
    return qry_job_fail(op, error_of(err), "%s", text);
}

bool qry_job_nomem(struct qry_job *op)
{
    return qry_job_fail_err(op, NX_ERR_NOMEM, NULL);
}

bool qry_job_fail_param(struct qry_job *op, const char *name, const struct nx_fail *cause)
{
    return qry_job_fail(op, QRY_API_BAD_DATA, "invalid parameter \"%s\": %s", name,
                        nx_fail_text(cause));
}

struct nx_view qry_job_param(const struct qry_job *op, const char *name)
{
    return nx_http_params_get(&op->params, name);
}

bool qry_job_ask(struct qry_job *op, const char *method, bool stream, struct nx_buf *body)
{
    struct nx_view copy = {0};
    bool ok = nx_buf_err(body) == NX_OK;
    if (ok) {
        copy = nx_arena_copy(&op->arena, nx_buf_view(body));
        ok = copy.ptr &&
             nx_arena_grow(&op->arena, &op->requests, op->request_count, &op->request_capacity,
                           op->request_count + 1, sizeof *op->requests);
    }
    nx_buf_release(body);
    if (!ok)
        return qry_job_nomem(op);
    op->requests[op->request_count++] =
        (struct qry_fanout_request){.method = method, .body = copy, .stream = stream};
    return true;
}

void qry_job_warn(struct qry_job *op, struct nx_view text)
{
    for (size_t i = 0; i < op->warning_count; i++)
        if (nx_view_eq(op->warnings[i], text))
            return;
    struct nx_view copy = nx_arena_copy(&op->arena, text);
    if (copy.ptr && nx_arena_grow(&op->arena, &op->warnings, op->warning_count,
                                  &op->warning_capacity, op->warning_count + 1, sizeof copy))
        op->warnings[op->warning_count++] = copy;
}

/* --- the end --- */

static void count_response(struct qry_job *op, int status)
{
    struct nx_metrics *metrics = op->qry->metrics;
    size_t slot = status == 499 ? 3 : status < 300 ? 0 : status < 500 ? 1 : 2;
    nx_metric_add(metrics, QRY_METRIC_RESPONSES, slot, 1);
    uint64_t now = nx_now_ns(op->qry->deps.clock);
    nx_metric_observe(metrics, QRY_METRIC_SECONDS, 0, (double)(now - op->started_ns) / 1e9);
}

static void op_free(struct qry_job *op)
{
    struct qry_worker *home = op->home;
    if (op->prev)
        op->prev->next = op->next;
    else
        home->active = op->next;
    if (op->next)
        op->next->prev = op->prev;
    if (op->counted) {
        atomic_fetch_sub(&op->qry->in_flight, 1);
        nx_metric_add(op->qry->metrics, QRY_METRIC_IN_FLIGHT, 0, -1);
    }
    if (op->endpoint->release && op->state)
        op->endpoint->release(op);
    if (op->fanout && !home->stopping)
        qry_fanout_tell(op->fanout, &op->qry->telling);
    qry_fanout_free(op->fanout);
    nx_buf_release(&op->piece);
    nx_arena_release(&op->arena);
    nx_free(op);
    qry_worker_idle(home);
}

static void respond_error(struct qry_job *op)
{
    struct nx_buf body;
    nx_buf_init(&body, 1 << 20);
    int status = qry_api_error_status(op->error);
    count_response(op, status);
    if (status == 503)
        nx_http_response_header(op->req, "Retry-After", "1");
    if (op->endpoint->raw) {
        nx_http_respond_text(op->req, status, op->error_text);
    } else {
        qry_envelope_error(op, &body);
        nx_http_respond_buf(op->req, status, "application/json", &body);
    }
    nx_buf_release(&body);
    op_free(op);
}

static void put_encoding(struct qry_job *op)
{
    if (op->content_encoding)
        nx_http_response_header(op->req, "Content-Encoding", op->content_encoding);
}

static void respond_whole(struct qry_job *op)
{
    put_encoding(op);
    count_response(op, op->no_content ? 204 : 200);
    if (op->no_content)
        nx_http_respond(op->req, 204, NULL, NX_VIEW(""));
    else
        nx_http_respond_buf(op->req, 200, op->content_type, &op->piece);
    op_free(op);
}

/* --- rendering --- */

static void render_piece(struct qry_job *op)
{
    nx_buf_init(&op->piece, PIECE_MAX_BYTES);
    op->json.out = &op->piece;
    if (!op->begun) {
        op->begun = true;
        if (!op->endpoint->raw)
            qry_envelope_begin(op);
    }
    op->complete = op->endpoint->render(op, &op->json);
    if (op->complete && !op->endpoint->raw)
        qry_envelope_end(op);
    if (nx_buf_err(&op->piece) != NX_OK)
        qry_job_fail_err(op, nx_buf_err(&op->piece), NULL);
}

static void run_op(struct qry_job *op)
{
    if (!op->evaluated) {
        op->evaluated = true;
        op->running_ns = nx_now_ns(op->qry->deps.clock);
        if (op->endpoint->evaluate && !op->endpoint->evaluate(op))
            return;
    }
    if (!op->no_content && !op->failed)
        render_piece(op);
}

static void on_lane(struct nx_job *job)
{
    run_op((struct qry_job *)job);
}

static void on_ran(struct nx_job *job);
static void on_drained(void *user);

static void run_here(struct nx_task *task)
{
    struct qry_job *op = (struct qry_job *)(void *)((char *)task - offsetof(struct qry_job, here));
    run_op(op);
    on_ran(&op->job);
}

static void render_on(struct qry_job *op)
{
    if (nx_lane_submit(op->qry->lane, &op->job) == NX_OK)
        return;
    op->here.run = run_here;
    nx_worker_reply(op->home->worker, &op->here);
}

static void send_piece(struct qry_job *op)
{
    if (op->failed) {
        nx_http_stream_abort(op->req);
        op_free(op);
        return;
    }
    op->waiting = !nx_http_stream_write(op->req, &op->piece);
    if (op->complete || atomic_load(&op->cancel)) {
        nx_http_stream_end(op->req);
        op_free(op);
    } else if (!op->waiting) {
        render_on(op);
    }
}

/* The lane has given the operation back. */
static void on_ran(struct nx_job *job)
{
    struct qry_job *op = (struct qry_job *)job;
    if (op->streaming) {
        send_piece(op);
    } else if (op->failed) {
        respond_error(op);
    } else if (op->no_content || op->complete) {
        respond_whole(op);
    } else {
        op->streaming = true;
        count_response(op, 200);
        put_encoding(op);
        nx_http_stream_begin(op->req, 200, op->content_type, on_drained, op);
        send_piece(op);
    }
}

static void on_drained(void *user)
{
    struct qry_job *op = user;
    if (!op->waiting)
        return;
    op->waiting = false;
    if (atomic_load(&op->cancel)) {
        nx_http_stream_abort(op->req);
        op_free(op);
        return;
    }
    render_on(op);
}

/* --- fetching --- */

static void start_evaluation(struct qry_job *op)
{
    if (nx_lane_submit(op->qry->lane, &op->job) == NX_OK)
        return;
    qry_job_fail(op, QRY_API_UNAVAILABLE, "too many queries are waiting (query.concurrency)");
    respond_error(op);
}

static void on_fetched(void *user)
{
    struct qry_job *op = user;
    struct nx_fail fail = {0};
    const char *incomplete = "";
    op->fetched_ns = nx_now_ns(op->qry->deps.clock);
    nx_metric_add(op->qry->metrics, QRY_METRIC_FETCHED, 0, (double)qry_fanout_bytes(op->fanout));
    enum nx_err err = qry_fanout_outcome(op->fanout, &incomplete, &fail);
    if (err == NX_ERR_TIMEOUT)
        qry_job_fail(op, QRY_API_TIMEOUT, "query timed out in expression evaluation: %s",
                     nx_fail_text(&fail));
    else if (err == NX_ERR_CANCELED)
        qry_job_fail(op, QRY_API_CANCELED, "query was canceled in expression evaluation");
    else if (err == NX_ERR_UNAVAILABLE)
        qry_job_fail(op, QRY_API_UNAVAILABLE, "%s: %s",
                     op->write ? "not done everywhere, and can be repeated" : "incomplete result",
                     nx_fail_text(&fail));
    else if (err)
        qry_job_fail_err(op, err, &fail);
    if (err == NX_ERR_UNAVAILABLE || *incomplete)
        nx_metric_inc(op->qry->metrics, QRY_METRIC_INCOMPLETE);
    if (err) {
        respond_error(op);
        return;
    }
    if (*incomplete) {
        char text[512];
        int n = snprintf(text, sizeof text, "partial response: %s", incomplete);
        qry_job_warn(op, nx_view_make(text, n < (int)sizeof text ? (size_t)n : sizeof text - 1));
    }
    start_evaluation(op);
}

/* What is left of the query's time; where an incomplete result will do, a quarter of it is kept for
 * the evaluation of what has come by then. */
static uint64_t fetch_ms(const struct qry_job *op)
{
    uint64_t now = nx_now_ns(op->qry->deps.clock);
    uint64_t left_ms = op->deadline_ns > now ? (op->deadline_ns - now + 999999) / 1000000 : 0;
    if (op->partial && !op->write)
        left_ms -= left_ms / 4;
    return left_ms > 0 ? left_ms : 1;
}

static void start_fetch(struct qry_job *op)
{
    const struct qry_deps *deps = &op->qry->deps;
    struct qry_fanout_options options = {
        .worker = op->home->worker,
        .client = op->home->client,
        .ring = deps->ring,
        .clock = deps->clock,
        .timeout_ms = fetch_ms(op),
        .max_bytes = (size_t)deps->settings->max_fetched_bytes,
        .budget = &op->qry->fetch_budget,
        .partial = op->partial && !op->write,
        .write = op->write,
        .requests = op->requests,
        .request_count = op->request_count,
        .done = on_fetched,
        .user = op,
    };
    enum nx_err err = qry_fanout_start(&options, &op->fanout);
    if (err) {
        qry_job_fail_err(op, err, NULL);
        respond_error(op);
    }
}

void qry_job_cancel(struct qry_job *op)
{
    atomic_store(&op->cancel, true);
    if (op->fanout && op->fetched_ns == 0)
        qry_fanout_cancel(op->fanout);
}

static void on_client_gone(void *user)
{
    qry_job_cancel(user);
}

/* --- the beginning --- */

static struct qry_job *op_new(struct nx_http_request *req, const struct qry_route *route)
{
    struct querier *qry = route->qry;
    struct qry_job *op = nx_calloc(1, sizeof *op);
    if (!op)
        return NULL;
    op->qry = qry;
    op->home = &qry->workers[nx_worker_index(nx_http_request_worker(req))];
    op->endpoint = route->endpoint;
    op->req = req;
    op->content_type = "application/json";
    op->job.run = on_lane;
    op->job.done = on_ran;
    op->started_ns = nx_now_ns(qry->deps.clock);
    op->deadline_ns = op->started_ns + (uint64_t)qry->deps.settings->timeout_ms * 1000000;
    op->partial = qry->deps.settings->partial_response;
    atomic_init(&op->cancel, false);
    nx_arena_init(&op->arena, (size_t)qry->deps.settings->max_memory_bytes);
    nx_buf_init(&op->piece, PIECE_MAX_BYTES);
    qry_json_init(&op->json, &op->piece);
    op->next = op->home->active;
    if (op->next)
        op->next->prev = op;
    op->home->active = op;
    return op;
}

static bool read_request(struct qry_job *op)
{
    struct nx_fail fail = {0};
    bool multitenancy = op->qry->deps.settings->multitenancy && !op->endpoint->immediate;
    enum nx_err err = nx_tenant_of(multitenancy, nx_http_request_header(op->req, NX_TENANT_HEADER),
                                   &op->tenant, &fail);
    if (err)
        return qry_job_fail_err(op, err, &fail);
    bool form = nx_http_request_method(op->req) == NX_HTTP_POST && !op->endpoint->no_form;
    err = nx_http_params_parse(
        &op->arena, nx_http_request_query(op->req), nx_http_request_header(op->req, "Content-Type"),
        form ? nx_http_request_body(op->req) : NX_VIEW(""), &op->params, &fail);
    if (err == NX_ERR_TOO_LARGE || (err == NX_ERR_INVALID && op->endpoint->strict_form))
        return qry_job_fail(op, QRY_API_BAD_DATA, "error parsing form values: %s",
                            nx_fail_text(&fail));
    if (err && err != NX_ERR_INVALID)
        return qry_job_fail_err(op, err, &fail);
    struct nx_view partial = qry_job_param(op, "partial_response");
    if (partial.len > 0) {
        op->partial = nx_view_is(partial, "true") || nx_view_is(partial, "1");
        if (!op->partial && !nx_view_is(partial, "false") && !nx_view_is(partial, "0"))
            return qry_job_fail(op, QRY_API_BAD_DATA,
                                "invalid parameter \"partial_response\": expected true or false");
    }
    return true;
}

static bool admit(struct qry_job *op)
{
    size_t max = (size_t)op->qry->deps.settings->concurrency * ADMITTED_PER_THREAD;
    op->counted = true;
    nx_metric_add(op->qry->metrics, QRY_METRIC_IN_FLIGHT, 0, 1);
    if (atomic_fetch_add(&op->qry->in_flight, 1) < max)
        return true;
    return qry_job_fail(op, QRY_API_UNAVAILABLE, "too many queries in flight (query.concurrency)");
}

void qry_job_handle(struct nx_http_request *req, void *user)
{
    const struct qry_route *route = user;
    qry_respond_headers(route->qry, req);
    if (nx_http_request_method(req) == NX_HTTP_OPTIONS) {
        nx_http_respond(req, 204, NULL, NX_VIEW(""));
        return;
    }
    struct qry_job *op = op_new(req, route);
    if (!op) {
        nx_http_respond_text(req, 503, nx_err_text(NX_ERR_NOMEM));
        return;
    }
    const struct qry_endpoint *endpoint = op->endpoint;
    nx_metric_add(op->qry->metrics, QRY_METRIC_REQUESTS, route->metric_slot, 1);
    if (!endpoint->uncompressed)
        nx_http_response_compress(req);
    if (!read_request(op) || (!endpoint->immediate && !admit(op)) ||
        (endpoint->prepare && !endpoint->prepare(op))) {
        respond_error(op);
        return;
    }
    if (endpoint->immediate) {
        run_op(op);
        assert(op->failed || op->no_content || op->complete);
        on_ran(&op->job);
        return;
    }
    nx_http_request_on_cancel(req, on_client_gone, op);
    if (op->home->stopping)
        qry_job_cancel(op);
    if (op->request_count > 0)
        start_fetch(op);
    else
        start_evaluation(op);
}
