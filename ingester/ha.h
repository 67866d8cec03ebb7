/* Which replica of a group of Prometheus servers is the elected one, as this ingester sees it. The
 * distributors ask all owners of the pair (tenant, group) and go by their majority.
 *
 * A claim is taken where nobody is elected, by the elected one itself, and by another one once the
 * elected one has been silent for the fail-over time. An election that no majority has confirmed
 * yet gives way to the replica whose name comes first, so that three replicas that each found one
 * ingester do not wait for each other. Memory only: after a restart the first claim counts. Any
 * thread. */
#ifndef ING_HA_H
#define ING_HA_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/view.h"

/* Pairs; those silent for longest make room. */
#define ING_HA_MAX_PAIRS 50000
#define ING_HA_MAX_NAME_BYTES 2048

struct ing_ha;

struct ing_ha_claim {
    struct nx_view tenant;
    struct nx_view cluster;
    struct nx_view replica;
    uint64_t failover_ns;
    bool held; /* a majority took this replica's last claim */
};

enum nx_err ing_ha_new(struct ing_ha **out) NX_WARN_UNUSED;
void ing_ha_free(struct ing_ha *ha);
/* Appends the name of who is elected after the claim to `elected`; *changed: it is another one than
 * before. NX_ERR_INVALID for an empty or overlong name. */
enum nx_err ing_ha_claim(struct ing_ha *ha, const struct ing_ha_claim *claim, uint64_t now_ns,
                         struct nx_buf *elected, bool *changed) NX_WARN_UNUSED;
size_t ing_ha_count(struct ing_ha *ha);

#endif
