/* How much each tenant may still send now: a token bucket a tenant, shared by the workers. The rate
 * is this distributor's part of the tenant's; the burst is not divided, as in Mimir. Any thread. */
#ifndef DIST_RATES_H
#define DIST_RATES_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/view.h"

struct dist_rates;

/* Tenants remembered; the buckets of those that have been full for long make room. A tenant for
 * whom there is none is taken as one that has sent nothing yet. */
#define DIST_RATES_MAX_TENANTS 100000

enum nx_err dist_rates_new(struct dist_rates **out) NX_WARN_UNUSED;
void dist_rates_free(struct dist_rates *rates);

/* Takes `count` from the tenant's bucket, which holds at most `burst` and gets `per_second` more
 * each second. False, and nothing taken, where there are less; *wait_s then says in how many
 * seconds there will be enough (negative: never, `count` is more than `burst`). */
bool dist_rates_take(struct dist_rates *rates, struct nx_view tenant, double per_second,
                     double burst, double count, uint64_t now_ns, double *wait_s);

/* Samples that the tenant sends a second, averaged over the last half minute or so; 0 for one not
 * known. Counted by dist_rates_count, whatever the limits. */
void dist_rates_count(struct dist_rates *rates, struct nx_view tenant, double count,
                      uint64_t now_ns);
double dist_rates_of(struct dist_rates *rates, struct nx_view tenant, uint64_t now_ns);

#endif
