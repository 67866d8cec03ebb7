/* A node of the cluster: a process with roles set up in it as `narthex` does (cmd/process.c), its
 * start, its orderly end and its death. */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "distributor/distributor.h"
#include "ingester/ingester.h"
#include "querier/querier.h"
#include "tests/sim/process.h"

enum sim_role { SIM_DISTRIBUTOR = 1, SIM_INGESTER = 2, SIM_QUERIER = 4 };

struct sim_settings {
    struct dist_settings dist;
    struct ing_settings ing;
    struct qry_settings qry;
    struct nx_limit_settings limits;
    struct nx_config *config;
    uint64_t max_clock_skew_ms;
    uint32_t partitions, rf;
    size_t workers;
    uint64_t heartbeat_interval_ms, heartbeat_timeout_ms;
    char members[1024]; /* as ring.members */
};

struct sim_node {
    struct sim_process process;
    unsigned roles;
    const struct sim_settings *settings;
    char zone[2];       /* "": none are set */
    const char *weight; /* as in the member list; "" */
    bool spare;         /* an ingester that is not a member, and down */
    bool leaving;       /* drained, until it is a spare */
    bool serving;
    bool stopping;
    /* memory of the process, while it is up: */
    struct nx_workers *workers;
    struct nx_telemetry *telemetry;
    struct ingester *ing;
    struct nx_ring *ring;
    struct nx_rpc_client **clients;
    size_t clients_open;
    struct distributor *dist;
    struct querier *qry;
    struct nx_task step;
};

/* Settings with the product's defaults. */
void sim_settings_init(struct sim_settings *settings);
void sim_settings_release(struct sim_settings *settings);

void sim_node_init(struct sim_node *node, uint32_t number, const char *name, unsigned roles,
                   const struct sim_settings *settings);
void sim_node_release(struct sim_node *node);
/* It must be down. An ingester serves after its replay, some time later. */
void sim_node_start(struct sim_node *node);
/* SIGTERM: drains, then is down. */
void sim_node_stop(struct sim_node *node);
/* kill -9, or a power cut. */
void sim_node_crash(struct sim_node *node, bool power);
/* Whether it serves, is ACTIVE, and says that it is whole. */
bool sim_node_is_whole(const struct sim_node *node);
/* SIGHUP with another member list. */
void sim_node_set_members(struct sim_node *node, const char *members);

#endif
