/* The settings of the process itself (sections server, node, ring, log, auth and the number of
 * workers), beside which each role brings a table of its own. */
#ifndef CMD_SETTINGS_H
#define CMD_SETTINGS_H

#include <stdbool.h>

#include "common/config/config.h"
#include "distributor/distributor.h"
#include "ingester/ingester.h"
#include "querier/querier.h"

/* What a process runs; bits, because `all` is the three of them. */
enum cmd_role { CMD_DISTRIBUTOR = 1, CMD_INGESTER = 2, CMD_QUERIER = 4, CMD_ALL = 7 };

struct cmd_settings {
    const char *listen;
    const char *internal_listen;
    int64_t max_connections;
    int64_t header_timeout_ms;
    int64_t body_timeout_ms;
    int64_t idle_timeout_ms;
    int64_t write_timeout_ms;
    int64_t shutdown_grace_ms;
    const char *node_name;
    const char *node_zone;
    const char *node_advertise;
    int ring_backend;
    const char *ring_cluster;
    const char *ring_members;
    const char *ring_dns;
    const char *ring_dns_server;
    int64_t dns_interval_ms;
    const char *ring_etcd_endpoints;
    const char *ring_etcd_ca;
    const char *ring_etcd_cert;
    const char *ring_etcd_key;
    const char *ring_etcd_user;
    const char *ring_etcd_password;
    int64_t forget_after_ms;
    double node_weight;
    struct nx_ring_options ring_options; /* made of the above; the backends keep it */
    int64_t ring_replication_factor;
    int64_t ring_partitions;
    int64_t heartbeat_interval_ms;
    int64_t heartbeat_timeout_ms;
    int64_t max_clock_skew_ms;
    int64_t workers;
    int log_level; /* enum nx_log_level */
    int log_format;
    bool multitenancy;
    const char *overrides_file;
    const char *implied_members; /* of a single process without ring.members; else NULL */

    struct nx_limit_settings limits;
    struct dist_settings dist;
    struct ing_settings ing;
    struct qry_settings qry;
};

/* A configuration over the process's table and those of the roles in `roles`, at the defaults of
 * that subcommand. `settings` must outlive it. */
enum nx_err cmd_settings_open(unsigned roles, struct cmd_settings *settings,
                              struct nx_config **out) NX_WARN_UNUSED;

/* Once, before the start: fills in what follows from other settings (node name, advertised address,
 * the member list of a single process, the number of workers) and checks them against each other.
 * The texts it makes live in `arena`. */
enum nx_err cmd_settings_complete(unsigned roles, struct cmd_settings *settings,
                                  struct nx_arena *arena, struct nx_fail *fail) NX_WARN_UNUSED;

/* Splits "host:port" ("[::1]:9900" too); the host is copied into the arena. */
enum nx_err cmd_split_address(const char *key, const char *text, struct nx_arena *arena,
                              const char **host, uint16_t *port,
                              struct nx_fail *fail) NX_WARN_UNUSED;

#endif
