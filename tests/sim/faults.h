/* What goes wrong, when: drawn from the seed, one thing after the other and some at once. */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include "tests/sim/members.h"

enum sim_fault {
    SIM_FAULT_KILL,     /* kill -9, started again */
    SIM_FAULT_POWER,    /* power cut: what was not synced is gone in part */
    SIM_FAULT_RESTART,  /* SIGTERM, started again */
    SIM_FAULT_HANG,     /* SIGSTOP, SIGCONT */
    SIM_FAULT_CUT,      /* a link, one way or both */
    SIM_FAULT_ISOLATE,  /* all links of a node, one way or both */
    SIM_FAULT_NET,      /* messages are lost, doubled, late */
    SIM_FAULT_DISK,     /* writes and syncs fail, or the disk is full */
    SIM_FAULT_SLOW,     /* blocking calls take long */
    SIM_FAULT_SKEW,     /* a wall clock is off */
    SIM_FAULT_PRESSURE, /* a process finds itself short of memory */
    SIM_FAULT_WIPE,     /* an ingester comes back with an empty disk, the others being whole */
    SIM_FAULT_JOIN,     /* a new ingester */
    SIM_FAULT_LEAVE,    /* an ingester is drained, and goes; now and then the drain is called off */
    SIM_FAULT_SPLIT,    /* a zone, or any part of the nodes, is cut off from the rest */
    SIM_FAULT_READONLY, /* an ingester takes no writes for a while */
    SIM_FAULT_COUNT,
};
#define SIM_FAULTS_ALL ((1u << SIM_FAULT_COUNT) - 1)

extern const char *const sim_fault_names[SIM_FAULT_COUNT];

struct sim_faults_options {
    struct sim_node *const *nodes;
    size_t node_count;
    const struct sim_members *members;
    unsigned kinds; /* bits 1 << enum sim_fault */
    uint64_t mean_interval_ns;
};

struct sim_faults;

struct sim_faults *sim_faults_new(const struct sim_faults_options *options);
void sim_faults_free(struct sim_faults *faults);
void sim_faults_start(struct sim_faults *faults);
/* No more of them, and everything is put right at once: nodes are up, links whole. */
void sim_faults_heal(struct sim_faults *faults);
/* No command is left that would have to be taken back (a READONLY member). */
bool sim_faults_left_nothing(struct sim_node *node);

#endif
