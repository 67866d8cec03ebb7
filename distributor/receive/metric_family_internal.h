/* What the files that read metric families share. */
#ifndef DIST_RECEIVE_METRIC_FAMILY_INTERNAL_H
#define DIST_RECEIVE_METRIC_FAMILY_INTERNAL_H

#include "distributor/receive/metric_family.h"

enum dist_mf_type {
    DIST_MF_COUNTER,
    DIST_MF_GAUGE,
    DIST_MF_SUMMARY,
    DIST_MF_UNTYPED,
    DIST_MF_HISTOGRAM,
    DIST_MF_GAUGE_HISTOGRAM,
    DIST_MF_TYPES
};

struct dist_mf_reader {
    const struct dist_metric_families *options;
    struct dist_decoding decoding;
    struct nx_arena *arena;
    /* the family */
    struct nx_view name;
    struct nx_view count_name, sum_name, bucket_name;
    enum dist_mf_type type;
    /* the metric */
    struct nx_label *labels; /* from [1] on its own; [0] is room for the name */
    size_t label_count, label_capacity;
    int64_t at_ms;
};

/* NX_ERR_INVALID: the cursor has failed inside `message`. */
enum nx_err dist_mf_broken(struct dist_mf_reader *r, const struct dist_pb *pb,
                           const char *message) NX_WARN_UNUSED;
/* A series with the metric's labels and, where `extra` has a name, one more. */
enum nx_err dist_mf_add_series(struct dist_mf_reader *r, struct nx_view name, struct nx_label extra,
                               struct dist_series **out) NX_WARN_UNUSED;
enum nx_err dist_mf_add_sample(struct dist_mf_reader *r, struct nx_view name, struct nx_label extra,
                               double value, struct dist_series **out) NX_WARN_UNUSED;
/* The count and the sum of a summary or a classic histogram. */
enum nx_err dist_mf_add_totals(struct dist_mf_reader *r, double count, double sum) NX_WARN_UNUSED;
/* A label with a float as OpenMetrics writes it: never without a point or an exponent. */
enum nx_err dist_mf_float_label(struct dist_mf_reader *r, struct nx_view name, double value,
                                struct nx_label *out) NX_WARN_UNUSED;
/* Those of a native histogram count only with a time. */
enum nx_err dist_mf_add_exemplar(struct dist_mf_reader *r, struct dist_series *series,
                                 struct nx_view message) NX_WARN_UNUSED;
/* metric_family_histogram.c */
enum nx_err dist_mf_take_histogram(struct dist_mf_reader *r, struct nx_view message) NX_WARN_UNUSED;

#endif
