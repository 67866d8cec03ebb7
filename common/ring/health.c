#include "common/ring/health.h"

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void nx_health_init(struct nx_health *health, uint64_t now_ns)
{
    *health = (struct nx_health){.healthy = true, .since_ns = now_ns, .next_probe_ns = now_ns};
}

void nx_health_probed(struct nx_health *health, const struct nx_health_limits *limits,
                      uint64_t now_ns)
{
    health->last_probe_ns = now_ns;
    health->next_probe_ns = now_ns + limits->interval_ns;
}

void nx_health_answered(struct nx_health *health, uint64_t now_ns)
{
    health->healthy = true;
    health->heard = true;
    health->failures = 0;
    health->since_ns = now_ns;
}

void nx_health_failed(struct nx_health *health, const struct nx_health_limits *limits,
                      enum nx_health_failure failure, uint64_t now_ns)
{
    if (failure == NX_HEALTH_BUSY) {
        health->since_ns = now_ns;
        return;
    }
    if (failure == NX_HEALTH_UNKNOWN) {
        health->next_probe_ns = now_ns;
        return;
    }
    health->failures++;
    if (failure == NX_HEALTH_REFUSED || (health->heard && health->failures >= 2)) {
        health->healthy = false;
    } else if (health->healthy) {
        /* A second opinion, soon. */
        health->next_probe_ns = earlier(health->next_probe_ns, now_ns + limits->interval_ns / 4);
    }
    nx_health_tick(health, limits, now_ns);
}

void nx_health_stood_still(struct nx_health *health, uint64_t stood_ns, uint64_t now_ns)
{
    health->since_ns = earlier(health->since_ns + stood_ns, now_ns);
}

void nx_health_tick(struct nx_health *health, const struct nx_health_limits *limits,
                    uint64_t now_ns)
{
    if (now_ns >= health->since_ns + limits->timeout_ns) {
        health->healthy = false;
    }
}

void nx_health_doubt(struct nx_health *health, const struct nx_health_limits *limits,
                     uint64_t now_ns)
{
    uint64_t soonest = health->last_probe_ns + limits->interval_ns / 10;
    health->next_probe_ns = earlier(health->next_probe_ns, later(soonest, now_ns));
}

uint64_t nx_health_due_ns(const struct nx_health *health, const struct nx_health_limits *limits,
                          bool probing)
{
    uint64_t due = probing ? UINT64_MAX : health->next_probe_ns;
    return health->healthy ? earlier(due, health->since_ns + limits->timeout_ns) : due;
}
