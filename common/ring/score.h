/* Scores of rendezvous hashing.
 *
 * For partition p and member m, h = mix(key(m) xor mix(p)) is a uniform 64-bit number, u = (h's
 * upper 53 bits + 1/2) / 2^53 lies in (0, 1), and the member with the least cost -ln(u) / weight
 * comes first: that is the minimum of exponential variables with rate `weight`, hence each member
 * wins in proportion to its weight.
 *
 * Every process of a cluster must find the same owners on any machine, so the costs use only IEEE
 * 754 additions, multiplications and divisions, which are exactly rounded everywhere (the build
 * forbids contraction to fused multiply-add); libm's log, which is not, is not called. Equal costs
 * are ordered by h, then by key, so the outcome does not depend on the order of the list either. */
#ifndef NX_RING_SCORE_H
#define NX_RING_SCORE_H

#include <stdint.h>

static inline uint64_t nx_score_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* What a member's key is to be combined with by xor, and mixed. */
static inline uint64_t nx_score_seed(uint32_t partition)
{
    return nx_score_mix((uint64_t)partition + UINT64_C(0x9E3779B97F4A7C15));
}

/* -ln(u) / weight of the hash; less is better, and a greater hash costs less. */
double nx_score_cost(uint64_t hash, double weight);

#endif
