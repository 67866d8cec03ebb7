/* The data points of OTLP metrics as rows of a batch, as Prometheus translates them
 * (docs/formats/otlp.md): numbers, summaries and histograms with explicit bounds as classic series,
 * exponential histograms as native ones. A point without a recorded value is a stale marker. What
 * cannot be represented is refused point by point. */
#ifndef DIST_RECEIVE_OTLP_POINTS_H
#define DIST_RECEIVE_OTLP_POINTS_H

#include "distributor/receive/otlp_series.h"

/* Exemplars of gauges are not kept, as Prometheus does not. */
enum nx_err dist_otlp_gauge(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                            const Narthex__Otlp__Gauge *gauge) NX_WARN_UNUSED;
enum nx_err dist_otlp_sum(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                          const Narthex__Otlp__Sum *sum) NX_WARN_UNUSED;
enum nx_err dist_otlp_histogram(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                                const Narthex__Otlp__Histogram *histogram) NX_WARN_UNUSED;
enum nx_err dist_otlp_summary(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                              const Narthex__Otlp__Summary *summary) NX_WARN_UNUSED;
enum nx_err
dist_otlp_exponential(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                      const Narthex__Otlp__ExponentialHistogram *histogram) NX_WARN_UNUSED;

/* What every point begins with: its time is the resource's, and its labels are made. Where it is to
 * be refused it has been, and *labels has items NULL. */
enum nx_err dist_otlp_begin_point(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                                  uint64_t time_ns, Narthex__Otlp__KeyValue *const *attributes,
                                  size_t attribute_count,
                                  struct dist_otlp_labels *labels) NX_WARN_UNUSED;

#endif
