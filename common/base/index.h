/* An open-addressing index from a 64-bit hash to a 32-bit reference that the caller gives meaning to
 * (usually a position in an array of its own). Linear probing, load at most 3/4, deletion by backward
 * shift. The index keeps the hash, so growing asks nothing of the caller. One thread. */
#ifndef NX_BASE_INDEX_H
#define NX_BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define NX_INDEX_NONE UINT32_MAX

struct nx_index {
    struct nx_index_slot *slots;
    size_t mask;
    size_t count;
};

/* Whether the entry behind `ref` is the one looked for. */
typedef bool (*nx_index_eq)(uint32_t ref, const void *key, const void *user);

void nx_index_init(struct nx_index *index);
void nx_index_release(struct nx_index *index);
void nx_index_clear(struct nx_index *index);
uint32_t nx_index_find(const struct nx_index *index, uint64_t hash, nx_index_eq eq, const void *key,
                       const void *user);
/* The caller has looked: there is no equal entry. */
enum nx_err nx_index_insert(struct nx_index *index, uint64_t hash, uint32_t ref) NX_WARN_UNUSED;
/* Removes the slot that holds exactly `ref` under `hash`; false where there is none. */
bool nx_index_remove(struct nx_index *index, uint64_t hash, uint32_t ref);
size_t nx_index_memory_bytes(const struct nx_index *index);

#endif
