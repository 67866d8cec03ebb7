/* The distributors that an ingester has heard of lately: whoever pushes asks for heartbeats, and
 * says in them that it is one. From their number each distributor knows what part of a limit of the
 * whole cluster is its own. Not thread-safe: under the ring's lock. */
#ifndef NX_RING_PUSHERS_H
#define NX_RING_PUSHERS_H

#include <stddef.h>
#include <stdint.h>

/* Beyond it the one silent for longest is forgotten. */
#define NX_RING_PUSHERS_MAX 1024

struct nx_ring_pushers {
    struct nx_ring_pusher {
        uint64_t id;
        uint64_t heard_ns;
    } items[NX_RING_PUSHERS_MAX];
    size_t count;
};

/* `id` is a number that a distributor's process chose at random, not 0. */
void nx_ring_pusher_heard(struct nx_ring_pushers *pushers, uint64_t id, uint64_t now_ns);
/* Forgets those silent for longer than `timeout_ns`; returns how many are left. */
size_t nx_ring_pushers_count(struct nx_ring_pushers *pushers, uint64_t now_ns, uint64_t timeout_ns);

#endif
