/* Clients: writers send samples as Prometheus does (remote write 1.0, retried until they are taken
 * or given up), deleters delete, readers ask for them and hold the answers against the ledger. */
#ifndef SIM_LOAD_H
#define SIM_LOAD_H

#include "tests/sim/ledger.h"
#include "tests/sim/node.h"

struct sim_load_options {
    struct sim_node *const *distributors;
    size_t distributor_count;
    struct sim_node *const *queriers;
    size_t querier_count;
    size_t writers;
    size_t series_per_writer;
    uint64_t write_interval_ns;  /* of one writer */
    uint64_t read_interval_ns;   /* of all readers together */
    uint64_t delete_interval_ns; /* 0: nothing is deleted */
    int64_t late_ms;             /* how far back samples are taken */
    bool histograms;             /* each third series is one of native histograms */
};

struct sim_load;

struct sim_load *sim_load_new(const struct sim_load_options *options, struct sim_ledger *ledger);
void sim_load_free(struct sim_load *load);
/* Writers and readers begin. */
void sim_load_start(struct sim_load *load);
/* They end with what they are at; then nothing is under way of the writers. */
void sim_load_stop(struct sim_load *load);
bool sim_load_idle(const struct sim_load *load);
/* The cluster is whole and quiet now: everything that was acknowledged must be readable, through
 * every querier, and a write must succeed through every distributor. Asks; the answers come while
 * the world runs on. */
void sim_load_audit(struct sim_load *load);
/* Questions and writes of the audit without an answer yet. */
size_t sim_load_pending(const struct sim_load *load);

#endif
