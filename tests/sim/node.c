#include "tests/sim/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/owner.h"
#include "tests/sim/disk.h"
#include "tests/sim/turn.h"

#define CLUSTER "sim"

void sim_settings_init(struct sim_settings *settings)
{
    *settings = (struct sim_settings){.partitions = 32, .rf = 3, .workers = 2};
    struct nx_setting_group groups[] = {
        nx_limit_setting_group(&settings->limits), dist_setting_group(&settings->dist),
        ing_setting_group(&settings->ing), qry_setting_group(&settings->qry)};
    enum nx_err err = nx_config_new(groups, 4, &settings->config);
    sim_check(err == NX_OK, "settings");
    settings->max_clock_skew_ms = 30000;
    settings->heartbeat_interval_ms = 1000;
    settings->heartbeat_timeout_ms = 5000;
    settings->ing.data_dir = "/data";
    settings->ing.compaction_rate = 0;
    settings->dist.series_cache_bytes = 1 << 17;
    settings->qry.concurrency = 2;
    settings->qry.enable_admin_api = true;
}

void sim_settings_release(struct sim_settings *settings)
{
    nx_config_free(settings->config);
}

void sim_node_init(struct sim_node *node, uint32_t number, const char *name, unsigned roles,
                   const struct sim_settings *settings)
{
    *node = (struct sim_node){.roles = roles, .settings = settings, .weight = ""};
    sim_process_init(&node->process, number, name);
}

void sim_node_release(struct sim_node *node)
{
    sim_process_release(&node->process);
}

static void require(enum nx_err err, const char *what, const struct nx_fail *fail)
{
    if (err == NX_OK)
        return;
    (void)fprintf(stderr, "sim: %s: %s\n", what,
                  fail && fail->code ? nx_fail_text(fail) : nx_err_text(err));
    sim_check(false, "a node that starts");
}

/* --- start ------------------------------------------------------------------------------------ */

static void open_net(struct sim_node *node, const char *cluster)
{
    struct nx_workers_options workers = {.count = node->settings->workers};
    struct nx_http_server_options http = {.port = 0};
    struct nx_http_server *server = NULL;
    struct nx_rpc_server *rpc = NULL;
    require(nx_telemetry_new(&node->telemetry), "telemetry", NULL);
    require(nx_workers_new(&workers, &node->workers), "workers", NULL);
    require(nx_http_server_new(&http, node->workers, NULL, NULL, &server), "http", NULL);
    require(nx_rpc_server_new(server, node->workers, NULL, &rpc), "rpc", NULL);
    require(nx_rpc_server_set_cluster(rpc, cluster), "rpc", NULL);
}

static enum nx_err open_ingester(struct sim_node *node)
{
    struct nx_fail fail = {.code = NX_OK};
    struct sim_process *process = &node->process;
    struct ing_deps deps = {.settings = &node->settings->ing,
                            .limits = &node->settings->limits,
                            .node_name = process->name,
                            .partitions = node->settings->partitions,
                            .workers = node->workers,
                            .http = process->http,
                            .rpc = process->rpc,
                            .fs = nx_fs_posix(),
                            .clock = &process->clock.base,
                            .log = process->log,
                            .telemetry = node->telemetry};
    if (!(node->roles & SIM_INGESTER))
        return NX_OK;
    enum nx_err err = ing_new(&deps, &node->ing, &fail);
    if (err != NX_OK)
        sim_trace("cannot start: %s", nx_fail_text(&fail));
    return err;
}

static enum nx_err open_ring(struct sim_node *node)
{
    struct nx_fail fail = {.code = NX_OK};
    const struct sim_settings *settings = node->settings;
    struct sim_process *process = &node->process;
    struct nx_ring_options options = {
        .backend = "static",
        .members = settings->members,
        .cluster = CLUSTER,
        .partitions = settings->partitions,
        .rf = settings->rf,
        .heartbeat_interval_ms = settings->heartbeat_interval_ms,
        .heartbeat_timeout_ms = settings->heartbeat_timeout_ms,
        .max_skew_ms = settings->max_clock_skew_ms,
        .address = process->address,
        .fs = nx_fs_posix(),
        .self = {.name = process->name,
                 .is_member = node->ing != NULL,
                 .is_distributor = (node->roles & SIM_DISTRIBUTOR) != 0,
                 .incarnation = node->ing ? ing_incarnation(node->ing) : 0,
                 .fresh = node->ing && ing_is_fresh(node->ing),
                 .state_dir = node->ing ? settings->ing.data_dir : NULL,
                 .zone = node->zone}};
    enum nx_err err = nx_ring_new(&options, &process->clock.base, process->rpc, process->log,
                                  node->telemetry, &node->ring, &fail);
    if (err != NX_OK)
        sim_trace("cannot start: %s", nx_fail_text(&fail));
    return err;
}

static void open_clients(struct sim_node *node, const char *cluster)
{
    size_t count = node->settings->workers;
    node->clients = sim_process_calloc(count, sizeof(struct nx_rpc_client *));
    for (size_t i = 0; i < count; i++) {
        require(
            nx_rpc_client_new(nx_workers_at(node->workers, i), NULL, NULL, NULL, &node->clients[i]),
            "client", NULL);
        require(nx_rpc_client_set_cluster(node->clients[i], cluster), "client", NULL);
    }
}

static void open_front(struct sim_node *node)
{
    struct nx_fail fail = {.code = NX_OK};
    struct sim_process *process = &node->process;
    struct dist_deps dist = {.settings = &node->settings->dist,
                             .limits = &node->settings->limits,
                             .workers = node->workers,
                             .http = process->http,
                             .clients = node->clients,
                             .ring = node->ring,
                             .clock = &process->clock.base,
                             .log = process->log,
                             .telemetry = node->telemetry,
                             .address = "sim",
                             .cluster = "sim"};
    struct qry_deps qry = {.settings = &node->settings->qry,
                           .config = node->settings->config,
                           .workers = node->workers,
                           .http = process->http,
                           .clients = node->clients,
                           .ring = node->ring,
                           .clock = &process->clock.base,
                           .log = process->log,
                           .telemetry = node->telemetry};
    if (node->roles & SIM_DISTRIBUTOR)
        require(dist_new(&dist, &node->dist, &fail), "dist_new", &fail);
    if (node->roles & SIM_QUERIER)
        require(qry_new(&qry, &node->qry, &fail), "qry_new", &fail);
}

/* A start that the disk did not allow is tried again, as systemd does it. */
struct again {
    struct sim_event event;
    struct sim_node *node;
};

static void again_drop(struct sim_event *event)
{
    free(NX_OWNER(struct again, event, event));
}

static void again_run(struct sim_event *event)
{
    struct sim_node *node = NX_OWNER(struct again, event, event)->node;
    again_drop(event);
    if (!node->process.up)
        sim_node_start(node);
}

static void start_failed(struct sim_node *node)
{
    struct again *again = sim_calloc(1, sizeof *again);
    again->node = node;
    again->event = (struct sim_event){.kind = SIM_FAULT, .run = again_run, .drop = again_drop};
    sim_node_crash(node, false);
    sim_after(&again->event, NULL, 5 * SIM_S);
}

/* The replay takes no time of its own, but begins some time after the start: until then requests
 * find an ingester that does not serve. */
struct replay {
    struct sim_event event;
    struct sim_node *node;
};

static void replay_drop(struct sim_event *event)
{
    free(NX_OWNER(struct replay, event, event));
}

static void replay_run(struct sim_event *event)
{
    struct replay *replay = NX_OWNER(struct replay, event, event);
    struct sim_node *node = replay->node;
    struct nx_fail fail = {.code = NX_OK};
    free(replay);
    if (node->stopping)
        return;
    enum nx_err err = node->ing ? ing_recover(node->ing, &fail) : NX_OK;
    if (err == NX_ERR_NOSPACE || err == NX_ERR_IO) { /* of a disk that ails: it ends, as narthex */
        sim_trace("cannot start: %s", nx_fail_text(&fail));
        start_failed(node);
        return;
    }
    require(err, "ing_recover", &fail);
    struct nx_worker *before = sim_turn(nx_workers_at(node->workers, 0));
    if (node->ing) {
        require(ing_start(node->ing), "ing_start", &fail);
        require(ing_join(node->ing, node->ring, node->clients[0]), "ing_join", &fail);
        nx_ring_set_self_serving(node->ring, true);
    }
    (void)sim_turn(before);
    node->serving = true;
    sim_trace("serving");
}

void sim_node_start(struct sim_node *node)
{
    char cluster[64];
    const struct sim_settings *settings = node->settings;
    (void)snprintf(cluster, sizeof cluster, "%s/%u/%u", CLUSTER, settings->partitions,
                   settings->rf);
    sim_process_begin(&node->process);
    node->serving = node->stopping = false;
    node->ing = NULL;
    node->dist = NULL;
    node->qry = NULL;
    struct sim_process *outer = sim_enter(&node->process);
    sim_trace("start");
    open_net(node, cluster);
    if (open_ingester(node) != NX_OK || open_ring(node) != NX_OK) {
        start_failed(node);
        (void)sim_enter(outer);
        return;
    }
    open_clients(node, cluster);
    open_front(node);
    if (node->ing)
        ing_set_ring(node->ing, node->ring);
    struct nx_worker *before = sim_turn(nx_workers_at(node->workers, 0));
    require(nx_ring_start(node->ring, node->clients[0]), "nx_ring_start", NULL);
    (void)sim_turn(before);
    require(nx_workers_start(node->workers), "workers", NULL);
    struct replay *replay = sim_calloc(1, sizeof *replay);
    replay->node = node;
    replay->event = (struct sim_event){.kind = SIM_FAULT, .run = replay_run, .drop = replay_drop};
    sim_after(&replay->event, &node->process, sim_between(1, 3000) * SIM_MS);
    (void)sim_enter(outer);
}

/* --- orderly end: the steps of cmd/process.c ---------------------------------------------------
 */

static void close_all(struct nx_task *task)
{
    struct sim_node *node = NX_OWNER(struct sim_node, step, task);
    struct sim_process *process = &node->process;
    struct nx_worker *before = sim_turn(NULL);
    nx_workers_stop(node->workers);
    qry_free(node->qry);
    dist_free(node->dist);
    nx_ring_free(node->ring);
    ing_free(node->ing);
    nx_rpc_server_free(process->rpc);
    nx_http_server_free(process->http);
    nx_telemetry_free(node->telemetry);
    nx_free(node->clients);
    nx_workers_free(node->workers);
    (void)sim_turn(before);
    sim_trace("ended");
    node->serving = node->stopping = false;
    sim_process_ended(process);
}

/* The last step leaves the mailbox before it frees it. */
struct ending {
    struct sim_event event;
    struct sim_node *node;
};

static void ending_drop(struct sim_event *event)
{
    free(NX_OWNER(struct ending, event, event));
}

static void ending_run(struct sim_event *event)
{
    struct ending *ending = NX_OWNER(struct ending, event, event);
    struct sim_node *node = ending->node;
    free(ending);
    close_all(&node->step);
}

static void on_client_closed(void *user)
{
    struct sim_node *node = user;
    if (--node->clients_open > 0)
        return;
    struct ending *ending = sim_calloc(1, sizeof *ending);
    ending->node = node;
    ending->event = (struct sim_event){.kind = SIM_FAULT, .run = ending_run, .drop = ending_drop};
    sim_after(&ending->event, &node->process, SIM_MS);
}

static void on_ring_stopped(void *user)
{
    struct sim_node *node = user;
    node->clients_open = node->settings->workers;
    for (size_t i = 0; i < node->settings->workers; i++) {
        struct nx_worker *before = sim_turn(nx_workers_at(node->workers, i));
        nx_rpc_client_close(node->clients[i], on_client_closed, node);
        (void)sim_turn(before);
    }
}

static void on_ingester_stopped(void *user)
{
    struct sim_node *node = user;
    nx_ring_stop(node->ring, on_ring_stopped, node);
}

static void on_querier_stopped(void *user)
{
    struct sim_node *node = user;
    if (node->ing)
        ing_stop(node->ing, on_ingester_stopped, node);
    else
        on_ingester_stopped(node);
}

static void on_distributor_drained(void *user)
{
    struct sim_node *node = user;
    if (node->qry)
        qry_stop(node->qry, on_querier_stopped, node);
    else
        on_querier_stopped(node);
}

static void drain_roles(struct sim_node *node)
{
    if (node->dist)
        dist_drain(node->dist, on_distributor_drained, node);
    else
        on_distributor_drained(node);
}

static void on_http_stopped(void *user)
{
    drain_roles(user);
}

void sim_node_stop(struct sim_node *node)
{
    if (!node->process.up || node->stopping || node->process.hung)
        return;
    node->stopping = true;
    struct sim_process *outer = sim_enter(&node->process);
    sim_trace("SIGTERM");
    if (node->ing)
        nx_ring_set_self_serving(node->ring, false);
    nx_http_server_stop(node->process.http, 20000, on_http_stopped, node);
    (void)sim_enter(outer);
}

void sim_node_crash(struct sim_node *node, bool power)
{
    if (!node->process.up)
        return;
    sim_trace("%s: %s", node->process.name, power ? "power cut" : "kill -9");
    node->serving = node->stopping = false;
    sim_process_kill(&node->process, power);
    if (power)
        sim_disk_cut(node->process.disk);
}

static bool owns(const struct nx_ring_view *view, uint32_t partition, size_t member)
{
    for (uint32_t k = 0; k < view->rf; k++)
        if (nx_ring_owners(view, partition)[k] == member)
            return true;
    return false;
}

bool sim_node_is_whole(const struct sim_node *node)
{
    if (!node->serving || node->stopping || node->process.hung)
        return false;
    struct nx_ring_view *view = nx_ring_acquire(node->ring);
    bool whole = false;
    for (size_t i = 0; i < view->member_count; i++) {
        if (strcmp(view->members[i].name, node->process.name) != 0)
            continue;
        whole = view->members[i].state == NX_MEMBER_ACTIVE;
        for (uint32_t p = 0; p < view->partitions && whole; p++)
            whole = !owns(view, p, i) || nx_ring_is_whole(view, i, p);
    }
    nx_ring_release(view);
    return whole;
}

void sim_node_set_members(struct sim_node *node, const char *members)
{
    struct nx_fail fail = {.code = NX_OK};
    if (!node->process.up || node->process.hung)
        return;
    struct sim_process *outer = sim_enter(&node->process);
    require(nx_ring_set_members(node->ring, members, &fail), "nx_ring_set_members", &fail);
    (void)sim_enter(outer);
}
