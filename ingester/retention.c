/* The blocks of a tenant are looked at from the newest to the oldest: the first that no longer fits
 * into the size goes, and all older ones with it, so that what is left has no hole. Blocks that
 * could not be opened go by the same two bounds, with the time that their names say; they weigh
 * nothing. */
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

/* Where a tenant's blocks end because of their size. */
struct cut {
    struct nx_view tenant;
    int64_t before;
};

struct pass {
    int64_t now_ms;
    ing_retention_lookup lookup;
    void *user;
    struct cut *cuts;
    size_t cut_count;
};

static bool too_old(const struct ing_retention_rule *rule, int64_t now_ms, int64_t max_t)
{
    return max_t <= now_ms - rule->max_age_ms;
}

static void apply_tenant(struct ing_block_set *set, const struct ing_block_list *list, size_t from,
                         size_t end, struct pass *pass, struct ing_retention_result *result)
{
    struct nx_view tenant = ing_block_meta(list->blocks[from])->tenant;
    struct ing_retention_rule rule = pass->lookup(pass->user, tenant);
    uint64_t bytes = 0;
    bool full = false;
    for (size_t i = from; i < end; i++) {
        const struct ing_block *block = list->blocks[i];
        bytes += ing_block_size(block);
        int64_t max_t = ing_block_meta(block)->max_t;
        if (!full && rule.max_bytes > 0 && bytes > (uint64_t)rule.max_bytes) {
            full = true;
            pass->cuts[pass->cut_count++] = (struct cut){.tenant = tenant, .before = max_t};
        }
        bool old = too_old(&rule, pass->now_ms, max_t);
        if (!(old || full) || !ing_block_set_remove(set, block))
            continue;
        result->too_old += old;
        result->too_large += !old;
    }
}

static bool lost_expired(void *user, struct nx_view tenant, int64_t max_t)
{
    const struct pass *pass = user;
    struct ing_retention_rule rule = pass->lookup(pass->user, tenant);
    if (too_old(&rule, pass->now_ms, max_t))
        return true;
    for (size_t i = 0; i < pass->cut_count; i++)
        if (nx_view_eq(pass->cuts[i].tenant, tenant) && max_t <= pass->cuts[i].before)
            return true;
    return false;
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
    struct pass pass = {.now_ms = now_ms, .lookup = lookup, .user = user};
    pass.cuts = nx_alloc_array(list.count + 1, sizeof *pass.cuts); /* one a tenant at most */
    if (!pass.cuts) {
        ing_block_list_release(&list);
        return NX_ERR_NOMEM;
    }
    if (list.count > 1)
        qsort(list.blocks, list.count, sizeof(struct ing_block *), newest_first);
    for (size_t i = 0; i < list.count;) {
        struct nx_view tenant = ing_block_meta(list.blocks[i])->tenant;
        size_t end = i;
        while (end < list.count && nx_view_eq(ing_block_meta(list.blocks[end])->tenant, tenant))
            end++;
        apply_tenant(set, &list, i, end, &pass, &result);
        i = end;
    }
    result.damaged = ing_block_set_remove_lost(set, lost_expired, &pass);
    nx_free(pass.cuts);
    ing_block_list_release(&list);
    *out = result;
    return NX_OK;
}
