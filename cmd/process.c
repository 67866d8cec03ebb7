/* Set-up order: configuration, log, metrics, workers, HTTP, RPC, ingester, ring, distributor,
 * querier, listen, start. The workers run from then on; the main thread brings the ingester's data
 * back while requests for it are refused, and then declares the process ready. The drain runs on
 * worker 0 as a chain of steps, each calling the next when it is done: HTTP stops taking requests
 * and finishes those in flight, then distributor, querier, ingester, ring, RPC clients and signal
 * handles; the main thread then joins the workers and frees everything in mirrored order. A start
 * that failed half-way ends in the same way, with the steps of what was never opened left out. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/process_internal.h"
#include "common/base/alloc.h"
#include "common/base/owner.h"

/* --- drain --- */

struct client_close {
    struct nx_task task;
    struct cmd_process *process;
    struct nx_rpc_client *client;
};

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
    struct client_close *close = (struct client_close *)task;
    nx_rpc_client_close(close->client, on_client_closed, close->process);
}

static void on_ring_stopped(void *user)
{
    struct cmd_process *process = user;
    atomic_store(&process->clients_open, process->client_count + 1);
    for (size_t i = 0; i < process->client_count; i++) {
        struct client_close *close = &process->client_closes[i];
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

static void begin_drain(struct cmd_process *process)
{
    if (atomic_exchange(&process->draining, true))
        return;
    nx_log(process->log, NX_LOG_INFO, "draining");
    if (process->ing)
        nx_ring_set_self_serving(process->ring, false); /* a restart: it stays a member */
    nx_http_server_stop(process->http, (uint64_t)process->settings.shutdown_grace_ms,
                        on_http_stopped, process);
}

/* After a start that failed, before any worker ran: the workers' end runs the steps. */
static void abandon(struct cmd_process *process)
{
    atomic_store(&process->draining, true);
    if (process->http)
        nx_http_server_stop(process->http, 0, on_http_stopped, process);
}

/* --- reload --- */

static enum nx_err read_overrides(struct cmd_process *process, const char *path,
                                  struct nx_fail *fail)
{
    struct nx_overrides_draft *draft;
    enum nx_err err = nx_overrides_read(path, &draft, fail);
    if (err)
        return err;
    nx_overrides_draft_free(process->next_overrides);
    process->next_overrides = draft;
    return NX_OK;
}

static void take_overrides(struct cmd_process *process)
{
    nx_overrides_take(process->overrides, process->next_overrides);
    process->next_overrides = NULL;
}

static enum nx_err read_scrape(struct cmd_process *process, const char *path, struct nx_fail *fail)
{
    return process->dist ? dist_reload_check(process->dist, path, fail) : NX_OK;
}

/* Without a configuration file, the files that the flags name are all that can have changed. */
static enum nx_err read_named_files(struct cmd_process *process, struct nx_fail *fail)
{
    enum nx_err err = read_overrides(process, process->settings.overrides_file, fail);
    return err || !process->dist
               ? err
               : read_scrape(process, process->settings.dist.scrape_config_file, fail);
}

/* The last check of a reload: where the overrides have a mistake or the ring refuses the new
 * members, nothing is taken over. */
static enum nx_err take_members(void *user, const struct nx_config_draft *draft,
                                struct nx_fail *fail)
{
    struct cmd_process *process = user;
    enum nx_err err =
        read_overrides(process, nx_config_draft_text(draft, "tenants.overrides-file"), fail);
    if (!err && process->dist)
        err = read_scrape(process, nx_config_draft_text(draft, "scrape.config-file"), fail);
    if (err)
        return err;
    if (process->settings.ring_backend != 0)
        return NX_OK; /* the list comes from elsewhere */
    const char *members = nx_config_draft_text(draft, "ring.members");
    if (!*members)
        members = process->settings.implied_members;
    if (!members)
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "ring.members: empty; expected name@host:port[/zone],...");
    return nx_ring_set_members(process->ring, members, fail);
}

/* Every worker but the first waits while the first changes the settings, which all of them read.
 * Threads of lanes do not wait: their jobs get what they need of the settings from the worker that
 * submits them. */
struct reload_pause {
    struct nx_task task;
    struct cmd_process *process;
};

static void pause_worker(struct nx_task *task)
{
    struct cmd_process *process = ((struct reload_pause *)task)->process;
    pthread_mutex_lock(&process->lock);
    process->paused++;
    pthread_cond_broadcast(&process->changed);
    while (process->reloading)
        pthread_cond_wait(&process->changed, &process->lock);
    process->paused--;
    pthread_cond_broadcast(&process->changed);
    pthread_mutex_unlock(&process->lock);
}

static void wait_paused(struct cmd_process *process, size_t count)
{
    while (process->paused != count)
        pthread_cond_wait(&process->changed, &process->lock);
}

static enum nx_err apply_config(struct cmd_process *process, struct nx_fail *fail,
                                struct nx_buf *ignored)
{
    enum nx_err err = process->config_path
                          ? nx_config_reload(process->config, process->config_path, ignored, fail)
                          : read_named_files(process, fail);
    if (err)
        return err;
    take_overrides(process);
    if (process->dist)
        dist_reload_take(process->dist);
    nx_log_set_level(process->root_log, (enum nx_log_level)process->settings.log_level);
    return NX_OK;
}

static enum nx_err apply_paused(struct cmd_process *process, struct nx_fail *fail,
                                struct nx_buf *ignored)
{
    size_t others = nx_workers_count(process->workers) - 1;
    struct reload_pause *pauses = nx_calloc(others + 1, sizeof *pauses);
    if (!pauses)
        return nx_fail_set(fail, NX_ERR_NOMEM, "%s", nx_err_text(NX_ERR_NOMEM));
    pthread_mutex_lock(&process->lock);
    process->reloading = true;
    for (size_t i = 0; i < others; i++) {
        pauses[i] = (struct reload_pause){.task = {.run = pause_worker}, .process = process};
        nx_worker_reply(nx_workers_at(process->workers, i + 1), &pauses[i].task);
    }
    wait_paused(process, others);
    pthread_mutex_unlock(&process->lock);

    enum nx_err err = apply_config(process, fail, ignored);

    pthread_mutex_lock(&process->lock);
    process->reloading = false;
    pthread_cond_broadcast(&process->changed);
    wait_paused(process, 0);
    pthread_mutex_unlock(&process->lock);
    nx_free(pauses);
    return err;
}

enum nx_err cmd_process_reload(struct cmd_process *process, struct nx_fail *fail,
                               struct nx_buf *ignored)
{
    bool scrapes = process->dist && *process->settings.dist.scrape_config_file;
    if (!process->config_path && !*process->settings.overrides_file && !scrapes)
        return nx_fail_set(fail, NX_ERR_CONFIG,
                           "started without --config: there is no file to read again");
    enum nx_err err = apply_paused(process, fail, ignored);
    if (!err && process->ing)
        ing_reload(process->ing);
    if (err)
        nx_log(process->log, NX_LOG_ERROR, "configuration not reloaded",
               NX_S("reason", nx_fail_text(fail)));
    else
        nx_log(process->log, NX_LOG_INFO, "configuration reloaded",
               NX_V("needs_restart", nx_buf_view(ignored)));
    return err;
}

/* --- signals --- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct cmd_process *process = handle->data;
    if (number != SIGHUP)
        begin_drain(process);
    if (atomic_load(&process->draining))
        return;
    struct nx_fail fail = {.code = NX_OK};
    struct nx_buf ignored;
    nx_buf_init(&ignored, 65536);
    enum nx_err err = cmd_process_reload(process, &fail, &ignored);
    (void)err; /* logged where it happened */
    nx_buf_release(&ignored);
}

static enum nx_err open_signals(struct cmd_process *process)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    uv_loop_t *loop = nx_worker_loop(nx_workers_at(process->workers, 0));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int status = uv_signal_init(loop, &process->signals[i]);
        if (status)
            return nx_err_from_uv(status);
        process->signals[i].data = process;
        process->signals_open++;
        status = uv_signal_start(&process->signals[i], on_signal, numbers[i]);
        if (status)
            return nx_err_from_uv(status);
    }
    return NX_OK;
}

/* --- set-up --- */

/* Takes --config out of the arguments; the rest is for the settings. */
static enum nx_err take_config_flag(struct cmd_process *process, int *argc, char **argv,
                                    struct nx_fail *fail)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], "--config=", 9) == 0) {
            process->config_path = argv[i] + 9;
        } else if (strcmp(argv[i], "--config") == 0) {
            if (++i == *argc)
                return nx_fail_set(fail, NX_ERR_CONFIG, "--config: expected a file");
            process->config_path = argv[i];
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return NX_OK;
}

static enum nx_err configure(struct cmd_process *process, int argc, char **argv,
                             struct nx_fail *fail)
{
    enum nx_err err = take_config_flag(process, &argc, argv, fail);
    if (!err)
        err = cmd_settings_open(process->roles, &process->settings, &process->config);
    if (!err && process->config_path)
        err = nx_config_load_file(process->config, process->config_path, fail);
    if (!err)
        err = nx_config_load_flags(process->config, argc, argv, fail);
    if (!err)
        err = cmd_settings_complete(process->roles, &process->settings, &process->arena, fail);
    if (!err)
        err = nx_overrides_new(&process->overrides);
    if (!err)
        err = read_overrides(process, process->settings.overrides_file, fail);
    if (err)
        return err;
    take_overrides(process);
    nx_config_on_reload(process->config, take_members, process);
    return NX_OK;
}

static enum nx_err open_observability(struct cmd_process *process)
{
    struct cmd_settings *settings = &process->settings;
    process->clock = nx_clock_system();
    enum nx_err err =
        nx_log_new(process->clock, (enum nx_log_level)settings->log_level,
                   (enum nx_log_format)settings->log_format, STDERR_FILENO, &process->root_log);
    if (!err)
        err = nx_log_child(process->root_log, "process", &process->log);
    if (!err)
        err = nx_telemetry_new(&process->telemetry);
    if (!err)
        err = nx_telemetry_register_process(process->telemetry);
    return err;
}

static enum nx_err open_server(struct cmd_process *process, const char *key, const char *address,
                               struct nx_http_server **out, struct nx_fail *fail)
{
    struct cmd_settings *settings = &process->settings;
    struct nx_http_server_options options = {
        .max_connections = (size_t)settings->max_connections,
        .header_timeout_ms = (uint64_t)settings->header_timeout_ms,
        .body_timeout_ms = (uint64_t)settings->body_timeout_ms,
        .idle_timeout_ms = (uint64_t)settings->idle_timeout_ms,
        .write_timeout_ms = (uint64_t)settings->write_timeout_ms,
    };
    struct nx_log *log = NULL;
    enum nx_err err =
        cmd_split_address(key, address, &process->arena, &options.host, &options.port, fail);
    if (!err)
        err = nx_log_child(process->root_log, "http", &log);
    if (!err)
        err = nx_http_server_new(&options, process->workers, log, process->telemetry, out);
    return err;
}

/* What all nodes of a cluster must have in common, since placement follows from it. */
static void name_cluster(struct cmd_process *process)
{
    const struct cmd_settings *settings = &process->settings;
    (void)snprintf(process->cluster, sizeof process->cluster, "%s/%" PRId64 "/%" PRId64,
                   settings->ring_cluster, settings->ring_partitions,
                   settings->ring_replication_factor);
}

static enum nx_err open_net(struct cmd_process *process, struct nx_fail *fail)
{
    struct cmd_settings *settings = &process->settings;
    struct nx_workers_options options = {.count = (size_t)settings->workers, .name = "worker"};
    struct nx_log *log = NULL;
    name_cluster(process);
    enum nx_err err = nx_workers_new(&options, &process->workers);
    if (!err)
        err = nx_workers_observe(process->workers, process->telemetry);
    if (!err)
        err = open_server(process, "server.listen", settings->listen, &process->http, fail);
    if (!err && *settings->internal_listen)
        err = open_server(process, "server.internal-listen", settings->internal_listen,
                          &process->internal_http, fail);
    if (!err)
        err = nx_log_child(process->root_log, "rpc", &log);
    if (!err)
        err = nx_rpc_server_new(process->internal_http ? process->internal_http : process->http,
                                process->workers, log, &process->rpc);
    if (!err)
        err = nx_rpc_server_set_cluster(process->rpc, process->cluster);
    return err;
}

/* The address under which the member list knows this node: calls to it stay in the process. */
static const char *own_address(struct cmd_process *process)
{
    struct nx_ring_view *view = nx_ring_acquire(process->ring);
    const char *address = process->settings.node_advertise;
    for (size_t i = 0; i < view->member_count; i++) {
        if (strcmp(view->members[i].name, process->settings.node_name) == 0) {
            struct nx_view copy =
                nx_arena_copy(&process->arena, nx_view_of(view->members[i].address));
            address = copy.ptr;
        }
    }
    nx_ring_release(view);
    return address;
}

static enum nx_err open_clients(struct cmd_process *process)
{
    size_t count = nx_workers_count(process->workers);
    struct nx_log *log = NULL;
    const char *address = own_address(process);
    process->clients = nx_calloc(count, sizeof(struct nx_rpc_client *));
    process->client_closes = nx_calloc(count, sizeof *process->client_closes);
    if (!process->clients || !process->client_closes || !address)
        return NX_ERR_NOMEM;
    enum nx_err err = nx_log_child(process->root_log, "rpc-client", &log);
    for (size_t i = 0; i < count && !err; i++) {
        err = nx_rpc_client_new(nx_workers_at(process->workers, i), log,
                                process->roles & CMD_INGESTER ? process->rpc : NULL, address,
                                &process->clients[i]);
        if (err)
            return err;
        process->client_count++;
        err = nx_rpc_client_set_cluster(process->clients[i], process->cluster);
    }
    return err;
}

static enum nx_err open_ingester(struct cmd_process *process, struct nx_fail *fail)
{
    if (!(process->roles & CMD_INGESTER))
        return NX_OK;
    struct ing_deps deps = {
        .settings = &process->settings.ing,
        .limits = &process->settings.limits,
        .overrides = process->overrides,
        .node_name = process->settings.node_name,
        .partitions = (uint32_t)process->settings.ring_partitions,
        .workers = process->workers,
        .http = process->http,
        .rpc = process->rpc,
        .fs = nx_fs_posix(),
        .clock = process->clock,
        .telemetry = process->telemetry,
    };
    enum nx_err err = nx_log_child(process->root_log, "ingester", &deps.log);
    return err ? err : ing_new(&deps, &process->ing, fail);
}

/* Nobody else is in the list, so nobody could refill it: it is ACTIVE at once. */
static bool is_only_member(const struct cmd_settings *settings)
{
    return settings->ring_backend == 0 && !strchr(settings->ring_members, ',');
}

static enum nx_err open_ring(struct cmd_process *process, struct nx_fail *fail)
{
    struct cmd_settings *settings = &process->settings;
    static const char *const backends[] = {"static", "dns", "etcd"}; /* as the setting has them */
    settings->ring_options = (struct nx_ring_options){
        .backend = backends[settings->ring_backend],
        .members = settings->ring_members,
        .dns = settings->ring_dns,
        .dns_server = settings->ring_dns_server,
        .dns_interval_ms = (uint64_t)settings->dns_interval_ms,
        .etcd_endpoints = settings->ring_etcd_endpoints,
        .forget_after_ms = (uint64_t)settings->forget_after_ms,
        .cluster = settings->ring_cluster,
        .partitions = (uint32_t)settings->ring_partitions,
        .rf = (uint32_t)settings->ring_replication_factor,
        .heartbeat_interval_ms = (uint64_t)settings->heartbeat_interval_ms,
        .heartbeat_timeout_ms = (uint64_t)settings->heartbeat_timeout_ms,
        .self = {.name = settings->node_name,
                 .is_distributor = (process->roles & CMD_DISTRIBUTOR) != 0,
                 .is_member = process->ing != NULL,
                 .incarnation = process->ing ? ing_incarnation(process->ing) : 0,
                 .fresh = process->ing && ing_is_fresh(process->ing) && !is_only_member(settings),
                 .state_dir = process->ing ? settings->ing.data_dir : NULL,
                 .zone = settings->node_zone,
                 .weight = settings->node_weight},
        .max_skew_ms = (uint64_t)settings->max_clock_skew_ms,
        .address = settings->node_advertise,
        .fs = nx_fs_posix(),
    };
    struct nx_log *log = NULL;
    enum nx_err err = nx_log_child(process->root_log, "ring", &log);
    return err ? err
               : nx_ring_new(&settings->ring_options, process->clock, process->rpc, log,
                             process->telemetry, &process->ring, fail);
}

static enum nx_err open_distributor(struct cmd_process *process, struct nx_fail *fail)
{
    if (!(process->roles & CMD_DISTRIBUTOR))
        return NX_OK;
    struct dist_deps deps = {
        .settings = &process->settings.dist,
        .limits = &process->settings.limits,
        .overrides = process->overrides,
        .workers = process->workers,
        .http = process->http,
        .clients = process->clients,
        .ring = process->ring,
        .clock = process->clock,
        .telemetry = process->telemetry,
        .rpc = process->rpc,
        .address = process->settings.node_advertise,
        .cluster = process->settings.ring_cluster,
        .serves_targets = !(process->roles & CMD_QUERIER),
    };
    enum nx_err err = nx_log_child(process->root_log, "distributor", &deps.log);
    return err ? err : dist_new(&deps, &process->dist, fail);
}

static enum nx_err open_querier(struct cmd_process *process, struct nx_fail *fail)
{
    if (!(process->roles & CMD_QUERIER))
        return NX_OK;
    struct qry_deps deps = {
        .settings = &process->settings.qry,
        .config = process->config,
        .workers = process->workers,
        .http = process->http,
        .clients = process->clients,
        .ring = process->ring,
        .clock = process->clock,
        .telemetry = process->telemetry,
    };
    enum nx_err err = nx_log_child(process->root_log, "querier", &deps.log);
    return err ? err : qry_new(&deps, &process->qry, fail);
}

static enum nx_err open_process(struct cmd_process *process, struct nx_fail *fail)
{
    enum nx_err err = open_observability(process);
    if (!err)
        err = open_net(process, fail);
    if (!err)
        err = open_signals(process);
    if (!err)
        err = open_ingester(process, fail);
    if (!err)
        err = open_ring(process, fail);
    if (!err && process->ing)
        ing_set_ring(process->ing, process->ring);
    if (!err)
        err = open_clients(process);
    if (!err)
        err = cmd_endpoints_add(process, process->http);
    if (!err)
        err = open_distributor(process, fail);
    if (!err)
        err = open_querier(process, fail);
    if (!err)
        err = nx_http_server_alias(process->http, "/prometheus");
    if (!err)
        err = nx_http_server_listen(process->http, fail);
    if (!err && process->internal_http)
        err = nx_http_server_listen(process->internal_http, fail);
    return err;
}

static enum nx_err start_process(struct cmd_process *process)
{
    enum nx_err err = nx_ring_start(process->ring, process->clients[0]);
    return err ? err : nx_workers_start(process->workers);
}

static void begin_drain_task(struct nx_task *task)
{
    begin_drain(NX_OWNER(struct cmd_process, begin, task));
}

/* On worker 0, as the drain is: one of them comes first. */
static void serve_task(struct nx_task *task)
{
    struct cmd_process *process = NX_OWNER(struct cmd_process, begin, task);
    if (atomic_load(&process->draining))
        return;
    enum nx_err err = process->ing ? ing_start(process->ing) : NX_OK;
    if (!err && process->ing)
        err = ing_join(process->ing, process->ring, process->clients[0]);
    if (err) {
        nx_log(process->log, NX_LOG_ERROR, "cannot start", NX_E(err));
        process->failed = true;
        begin_drain(process);
        return;
    }
    if (process->ing)
        nx_ring_set_self_serving(process->ring, true);
    if (process->dist)
        dist_start(process->dist);
    atomic_store(&process->ready, true);
    nx_log(process->log, NX_LOG_INFO, "serving", NX_S("address", process->settings.listen),
           NX_S("node", process->settings.node_name), NX_S("version", NARTHEX_VERSION));
}

/* While the workers run. */
static enum nx_err make_ready(struct cmd_process *process, struct nx_fail *fail)
{
    enum nx_err err = process->ing ? ing_recover(process->ing, fail) : NX_OK;
    process->begin.run = err ? begin_drain_task : serve_task;
    nx_worker_reply(nx_workers_at(process->workers, 0), &process->begin);
    return err;
}

static void wait_stopped(struct cmd_process *process)
{
    pthread_mutex_lock(&process->lock);
    while (!process->stopped)
        pthread_cond_wait(&process->changed, &process->lock);
    pthread_mutex_unlock(&process->lock);
}

static void close_process(struct cmd_process *process)
{
    if (process->workers)
        nx_workers_stop(process->workers);
    qry_free(process->qry);
    dist_free(process->dist);
    nx_ring_free(process->ring);
    ing_free(process->ing);
    nx_rpc_server_free(process->rpc);
    nx_http_server_free(process->internal_http);
    nx_http_server_free(process->http);
    nx_workers_free(process->workers);
    nx_telemetry_free(process->telemetry);
    nx_log_free(process->root_log);
    nx_free(process->clients);
    nx_free(process->client_closes);
    nx_overrides_draft_free(process->next_overrides);
    nx_overrides_free(process->overrides);
    nx_config_free(process->config);
}

static int serve(struct cmd_process *process, int argc, char **argv)
{
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = configure(process, argc, argv, &fail);
    if (err) {
        (void)fprintf(stderr, "narthex: %s\n", fail.code ? nx_fail_text(&fail) : nx_err_text(err));
        return err == NX_ERR_CONFIG || err == NX_ERR_INVALID ? 2 : 1;
    }
    err = open_process(process, &fail);
    if (!err)
        err = start_process(process);
    if (err) {
        (void)fprintf(stderr, "narthex: cannot start: %s\n",
                      fail.code ? nx_fail_text(&fail) : nx_err_text(err));
        abandon(process);
        return err == NX_ERR_CONFIG ? 2 : 1;
    }
    err = make_ready(process, &fail);
    wait_stopped(process);
    if (err == NX_ERR_CLOSED)
        err = NX_OK; /* stopped while it was starting */
    if (err)
        (void)fprintf(stderr, "narthex: cannot start: %s\n", nx_fail_text(&fail));
    nx_log(process->log, NX_LOG_INFO, "stopped");
    return err || process->failed ? 1 : 0;
}

int cmd_process_run(unsigned roles, int argc, char **argv)
{
    struct cmd_process process = {.roles = roles};
    nx_arena_init(&process.arena, 0);
    pthread_mutex_init(&process.lock, NULL);
    pthread_cond_init(&process.changed, NULL);
    /* A peer that goes away is a failed write, not the end of the process. */
    (void)signal(SIGPIPE, SIG_IGN);

    int status = serve(&process, argc, argv);
    close_process(&process);
    nx_arena_release(&process.arena);
    pthread_cond_destroy(&process.changed);
    pthread_mutex_destroy(&process.lock);
    return status;
}
