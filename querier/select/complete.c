#include "querier/select/complete.h"

#include "common/ring/placement.h"

bool qry_is_complete(const struct nx_ring_view *view, const bool *answered, uint32_t needed,
                     uint32_t *missing)
{
    uint32_t short_of = 0;
    for (uint32_t p = 0; p < view->partitions; p++) {
        const uint16_t *owners = nx_ring_owners(view, p);
        uint32_t answers = 0;
        for (uint32_t i = 0; i < view->rf; i++)
            answers += owners[i] != NX_PLACEMENT_NONE && owners[i] < view->member_count &&
                       answered[owners[i]];
        short_of += answers < needed;
    }
    if (missing)
        *missing = short_of;
    return short_of == 0;
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
