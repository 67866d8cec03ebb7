/* Puts the chunks of a series in order for a block: sorted, not overlapping, nothing outside the
 * range. Chunks that are so already are taken as they are, others are merged and encoded anew. */
#ifndef ING_BLOCK_RECHUNK_H
#define ING_BLOCK_RECHUNK_H

#include "common/base/buf.h"
#include "common/chunk/chunk.h"

struct ing_rechunked {
    struct nx_chunk *chunks; /* alias the source or `bytes` */
    size_t count;
    size_t capacity;
    struct nx_buf bytes;
};

enum nx_err ing_rechunk(const struct nx_chunk *chunks, size_t count, int64_t min_t, int64_t max_t,
                        struct ing_rechunked *out) NX_WARN_UNUSED;
void ing_rechunked_release(struct ing_rechunked *list);

#endif
