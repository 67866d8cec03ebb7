/* A roster: the members of a ring as its backend lists them, in name order. Immutable, shared by
 * the views made of it. */
#ifndef NX_RING_ROSTER_H
#define NX_RING_ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/refcount.h"
#include "common/ring/placement.h"

#define NX_ROSTER_MAX_MEMBERS 1024

struct nx_roster_member {
    const char *name;
    const char *address;
    const char *zone; /* "" where none is set */
    double weight;
    uint64_t key;     /* hash of the name */
    uint64_t zone_id; /* of the zone, or of the name where none is set */
};

struct nx_roster {
    struct nx_refcount refs;
    struct nx_arena arena;
    struct nx_roster_member *members;
    size_t count;
};

/* "name@host:port[/zone][*weight],...". NX_ERR_CONFIG names the entry at fault. */
enum nx_err nx_roster_new(const char *members, struct nx_roster **out,
                          struct nx_fail *fail) NX_WARN_UNUSED;
/* Where the members own what; kinds[i] is that of member i, NULL: all stay. */
enum nx_err nx_roster_place(const struct nx_roster *roster, const enum nx_placement_kind *kinds,
                            uint32_t partitions, uint32_t rf,
                            struct nx_placement **out) NX_WARN_UNUSED;
void nx_roster_take(struct nx_roster *roster);
void nx_roster_drop(struct nx_roster *roster);
/* The position of a member, or SIZE_MAX. */
size_t nx_roster_find(const struct nx_roster *roster, const char *name);

#endif
