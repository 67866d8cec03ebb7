/* What a run of heartbeats says of a member. Pure: time comes in.
 *
 * A member begins healthy and unheard. It is unhealthy once nothing was heard of it for the
 * time-out, at once when it refuses us (another cluster, other partitions), and, when it has been
 * heard before, after two failures in a row (a process that died refuses connections immediately).
 * The next answer heals it.
 *
 * Time in which this process itself stood still (it was stopped, starved, or its machine was) is
 * no silence of others: whoever wakes up late would otherwise take all of them for dead, and be
 * the only one that fails. */
#ifndef NX_RING_HEALTH_H
#define NX_RING_HEALTH_H

#include <stdbool.h>
#include <stdint.h>

struct nx_health_limits {
    uint64_t interval_ns;
    uint64_t timeout_ns;
};

struct nx_health {
    bool healthy;
    bool heard;
    unsigned failures;      /* in a row */
    uint64_t since_ns;      /* last sign of life, or the beginning */
    uint64_t last_probe_ns; /* begin of the last probe */
    uint64_t next_probe_ns;
};

enum nx_health_failure {
    NX_HEALTH_SILENT,  /* no answer */
    NX_HEALTH_BUSY,    /* alive, but did not serve the heartbeat */
    NX_HEALTH_REFUSED, /* answered that we do not belong together */
    NX_HEALTH_UNKNOWN, /* nobody was there to see an answer: this process stood still */
};

void nx_health_init(struct nx_health *health, uint64_t now_ns);
void nx_health_probed(struct nx_health *health, const struct nx_health_limits *limits,
                      uint64_t now_ns);
void nx_health_answered(struct nx_health *health, uint64_t now_ns);
void nx_health_failed(struct nx_health *health, const struct nx_health_limits *limits,
                      enum nx_health_failure failure, uint64_t now_ns);
/* This process stood still for so long until now. */
void nx_health_stood_still(struct nx_health *health, uint64_t stood_ns, uint64_t now_ns);
/* Time passed. */
void nx_health_tick(struct nx_health *health, const struct nx_health_limits *limits,
                    uint64_t now_ns);
/* Somebody has reason to doubt the present verdict: probe soon, yet not more often than ten times
 * an interval. */
void nx_health_doubt(struct nx_health *health, const struct nx_health_limits *limits,
                     uint64_t now_ns);
/* When the member's state may change or its next probe is due, whichever is first. */
uint64_t nx_health_due_ns(const struct nx_health *health, const struct nx_health_limits *limits,
                          bool probing);

#endif
