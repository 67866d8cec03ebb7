#include "tests/sim/faults.h"

#include <stdlib.h>

#include "common/base/owner.h"
#include "tests/sim/disk.h"
#include "tests/sim/net.h"

const char *const sim_fault_names[SIM_FAULT_COUNT] = {
    "kill", "power", "restart", "hang",     "cut",  "isolate", "net",
    "disk", "slow",  "skew",    "pressure", "wipe", "join",    "leave"};

#define POLL_NS (5 * SIM_S)

struct sim_faults {
    struct sim_faults_options options;
    struct nx_rand plan;
    struct sim_event next;
    bool over;
};

struct relief {
    struct sim_event event;
    struct sim_faults *faults;
    enum sim_fault kind;
    struct sim_node *node;
    struct sim_node *other;
};

static uint64_t draw(struct sim_faults *faults, uint64_t bound)
{
    return nx_rand_below(&faults->plan, bound);
}

static bool coin(struct sim_faults *faults)
{
    return draw(faults, 2) == 0;
}

/* Mostly seconds, now and then minutes. */
static uint64_t duration_ns(struct sim_faults *faults)
{
    uint64_t most = draw(faults, 4) == 0 ? 600 : draw(faults, 2) == 0 ? 60 : 10;
    return SIM_MS + draw(faults, most * SIM_S);
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

static void relieve(struct sim_faults *faults, enum sim_fault kind, struct sim_node *node,
                    const struct sim_node *other)
{
    static const struct sim_net_mood calm = {.loss = 0};
    switch (kind) {
    case SIM_FAULT_KILL:
    case SIM_FAULT_POWER:
    case SIM_FAULT_RESTART:
    case SIM_FAULT_WIPE:
        if (!node->process.up && !node->spare)
            sim_node_start(node);
        break;
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
    case SIM_FAULT_JOIN:
    case SIM_FAULT_LEAVE:
    case SIM_FAULT_COUNT:
        break;
    }
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
        relieve(relief->faults, relief->kind, relief->node, relief->other);
        bool starts = relief->kind <= SIM_FAULT_RESTART || relief->kind == SIM_FAULT_WIPE;
        if (starts && !relief->node->process.up &&
            !relief->node->spare) { /* it did not come up, or is not down yet */
            sim_after(&relief->event, NULL, SIM_S);
            return;
        }
    }
    free(relief);
}

static void relieve_later(struct sim_faults *faults, enum sim_fault kind, struct sim_node *node,
                          struct sim_node *other, uint64_t delay_ns)
{
    struct relief *relief = sim_calloc(1, sizeof *relief);
    *relief = (struct relief){.faults = faults, .kind = kind, .node = node, .other = other};
    relief->event = (struct sim_event){.kind = SIM_FAULT, .run = relief_run, .drop = relief_drop};
    sim_after(&relief->event, NULL, delay_ns);
}

/* --- beginnings ------------------------------------------------------------------------------- */

static void ail_disk(struct sim_faults *faults, struct sim_node *node)
{
    bool full = draw(faults, 3) == 0;
    double writes = full ? 0 : nx_rand_unit(&faults->plan) * (coin(faults) ? 1 : 0.1);
    double syncs = full || coin(faults) ? 0 : nx_rand_unit(&faults->plan) * 0.5;
    sim_disk_ail(node->process.disk, writes, syncs, full);
}

static void disturb_net(struct sim_faults *faults)
{
    struct sim_net_mood mood = {
        .loss = coin(faults) ? nx_rand_unit(&faults->plan) * 0.2 : 0,
        .duplication = coin(faults) ? nx_rand_unit(&faults->plan) * 0.3 : 0,
        .slowness = coin(faults) ? nx_rand_unit(&faults->plan) * 0.5 : 0,
        .slow_ns = SIM_MS + draw(faults, 20 * SIM_S),
    };
    sim_net_set_mood(&mood);
}

static struct sim_node *draw_ingester(struct sim_faults *faults, bool spare)
{
    const struct sim_members *members = faults->options.members;
    size_t count = members->ingester_count;
    size_t at = draw(faults, count);
    for (size_t i = 0; i < count; i++) {
        struct sim_node *node = &members->ingesters[(at + i) % count];
        if (node->spare == spare && node->process.up != spare)
            return node;
    }
    return NULL;
}

/* Only where every member is whole: another copy of what it held may be the last but one. */
static void wipe(struct sim_faults *faults)
{
    struct sim_node *node = draw_ingester(faults, false);
    if (!node || !sim_members_whole(faults->options.members))
        return;
    sim_node_crash(node, coin(faults));
    sim_disk_wipe(node->process.disk);
    relieve_later(faults, SIM_FAULT_WIPE, node, node, duration_ns(faults));
}

static void join(struct sim_faults *faults)
{
    struct sim_node *node = draw_ingester(faults, true);
    if (!node)
        return;
    node->spare = false;
    sim_members_changed(faults->options.members, 20 * SIM_S);
    sim_node_start(node);
}

/* Waits for a member that leaves to have left; then it is taken from the list and ends. */
struct departure {
    struct sim_event event;
    struct sim_faults *faults;
    struct sim_node *node;
};

static void departure_drop(struct sim_event *event)
{
    free(NX_OWNER(struct departure, event, event));
}

static void departure_run(struct sim_event *event)
{
    struct departure *departure = NX_OWNER(struct departure, event, event);
    struct sim_node *node = departure->node;
    if (!node->serving || nx_ring_self_state(node->ring) != NX_MEMBER_LEFT) {
        sim_after(event, NULL, POLL_NS);
        return;
    }
    node->spare = true;
    node->leaving = false;
    sim_members_changed(departure->faults->options.members, 20 * SIM_S);
    sim_node_crash(node, false);
    sim_disk_wipe(node->process.disk);
    free(departure);
}

static void leave(struct sim_faults *faults)
{
    struct sim_node *node = draw_ingester(faults, false);
    struct nx_fail fail = {.code = NX_OK};
    if (!node || !node->serving || node->stopping || node->process.hung || node->leaving ||
        sim_members_staying(faults->options.members) <= node->settings->rf)
        return;
    struct sim_process *outer = sim_enter(&node->process);
    enum nx_err err = nx_ring_ask_self_state(node->ring, NX_MEMBER_LEAVING, &fail);
    (void)sim_enter(outer);
    sim_trace("%s: drain: %s", node->process.name, err ? nx_fail_text(&fail) : "begins");
    if (err != NX_OK)
        return;
    node->leaving = true;
    struct departure *departure = sim_calloc(1, sizeof *departure);
    *departure = (struct departure){.faults = faults, .node = node};
    departure->event =
        (struct sim_event){.kind = SIM_FAULT, .run = departure_run, .drop = departure_drop};
    sim_after(&departure->event, NULL, POLL_NS);
}

static void begin(struct sim_faults *faults, enum sim_fault kind, struct sim_node *node,
                  struct sim_node *other)
{
    switch (kind) {
    case SIM_FAULT_WIPE:
        wipe(faults);
        return;
    case SIM_FAULT_JOIN:
        join(faults);
        return;
    case SIM_FAULT_LEAVE:
        leave(faults);
        return;
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
        if (coin(faults))
            sim_net_cut(&other->process, &node->process, true);
        break;
    case SIM_FAULT_ISOLATE: {
        bool out = coin(faults);
        cut_all(faults, node, out, !out || coin(faults), true);
        break;
    }
    case SIM_FAULT_NET:
        disturb_net(faults);
        break;
    case SIM_FAULT_DISK:
        ail_disk(faults, node);
        break;
    case SIM_FAULT_SLOW:
        node->process.lane_slow = 1 + nx_rand_unit(&faults->plan) * (coin(faults) ? 100 : 10000);
        break;
    case SIM_FAULT_SKEW:
        node->process.skew_ms = (int64_t)draw(faults, 120000) - 60000;
        break;
    case SIM_FAULT_PRESSURE:
        node->process.pressure = nx_rand_unit(&faults->plan) * 0.2;
        break;
    case SIM_FAULT_COUNT:
        break;
    }
    relieve_later(faults, kind, node, other, duration_ns(faults));
}

static enum sim_fault choose_kind(struct sim_faults *faults)
{
    for (;;) {
        unsigned kind = (unsigned)draw(faults, SIM_FAULT_COUNT);
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
    size_t at = draw(faults, count);
    struct sim_node *node = faults->options.nodes[at];
    struct sim_node *other = faults->options.nodes[(at + 1 + draw(faults, count - 1)) % count];
    sim_trace("fault %s: %s", sim_fault_names[kind], node->process.name);
    begin(faults, kind, node, other);
    sim_after(&faults->next, NULL, 1 + draw(faults, 2 * faults->options.mean_interval_ns));
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
        sim_after(&faults->next, NULL, draw(faults, 2 * faults->options.mean_interval_ns));
}

void sim_faults_heal(struct sim_faults *faults)
{
    faults->over = true;
    sim_net_heal();
    for (size_t i = 0; i < faults->options.node_count; i++) {
        struct sim_node *node = faults->options.nodes[i];
        for (unsigned kind = 0; kind < SIM_FAULT_COUNT; kind++)
            if (kind != SIM_FAULT_CUT)
                relieve(faults, (enum sim_fault)kind, node, node);
    }
}
