/* Targets lie in the plan's arena one by one, so that the lists of a pool and the list by key can
 * point at them. Two targets of a pool with the same labels and URL are one. */
#include "distributor/scrape/plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/alloc.h"

#define PLAN_ARENA_BYTES ((size_t)4 << 30)

enum { PROBLEM_BYTES = 16384 };

struct scrape_plan *scrape_plan_take(struct scrape_plan *plan)
{
    nx_refcount_take(&plan->refs);
    return plan;
}

static void drop_statuses(struct scrape_target *const *targets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        scrape_status_drop(targets[i]->status);
}

void scrape_plan_drop(struct scrape_plan *plan)
{
    if (!plan || !nx_refcount_drop(&plan->refs))
        return;
    drop_statuses(plan->by_key, plan->target_count);
    for (size_t i = 0; i < plan->group_count; i++)
        scrape_groups_drop(plan->groups[i]);
    scrape_config_drop(plan->config);
    nx_buf_release(&plan->problems);
    nx_arena_release(&plan->arena);
    nx_free(plan);
}

/* --- looking up --- */

int scrape_key_cmp(struct nx_hash128 a, struct nx_hash128 b)
{
    if (a.hi != b.hi)
        return a.hi < b.hi ? -1 : 1;
    return a.lo < b.lo ? -1 : a.lo > b.lo;
}

size_t scrape_plan_find(const struct scrape_plan *plan, struct nx_hash128 key)
{
    size_t low = 0, high = plan->target_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = scrape_key_cmp(plan->by_key[middle]->key, key);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

bool scrape_plan_has_labels(const struct scrape_plan *plan, struct nx_labels shown)
{
    for (size_t i = 0; i < plan->target_count; i++)
        if (nx_labels_eq(plan->by_key[i]->shown, shown))
            return true;
    return false;
}

const char *scrape_owner(struct nx_hash128 key, const char *const *peers)
{
    const char *best = NULL;
    uint64_t best_score = 0;
    for (size_t i = 0; peers[i]; i++) {
        uint64_t score = nx_hash64_seeded(&key, sizeof key, nx_hash64(peers[i], strlen(peers[i])));
        if (!best || score > best_score) {
            best = peers[i];
            best_score = score;
        }
    }
    assert(best);
    return best;
}

/* --- building --- */

struct building {
    const struct scrape_plan_input *input;
    struct scrape_plan *plan;
    struct scrape_pool *pool;
    size_t active_capacity, dropped_capacity, key_capacity;
};

static void note_problem(struct scrape_plan *plan, const struct scrape_job *job, size_t number,
                         const struct scrape_group *group, const char *why)
{
    plan->problem_count++;
    if (plan->problems.len + 1024 > PROBLEM_BYTES)
        return;
    nx_buf_printf(&plan->problems, "job %.100s: instance %zu in group %.*s: %.500s\n", job->name,
                  number, (int)(group->source.len < 200 ? group->source.len : 200),
                  group->source.ptr, why);
}

static enum nx_err keep_dropped(struct building *b, const struct scrape_target *found)
{
    struct scrape_pool *pool = b->pool;
    int64_t most = pool->job->keep_dropped_targets;
    pool->dropped_total++;
    if (most > 0 && pool->dropped_count >= (size_t)most)
        return NX_OK;
    struct scrape_target *target = nx_arena_alloc(&b->plan->arena, sizeof *target);
    if (!target ||
        !nx_arena_grow(&b->plan->arena, &pool->dropped, pool->dropped_count, &b->dropped_capacity,
                       pool->dropped_count + 1, sizeof(struct scrape_target *)))
        return NX_ERR_NOMEM;
    *target = *found;
    pool->dropped[pool->dropped_count++] = target;
    return NX_OK;
}

static enum nx_err keep_active(struct building *b, const struct scrape_target *found)
{
    struct scrape_pool *pool = b->pool;
    struct scrape_target *target = nx_arena_alloc(&b->plan->arena, sizeof *target);
    if (!target ||
        !nx_arena_grow(&b->plan->arena, &pool->active, pool->active_count, &b->active_capacity,
                       pool->active_count + 1, sizeof(struct scrape_target *)))
        return NX_ERR_NOMEM;
    *target = *found;
    pool->active[pool->active_count++] = target;
    return NX_OK;
}

static enum nx_err add_group(struct building *b, const struct scrape_group *group)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < group->target_count && !err; i++) {
        struct scrape_target target;
        struct nx_fail fail = {.code = NX_OK};
        err = scrape_target_populate(&b->plan->arena, b->pool->job, group->targets[i],
                                     group->labels, &target, &fail);
        if (err == NX_ERR_INVALID) {
            note_problem(b->plan, b->pool->job, i, group, nx_fail_text(&fail));
            err = NX_OK;
        } else if (!err) {
            err = target.url ? keep_active(b, &target) : keep_dropped(b, &target);
        }
    }
    return err;
}

static int compare_targets(const void *a, const void *b)
{
    const struct scrape_target *const *left = a, *const *right = b;
    return scrape_key_cmp((*left)->key, (*right)->key);
}

/* Takes out what is there twice; the first one stays. */
static enum nx_err remove_duplicates(struct building *b)
{
    struct scrape_pool *pool = b->pool;
    size_t count = pool->active_count, kept = 0, unique = 0;
    struct scrape_target **sorted = nx_alloc_array(count + 1, sizeof(struct scrape_target *));
    if (!sorted)
        return NX_ERR_NOMEM;
    if (count > 0)
        memcpy(sorted, pool->active, count * sizeof *sorted);
    qsort(sorted, count, sizeof(struct scrape_target *), compare_targets);
    for (size_t i = 0; i < count; i++)
        if (unique == 0 || compare_targets(&sorted[unique - 1], &sorted[i]) != 0)
            sorted[unique++] = sorted[i];
    for (size_t i = 0; i < count && unique < count; i++) {
        struct scrape_target **at = bsearch(&pool->active[i], sorted, unique,
                                            sizeof(struct scrape_target *), compare_targets);
        if (at && *at == pool->active[i])
            pool->active[kept++] = pool->active[i];
    }
    if (unique < count)
        pool->active_count = kept;
    nx_free(sorted);
    return NX_OK;
}

static enum nx_err hold_groups(struct scrape_plan *plan, struct scrape_groups *groups,
                               size_t *capacity)
{
    if (!nx_arena_grow(&plan->arena, &plan->groups, plan->group_count, capacity,
                       plan->group_count + 1, sizeof(struct scrape_groups *)))
        return NX_ERR_NOMEM;
    plan->groups[plan->group_count++] = scrape_groups_take(groups);
    return NX_OK;
}

static enum nx_err build_pool(struct building *b, size_t number, size_t *group_capacity)
{
    const struct scrape_job *job = &b->plan->config->jobs[number];
    enum nx_err err = NX_OK;
    b->pool = &b->plan->pools[number];
    b->pool->job = job;
    b->active_capacity = b->dropped_capacity = 0;
    for (size_t k = 0; k < job->sd_count && !err; k++) {
        struct scrape_groups *groups = b->input->groups[number][k];
        if (!groups)
            continue;
        err = hold_groups(b->plan, groups, group_capacity);
        for (size_t i = 0; i < groups->count && !err; i++)
            err = add_group(b, &groups->groups[i]);
    }
    if (!err)
        err = remove_duplicates(b);
    bool over = job->target_limit > 0 && b->pool->active_count > (size_t)job->target_limit;
    for (size_t i = 0; i < b->pool->active_count; i++)
        b->pool->active[i]->over_limit = over;
    b->plan->target_count += b->pool->active_count;
    return err;
}

static enum nx_err take_status(const struct scrape_plan *previous, struct scrape_target *target)
{
    size_t at = previous ? scrape_plan_find(previous, target->key) : SIZE_MAX;
    target->status =
        at != SIZE_MAX ? scrape_status_take(previous->by_key[at]->status) : scrape_status_new();
    return target->status ? NX_OK : NX_ERR_NOMEM;
}

static enum nx_err index_targets(struct building *b)
{
    struct scrape_plan *plan = b->plan;
    size_t total = plan->target_count, n = 0;
    plan->target_count = 0; /* those whose status is to be dropped with the plan */
    plan->by_key = nx_arena_array(&plan->arena, total + 1, sizeof(struct scrape_target *));
    plan->owned = nx_arena_calloc(&plan->arena, total + 1, sizeof *plan->owned);
    if (!plan->by_key || !plan->owned)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < plan->pool_count; i++)
        for (size_t k = 0; k < plan->pools[i].active_count; k++)
            plan->by_key[n++] = plan->pools[i].active[k];
    qsort(plan->by_key, total, sizeof(struct scrape_target *), compare_targets);
    for (size_t i = 0; i < total; i++) {
        enum nx_err err = take_status(b->input->previous, plan->by_key[i]);
        if (err)
            return err;
        plan->target_count++;
        plan->owned[i] =
            !b->input->peers[0] ||
            strcmp(scrape_owner(plan->by_key[i]->key, b->input->peers), b->input->self) == 0;
    }
    return NX_OK;
}

enum nx_err scrape_plan_build(const struct scrape_plan_input *input, struct scrape_plan **out)
{
    struct scrape_plan *plan = nx_calloc(1, sizeof *plan);
    size_t group_capacity = 0;
    if (!plan)
        return NX_ERR_NOMEM;
    nx_refcount_init(&plan->refs);
    nx_arena_init(&plan->arena, PLAN_ARENA_BYTES);
    nx_buf_init(&plan->problems, PROBLEM_BYTES);
    plan->config = scrape_config_take(input->config);
    plan->pool_count = input->config->job_count;
    plan->pools = nx_arena_calloc(&plan->arena, plan->pool_count + 1, sizeof *plan->pools);
    struct building b = {.input = input, .plan = plan};
    enum nx_err err = plan->pools ? NX_OK : NX_ERR_NOMEM;
    for (size_t i = 0; i < plan->pool_count && !err; i++)
        err = build_pool(&b, i, &group_capacity);
    if (err)
        plan->target_count = 0;
    else
        err = index_targets(&b);
    if (err) {
        scrape_plan_drop(plan);
        return err;
    }
    *out = plan;
    return NX_OK;
}
