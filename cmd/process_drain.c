/* The end of a process, a chain of steps on worker 0, each calling the next when it is done: HTTP
 * stops taking requests and finishes those in flight, then distributor, querier, ingester, ring,
 * RPC clients and signal handles. A step of what was never opened is left out. */
#include "cmd/process_internal.h"
#include "common/base/owner.h"

static void report_stopped(struct cmd_process *process)
{
    pthread_mutex_lock(&process->lock);
    process->stopped = true;
    pthread_cond_broadcast(&process->changed);
    pthread_mutex_unlock(&process->lock);
}

static void on_signal_closed(uv_handle_t *handle)
{
    struct cmd_process *process = handle->data;
    if (--process->signals_open == 0)
        report_stopped(process);
}

static void close_signals(struct cmd_process *process)
{
    size_t count = process->signals_open;
    for (size_t i = 0; i < count; i++)
        uv_close((uv_handle_t *)&process->signals[i], on_signal_closed);
}

static void close_signals_task(struct nx_task *task)
{
    close_signals(NX_OWNER(struct cmd_process, next_step, task));
}

static void drop_client(struct cmd_process *process)
{
    if (atomic_fetch_sub(&process->clients_open, 1) != 1)
        return;
    process->next_step.run = close_signals_task;
    nx_worker_reply(nx_workers_at(process->workers, 0), &process->next_step);
}

static void on_client_closed(void *user)
{
    drop_client(user);
}

static void close_client(struct nx_task *task)
{
    struct cmd_client_close *close = (struct cmd_client_close *)task;
    nx_rpc_client_close(close->client, on_client_closed, close->process);
}

static void on_ring_stopped(void *user)
{
    struct cmd_process *process = user;
    atomic_store(&process->clients_open, process->client_count + 1);
    for (size_t i = 0; i < process->client_count; i++) {
        struct cmd_client_close *close = &process->client_closes[i];
        close->task.run = close_client;
        close->process = process;
        close->client = process->clients[i];
        nx_worker_reply(nx_workers_at(process->workers, i), &close->task);
    }
    drop_client(process);
}

static void on_ingester_stopped(void *user)
{
    struct cmd_process *process = user;
    if (process->ring)
        nx_ring_stop(process->ring, on_ring_stopped, process);
    else
        on_ring_stopped(process);
}

static void on_querier_stopped(void *user)
{
    struct cmd_process *process = user;
    if (process->ing)
        ing_stop(process->ing, on_ingester_stopped, process);
    else
        on_ingester_stopped(process);
}

static void on_distributor_drained(void *user)
{
    struct cmd_process *process = user;
    if (process->qry)
        qry_stop(process->qry, on_querier_stopped, process);
    else
        on_querier_stopped(process);
}

static void drain_roles(struct nx_task *task)
{
    struct cmd_process *process = NX_OWNER(struct cmd_process, next_step, task);
    if (process->dist)
        dist_drain(process->dist, on_distributor_drained, process);
    else
        on_distributor_drained(process);
}

static void on_all_http_stopped(void *user)
{
    struct cmd_process *process = user;
    process->next_step.run = drain_roles;
    nx_worker_reply(nx_workers_at(process->workers, 0), &process->next_step);
}

static void on_http_stopped(void *user)
{
    struct cmd_process *process = user;
    if (process->internal_http)
        nx_http_server_stop(process->internal_http, (uint64_t)process->settings.shutdown_grace_ms,
                            on_all_http_stopped, process);
    else
        on_all_http_stopped(process);
}

void cmd_process_drain(struct cmd_process *process)
{
    if (atomic_exchange(&process->draining, true))
        return;
    nx_log(process->log, NX_LOG_INFO, "draining");
    nx_notices_raise(process->notices, NX_NOTICE_STOPPING);
    if (process->ing)
        nx_ring_set_self_serving(process->ring, false); /* a restart: it stays a member */
    nx_http_server_stop(process->http, (uint64_t)process->settings.shutdown_grace_ms,
                        on_http_stopped, process);
}

void cmd_process_abandon(struct cmd_process *process)
{
    atomic_store(&process->draining, true);
    if (process->http)
        nx_http_server_stop(process->http, 0, on_http_stopped, process);
}
