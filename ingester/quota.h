/* What of a tenant's limits one shard enforces. Limits on series are the cluster's, each series
 * counted once; a shard takes its part: the limit times the partitions that it owns, over all
 * partitions. Series spread evenly over partitions, so the parts add up to the limit, and no shard
 * has to ask another one. */
#ifndef ING_QUOTA_H
#define ING_QUOTA_H

#include "common/config/overrides.h"
#include "ingester/head/head.h"

struct ing_quota {
    int64_t max_series; /* of the cluster, for texts; 0: no limit */
    int64_t max_series_per_metric;
    uint64_t series; /* of this shard */
    uint64_t series_per_metric;
    int64_t out_of_order_ms; /* -1: the head's own */
};

/* `owned` of `partitions`, 0 of 0 where the owners are not known: then nothing is limited. */
struct ing_quota ing_quota_of(const struct nx_tenant_limits *limits, uint64_t owned,
                              uint64_t partitions);

/* Whether the tenant may have one more series with these labels; if not, what to say (in the
 * arena), or NULL without memory. */
bool ing_quota_allows(const struct ing_quota *quota, const struct ing_tenant *tenant,
                      struct nx_labels labels, struct nx_arena *arena, const char **text);

#endif
