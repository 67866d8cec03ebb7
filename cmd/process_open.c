/* What a process is made of, in the order in which it is opened: log, metrics, workers, HTTP, RPC,
 * signals, ingester, ring, RPC clients, distributor, querier; then it listens. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cmd/process_internal.h"
#include "common/base/alloc.h"

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
    if (!err)
        err = nx_notices_new(process->clock, &process->notices);
    if (!err)
        nx_notices_raise(process->notices, NX_NOTICE_STARTING);
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
        .etcd = {.endpoints = settings->ring_etcd_endpoints,
                 .ca_file = settings->ring_etcd_ca,
                 .cert_file = settings->ring_etcd_cert,
                 .key_file = settings->ring_etcd_key,
                 .user = settings->ring_etcd_user,
                 .password = settings->ring_etcd_password},
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
                 .is_only = is_only_member(settings),
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
        .etcd = strcmp(process->settings.ring_options.backend, "etcd") == 0
                    ? &process->settings.ring_options.etcd
                    : NULL,
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
        .notices = process->notices,
    };
    enum nx_err err = nx_log_child(process->root_log, "querier", &deps.log);
    return err ? err : qry_new(&deps, &process->qry, fail);
}

enum nx_err cmd_process_open(struct cmd_process *process, struct nx_fail *fail)
{
    enum nx_err err = open_observability(process);
    if (!err)
        err = open_net(process, fail);
    if (!err)
        err = cmd_process_watch_signals(process);
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
