/* A slot's home is the low bits of its tag. Invariant: between the home of an entry and its slot no
 * slot is free, which removal keeps by moving later entries of the run back. */
#include "common/base/index.h"

#include <assert.h>
#include <string.h>

#include "common/base/alloc.h"

#define FIRST_SLOTS ((size_t)8)
#define MAX_SLOTS ((size_t)1 << 32) /* a tag has no more bits */

void nx_index_init(struct nx_index *index)
{
    *index = (struct nx_index){.slots = NULL};
}

void nx_index_release(struct nx_index *index)
{
    nx_free(index->slots);
    nx_index_init(index);
}

void nx_index_clear(struct nx_index *index)
{
    if (index->slots)
        memset(index->slots, 0xFF, (index->mask + 1) * sizeof *index->slots);
    index->count = 0;
}

static void place(struct nx_index_slot *slots, size_t mask, struct nx_index_slot slot)
{
    size_t i = slot.tag & mask;
    while (slots[i].ref != NX_INDEX_NONE)
        i = (i + 1) & mask;
    slots[i] = slot;
}

static enum nx_err grow(struct nx_index *index)
{
    size_t size = index->slots ? (index->mask + 1) * 2 : FIRST_SLOTS;
    if (size > MAX_SLOTS)
        return NX_ERR_LIMIT;
    struct nx_index_slot *slots = nx_alloc_array(size, sizeof *slots);
    if (!slots)
        return NX_ERR_NOMEM;
    memset(slots, 0xFF, size * sizeof *slots);
    for (size_t i = 0; index->slots && i <= index->mask; i++)
        if (index->slots[i].ref != NX_INDEX_NONE)
            place(slots, size - 1, index->slots[i]);
    nx_free(index->slots);
    index->slots = slots;
    index->mask = size - 1;
    return NX_OK;
}

enum nx_err nx_index_insert(struct nx_index *index, uint64_t hash, uint32_t ref)
{
    assert(ref != NX_INDEX_NONE);
    if (!index->slots || (index->count + 1) * 4 > (index->mask + 1) * 3) {
        enum nx_err err = grow(index);
        if (err != NX_OK)
            return err;
    }
    place(index->slots, index->mask, (struct nx_index_slot){.tag = nx_index_tag(hash), .ref = ref});
    index->count++;
    return NX_OK;
}

/* Frees slot `hole`, moving back every later entry of the run whose home does not lie behind it. */
static void close_hole(struct nx_index *index, size_t hole)
{
    size_t mask = index->mask;
    for (size_t i = (hole + 1) & mask; index->slots[i].ref != NX_INDEX_NONE; i = (i + 1) & mask) {
        size_t home = index->slots[i].tag & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            index->slots[hole] = index->slots[i];
            hole = i;
        }
    }
    index->slots[hole].ref = NX_INDEX_NONE;
}

bool nx_index_remove(struct nx_index *index, uint64_t hash, uint32_t ref)
{
    if (index->count == 0 || ref == NX_INDEX_NONE)
        return false;
    uint32_t tag = nx_index_tag(hash);
    size_t i = tag & index->mask;
    while (index->slots[i].ref != ref || index->slots[i].tag != tag) {
        if (index->slots[i].ref == NX_INDEX_NONE)
            return false;
        i = (i + 1) & index->mask;
    }
    close_hole(index, i);
    index->count--;
    return true;
}

size_t nx_index_memory_bytes(const struct nx_index *index)
{
    return index->slots ? (index->mask + 1) * sizeof *index->slots : 0;
}
