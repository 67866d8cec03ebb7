/* Entries lie in one array, which doubles up to the cap; an nx_index leads from the key's low half
 * to the position. The CLOCK hand passes over the array: an entry used since its last pass gets
 * another round. A new entry
 * counts as unused: it lies just behind the hand, and series that never come back do not push out
 * those that do. */
#include "distributor/series_cache.h"

#include <assert.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/index.h"
#include "distributor/batch.h"

struct entry {
    struct nx_hash128 key;
    struct nx_series_id id;
    uint32_t raw_len;
    uint16_t lives[DIST_CACHE_LIVES];
    bool used;
};

struct dist_cache {
    struct nx_index index;
    struct entry *entries;
    size_t count, capacity;
    size_t max_count;
    size_t hand;
    uint64_t evictions;
};

/* An index slot is 8 bytes, and the index is at least 3/8 full after it has doubled. */
enum { INDEX_BYTES_PER_ENTRY = 22, MIN_ENTRIES = 64 };

enum nx_err dist_cache_new(size_t max_bytes, struct dist_cache **out)
{
    struct dist_cache *cache = nx_calloc(1, sizeof *cache);
    if (!cache)
        return NX_ERR_NOMEM;
    nx_index_init(&cache->index);
    size_t count = max_bytes / (sizeof(struct entry) + INDEX_BYTES_PER_ENTRY);
    if (count < MIN_ENTRIES)
        count = MIN_ENTRIES;
    cache->max_count = count < DIST_NO_REF ? count : DIST_NO_REF - 1;
    *out = cache;
    return NX_OK;
}

void dist_cache_free(struct dist_cache *cache)
{
    if (!cache)
        return;
    nx_index_release(&cache->index);
    nx_free(cache->entries);
    nx_free(cache);
}

struct nx_hash128 dist_cache_key(struct nx_hash128 tenant, struct nx_view raw_labels)
{
    struct nx_hash128 key = nx_hash128(raw_labels.ptr, raw_labels.len);
    key.hi ^= tenant.hi;
    key.lo ^= tenant.lo;
    return key;
}

static bool key_eq(struct nx_hash128 a, struct nx_hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

struct lookup {
    struct nx_hash128 key;
    uint32_t raw_len;
};

static bool entry_is(uint32_t ref, const void *key, const void *user)
{
    const struct dist_cache *cache = user;
    const struct lookup *wanted = key;
    const struct entry *entry = &cache->entries[ref];
    return key_eq(entry->key, wanted->key) && entry->raw_len == wanted->raw_len;
}

uint32_t dist_cache_find(struct dist_cache *cache, struct nx_hash128 key, uint32_t raw_len)
{
    struct lookup wanted = {.key = key, .raw_len = raw_len};
    uint32_t ref = nx_index_find(&cache->index, key.lo, entry_is, &wanted, cache);
    if (ref == NX_INDEX_NONE)
        return DIST_NO_REF;
    cache->entries[ref].used = true;
    return ref;
}

static bool grow(struct dist_cache *cache)
{
    size_t wanted = cache->capacity ? cache->capacity * 2 : MIN_ENTRIES;
    if (wanted > cache->max_count)
        wanted = cache->max_count;
    struct entry *entries = nx_realloc_array(cache->entries, wanted, sizeof *entries);
    if (!entries)
        return false;
    cache->entries = entries;
    cache->capacity = wanted;
    return true;
}

static uint32_t evict(struct dist_cache *cache)
{
    for (;;) {
        if (cache->hand >= cache->count)
            cache->hand = 0;
        struct entry *entry = &cache->entries[cache->hand];
        if (!entry->used)
            break;
        entry->used = false;
        cache->hand++;
    }
    uint32_t ref = (uint32_t)cache->hand++;
    bool removed = nx_index_remove(&cache->index, cache->entries[ref].key.lo, ref);
    assert(removed);
    (void)removed;
    cache->evictions++;
    return ref;
}

/* The place of a removed entry whose successor could not be indexed: filled by the last one. */
static void close_gap(struct dist_cache *cache, uint32_t ref)
{
    uint32_t last = (uint32_t)--cache->count;
    if (ref == last)
        return;
    /* Removing first leaves room in the index, so the insertion cannot fail. */
    bool removed = nx_index_remove(&cache->index, cache->entries[last].key.lo, last);
    assert(removed);
    (void)removed;
    cache->entries[ref] = cache->entries[last];
    enum nx_err err = nx_index_insert(&cache->index, cache->entries[ref].key.lo, ref);
    assert(!err);
    (void)err;
}

uint32_t dist_cache_insert(struct dist_cache *cache, struct nx_hash128 key, uint32_t raw_len,
                           struct nx_series_id id)
{
    uint32_t ref;
    if (cache->count < cache->max_count) {
        if (cache->count == cache->capacity && !grow(cache))
            return DIST_NO_REF;
        ref = (uint32_t)cache->count++;
    } else {
        ref = evict(cache);
    }
    if (nx_index_insert(&cache->index, key.lo, ref)) {
        close_gap(cache, ref);
        return DIST_NO_REF;
    }
    struct entry *entry = &cache->entries[ref];
    memset(entry, 0, sizeof *entry);
    entry->key = key;
    entry->id = id;
    entry->raw_len = raw_len;
    return ref;
}

struct nx_series_id dist_cache_id(const struct dist_cache *cache, uint32_t ref)
{
    assert(ref < cache->count);
    return cache->entries[ref].id;
}

static struct entry *entry_of(const struct dist_cache *cache, uint32_t ref, struct nx_hash128 key)
{
    if (ref >= cache->count || !key_eq(cache->entries[ref].key, key))
        return NULL;
    return &cache->entries[ref];
}

static size_t find_life(const struct entry *entry, uint16_t life)
{
    size_t i = 0;
    while (i < DIST_CACHE_LIVES && entry->lives[i] != life)
        i++;
    return i;
}

bool dist_cache_knows(const struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                      uint16_t life)
{
    const struct entry *entry = entry_of(cache, ref, key);
    return life && entry && find_life(entry, life) < DIST_CACHE_LIVES;
}

void dist_cache_confirm(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                        uint16_t life)
{
    struct entry *entry = entry_of(cache, ref, key);
    if (!life || !entry || find_life(entry, life) < DIST_CACHE_LIVES)
        return;
    size_t slot = find_life(entry, 0);
    if (slot == DIST_CACHE_LIVES) { /* the oldest is a life that has ended, or an owner that was */
        memmove(&entry->lives[0], &entry->lives[1], sizeof entry->lives - sizeof entry->lives[0]);
        slot = DIST_CACHE_LIVES - 1;
    }
    entry->lives[slot] = life;
}

void dist_cache_forget(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key, uint16_t life)
{
    struct entry *entry = entry_of(cache, ref, key);
    size_t slot = entry && life ? find_life(entry, life) : DIST_CACHE_LIVES;
    if (slot == DIST_CACHE_LIVES)
        return;
    memmove(&entry->lives[slot], &entry->lives[slot + 1],
            (DIST_CACHE_LIVES - 1 - slot) * sizeof entry->lives[0]);
    entry->lives[DIST_CACHE_LIVES - 1] = 0;
}

void dist_cache_forget_all(struct dist_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        memset(cache->entries[i].lives, 0, sizeof cache->entries[i].lives);
}

size_t dist_cache_count(const struct dist_cache *cache)
{
    return cache->count;
}

size_t dist_cache_memory_bytes(const struct dist_cache *cache)
{
    return sizeof *cache + cache->capacity * sizeof *cache->entries +
           nx_index_memory_bytes(&cache->index);
}

uint64_t dist_cache_evictions(const struct dist_cache *cache)
{
    return cache->evictions;
}
