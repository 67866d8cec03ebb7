/* The election of replicas in etcd, where the ring's members are: one key a pair of tenant and
 * group, bound to a lease that the elected replica's claims keep alive. It lives as long as the
 * fail-over time, so that etcd's clock alone decides when another one may take the place. */
#ifndef DIST_HA_ETCD_H
#define DIST_HA_ETCD_H

#include "common/telemetry/telemetry.h"
#include "distributor/ha_claim.h"

struct dist_ha_etcd;
struct nx_etcd_access;

/* `access` (which outlives it) and `cluster` as the ring has them. */
enum nx_err dist_ha_etcd_new(const struct nx_etcd_access *access, const char *cluster,
                             struct nx_telemetry *telemetry, struct dist_ha_etcd **out,
                             struct nx_fail *fail) NX_WARN_UNUSED;
/* When a drain begins: calls to etcd end within a second, and claims with NX_ERR_UNAVAILABLE. */
void dist_ha_etcd_stop(struct dist_ha_etcd *etcd); /* NULL: nothing */
/* When no claim is out any more. NULL: nothing. */
void dist_ha_etcd_free(struct dist_ha_etcd *etcd);

/* As dist_ha_claim_start; `cluster`, `held` and `timeout_ms` of the options are not used. `done`
 * is called on the worker that asks. */
void dist_ha_etcd_claim(struct dist_ha_etcd *etcd, const struct dist_ha_claim_options *options);

#endif
