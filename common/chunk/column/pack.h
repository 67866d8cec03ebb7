/* Unsigned integers of one width, packed (docs/formats/chunk.md, "Packed integers"). A full group
 * of 128 lies interleaved, so that a vector of neighbours comes out of one shift; a shorter one is
 * a plain stream of bits. Pure functions, any thread. */
#ifndef NX_CHUNK_COLUMN_PACK_H
#define NX_CHUNK_COLUMN_PACK_H

#include <stddef.h>
#include <stdint.h>

enum { NX_PACK_GROUP = 128 };

/* What `count` (at most NX_PACK_GROUP) integers of `width` bits (0 ... 64) take, in bytes. */
static inline size_t nx_pack_bytes(size_t count, unsigned width)
{
    return (count * width + 7) / 8;
}

/* Writes nx_pack_bytes() bytes; the values must fit the width. */
void nx_pack(const uint64_t *values, size_t count, unsigned width, uint8_t *out);
/* Reads nx_pack_bytes() bytes. `out` has room for a whole group, however few are asked for. */
void nx_unpack(const uint8_t *in, size_t count, unsigned width, uint64_t *out);
/* The same without the vector instructions. */
void nx_unpack_portable(const uint8_t *in, size_t count, unsigned width, uint64_t *out);

#endif
