/* Histograms for property tests. */
#ifndef TESTS_UNIT_CHUNK_RANDOM_HISTOGRAM_H
#define TESTS_UNIT_CHUNK_RANDOM_HISTOGRAM_H

#include "common/base/arena.h"
#include "common/base/rand.h"
#include "common/chunk/histogram.h"

/* A sound histogram of random layout; `integer` ones have integer counts that agree with their
 * total. */
struct nx_histogram *random_histogram(struct nx_rand *rand, struct nx_arena *arena, bool integer);
/* The same layout some observations later. */
struct nx_histogram *grown_histogram(struct nx_rand *rand, struct nx_arena *arena,
                                     const struct nx_histogram *before);

#endif
