/* Takes time ranges out of a chunk: how deletions reach samples that are encoded already. Pure. */
#ifndef NX_CHUNK_CUT_H
#define NX_CHUNK_CUT_H

#include "common/base/arena.h"
#include "common/chunk/chunk.h"

/* Milliseconds, both ends inclusive. */
struct nx_interval {
    int64_t min_t;
    int64_t max_t;
};

/* The chunk without the samples whose time is in one of the intervals (in any order, overlapping or
 * not). *out is the chunk as it is where no sample goes, has count 0 where all go, and is otherwise
 * encoded anew into the arena. A histogram that is no gauge loses its reset hint where the sample
 * before it went. NX_ERR_CORRUPT on damaged bytes. */
enum nx_err nx_chunk_cut(const struct nx_chunk *chunk, const struct nx_interval *intervals,
                         size_t count, struct nx_arena *arena, struct nx_chunk *out) NX_WARN_UNUSED;

#endif
