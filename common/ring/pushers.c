#include "common/ring/pushers.h"

void nx_ring_pusher_heard(struct nx_ring_pushers *pushers, uint64_t id, uint64_t now_ns)
{
    size_t at = 0;
    size_t oldest = 0;
    while (at < pushers->count && pushers->items[at].id != id) {
        if (pushers->items[at].heard_ns < pushers->items[oldest].heard_ns)
            oldest = at;
        at++;
    }
    if (at == NX_RING_PUSHERS_MAX)
        at = oldest;
    else if (at == pushers->count)
        pushers->count++;
    pushers->items[at] = (struct nx_ring_pusher){.id = id, .heard_ns = now_ns};
}

size_t nx_ring_pushers_count(struct nx_ring_pushers *pushers, uint64_t now_ns, uint64_t timeout_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < pushers->count; i++) {
        struct nx_ring_pusher pusher = pushers->items[i];
        if (pusher.heard_ns + timeout_ns >= now_ns)
            pushers->items[kept++] = pusher;
    }
    pushers->count = kept;
    return kept;
}
