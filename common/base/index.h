/* An open-addressing index from a 64-bit hash to a 32-bit reference that the caller gives meaning
 * to (usually a position in an array of its own). Linear probing, deletion by backward shift. A
 * slot is 8 bytes: the reference and 32 mixed bits of the hash, from which its place follows, so
 * that growing asks nothing of the caller. NX_INDEX_NONE is no reference. One thread.
 *
 * A small index is one table that doubles (load at most 3/4). A large one is NX_INDEX_PARTS tables,
 * each grown by an eighth at a load of 4/5, one at a time: never are two copies of the index in
 * memory, and an entry costs 10 to 12 bytes. */
#ifndef NX_BASE_INDEX_H
#define NX_BASE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define NX_INDEX_NONE UINT32_MAX
#define NX_INDEX_PARTS_BITS 8
#define NX_INDEX_PARTS (1u << NX_INDEX_PARTS_BITS)

struct nx_index_slot {
    uint32_t tag;
    uint32_t ref; /* NX_INDEX_NONE: free */
};

struct nx_index_table {
    struct nx_index_slot *slots;
    uint32_t size;
    uint32_t count;
};

struct nx_index {
    struct nx_index_table whole;  /* while it is small */
    struct nx_index_table *parts; /* NX_INDEX_PARTS, by the highest bits of the tag; or NULL */
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
/* Where the search for a tag begins: its bits below those that chose the part, scaled to the size,
 * so that the entries of a table are in the order of their tags and any size will do. */
static inline uint32_t nx_index_home(uint32_t tag, uint32_t size, bool in_part)
{
    uint32_t bits = in_part ? tag << NX_INDEX_PARTS_BITS : tag;
    return (uint32_t)(((uint64_t)bits * size) >> 32);
}
static inline const struct nx_index_table *nx_index_table_of(const struct nx_index *index,
                                                             uint32_t tag)
{
    return index->parts ? &index->parts[tag >> (32 - NX_INDEX_PARTS_BITS)] : &index->whole;
}
/* For looking up many at once, where each would wait for memory: nx_index_prefetch of all, then
 * nx_index_candidate of all (whose entries the caller fetches), then nx_index_find of all. */
static inline void nx_index_prefetch(const struct nx_index *index, uint64_t hash)
{
    uint32_t tag = nx_index_tag(hash);
    const struct nx_index_table *table = nx_index_table_of(index, tag);
    if (table->count > 0)
        __builtin_prefetch(&table->slots[nx_index_home(tag, table->size, index->parts != NULL)]);
}
/* The first reference that may be the equal entry's, nearly always it; or NX_INDEX_NONE. */
static inline uint32_t nx_index_candidate(const struct nx_index *index, uint64_t hash)
{
    uint32_t tag = nx_index_tag(hash);
    const struct nx_index_table *table = nx_index_table_of(index, tag);
    if (table->count == 0)
        return NX_INDEX_NONE;
    uint32_t i = nx_index_home(tag, table->size, index->parts != NULL);
    while (table->slots[i].ref != NX_INDEX_NONE && table->slots[i].tag != tag)
        i = i + 1 < table->size ? i + 1 : 0;
    return table->slots[i].ref;
}
/* The reference of the equal entry, or NX_INDEX_NONE. Inline, so that `eq` is too. */
static inline uint32_t nx_index_find(const struct nx_index *index, uint64_t hash, nx_index_eq eq,
                                     const void *key, const void *user)
{
    uint32_t tag = nx_index_tag(hash);
    const struct nx_index_table *table = nx_index_table_of(index, tag);
    if (table->count == 0)
        return NX_INDEX_NONE;
    uint32_t i = nx_index_home(tag, table->size, index->parts != NULL);
    for (;;) {
        struct nx_index_slot slot = table->slots[i];
        if (slot.ref == NX_INDEX_NONE || (slot.tag == tag && eq(slot.ref, key, user)))
            return slot.ref;
        if (++i == table->size)
            i = 0;
    }
}
/* The caller has looked: there is no equal entry. NX_ERR_LIMIT beyond 3 * 10^9 entries. */
enum nx_err nx_index_insert(struct nx_index *index, uint64_t hash, uint32_t ref) NX_WARN_UNUSED;
/* Removes the slot that holds exactly `ref` under `hash`; false where there is none. Gives no
 * memory back, so that inserting as much again needs none. */
bool nx_index_remove(struct nx_index *index, uint64_t hash, uint32_t ref);
/* The same, for callers that have kept nx_index_tag(hash) only. */
bool nx_index_remove_tagged(struct nx_index *index, uint32_t tag, uint32_t ref);
size_t nx_index_memory_bytes(const struct nx_index *index);

#endif
