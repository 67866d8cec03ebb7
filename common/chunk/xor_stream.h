/* The XOR encoding without memory of its own, for whoever keeps the bytes of millions of open
 * chunks: what has to be known of the chunk to add the next sample, and the bytes that it adds. The
 * stream is a chunk without its header (docs/formats/chunk.md). Pure; any thread. */
#ifndef NX_CHUNK_XOR_STREAM_H
#define NX_CHUNK_XOR_STREAM_H

#include <stdint.h>

#include "common/chunk/bits.h"

/* Bytes that one sample can add, the unfinished one before it included. */
#define NX_XOR_SAMPLE_MAX_BYTES 21

struct nx_xor_state {
    int64_t t; /* of the last sample */
    uint64_t value_bits;
    uint64_t delta; /* t less the time before, modulo 2^64; of no meaning before the second */
    uint32_t count;
    uint8_t leading; /* window of the last value; NX_XOR_NO_WINDOW (xor_code.h) */
    uint8_t trailing;
    uint8_t free_bits; /* unused low bits of the last byte */
};

/* Adds a sample: bits->bytes holds what the stream goes on with, beginning with its last byte
 * (`last_byte`) where that has free bits. The number of those bytes. */
unsigned nx_xor_stream_add(struct nx_xor_state *state, int64_t t, uint64_t value_bits,
                           uint8_t last_byte, struct nx_bits *bits);
/* The time of the first sample of a stream that holds one. */
int64_t nx_xor_stream_first_time(const uint8_t *stream);

#endif
