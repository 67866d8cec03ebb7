/* The head of one shard: its tenants, their series and the recent samples. Owned by one worker's
 * thread (or by the opening thread while no worker runs); nothing here locks. Memory only: logging
 * is the shard's business. */
#ifndef ING_HEAD_HEAD_H
#define ING_HEAD_HEAD_H

#include <stdatomic.h>

#include "ingester/head/exemplars.h"
#include "ingester/head/metadata.h"
#include "ingester/head/postings.h"
#include "ingester/head/series.h"

#define ING_REF_NONE NX_INDEX_NONE
#define ING_TENANTS_MAX 100000
#define ING_TENANT_MASK 0xFFFFFu /* the bits that a series has for its tenant */

/* Series of the whole process against its limit; shared by the shards. */
struct ing_series_limit {
    atomic_size_t used;
    atomic_size_t max;
};

struct ing_window {
    int64_t start;
    int64_t oldest_t;        /* of all samples that it has had */
    uint64_t samples;        /* appended since the last snapshot of it */
    int64_t first_append_ms; /* wall clock */
    int64_t last_append_ms;
    /* Parts of it, each ing_late_step long, that took samples before `watched_until` since somebody
     * looked; all of a window that is new. */
    uint64_t late;
};

struct ing_tenant {
    struct nx_view name; /* owned */
    struct ing_postings postings;
    struct ing_window *windows; /* sorted */
    size_t window_count;
    size_t window_capacity;
    struct ing_exemplars exemplars;
    struct ing_metadata_table metadata;
    size_t series;
    int64_t newest_t; /* INT64_MIN: nothing yet */
    /* What is appended from here back is noted in the windows (`late`). */
    int64_t watched_until;
};

struct ing_head_options {
    struct ing_window_rules rules;
    struct ing_series_limit *limit;
    size_t max_exemplars; /* a tenant in this shard */
    /* For the chunk files; dir NULL: sealed chunks stay in memory. */
    struct ing_chunk_files_options chunks;
};

struct ing_head {
    struct ing_head_options options;
    struct ing_pool pool;
    struct ing_symbols symbols;
    struct nx_index tenant_index;
    struct ing_tenant **tenants;
    size_t tenant_count;
    size_t tenant_capacity;
    struct nx_index index; /* by id */
    struct ing_series **pages;
    size_t page_count;
    size_t page_capacity;
    uint32_t series_end; /* slots ever used */
    size_t series_count;
    uint32_t *free_refs;
    size_t free_count;
    size_t free_capacity;
    uint32_t *held_refs; /* freed while pinned */
    size_t held_count;
    size_t held_capacity;
    size_t pins;
    uint32_t *pairs; /* for one series' labels; as long as the longest label set so far */
    size_t pair_capacity;
};

enum nx_err ing_head_new(const struct ing_head_options *options,
                         struct ing_head **out) NX_WARN_UNUSED;
void ing_head_free(struct ing_head *head);

/* The tenant's number, or ING_REF_NONE. */
uint32_t ing_head_tenant_find(const struct ing_head *head, struct nx_view name);
/* The same, adding the tenant; NX_ERR_RATE_LIMITED beyond ING_TENANTS_MAX. */
enum nx_err ing_head_tenant_get(struct ing_head *head, struct nx_view name,
                                uint32_t *out) NX_WARN_UNUSED;
static inline struct ing_tenant *ing_head_tenant(const struct ing_head *head, uint32_t tenant)
{
    return head->tenants[tenant];
}

uint32_t ing_head_find(const struct ing_head *head, struct nx_series_id id);
/* The same of many, up to ING_HEAD_BUNCH, for which memory is fetched ahead: the series and what an
 * append to them touches. */
#define ING_HEAD_BUNCH 32
void ing_head_find_many(const struct ing_head *head, const struct nx_series_id *ids, size_t count,
                        uint32_t *refs);
/* Whether the slots, up to ING_HEAD_BUNCH, hold series of the tenant whose ids give that sum
 * (nx_push_check); fetches what an append to them touches. */
bool ing_head_are(const struct ing_head *head, uint32_t tenant, const uint32_t *refs, size_t count,
                  uint64_t check);
/* Slots of series are stable; a freed one is not ing_series_live. */
struct ing_series *ing_head_series(const struct ing_head *head, uint32_t ref);
/* The caller has looked: there is no series with this id. NX_ERR_RATE_LIMITED at the process's
 * limit. */
enum nx_err ing_head_create(struct ing_head *head, uint32_t tenant, struct nx_series_id id,
                            struct nx_labels labels, uint32_t *out) NX_WARN_UNUSED;
/* With its samples, out of the index. */
void ing_head_remove(struct ing_head *head, uint32_t ref);
/* As ing_series_append; keeps the tenant's windows. */
enum nx_err ing_head_append(struct ing_head *head, uint32_t ref, const struct nx_sample *sample,
                            int64_t now_ms, enum ing_append_result *out) NX_WARN_UNUSED;
/* The label set as labels.h encodes it. */
void ing_head_encode_labels(const struct ing_head *head, const struct ing_series *series,
                            struct nx_buf *out);
/* At least as many bytes as that takes. */
size_t ing_head_labels_bound(const struct ing_head *head, const struct ing_series *series);

/* While pinned, no slot of a removed series is given to another one: work in slices can rely on
 * refs. */
void ing_head_pin(struct ing_head *head);
void ing_head_unpin(struct ing_head *head);

/* Removes the series among slots [from, to) that have no samples and had none for a window, by the
 * wall clock or by the tenant's newest sample (all without samples: `all`). Returns how many. */
size_t ing_head_collect(struct ing_head *head, uint32_t from, uint32_t to, int64_t now_ms,
                        bool all);

/* The samples of the window have left all series of the tenant. */
void ing_head_window_remove(struct ing_head *head, uint32_t tenant, int64_t start);
/* How much time one bit of a window's `late` stands for: whole digest windows of five minutes. */
int64_t ing_late_step(int64_t window_ms);
/* NULL where the window holds nothing. */
struct ing_window *ing_tenant_window(struct ing_tenant *tenant, int64_t start);
bool ing_tenant_overlaps(const struct ing_tenant *tenant, int64_t window_ms, int64_t min_t,
                         int64_t max_t);

#endif
