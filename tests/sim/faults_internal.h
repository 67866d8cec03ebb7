/* Parts of the faults: faults.c (what comes when, and what ends of itself), moves.c (what members
 * do because an operator says so, or because a disk was lost). */
#ifndef SIM_FAULTS_INTERNAL_H
#define SIM_FAULTS_INTERNAL_H

#include "tests/sim/faults.h"

struct sim_faults {
    struct sim_faults_options options;
    struct nx_rand plan;
    struct sim_event next;
    bool over;
};

static inline uint64_t sim_fault_draw(struct sim_faults *faults, uint64_t bound)
{
    return nx_rand_below(&faults->plan, bound);
}

static inline bool sim_fault_coin(struct sim_faults *faults)
{
    return sim_fault_draw(faults, 2) == 0;
}

/* Mostly seconds, now and then minutes. */
uint64_t sim_fault_duration(struct sim_faults *faults);
/* Puts it right after that time. `nodes`: bits of what was cut off, of a split. */
void sim_fault_ends(struct sim_faults *faults, enum sim_fault kind, struct sim_node *node,
                    struct sim_node *other, uint32_t nodes, uint64_t delay_ns);

/* --- moves.c --- */
void sim_move_wipe(struct sim_faults *faults);
void sim_move_join(struct sim_faults *faults);
void sim_move_leave(struct sim_faults *faults);
void sim_move_readonly(struct sim_faults *faults);
/* Takes writes again; false where it cannot be told now. */
bool sim_move_writable(struct sim_node *node);

#endif
