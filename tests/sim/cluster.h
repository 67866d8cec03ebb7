/* One world: a cluster under load and faults, its quiet end, and the audit of what it kept. */
#ifndef SIM_CLUSTER_H
#define SIM_CLUSTER_H

#include "tests/sim/ledger.h"
#include "tests/sim/mutants.h"

struct sim_options {
    uint64_t seed;
    uint64_t duration_ns; /* of load and faults */
    unsigned faults;      /* bits 1 << enum sim_fault */
    enum sim_mutant mutant;
    bool deletes; /* old samples are deleted in some worlds */
    bool storm;   /* faults come every few seconds; else in some worlds */
    bool trace;
};

struct sim_outcome {
    uint64_t hash;
    uint64_t events;
    uint64_t samples, acked, checked, deleted;
    uint64_t writes, writes_failed, reads, reads_failed, reads_partial;
    char problem[512]; /* "": all promises held */
};

void sim_cluster_run(const struct sim_options *options, struct sim_outcome *out);

#endif
