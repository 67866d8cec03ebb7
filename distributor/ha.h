/* Groups of Prometheus servers that send the same samples: of each (tenant, group) one replica is
 * elected, whose samples are taken; those of the others are not. The election lives in etcd or
 * in the ingesters that own the pair (docs/limits.md); here is what they said last, so that most
 * requests are decided without asking. Any thread. */
#ifndef DIST_HA_H
#define DIST_HA_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/hash.h"
#include "common/base/view.h"

#define DIST_HA_MAX_PAIRS 50000

struct dist_ha;

struct dist_ha_pair {
    struct nx_view tenant;
    struct nx_view cluster;
    struct nx_view replica;
};

/* ASK: not known (any more), a claim must say. */
enum dist_ha_verdict { DIST_HA_TAKE, DIST_HA_DROP, DIST_HA_ASK };

enum nx_err dist_ha_new(struct dist_ha **out) NX_WARN_UNUSED;
void dist_ha_free(struct dist_ha *ha);

/* *refresh: the verdict holds, but a claim is due (this call alone is told so, once an
 * `update_ns`). *held: the pair's replica was elected when it was last heard. */
enum dist_ha_verdict dist_ha_look(struct dist_ha *ha, const struct dist_ha_pair *pair,
                                  uint64_t now_ns, uint64_t update_ns, uint64_t failover_ns,
                                  bool *refresh, bool *held);
/* A majority has said who is elected. Forgotten without memory. */
void dist_ha_learn(struct dist_ha *ha, const struct dist_ha_pair *pair, struct nx_view elected,
                   uint64_t now_ns);

#endif
