/* The group and the replica that a request comes from: the labels of its first series, as in Mimir.
 * Pure. */
#ifndef DIST_HA_PAIR_H
#define DIST_HA_PAIR_H

#include "distributor/batch.h"
#include "distributor/ha.h"

/* False where the tenant's samples are not those of replicas, the request has no series, or its
 * first one lacks one of the labels: then it is taken like any other. The views live in the batch.
 */
bool dist_ha_pair_of(const struct dist_limits *limits, struct nx_view tenant,
                     struct dist_batch *batch, struct dist_ha_pair *out);

/* Samples and histograms of the batch. */
uint64_t dist_ha_count(const struct dist_batch *batch);

#endif
