/* Hashes: XXH3 (64 and 128 bit) for tables and identity, XXH64 where Prometheus prescribes it,
 * CRC32C for disk records (SSE 4.2 where the CPU has it, else a table). */
#ifndef NX_BASE_HASH_H
#define NX_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/view.h"

struct nx_hash128 {
    uint64_t hi;
    uint64_t lo;
};

uint64_t nx_hash64(const void *bytes, size_t len);
uint64_t nx_hash64_seeded(const void *bytes, size_t len, uint64_t seed);
struct nx_hash128 nx_hash128(const void *bytes, size_t len);
uint64_t nx_xxh64(const void *bytes, size_t len);

static inline uint64_t nx_hash_view(struct nx_view v)
{
    return nx_hash64(v.ptr, v.len);
}

/* CRC-32C (Castagnoli), initial and final inversion included; `crc` is the value so far, 0 to
 * begin. */
uint32_t nx_crc32c(uint32_t crc, const void *bytes, size_t len);
/* The same without the instruction. */
uint32_t nx_crc32c_table(uint32_t crc, const void *bytes, size_t len);

#endif
