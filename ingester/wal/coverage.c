/* Tenants are compared by 128-bit hash. */
#include "ingester/wal/coverage.h"

#include "common/base/alloc.h"
#include "common/base/hash.h"

void ing_coverage_init(struct ing_coverage *coverage)
{
    *coverage = (struct ing_coverage){0};
    nx_index_init(&coverage->index);
}

void ing_coverage_release(struct ing_coverage *coverage)
{
    nx_free(coverage->items);
    nx_index_release(&coverage->index);
    ing_coverage_init(coverage);
}

static bool item_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_coverage_item *a = &((const struct ing_coverage *)user)->items[ref];
    const struct ing_coverage_item *b = key;
    return a->tenant_hash[0] == b->tenant_hash[0] && a->tenant_hash[1] == b->tenant_hash[1] &&
           a->window == b->window && a->shard == b->shard;
}

static struct ing_coverage_item key_of(struct nx_view tenant, int64_t window, uint32_t shard)
{
    struct nx_hash128 hash = nx_hash128(tenant.ptr, tenant.len);
    return (struct ing_coverage_item){
        .tenant_hash = {hash.hi, hash.lo}, .window = window, .shard = shard};
}

static uint64_t key_hash(const struct ing_coverage_item *key)
{
    uint64_t parts[4] = {key->tenant_hash[0], key->tenant_hash[1], (uint64_t)key->window,
                         key->shard};
    return nx_hash64(parts, sizeof parts);
}

enum nx_err ing_coverage_add(struct ing_coverage *coverage, struct nx_view tenant, int64_t window,
                             uint32_t shard, uint64_t before)
{
    struct ing_coverage_item key = key_of(tenant, window, shard);
    key.before = before;
    uint32_t found = nx_index_find(&coverage->index, key_hash(&key), item_eq, &key, coverage);
    if (found != NX_INDEX_NONE) {
        if (coverage->items[found].before < before)
            coverage->items[found].before = before;
        return NX_OK;
    }
    enum nx_err err = nx_grow(&coverage->items, &coverage->capacity, coverage->count + 1,
                              sizeof *coverage->items);
    if (err == NX_OK)
        err = nx_index_insert(&coverage->index, key_hash(&key), (uint32_t)coverage->count);
    if (err == NX_OK)
        coverage->items[coverage->count++] = key;
    return err;
}

uint64_t ing_coverage_before(const struct ing_coverage *coverage, struct nx_view tenant,
                             int64_t window, uint32_t shard)
{
    if (coverage->count == 0)
        return 0;
    struct ing_coverage_item key = key_of(tenant, window, shard);
    uint32_t found = nx_index_find(&coverage->index, key_hash(&key), item_eq, &key, coverage);
    return found == NX_INDEX_NONE ? 0 : coverage->items[found].before;
}
