/* A call per (request, member), all at once. Each call keeps what it received in a list; a call
 * counts as answered only when it ended well, but what a broken one brought before stays: samples
 * are samples, and the merge drops what comes twice. The timer of the fan-out serves the grace of
 * the stragglers and the case in which nothing could be sent at all; `done` is called from its
 * close callback, so that nothing of the fan-out is on the loop any more by then. */
#include "querier/select/fanout.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "querier/select/complete.h"

#define GRACE_MIN_MS 50
#define WRITE_GRACE_MIN_MS 10000
#define TELL_TIMEOUT_MS 60000
#define TELL_MAX 4
#define MAX_FRAME_BYTES ((size_t)64 << 20)

struct call {
    struct qry_fanout *fanout;
    size_t request;
    size_t member;
    struct nx_rpc_call *rpc; /* NULL once done */
    enum nx_err err;
    char text[240];
    struct qry_answer *first;
    struct qry_answer **last;
};

struct note {
    struct note *next;
    size_t member; /* of the view */
    struct nx_buf body;
};

struct qry_fanout {
    struct qry_fanout_options options;
    struct nx_ring_view *view;
    uv_timer_t timer;
    uint64_t started_ns;
    size_t *members; /* asked */
    size_t member_count;
    struct call *calls; /* member_count a request */
    size_t pending;
    size_t complete; /* requests from the first on that are */
    size_t bytes;
    const struct call *in_frame; /* whose on_frame is running: its own answer ends it */
    bool finishing;
    bool *answered; /* scratch: a flag a member of the view */
    enum nx_err err;
    char problem[400];
    char incomplete[400];
    struct note *notes;
};

/* --- what came --- */

static uint32_t needed(const struct qry_fanout *f)
{
    return f->options.write ? nx_ring_write_quorum(f->view) : nx_ring_read_quorum(f->view);
}

static bool request_complete(struct qry_fanout *f, size_t request, uint32_t *missing)
{
    for (size_t i = 0; i < f->view->member_count; i++)
        f->answered[i] = false;
    for (size_t i = 0; i < f->member_count; i++) {
        const struct call *call = &f->calls[request * f->member_count + i];
        f->answered[call->member] = !call->rpc && call->err == NX_OK;
    }
    return qry_is_complete(f->view, f->answered, needed(f), !f->options.write, missing);
}

/* What was complete stays so: each request is looked at until it is, in their order. */
static bool all_complete(struct qry_fanout *f)
{
    while (f->complete < f->options.request_count && request_complete(f, f->complete, NULL))
        f->complete++;
    return f->complete == f->options.request_count;
}

/* Errors that another replica would answer in the same way. */
static bool is_final(enum nx_err err)
{
    return err == NX_ERR_LIMIT || err == NX_ERR_INVALID || err == NX_ERR_TOO_LARGE ||
           err == NX_ERR_UNAUTHORIZED || err == NX_ERR_FORBIDDEN;
}

/* Those who have answered and could not vouch for all that they own. */
static size_t list_refilled(const struct qry_fanout *f, char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < f->member_count && len < size && !f->options.write; i++) {
        if (!qry_is_being_refilled(f->view, f->members[i]))
            continue;
        int n = snprintf(out + len, size - len, "%s%s: does not hold all its data yet",
                         len > 0 ? "; " : "", f->view->members[f->members[i]].name);
        len += n > 0 ? (size_t)n : 0;
    }
    return len;
}

static void list_failures(const struct qry_fanout *f, char *out, size_t size)
{
    size_t len = list_refilled(f, out, size);
    for (size_t i = 0; i < f->member_count && len < size; i++) {
        for (size_t r = 0; r < f->options.request_count; r++) {
            const struct call *call = &f->calls[r * f->member_count + i];
            if (call->err == NX_OK)
                continue;
            int n = snprintf(out + len, size - len, "%s%s: %s", len > 0 ? "; " : "",
                             f->view->members[call->member].name, call->text);
            len += n > 0 ? (size_t)n : 0;
            break;
        }
    }
    for (size_t i = 0; i < f->view->member_count && len < size; i++) {
        bool asked = false;
        for (size_t j = 0; j < f->member_count; j++)
            asked |= f->members[j] == i;
        if (asked || f->view->members[i].healthy)
            continue;
        int n = snprintf(out + len, size - len, "%s%s: down", len > 0 ? "; " : "",
                         f->view->members[i].name);
        len += n > 0 ? (size_t)n : 0;
    }
}

static void judge(struct qry_fanout *f)
{
    char failures[300] = "";
    uint32_t missing = 0, worst = 0;
    if (f->err)
        return;
    for (size_t i = 0; i < f->options.request_count * f->member_count; i++)
        if (is_final(f->calls[i].err)) {
            f->err = f->calls[i].err;
            const char *what = f->err == NX_ERR_TOO_LARGE
                                   ? "the selectors or an answer are too large for one message "
                                     "between querier and ingester: "
                                   : "";
            (void)snprintf(f->problem, sizeof f->problem, "%s%s", what, f->calls[i].text);
            return;
        }
    for (size_t i = 0; i < f->options.request_count; i++)
        if (!request_complete(f, i, &missing) && missing > worst)
            worst = missing;
    if (worst == 0)
        return;
    list_failures(f, failures, sizeof failures);
    (void)snprintf(f->incomplete, sizeof f->incomplete,
                   "%u of %u partitions have fewer than %u answers of their owners (%s)", worst,
                   f->view->partitions, needed(f), failures);
    bool late = nx_now_ns(f->options.clock) >= f->started_ns + f->options.timeout_ms * 1000000;
    if (!f->options.partial)
        f->err = late ? NX_ERR_TIMEOUT : NX_ERR_UNAVAILABLE;
}

/* --- ending --- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct qry_fanout *f = handle->data;
    f->options.done(f->options.user);
}

static void finish(struct qry_fanout *f)
{
    if (f->finishing)
        return;
    f->finishing = true;
    judge(f);
    uv_close((uv_handle_t *)&f->timer, on_timer_closed);
}

static void cancel_pending(struct qry_fanout *f)
{
    for (size_t i = 0; i < f->options.request_count * f->member_count; i++)
        if (f->calls[i].rpc && &f->calls[i] != f->in_frame)
            nx_rpc_call_cancel(f->calls[i].rpc);
}

static void on_timer(uv_timer_t *timer)
{
    struct qry_fanout *f = timer->data;
    if (f->pending == 0)
        finish(f);
    else
        cancel_pending(f);
}

/* What is needed is there: whoever has not answered within as long again is given up. */
static void allow_grace(struct qry_fanout *f)
{
    if (f->finishing || uv_is_active((uv_handle_t *)&f->timer) || !all_complete(f))
        return;
    uint64_t elapsed_ms = (nx_now_ns(f->options.clock) - f->started_ns) / 1000000;
    uint64_t least_ms = f->options.write ? WRITE_GRACE_MIN_MS : GRACE_MIN_MS;
    uint64_t grace_ms = elapsed_ms > least_ms ? elapsed_ms : least_ms;
    uv_timer_start(&f->timer, on_timer, grace_ms, 0);
}

static void fail_all(struct qry_fanout *f, enum nx_err err, const char *text)
{
    if (f->err)
        return;
    f->err = err;
    (void)snprintf(f->problem, sizeof f->problem, "%s", text);
    cancel_pending(f);
}

/* --- calls --- */

/* Takes the bytes from the budget of the process; they are given back when the fan-out is freed. */
static bool charge(struct qry_fanout *f, size_t bytes)
{
    struct qry_fetch_budget *budget = f->options.budget;
    if (!budget)
        return true;
    size_t before = atomic_fetch_add(&budget->used_bytes, bytes);
    if (before <= budget->max_bytes && bytes <= budget->max_bytes - before)
        return true;
    atomic_fetch_sub(&budget->used_bytes, bytes);
    return false;
}

static enum nx_err keep(struct call *call, struct nx_view message)
{
    struct qry_fanout *f = call->fanout;
    if (message.len > f->options.max_bytes - f->bytes) {
        char text[160];
        (void)snprintf(text, sizeof text,
                       "the query would fetch more than %zu bytes from the ingesters "
                       "(query.max-fetched-bytes)",
                       f->options.max_bytes);
        fail_all(f, NX_ERR_LIMIT, text);
        return NX_ERR_LIMIT;
    }
    struct qry_answer *answer = nx_alloc(sizeof *answer + message.len);
    if (!answer)
        return NX_ERR_NOMEM;
    if (!charge(f, message.len)) {
        nx_free(answer);
        fail_all(f, NX_ERR_OVERLOADED,
                 "the queries in flight hold too many bytes (query.max-inflight-bytes)");
        return NX_ERR_OVERLOADED;
    }
    answer->next = NULL;
    answer->len = message.len;
    if (message.len > 0)
        memcpy(answer->bytes, message.ptr, message.len);
    *call->last = answer;
    call->last = &answer->next;
    f->bytes += message.len;
    return NX_OK;
}

static enum nx_err on_frame(void *user, struct nx_view frame)
{
    struct call *call = user;
    struct qry_fanout *f = call->fanout;
    f->in_frame = call;
    enum nx_err err = f->err ? NX_ERR_CANCELED : keep(call, frame);
    f->in_frame = NULL;
    return err;
}

static void set_outcome(struct call *call, enum nx_err err, const char *text)
{
    call->err = err;
    (void)snprintf(call->text, sizeof call->text, "%s", text && *text ? text : nx_err_text(err));
}

static void on_done(void *user, const struct nx_rpc_result *result)
{
    struct call *call = user;
    struct qry_fanout *f = call->fanout;
    call->rpc = NULL;
    enum nx_err err = result->err;
    if (err == NX_OK && !f->options.requests[call->request].stream)
        err = keep(call, result->body);
    set_outcome(call, err, err == result->err ? result->text : NULL);
    if (err == NX_OK || err == NX_ERR_UNAVAILABLE || err == NX_ERR_CLUSTER)
        nx_ring_report(f->options.ring, f->view->members[call->member].name, err);
    if (--f->pending == 0)
        finish(f);
    else if (is_final(err))
        cancel_pending(f);
    else
        allow_grace(f);
}

static void send_call(struct call *call)
{
    struct qry_fanout *f = call->fanout;
    const struct qry_fanout_request *request = &f->options.requests[call->request];
    struct nx_buf body;
    nx_buf_init(&body, request->body.len + 1);
    nx_buf_append_view(&body, request->body);
    enum nx_err err = nx_buf_err(&body);
    struct nx_rpc_call_options options = {
        .address = f->view->members[call->member].address,
        .method = request->method,
        .body = &body,
        .timeout_ms = f->options.timeout_ms,
        .max_frame_bytes = MAX_FRAME_BYTES,
        .on_frame = request->stream ? on_frame : NULL,
        .done = on_done,
        .user = call,
    };
    if (!err)
        err = nx_rpc_call(f->options.client, &options, &call->rpc);
    nx_buf_release(&body);
    if (err)
        set_outcome(call, err,
                    err == NX_ERR_TOO_LARGE ? "a selector is too long for a call to an ingester"
                                            : NULL);
    else
        f->pending++;
}

/* --- starting --- */

static bool may_answer(const struct nx_member *member, bool only_healthy)
{
    return member->state != NX_MEMBER_LEFT && (member->healthy || !only_healthy);
}

/* Owners that are up; where those cannot give a complete result, and that is what is wanted, all
 * owners. */
static void choose_members(struct qry_fanout *f, bool *owns)
{
    const struct nx_ring_view *view = f->view;
    qry_owning_members(view, owns);
    for (size_t i = 0; i < view->member_count; i++)
        f->answered[i] = owns[i] && may_answer(&view->members[i], true);
    bool only_healthy = f->options.partial ||
                        qry_is_complete(view, f->answered, needed(f), !f->options.write, NULL);
    for (size_t i = 0; i < view->member_count; i++)
        if (owns[i] && may_answer(&view->members[i], only_healthy))
            f->members[f->member_count++] = i;
}

static enum nx_err prepare(struct qry_fanout *f)
{
    size_t members = f->view->member_count;
    f->members = nx_alloc_array(members + 1, sizeof *f->members);
    f->answered = nx_alloc_array(members + 1, sizeof *f->answered);
    bool *owns = nx_alloc_array(members + 1, sizeof *owns);
    if (!f->members || !f->answered || !owns) {
        nx_free(owns);
        return NX_ERR_NOMEM;
    }
    choose_members(f, owns);
    nx_free(owns);
    f->calls = nx_calloc(f->options.request_count * f->member_count + 1, sizeof *f->calls);
    if (!f->calls)
        return NX_ERR_NOMEM;
    for (size_t r = 0; r < f->options.request_count; r++)
        for (size_t i = 0; i < f->member_count; i++) {
            struct call *call = &f->calls[r * f->member_count + i];
            *call = (struct call){.fanout = f, .request = r, .member = f->members[i]};
            call->last = &call->first;
        }
    return NX_OK;
}

enum nx_err qry_fanout_start(const struct qry_fanout_options *options, struct qry_fanout **out)
{
    assert(nx_worker_is_current(options->worker));
    struct qry_fanout *f = nx_calloc(1, sizeof *f);
    if (!f)
        return NX_ERR_NOMEM;
    f->options = *options;
    f->started_ns = nx_now_ns(options->clock);
    f->view = nx_ring_acquire(options->ring);
    enum nx_err err = prepare(f);
    if (!err)
        err = nx_err_from_uv(uv_timer_init(nx_worker_loop(options->worker), &f->timer));
    if (err) {
        qry_fanout_free(f);
        return err;
    }
    f->timer.data = f;
    for (size_t i = 0; i < options->request_count * f->member_count; i++)
        send_call(&f->calls[i]);
    if (f->pending == 0)
        uv_timer_start(&f->timer, on_timer, 0, 0);
    *out = f;
    return NX_OK;
}

void qry_fanout_cancel(struct qry_fanout *fanout)
{
    if (!fanout->finishing)
        fail_all(fanout, NX_ERR_CANCELED, nx_err_text(NX_ERR_CANCELED));
}

/* --- reading --- */

enum nx_err qry_fanout_outcome(const struct qry_fanout *fanout, const char **incomplete,
                               struct nx_fail *fail)
{
    if (fanout->err)
        return nx_fail_set(fail, fanout->err, "%s",
                           *fanout->problem ? fanout->problem : fanout->incomplete);
    *incomplete = fanout->incomplete;
    return NX_OK;
}

bool qry_fanout_answers(const struct qry_fanout *fanout, size_t request, size_t i,
                        const struct qry_answer **first)
{
    if (i >= fanout->member_count)
        return false;
    *first = fanout->calls[request * fanout->member_count + i].first;
    return true;
}

size_t qry_fanout_members(const struct qry_fanout *fanout)
{
    return fanout->member_count;
}

size_t qry_fanout_bytes(const struct qry_fanout *fanout)
{
    return fanout->bytes;
}

uint32_t qry_fanout_copies(const struct qry_fanout *fanout)
{
    size_t members = fanout->view->member_count;
    return members < fanout->view->rf ? (uint32_t)members : fanout->view->rf;
}

/* --- telling --- */

void qry_fanout_note(struct qry_fanout *fanout, size_t i, struct nx_buf *body)
{
    struct note *note = nx_buf_err(body) == NX_OK ? nx_alloc(sizeof *note) : NULL;
    if (!note)
        return;
    *note = (struct note){.next = fanout->notes, .member = fanout->members[i], .body = *body};
    fanout->notes = note;
    nx_buf_init(body, 0);
}

static void free_notes(struct qry_fanout *f)
{
    while (f->notes) {
        struct note *next = f->notes->next;
        nx_buf_release(&f->notes->body);
        nx_free(f->notes);
        f->notes = next;
    }
}

static void on_told(void *user, const struct nx_rpc_result *result)
{
    (void)result; /* who still does not know is told again */
    atomic_fetch_sub((atomic_size_t *)user, 1);
}

void qry_fanout_tell(struct qry_fanout *fanout, atomic_size_t *busy)
{
    for (struct note *note = fanout->notes; note; note = note->next) {
        struct nx_rpc_call_options options = {
            .address = fanout->view->members[note->member].address,
            .method = "delete",
            .body = &note->body,
            .timeout_ms = TELL_TIMEOUT_MS,
            .done = on_told,
            .user = busy,
        };
        if (atomic_fetch_add(busy, 1) >= TELL_MAX ||
            nx_rpc_call(fanout->options.client, &options, NULL) != NX_OK)
            atomic_fetch_sub(busy, 1);
    }
    free_notes(fanout);
}

void qry_fanout_free(struct qry_fanout *fanout)
{
    if (!fanout)
        return;
    for (size_t i = 0; fanout->calls && i < fanout->options.request_count * fanout->member_count;
         i++) {
        struct qry_answer *answer = fanout->calls[i].first;
        while (answer) {
            struct qry_answer *next = answer->next;
            nx_free(answer);
            answer = next;
        }
    }
    free_notes(fanout);
    if (fanout->options.budget)
        atomic_fetch_sub(&fanout->options.budget->used_bytes, fanout->bytes);
    if (fanout->view)
        nx_ring_release(fanout->view);
    nx_free(fanout->calls);
    nx_free(fanout->members);
    nx_free(fanout->answered);
    nx_free(fanout);
}
