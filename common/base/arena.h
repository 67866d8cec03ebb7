/* Memory of one request, freed at once. Optional cap in bytes: the arena counts what it took from
 * the allocator, and an allocation that would pass the cap returns NULL, as one for which there is
 * no memory does; nx_arena_over() tells the two apart. Alignment 16. One thread at a time. */
#ifndef NX_BASE_ARENA_H
#define NX_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/view.h"

struct nx_arena {
    struct nx_arena_chunk *chunks; /* the newest first */
    char *next;
    char *end;
    size_t used_bytes; /* taken from the allocator */
    size_t max_bytes;  /* 0: no cap */
    bool over;
};

void nx_arena_init(struct nx_arena *arena, size_t max_bytes);
void nx_arena_release(struct nx_arena *arena);
/* Forgets all contents; keeps one chunk for reuse. */
void nx_arena_clear(struct nx_arena *arena);
void *nx_arena_alloc(struct nx_arena *arena, size_t size_bytes) __attribute__((warn_unused_result));
void *nx_arena_calloc(struct nx_arena *arena, size_t count, size_t size_bytes)
    __attribute__((warn_unused_result));
void *nx_arena_array(struct nx_arena *arena, size_t count, size_t size_bytes)
    __attribute__((warn_unused_result));
/* A NUL-terminated copy; the view's ptr is NULL on failure. */
struct nx_view nx_arena_copy(struct nx_arena *arena, struct nx_view view);
/* Grows an arena array to hold `need` elements (the old array stays behind until release); false on
 * failure. `array` is the address of the pointer. */
bool nx_arena_grow(struct nx_arena *arena, void *array, size_t len, size_t *capacity, size_t need,
                   size_t size_bytes) __attribute__((warn_unused_result));
/* Whether an allocation failed because of the cap. */
static inline bool nx_arena_over(const struct nx_arena *arena)
{
    return arena->over;
}

#endif
