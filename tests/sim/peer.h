/* Addresses. */
#ifndef SIM_PEER_H
#define SIM_PEER_H

struct sim_process;

/* The process with that address, up or not; NULL: there is none. */
struct sim_process *sim_peer(const char *address);

#endif
