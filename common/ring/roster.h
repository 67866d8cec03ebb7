/* A roster: the members of a ring as configured, in name order, and the owners that follow from
 * them. Immutable, shared by the views made of it. */
#ifndef NX_RING_ROSTER_H
#define NX_RING_ROSTER_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/refcount.h"

#define NX_ROSTER_MAX_MEMBERS 1024

struct nx_roster_member {
    const char *name;
    const char *address;
    const char *zone; /* "" where none is set */
    double weight;
};

struct nx_roster {
    struct nx_refcount refs;
    struct nx_arena arena;
    struct nx_roster_member *members;
    size_t count;
    uint16_t *owners; /* partitions x rf */
};

/* "name@host:port[/zone],...". NX_ERR_CONFIG names the entry at fault. */
enum nx_err nx_roster_new(const char *members, uint32_t partitions, uint32_t rf,
                          struct nx_roster **out, struct nx_fail *fail) NX_WARN_UNUSED;
void nx_roster_take(struct nx_roster *roster);
void nx_roster_drop(struct nx_roster *roster);
/* The position of a member, or SIZE_MAX. */
size_t nx_roster_find(const struct nx_roster *roster, const char *name);

#endif
