/* Packed integers of at most 32 bits, as they are (pack.h has them as 64). Inside this room. */
#ifndef NX_CHUNK_COLUMN_UNPACK32_H
#define NX_CHUNK_COLUMN_UNPACK32_H

#include <stdint.h>

#include "common/chunk/column/pack.h"

/* Reads nx_pack_bytes() bytes, of `width` (0 ... 32) bits each; of what is left of a whole group,
 * up to three zeros are written behind the last. */
void nx_unpack32(const uint8_t *in, size_t count, unsigned width, uint32_t *out);

#endif
