/* What a series, a sample, an exemplar and a metadata entry must look like to be stored. Pure
 * functions; the texts name what was wrong, the limit, and the setting that raises it. */
#ifndef DIST_VALIDATE_H
#define DIST_VALIDATE_H

#include "common/base/buf.h"
#include "common/labels/labels.h"
#include "distributor/batch.h"
#include "distributor/limits.h"

/* Why something was refused; the order of the metric's label values. */
#define DIST_REASON_TABLE(X)                        \
    X(MISSING_METRIC_NAME, "missing_metric_name")   \
    X(INVALID_METRIC_NAME, "invalid_metric_name")   \
    X(LABEL_INVALID, "label_invalid")               \
    X(LABEL_VALUE_INVALID, "label_value_invalid")   \
    X(LABEL_DUPLICATE, "duplicate_label_names")     \
    X(TOO_MANY_LABELS, "max_label_names")           \
    X(LABEL_NAME_TOO_LONG, "label_name_too_long")   \
    X(LABEL_VALUE_TOO_LONG, "label_value_too_long") \
    X(TOO_FAR_IN_FUTURE, "too_far_in_future")       \
    X(TIMESTAMP_INVALID, "timestamp_invalid")       \
    X(HISTOGRAM_INVALID, "histogram_invalid")       \
    X(EXEMPLAR_INVALID, "exemplar_invalid")         \
    X(METADATA_INVALID, "metadata_invalid")         \
    X(OUT_OF_ORDER, "out_of_order")                 \
    X(TOO_OLD, "too_old")                           \
    X(CONFLICT, "duplicate_timestamp")              \
    X(LIMIT, "limit")                               \
    X(RATE_LIMITED, "rate_limited")                 \
    X(RELABELED, "relabel_limit")                   \
    X(OTHER, "other")

enum dist_reason {
#define X(name, text) DIST_REASON_##name,
    DIST_REASON_TABLE(X)
#undef X
};

/* A timestamp before year 1 is no time at all (a clock of seconds read as something else, or an
 * extreme). */
#define DIST_MIN_TIMESTAMP_MS INT64_C(-62135596800000)
#define DIST_MAX_EXEMPLAR_LABEL_CHARS 128
#define DIST_MAX_HELP_BYTES 8192

/* Sorts the labels by name and takes out those with an empty value; returns how many stay. */
size_t dist_sort_labels(struct nx_label *labels, size_t count);

/* Sorts the labels, drops those with an empty value, and checks them: names and values are UTF-8,
 * names not empty and unique, lengths and count within the limits, a metric name present. The views
 * are not copied. NX_ERR_INVALID with `reason` and `fail`. */
enum nx_err dist_validate_labels(const struct nx_tenant_limits *limits, struct nx_label *labels,
                                 size_t count, struct nx_labels *out, enum dist_reason *reason,
                                 struct nx_fail *fail) NX_WARN_UNUSED;

/* A label count (fields, before any was read) that cannot be valid is refused by this, ahead of
 * reading. */
enum nx_err dist_validate_label_count(const struct nx_tenant_limits *limits, size_t count,
                                      enum dist_reason *reason,
                                      struct nx_fail *fail) NX_WARN_UNUSED;

/* NX_ERR_OUT_OF_BOUNDS. */
enum nx_err dist_validate_timestamp(const struct nx_tenant_limits *limits, int64_t now_ms,
                                    int64_t timestamp, enum dist_reason *reason,
                                    struct nx_fail *fail) NX_WARN_UNUSED;

/* As of a series, without a metric name; names and values together at most 128 characters. */
enum nx_err dist_validate_exemplar_labels(struct nx_label *labels, size_t count,
                                          struct nx_labels *out) NX_WARN_UNUSED;

/* Cuts a help text that is too long; an unknown type becomes UNKNOWN. */
enum nx_err dist_validate_metadata(const struct nx_tenant_limits *limits,
                                   struct dist_metadata *metadata, enum dist_reason *reason,
                                   struct nx_fail *fail) NX_WARN_UNUSED;

/* Prints the labels as far as `max_bytes` goes, then "...". */
void dist_print_series(struct nx_buf *out, struct nx_labels labels, size_t max_bytes);

/* The longest prefix of at most `max_bytes` that does not end inside a UTF-8 sequence. */
struct nx_view dist_cut_utf8(struct nx_view text, size_t max_bytes);

#endif
