/* Placement: which members own a partition. Weighted rendezvous hashing (highest random weight;
 * weights by -w / ln(u), Schindelhauer and Schomaker 2005): owners are the first RF members in
 * descending score, at most one a zone while unused zones are left. Adding a member moves about 1/N
 * of the partitions, all to it. The outcome is the same on every machine and for every order of the
 * members. With fewer zones than rf, copies spread evenly over the zones. Pure; any thread.
 *
 * The choice has two properties everything that moves is built on: a member chosen from many is
 * chosen from any fewer among which it is, and leaving out one that is not chosen changes nothing.
 * So the members that any mixture of joiners and leavers may make owners of a partition are exactly
 * those that are chosen from the settled members and themselves alone: the writers. */
#ifndef NX_RING_PLACEMENT_H
#define NX_RING_PLACEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Where a member counts. */
enum nx_placement_kind {
    NX_PLACEMENT_STAYS,   /* owners and next owners, and nobody may doubt it */
    NX_PLACEMENT_SETTLES, /* owners and next owners, but not every process may know yet */
    NX_PLACEMENT_COMES,   /* next owners only */
    NX_PLACEMENT_GOES,    /* owners only */
    NX_PLACEMENT_OUT,     /* nowhere */
};

struct nx_placement_member {
    uint64_t key;  /* hash of the member's name */
    double weight; /* > 0 */
    uint64_t zone; /* equal numbers share a zone */
    enum nx_placement_kind kind;
};

#define NX_PLACEMENT_NONE UINT16_MAX
#define NX_PLACEMENT_MAX_RF 64
#define NX_PLACEMENT_MAX_WRITERS 64

/* Entries are positions in the list of members, in descending score. */
struct nx_placement {
    uint32_t partitions;
    uint32_t rf;
    uint16_t *owners;       /* partitions x rf, NX_PLACEMENT_NONE behind the last */
    uint16_t *next_owners;  /* the same; is `owners` where nothing moves */
    uint16_t *writers;      /* NULL where nothing moves: the owners */
    uint32_t *writer_begin; /* partitions + 1 positions in `writers` */
    size_t bytes;           /* of memory, in all */
};

/* NX_ERR_INVALID for rf 0 or above 64, 65,535 members or more, a weight that is not finite and
 * positive. Keys should be distinct. */
enum nx_err nx_placement_new(const struct nx_placement_member *members, size_t count,
                             uint32_t partitions, uint32_t rf,
                             struct nx_placement **out) NX_WARN_UNUSED;
void nx_placement_free(struct nx_placement *placement);

/* The owners alone, of members that all stay, into partitions x rf entries. */
enum nx_err nx_placement_compute(const struct nx_placement_member *members, size_t count,
                                 uint32_t partitions, uint32_t rf, uint16_t *owners) NX_WARN_UNUSED;

/* Whether any mixture of the movers that have not stored a write, with the members that stay, would
 * choose more than `spare` owners that have not stored it. `movers` and `stored` have a bit for
 * each of the `count` writers; `zones` their zones. The worst mixture is the one with just the
 * movers that have not stored it, so no other needs a look. */
bool nx_placement_may_miss(const uint64_t *zones, size_t count, uint64_t movers, uint64_t stored,
                           uint32_t rf, uint32_t spare);

#endif
