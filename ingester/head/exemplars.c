/* Both label sets of an entry share one allocation, which series_labels.ptr owns. The array grows
 * as needed up to `max`; from then on the oldest entry is overwritten. */
#include "ingester/head/exemplars.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"

void ing_exemplars_init(struct ing_exemplars *ring, size_t max)
{
    *ring = (struct ing_exemplars){.max = max < UINT32_MAX - 1 ? max : UINT32_MAX - 1};
    nx_index_init(&ring->index);
}

static void entry_free(struct ing_exemplar *entry)
{
    nx_free((void *)(uintptr_t)entry->series_labels.ptr);
}

void ing_exemplars_release(struct ing_exemplars *ring)
{
    for (size_t i = 0; i < ring->count; i++)
        entry_free(&ring->items[i]);
    nx_free(ring->items);
    nx_index_release(&ring->index);
    ing_exemplars_init(ring, ring->max);
}

static uint64_t entry_hash(const struct ing_exemplar *entry)
{
    uint64_t numbers[4] = {entry->series.hi, entry->series.lo, (uint64_t)entry->t,
                           entry->value_bits};
    return nx_hash64_seeded(numbers, sizeof numbers, nx_hash_view(entry->labels));
}

static bool entry_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_exemplar *a = &((const struct ing_exemplars *)user)->items[ref];
    const struct ing_exemplar *b = key;
    return nx_series_id_eq(a->series, b->series) && a->t == b->t &&
           a->value_bits == b->value_bits && nx_view_eq(a->labels, b->labels);
}

static enum nx_err entry_copy(const struct ing_exemplar *from, struct ing_exemplar *to)
{
    char *bytes = nx_alloc(from->series_labels.len + from->labels.len);
    if (!bytes)
        return NX_ERR_NOMEM;
    *to = *from;
    if (from->series_labels.len > 0)
        memcpy(bytes, from->series_labels.ptr, from->series_labels.len);
    if (from->labels.len > 0)
        memcpy(bytes + from->series_labels.len, from->labels.ptr, from->labels.len);
    to->series_labels.ptr = bytes;
    to->labels.ptr = bytes + from->series_labels.len;
    return NX_OK;
}

enum nx_err ing_exemplars_add(struct ing_exemplars *ring, const struct ing_exemplar *exemplar,
                              bool *added)
{
    uint64_t hash = entry_hash(exemplar);
    *added = false;
    if (ring->max == 0 ||
        nx_index_find(&ring->index, hash, entry_eq, exemplar, ring) != NX_INDEX_NONE)
        return NX_OK;
    if (ring->count < ring->max) {
        enum nx_err err =
            nx_grow(&ring->items, &ring->capacity, ring->count + 1, sizeof *ring->items);
        if (err != NX_OK)
            return err;
    }
    struct ing_exemplar copy;
    enum nx_err err = entry_copy(exemplar, &copy);
    if (err != NX_OK)
        return err;
    bool full = ring->count == ring->max;
    size_t slot = full ? ring->next : ring->count;
    err = nx_index_insert(&ring->index, hash, (uint32_t)slot);
    if (err != NX_OK) {
        entry_free(&copy);
        return err;
    }
    if (full) {
        nx_index_remove(&ring->index, entry_hash(&ring->items[slot]), (uint32_t)slot);
        entry_free(&ring->items[slot]);
        ring->next = (slot + 1) % ring->max;
    } else {
        ring->count++;
    }
    ring->items[slot] = copy;
    *added = true;
    return NX_OK;
}
