/* Placement: which members own a partition. Weighted rendezvous hashing (highest random weight;
 * weights by -w / ln(u), Schindelhauer and Schomaker 2005): owners are the first RF members in
 * descending score, at most one a zone while unused zones are left. Adding a member moves about 1/N
 * of the partitions, all to it. The outcome is the same on every machine and for every order of the
 * members. With fewer zones than rf, copies spread evenly over the zones. Pure; any thread. */
#ifndef NX_RING_PLACEMENT_H
#define NX_RING_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct nx_placement_member {
    uint64_t key;  /* hash of the member's name */
    double weight; /* > 0 */
    uint32_t zone; /* equal numbers share a zone */
};

/* owners: partitions x rf member positions, in descending score; where fewer than rf members exist
 * the rest is NX_PLACEMENT_NONE. NX_ERR_INVALID for rf 0 or above 64, 65,535 members or more, a
 * weight that is not finite and positive. Keys should be distinct. */
#define NX_PLACEMENT_NONE UINT16_MAX
enum nx_err nx_placement_compute(const struct nx_placement_member *members, size_t count,
                                 uint32_t partitions, uint32_t rf, uint16_t *owners) NX_WARN_UNUSED;

#endif
