/* Integers in little-endian order at any address, the order of every format of ours. */
#ifndef NX_BASE_ENDIAN_H
#define NX_BASE_ENDIAN_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t nx_le32_load(const void *at)
{
    uint32_t v;
    memcpy(&v, at, sizeof v);
    return le32toh(v);
}
static inline uint64_t nx_le64_load(const void *at)
{
    uint64_t v;
    memcpy(&v, at, sizeof v);
    return le64toh(v);
}
static inline void nx_le32_store(void *at, uint32_t v)
{
    v = htole32(v);
    memcpy(at, &v, sizeof v);
}
static inline void nx_le64_store(void *at, uint64_t v)
{
    v = htole64(v);
    memcpy(at, &v, sizeof v);
}

#endif
