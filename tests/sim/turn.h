/* Whose turn it is: which worker's thread the code that runs now is on. */
#ifndef SIM_TURN_H
#define SIM_TURN_H

#include "common/net/worker.h"

struct sim_process;

/* Gives the turn to a worker (NULL: to a lane, or nobody); returns who had it. */
struct nx_worker *sim_turn(struct nx_worker *worker);
struct sim_process *sim_worker_process(const struct nx_worker *worker);

#endif
