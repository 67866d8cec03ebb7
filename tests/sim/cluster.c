#include "tests/sim/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/digests.h"
#include "tests/sim/faults.h"
#include "tests/sim/load.h"
#include "tests/sim/net.h"
#include "tests/sim/peer.h"

enum { INGESTERS_MAX = 6, NODES_MAX = INGESTERS_MAX + 4 };

#define PATIENCE_NS (600 * SIM_S)
#define CONVERGENCE_NS (3600 * SIM_S)
#define DIGEST_WINDOW_MS INT64_C(300000)

struct cluster {
    struct sim_settings settings;
    struct sim_node nodes[NODES_MAX];
    struct sim_node *all[NODES_MAX];
    size_t count;
    struct sim_node *distributors[2], *queriers[2];
    size_t distributor_count, querier_count;
    struct sim_ledger ledger;
    struct sim_members members;
    struct sim_load *load;
    struct sim_faults *faults;
};

/* For sim_peer, which is asked without a context. */
static struct cluster *the_cluster;

struct sim_process *sim_peer(const char *address)
{
    for (size_t i = 0; i < the_cluster->count; i++)
        if (strcmp(the_cluster->nodes[i].process.address, address) == 0)
            return &the_cluster->nodes[i].process;
    return NULL;
}

static struct sim_node *add(struct cluster *c, const char *kind, size_t number, unsigned roles)
{
    char name[16];
    struct sim_node *node = &c->nodes[c->count];
    (void)snprintf(name, sizeof name, "%s%zu", kind, number);
    sim_node_init(node, (uint32_t)c->count, name, roles, &c->settings);
    c->all[c->count++] = node;
    return node;
}

/* The settings that make rare things common differ from seed to seed. */
static void choose_settings(struct cluster *c)
{
    static const int64_t windows_ms[] = {300000, 900000, 1800000, 7200000};
    static const int64_t late_ms[] = {60000, 600000, 7200000};
    static const uint64_t heartbeats_ms[] = {5000, 10000, 10000, 10000};
    sim_settings_init(&c->settings);
    c->settings.workers = 1 + sim_below(3);
    c->settings.partitions = 8u << sim_below(3);
    c->settings.ing.window_ms = windows_ms[sim_below(4)];
    c->settings.ing.out_of_order_ms = late_ms[sim_below(3)];
    c->settings.ing.wal_segment_bytes = sim_chance(0.5) ? 1 << 16 : 64 << 20;
    if (sim_chance(0.3)) /* so that being refilled takes minutes */
        c->settings.ing.repair_bandwidth = (int64_t)sim_between(200, 2000);
    c->settings.heartbeat_interval_ms = heartbeats_ms[sim_below(4)];
    c->settings.heartbeat_timeout_ms = 4 * c->settings.heartbeat_interval_ms;
}

/* Zones, weights, both or, mostly, neither. */
static void choose_places(struct cluster *c)
{
    static const char *const weights[] = {"", "*0.5", "*2", "*3"};
    bool zones = sim_chance(0.3), weighted = sim_chance(0.3);
    for (size_t i = 0; i < c->count; i++) {
        if (zones)
            c->nodes[i].zone[0] = (char)('a' + c->nodes[i].process.number % 3);
        if (weighted)
            c->nodes[i].weight = weights[sim_below(4)];
    }
}

static void set_up(struct cluster *c, const struct sim_options *options)
{
    choose_settings(c);
    size_t ingesters = 3 + (sim_chance(0.5) ? sim_below(INGESTERS_MAX - 2) : 0);
    for (size_t i = 0; i < INGESTERS_MAX; i++)
        add(c, "ing", i, SIM_INGESTER)->spare = i >= ingesters;
    c->members = (struct sim_members){.settings = &c->settings,
                                      .nodes = c->all,
                                      .ingesters = c->nodes,
                                      .ingester_count = INGESTERS_MAX};
    c->distributor_count = 1 + sim_below(2);
    c->querier_count = 1 + sim_below(2);
    for (size_t i = 0; i < c->distributor_count; i++)
        c->distributors[i] = add(c, "dist", i, SIM_DISTRIBUTOR);
    for (size_t i = 0; i < c->querier_count; i++)
        c->queriers[i] = add(c, "qry", i, SIM_QUERIER);
    choose_places(c);
    sim_members_changed(&c->members, 0);

    bool deletes = sim_chance(0.4) && options->deletes;
    struct sim_load_options load = {.distributors = c->distributors,
                                    .distributor_count = c->distributor_count,
                                    .queriers = c->queriers,
                                    .querier_count = c->querier_count,
                                    .writers = 1 + sim_below(3),
                                    .series_per_writer = 1 + sim_below(8),
                                    .write_interval_ns = sim_between(8, 40) * SIM_S,
                                    .read_interval_ns = sim_between(15, 60) * SIM_S,
                                    .delete_interval_ns =
                                        deletes ? sim_between(200, 800) * SIM_S : 0,
                                    .late_ms = c->settings.ing.out_of_order_ms,
                                    .histograms = sim_chance(0.3)};
    sim_ledger_init(&c->ledger, load.writers * load.series_per_writer);
    c->load = sim_load_new(&load, &c->ledger);
}

static void tear_down(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++)
        sim_node_release(&c->nodes[i]);
    sim_end();
    sim_faults_free(c->faults);
    sim_load_free(c->load);
    sim_ledger_release(&c->ledger);
    sim_settings_release(&c->settings);
}

static bool all_serve(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++)
        if (!c->nodes[i].spare && (!c->nodes[i].serving || c->nodes[i].stopping ||
                                   !sim_faults_left_nothing(&c->nodes[i])))
            return false;
    return true;
}

/* Waits for the whole cluster to be up; false where it does not come up. */
static bool heal(struct cluster *c)
{
    uint64_t until = sim_now() + PATIENCE_NS;
    do {
        sim_faults_heal(c->faults);
        if (!sim_run(sim_now() + SIM_S))
            return false;
    } while (!(all_serve(c) && sim_load_idle(c->load)) && sim_now() < until);
    if (!all_serve(c))
        sim_ledger_fail(&c->ledger, "not all nodes came up after the faults");
    /* A healed cluster knows that it is: heartbeats have gone round, probes of the dead too. */
    return sim_run(sim_now() + 4 * c->settings.heartbeat_timeout_ms * SIM_MS);
}

static void audit(struct cluster *c)
{
    sim_load_audit(c->load);
    uint64_t until = sim_now() + PATIENCE_NS;
    while (sim_load_pending(c->load) > 0 && sim_now() < until)
        if (!sim_run(sim_now() + SIM_S))
            return;
    if (sim_load_pending(c->load) > 0)
        sim_ledger_fail(&c->ledger, "the audit found no end");
}

/* The owners of each partition hold the same of what is older than now: at once, or some time after
 * they have compared. */
static void converge(struct cluster *c)
{
    int64_t now_ms = nx_now_ms(&c->queriers[0]->process.clock.base);
    int64_t until_ms = now_ms - now_ms % DIGEST_WINDOW_MS;
    uint64_t until = sim_now() + CONVERGENCE_NS;
    char problem[300] = "";
    for (;;) {
        struct sim_digests *digests = sim_digests_ask(&c->members, c->queriers[0], until_ms);
        while (!sim_digests_are_in(digests))
            if (!sim_run(sim_now() + SIM_S))
                return;
        bool agree = sim_digests_agree(digests, problem, sizeof problem);
        sim_digests_free(digests);
        if (agree)
            return;
        sim_trace("not whole yet: %s", problem);
        if (sim_now() >= until) {
            sim_ledger_fail(&c->ledger, "owners do not come to hold the same: %s", problem);
            return;
        }
        if (!sim_run(sim_now() + 30 * SIM_S))
            return;
    }
}

/* All nodes end in order, so that what they leak is found. */
static void end_in_order(struct cluster *c)
{
    for (size_t i = 0; i < c->count; i++)
        sim_node_stop(&c->nodes[i]);
    if (!sim_run(sim_now() + 120 * SIM_S))
        return;
    for (size_t i = 0; i < c->count; i++)
        if (c->nodes[i].process.up)
            sim_ledger_fail(&c->ledger, "%s does not end", c->nodes[i].process.name);
}

static void run(struct cluster *c, const struct sim_options *options)
{
    bool storm = sim_chance(0.15) || options->storm;
    struct sim_faults_options faults = {.nodes = c->all,
                                        .node_count = c->count,
                                        .members = &c->members,
                                        .kinds = options->faults,
                                        .mean_interval_ns = storm ? sim_between(4, 16) * SIM_S
                                                                  : sim_between(20, 200) * SIM_S};
    c->faults = sim_faults_new(&faults);
    c->members.node_count = c->count;
    for (size_t i = 0; i < c->count; i++)
        if (!c->nodes[i].spare)
            sim_node_start(c->all[i]);
    if (!sim_run(10 * SIM_S))
        return;
    sim_load_start(c->load);
    sim_faults_start(c->faults);
    if (!sim_run(sim_now() + options->duration_ns))
        return;
    sim_load_stop(c->load);
    if (heal(c))
        audit(c);
    if (!c->ledger.problem[0])
        converge(c);
    if (!c->ledger.problem[0])
        end_in_order(c);
}

static void report(const struct cluster *c, struct sim_outcome *out)
{
    const struct sim_ledger *ledger = &c->ledger;
    *out = (struct sim_outcome){.hash = sim_hash(),
                                .events = sim_event_count(),
                                .samples = ledger->next_value - 1,
                                .acked = ledger->acked,
                                .checked = ledger->checked,
                                .deleted = ledger->deleted,
                                .writes = ledger->writes,
                                .writes_failed = ledger->writes_failed,
                                .reads = ledger->reads,
                                .reads_failed = ledger->reads_failed,
                                .reads_partial = ledger->reads_partial};
    memcpy(out->problem, ledger->problem, sizeof out->problem);
}

void sim_cluster_run(const struct sim_options *options, struct sim_outcome *out)
{
    struct cluster *c = sim_calloc(1, sizeof *c);
    the_cluster = c;
    sim_begin(options->seed, options->trace);
    sim_net_begin();
    sim_mutant_set(options->mutant);
    set_up(c, options);
    run(c, options);
    report(c, out);
    tear_down(c);
    the_cluster = NULL;
    free(c);
}
