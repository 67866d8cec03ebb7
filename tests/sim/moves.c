#include <stdlib.h>

#include "common/base/owner.h"
#include "tests/sim/disk.h"
#include "tests/sim/faults_internal.h"

#define POLL_NS (5 * SIM_S)

static struct sim_node *draw_ingester(struct sim_faults *faults, bool spare)
{
    const struct sim_members *members = faults->options.members;
    size_t count = members->ingester_count;
    size_t at = sim_fault_draw(faults, count);
    for (size_t i = 0; i < count; i++) {
        struct sim_node *node = &members->ingesters[(at + i) % count];
        if (node->spare == spare && node->process.up != spare)
            return node;
    }
    return NULL;
}

/* Only where every member is whole: another copy of what it held may be the last but one. */
void sim_move_wipe(struct sim_faults *faults)
{
    struct sim_node *node = draw_ingester(faults, false);
    if (!node || !sim_members_whole(faults->options.members))
        return;
    sim_node_crash(node, sim_fault_coin(faults));
    sim_disk_wipe(node->process.disk);
    sim_fault_ends(faults, SIM_FAULT_WIPE, node, node, 0, sim_fault_duration(faults));
}

void sim_move_join(struct sim_faults *faults)
{
    struct sim_node *node = draw_ingester(faults, true);
    if (!node)
        return;
    node->spare = false;
    sim_members_changed(faults->options.members, 20 * SIM_S);
    sim_node_start(node);
}

/* What `narthex ctl` asks of a node, without its way there. */
static enum nx_err ask_state(struct sim_node *node, enum nx_member_state state)
{
    struct nx_fail fail = {.code = NX_OK};
    if (!node->serving || node->stopping || node->process.hung)
        return NX_ERR_UNAVAILABLE;
    struct sim_process *outer = sim_enter(&node->process);
    enum nx_err err = nx_ring_ask_self_state(node->ring, state, &fail);
    (void)sim_enter(outer);
    sim_trace("%s: is to be %s: %s", node->process.name, nx_member_state_text(state),
              err ? nx_fail_text(&fail) : "yes");
    return err;
}

/* Waits for a member that leaves to have left; then it is taken from the list and ends. */
struct departure {
    struct sim_event event;
    struct sim_faults *faults;
    struct sim_node *node;
    uint64_t call_off_ns; /* when the operator thinks better of it */
    bool called_off;
};

static void departure_drop(struct sim_event *event)
{
    free(NX_OWNER(struct departure, event, event));
}

/* The operator of a drain that was called off, or that a power cut made the node forget. */
static bool stays(const struct departure *departure, enum nx_member_state state)
{
    return state == NX_MEMBER_ACTIVE || (departure->called_off && state == NX_MEMBER_JOINING);
}

static void departure_run(struct sim_event *event)
{
    struct departure *departure = NX_OWNER(struct departure, event, event);
    struct sim_node *node = departure->node;
    bool asked =
        sim_now() >= departure->call_off_ns && !departure->called_off && !departure->faults->over;
    if (asked && ask_state(node, NX_MEMBER_ACTIVE) == NX_OK)
        departure->called_off = true;
    enum nx_member_state state = node->serving ? nx_ring_self_state(node->ring) : NX_MEMBER_LEAVING;
    if (state != NX_MEMBER_LEFT && !stays(departure, state)) {
        sim_after(event, NULL, POLL_NS);
        return;
    }
    node->leaving = false;
    if (state == NX_MEMBER_LEFT) {
        node->spare = true;
        sim_members_changed(departure->faults->options.members, 20 * SIM_S);
        sim_node_crash(node, false);
        sim_disk_wipe(node->process.disk);
    }
    free(departure);
}

void sim_move_leave(struct sim_faults *faults)
{
    struct sim_node *node = draw_ingester(faults, false);
    if (!node || node->leaving ||
        sim_members_staying(faults->options.members) <= node->settings->rf)
        return;
    if (ask_state(node, NX_MEMBER_LEAVING) != NX_OK)
        return;
    node->leaving = true;
    struct departure *departure = sim_calloc(1, sizeof *departure);
    *departure = (struct departure){.faults = faults,
                                    .node = node,
                                    .call_off_ns = sim_fault_draw(faults, 4) > 0
                                                       ? UINT64_MAX
                                                       : sim_now() + sim_fault_duration(faults)};
    departure->event =
        (struct sim_event){.kind = SIM_FAULT, .run = departure_run, .drop = departure_drop};
    sim_after(&departure->event, NULL, POLL_NS);
}

void sim_move_readonly(struct sim_faults *faults)
{
    struct sim_node *node = draw_ingester(faults, false);
    if (node && !node->leaving && ask_state(node, NX_MEMBER_READONLY) == NX_OK)
        sim_fault_ends(faults, SIM_FAULT_READONLY, node, node, 0, sim_fault_duration(faults));
}

bool sim_move_writable(struct sim_node *node)
{
    if (!node->serving || node->stopping || node->process.hung)
        return node->spare;
    return nx_ring_self_state(node->ring) != NX_MEMBER_READONLY ||
           ask_state(node, NX_MEMBER_ACTIVE) == NX_OK;
}
