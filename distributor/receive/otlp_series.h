/* The series of an OTLP request: their labels, and their rows in the batch.
 *
 * A resource's service.name, service.namespace and service.instance.id become the labels job
 * ("<namespace>/<name>") and instance of all its series; its other attributes those of a series
 * target_info. One thread at a time; everything made lies in the batch's arena. */
#ifndef DIST_RECEIVE_OTLP_SERIES_H
#define DIST_RECEIVE_OTLP_SERIES_H

#include "distributor/receive/rw_points.h"
#include "proto/otlp_metrics.pb-c.h"

#define DIST_OTLP_NO_RECORDED_VALUE 1u /* of a point's flags */

/* Sorted by name, names unique. */
struct dist_otlp_labels {
    struct nx_label *items;
    size_t count;
};

/* The resource that is being decoded. */
struct dist_otlp {
    struct dist_decoding decoding;
    struct nx_label identity[2]; /* job, instance, as far as it has them */
    size_t identity_count;
    uint64_t earliest_ns, latest_ns; /* of its points; earliest > latest: none yet */
};

/* A metric, all of whose points are decoded alike. */
struct dist_otlp_metric {
    struct nx_view name;
    const char *broken; /* why no point of it can be taken, or NULL */
};

enum nx_err dist_otlp_begin_resource(struct dist_otlp *o,
                                     const Narthex__Otlp__Resource *resource) NX_WARN_UNUSED;
/* target_info at the earliest and the latest point, and so often between them that a look-back
 * always finds it. Nothing where it would say no more than job and instance do. */
enum nx_err dist_otlp_end_resource(struct dist_otlp *o,
                                   const Narthex__Otlp__Resource *resource) NX_WARN_UNUSED;

/* The labels of a point without its metric's name. Attributes whose names become equal are joined
 * with ';' in the order of their keys. *broken: why they are none, or NULL. */
enum nx_err dist_otlp_point_labels(struct dist_otlp *o, Narthex__Otlp__KeyValue *const *attributes,
                                   size_t count, struct dist_otlp_labels *out,
                                   const char **broken) NX_WARN_UNUSED;

/* A series of `base`, the name `metric` with `suffix` behind it, and `extra` (NULL: none), which
 * takes the place of an attribute of that name. */
enum nx_err dist_otlp_add_series(struct dist_otlp *o, const struct dist_otlp_labels *base,
                                 struct nx_view metric, struct nx_view suffix,
                                 const struct nx_label *extra,
                                 struct dist_series **out) NX_WARN_UNUSED;
/* A sample of the series that was added last. */
enum nx_err dist_otlp_add_sample(struct dist_otlp *o, struct dist_series *series, uint64_t time_ns,
                                 double value) NX_WARN_UNUSED;
/* One refused sample of the metric, so that it is counted and the reason is told. */
enum nx_err dist_otlp_refuse(struct dist_otlp *o, struct nx_view metric,
                             const char *broken) NX_WARN_UNUSED;
/* An exemplar of the series that was added last. One without a value is left out. */
enum nx_err dist_otlp_add_exemplar(struct dist_otlp *o, struct dist_series *series,
                                   const Narthex__Otlp__Exemplar *exemplar) NX_WARN_UNUSED;
/* False where it has none. */
bool dist_otlp_exemplar_value(const Narthex__Otlp__Exemplar *exemplar, double *value);

#endif
