/* Metadata that comes along with series: what is said several times of a metric is taken once. */
#ifndef DIST_RECEIVE_FAMILIES_H
#define DIST_RECEIVE_FAMILIES_H

#include "common/base/index.h"
#include "distributor/receive/rw_points.h"

struct dist_families {
    struct nx_index entries; /* of the batch's metadata, by all that they say */
};

void dist_families_init(struct dist_families *families);
void dist_families_release(struct dist_families *families);
/* Adds the entry to the batch unless an equal one is there, or it says nothing. Counted against the
 * limits of the request; NX_ERR_TOO_LARGE, NX_ERR_NOMEM. */
enum nx_err dist_families_add(struct dist_families *families, struct dist_decoding *d,
                              const struct dist_metadata *entry) NX_WARN_UNUSED;

#endif
