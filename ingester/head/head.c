/* Series live in pages that never move, so that their addresses and numbers are stable; the id
 * index, the tenants' postings and the free list all speak in those numbers. */
#include "ingester/head/head.h"

#include <assert.h>

#include "common/base/alloc.h"
#include "common/base/hash.h"
#include "common/chunk/push_columns.h"
#include "ingester/head/label_record.h"

#define PAGE_SERIES 1024u

enum nx_err ing_head_new(const struct ing_head_options *options, struct ing_head **out)
{
    struct ing_chunk_files *files = NULL;
    enum nx_err err = options->chunks.dir ? ing_chunk_files_new(&options->chunks, &files) : NX_OK;
    if (err != NX_OK)
        return err;
    struct ing_head *head = nx_calloc(1, sizeof *head);
    if (!head) {
        ing_chunk_files_free(files);
        return NX_ERR_NOMEM;
    }
    head->options = *options;
    ing_pool_init(&head->pool, &head->options.rules, files);
    ing_symbols_init(&head->symbols);
    nx_index_init(&head->tenant_index);
    nx_index_init(&head->index);
    *out = head;
    return NX_OK;
}

static void tenant_free(struct ing_tenant *tenant)
{
    ing_postings_release(&tenant->postings);
    ing_exemplars_release(&tenant->exemplars);
    ing_metadata_release(&tenant->metadata);
    nx_free(tenant->windows);
    nx_free((void *)(uintptr_t)tenant->name.ptr);
    nx_free(tenant);
}

void ing_head_free(struct ing_head *head)
{
    if (!head)
        return;
    for (uint32_t ref = 0; ref < head->series_end; ref++) {
        struct ing_series *series = ing_head_series(head, ref);
        if (!ing_series_live(series))
            continue;
        ing_series_release_samples(&head->pool, series);
    }
    atomic_fetch_sub(&head->options.limit->used, head->series_count);
    for (size_t i = 0; i < head->page_count; i++)
        nx_free(head->pages[i]);
    for (size_t i = 0; i < head->tenant_count; i++)
        tenant_free(head->tenants[i]);
    nx_free(head->pages);
    nx_free(head->tenants);
    nx_free(head->free_refs);
    nx_free(head->held_refs);
    nx_index_release(&head->tenant_index);
    nx_index_release(&head->index);
    nx_free(head->pairs);
    ing_symbols_release(&head->symbols);
    ing_pool_release(&head->pool);
    nx_free(head);
}

static bool tenant_eq(uint32_t ref, const void *key, const void *user)
{
    const struct ing_head *head = user;
    return nx_view_eq(head->tenants[ref]->name, *(const struct nx_view *)key);
}

uint32_t ing_head_tenant_find(const struct ing_head *head, struct nx_view name)
{
    return nx_index_find(&head->tenant_index, nx_hash_view(name), tenant_eq, &name, head);
}

static enum nx_err tenant_new(struct ing_head *head, struct nx_view name, struct ing_tenant **out)
{
    struct ing_tenant *tenant = nx_calloc(1, sizeof *tenant);
    if (!tenant)
        return NX_ERR_NOMEM;
    tenant->newest_t = INT64_MIN;
    tenant->watched_until = INT64_MIN;
    ing_exemplars_init(&tenant->exemplars, head->options.max_exemplars);
    ing_metadata_init(&tenant->metadata);
    tenant->name = nx_view_make(nx_strndup(name.len > 0 ? name.ptr : "", name.len), name.len);
    enum nx_err err = tenant->name.ptr
                          ? ing_postings_init(&tenant->postings, &head->symbols, &head->pool.slab)
                          : NX_ERR_NOMEM;
    if (err != NX_OK) {
        tenant_free(tenant);
        return err;
    }
    *out = tenant;
    return NX_OK;
}

enum nx_err ing_head_tenant_get(struct ing_head *head, struct nx_view name, uint32_t *out)
{
    uint32_t found = ing_head_tenant_find(head, name);
    if (found != ING_REF_NONE) {
        *out = found;
        return NX_OK;
    }
    if (head->tenant_count >= ING_TENANTS_MAX)
        return NX_ERR_RATE_LIMITED;
    struct ing_tenant *tenant;
    enum nx_err err = tenant_new(head, name, &tenant);
    if (err != NX_OK)
        return err;
    err = nx_grow(&head->tenants, &head->tenant_capacity, head->tenant_count + 1,
                  sizeof(struct ing_tenant *));
    if (err == NX_OK)
        err =
            nx_index_insert(&head->tenant_index, nx_hash_view(name), (uint32_t)head->tenant_count);
    if (err != NX_OK) {
        tenant_free(tenant);
        return err;
    }
    *out = (uint32_t)head->tenant_count;
    head->tenants[head->tenant_count++] = tenant;
    return NX_OK;
}

struct ing_series *ing_head_series(const struct ing_head *head, uint32_t ref)
{
    assert(ref < head->series_end);
    return &head->pages[ref / PAGE_SERIES][ref % PAGE_SERIES];
}

static bool series_eq(uint32_t ref, const void *key, const void *user)
{
    return nx_series_id_eq(ing_head_series(user, ref)->id, *(const struct nx_series_id *)key);
}

static uint64_t id_hash(struct nx_series_id id)
{
    /* hi selects the shard, so its upper bits are alike here */
    return id.lo ^ (id.hi << 1);
}

uint32_t ing_head_find(const struct ing_head *head, struct nx_series_id id)
{
    return nx_index_find(&head->index, id_hash(id), series_eq, &id, head);
}

static void prefetch_series(const struct ing_series *series)
{
    __builtin_prefetch(series);
    __builtin_prefetch((const char *)(series + 1) - 1);
}

void ing_head_find_many(const struct ing_head *head, const struct nx_series_id *ids, size_t count,
                        uint32_t *refs)
{
    assert(count <= ING_HEAD_BUNCH);
    for (size_t i = 0; i < count; i++)
        nx_index_prefetch(&head->index, id_hash(ids[i]));
    for (size_t i = 0; i < count; i++) {
        uint32_t candidate = nx_index_candidate(&head->index, id_hash(ids[i]));
        if (candidate != ING_REF_NONE)
            prefetch_series(ing_head_series(head, candidate));
    }
    for (size_t i = 0; i < count; i++) {
        refs[i] = ing_head_find(head, ids[i]);
        if (refs[i] != ING_REF_NONE)
            ing_series_prefetch(&head->pool, ing_head_series(head, refs[i]));
    }
}

bool ing_head_are(const struct ing_head *head, uint32_t tenant, const uint32_t *refs, size_t count,
                  uint64_t check)
{
    assert(count <= ING_HEAD_BUNCH);
    for (size_t i = 0; i < count; i++) {
        if (refs[i] >= head->series_end)
            return false;
        prefetch_series(ing_head_series(head, refs[i]));
    }
    uint64_t sum = 0;
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        const struct ing_series *series = ing_head_series(head, refs[i]);
        sum = nx_push_check(sum, series->id);
        all = all && ing_series_live(series) && series->tenant == tenant;
    }
    if (!all || sum != check)
        return false;
    for (size_t i = 0; i < count; i++)
        ing_series_prefetch(&head->pool, ing_head_series(head, refs[i]));
    return true;
}

/* A slot that is free; it is taken by advancing free_count or series_end. */
static enum nx_err slot_find(struct ing_head *head, uint32_t *out)
{
    if (head->free_count > 0) {
        *out = head->free_refs[head->free_count - 1];
        return NX_OK;
    }
    if (head->series_end >= UINT32_MAX - 1)
        return NX_ERR_RATE_LIMITED;
    if (head->series_end / PAGE_SERIES >= head->page_count) {
        enum nx_err err = nx_grow(&head->pages, &head->page_capacity, head->page_count + 1,
                                  sizeof(struct ing_series *));
        if (err != NX_OK)
            return err;
        struct ing_series *page = nx_calloc(PAGE_SERIES, sizeof *page);
        if (!page)
            return NX_ERR_NOMEM;
        head->pages[head->page_count++] = page;
    }
    *out = head->series_end;
    return NX_OK;
}

static bool limit_take(struct ing_series_limit *limit)
{
    size_t used = atomic_fetch_add(&limit->used, 1);
    if (used < atomic_load(&limit->max))
        return true;
    atomic_fetch_sub(&limit->used, 1);
    return false;
}

enum nx_err ing_head_create(struct ing_head *head, uint32_t tenant, struct nx_series_id id,
                            struct nx_labels labels, uint32_t *out)
{
    struct ing_tenant *owner = head->tenants[tenant];
    uint32_t slot;
    uint32_t record;
    if (!limit_take(head->options.limit))
        return NX_ERR_RATE_LIMITED;
    enum nx_err err =
        nx_grow(&head->pairs, &head->pair_capacity, labels.count, sizeof *head->pairs);
    if (err == NX_OK)
        err = slot_find(head, &slot);
    if (err != NX_OK)
        goto fail;
    err = ing_postings_add(&owner->postings, slot, labels, head->pairs);
    if (err != NX_OK)
        goto fail_slot;
    record = ing_label_record_new(&head->pool.slab, head->pairs, labels.count);
    err = record == ING_SLAB_NONE ? NX_ERR_NOMEM : nx_index_insert(&head->index, id_hash(id), slot);
    if (err != NX_OK)
        goto fail_postings;
    if (head->free_count > 0)
        head->free_count--;
    else
        head->series_end++;
    *ing_head_series(head, slot) = (struct ing_series){
        .id = id, .labels = record, .tenant = tenant & ING_TENANT_MASK, .newest_t = INT64_MIN};
    head->series_count++;
    owner->series++;
    *out = slot;
    return NX_OK;

fail_postings:
    ing_slab_free(&head->pool.slab, record);
    (void)ing_postings_remove(&owner->postings, slot, head->pairs, labels.count);
fail_slot:
    /* a set may still name the slot */
    if (head->free_count > 0)
        head->free_count--;
fail:
    atomic_fetch_sub(&head->options.limit->used, 1);
    return err;
}

/* Remembers the slot for reuse; without memory for that the slot is never used again. */
static void slot_release(struct ing_head *head, uint32_t ref)
{
    bool held = head->pins > 0;
    uint32_t **list = held ? &head->held_refs : &head->free_refs;
    size_t *count = held ? &head->held_count : &head->free_count;
    size_t *capacity = held ? &head->held_capacity : &head->free_capacity;
    if (nx_grow(list, capacity, *count + 1, sizeof **list) == NX_OK)
        (*list)[(*count)++] = ref;
}

void ing_head_remove(struct ing_head *head, uint32_t ref)
{
    struct ing_series *series = ing_head_series(head, ref);
    struct ing_tenant *owner = head->tenants[series->tenant];
    assert(ing_series_live(series));
    struct ing_label_iter it = ing_label_iter(&head->pool.slab, series->labels);
    size_t count = 0;
    while (ing_label_next(&it, &head->pairs[count])) /* there was room when it was created */
        count++;
    nx_index_remove(&head->index, id_hash(series->id), ref);
    bool clean = ing_postings_remove(&owner->postings, ref, head->pairs, count);
    ing_series_release_samples(&head->pool, series);
    ing_slab_free(&head->pool.slab, series->labels);
    *series = (struct ing_series){0};
    head->series_count--;
    owner->series--;
    atomic_fetch_sub(&head->options.limit->used, 1);
    if (clean)
        slot_release(head, ref);
}

void ing_head_pin(struct ing_head *head)
{
    head->pins++;
}

void ing_head_unpin(struct ing_head *head)
{
    assert(head->pins > 0);
    if (--head->pins > 0)
        return;
    for (size_t i = 0; i < head->held_count; i++)
        slot_release(head, head->held_refs[i]);
    head->held_count = 0;
}

/* The position of the first window at or after `start`. */
static size_t window_position(const struct ing_tenant *tenant, int64_t start)
{
    size_t low = 0;
    size_t high = tenant->window_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (tenant->windows[mid].start < start)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct ing_window *ing_tenant_window(struct ing_tenant *tenant, int64_t start)
{
    size_t at = window_position(tenant, start);
    if (at == tenant->window_count || tenant->windows[at].start != start)
        return NULL;
    return &tenant->windows[at];
}

void ing_head_window_remove(struct ing_head *head, uint32_t number, int64_t start)
{
    struct ing_tenant *tenant = head->tenants[number];
    struct ing_window *window = ing_tenant_window(tenant, start);
    if (!window)
        return;
    if (head->pool.files)
        ing_chunk_files_forget(head->pool.files, number, start);
    size_t after = tenant->window_count - (size_t)(window - tenant->windows) - 1;
    memmove(window, window + 1, after * sizeof *window);
    tenant->window_count--;
}

bool ing_tenant_overlaps(const struct ing_tenant *tenant, int64_t window_ms, int64_t min_t,
                         int64_t max_t)
{
    for (size_t i = 0; i < tenant->window_count; i++) {
        int64_t start = tenant->windows[i].start;
        if (start <= max_t && start + window_ms > min_t)
            return true;
    }
    return false;
}

int64_t ing_late_step(int64_t window_ms)
{
    const int64_t unit = INT64_C(300000);
    int64_t parts = (window_ms + unit - 1) / unit;
    return (parts + 63) / 64 * unit;
}

static uint64_t late_bit(const struct ing_head *head, const struct ing_window *window, int64_t t)
{
    return UINT64_C(1) << ((t - window->start) / ing_late_step(head->options.rules.window_ms));
}

/* Room for one more window is made sure of by the caller. */
static void window_count_sample(const struct ing_head *head, struct ing_tenant *tenant, int64_t t,
                                int64_t now_ms)
{
    int64_t window_ms = head->options.rules.window_ms;
    size_t at = tenant->window_count > 0 ? tenant->window_count - 1 : 0;
    int64_t start = tenant->window_count > 0 ? tenant->windows[at].start : INT64_MAX;
    if (t < start || t - start >= window_ms) { /* not the newest */
        start = ing_window_of(window_ms, t);
        at = window_position(tenant, start);
    }
    struct ing_window *window = &tenant->windows[at];
    if (at == tenant->window_count || window->start != start) {
        memmove(window + 1, window, (tenant->window_count - at) * sizeof *window);
        *window = (struct ing_window){
            .start = start, .oldest_t = t, .first_append_ms = now_ms, .late = UINT64_MAX};
        tenant->window_count++;
    } else if (t < tenant->watched_until) {
        window->late |= late_bit(head, window, t);
    }
    if (t < window->oldest_t)
        window->oldest_t = t;
    window->samples++;
    window->last_append_ms = now_ms;
}

enum nx_err ing_head_append(struct ing_head *head, uint32_t ref, const struct nx_sample *sample,
                            int64_t now_ms, enum ing_append_result *out)
{
    struct ing_series *series = ing_head_series(head, ref);
    struct ing_tenant *tenant = head->tenants[series->tenant];
    enum nx_err err = nx_grow(&tenant->windows, &tenant->window_capacity, tenant->window_count + 1,
                              sizeof *tenant->windows);
    if (err != NX_OK)
        return err;
    enum ing_append_result result;
    err = ing_series_append(&head->pool, series, sample, &result);
    if (err != NX_OK)
        return err;
    series->last_append_s = (uint32_t)(now_ms / 1000);
    if (result == ING_APPENDED) {
        window_count_sample(head, tenant, sample->t, now_ms);
        if (sample->t > tenant->newest_t)
            tenant->newest_t = sample->t;
    }
    *out = result;
    return NX_OK;
}

void ing_head_encode_labels(const struct ing_head *head, const struct ing_series *series,
                            struct nx_buf *out)
{
    const struct ing_postings *postings = &head->tenants[series->tenant]->postings;
    struct ing_label_iter it = ing_label_iter(&head->pool.slab, series->labels);
    uint32_t pair;
    nx_buf_put_uvarint(out, it.left);
    while (ing_label_next(&it, &pair)) {
        nx_buf_put_bytes(out, ing_pair_name(postings, pair));
        nx_buf_put_bytes(out, ing_pair_value(postings, pair));
    }
}

size_t ing_head_labels_bound(const struct ing_head *head, const struct ing_series *series)
{
    const struct ing_postings *postings = &head->tenants[series->tenant]->postings;
    struct ing_label_iter it = ing_label_iter(&head->pool.slab, series->labels);
    uint32_t pair;
    size_t bytes = 10;
    while (ing_label_next(&it, &pair))
        bytes += ing_pair_name(postings, pair).len + ing_pair_value(postings, pair).len + 20;
    return bytes;
}

static bool is_idle(const struct ing_head *head, const struct ing_series *series, int64_t now_ms)
{
    int64_t window_ms = head->options.rules.window_ms;
    if (now_ms - (int64_t)series->last_append_s * 1000 >= window_ms)
        return true;
    int64_t newest_t = head->tenants[series->tenant]->newest_t;
    return series->newest_t != INT64_MIN && newest_t - series->newest_t >= window_ms;
}

size_t ing_head_collect(struct ing_head *head, uint32_t from, uint32_t to, int64_t now_ms, bool all)
{
    size_t removed = 0;
    for (uint32_t ref = from; ref < to && ref < head->series_end; ref++) {
        const struct ing_series *series = ing_head_series(head, ref);
        if (!ing_series_live(series) || ing_series_has_samples(series))
            continue;
        if (all || is_idle(head, series, now_ms)) {
            ing_head_remove(head, ref);
            removed++;
        }
    }
    return removed;
}
