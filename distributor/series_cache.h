/* What a worker remembers of the series it has seen: from the bytes of the label fields as they
 * came to the series id, and which lives of which ingesters have confirmed that they know the
 * series' labels.
 *
 * A key is the 128-bit XXH3 of those bytes, mixed with that of the tenant, and their length: as
 * wide as the series id itself, so the cache confuses two series no more than the id does. Only
 * labels that passed validation are put in. Bounded by bytes: at the cap the entry that was not
 * used lately makes room (CLOCK). One thread. */
#ifndef DIST_SERIES_CACHE_H
#define DIST_SERIES_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/hash.h"
#include "common/labels/series_id.h"

struct dist_cache;

/* A life is a number for one incarnation of one ingester (push_peer.h); 0 is none. */
#define DIST_CACHE_LIVES 6

enum nx_err dist_cache_new(size_t max_bytes, struct dist_cache **out) NX_WARN_UNUSED;
void dist_cache_free(struct dist_cache *cache);

struct nx_hash128 dist_cache_key(struct nx_hash128 tenant, struct nx_view raw_labels);

/* A reference, or DIST_NO_REF (batch.h). It stays valid until the entry makes room for another; the
 * calls that take a key beside it do nothing, or say no, where that has happened. */
uint32_t dist_cache_find(struct dist_cache *cache, struct nx_hash128 key, uint32_t raw_len);
/* The caller has looked: there is none. DIST_NO_REF where there is no memory. */
uint32_t dist_cache_insert(struct dist_cache *cache, struct nx_hash128 key, uint32_t raw_len,
                           struct nx_series_id id);
struct nx_series_id dist_cache_id(const struct dist_cache *cache, uint32_t ref);

bool dist_cache_knows(const struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                      uint16_t life);
void dist_cache_confirm(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                        uint16_t life);
void dist_cache_forget(struct dist_cache *cache, uint32_t ref, struct nx_hash128 key,
                       uint16_t life);
/* Forgets every confirmation (the numbers of lives begin anew). */
void dist_cache_forget_all(struct dist_cache *cache);

size_t dist_cache_count(const struct dist_cache *cache);
size_t dist_cache_memory_bytes(const struct dist_cache *cache);
uint64_t dist_cache_evictions(const struct dist_cache *cache);

#endif
