/* xoshiro256** 1.0 and splitmix64 by Blackman and Vigna (public domain, prng.di.unimi.it). */
#include "common/base/rand.h"

#include <assert.h>
#include <stddef.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static uint64_t rotl(uint64_t x, unsigned k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t xoshiro_next(struct nx_rand *rand)
{
    uint64_t *s = rand->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

static uint64_t splitmix_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void nx_rand_seeded(struct nx_rand *rand, uint64_t seed)
{
    rand->next_u64 = xoshiro_next;
    for (size_t i = 0; i < 4; i++)
        rand->state[i] = splitmix_next(&seed);
}

void nx_rand_system(struct nx_rand *rand)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        /* Before Linux 3.17, or a sandbox without the call: the clock and the process must do. */
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = ((uint64_t)now.tv_sec << 30) ^ (uint64_t)now.tv_nsec ^ ((uint64_t)getpid() << 48);
    }
    nx_rand_seeded(rand, seed);
}

uint64_t nx_rand_below(struct nx_rand *rand, uint64_t bound)
{
    assert(bound > 0);
    /* Lemire 2019: the product's low half tells the values that would be drawn too often. */
    unsigned __int128 product = (unsigned __int128)nx_rand_u64(rand) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = (0 - bound) % bound;
        while ((uint64_t)product < threshold)
            product = (unsigned __int128)nx_rand_u64(rand) * bound;
    }
    return (uint64_t)(product >> 64);
}

double nx_rand_unit(struct nx_rand *rand)
{
    return (double)(nx_rand_u64(rand) >> 11) * 0x1p-53;
}
