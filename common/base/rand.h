/* Randomness behind an interface: the system's for identities and jitter, a seeded one for tests
 * and simulation. */
#ifndef NX_BASE_RAND_H
#define NX_BASE_RAND_H

#include <stdint.h>

struct nx_rand {
    uint64_t (*next_u64)(struct nx_rand *rand);
    uint64_t state[4];
};

/* xoshiro256**, seeded through splitmix64: the same seed gives the same sequence everywhere. */
void nx_rand_seeded(struct nx_rand *rand, uint64_t seed);
/* Seeded from getrandom(2). Not for cryptography. */
void nx_rand_system(struct nx_rand *rand);

static inline uint64_t nx_rand_u64(struct nx_rand *rand)
{
    return rand->next_u64(rand);
}
/* Uniform in [0, bound), bound > 0. */
uint64_t nx_rand_below(struct nx_rand *rand, uint64_t bound);
/* Uniform in [0, 1). */
double nx_rand_unit(struct nx_rand *rand);

#endif
