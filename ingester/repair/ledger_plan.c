/* What must be read again of the heads: windows that are new or took late samples, and the time
 * that has passed since the last look. A window that left the heads leaves the table; what was in
 * it is in a block by then. */
#include <stdlib.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "ingester/repair/ledger_internal.h"

/* --- tenants --- */

static bool tenant_eq(uint32_t at, const void *key, const void *user)
{
    const struct ing_ledger *ledger = user;
    return nx_view_eq(ledger->tenants[at]->name, *(const struct nx_view *)key);
}

static struct ing_ledger_tenant *tenant_find(const struct ing_ledger *ledger, struct nx_view name)
{
    uint32_t at = nx_index_find(&ledger->index, nx_hash_view(name), tenant_eq, &name, ledger);
    return at == NX_INDEX_NONE ? NULL : ledger->tenants[at];
}

const struct ing_digest_table *ing_ledger_find(const struct ing_ledger *ledger,
                                               struct nx_view tenant)
{
    const struct ing_ledger_tenant *found = tenant_find(ledger, tenant);
    return found ? &found->whole : NULL;
}

static struct ing_ledger_tenant *tenant_new(struct nx_view name)
{
    struct ing_ledger_tenant *tenant = nx_calloc(1, sizeof *tenant);
    char *copy = nx_strndup(name.len > 0 ? name.ptr : "", name.len);
    if (!tenant || !copy) {
        nx_free(tenant);
        nx_free(copy);
        return NULL;
    }
    tenant->name = nx_view_make(copy, name.len);
    tenant->head_until = tenant->whole_until = INT64_MIN;
    ing_digest_table_init(&tenant->head);
    ing_digest_table_init(&tenant->whole);
    ing_digest_table_init(&tenant->prints);
    ing_digest_table_init(&tenant->sums);
    return tenant;
}

static enum nx_err tenant_get(struct ing_ledger *ledger, struct nx_view name,
                              struct ing_ledger_tenant **out)
{
    *out = tenant_find(ledger, name);
    if (*out)
        return NX_OK;
    enum nx_err err = nx_grow(&ledger->tenants, &ledger->capacity, ledger->count + 1,
                              sizeof(struct ing_ledger_tenant *));
    if (err == NX_OK)
        err = nx_index_insert(&ledger->index, nx_hash_view(name), (uint32_t)ledger->count);
    if (err != NX_OK)
        return err;
    *out = tenant_new(name);
    if (!*out) {
        nx_index_remove(&ledger->index, nx_hash_view(name), (uint32_t)ledger->count);
        return NX_ERR_NOMEM;
    }
    ledger->tenants[ledger->count++] = *out;
    return NX_OK;
}

void ing_ledger_forget(struct ing_ledger_tenant *tenant)
{
    ing_digest_table_clear(&tenant->head);
    ing_digest_table_clear(&tenant->whole);
    tenant->head_until = INT64_MIN;
    tenant->window_count = 0;
    tenant->dirty_count = 0;
    tenant->version = 0;
    tenant->whole_until = INT64_MIN;
    tenant->last_window = INT64_MAX;
}

/* --- what the shards told --- */

static enum nx_err see(struct ing_ledger_tenant *tenant, const struct ing_ledger_window *window)
{
    for (size_t i = 0; i < tenant->seen_count; i++)
        if (tenant->seen[i].start == window->start) {
            tenant->seen[i].late |= window->late;
            return NX_OK;
        }
    enum nx_err err = nx_grow(&tenant->seen, &tenant->seen_capacity, tenant->seen_count + 1,
                              sizeof *tenant->seen);
    if (err == NX_OK)
        tenant->seen[tenant->seen_count++] = *window;
    return err;
}

static enum nx_err take_looks(struct ing_ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        ledger->tenants[i]->seen_count = 0;
        ledger->tenants[i]->series = 0;
        ledger->tenants[i]->dirty_count = 0;
        ledger->tenants[i]->next_version = 1;
    }
    for (uint32_t i = 0; i < ledger->ing->shard_count; i++)
        for (size_t j = 0; j < ledger->looks[i].count; j++) {
            const struct ing_ledger_seen *seen = &ledger->looks[i].items[j];
            struct ing_ledger_tenant *tenant;
            enum nx_err err = tenant_get(ledger, seen->tenant, &tenant);
            for (size_t k = 0; k < seen->window_count && err == NX_OK; k++)
                err = see(tenant, &seen->windows[k]);
            if (err != NX_OK)
                return err;
            tenant->series += seen->series;
        }
    return NX_OK;
}

/* Which blocks and deletions there are, as one number a tenant. */
static enum nx_err take_versions(struct ing_ledger *ledger)
{
    struct ing_block_list blocks;
    struct ing_tombstone_list tombstones;
    struct ing_range all = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct nx_interval always = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    struct ing_ledger_tenant *tenant;
    enum nx_err err =
        ing_tombstones_acquire(ledger->ing->tombstones, (struct nx_view){0}, always, &tombstones);
    if (err != NX_OK)
        return err;
    err = ing_block_set_acquire(ledger->ing->blocks, (struct nx_view){0}, all, &blocks);
    if (err == NX_OK) {
        for (size_t i = 0; i < blocks.count && err == NX_OK; i++) {
            const struct ing_block_meta *meta = ing_block_meta(blocks.blocks[i]);
            err = tenant_get(ledger, meta->tenant, &tenant);
            if (err != NX_OK)
                break;
            tenant->next_version += nx_hash_view(nx_view_of(ing_block_dir(blocks.blocks[i])));
            tenant->series = meta->series > tenant->series ? meta->series : tenant->series;
        }
        ing_block_list_release(&blocks);
    }
    for (size_t i = 0; i < tombstones.count && err == NX_OK; i++) {
        err = tenant_get(ledger, tombstones.items[i]->tenant, &tenant);
        if (err == NX_OK)
            tenant->next_version += ing_digest_mix(7, tombstones.items[i]->number);
    }
    ing_tombstone_list_release(&tombstones);
    return err;
}

/* --- what is dirty --- */

static int64_t ceil_window(int64_t t)
{
    int64_t start = ing_digest_window(t);
    return start == t ? t : start + ING_DIGEST_WINDOW_MS;
}

/* [from, to), in whole digest windows but for where it ends at `until`. */
static void add_dirty(struct ing_ledger_tenant *tenant, int64_t from, int64_t to, int64_t until)
{
    from = ing_digest_window(from);
    to = ceil_window(to);
    to = to > until ? until : to;
    if (from >= to)
        return;
    for (size_t i = 0; i < tenant->dirty_count; i++) {
        struct ing_range *range = &tenant->dirty[i];
        bool touches = from <= range->max_t + 1 && to >= range->min_t;
        if (!touches && tenant->dirty_count < ING_LEDGER_DIRTY_MAX)
            continue;
        /* with those it touches, or with any where there is no room for more */
        from = from < range->min_t ? from : range->min_t;
        to = to > range->max_t + 1 ? to : range->max_t + 1;
        *range = tenant->dirty[--tenant->dirty_count];
        i = SIZE_MAX;
    }
    tenant->dirty[tenant->dirty_count++] = (struct ing_range){.min_t = from, .max_t = to - 1};
}

static const struct ing_ledger_window *window_in(const struct ing_ledger_window *windows,
                                                 size_t count, int64_t start)
{
    for (size_t i = 0; i < count; i++)
        if (windows[i].start == start)
            return &windows[i];
    return NULL;
}

static void find_dirty(const struct ing_ledger *ledger, struct ing_ledger_tenant *tenant,
                       int64_t until)
{
    int64_t window_ms = ledger->ing->rules.window_ms;
    int64_t step = ing_late_step(window_ms);
    int64_t cut = ing_digest_window(until);
    int64_t head_until = tenant->head_until;
    if (until == cut && head_until > until)
        until = head_until; /* what is known beyond is kept up to date */
    for (size_t i = 0; i < tenant->window_count; i++) {
        int64_t start = tenant->windows[i].start;
        if (!window_in(tenant->seen, tenant->seen_count, start))
            add_dirty(tenant, start, start + window_ms, until);
    }
    for (size_t i = 0; i < tenant->seen_count; i++) {
        const struct ing_ledger_window *window = &tenant->seen[i];
        bool known = window_in(tenant->windows, tenant->window_count, window->start);
        if (!known || window->late == UINT64_MAX)
            add_dirty(tenant, window->start, window->start + window_ms, until);
        for (int64_t bit = 0; known && bit < 64; bit++)
            if (window->late >> bit & 1)
                add_dirty(tenant, window->start + bit * step, window->start + (bit + 1) * step,
                          until);
    }
    if (tenant->seen_count > 0 && head_until != INT64_MIN && (until > head_until || until > cut))
        add_dirty(tenant, head_until < cut ? head_until : cut, until, until);
    if (head_until == INT64_MIN || cut > head_until || until > cut)
        tenant->head_until = cut;
}

static enum nx_err take_windows(struct ing_ledger_tenant *tenant)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < tenant->dirty_count && err == NX_OK; i++)
        err = ing_digest_table_drop(&tenant->head, tenant->dirty[i].min_t,
                                    tenant->dirty[i].max_t + 1);
    nx_free(tenant->windows);
    tenant->windows = tenant->seen;
    tenant->window_count = tenant->seen_count;
    tenant->seen = NULL;
    tenant->seen_count = tenant->seen_capacity = 0;
    return err;
}

enum nx_err ing_ledger_plan(struct ing_ledger *ledger, int64_t until)
{
    enum nx_err err = take_looks(ledger);
    if (err == NX_OK)
        err = take_versions(ledger);
    for (size_t i = 0; i < ledger->count && err == NX_OK; i++) {
        struct ing_ledger_tenant *tenant = ledger->tenants[i];
        /* what lies behind was read in part, and may have left the heads since */
        err = ing_digest_table_drop(&tenant->head, tenant->head_until, INT64_MAX);
        if (err != NX_OK)
            break;
        find_dirty(ledger, tenant, until);
        err = take_windows(tenant);
    }
    return err;
}

bool ing_ledger_needs_work(const struct ing_ledger_tenant *tenant, int64_t until)
{
    int64_t least = until < tenant->whole_until ? until : tenant->whole_until;
    /* INT64_MIN: nothing was looked at yet */
    bool all_before = least >= INT64_MIN + ING_DIGEST_WINDOW_MS &&
                      tenant->last_window <= least - ING_DIGEST_WINDOW_MS;
    return tenant->dirty_count > 0 || tenant->version != tenant->next_version ||
           (tenant->whole_until != until && !all_before);
}
