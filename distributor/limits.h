/* What one tenant may send, for the time of one request: the numbers, and the rules that decide
 * what labels become. */
#ifndef DIST_LIMITS_H
#define DIST_LIMITS_H

#include "common/config/overrides.h"
#include "common/labels/labels.h"

struct dist_limits {
    struct nx_tenant_limits max;
    struct nx_tenant_rules *rules; /* a reference; NULL: none */
    struct nx_view ha_cluster_label;
    struct nx_view ha_replica_label;
};

/* Release with dist_limits_release. What was derived from labels under other limits must not be
 * used: see dist_limits_key. */
void dist_limits_get(const struct nx_limit_settings *settings, struct nx_overrides *overrides,
                     struct nx_view tenant, struct dist_limits *out);
/* Another reference to the same. */
struct dist_limits dist_limits_copy(const struct dist_limits *limits);
void dist_limits_release(struct dist_limits *limits);

/* A hash of the tenant and of all that decides what becomes of a series' labels: the part of the
 * series cache's key. */
struct nx_hash128 dist_limits_key(const struct dist_limits *limits, struct nx_view tenant);

/* Takes off the label of the replica, relabels and drops labels. `labels` (any order, empty values
 * too) is replaced by an array of the arena where there is anything to do. *keep false: a rule
 * drops the series. NX_ERR_LIMIT where rules made too much of it. */
enum nx_err dist_limits_rewrite(const struct dist_limits *limits, struct nx_arena *arena,
                                struct nx_label **labels, size_t *count, bool *keep) NX_WARN_UNUSED;

#endif
