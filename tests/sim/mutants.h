/* Faults of the program itself, seeded on purpose: each breaks a rule that a promise hangs on, and
 * the checker must find that. They are put in by the linker (--wrap), so that the program has no
 * trace of them. */
#ifndef SIM_MUTANTS_H
#define SIM_MUTANTS_H

#include <stdbool.h>

enum sim_mutant {
    SIM_MUTANT_NONE,
    SIM_MUTANT_NO_SYNC,       /* writes are acknowledged before they are on the disk */
    SIM_MUTANT_NO_NAME_SYNC,  /* directories are not synced */
    SIM_MUTANT_COUNT_FAILED,  /* a replica that did not answer counts as one that stored */
    SIM_MUTANT_ONE_COPY,      /* one copy is enough for an acknowledgement */
    SIM_MUTANT_ANY_ANSWER,    /* an answer is complete, whoever gave it */
    SIM_MUTANT_TRUST_ALL,     /* every member counts as whole */
    SIM_MUTANT_TRUST_OLD,     /* a member says that it is whole for what it has yet to fetch */
    SIM_MUTANT_SKIP_PULL,     /* what repair fetched is not written */
    SIM_MUTANT_ONE_SIDE_MOVE, /* while members move, any majority will do */
    SIM_MUTANT_FORGET_DELETE, /* queries do not apply deletions that a replica missed */
    SIM_MUTANT_WRONG_VALUE,   /* now and then a sample is stored with another value */
    SIM_MUTANT_COUNT,
};

/* With the faults that bring it to light soonest. */
struct sim_mutant_case {
    const char *name;
    unsigned faults; /* bits 1 << enum sim_fault */
    bool storm;
};

extern const struct sim_mutant_case sim_mutants[SIM_MUTANT_COUNT];

void sim_mutant_set(enum sim_mutant mutant);
/* The disk asks. */
bool sim_mutant_skips_sync(bool of_directory);

#endif
