/* One worker with one client; a batch of calls goes to it as a task, and the last answer wakes the
 * thread that waits. */
#include "cmd/rpc_caller.h"

#include <pthread.h>
#include <stdio.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "common/net/rpc.h"

#define REPLY_BYTES_MAX ((size_t)64 << 20)

struct cmd_rpc_caller {
    struct nx_workers *workers;
    struct nx_rpc_client *client;
    bool running;
    pthread_mutex_t lock; /* guards `left` */
    pthread_cond_t changed;
    size_t left; /* calls without an outcome */
    struct nx_task task;
    struct cmd_rpc_call *calls;
    size_t count;
    uint64_t timeout_ms;
};

/* What a call's `done` needs to know. */
struct pending {
    struct cmd_rpc_caller *caller;
    struct cmd_rpc_call *call;
};

static void one_less(struct cmd_rpc_caller *caller)
{
    pthread_mutex_lock(&caller->lock);
    caller->left--;
    pthread_cond_signal(&caller->changed);
    pthread_mutex_unlock(&caller->lock);
}

static void wait_for_all(struct cmd_rpc_caller *caller)
{
    pthread_mutex_lock(&caller->lock);
    while (caller->left > 0)
        pthread_cond_wait(&caller->changed, &caller->lock);
    pthread_mutex_unlock(&caller->lock);
}

static void on_done(void *user, const struct nx_rpc_result *result)
{
    struct pending *pending = user;
    struct cmd_rpc_call *call = pending->call;
    call->err = result->err;
    if (result->err == NX_OK) {
        nx_buf_append_view(&call->reply, result->body);
        call->err = nx_buf_err(&call->reply);
    }
    if (call->err != NX_OK)
        (void)snprintf(call->text, sizeof call->text, "%s",
                       result->text && *result->text ? result->text : nx_err_text(call->err));
    one_less(pending->caller);
    nx_free(pending);
}

static void start_call(struct cmd_rpc_caller *caller, struct cmd_rpc_call *call)
{
    struct pending *pending = nx_alloc(sizeof *pending);
    enum nx_err err = pending ? NX_OK : NX_ERR_NOMEM;
    if (pending) {
        *pending = (struct pending){.caller = caller, .call = call};
        struct nx_rpc_call_options options = {.address = call->address,
                                              .method = call->method,
                                              .body = &call->body,
                                              .timeout_ms = caller->timeout_ms,
                                              .max_frame_bytes = REPLY_BYTES_MAX,
                                              .done = on_done,
                                              .user = pending};
        err = nx_rpc_call(caller->client, &options, NULL);
    } else {
        nx_buf_release(&call->body);
    }
    if (err == NX_OK)
        return;
    nx_free(pending);
    call->err = err;
    (void)snprintf(call->text, sizeof call->text, "%s", nx_err_text(err));
    one_less(caller);
}

static void start_calls(struct nx_task *task)
{
    struct cmd_rpc_caller *caller = NX_OWNER(struct cmd_rpc_caller, task, task);
    for (size_t i = 0; i < caller->count; i++)
        start_call(caller, &caller->calls[i]);
}

void cmd_rpc_caller_run(struct cmd_rpc_caller *caller, struct cmd_rpc_call *calls, size_t count,
                        uint64_t timeout_ms)
{
    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        nx_buf_init(&calls[i].reply, REPLY_BYTES_MAX);
    caller->calls = calls;
    caller->count = count;
    caller->left = count;
    caller->timeout_ms = timeout_ms;
    caller->task.run = start_calls;
    nx_worker_reply(nx_workers_at(caller->workers, 0), &caller->task);
    wait_for_all(caller);
}

enum nx_err cmd_rpc_caller_open(const char *cluster, struct cmd_rpc_caller **out)
{
    struct nx_workers_options options = {.count = 1, .name = "tool"};
    struct cmd_rpc_caller *caller = nx_calloc(1, sizeof *caller);
    if (!caller)
        return NX_ERR_NOMEM;
    pthread_mutex_init(&caller->lock, NULL);
    pthread_cond_init(&caller->changed, NULL);
    enum nx_err err = nx_workers_new(&options, &caller->workers);
    if (err == NX_OK)
        err =
            nx_rpc_client_new(nx_workers_at(caller->workers, 0), NULL, NULL, NULL, &caller->client);
    if (err == NX_OK)
        err = nx_rpc_client_set_cluster(caller->client, cluster);
    if (err == NX_OK)
        err = nx_workers_start(caller->workers);
    caller->running = err == NX_OK;
    if (err != NX_OK)
        cmd_rpc_caller_close(caller);
    else
        *out = caller;
    return err;
}

static void on_closed(void *user)
{
    one_less(user);
}

static void close_client(struct nx_task *task)
{
    struct cmd_rpc_caller *caller = NX_OWNER(struct cmd_rpc_caller, task, task);
    nx_rpc_client_close(caller->client, on_closed, caller);
}

void cmd_rpc_caller_close(struct cmd_rpc_caller *caller)
{
    if (!caller)
        return;
    caller->left = 1;
    caller->task.run = close_client;
    if (caller->running) {
        nx_worker_reply(nx_workers_at(caller->workers, 0), &caller->task);
        wait_for_all(caller);
    } else if (caller->client) {
        nx_rpc_client_close(caller->client, on_closed, caller);
    }
    if (caller->workers) {
        nx_workers_stop(caller->workers);
        nx_workers_free(caller->workers);
    }
    pthread_cond_destroy(&caller->changed);
    pthread_mutex_destroy(&caller->lock);
    nx_free(caller);
}
