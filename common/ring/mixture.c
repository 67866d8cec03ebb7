/* The worst mixture of members on the move, for a write that some have stored. */
#include "common/ring/placement.h"

static bool has(uint64_t set, size_t i)
{
    return set >> i & 1;
}

/* How many members of the mixture are before writer i in its zone. */
static uint32_t rank_in_zone(const uint64_t *zones, size_t i, uint64_t mixture)
{
    uint32_t rank = 0;
    for (size_t j = 0; j < i; j++) {
        rank += has(mixture, j) && zones[j] == zones[i] ? 1 : 0;
    }
    return rank;
}

/* Leaving a mover that has stored the write out of a mixture lets at most one other in, which has
 * not stored it or has; putting in one that has not stored it pushes at most one out. So the worst
 * mixture is that of the settled members and the movers without the write. */
bool nx_placement_may_miss(const uint64_t *zones, size_t count, uint64_t movers, uint64_t stored,
                           uint32_t rf, uint32_t spare)
{
    uint64_t mixture = ~(movers & stored);
    uint32_t chosen = 0;
    uint32_t missed = 0;
    for (uint32_t rank = 0; chosen < rf && rank < count; rank++) {
        for (size_t i = 0; i < count && chosen < rf; i++) {
            if (has(mixture, i) && rank_in_zone(zones, i, mixture) == rank) {
                chosen++;
                missed += has(stored, i) ? 0 : 1;
            }
        }
    }
    return missed > spare;
}
