#include "tests/sim/net.h"

#include <string.h>

struct net {
    struct sim_net_mood mood;
    bool cut[SIM_PROCESSES_MAX][SIM_PROCESSES_MAX];
};

static struct net net;

void sim_net_begin(void)
{
    net = (struct net){.mood = {.loss = 0}};
    sim_rpc_begin();
}

void sim_net_set_mood(const struct sim_net_mood *mood)
{
    net.mood = *mood;
}

void sim_net_cut(const struct sim_process *from, const struct sim_process *to, bool cut)
{
    net.cut[from->number][to->number] = cut;
}

void sim_net_heal(void)
{
    memset(net.cut, 0, sizeof net.cut);
}

bool sim_net_is_cut(const struct sim_process *from, const struct sim_process *to)
{
    return net.cut[from->number][to->number];
}

bool sim_net_passes(const struct sim_process *from, const struct sim_process *to)
{
    return from == to || (!sim_net_is_cut(from, to) && !sim_chance(net.mood.loss));
}

bool sim_net_duplicates(const struct sim_process *from, const struct sim_process *to)
{
    return from != to && sim_chance(net.mood.duplication);
}

uint64_t sim_net_delay(const struct sim_process *from, const struct sim_process *to)
{
    if (from == to)
        return sim_between(1, 20) * SIM_US;
    uint64_t delay = sim_between(80, 1200) * SIM_US;
    if (net.mood.slow_ns > 0 && sim_chance(net.mood.slowness))
        delay += sim_below(net.mood.slow_ns);
    return delay;
}
