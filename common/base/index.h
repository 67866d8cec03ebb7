/* An open-addressing index from a 64-bit hash to a 32-bit reference that the caller gives meaning
 * to (usually a position in an array of its own). Linear probing, load at most 3/4, deletion by
 * backward shift. A slot is 8 bytes: the reference and 32 mixed bits of the hash, from which its
 * place follows, so that growing asks nothing of the caller. NX_INDEX_NONE is no reference. One
 * thread. */
#ifndef NX_BASE_INDEX_H
#define NX_BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define NX_INDEX_NONE UINT32_MAX

struct nx_index_slot {
    uint32_t tag;
    uint32_t ref; /* NX_INDEX_NONE: free */
};

struct nx_index {
    struct nx_index_slot *slots;
    size_t mask; /* number of slots - 1 */
    size_t count;
};

/* Whether the entry behind `ref` is the one looked for. */
typedef bool (*nx_index_eq)(uint32_t ref, const void *key, const void *user);

void nx_index_init(struct nx_index *index);
void nx_index_release(struct nx_index *index);
void nx_index_clear(struct nx_index *index);
static inline uint32_t nx_index_tag(uint64_t hash)
{
    return (uint32_t)((hash * UINT64_C(0x9E3779B97F4A7C15)) >> 32);
}
/* The reference of the equal entry, or NX_INDEX_NONE. Inline, so that `eq` is too. */
static inline uint32_t nx_index_find(const struct nx_index *index, uint64_t hash, nx_index_eq eq,
                                     const void *key, const void *user)
{
    if (index->count == 0)
        return NX_INDEX_NONE;
    uint32_t tag = nx_index_tag(hash);
    for (size_t i = tag & index->mask;; i = (i + 1) & index->mask) {
        struct nx_index_slot slot = index->slots[i];
        if (slot.ref == NX_INDEX_NONE || (slot.tag == tag && eq(slot.ref, key, user)))
            return slot.ref;
    }
}
/* The caller has looked: there is no equal entry. NX_ERR_LIMIT beyond 3 * 2^30 entries. */
enum nx_err nx_index_insert(struct nx_index *index, uint64_t hash, uint32_t ref) NX_WARN_UNUSED;
/* Removes the slot that holds exactly `ref` under `hash`; false where there is none. */
bool nx_index_remove(struct nx_index *index, uint64_t hash, uint32_t ref);
size_t nx_index_memory_bytes(const struct nx_index *index);

#endif
