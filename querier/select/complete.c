#include "querier/select/complete.h"

#include "common/ring/placement.h"

/* A member that was never heard is taken at its answer, as it is taken for healthy: that is so for
 * the moment between the start of this process and the first heartbeat. */
static bool vouches(const struct nx_ring_view *view, size_t member, uint32_t partition)
{
    return view->members[member].incarnation == 0 || nx_ring_is_whole(view, member, partition);
}

static bool counts(const struct nx_ring_view *view, uint16_t owner, uint32_t partition,
                   const bool *answered, bool whole)
{
    return owner != NX_PLACEMENT_NONE && owner < view->member_count && answered[owner] &&
           (!whole || vouches(view, owner, partition));
}

bool qry_is_complete(const struct nx_ring_view *view, const bool *answered, uint32_t needed,
                     bool whole, uint32_t *missing)
{
    uint32_t short_of = 0;
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        uint32_t answers = 0;
        for (uint32_t i = 0; i < view->rf; i++)
            answers += counts(view, owners[i], p, answered, whole);
        short_of += answers < needed;
    }
    if (missing)
        *missing = short_of;
    return short_of == 0;
}

bool qry_is_being_refilled(const struct nx_ring_view *view, size_t i)
{
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        for (uint32_t j = 0; j < view->rf; j++)
            if (owners[j] == i && !vouches(view, i, p))
                return true;
    }
    return false;
}

void qry_owning_members(const struct nx_ring_view *view, bool *owns)
{
    for (size_t i = 0; i < view->member_count; i++)
        owns[i] = false;
    size_t slots = (size_t)view->partitions * view->rf;
    for (size_t i = 0; i < slots; i++)
        if (view->owners[i] != NX_PLACEMENT_NONE && view->owners[i] < view->member_count)
            owns[view->owners[i]] = true;
}
