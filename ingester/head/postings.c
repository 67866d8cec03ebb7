/* Pairs are found through an index over the texts of name and value, one look-up a label of a new
 * series, and listed per name so that a label's values can be walked. A pair leaves with its last
 * series; names stay, a process sees few of them. */
#include "ingester/head/postings.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/match.h"

#define OPTIMIZE_FROM 1024u /* series; and at each doubling */

enum nx_err ing_postings_init(struct ing_postings *postings, struct ing_symbols *symbols,
                              struct ing_slab *slab)
{
    *postings =
        (struct ing_postings){.symbols = symbols, .slab = slab, .pair_free = ING_SYMBOL_NONE};
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
        ing_set_release(&pair->series, postings->slab);
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

static uint64_t pair_hash(struct nx_view name, struct nx_view value)
{
    return nx_hash64_seeded(value.ptr, value.len, nx_hash_view(name));
}

static bool name_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_postings *postings = user;
    return postings->names[ref].symbol == *(const uint32_t *)key;
}

static bool pair_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_postings *postings = user;
    const struct nx_label *label = key;
    return nx_view_eq(ing_pair_value(postings, ref), label->value) &&
           nx_view_eq(ing_pair_name(postings, ref), label->name);
}

static uint32_t name_find(const struct ing_postings *postings, uint32_t symbol)
{
    return nx_index_find(&postings->name_index, nx_hash64(&symbol, sizeof symbol), name_eq, &symbol,
                         postings);
}

static uint32_t pair_find(const struct ing_postings *postings, struct nx_label label)
{
    return nx_index_find(&postings->pair_index, pair_hash(label.name, label.value), pair_eq, &label,
                         postings);
}

/* The name's position; takes a reference to its symbol for a new one. */
static enum nx_err name_get(struct ing_postings *postings, struct nx_view text, uint32_t *out)
{
    uint32_t symbol;
    enum nx_err err = ing_symbols_intern(postings->symbols, text, &symbol);
    if (err != NX_OK)
        return err;
    uint32_t found = name_find(postings, symbol);
    if (found != NX_INDEX_NONE) {
        ing_symbols_drop(postings->symbols, symbol);
        *out = found;
        return NX_OK;
    }
    uint32_t slot = (uint32_t)postings->name_count;
    err = nx_grow(&postings->names, &postings->name_capacity, postings->name_count + 1,
                  sizeof *postings->names);
    if (err == NX_OK)
        err = nx_index_insert(&postings->name_index, nx_hash64(&symbol, sizeof symbol), slot);
    if (err != NX_OK) {
        ing_symbols_drop(postings->symbols, symbol);
        return err;
    }
    postings->names[slot] = (struct ing_name){.symbol = symbol};
    postings->name_count++;
    *out = slot;
    return NX_OK;
}

size_t ing_postings_count(const struct ing_postings *postings, struct nx_label label)
{
    uint32_t pair = pair_find(postings, label);
    return pair == NX_INDEX_NONE ? 0 : postings->pairs[pair].count;
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

static enum nx_err pair_add(struct ing_postings *postings, struct nx_label label, uint32_t series,
                            uint32_t *out)
{
    uint32_t name;
    uint32_t slot;
    uint32_t value;
    enum nx_err err = name_get(postings, label.name, &name);
    if (err != NX_OK)
        return err;
    struct ing_name *owner = &postings->names[name];
    err = nx_grow(&owner->pairs, &owner->capacity, owner->count + 1, sizeof *owner->pairs);
    if (err == NX_OK)
        err = pair_slot(postings, &slot);
    if (err == NX_OK)
        err = ing_symbols_intern(postings->symbols, label.value, &value);
    if (err != NX_OK)
        return err;
    err = nx_index_insert(&postings->pair_index, pair_hash(label.name, label.value), slot);
    if (err != NX_OK) {
        ing_symbols_drop(postings->symbols, value);
        return err;
    }
    if (slot == postings->pair_free)
        postings->pair_free = postings->pairs[slot].name;
    else
        postings->pair_count++;
    postings->pairs[slot] = (struct ing_pair){
        .name = name, .value = value, .position = (uint32_t)owner->count, .count = 1};
    ing_set_init(&postings->pairs[slot].series, series);
    owner->pairs[owner->count++] = slot;
    postings->live_pairs++;
    *out = slot;
    return NX_OK;
}

static void pair_free(struct ing_postings *postings, uint32_t slot)
{
    struct ing_pair *pair = &postings->pairs[slot];
    struct ing_name *owner = &postings->names[pair->name];
    nx_index_remove(&postings->pair_index,
                    pair_hash(ing_pair_name(postings, slot), ing_pair_value(postings, slot)), slot);
    uint32_t last = owner->pairs[--owner->count];
    owner->pairs[pair->position] = last;
    postings->pairs[last].position = pair->position;
    ing_set_release(&pair->series, postings->slab);
    ing_symbols_drop(postings->symbols, pair->value);
    *pair = (struct ing_pair){.name = postings->pair_free, .value = ING_SYMBOL_NONE};
    postings->pair_free = slot;
    postings->live_pairs--;
}

static enum nx_err pair_shrink(struct ing_postings *postings, uint32_t slot, uint32_t series)
{
    struct ing_pair *pair = &postings->pairs[slot];
    assert(pair->value != ING_SYMBOL_NONE && pair->count > 0);
    if (pair->count == 1) {
        pair_free(postings, slot);
        return NX_OK;
    }
    enum nx_err err = ing_set_remove(&pair->series, postings->slab, series, pair->count);
    pair->count--;
    return err;
}

static enum nx_err pair_take(struct ing_postings *postings, struct nx_label label, uint32_t series,
                             uint32_t *out)
{
    uint32_t slot = pair_find(postings, label);
    if (slot == NX_INDEX_NONE)
        return pair_add(postings, label, series, out);
    struct ing_pair *pair = &postings->pairs[slot];
    enum nx_err err = ing_set_add(&pair->series, postings->slab, series, pair->count);
    if (err != NX_OK)
        return err;
    pair->count++;
    *out = slot;
    return NX_OK;
}

enum nx_err ing_postings_add(struct ing_postings *postings, uint32_t series,
                             struct nx_labels labels, uint32_t *pairs)
{
    for (size_t i = 0; i < labels.count; i++) {
        enum nx_err err = pair_take(postings, labels.items[i], series, &pairs[i]);
        if (err == NX_OK)
            continue;
        while (i-- > 0)
            (void)pair_shrink(postings, pairs[i], series);
        return err;
    }
    roaring_bitmap_add(postings->all, series);
    size_t count = ++postings->series_count;
    if (count >= OPTIMIZE_FROM && (count & (count - 1)) == 0)
        roaring_bitmap_run_optimize(postings->all);
    return NX_OK;
}

bool ing_postings_remove(struct ing_postings *postings, uint32_t series, const uint32_t *pairs,
                         size_t count)
{
    bool clean = true;
    for (size_t i = 0; i < count; i++)
        clean = pair_shrink(postings, pairs[i], series) == NX_OK && clean;
    roaring_bitmap_remove(postings->all, series);
    postings->series_count--;
    return clean;
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

bool ing_pair_intersects(const struct ing_postings *postings, const struct ing_pair *pair,
                         const roaring_bitmap_t *series)
{
    return ing_set_intersects(&pair->series, postings->slab, series);
}

static enum nx_err add_pair(const void *index, struct nx_view name, struct nx_view value,
                            roaring_bitmap_t *set)
{
    const struct ing_postings *postings = index;
    uint32_t slot = pair_find(postings, (struct nx_label){.name = name, .value = value});
    if (slot != NX_INDEX_NONE)
        ing_set_union_into(&postings->pairs[slot].series, postings->slab, set);
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
            ing_set_union_into(&pair->series, postings->slab, set);
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
