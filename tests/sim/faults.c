#include "tests/sim/faults.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/owner.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults_internal.h"
#include "tests/sim/net.h"

const char *const sim_fault_names[SIM_FAULT_COUNT] = {
    "kill", "power", "restart",  "hang", "cut",  "isolate", "net",   "disk",
    "slow", "skew",  "pressure", "wipe", "join", "leave",   "split", "readonly"};

struct relief {
    struct sim_event event;
    struct sim_faults *faults;
    enum sim_fault kind;
    struct sim_node *node;
    struct sim_node *other;
    uint32_t nodes;
};

uint64_t sim_fault_duration(struct sim_faults *faults)
{
    uint64_t most = sim_fault_draw(faults, 4) == 0 ? 600 : sim_fault_draw(faults, 2) == 0 ? 60 : 10;
    return SIM_MS + sim_fault_draw(faults, most * SIM_S);
}

/* --- ends of faults --------------------------------------------------------------------------- */

static void cut_all(const struct sim_faults *faults, const struct sim_node *node, bool out, bool in,
                    bool cut)
{
    for (size_t i = 0; i < faults->options.node_count; i++) {
        const struct sim_process *other = &faults->options.nodes[i]->process;
        if (other == &node->process)
            continue;
        if (out)
            sim_net_cut(&node->process, other, cut);
        if (in)
            sim_net_cut(other, &node->process, cut);
    }
}

static void cut_off(const struct sim_faults *faults, uint32_t nodes, bool cut)
{
    for (size_t i = 0; i < faults->options.node_count; i++)
        for (size_t j = 0; j < faults->options.node_count; j++)
            if ((nodes >> i & 1) != (nodes >> j & 1))
                sim_net_cut(&faults->options.nodes[i]->process, &faults->options.nodes[j]->process,
                            cut);
}

/* False: not yet. */
static bool relieve(struct sim_faults *faults, enum sim_fault kind, struct sim_node *node,
                    const struct sim_node *other, uint32_t nodes)
{
    static const struct sim_net_mood calm = {.loss = 0};
    switch (kind) {
    case SIM_FAULT_KILL:
    case SIM_FAULT_POWER:
    case SIM_FAULT_RESTART:
    case SIM_FAULT_WIPE:
        if (!node->process.up && !node->spare)
            sim_node_start(node);
        return node->process.up || node->spare; /* it did not come up, or is not down yet */
    case SIM_FAULT_HANG:
        sim_process_resume(&node->process);
        break;
    case SIM_FAULT_CUT:
        sim_net_cut(&node->process, &other->process, false);
        sim_net_cut(&other->process, &node->process, false);
        break;
    case SIM_FAULT_ISOLATE:
        cut_all(faults, node, true, true, false);
        break;
    case SIM_FAULT_NET:
        sim_net_set_mood(&calm);
        break;
    case SIM_FAULT_DISK:
        sim_disk_ail(node->process.disk, 0, 0, false);
        break;
    case SIM_FAULT_SLOW:
        node->process.lane_slow = 1;
        break;
    case SIM_FAULT_PRESSURE:
        node->process.pressure = 0;
        break;
    case SIM_FAULT_SKEW:
        node->process.skew_ms = 0;
        break;
    case SIM_FAULT_SPLIT:
        cut_off(faults, nodes, false);
        break;
    case SIM_FAULT_READONLY:
        return sim_move_writable(node);
    case SIM_FAULT_JOIN:
    case SIM_FAULT_LEAVE:
    case SIM_FAULT_COUNT:
        break;
    }
    return true;
}

static void relief_drop(struct sim_event *event)
{
    free(NX_OWNER(struct relief, event, event));
}

static void relief_run(struct sim_event *event)
{
    struct relief *relief = NX_OWNER(struct relief, event, event);
    if (!relief->faults->over) {
        sim_trace("end of %s: %s", sim_fault_names[relief->kind], relief->node->process.name);
        if (!relieve(relief->faults, relief->kind, relief->node, relief->other, relief->nodes)) {
            sim_after(&relief->event, NULL, SIM_S);
            return;
        }
    }
    free(relief);
}

void sim_fault_ends(struct sim_faults *faults, enum sim_fault kind, struct sim_node *node,
                    struct sim_node *other, uint32_t nodes, uint64_t delay_ns)
{
    struct relief *relief = sim_calloc(1, sizeof *relief);
    *relief = (struct relief){
        .faults = faults, .kind = kind, .node = node, .other = other, .nodes = nodes};
    relief->event = (struct sim_event){.kind = SIM_FAULT, .run = relief_run, .drop = relief_drop};
    sim_after(&relief->event, NULL, delay_ns);
}

/* --- beginnings ------------------------------------------------------------------------------- */

static void ail_disk(struct sim_faults *faults, struct sim_node *node)
{
    bool full = sim_fault_draw(faults, 3) == 0;
    double writes = full ? 0 : nx_rand_unit(&faults->plan) * (sim_fault_coin(faults) ? 1 : 0.1);
    double syncs = full || sim_fault_coin(faults) ? 0 : nx_rand_unit(&faults->plan) * 0.5;
    sim_disk_ail(node->process.disk, writes, syncs, full);
}

static void disturb_net(struct sim_faults *faults)
{
    struct sim_net_mood mood = {
        .loss = sim_fault_coin(faults) ? nx_rand_unit(&faults->plan) * 0.2 : 0,
        .duplication = sim_fault_coin(faults) ? nx_rand_unit(&faults->plan) * 0.3 : 0,
        .slowness = sim_fault_coin(faults) ? nx_rand_unit(&faults->plan) * 0.5 : 0,
        .slow_ns = SIM_MS + sim_fault_draw(faults, 20 * SIM_S),
    };
    sim_net_set_mood(&mood);
}

/* All of a zone; without zones any half. */
static uint32_t draw_split(struct sim_faults *faults, const struct sim_node *one)
{
    uint32_t nodes = 0;
    for (size_t i = 0; i < faults->options.node_count; i++) {
        const struct sim_node *node = faults->options.nodes[i];
        bool in = *one->zone ? strcmp(node->zone, one->zone) == 0 : sim_fault_coin(faults);
        nodes |= (uint32_t)in << i;
    }
    return nodes;
}

static void begin(struct sim_faults *faults, enum sim_fault kind, struct sim_node *node,
                  struct sim_node *other)
{
    uint32_t nodes = 0;
    switch (kind) {
    case SIM_FAULT_WIPE:
        sim_move_wipe(faults);
        return;
    case SIM_FAULT_JOIN:
        sim_move_join(faults);
        return;
    case SIM_FAULT_LEAVE:
        sim_move_leave(faults);
        return;
    case SIM_FAULT_READONLY:
        sim_move_readonly(faults);
        return;
    case SIM_FAULT_SPLIT:
        nodes = draw_split(faults, node);
        cut_off(faults, nodes, true);
        break;
    case SIM_FAULT_KILL:
        sim_node_crash(node, false);
        break;
    case SIM_FAULT_POWER:
        sim_node_crash(node, true);
        break;
    case SIM_FAULT_RESTART:
        sim_node_stop(node);
        break;
    case SIM_FAULT_HANG:
        sim_process_hang(&node->process);
        break;
    case SIM_FAULT_CUT:
        sim_net_cut(&node->process, &other->process, true);
        if (sim_fault_coin(faults))
            sim_net_cut(&other->process, &node->process, true);
        break;
    case SIM_FAULT_ISOLATE: {
        bool out = sim_fault_coin(faults);
        cut_all(faults, node, out, !out || sim_fault_coin(faults), true);
        break;
    }
    case SIM_FAULT_NET:
        disturb_net(faults);
        break;
    case SIM_FAULT_DISK:
        ail_disk(faults, node);
        break;
    case SIM_FAULT_SLOW:
        node->process.lane_slow =
            1 + nx_rand_unit(&faults->plan) * (sim_fault_coin(faults) ? 100 : 10000);
        break;
    case SIM_FAULT_SKEW:
        node->process.skew_ms = (int64_t)sim_fault_draw(faults, 120000) - 60000;
        break;
    case SIM_FAULT_PRESSURE:
        node->process.pressure = nx_rand_unit(&faults->plan) * 0.2;
        break;
    case SIM_FAULT_COUNT:
        break;
    }
    sim_fault_ends(faults, kind, node, other, nodes, sim_fault_duration(faults));
}

static enum sim_fault choose_kind(struct sim_faults *faults)
{
    for (;;) {
        unsigned kind = (unsigned)sim_fault_draw(faults, SIM_FAULT_COUNT);
        if (faults->options.kinds >> kind & 1)
            return (enum sim_fault)kind;
    }
}

static void next_run(struct sim_event *event)
{
    struct sim_faults *faults = NX_OWNER(struct sim_faults, next, event);
    if (faults->over)
        return;
    enum sim_fault kind = choose_kind(faults);
    size_t count = faults->options.node_count;
    size_t at = sim_fault_draw(faults, count);
    struct sim_node *node = faults->options.nodes[at];
    struct sim_node *other =
        faults->options.nodes[(at + 1 + sim_fault_draw(faults, count - 1)) % count];
    sim_trace("fault %s: %s", sim_fault_names[kind], node->process.name);
    begin(faults, kind, node, other);
    sim_after(&faults->next, NULL,
              1 + sim_fault_draw(faults, 2 * faults->options.mean_interval_ns));
}

static void nothing(struct sim_event *event)
{
    (void)event;
}

struct sim_faults *sim_faults_new(const struct sim_faults_options *options)
{
    struct sim_faults *faults = sim_calloc(1, sizeof *faults);
    faults->options = *options;
    faults->next = (struct sim_event){.kind = SIM_FAULT, .run = next_run, .drop = nothing};
    nx_rand_seeded(&faults->plan, nx_rand_u64(sim_rand()));
    return faults;
}

void sim_faults_free(struct sim_faults *faults)
{
    free(faults);
}

void sim_faults_start(struct sim_faults *faults)
{
    if (faults->options.kinds != 0)
        sim_after(&faults->next, NULL,
                  sim_fault_draw(faults, 2 * faults->options.mean_interval_ns));
}

bool sim_faults_left_nothing(struct sim_node *node)
{
    return (node->roles & SIM_INGESTER) == 0 || sim_move_writable(node);
}

void sim_faults_heal(struct sim_faults *faults)
{
    faults->over = true;
    sim_net_heal();
    for (size_t i = 0; i < faults->options.node_count; i++) {
        struct sim_node *node = faults->options.nodes[i];
        for (unsigned kind = 0; kind < SIM_FAULT_COUNT; kind++)
            if (kind != SIM_FAULT_CUT)
                (void)relieve(faults, (enum sim_fault)kind, node, node, 0);
    }
}
