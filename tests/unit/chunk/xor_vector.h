/* Reads one line of xor_golden.h. */
#ifndef TESTS_UNIT_CHUNK_XOR_VECTOR_H
#define TESTS_UNIT_CHUNK_XOR_VECTOR_H

#include <stddef.h>
#include <stdint.h>

struct xor_vector {
    size_t count;
    struct {
        int64_t t;
        uint64_t bits;
    } samples[256];
    uint8_t bytes[4096];
    size_t len;
};

void xor_vector_read(const char *line, struct xor_vector *out);

#endif
