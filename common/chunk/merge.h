/* Merges the copies of a series: chunks of several replicas, of head and blocks, in any order and
 * overlapping, into one ascending sequence.
 *
 * Two values for one timestamp are resolved the same way everywhere (architecture: section 5): a
 * number or histogram beats a stale marker; a histogram beats a float; then the greater bit pattern
 * wins, which for histograms is that of count, then of sum, then of the other fields. A non-gauge
 * histogram whose predecessor in the output is not its predecessor in its source loses its reset
 * hint (unknown). */
#ifndef NX_CHUNK_MERGE_H
#define NX_CHUNK_MERGE_H

#include "common/chunk/chunk.h"

/* Negative, zero or positive: which of two samples with equal time wins (positive: a). */
int nx_sample_precedence(const struct nx_sample *a, const struct nx_sample *b);

/* Takes ownership of the iterators (also on failure), not of the array. */
enum nx_err nx_merge_iter_new(struct nx_sample_iter **iters, size_t count,
                              struct nx_sample_iter **out) NX_WARN_UNUSED;
/* Over chunks in any order, whose bytes outlive the iterator; opens each only when its time has
 * come, and skips byte-identical ones. Samples outside [min_t, max_t] are left out. */
enum nx_err nx_chunks_iter_new(const struct nx_chunk *chunks, size_t count, int64_t min_t,
                               int64_t max_t, struct nx_sample_iter **out) NX_WARN_UNUSED;

#endif
