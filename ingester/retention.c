/* The blocks of a tenant are looked at from the newest to the oldest: the first that no longer fits
 * into the size goes, and all older ones with it, so that what is left has no hole. */
#include "ingester/retention.h"

#include <stdlib.h>

#include "common/base/alloc.h"

static int newest_first(const void *a, const void *b)
{
    const struct ing_block_meta *x = ing_block_meta(*(struct ing_block *const *)a);
    const struct ing_block_meta *y = ing_block_meta(*(struct ing_block *const *)b);
    int order = nx_view_cmp(x->tenant, y->tenant);
    if (order != 0)
        return order;
    if (x->max_t != y->max_t)
        return x->max_t < y->max_t ? 1 : -1;
    return (x->min_t < y->min_t) - (x->min_t > y->min_t);
}

static void apply_tenant(struct ing_block_set *set, const struct ing_block_list *list, size_t from,
                         size_t end, const struct ing_retention_rule *rule, int64_t now_ms,
                         struct ing_retention_result *result)
{
    uint64_t bytes = 0;
    bool full = false;
    for (size_t i = from; i < end; i++) {
        const struct ing_block *block = list->blocks[i];
        bytes += ing_block_size(block);
        full = full || (rule->max_bytes > 0 && bytes > (uint64_t)rule->max_bytes);
        bool old = ing_block_meta(block)->max_t <= now_ms - rule->max_age_ms;
        if (!(old || full) || !ing_block_set_remove(set, block))
            continue;
        result->too_old += old;
        result->too_large += !old;
    }
}

enum nx_err ing_retention_apply(struct ing_block_set *set, int64_t now_ms,
                                ing_retention_lookup lookup, void *user,
                                struct ing_retention_result *out)
{
    struct ing_block_list list;
    struct ing_retention_result result = {0};
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    enum nx_err err = ing_block_set_acquire(set, (struct nx_view){0}, all, &list);
    if (err != NX_OK)
        return err;
    if (list.count > 1)
        qsort(list.blocks, list.count, sizeof(struct ing_block *), newest_first);
    for (size_t i = 0; i < list.count;) {
        struct nx_view tenant = ing_block_meta(list.blocks[i])->tenant;
        size_t end = i;
        while (end < list.count && nx_view_eq(ing_block_meta(list.blocks[end])->tenant, tenant))
            end++;
        struct ing_retention_rule rule = lookup(user, tenant);
        apply_tenant(set, &list, i, end, &rule, now_ms, &result);
        i = end;
    }
    ing_block_list_release(&list);
    *out = result;
    return NX_OK;
}
