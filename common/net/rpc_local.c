/* Calls within the process.
 *
 * The caller's worker A and the callee's worker B share one nx_rpc_local. Each field belongs to one
 * side, save the flow control; what crosses does so inside tasks: start, cancel, drained to B;
 * frames and the end to A. A side, and every task under way, holds a reference: whoever drops the
 * last one frees it. So a call that was canceled or timed out ends for A at once, while B still
 * works until it has answered.
 *
 * Flow control: `inflight` counts the frame bytes that B sent and A has not taken. Above the
 * high-water mark B waits (gate WAITING); A, taking frames, sends the drained task when it falls to
 * the low one (gate NOTIFIED until the task has run, so that it is never sent twice). */
#include <assert.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/net/rpc_internal.h"

#define HIGH_WATER_BYTES ((size_t)1 << 20)
#define LOW_WATER_BYTES ((size_t)256 << 10)

enum gate { GATE_OPEN, GATE_WAITING, GATE_NOTIFIED };

struct nx_rpc_local {
    struct nx_refcount refs;
    struct nx_worker *caller;
    struct nx_worker *callee;
    const struct nx_rpc_method *method;
    atomic_size_t inflight;
    _Atomic(enum gate) gate;

    struct nx_rpc_call *call; /* A; NULL once the call is over */
    bool cancel_sent;         /* A */

    struct nx_rpc_request request; /* B, like all below until `end` is sent */
    struct nx_buf body;
    size_t charged_bytes;
    bool ended;
    bool frame_lost;
    struct nx_buf answer;
    enum nx_err err;
    char text[NX_RPC_TEXT_MAX + 1];

    struct nx_task start;
    struct nx_task cancel;
    struct nx_task drained;
    struct nx_task end;
};

/* A frame on its way from B to A. */
struct frame {
    struct nx_task task;
    struct nx_rpc_local *local;
    struct nx_buf message;
};

static void drop(struct nx_rpc_local *local)
{
    if (nx_refcount_drop(&local->refs)) {
        nx_buf_release(&local->body);
        nx_buf_release(&local->answer);
        nx_free(local);
    }
}

/* --- callee ---------------------------------------------------------------------------------- */

struct nx_worker *nx_rpc_local_worker(const struct nx_rpc_local *local)
{
    return local->callee;
}

struct nx_view nx_rpc_local_body(const struct nx_rpc_local *local)
{
    return nx_buf_view(&local->body);
}

static void on_start(struct nx_task *task)
{
    struct nx_rpc_local *local = NX_OWNER(struct nx_rpc_local, start, task);
    local->method->handle(&local->request, local->method->user);
}

static void on_cancel(struct nx_task *task)
{
    struct nx_rpc_local *local = NX_OWNER(struct nx_rpc_local, cancel, task);
    if (!local->ended) {
        nx_rpc_request_canceled(&local->request);
    }
    drop(local);
}

static void on_drained(struct nx_task *task)
{
    struct nx_rpc_local *local = NX_OWNER(struct nx_rpc_local, drained, task);
    atomic_store(&local->gate, GATE_OPEN);
    if (!local->ended) {
        nx_rpc_request_drained(&local->request);
    }
    drop(local);
}

static void on_end(struct nx_task *task);

void nx_rpc_local_reply(struct nx_rpc_local *local, struct nx_buf *message, enum nx_err err,
                        const char *text)
{
    assert(nx_worker_is_current(local->callee) && !local->ended);
    local->ended = true;
    if (message) {
        local->answer = *message;
        nx_buf_init(message, message->max);
    }
    if (err == NX_OK && local->frame_lost) {
        err = NX_ERR_NOMEM;
        text = nx_err_text(err);
    }
    local->err = err;
    if (err != NX_OK) {
        (void)snprintf(local->text, sizeof(local->text), "%s", text);
    }
    nx_buf_release(&local->body);
    if (local->charged_bytes > 0) {
        atomic_fetch_sub(&local->method->budget->used_bytes, local->charged_bytes);
    }
    /* The callee's reference goes with the task. */
    local->end.run = on_end;
    nx_worker_reply(local->caller, &local->end);
}

static void on_frame(struct nx_task *task);

bool nx_rpc_local_frame(struct nx_rpc_local *local, struct nx_buf *message)
{
    assert(nx_worker_is_current(local->callee) && !local->ended);
    struct frame *frame = local->frame_lost ? NULL : nx_alloc(sizeof(*frame));
    if (!frame) {
        local->frame_lost = true;
        nx_buf_release(message);
        return true;
    }
    *frame = (struct frame){.task = {.run = on_frame}, .local = local, .message = *message};
    nx_buf_init(message, message->max);
    size_t len = frame->message.len;
    size_t inflight = atomic_fetch_add(&local->inflight, len) + len;
    nx_refcount_take(&local->refs);
    nx_worker_reply(local->caller, &frame->task);
    if (inflight <= HIGH_WATER_BYTES) {
        return true;
    }
    enum gate open = GATE_OPEN;
    atomic_compare_exchange_strong(&local->gate, &open, GATE_WAITING);
    /* Should all be taken meanwhile, nobody would wake us. */
    enum gate waiting = GATE_WAITING;
    return atomic_load(&local->inflight) <= LOW_WATER_BYTES &&
           atomic_compare_exchange_strong(&local->gate, &waiting, GATE_OPEN);
}

/* --- caller ---------------------------------------------------------------------------------- */

static void send_cancel(struct nx_rpc_local *local)
{
    if (!local->cancel_sent) {
        local->cancel_sent = true;
        local->cancel.run = on_cancel;
        nx_refcount_take(&local->refs);
        nx_worker_reply(local->callee, &local->cancel);
    }
}

/* Ends the call for the caller, from a callback of the loop. */
static void complete(struct nx_rpc_call *call, enum nx_err err, const char *text)
{
    struct nx_rpc_local *local = call->local;
    call->local = NULL;
    local->call = NULL;
    struct nx_rpc_result result = {
        .err = err,
        .body = err == NX_OK ? nx_buf_view(&local->answer) : NX_VIEW(""),
        .text = err == NX_OK ? "" : text,
    };
    nx_rpc_call_complete(call, &result);
    drop(local);
}

static void on_finish(struct nx_task *task)
{
    struct nx_rpc_call *call = NX_OWNER(struct nx_rpc_call, finish, task);
    complete(call, call->verdict, nx_err_text(call->verdict));
}

/* Ends the call later in the loop. */
static void finish_later(struct nx_rpc_call *call, enum nx_err verdict)
{
    call->finishing = true;
    call->verdict = verdict;
    call->finish.run = on_finish;
    nx_worker_reply(call->client->worker, &call->finish);
}

static void on_timeout(uv_timer_t *timer)
{
    struct nx_rpc_call *call = timer->data;
    if (!call->finishing) {
        send_cancel(call->local);
        complete(call, NX_ERR_TIMEOUT, nx_err_text(NX_ERR_TIMEOUT));
    }
}

void nx_rpc_local_cancel(struct nx_rpc_call *call)
{
    if (!call->finishing) {
        send_cancel(call->local);
        finish_later(call, NX_ERR_CANCELED);
    }
}

static void on_end(struct nx_task *task)
{
    struct nx_rpc_local *local = NX_OWNER(struct nx_rpc_local, end, task);
    struct nx_rpc_call *call = local->call;
    local->cancel_sent = true; /* nothing is left to cancel */
    if (call && !call->finishing) {
        bool streamed = local->request.streaming;
        bool mismatch = local->err == NX_OK && streamed != (call->on_frame != NULL);
        complete(call, mismatch ? NX_ERR_CORRUPT : local->err,
                 mismatch ? "the answer is of the other kind" : local->text);
    }
    drop(local);
}

static void take_frame(struct nx_rpc_local *local, struct nx_view message)
{
    struct nx_rpc_call *call = local->call;
    if (!call || call->finishing || !call->on_frame) {
        return;
    }
    if (message.len > call->frames.max_frame_bytes) {
        send_cancel(local);
        complete(call, NX_ERR_TOO_LARGE, "a frame is beyond the limit");
        return;
    }
    enum nx_err err = call->on_frame(call->user, message);
    if (err != NX_OK && local->call && !call->finishing) {
        send_cancel(local);
        complete(call, err, nx_err_text(err));
    }
}

static void on_frame(struct nx_task *task)
{
    struct frame *frame = NX_OWNER(struct frame, task, task);
    struct nx_rpc_local *local = frame->local;
    size_t len = frame->message.len;
    take_frame(local, nx_buf_view(&frame->message));
    nx_buf_release(&frame->message);
    nx_free(frame);
    if (atomic_fetch_sub(&local->inflight, len) - len <= LOW_WATER_BYTES) {
        enum gate waiting = GATE_WAITING;
        if (atomic_compare_exchange_strong(&local->gate, &waiting, GATE_NOTIFIED)) {
            local->drained.run = on_drained;
            nx_refcount_take(&local->refs);
            nx_worker_reply(local->callee, &local->drained);
        }
    }
    drop(local);
}

/* Holds the body against the method's limits; NX_OK also charges its budget. */
static enum nx_err admit(struct nx_rpc_local *local)
{
    const struct nx_rpc_method *method = local->method;
    size_t len = local->body.len;
    if (!method) {
        return NX_ERR_METHOD;
    }
    if (len > method->max_body_bytes) {
        return NX_ERR_TOO_LARGE;
    }
    if (method->budget && len > 0) {
        size_t used = atomic_fetch_add(&method->budget->used_bytes, len);
        if (used + len > method->budget->max_bytes) {
            atomic_fetch_sub(&method->budget->used_bytes, len);
            return NX_ERR_OVERLOADED;
        }
        local->charged_bytes = len;
    }
    return NX_OK;
}

static enum nx_err start(struct nx_rpc_local *local)
{
    enum nx_err err = admit(local);
    if (err != NX_OK) {
        return err;
    }
    local->start.run = on_start;
    nx_refcount_take(&local->refs); /* the callee's, until `end` has run */
    err = nx_worker_post(local->callee, &local->start);
    if (err != NX_OK) {
        if (local->charged_bytes > 0) {
            atomic_fetch_sub(&local->method->budget->used_bytes, local->charged_bytes);
        }
        drop(local);
    }
    return err;
}

enum nx_err nx_rpc_local_call(struct nx_rpc_call *call, const struct nx_rpc_call_options *options)
{
    struct nx_rpc_client *client = call->client;
    struct nx_rpc_server *server = client->local;
    struct nx_rpc_local *local = nx_calloc(1, sizeof(*local));
    if (!local) {
        return NX_ERR_NOMEM;
    }
    nx_refcount_init(&local->refs);
    nx_buf_init(&local->body, SIZE_MAX);
    nx_buf_init(&local->answer, SIZE_MAX);
    if (options->body) {
        local->body = *options->body;
        nx_buf_init(options->body, options->body->max);
    }
    size_t turn = atomic_fetch_add_explicit(&server->next_worker, 1, memory_order_relaxed);
    local->caller = client->worker;
    local->callee = nx_workers_at(server->workers, turn % nx_workers_count(server->workers));
    local->method = nx_rpc_server_find(server, options->method);
    local->request.local = local;
    local->call = call;
    call->local = local;
    uv_timer_init(nx_worker_loop(client->worker), &call->timer);
    call->timer.data = call;
    client->timers++;
    if (options->timeout_ms > 0) {
        uv_timer_start(&call->timer, on_timeout, options->timeout_ms, 0);
    }
    enum nx_err err = start(local);
    if (err != NX_OK) {
        local->cancel_sent = true;
        finish_later(call, err);
    }
    return NX_OK;
}
