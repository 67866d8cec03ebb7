/* The warnings and infos of an evaluation (reference section 16): collected while it runs, each
 * distinct text once, rendered at the end. Recording the same one again costs a hash look-up and no
 * memory. */
#ifndef QRY_PROMQL_ANNOTATIONS_H
#define QRY_PROMQL_ANNOTATIONS_H

#include "common/base/arena.h"
#include "common/base/index.h"
#include "querier/promql/ast.h"

/* X(id, warning, template). In a template %a, %b and %n (the name) are views as they are, %A and %B
 * quoted as Go's %q, %x and %y numbers as Go's %g. */
#define QRY_NOTE_TABLE(X)                                                                          \
    X(RATIO, true, "ratio value should be between -1 and 1, got %x, capping to %y")                \
    X(QUANTILE, true, "quantile value should be between 0 and 1, got %x")                          \
    X(BAD_BUCKET, true, "bucket label \"le\" is missing or has a malformed value of %A")           \
    X(MIXED_RANGE, true, "encountered a mix of histograms and floats for metric name %A")          \
    X(MIXED_AGGREGATE, true, "encountered a mix of histograms and floats for aggregation")         \
    X(MIXED_CLASSIC, true, "vector contains a mix of classic and native histograms")               \
    X(NOT_COUNTER, true, "this native histogram metric is not a counter: %A")                      \
    X(NOT_GAUGE, true, "this native histogram metric is not a gauge: %A")                          \
    X(MIXED_SCHEMAS, true,                                                                         \
      "vector contains a mix of histograms with exponential and custom buckets schemas for "       \
      "metric "                                                                                    \
      "name %A")                                                                                   \
    X(INCOMPATIBLE_BUCKETS, true, "incompatible bucket layout encountered for binary operator %a") \
    X(SORT_IN_RANGE, true,                                                                         \
      "sort is ineffective for range queries since results are always ordered by labels")          \
    X(HINT_COLLISION, true, "conflicting counter resets during histogram %a")                      \
    X(START_OVERLAP, true,                                                                         \
      "sample has start time that overlaps with previous sample timestamp for metric %A")          \
    X(MAYBE_NOT_COUNTER, false,                                                                    \
      "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: %A")        \
    X(TYPE_NOT_COUNTER, false,                                                                     \
      "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", " \
      "got %A: %B")                                                                                \
    X(MONOTONICITY, false,                                                                         \
      "input to histogram_quantile needed to be fixed for monotonicity (see "                      \
      "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)")      \
    X(INCOMPATIBLE_TYPES, false,                                                                   \
      "incompatible sample types encountered for binary operator %A: %b %a %n")                    \
    X(HISTOGRAM_IGNORED_IN_AGGREGATE, false, "ignored histogram in %a aggregation")                \
    X(HISTOGRAM_IGNORED_IN_RANGE, false,                                                           \
      "ignored histograms in a range containing both floats and histograms for metric name %A")    \
    X(QUANTILE_NAN_RESULT, false,                                                                  \
      "input to histogram_quantile has NaN observations, result is NaN")                           \
    X(QUANTILE_NAN_SKEW, false,                                                                    \
      "input to histogram_quantile has NaN observations, result is skewed higher")                 \
    X(FRACTION_NAN, false,                                                                         \
      "input to histogram_fraction has NaN observations, which are excluded from all fractions")   \
    X(BOUNDS_RECONCILED, false, "mismatched custom buckets were reconciled during %a")

enum qry_note_id {
#define X(id, warning, text) QRY_NOTE_##id,
    QRY_NOTE_TABLE(X)
#undef X
        QRY_NOTE_COUNT
};

/* What fills the template. Views must outlive the evaluation. */
struct qry_note_args {
    struct nx_view a, b;
    double x, y;
    bool named; /* ` for metric name "..."` is appended */
    struct nx_view name;
};

/* Details of a repair for monotonicity, merged over its occurrences. */
struct qry_note_range {
    double min_bound, max_bound, max_difference;
    int64_t min_t, max_t;
};

struct qry_note {
    enum qry_note_id id;
    struct qry_pos pos;
    struct qry_note_args args;
    uint64_t occurrences;
    struct qry_note_range range; /* MONOTONICITY */
};

struct qry_annotations {
    struct qry_note *notes;
    size_t count, capacity;
    struct nx_index index;
    bool failed; /* one could not be recorded for want of memory */
};

void qry_annotations_init(struct qry_annotations *notes);
void qry_annotations_release(struct qry_annotations *notes);
void qry_annotations_add(struct qry_annotations *notes, enum qry_note_id id, struct qry_pos pos,
                         const struct qry_note_args *args);
void qry_annotations_add_range(struct qry_annotations *notes, struct qry_pos pos,
                               const struct qry_note_args *args,
                               const struct qry_note_range *range);
struct qry_annotation;
/* The texts, with prefix and position. */
enum nx_err qry_annotations_render(const struct qry_annotations *notes, struct nx_view query,
                                   struct nx_arena *arena, struct qry_annotation **out,
                                   size_t *count) NX_WARN_UNUSED;

#endif
