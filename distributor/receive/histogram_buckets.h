/* Fewer buckets for a native histogram, in place. One whose layout is not consistent (spans that
 * promise more or fewer buckets than there are) is left alone for the validation to refuse. Pure,
 * any thread; NX_ERR_NOMEM. */
#ifndef DIST_RECEIVE_HISTOGRAM_BUCKETS_H
#define DIST_RECEIVE_HISTOGRAM_BUCKETS_H

#include "common/base/arena.h"
#include "common/chunk/histogram.h"

/* Merges neighbouring buckets until the schema is 8, where it is 9 to 52. */
enum nx_err dist_histogram_reduce(struct nx_arena *arena, struct nx_histogram *h) NX_WARN_UNUSED;
/* Takes out empty buckets, and spans of length 0. */
enum nx_err dist_histogram_compact(struct nx_arena *arena, struct nx_histogram *h) NX_WARN_UNUSED;
/* Merges neighbouring buckets until the schema is `max_schema` (-4 or more), where it is finer.
 * Custom bounds stay. */
enum nx_err dist_histogram_limit_schema(struct nx_arena *arena, struct nx_histogram *h,
                                        int32_t max_schema) NX_WARN_UNUSED;
/* The same until both sides together have `max_buckets`. NX_ERR_LIMIT: no schema has so few. */
enum nx_err dist_histogram_limit_buckets(struct nx_arena *arena, struct nx_histogram *h,
                                         size_t max_buckets) NX_WARN_UNUSED;

#endif
