/* Entries lie in pages that are added up to the cap; an nx_index leads from the key's low half to
 * the position. The CLOCK hand passes over the pages: an entry used since its last pass gets
 * another round. A new entry counts as unused: it lies just behind the hand, and series that never
 * come back do not push out those that do.
 *
 * The lives that know a series are the same for all series of a partition, so an entry holds the
 * number of a set of lives, and the sets are kept once. When their numbers run out, confirmations
 * begin anew. A page has a column of numbers for each place in those sets that one of its entries
 * has had a number at: one column where a series has one owner. */
#include "distributor/series_cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/base/index.h"
#include "distributor/batch.h"

struct entry {
    struct nx_series_id id;
    uint64_t key_hi;
    uint32_t key_tag; /* nx_index_tag of the key's low half */
    uint16_t lives;   /* number of a set; 0: none */
    atomic_bool used;
};

struct life_set {
    uint16_t lives[DIST_CACHE_LIVES]; /* the oldest first; 0 behind the last */
};

enum {
    /* An index slot is 8 bytes, and the index is at least 2/3 full. */
    INDEX_BYTES_PER_ENTRY = 12,
    NUMBERS_BYTES_PER_ENTRY = 12, /* of three owners */
    MIN_ENTRIES = 64,
    PAGE_ENTRIES = 256,
    MAX_SETS = UINT16_MAX
};

struct page {
    struct entry *entries;
    uint32_t *numbers[DIST_CACHE_LIVES]; /* NULL: none there yet */
};

struct dist_cache {
    pthread_rwlock_t lock;
    struct nx_index index;
    struct page *pages;
    size_t page_count, page_capacity;
    size_t number_columns;
    size_t count;
    size_t max_count;
    size_t hand;
    uint64_t evictions;
    struct nx_index set_index;
    struct life_set *sets; /* the first is empty */
    size_t set_count, set_capacity;
};

static enum nx_err sets_begin(struct dist_cache *cache)
{
    enum nx_err err = nx_grow(&cache->sets, &cache->set_capacity, 1, sizeof *cache->sets);
    if (err)
        return err;
    nx_index_clear(&cache->set_index);
    cache->sets[0] = (struct life_set){.lives = {0}};
    cache->set_count = 1;
    return NX_OK;
}

enum nx_err dist_cache_new(size_t max_bytes, struct dist_cache **out)
{
    struct dist_cache *cache = nx_calloc(1, sizeof *cache);
    if (!cache)
        return NX_ERR_NOMEM;
    nx_index_init(&cache->index);
    nx_index_init(&cache->set_index);
    if (sets_begin(cache) || pthread_rwlock_init(&cache->lock, NULL) != 0) {
        nx_free(cache->sets);
        nx_free(cache);
        return NX_ERR_NOMEM;
    }
    size_t count =
        max_bytes / (sizeof(struct entry) + INDEX_BYTES_PER_ENTRY + NUMBERS_BYTES_PER_ENTRY);
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
    for (size_t i = 0; i < cache->page_count; i++) {
        nx_free(cache->pages[i].entries);
        for (size_t k = 0; k < DIST_CACHE_LIVES; k++)
            nx_free(cache->pages[i].numbers[k]);
    }
    nx_free(cache->pages);
    nx_free(cache->sets);
    nx_index_release(&cache->index);
    nx_index_release(&cache->set_index);
    pthread_rwlock_destroy(&cache->lock);
    nx_free(cache);
}

struct nx_hash128 dist_cache_key(struct nx_hash128 tenant, struct nx_hash128 labels)
{
    return (struct nx_hash128){.hi = labels.hi ^ tenant.hi, .lo = labels.lo ^ tenant.lo};
}

void dist_cache_read_begin(struct dist_cache *cache)
{
    pthread_rwlock_rdlock(&cache->lock);
}

void dist_cache_read_end(struct dist_cache *cache)
{
    pthread_rwlock_unlock(&cache->lock);
}

static struct entry *entry_at(const struct dist_cache *cache, size_t ref)
{
    return &cache->pages[ref / PAGE_ENTRIES].entries[ref % PAGE_ENTRIES];
}

static bool entry_is(uint32_t ref, const void *key, const void *user)
{
    return entry_at(user, ref)->key_hi == ((const struct nx_hash128 *)key)->hi;
}

void dist_cache_prefetch_slot(const struct dist_cache *cache, struct nx_hash128 key)
{
    nx_index_prefetch(&cache->index, key.lo);
}

void dist_cache_prefetch_entry(const struct dist_cache *cache, struct nx_hash128 key)
{
    uint32_t ref = nx_index_candidate(&cache->index, key.lo);
    if (ref != NX_INDEX_NONE)
        __builtin_prefetch(entry_at(cache, ref));
}

uint32_t dist_cache_find(struct dist_cache *cache, struct nx_hash128 key)
{
    uint32_t ref = nx_index_find(&cache->index, key.lo, entry_is, &key, cache);
    if (ref == NX_INDEX_NONE)
        return DIST_NO_REF;
    struct entry *entry = entry_at(cache, ref);
    if (!atomic_load_explicit(&entry->used, memory_order_relaxed))
        atomic_store_explicit(&entry->used, true, memory_order_relaxed);
    return ref;
}

struct nx_series_id dist_cache_id(const struct dist_cache *cache, uint32_t ref)
{
    assert(ref < cache->count);
    return entry_at(cache, ref)->id;
}

static struct entry *entry_of(const struct dist_cache *cache, uint32_t ref, struct nx_hash128 key)
{
    if (ref >= cache->count)
        return NULL;
    struct entry *entry = entry_at(cache, ref);
    return entry->key_hi == key.hi && entry->key_tag == nx_index_tag(key.lo) ? entry : NULL;
}

static size_t find_life(const struct life_set *set, uint16_t life)
{
    size_t i = 0;
    while (i < DIST_CACHE_LIVES && set->lives[i] != life)
        i++;
    return i;
}

/* The place of the life's number of an entry; NULL where the page has no column for it. */
static uint32_t *number_at(const struct dist_cache *cache, uint32_t ref, size_t slot)
{
    uint32_t *column = cache->pages[ref / PAGE_ENTRIES].numbers[slot];
    return column ? &column[ref % PAGE_ENTRIES] : NULL;
}

bool dist_cache_knows(const struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                      uint16_t life, uint32_t *number)
{
    const struct entry *entry = entry_of(cache, ref, key);
    if (!life || !entry)
        return false;
    size_t slot = find_life(&cache->sets[entry->lives], life);
    if (slot == DIST_CACHE_LIVES)
        return false;
    if (number) {
        const uint32_t *at = number_at(cache, ref, slot);
        *number = at ? *at : 0;
    }
    return true;
}

/* --- entries that come and go --- */

static bool add_page(struct dist_cache *cache)
{
    if (nx_grow(&cache->pages, &cache->page_capacity, cache->page_count + 1, sizeof *cache->pages))
        return false;
    struct page page = {.entries = nx_alloc_array(PAGE_ENTRIES, sizeof *page.entries)};
    if (!page.entries)
        return false;
    cache->pages[cache->page_count++] = page;
    return true;
}

static uint32_t evict(struct dist_cache *cache)
{
    for (;;) {
        if (cache->hand >= cache->count)
            cache->hand = 0;
        struct entry *entry = entry_at(cache, cache->hand);
        if (!atomic_load_explicit(&entry->used, memory_order_relaxed))
            break;
        atomic_store_explicit(&entry->used, false, memory_order_relaxed);
        cache->hand++;
    }
    uint32_t ref = (uint32_t)cache->hand++;
    /* not there only where indexing it failed */
    (void)nx_index_remove_tagged(&cache->index, entry_at(cache, ref)->key_tag, ref);
    cache->evictions++;
    return ref;
}

static uint32_t insert(struct dist_cache *cache, struct nx_hash128 key, struct nx_series_id id)
{
    uint32_t ref = nx_index_find(&cache->index, key.lo, entry_is, &key, cache);
    if (ref != NX_INDEX_NONE)
        return ref; /* another worker has seen it meanwhile */
    if (cache->count < cache->max_count) {
        if (cache->count == cache->page_count * PAGE_ENTRIES && !add_page(cache))
            return DIST_NO_REF;
        ref = (uint32_t)cache->count;
    } else {
        ref = evict(cache);
    }
    struct entry *entry = entry_at(cache, ref);
    *entry = (struct entry){.id = id, .key_hi = key.hi, .key_tag = nx_index_tag(key.lo)};
    if (nx_index_insert(&cache->index, key.lo, ref))
        return DIST_NO_REF; /* a place that was another's waits, unused, for the hand */
    if (ref == cache->count)
        cache->count++;
    return ref;
}

uint32_t dist_cache_insert(struct dist_cache *cache, struct nx_hash128 key, struct nx_series_id id)
{
    pthread_rwlock_wrlock(&cache->lock);
    uint32_t ref = insert(cache, key, id);
    pthread_rwlock_unlock(&cache->lock);
    return ref;
}

/* --- confirmations --- */

static uint64_t set_hash(const struct life_set *set)
{
    return nx_hash64(set, sizeof *set);
}

static bool set_is(uint32_t ref, const void *key, const void *user)
{
    const struct dist_cache *cache = user;
    return memcmp(&cache->sets[ref], key, sizeof cache->sets[ref]) == 0;
}

static void forget_all(struct dist_cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        entry_at(cache, i)->lives = 0;
    enum nx_err err = sets_begin(cache);
    assert(!err); /* there is room for one */
    (void)err;
}

/* Without memory for the column the series has no number. */
static void set_number(struct dist_cache *cache, uint32_t ref, size_t slot, uint32_t number)
{
    uint32_t **column = &cache->pages[ref / PAGE_ENTRIES].numbers[slot];
    if (!*column && number) {
        *column = nx_calloc(PAGE_ENTRIES, sizeof **column);
        cache->number_columns += *column != NULL;
    }
    if (*column)
        (*column)[ref % PAGE_ENTRIES] = number;
}

/* The life at `slot` leaves: those behind it move up. */
static void drop_number(struct dist_cache *cache, uint32_t ref, size_t slot)
{
    for (; slot + 1 < DIST_CACHE_LIVES; slot++) {
        const uint32_t *next = number_at(cache, ref, slot + 1);
        set_number(cache, ref, slot, next ? *next : 0);
    }
    set_number(cache, ref, slot, 0);
}

/* Gives the entry the set of those lives; without memory it keeps its own. */
static void set_lives(struct dist_cache *cache, struct entry *entry, const struct life_set *set)
{
    if (set->lives[0] == 0) {
        entry->lives = 0;
        return;
    }
    uint32_t found = nx_index_find(&cache->set_index, set_hash(set), set_is, set, cache);
    if (found == NX_INDEX_NONE) {
        if (cache->set_count == MAX_SETS)
            forget_all(cache);
        if (nx_grow(&cache->sets, &cache->set_capacity, cache->set_count + 1,
                    sizeof *cache->sets) ||
            nx_index_insert(&cache->set_index, set_hash(set), (uint32_t)cache->set_count))
            return;
        found = (uint32_t)cache->set_count++;
        cache->sets[found] = *set;
    }
    entry->lives = (uint16_t)found;
}

static void confirm(struct dist_cache *cache, uint32_t ref, struct entry *entry, uint16_t life,
                    uint32_t number)
{
    size_t slot = find_life(&cache->sets[entry->lives], life);
    if (slot == DIST_CACHE_LIVES) {
        struct life_set set = cache->sets[entry->lives];
        slot = find_life(&set, 0);
        if (slot == DIST_CACHE_LIVES) {
            /* the oldest is a life that has ended, or an owner that was */
            memmove(&set.lives[0], &set.lives[1], sizeof set.lives - sizeof set.lives[0]);
            drop_number(cache, ref, 0);
            slot = DIST_CACHE_LIVES - 1;
        }
        set.lives[slot] = life;
        set_lives(cache, entry, &set);
        /* the set is another where it was full, or there was no memory */
        slot = find_life(&cache->sets[entry->lives], life);
    }
    if (slot < DIST_CACHE_LIVES)
        set_number(cache, ref, slot, number);
}

void dist_cache_confirm(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                        uint16_t life, uint32_t number)
{
    pthread_rwlock_wrlock(&cache->lock);
    struct entry *entry = entry_of(cache, ref, key);
    if (life && entry)
        confirm(cache, ref, entry, life, number);
    pthread_rwlock_unlock(&cache->lock);
}

void dist_cache_forget_number(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                              uint16_t life, uint32_t number)
{
    uint32_t kept;
    pthread_rwlock_wrlock(&cache->lock);
    if (dist_cache_knows(cache, ref, key, life, &kept) && kept == number)
        set_number(cache, ref, find_life(&cache->sets[entry_at(cache, ref)->lives], life), 0);
    pthread_rwlock_unlock(&cache->lock);
}

void dist_cache_forget(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key, uint16_t life)
{
    pthread_rwlock_wrlock(&cache->lock);
    struct entry *entry = entry_of(cache, ref, key);
    size_t slot = entry && life ? find_life(&cache->sets[entry->lives], life) : DIST_CACHE_LIVES;
    if (slot < DIST_CACHE_LIVES) {
        struct life_set set = cache->sets[entry->lives];
        memmove(&set.lives[slot], &set.lives[slot + 1],
                (DIST_CACHE_LIVES - 1 - slot) * sizeof set.lives[0]);
        set.lives[DIST_CACHE_LIVES - 1] = 0;
        drop_number(cache, ref, slot);
        entry->lives = 0; /* also where there is no memory for the smaller set */
        set_lives(cache, entry, &set);
    }
    pthread_rwlock_unlock(&cache->lock);
}

void dist_cache_forget_all(struct dist_cache *cache)
{
    pthread_rwlock_wrlock(&cache->lock);
    forget_all(cache);
    pthread_rwlock_unlock(&cache->lock);
}

struct dist_cache_stats dist_cache_stats(struct dist_cache *cache)
{
    pthread_rwlock_rdlock(&cache->lock);
    struct dist_cache_stats stats = {
        .series = cache->count,
        .bytes = sizeof *cache + cache->page_count * PAGE_ENTRIES * sizeof(struct entry) +
                 cache->page_capacity * sizeof *cache->pages +
                 cache->number_columns * PAGE_ENTRIES * sizeof(uint32_t) +
                 cache->set_capacity * sizeof(struct life_set) +
                 nx_index_memory_bytes(&cache->index) + nx_index_memory_bytes(&cache->set_index),
        .evictions = cache->evictions};
    pthread_rwlock_unlock(&cache->lock);
    return stats;
}
