/* How much of the memory for requests in flight each tenant holds, so that one tenant's flood does
 * not shut the others out. While less than half of it is used everybody is let in; beyond, a tenant
 * gets no more than its part, seven eighths divided by the tenants that have requests in flight: the
 * last eighth is for those who come. Any thread. */
#ifndef DIST_SHARES_H
#define DIST_SHARES_H

#include <stddef.h>

#include "common/base/err.h"
#include "common/base/view.h"

struct dist_shares;

enum nx_err dist_shares_new(struct dist_shares **out) NX_WARN_UNUSED;
void dist_shares_free(struct dist_shares *shares);

/* Whether the tenant may have `bytes` more of `max_bytes`, of which `used_bytes` are taken by all;
 * if so they are its own until they are given back. */
bool dist_shares_take(struct dist_shares *shares, struct nx_view tenant, size_t bytes,
                      size_t used_bytes, size_t max_bytes);
void dist_shares_give(struct dist_shares *shares, struct nx_view tenant, size_t bytes);
/* Tenants that hold any. */
size_t dist_shares_active(struct dist_shares *shares);

#endif
