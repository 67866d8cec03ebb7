/* Which partitions this node is to hold, and from whom what it lacks can be had. Pure over a view
 * of the ring; one thread. */
#ifndef ING_REPAIR_PEERS_H
#define ING_REPAIR_PEERS_H

#include "common/ring/ring.h"

#define ING_PEER_NONE SIZE_MAX

struct ing_peers {
    struct nx_ring_view *view; /* held */
    size_t self;               /* ING_PEER_NONE: not in the list */
    uint8_t *mine;             /* bitmap: partitions whose writes this node takes */
    uint8_t *owned;            /* bitmap: those it is an owner of now */
    uint8_t *next;             /* bitmap: those it is an owner of when all is done */
    uint8_t *needed;           /* a partition: so many others to compare with until it is whole */
};

/* Takes a view. */
enum nx_err ing_peers_init(struct ing_peers *peers, struct nx_ring *ring,
                           const char *name) NX_WARN_UNUSED;
void ing_peers_release(struct ing_peers *peers);

static inline bool ing_bit(const uint8_t *bits, uint32_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}
static inline void ing_bit_set(uint8_t *bits, uint32_t i, bool value)
{
    uint8_t mask = (uint8_t)(1U << (i % 8));
    bits[i / 8] = value ? (uint8_t)(bits[i / 8] | mask) : (uint8_t)(bits[i / 8] & ~mask);
}
static inline size_t ing_bits_size(uint32_t partitions)
{
    return (partitions + 7) / 8;
}

/* The partitions that this node is to hold and the member is an owner of; false: none. */
bool ing_peers_shared(const struct ing_peers *peers, size_t member, uint8_t *bits);
/* A cluster that is being born: nobody that was heard has been ACTIVE, READONLY or LEAVING, and
 * every member was heard, or, `waited` long enough, all but RF - W: more might be all that have
 * what was acknowledged, cut off from a number of new ones. */
bool ing_peers_is_birth(const struct ing_peers *peers, bool waited);

#endif
