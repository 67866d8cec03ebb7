#include "tests/sim/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/owner.h"

struct hangup {
    struct sim_event event;
    struct sim_node *node;
};

static void hangup_drop(struct sim_event *event)
{
    free(NX_OWNER(struct hangup, event, event));
}

static void hangup_run(struct sim_event *event)
{
    struct sim_node *node = NX_OWNER(struct hangup, event, event)->node;
    hangup_drop(event);
    sim_node_set_members(node, node->settings->members);
}

void sim_members_changed(const struct sim_members *members, uint64_t spread_ns)
{
    struct sim_settings *settings = members->settings;
    size_t len = 0;
    for (size_t i = 0; i < members->ingester_count; i++) {
        const struct sim_node *node = &members->ingesters[i];
        if (node->spare)
            continue;
        int n = snprintf(settings->members + len, sizeof settings->members - len, "%s%s@%s%s%s%s",
                         len > 0 ? "," : "", node->process.name, node->process.address,
                         *node->zone ? "/" : "", node->zone, node->weight);
        len += (size_t)n;
        sim_check(len < sizeof settings->members, "room for the member list");
    }
    sim_trace("members: %s", settings->members);
    for (size_t i = 0; i < members->node_count && spread_ns > 0; i++) {
        struct hangup *hangup = sim_calloc(1, sizeof *hangup);
        hangup->node = members->nodes[i];
        hangup->event =
            (struct sim_event){.kind = SIM_FAULT, .run = hangup_run, .drop = hangup_drop};
        sim_after(&hangup->event, &hangup->node->process, sim_below(spread_ns));
    }
}

size_t sim_members_staying(const struct sim_members *members)
{
    size_t count = 0;
    for (size_t i = 0; i < members->ingester_count; i++)
        count += !members->ingesters[i].spare && !members->ingesters[i].leaving;
    return count;
}

bool sim_members_whole(const struct sim_members *members)
{
    for (size_t i = 0; i < members->ingester_count; i++) {
        const struct sim_node *node = &members->ingesters[i];
        if (!node->spare && !sim_node_is_whole(node))
            return false;
    }
    return true;
}
