#include "distributor/receive/otlp_points.h"

#include <stdlib.h>

#include "common/chunk/sample.h"
#include "common/cxx/number_shim.h"

enum nx_err dist_otlp_begin_point(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                                  uint64_t time_ns, Narthex__Otlp__KeyValue *const *attributes,
                                  size_t attribute_count, struct dist_otlp_labels *labels)
{
    const char *broken = metric->broken;
    enum nx_err err = NX_OK;
    labels->items = NULL;
    if (time_ns < o->earliest_ns)
        o->earliest_ns = time_ns;
    if (time_ns > o->latest_ns)
        o->latest_ns = time_ns;
    if (!broken)
        err = dist_otlp_point_labels(o, attributes, attribute_count, labels, &broken);
    return !err && broken ? dist_otlp_refuse(o, metric->name, broken) : err;
}

static double value_or_stale(uint32_t flags, double value)
{
    return flags & DIST_OTLP_NO_RECORDED_VALUE ? nx_double_from_bits(NX_STALE_NAN_BITS) : value;
}

/* One sample of a series of its own. */
static enum nx_err add_one(struct dist_otlp *o, const struct dist_otlp_labels *labels,
                           struct nx_view metric, struct nx_view suffix,
                           const struct nx_label *extra, uint64_t time_ns, double value,
                           struct dist_series **out)
{
    enum nx_err err = dist_otlp_add_series(o, labels, metric, suffix, extra, out);
    return err ? err : dist_otlp_add_sample(o, *out, time_ns, value);
}

/* --- numbers --- */

static enum nx_err add_number(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                              const Narthex__Otlp__NumberPoint *point, bool exemplars)
{
    struct dist_otlp_labels labels;
    struct dist_series *series = NULL;
    double value = 0;
    enum nx_err err = dist_otlp_begin_point(o, metric, point->time_ns, point->attributes,
                                            point->n_attributes, &labels);
    if (err || !labels.items)
        return err;
    if (point->value_case == NARTHEX__OTLP__NUMBER_POINT__VALUE_AS_DOUBLE)
        value = point->as_double;
    else if (point->value_case == NARTHEX__OTLP__NUMBER_POINT__VALUE_AS_INT)
        value = (double)point->as_int;
    err = add_one(o, &labels, metric->name, NX_VIEW(""), NULL, point->time_ns,
                  value_or_stale(point->flags, value), &series);
    for (size_t i = 0; i < point->n_exemplars && exemplars && !err; i++)
        err = dist_otlp_add_exemplar(o, series, point->exemplars[i]);
    return err;
}

enum nx_err dist_otlp_gauge(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                            const Narthex__Otlp__Gauge *gauge)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < gauge->n_points && !err; i++)
        err = add_number(o, metric, gauge->points[i], false);
    return err;
}

enum nx_err dist_otlp_sum(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                          const Narthex__Otlp__Sum *sum)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < sum->n_points && !err; i++)
        err = add_number(o, metric, sum->points[i], true);
    return err;
}

/* --- histograms with explicit bounds --- */

/* An exemplar and the bucket it lies in. */
struct placed {
    size_t bucket;
    size_t place;
};

static int by_bucket(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->bucket != y->bucket)
        return x->bucket < y->bucket ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* The first bound that is not below the value; the bounds rise. */
static size_t bucket_of(const double *bounds, size_t count, double value)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bounds[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct histogram_walk {
    struct dist_otlp *o;
    const struct dist_otlp_metric *metric;
    const Narthex__Otlp__HistogramPoint *point;
    struct dist_otlp_labels labels;
    struct placed *exemplars; /* in the order of their buckets */
    size_t next_exemplar;
};

static enum nx_err place_exemplars(struct histogram_walk *w, size_t bounds)
{
    const Narthex__Otlp__HistogramPoint *point = w->point;
    double value = 0;
    if (point->n_exemplars == 0)
        return NX_OK;
    w->exemplars =
        nx_arena_array(&w->o->decoding.batch->arena, point->n_exemplars, sizeof *w->exemplars);
    if (!w->exemplars)
        return NX_ERR_NOMEM;
    for (size_t i = 0; i < point->n_exemplars; i++) {
        bool has = dist_otlp_exemplar_value(point->exemplars[i], &value);
        w->exemplars[i] = (struct placed){
            .bucket = has ? bucket_of(point->bounds, bounds, value) : 0, .place = i};
    }
    qsort(w->exemplars, point->n_exemplars, sizeof *w->exemplars, by_bucket);
    return NX_OK;
}

static enum nx_err add_bucket(struct histogram_walk *w, size_t bucket, struct nx_view le,
                              double count)
{
    const Narthex__Otlp__HistogramPoint *point = w->point;
    struct nx_label label = {.name = NX_VIEW("le"), .value = le};
    struct dist_series *series = NULL;
    enum nx_err err = add_one(w->o, &w->labels, w->metric->name, NX_VIEW("_bucket"), &label,
                              point->time_ns, value_or_stale(point->flags, count), &series);
    while (!err && w->next_exemplar < point->n_exemplars &&
           w->exemplars[w->next_exemplar].bucket == bucket) {
        size_t place = w->exemplars[w->next_exemplar++].place;
        err = dist_otlp_add_exemplar(w->o, series, point->exemplars[place]);
    }
    return err;
}

static enum nx_err add_buckets(struct histogram_walk *w)
{
    const Narthex__Otlp__HistogramPoint *point = w->point;
    size_t bounds =
        point->n_bounds < point->n_bucket_counts ? point->n_bounds : point->n_bucket_counts;
    uint64_t cumulative = 0;
    enum nx_err err = place_exemplars(w, bounds);
    for (size_t i = 0; i < bounds && !err; i++) {
        char text[NX_FLOAT_MAX];
        struct nx_view le =
            nx_arena_copy(&w->o->decoding.batch->arena,
                          nx_view_make(text, nx_float_format_f(point->bounds[i], text)));
        cumulative += point->bucket_counts[i];
        err = le.ptr ? add_bucket(w, i, le, (double)cumulative) : NX_ERR_NOMEM;
    }
    return err ? err : add_bucket(w, bounds, NX_VIEW("+Inf"), (double)point->count);
}

static enum nx_err add_histogram(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                                 const Narthex__Otlp__HistogramPoint *point)
{
    struct histogram_walk w = {.o = o, .metric = metric, .point = point};
    struct dist_series *series = NULL;
    enum nx_err err = dist_otlp_begin_point(o, metric, point->time_ns, point->attributes,
                                            point->n_attributes, &w.labels);
    if (err || !w.labels.items)
        return err;
    if (point->sum_if_set_case == NARTHEX__OTLP__HISTOGRAM_POINT__SUM_IF_SET_SUM)
        err = add_one(o, &w.labels, metric->name, NX_VIEW("_sum"), NULL, point->time_ns,
                      value_or_stale(point->flags, point->sum), &series);
    if (!err)
        err = add_one(o, &w.labels, metric->name, NX_VIEW("_count"), NULL, point->time_ns,
                      value_or_stale(point->flags, (double)point->count), &series);
    return err ? err : add_buckets(&w);
}

enum nx_err dist_otlp_histogram(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                                const Narthex__Otlp__Histogram *histogram)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < histogram->n_points && !err; i++)
        err = add_histogram(o, metric, histogram->points[i]);
    return err;
}

/* --- summaries --- */

static enum nx_err add_quantile(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                                const Narthex__Otlp__SummaryPoint *point,
                                const struct dist_otlp_labels *labels,
                                const Narthex__Otlp__Quantile *quantile)
{
    char text[NX_FLOAT_MAX];
    struct dist_series *series = NULL;
    struct nx_label label = {.name = NX_VIEW("quantile")};
    label.value = nx_arena_copy(&o->decoding.batch->arena,
                                nx_view_make(text, nx_float_format_f(quantile->quantile, text)));
    if (!label.value.ptr)
        return NX_ERR_NOMEM;
    return add_one(o, labels, metric->name, NX_VIEW(""), &label, point->time_ns,
                   value_or_stale(point->flags, quantile->value), &series);
}

static enum nx_err add_summary(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                               const Narthex__Otlp__SummaryPoint *point)
{
    struct dist_otlp_labels labels;
    struct dist_series *series = NULL;
    enum nx_err err = dist_otlp_begin_point(o, metric, point->time_ns, point->attributes,
                                            point->n_attributes, &labels);
    if (err || !labels.items)
        return err;
    err = add_one(o, &labels, metric->name, NX_VIEW("_sum"), NULL, point->time_ns,
                  value_or_stale(point->flags, point->sum), &series);
    if (!err)
        err = add_one(o, &labels, metric->name, NX_VIEW("_count"), NULL, point->time_ns,
                      value_or_stale(point->flags, (double)point->count), &series);
    for (size_t i = 0; i < point->n_quantiles && !err; i++)
        err = add_quantile(o, metric, point, &labels, point->quantiles[i]);
    return err;
}

enum nx_err dist_otlp_summary(struct dist_otlp *o, const struct dist_otlp_metric *metric,
                              const Narthex__Otlp__Summary *summary)
{
    enum nx_err err = NX_OK;
    for (size_t i = 0; i < summary->n_points && !err; i++)
        err = add_summary(o, metric, summary->points[i]);
    return err;
}
