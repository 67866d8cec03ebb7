#include "querier/select/matcher_key.h"

#include <stdlib.h>

static int compare(struct nx_hash128 a, struct nx_hash128 b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return (a.lo > b.lo) - (a.lo < b.lo);
}

static int by_hash(const void *a, const void *b)
{
    return compare(*(const struct nx_hash128 *)a, *(const struct nx_hash128 *)b);
}

static struct nx_hash128 hash_matcher(const struct nx_matcher *m)
{
    const struct nx_hash128 parts[] = {{(uint64_t)m->type, m->name.len},
                                       nx_hash128(m->name.ptr, m->name.len),
                                       nx_hash128(m->value.ptr, m->value.len)};
    return nx_hash128(parts, sizeof parts);
}

enum nx_err qry_matcher_key_init(struct nx_arena *arena, const struct nx_matcher *matchers,
                                 size_t count, struct qry_matcher_key *out)
{
    struct nx_hash128 *items = nx_arena_array(arena, count + 1, sizeof *items);
    size_t unique = 0;
    if (!items)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        items[i] = hash_matcher(&matchers[i]);
    if (count > 1)
        qsort(items, count, sizeof *items, by_hash);
    for (size_t i = 0; i < count; i++)
        if (unique == 0 || compare(items[unique - 1], items[i]) != 0)
            items[unique++] = items[i];
    *out = (struct qry_matcher_key){
        .items = items, .count = unique, .whole = nx_hash128(items, unique * sizeof *items)};
    return NX_OK;
}

bool qry_matcher_key_eq(const struct qry_matcher_key *a, const struct qry_matcher_key *b)
{
    return a->count == b->count && compare(a->whole, b->whole) == 0;
}

bool qry_matcher_key_within(const struct qry_matcher_key *some, const struct qry_matcher_key *all)
{
    size_t j = 0;
    if (some->count > all->count)
        return false;
    for (size_t i = 0; i < some->count; i++) {
        while (j < all->count && compare(all->items[j], some->items[i]) < 0)
            j++;
        if (j == all->count || compare(all->items[j], some->items[i]) != 0)
            return false;
        j++;
    }
    return true;
}
