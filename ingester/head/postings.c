/* Pairs are found through an index over (name, value) symbols, and listed per name so that a
 * label's values can be walked. A pair leaves with its last series; names stay, a process sees few
 * of them. */
#include "ingester/head/postings.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/match.h"

enum nx_err ing_postings_init(struct ing_postings *postings, struct ing_symbols *symbols)
{
    *postings = (struct ing_postings){.symbols = symbols, .pair_free = ING_SYMBOL_NONE};
    nx_index_init(&postings->name_index);
    nx_index_init(&postings->pair_index);
    postings->all = roaring_bitmap_create();
    return postings->all ? NX_OK : NX_ERR_NOMEM;
}

void ing_postings_release(struct ing_postings *postings)
{
    for (size_t i = 0; i < postings->pair_count; i++) {
        struct ing_pair *pair = &postings->pairs[i];
        if (pair->value == ING_SYMBOL_NONE)
            continue;
        if (pair->bits)
            roaring_bitmap_free(pair->bits);
        ing_symbols_drop(postings->symbols, pair->value);
    }
    for (size_t i = 0; i < postings->name_count; i++) {
        nx_free(postings->names[i].pairs);
        ing_symbols_drop(postings->symbols, postings->names[i].symbol);
    }
    nx_free(postings->pairs);
    nx_free(postings->names);
    nx_index_release(&postings->name_index);
    nx_index_release(&postings->pair_index);
    if (postings->all)
        roaring_bitmap_free(postings->all);
    *postings = (struct ing_postings){0};
}

static uint64_t pair_hash(struct ing_label_ref label)
{
    return nx_hash64(&label, sizeof label);
}

static bool name_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_postings *postings = user;
    return postings->names[ref].symbol == *(const uint32_t *)key;
}

static bool pair_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_postings *postings = user;
    const struct ing_label_ref *label = key;
    const struct ing_pair *pair = &postings->pairs[ref];
    return pair->value == label->value && postings->names[pair->name].symbol == label->name;
}

static uint32_t name_find(const struct ing_postings *postings, uint32_t symbol)
{
    return nx_index_find(&postings->name_index, nx_hash64(&symbol, sizeof symbol), name_eq, &symbol,
                         postings);
}

static uint32_t pair_find(const struct ing_postings *postings, struct ing_label_ref label)
{
    return nx_index_find(&postings->pair_index, pair_hash(label), pair_eq, &label, postings);
}

static enum nx_err name_get(struct ing_postings *postings, uint32_t symbol, uint32_t *out)
{
    uint32_t found = name_find(postings, symbol);
    if (found != NX_INDEX_NONE) {
        *out = found;
        return NX_OK;
    }
    enum nx_err err = nx_grow(&postings->names, &postings->name_capacity, postings->name_count + 1,
                              sizeof *postings->names);
    if (err != NX_OK)
        return err;
    uint32_t slot = (uint32_t)postings->name_count;
    postings->names[slot] = (struct ing_name){.symbol = symbol};
    postings->name_count++;
    err = nx_index_insert(&postings->name_index, nx_hash64(&symbol, sizeof symbol), slot);
    if (err != NX_OK) {
        postings->name_count--;
        return err;
    }
    ing_symbols_take(postings->symbols, symbol);
    *out = slot;
    return NX_OK;
}

static enum nx_err pair_slot(struct ing_postings *postings, uint32_t *slot)
{
    if (postings->pair_free != ING_SYMBOL_NONE) {
        *slot = postings->pair_free;
        return NX_OK;
    }
    enum nx_err err = nx_grow(&postings->pairs, &postings->pair_capacity, postings->pair_count + 1,
                              sizeof *postings->pairs);
    if (err == NX_OK)
        *slot = (uint32_t)postings->pair_count;
    return err;
}

static enum nx_err pair_add(struct ing_postings *postings, struct ing_label_ref label,
                            uint32_t series)
{
    uint32_t name;
    uint32_t slot;
    enum nx_err err = name_get(postings, label.name, &name);
    if (err != NX_OK)
        return err;
    struct ing_name *owner = &postings->names[name];
    err = nx_grow(&owner->pairs, &owner->capacity, owner->count + 1, sizeof *owner->pairs);
    if (err != NX_OK)
        return err;
    err = pair_slot(postings, &slot);
    if (err != NX_OK)
        return err;
    err = nx_index_insert(&postings->pair_index, pair_hash(label), slot);
    if (err != NX_OK)
        return err;
    if (slot == postings->pair_free)
        postings->pair_free = postings->pairs[slot].name;
    else
        postings->pair_count++;
    ing_symbols_take(postings->symbols, label.value);
    postings->pairs[slot] = (struct ing_pair){.name = name,
                                              .value = label.value,
                                              .position = (uint32_t)owner->count,
                                              .count = 1,
                                              .single = series};
    owner->pairs[owner->count++] = slot;
    postings->live_pairs++;
    return NX_OK;
}

static enum nx_err pair_extend(struct ing_pair *pair, uint32_t series)
{
    if (!pair->bits) {
        pair->bits = roaring_bitmap_create();
        if (!pair->bits)
            return NX_ERR_NOMEM;
        roaring_bitmap_add(pair->bits, pair->single);
    }
    roaring_bitmap_add(pair->bits, series);
    pair->count++;
    return NX_OK;
}

static void pair_free(struct ing_postings *postings, uint32_t slot)
{
    struct ing_pair *pair = &postings->pairs[slot];
    struct ing_name *owner = &postings->names[pair->name];
    nx_index_remove(&postings->pair_index,
                    pair_hash((struct ing_label_ref){owner->symbol, pair->value}), slot);
    uint32_t last = owner->pairs[--owner->count];
    owner->pairs[pair->position] = last;
    postings->pairs[last].position = pair->position;
    if (pair->bits)
        roaring_bitmap_free(pair->bits);
    ing_symbols_drop(postings->symbols, pair->value);
    *pair = (struct ing_pair){.name = postings->pair_free, .value = ING_SYMBOL_NONE};
    postings->pair_free = slot;
    postings->live_pairs--;
}

static void pair_shrink(struct ing_postings *postings, uint32_t slot, uint32_t series)
{
    struct ing_pair *pair = &postings->pairs[slot];
    assert(pair->count > 0);
    if (--pair->count == 0) {
        pair_free(postings, slot);
        return;
    }
    roaring_bitmap_remove(pair->bits, series);
    if (pair->count == 1) {
        pair->single = roaring_bitmap_minimum(pair->bits);
        roaring_bitmap_free(pair->bits);
        pair->bits = NULL;
    }
}

enum nx_err ing_postings_add(struct ing_postings *postings, uint32_t series,
                             const struct ing_label_ref *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = pair_find(postings, labels[i]);
        enum nx_err err = slot == NX_INDEX_NONE ? pair_add(postings, labels[i], series)
                                                : pair_extend(&postings->pairs[slot], series);
        if (err == NX_OK)
            continue;
        while (i-- > 0)
            pair_shrink(postings, pair_find(postings, labels[i]), series);
        return err;
    }
    roaring_bitmap_add(postings->all, series);
    return NX_OK;
}

void ing_postings_remove(struct ing_postings *postings, uint32_t series,
                         const struct ing_label_ref *labels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t slot = pair_find(postings, labels[i]);
        assert(slot != NX_INDEX_NONE);
        pair_shrink(postings, slot, series);
    }
    roaring_bitmap_remove(postings->all, series);
}

const struct ing_name *ing_postings_name(const struct ing_postings *postings, struct nx_view name)
{
    uint32_t symbol = ing_symbols_find(postings->symbols, name);
    if (symbol == ING_SYMBOL_NONE)
        return NULL;
    uint32_t slot = name_find(postings, symbol);
    if (slot == NX_INDEX_NONE || postings->names[slot].count == 0)
        return NULL;
    return &postings->names[slot];
}

bool ing_pair_intersects(const struct ing_pair *pair, const roaring_bitmap_t *series)
{
    if (!pair->bits)
        return roaring_bitmap_contains(series, pair->single);
    return roaring_bitmap_intersect(pair->bits, series);
}

static void union_add(roaring_bitmap_t *into, const struct ing_pair *pair)
{
    if (pair->bits)
        roaring_bitmap_or_inplace(into, pair->bits);
    else
        roaring_bitmap_add(into, pair->single);
}

static enum nx_err add_pair(const void *index, struct nx_view name, struct nx_view value,
                            roaring_bitmap_t *set)
{
    const struct ing_postings *postings = index;
    struct ing_label_ref label = {.name = ing_symbols_find(postings->symbols, name),
                                  .value = ing_symbols_find(postings->symbols, value)};
    if (label.name == ING_SYMBOL_NONE || label.value == ING_SYMBOL_NONE)
        return NX_OK;
    uint32_t slot = pair_find(postings, label);
    if (slot != NX_INDEX_NONE)
        union_add(set, &postings->pairs[slot]);
    return NX_OK;
}

static enum nx_err add_values(const void *index, struct nx_view label,
                              bool (*accepts)(const void *user, struct nx_view value),
                              const void *user, roaring_bitmap_t *set)
{
    const struct ing_postings *postings = index;
    const struct ing_name *name = ing_postings_name(postings, label);
    for (size_t i = 0; name && i < name->count; i++) {
        const struct ing_pair *pair = &postings->pairs[name->pairs[i]];
        if (accepts(user, ing_symbols_text(postings->symbols, pair->value)))
            union_add(set, pair);
    }
    return NX_OK;
}

enum nx_err ing_postings_select(const struct ing_postings *postings,
                                const struct nx_matcher *matchers, size_t count,
                                roaring_bitmap_t **out)
{
    struct ing_match_index index = {
        .index = postings, .add_pair = add_pair, .add_values = add_values};
    roaring_bitmap_t *result = roaring_bitmap_copy(postings->all);
    if (!result)
        return NX_ERR_NOMEM;
    enum nx_err err = ing_match(&index, matchers, count, result);
    if (err == NX_OK)
        *out = result;
    else
        roaring_bitmap_free(result);
    return err;
}
