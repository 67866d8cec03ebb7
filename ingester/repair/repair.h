/* Healing: this node compares what it holds with the other owners of its partitions, and pulls what
 * it lacks (architecture: section 7; docs/healing.md). It does so after it was away (a restart, a
 * stop, a cut), when it is new or its disk was wiped, when partitions have become its own, and
 * every repair.interval. What it holds all data of it tells the ring; a JOINING member becomes
 * ACTIVE when that is all it is to hold. From what its successors tell, the ring of a LEAVING one
 * sees when it may be LEFT.
 *
 * Driven from worker 0. */
#ifndef ING_REPAIR_REPAIR_H
#define ING_REPAIR_REPAIR_H

#include "ingester/ingester_internal.h"

struct ing_repair;

/* Adds the RPC method and the endpoints /api/v1/repair and /api/v1/repair/now. */
enum nx_err ing_repair_new(struct ingester *ing, struct ing_repair **out) NX_WARN_UNUSED;
/* On worker 0, whose client it is: begins. Both outlive the stop. */
enum nx_err ing_repair_start(struct ing_repair *repair, struct nx_ring *ring,
                             struct nx_rpc_client *client) NX_WARN_UNUSED;
/* On worker 0: what is under way is called off; `done` when it has ended. */
void ing_repair_stop(struct ing_repair *repair, void (*done)(void *user), void *user);
/* Once no request is under way either. */
void ing_repair_close_lane(struct ing_repair *repair);
void ing_repair_free(struct ing_repair *repair);

#endif
