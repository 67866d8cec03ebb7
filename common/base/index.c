/* Invariant of a table: between the home of an entry and its slot no slot is free, which removal
 * keeps by moving later entries of the run back. A table is never full. */
#include "common/base/index.h"

#include <assert.h>
#include <string.h>

#include "common/base/alloc.h"

#define FIRST_SLOTS 8u
#define WHOLE_MAX_SLOTS (1u << 14)
#define PART_MAX_SLOTS (1u << 24)

void nx_index_init(struct nx_index *index)
{
    *index = (struct nx_index){.parts = NULL};
}

void nx_index_release(struct nx_index *index)
{
    for (size_t i = 0; index->parts && i < NX_INDEX_PARTS; i++)
        nx_free(index->parts[i].slots);
    nx_free(index->parts);
    nx_free(index->whole.slots);
    nx_index_init(index);
}

static void table_clear(struct nx_index_table *table)
{
    if (table->slots)
        memset(table->slots, 0xFF, table->size * sizeof *table->slots);
    table->count = 0;
}

void nx_index_clear(struct nx_index *index)
{
    table_clear(&index->whole);
    for (size_t i = 0; index->parts && i < NX_INDEX_PARTS; i++)
        table_clear(&index->parts[i]);
    index->count = 0;
}

static enum nx_err table_alloc(struct nx_index_table *table, uint32_t size)
{
    struct nx_index_slot *slots = nx_alloc_array(size, sizeof *slots);
    if (!slots)
        return NX_ERR_NOMEM;
    *table = (struct nx_index_table){.slots = slots, .size = size};
    table_clear(table);
    return NX_OK;
}

static void place(struct nx_index_table *table, bool in_part, struct nx_index_slot slot)
{
    uint32_t i = nx_index_home(slot.tag, table->size, in_part);
    while (table->slots[i].ref != NX_INDEX_NONE)
        if (++i == table->size)
            i = 0;
    table->slots[i] = slot;
    table->count++;
}

static enum nx_err table_grow(struct nx_index_table *table, bool in_part, uint32_t size)
{
    struct nx_index_table grown;
    enum nx_err err = table_alloc(&grown, size);
    if (err != NX_OK)
        return err;
    for (uint32_t i = 0; i < table->size; i++)
        if (table->slots[i].ref != NX_INDEX_NONE)
            place(&grown, in_part, table->slots[i]);
    nx_free(table->slots);
    *table = grown;
    return NX_OK;
}

static enum nx_err part_reserve(struct nx_index_table *part)
{
    uint64_t count = (uint64_t)part->count + 1;
    if (count * 5 <= (uint64_t)part->size * 4)
        return NX_OK;
    if (part->size >= PART_MAX_SLOTS)
        return NX_ERR_LIMIT;
    return table_grow(part, true, part->size + part->size / 8 + FIRST_SLOTS);
}

static struct nx_index_table *part_of(const struct nx_index *index, uint32_t tag)
{
    return &index->parts[tag >> (32 - NX_INDEX_PARTS_BITS)];
}

static enum nx_err split(struct nx_index *index)
{
    struct nx_index_table *parts = nx_calloc(NX_INDEX_PARTS, sizeof *parts);
    if (!parts)
        return NX_ERR_NOMEM;
    struct nx_index divided = {.parts = parts, .count = index->count};
    for (uint32_t i = 0; i < index->whole.size; i++) {
        struct nx_index_slot slot = index->whole.slots[i];
        if (slot.ref == NX_INDEX_NONE)
            continue;
        struct nx_index_table *part = part_of(&divided, slot.tag);
        enum nx_err err = part_reserve(part);
        if (err != NX_OK) {
            nx_index_release(&divided);
            return err;
        }
        place(part, true, slot);
    }
    nx_free(index->whole.slots);
    *index = divided;
    return NX_OK;
}

static enum nx_err whole_reserve(struct nx_index *index)
{
    struct nx_index_table *whole = &index->whole;
    if ((whole->count + 1) * 4 <= whole->size * 3)
        return NX_OK;
    if (whole->size >= WHOLE_MAX_SLOTS)
        return split(index);
    return table_grow(whole, false, whole->size ? whole->size * 2 : FIRST_SLOTS);
}

enum nx_err nx_index_insert(struct nx_index *index, uint64_t hash, uint32_t ref)
{
    assert(ref != NX_INDEX_NONE);
    struct nx_index_slot slot = {.tag = nx_index_tag(hash), .ref = ref};
    enum nx_err err = index->parts ? NX_OK : whole_reserve(index);
    if (err == NX_OK && index->parts)
        err = part_reserve(part_of(index, slot.tag));
    if (err != NX_OK)
        return err;
    place(index->parts ? part_of(index, slot.tag) : &index->whole, index->parts != NULL, slot);
    index->count++;
    return NX_OK;
}

static uint32_t distance(const struct nx_index_table *table, uint32_t from, uint32_t to)
{
    return to >= from ? to - from : to + table->size - from;
}

/* Frees slot `hole`, moving back every later entry of the run whose home does not lie behind it. */
static void close_hole(struct nx_index_table *table, bool in_part, uint32_t hole)
{
    for (uint32_t i = hole;;) {
        if (++i == table->size)
            i = 0;
        if (table->slots[i].ref == NX_INDEX_NONE)
            break;
        uint32_t home = nx_index_home(table->slots[i].tag, table->size, in_part);
        if (distance(table, home, i) >= distance(table, hole, i)) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole].ref = NX_INDEX_NONE;
}

bool nx_index_remove_tagged(struct nx_index *index, uint32_t tag, uint32_t ref)
{
    bool in_part = index->parts != NULL;
    struct nx_index_table *table = in_part ? part_of(index, tag) : &index->whole;
    if (table->count == 0 || ref == NX_INDEX_NONE)
        return false;
    uint32_t i = nx_index_home(tag, table->size, in_part);
    while (table->slots[i].ref != ref || table->slots[i].tag != tag) {
        if (table->slots[i].ref == NX_INDEX_NONE)
            return false;
        if (++i == table->size)
            i = 0;
    }
    close_hole(table, in_part, i);
    table->count--;
    index->count--;
    return true;
}

bool nx_index_remove(struct nx_index *index, uint64_t hash, uint32_t ref)
{
    return nx_index_remove_tagged(index, nx_index_tag(hash), ref);
}

size_t nx_index_memory_bytes(const struct nx_index *index)
{
    size_t bytes = index->whole.size * sizeof(struct nx_index_slot);
    for (size_t i = 0; index->parts && i < NX_INDEX_PARTS; i++)
        bytes += index->parts[i].size * sizeof(struct nx_index_slot) + sizeof index->parts[i];
    return bytes;
}
