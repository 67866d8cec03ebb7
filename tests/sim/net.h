/* The network between processes: which messages pass, and how long they take. */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "tests/sim/process.h"

enum { SIM_PROCESSES_MAX = 32 };

struct sim_net_mood {
    double loss;        /* a message is lost, and its connection with it */
    double duplication; /* a request is delivered twice */
    double slowness;    /* a message takes up to slow_ns */
    uint64_t slow_ns;
};

void sim_net_begin(void);
void sim_rpc_begin(void);
void sim_net_set_mood(const struct sim_net_mood *mood);
/* One direction. */
void sim_net_cut(const struct sim_process *from, const struct sim_process *to, bool cut);
void sim_net_heal(void);
bool sim_net_is_cut(const struct sim_process *from, const struct sim_process *to);

/* Draws whether a message passes. */
bool sim_net_passes(const struct sim_process *from, const struct sim_process *to);
bool sim_net_duplicates(const struct sim_process *from, const struct sim_process *to);
uint64_t sim_net_delay(const struct sim_process *from, const struct sim_process *to);

#endif
