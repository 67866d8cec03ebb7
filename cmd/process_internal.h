/* One process of any roles: what the files process*.c and endpoints.c share. */
#ifndef CMD_PROCESS_INTERNAL_H
#define CMD_PROCESS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "cmd/process.h"

/* The end of an RPC client, on its worker. */
struct cmd_client_close {
    struct nx_task task;
    struct cmd_process *process;
    struct nx_rpc_client *client;
};

struct cmd_process {
    unsigned roles;
    struct cmd_settings settings;
    const char *config_path; /* NULL: no file */
    char cluster[192];       /* NAME/PARTITIONS/REPLICATION-FACTOR, as each RPC names it */
    struct nx_arena arena;
    struct nx_config *config;
    struct nx_overrides *overrides;
    struct nx_overrides_draft *next_overrides; /* read, and to be taken with the settings */
    const struct nx_clock *clock;
    struct nx_log *root_log;
    struct nx_log *log;
    struct nx_telemetry *telemetry;
    struct nx_notices *notices;
    struct nx_workers *workers;
    struct nx_http_server *http;
    struct nx_http_server *internal_http; /* NULL: RPC is on `http` */
    struct nx_rpc_server *rpc;
    struct nx_ring *ring;
    struct nx_rpc_client **clients; /* one a worker */
    size_t client_count;            /* of them open */
    struct ingester *ing;
    struct distributor *dist;
    struct querier *qry;

    uv_signal_t signals[3];
    size_t signals_open;
    struct nx_task begin;     /* from the main thread to worker 0: the service, or the drain */
    bool failed;              /* the start, on worker 0; read when it has stopped */
    struct nx_task next_step; /* brings a `done` from another worker back to worker 0 */
    struct cmd_client_close *client_closes;
    atomic_size_t clients_open;
    atomic_bool ready;
    atomic_bool draining;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool stopped;
    bool reloading; /* workers but the first are to pause */
    size_t paused;  /* those that do */
};

/* Adds /metrics, /-/healthy, /-/ready, /-/reload, /api/v1/cluster and, where no querier serves it,
 * /api/v1/status/config. */
enum nx_err cmd_endpoints_add(struct cmd_process *process,
                              struct nx_http_server *http) NX_WARN_UNUSED;

/* Opens all that the roles need, and listens; before the workers run. */
enum nx_err cmd_process_open(struct cmd_process *process, struct nx_fail *fail) NX_WARN_UNUSED;

/* SIGTERM and SIGINT drain, SIGHUP reloads. */
enum nx_err cmd_process_watch_signals(struct cmd_process *process) NX_WARN_UNUSED;

/* Begins the end, once; on worker 0. `stopped` is set when it is over. */
void cmd_process_drain(struct cmd_process *process);

/* The same after a start that failed, before any worker ran: the workers' end runs the steps. */
void cmd_process_abandon(struct cmd_process *process);

/* Reads the overrides into `next_overrides`, which cmd_process_take_overrides takes. */
enum nx_err cmd_process_read_overrides(struct cmd_process *process, const char *path,
                                       struct nx_fail *fail) NX_WARN_UNUSED;
void cmd_process_take_overrides(struct cmd_process *process);

/* The last check of a reload (nx_config_on_reload): where the overrides or the targets to scrape
 * have a mistake, or the ring refuses the new members, nothing is taken over. */
enum nx_err cmd_process_take_members(void *user, const struct nx_config_draft *draft,
                                     struct nx_fail *fail) NX_WARN_UNUSED;

/* Reads the configuration again; on worker 0. The text says what came of it. */
enum nx_err cmd_process_reload(struct cmd_process *process, struct nx_fail *fail,
                               struct nx_buf *ignored) NX_WARN_UNUSED;

#endif
