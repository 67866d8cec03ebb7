/* What of a request was refused and why: the numbers, and the first offender in words. */
#ifndef DIST_REFUSALS_H
#define DIST_REFUSALS_H

#include "common/labels/labels.h"
#include "distributor/validate.h"

#define DIST_REASON_COUNT (DIST_REASON_OTHER + 1)
#define DIST_SHOWN_SERIES_BYTES 256

struct dist_refusals {
    uint64_t samples; /* samples and histograms */
    uint64_t metadata;
    uint64_t by_reason[DIST_REASON_COUNT]; /* also what does not fail the request (exemplars) */
    struct nx_fail first;                  /* code NX_OK: none yet */
};

/* Counts `samples` as refused. The first one's text becomes `why`, then the series; `labels` may be
 * empty. */
void dist_refusals_add(struct dist_refusals *refusals, enum dist_reason reason, uint64_t samples,
                       const struct nx_fail *why, struct nx_labels labels);

static inline bool dist_refusals_any(const struct dist_refusals *refusals)
{
    return refusals->first.code != NX_OK;
}

/* The reason for an ingester's code. */
enum dist_reason dist_reason_of(enum nx_err code);

#endif
