/* Sums and means of histograms, with all that is to be said about them: for sum, avg, sum_over_time
 * and avg_over_time. */
#ifndef QRY_PROMQL_HISTOGRAM_SUM_H
#define QRY_PROMQL_HISTOGRAM_SUM_H

#include "querier/promql/eval.h"

struct qry_histogram_sum {
    struct nx_histogram *sum, *comp;
    double count;
    bool incremental; /* sum holds the mean */
    bool seen_reset, seen_not_reset;
    bool bounds_reconciled;
};

/* Adds a histogram; for a mean the caller says so with each one. Zero bytes are an empty sum.
 * NX_ERR_INVALID: exponential and custom buckets do not mix, the sum is of no more use. Memory is
 * the arena's. */
enum nx_err qry_histogram_sum_add(struct qry_histogram_sum *sum, struct nx_arena *arena,
                                  const struct nx_histogram *h, bool mean) NX_WARN_UNUSED;
/* Records what was noticed on the way. */
void qry_histogram_sum_note(const struct qry_histogram_sum *sum, struct qry_eval *ev,
                            struct qry_pos pos);
/* The sum or mean of what was added (at least one); NULL without memory. The sum is used up. */
struct nx_histogram *qry_histogram_sum_result(struct qry_histogram_sum *sum, struct nx_arena *arena,
                                              bool mean) __attribute__((warn_unused_result));

#endif
