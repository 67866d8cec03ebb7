/* Reads Prometheus's chunks of histograms, straight from the description of the format: what the
 * encoder is tested against. */
#ifndef TESTS_UNIT_CHUNK_PROM_DECODER_H
#define TESTS_UNIT_CHUNK_PROM_DECODER_H

#include "common/chunk/prom_histogram_chunk.h"

struct decoded_sample {
    int64_t t;
    const struct nx_histogram *h;
};

struct decoded_chunk {
    unsigned flags; /* bits 6 and 7: the reset header */
    size_t count;
    struct decoded_sample *samples;
};

/* Everything in the arena. Asserts that the bytes are well-formed to the last one. */
struct decoded_chunk decode_prom_chunk(struct nx_arena *arena, const struct nx_prom_chunk *chunk);

#endif
