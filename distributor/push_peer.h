/* What a worker keeps of each ingester it pushes to: the bytes it has not answered yet (shared by
 * all workers of the process), and the life it was last heard in.
 *
 * A life is a small number for one incarnation of one ingester, the same for all workers, under
 * which the series cache notes what that incarnation knows. */
#ifndef DIST_PUSH_PEER_H
#define DIST_PUSH_PEER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct dist_cache;
struct nx_ring_view;

/* Bytes on their way to one ingester; lives until the registry is freed. Any thread. */
struct dist_load {
    atomic_size_t bytes;
    uint64_t name_hash;
    struct dist_load *next;
};

/* The loads and lives of a process; any thread. */
struct dist_loads;
enum nx_err dist_loads_new(struct dist_loads **out) NX_WARN_UNUSED;
void dist_loads_free(struct dist_loads *loads);
/* Made at the first asking; NULL without memory. */
struct dist_load *dist_loads_get(struct dist_loads *loads, uint64_t name_hash);
/* False, and nothing charged, where it would pass `max_bytes` (one push is let through in any
 * case). */
bool dist_load_charge(struct dist_load *load, size_t bytes, size_t max_bytes);
void dist_load_discharge(struct dist_load *load, size_t bytes);

struct dist_peer {
    uint64_t name_hash;
    struct dist_load *load;
    uint64_t incarnation; /* 0: never heard */
    uint16_t life;        /* of that incarnation; 0: none */
};

/* The peers of one worker, by position in the ring view. One thread. */
struct dist_peers {
    struct dist_loads *loads;
    struct dist_cache *cache;
    uint64_t view_version;
    struct dist_peer *items;
    size_t count, capacity;
};

void dist_peers_init(struct dist_peers *peers, struct dist_loads *loads, struct dist_cache *cache);
void dist_peers_release(struct dist_peers *peers);
/* Brings the table in line with a view; peers->items[i] then belongs to member i. */
enum nx_err dist_peers_update(struct dist_peers *peers,
                              const struct nx_ring_view *view) NX_WARN_UNUSED;
/* The life of an incarnation; 0 for incarnation 0 and without memory. When the numbers run out,
 * they begin anew and the cache forgets every confirmation; a worker that still uses an old number
 * leaves out labels that its ingester asks for. */
uint16_t dist_peers_life(struct dist_peers *peers, uint64_t name_hash, uint64_t incarnation);

#endif
