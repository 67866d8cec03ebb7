/* Turns a decoded batch into one that can be pushed: gives every series its id (from the cache, or
 * by reading, validating and sorting its labels), takes out what is refused, encodes histograms. */
#ifndef DIST_RESOLVE_H
#define DIST_RESOLVE_H

#include "distributor/batch.h"
#include "distributor/distributor.h"
#include "distributor/refusals.h"
#include "distributor/series_cache.h"

struct dist_resolver {
    const struct dist_limits *limits; /* the batch gets a reference of its own */
    struct dist_cache *cache;         /* may be NULL */
    struct nx_view tenant;
    int64_t now_ms;
    size_t hits, misses; /* of the cache, added up */
    size_t dropped;      /* samples of series that a relabeling rule drops, added up */
};

/* Refused samples are taken out of their series' columns, refused series, exemplars and metadata
 * are marked or dropped; all of it is counted in `refusals`. Invalid exemplars are dropped without
 * failing the request, as Prometheus does. Fails as a whole only on malformed protobuf
 * (NX_ERR_INVALID) or for want of memory. */
enum nx_err dist_resolve(struct dist_resolver *resolver, struct dist_batch *batch,
                         struct dist_refusals *refusals, struct nx_fail *fail) NX_WARN_UNUSED;

/* Reads the labels of a series that came through the cache and encodes them into series->canonical;
 * nothing to do where that is there. */
enum nx_err dist_resolve_canonical(struct dist_batch *batch,
                                   struct dist_series *series) NX_WARN_UNUSED;

/* The label set of a series for an error text: as much of it as can be read. */
struct nx_labels dist_resolve_shown(const struct dist_batch *batch, struct nx_arena *arena,
                                    const struct dist_series *series);

#endif
