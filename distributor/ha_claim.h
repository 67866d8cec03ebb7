/* Asks the ingesters that own a pair of tenant and group whether the replica is, or becomes, the
 * elected one. On one worker's thread. */
#ifndef DIST_HA_CLAIM_H
#define DIST_HA_CLAIM_H

#include "common/base/time.h"
#include "distributor/ha.h"

struct dist_cluster;

struct dist_ha_claim_options {
    struct dist_cluster *cluster;
    struct dist_ha *ha; /* learns the outcome */
    const struct nx_clock *clock;
    struct dist_ha_pair pair; /* copied */
    bool held;
    uint64_t failover_ms;
    uint64_t timeout_ms;
    /* Called when the claim begins (+1) and has ended with all its calls (-1); may be NULL. */
    void (*count)(void *user, int delta);
    void *count_user;
    /* Exactly once, perhaps from inside start. NX_ERR_UNAVAILABLE: no majority has answered. */
    void (*done)(void *user, enum nx_err err, enum dist_ha_verdict verdict);
    void *user;
};

void dist_ha_claim_start(const struct dist_ha_claim_options *options);

#endif
