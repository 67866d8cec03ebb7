/* When a result is complete (architecture: section 8): for every partition so many of its owners
 * have answered. For reads that is R = RF - W + 1, so that among them is at least one that took
 * part in every acknowledged write; for what changes something, W. Pure. */
#ifndef QRY_SELECT_COMPLETE_H
#define QRY_SELECT_COMPLETE_H

#include "common/ring/ring.h"

/* answered[i]: member i of the view has answered in full. With `whole`, which reads want, an answer
 * counts for the partitions of which the member says that it has all data: an owner that is being
 * refilled does not vouch for what it lacks. *missing (may be NULL) is the number of partitions
 * with too few answers. */
bool qry_is_complete(const struct nx_ring_view *view, const bool *answered, uint32_t needed,
                     bool whole, uint32_t *missing);
/* Whether member i owns partitions that it does not have all data of. */
bool qry_is_being_refilled(const struct nx_ring_view *view, size_t i);
/* Whether member i owns any partition; `owns` holds member_count flags. */
void qry_owning_members(const struct nx_ring_view *view, bool *owns);

#endif
