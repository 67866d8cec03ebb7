/* Which node of a running cluster owns what, as one of them tells it (/api/v1/cluster). */
#ifndef CMD_CLUSTER_MAP_H
#define CMD_CLUSTER_MAP_H

#include <stdbool.h>

#include "common/ring/roster.h"

#define CMD_CLUSTER_NAME_MAX 201

struct cmd_cluster_map {
    char cluster[CMD_CLUSTER_NAME_MAX]; /* as an RPC names it: name/partitions/rf */
    uint32_t partitions;
    uint32_t rf;
    uint32_t write_quorum;
    struct nx_roster *roster;
    struct nx_placement *placement; /* with the states the members were in */
};

/* Reads the answer. NX_ERR_CORRUPT where it makes no sense. */
enum nx_err cmd_cluster_map_read(struct nx_view json, struct cmd_cluster_map *out,
                                 struct nx_fail *fail) NX_WARN_UNUSED;
/* Asks the node; `program` stands in front of what is printed. */
enum nx_err cmd_cluster_map_fetch(const char *program, const char *address,
                                  struct cmd_cluster_map *out, struct nx_fail *fail) NX_WARN_UNUSED;
void cmd_cluster_map_release(struct cmd_cluster_map *map);

#endif
