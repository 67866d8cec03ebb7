/* Rows of integers that go up. Inside this room. */
#ifndef NX_CHUNK_COLUMN_STEPS_H
#define NX_CHUNK_COLUMN_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* out[i] = first + i * step for i < count <= room; what lies behind is written over as far as there
 * is room. */
void nx_steps_fill(uint64_t first, uint64_t step, uint64_t *out, size_t count, size_t room);
/* Whether each of `count` > 0 integers is greater than the one before. */
bool nx_steps_ascend(const int64_t *values, size_t count);

#endif
