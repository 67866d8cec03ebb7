/* What a process remembers of the series it has seen: from the hash of its labels as they came
 * to the series id, and which lives of which ingesters have confirmed that they know the
 * series' labels. One for all workers: a series may come through any connection, and a copy a
 * worker would cost its memory as many times.
 *
 * A key is the format's 128-bit hash of them (batch.h), mixed with that of the tenant; 96 bits of
 * it are kept and compared, so that among a hundred million series two are confused with a
 * probability of 10^-13. Only labels that passed validation are put in. Bounded by bytes: at the
 * cap the entry that was not used lately makes room (CLOCK).
 *
 * Beside each confirmation lies the number that the ingester has given the series, if it did; a
 * number that has become another's is noticed by the ingester (push_columns.h), not here.
 *
 * Any thread. Looking up takes the shared lock once for many series (dist_cache_read_begin);
 * changing takes the other one, call by call, which happens while series are new. */
#ifndef DIST_SERIES_CACHE_H
#define DIST_SERIES_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/hash.h"
#include "common/labels/series_id.h"

struct dist_cache;

/* A life is a number for one incarnation of one ingester (push_peer.h); 0 is none. An entry keeps
 * this many. */
#define DIST_CACHE_LIVES 6

enum nx_err dist_cache_new(size_t max_bytes, struct dist_cache **out) NX_WARN_UNUSED;
void dist_cache_free(struct dist_cache *cache);

struct nx_hash128 dist_cache_key(struct nx_hash128 tenant, struct nx_hash128 labels);

/* --- between these two; other threads may read meanwhile, nobody changes --- */
void dist_cache_read_begin(struct dist_cache *cache);
void dist_cache_read_end(struct dist_cache *cache);
/* A reference, or DIST_NO_REF (batch.h). The entry may make room for another when the reading ends;
 * the calls that take a key beside the reference do nothing, or say no, where that has happened. */
uint32_t dist_cache_find(struct dist_cache *cache, struct nx_hash128 key);
/* Ahead of many finds: the first for all of them, then the second. */
void dist_cache_prefetch_slot(const struct dist_cache *cache, struct nx_hash128 key);
void dist_cache_prefetch_entry(const struct dist_cache *cache, struct nx_hash128 key);
struct nx_series_id dist_cache_id(const struct dist_cache *cache, uint32_t ref);
/* Whether the life has confirmed the series; `*number` (may be NULL) is the one it gave it, 0:
 * none. */
bool dist_cache_knows(const struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                      uint16_t life, uint32_t *number);

/* --- not between them --- */
/* The reference of the key's entry, made where there is none. DIST_NO_REF where there is no
 * memory. */
uint32_t dist_cache_insert(struct dist_cache *cache, struct nx_hash128 key, struct nx_series_id id);
/* `number`: by which the life knows the series (push_columns.h); 0: it gave none, or no longer has
 * the one it gave. */
void dist_cache_confirm(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                        uint16_t life, uint32_t number);
/* The number alone, where it still is that one. */
void dist_cache_forget_number(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                              uint16_t life, uint32_t number);
void dist_cache_forget(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                       uint16_t life);
/* Forgets every confirmation (the numbers of lives begin anew). */
void dist_cache_forget_all(struct dist_cache *cache);

struct dist_cache_stats {
    size_t series;
    size_t bytes;
    uint64_t evictions;
};
struct dist_cache_stats dist_cache_stats(struct dist_cache *cache);

#endif
