/* Whether this machine has the instructions (AVX2 and FMA) that the vector paths of this room are
 * written in. Inside this room. */
#ifndef NX_CHUNK_COLUMN_VECTORS_H
#define NX_CHUNK_COLUMN_VECTORS_H

#include <stdbool.h>

static inline bool nx_column_has_vectors(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return false;
#endif
}

#endif
