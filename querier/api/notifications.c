/* What the process has to tell its operator, as a list and as a stream of server-sent events: one
 * JSON object an event, what is active first, then each change. A stream belongs to its request's
 * worker; a change is brought there by its task, which is out at most once. */
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "querier/api/endpoints.h"

#define EVENTS_BYTES_MAX 4096 /* of all kinds at once */

static void put_notice(struct qry_json *json, const struct nx_notice *notice)
{
    char date[40];
    nx_time_format_rfc3339(notice->raised_ms, date, sizeof date);
    qry_json_object(json);
    qry_json_key(json, "text");
    qry_json_text(json, notice->text);
    qry_json_key(json, "date");
    qry_json_text(json, date);
    qry_json_key(json, "active");
    qry_json_bool(json, notice->active);
    qry_json_object_end(json);
}

bool qry_notifications_render(struct qry_job *op, struct qry_json *json)
{
    qry_json_array(json);
    for (size_t i = 0; i < NX_NOTICE_KINDS; i++) {
        struct nx_notice notice = nx_notices_get(op->qry->deps.notices, (enum nx_notice_kind)i);
        if (notice.active)
            put_notice(json, &notice);
    }
    qry_json_array_end(json);
    return true;
}

/* --- live --- */

struct live {
    struct nx_notice_watch watch;
    struct nx_task task;
    struct nx_notices *notices;
    struct nx_http_request *req;
    struct nx_worker *worker;
    atomic_bool woken; /* the task is out */
    bool full;         /* the client does not take what it was sent */
    bool last;         /* nothing comes behind what it was sent */
    bool over;
};

static void end(struct live *live)
{
    nx_notices_unwatch(live->notices, &live->watch);
    live->over = true;
    nx_http_stream_end(live->req);
    if (!atomic_load(&live->woken))
        nx_free(live);
}

/* Sends what is new. The process waits for its streams when it stops: that is their last event. */
static void send_new(struct live *live)
{
    struct nx_notice notice;
    struct nx_buf events;
    nx_buf_init(&events, EVENTS_BYTES_MAX);
    while (!live->last && nx_notices_next(live->notices, &live->watch, &notice)) {
        struct qry_json json;
        qry_json_init(&json, &events);
        nx_buf_append_str(&events, "data: ");
        put_notice(&json, &notice);
        nx_buf_append_str(&events, "\n\n");
        live->last = notice.kind == NX_NOTICE_STOPPING && notice.active;
    }
    live->last |= nx_buf_err(&events) != NX_OK;
    live->full = !nx_http_stream_write(live->req, &events);
    nx_buf_release(&events);
    if (live->last && !live->full)
        end(live);
}

static void on_task(struct nx_task *task)
{
    struct live *live = NX_OWNER(struct live, task, task);
    atomic_store(&live->woken, false);
    if (live->over)
        nx_free(live);
    else if (!live->full)
        send_new(live);
}

static void on_change(struct nx_notice_watch *watch)
{
    struct live *live = NX_OWNER(struct live, watch, watch);
    if (!atomic_exchange(&live->woken, true))
        nx_worker_reply(live->worker, &live->task);
}

static void on_drained(void *user)
{
    send_new(user);
}

static void on_cancel(void *user)
{
    end(user);
}

static struct live *live_new(struct querier *qry, struct nx_http_request *req)
{
    struct live *live = nx_calloc(1, sizeof *live);
    if (!live)
        return NULL;
    live->watch.changed = on_change;
    live->task.run = on_task;
    live->notices = qry->deps.notices;
    live->req = req;
    live->worker = nx_http_request_worker(req);
    if (nx_notices_watch(live->notices, &live->watch))
        return live;
    nx_free(live);
    return NULL;
}

void qry_notifications_live(struct nx_http_request *req, void *user)
{
    const struct qry_route *route = user;
    struct querier *qry = route->qry;
    if (nx_http_request_method(req) != NX_HTTP_GET) {
        qry_job_handle(req, user); /* a preflight request */
        return;
    }
    qry_respond_headers(qry, req);
    nx_metric_add(qry->metrics, QRY_METRIC_REQUESTS, route->metric_slot, 1);
    struct live *live = qry->deps.notices ? live_new(qry, req) : NULL;
    if (!live) {
        nx_http_respond(req, 204, NULL, NX_VIEW(""));
        return;
    }
    nx_http_request_on_cancel(req, on_cancel, live);
    nx_http_response_header(req, "Cache-Control", "no-cache");
    nx_http_stream_begin(req, 200, "text/event-stream", on_drained, live);
    send_new(live);
}
