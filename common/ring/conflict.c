/* Two processes of one name. The member is the one that answers under the address of the list; a
 * caller of its name with another incarnation is a rival, or the member itself on a new disk, of
 * which the last heartbeat does not tell yet. Once the member's address has answered again and
 * still with another incarnation, the rival is one, and is refused until it falls silent. */
#include <inttypes.h>

#include "common/ring/ring_internal.h"

enum nx_err nx_ring_rival_called(struct nx_ring *ring, size_t i, uint64_t incarnation,
                                 const char *address, struct nx_fail *fail)
{
    struct nx_ring_row *row = &ring->rows[i];
    uint64_t known = nx_ring_is_self(ring, i) ? ring->incarnation : row->incarnation;
    if (incarnation == 0 || known == 0 || known == incarnation) {
        return NX_OK;
    }
    bool sure = nx_ring_is_self(ring, i) || (row->rival == incarnation && row->rival_sure);
    if (row->rival != incarnation) {
        row->rival = incarnation;
        row->rival_sure = nx_ring_is_self(ring, i);
        nx_health_doubt(&row->health, &ring->limits, nx_now_ns(ring->clock));
        nx_ring_wake(ring);
    }
    row->rival_ns = nx_now_ns(ring->clock);
    if (!sure) {
        return NX_OK;
    }
    const struct nx_roster_member *member = &ring->roster->members[i];
    return nx_fail_set(fail, NX_ERR_CONFIG,
                       "the name \"%.100s\" is in use: the member of that name answers at %.100s, "
                       "another process calls from %.100s; give each node a node.name of its own",
                       member->name, member->address, address);
}

void nx_ring_rival_answered(struct nx_ring *ring, size_t i)
{
    struct nx_ring_row *row = &ring->rows[i];
    if (row->rival == row->incarnation) {
        row->rival = 0;
        row->rival_sure = false;
        ring->dirty = true;
    } else if (row->rival && !row->rival_sure) {
        row->rival_sure = true;
        ring->dirty = true;
        nx_log(ring->log, NX_LOG_ERROR, "two processes use one name",
               NX_S("member", ring->roster->members[i].name),
               NX_S("address", ring->roster->members[i].address));
    }
}

void nx_ring_rival_tick(struct nx_ring *ring, size_t i, uint64_t now_ns)
{
    struct nx_ring_row *row = &ring->rows[i];
    if (row->rival && now_ns > row->rival_ns + 2 * ring->limits.timeout_ns) {
        row->rival = 0;
        row->rival_sure = false;
        ring->dirty = true;
    }
}
