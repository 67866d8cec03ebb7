/* The member list as its operator keeps it: one text, which nodes read when they start and, some
 * time after a change, on SIGHUP. */
#ifndef SIM_MEMBERS_H
#define SIM_MEMBERS_H

#include "tests/sim/node.h"

struct sim_members {
    struct sim_settings *settings; /* its `members` is the text */
    struct sim_node *const *nodes; /* who is told */
    size_t node_count;
    struct sim_node *ingesters; /* members and spares */
    size_t ingester_count;
};

/* Writes the text anew from who is a member, and has every node read it within `spread_ns`. */
void sim_members_changed(const struct sim_members *members, uint64_t spread_ns);
/* Those that were not told to leave. */
size_t sim_members_staying(const struct sim_members *members);
/* All members are up, serve, and say that they are ACTIVE and whole. */
bool sim_members_whole(const struct sim_members *members);

#endif
