/* The histograms in an instant vector, classic ones put together from their buckets: what
 * histogram_quantile, histogram_quantiles and histogram_fraction work on (reference 13.1). */
#ifndef QRY_PROMQL_HISTOGRAM_INPUT_H
#define QRY_PROMQL_HISTOGRAM_INPUT_H

#include "querier/promql/classic_histogram.h"
#include "querier/promql/grouping.h"

struct qry_histogram_unit; /* a classic histogram's buckets, or a native histogram's series */

struct qry_histogram_input {
    const struct qry_scope *scope;
    struct qry_pos pos; /* of the vector */
    struct qry_matrix vector;
    struct qry_pool *pool;
    struct qry_grouping grouping;
    struct qry_members members;
    double *bounds; /* of each row that is a bucket */
    struct qry_histogram_unit *units;
    size_t count;
    struct qry_classic_bucket *buckets; /* room for one classic histogram */
};

/* Evaluates the vector; notes what is wrong with its buckets. Zero bytes may be released. */
enum nx_err qry_histogram_input_init(struct qry_histogram_input *input,
                                     const struct qry_scope *scope,
                                     struct qry_expr *expr) NX_WARN_UNUSED;
void qry_histogram_input_release(struct qry_histogram_input *input);

/* A unit's histogram at a step: native, or `count` buckets ascending by bound. */
struct qry_histogram_view {
    const struct nx_histogram *native;
    struct qry_classic_bucket *buckets;
    size_t count;
};
/* False where it has none there, or both kinds (which is noted). */
bool qry_histogram_input_at(struct qry_histogram_input *input, size_t unit, size_t step,
                            struct qry_histogram_view *out);
/* Labels, without le for classic ones, with the name. */
struct nx_labels qry_histogram_input_labels(const struct qry_histogram_input *input, size_t unit);
/* Arguments of an annotation that names the metric where that is to be. */
struct qry_note_args qry_histogram_note_args(const struct qry_eval *ev, struct nx_labels labels);

#endif
