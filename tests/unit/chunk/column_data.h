/* Sequences as metrics have them, and as nobody expects them, from a seeded source. */
#ifndef TESTS_UNIT_CHUNK_COLUMN_DATA_H
#define TESTS_UNIT_CHUNK_COLUMN_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/rand.h"

enum { COLUMN_INT_KINDS = 9, COLUMN_VALUE_KINDS = 12 };

/* `kind` below COLUMN_INT_KINDS. */
void column_ints(struct nx_rand *rand, unsigned kind, int64_t *values, size_t count);
/* Bits of floats; `kind` below COLUMN_VALUE_KINDS. */
void column_values(struct nx_rand *rand, unsigned kind, uint64_t *bits, size_t count);
/* Strictly ascending: regular, with jitter, with gaps, or anyhow. */
void column_times(struct nx_rand *rand, unsigned kind, int64_t *times, size_t count);

#endif
