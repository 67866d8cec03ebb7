/* Counter resets, and what the rate functions share. */
#ifndef QRY_PROMQL_COUNTER_H
#define QRY_PROMQL_COUNTER_H

#include "querier/promql/functions.h"

/* Whether start timestamps show a reset between two samples (reference 10.1). */
bool qry_start_is_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t);
/* Whether a sample starts before its predecessor was taken. */
bool qry_start_overlaps(int64_t prev_st, int64_t prev_t, int64_t st);

/* a - b and a + b in the call's scratch memory, with the info where custom bounds differed.
 * NX_ERR_INVALID for layouts that do not mix. */
enum nx_err qry_rate_subtract(struct qry_range_call *call, const struct nx_histogram *a,
                              const struct nx_histogram *b,
                              struct nx_histogram **out) NX_WARN_UNUSED;
enum nx_err qry_rate_add(struct qry_range_call *call, const struct nx_histogram *a,
                         const struct nx_histogram *b, struct nx_histogram **out) NX_WARN_UNUSED;

#endif
