/* Arithmetic of native histograms as Prometheus's FloatHistogram does it (reference section 14). Results are
 * new histograms in the caller's arena unless said otherwise; NULL / NX_ERR_NOMEM without memory. Pure. */
#ifndef QRY_PROMQL_HISTOGRAM_MATH_H
#define QRY_PROMQL_HISTOGRAM_MATH_H

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/view.h"
#include "common/chunk/histogram.h"

struct qry_bucket {
    double lower, upper;
    bool lower_inclusive, upper_inclusive;
    double count;
    int32_t index;
};

/* Walks buckets in ascending (or descending) order of value: negative, zero, positive; buckets with count 0
 * and those that lie inside the zero bucket are left out, overlapping ones cut, as AllBucketIterator. */
struct qry_bucket_iter {
    const struct nx_histogram *h;
    bool descending;
    int phase;
    size_t span, in_span, pos; /* of the side being walked */
    int32_t index;
};
void qry_bucket_iter_init(struct qry_bucket_iter *it, const struct nx_histogram *h, bool descending);
bool qry_bucket_next(struct qry_bucket_iter *it, struct qry_bucket *out);

/* Upper bound of exponential bucket `index`. */
double qry_histogram_bound(int32_t index, int32_t schema);
struct nx_histogram *qry_histogram_compact(struct nx_arena *arena, const struct nx_histogram *h);
struct nx_histogram *qry_histogram_scale(struct nx_arena *arena, const struct nx_histogram *h, double factor);
struct nx_histogram *qry_histogram_divide(struct nx_arena *arena, const struct nx_histogram *h, double by);
struct nx_histogram *qry_histogram_reduce(struct nx_arena *arena, const struct nx_histogram *h, int32_t schema);

/* What an addition or subtraction had to say beside its result. */
struct qry_histogram_notes {
    bool hint_collision;    /* reset met not_reset */
    bool bounds_reconciled; /* custom bounds differed */
};
/* NX_ERR_INVALID: exponential and custom layouts do not mix. Not compacted. */
enum nx_err qry_histogram_add(struct nx_arena *arena, const struct nx_histogram *a,
                              const struct nx_histogram *b, struct nx_histogram **out,
                              struct qry_histogram_notes *notes) NX_WARN_UNUSED;
enum nx_err qry_histogram_sub(struct nx_arena *arena, const struct nx_histogram *a,
                              const struct nx_histogram *b, struct nx_histogram **out,
                              struct qry_histogram_notes *notes) NX_WARN_UNUSED;
/* Compensated: *sum += h with the per-field compensation kept in *comp (both NULL at first; then they are the
 * caller's and changed in place). For sum and avg (reference sections 9, 17.1). The final value is sum + comp
 * field by field. Both may be scaled in between (incremental mean): they must keep one layout. A sum and an
 * operand of one layout take no memory. */
enum nx_err qry_histogram_kahan_add(struct nx_arena *arena, struct nx_histogram **sum,
                                    struct nx_histogram **comp, const struct nx_histogram *h,
                                    struct qry_histogram_notes *notes) NX_WARN_UNUSED;
/* sum + comp (which may be NULL); not compacted. */
struct nx_histogram *qry_histogram_kahan_result(struct nx_arena *arena, const struct nx_histogram *sum,
                                                const struct nx_histogram *comp);
/* Whether count, sum or any bucket is infinite: an average then goes on with the incremental mean. */
bool qry_histogram_overflows(const struct nx_histogram *h);

/* Data equality, hints ignored (14.5). */
bool qry_histogram_equal(const struct nx_histogram *a, const struct nx_histogram *b);
/* Whether `cur` shows a counter reset against `prev` (14.6). */
bool qry_histogram_is_reset(struct nx_arena *arena, const struct nx_histogram *cur,
                            const struct nx_histogram *prev);
/* The parts below (upper = true: `h </ x`) or above (`h >/ x`) of x (14.4). */
struct nx_histogram *qry_histogram_trim(struct nx_arena *arena, const struct nx_histogram *h, double x,
                                        bool upper);

/* NaN observations met by quantile and fraction. */
enum qry_nan_note { QRY_NAN_NONE, QRY_NAN_RESULT_NAN, QRY_NAN_SKEWED, QRY_NAN_EXCLUDED };
double qry_histogram_quantile(double phi, const struct nx_histogram *h, enum qry_nan_note *note);
double qry_histogram_fraction(double lower, double upper, const struct nx_histogram *h,
                              enum qry_nan_note *note);
double qry_histogram_stdvar(const struct nx_histogram *h);
/* `{count:10, sum:20, [-2,-1):2, ...}` (14.8). */
void qry_histogram_print(struct nx_buf *out, const struct nx_histogram *h);
/* (size + 8) / 16 in Prometheus's accounting (section 6). */
uint64_t qry_histogram_samples(const struct nx_histogram *h);

#endif
