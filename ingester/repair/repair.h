/* Healing: this node compares what it holds with the other owners of its partitions, and pulls what
 * it lacks (architecture: section 7; docs/healing.md). */
#ifndef ING_REPAIR_REPAIR_H
#define ING_REPAIR_REPAIR_H

#include "ingester/ingester_internal.h"

struct ing_repair;

/* Adds the RPC methods. */
enum nx_err ing_repair_new(struct ingester *ing, struct ing_repair **out) NX_WARN_UNUSED;
/* Once no request and no repair is under way. */
void ing_repair_close_lane(struct ing_repair *repair);
void ing_repair_free(struct ing_repair *repair);

#endif
