/* OTLP requests: what resources and points of every kind become; what cannot be represented; and
 * that no cut or flipped bit of a good request does harm. */
#include "common/chunk/sample.h"
#include "distributor/receive/otlp_value.h"
#include "distributor/receive/stream.h"
#include "tests/unit/distributor/dist_test.h"

static const struct dist_decode_limits generous = {.max_series = 1000, .max_samples = 5000};

/* The OTLP message, built with the generated structures: enough for one resource and scope. */
struct sender {
    struct nx_arena arena;
    Narthex__Otlp__ExportRequest request;
    Narthex__Otlp__ResourceMetrics resource_metrics;
    Narthex__Otlp__Resource resource;
    Narthex__Otlp__ScopeMetrics scope;
    Narthex__Otlp__ResourceMetrics *resource_list[1];
    Narthex__Otlp__ScopeMetrics *scope_list[1];
    Narthex__Otlp__Metric *metrics[16];
};

static void sender_init(struct sender *s)
{
    nx_arena_init(&s->arena, 0);
    narthex__otlp__export_request__init(&s->request);
    narthex__otlp__resource_metrics__init(&s->resource_metrics);
    narthex__otlp__resource__init(&s->resource);
    narthex__otlp__scope_metrics__init(&s->scope);
    s->resource_list[0] = &s->resource_metrics;
    s->scope_list[0] = &s->scope;
    s->request.n_resource_metrics = 1;
    s->request.resource_metrics = s->resource_list;
    s->resource_metrics.resource = &s->resource;
    s->resource_metrics.n_scope_metrics = 1;
    s->resource_metrics.scope_metrics = s->scope_list;
    s->scope.metrics = s->metrics;
}

#define NEW(s, kind, var)                                   \
    kind *var = nx_arena_alloc(&(s)->arena, sizeof *(var)); \
    assert_non_null(var)

static ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)(uintptr_t)text};
}

/* "key=value,key=value" */
static Narthex__Otlp__KeyValue **attributes_of(struct sender *s, const char *text, size_t *count)
{
    Narthex__Otlp__KeyValue **list = nx_arena_array(&s->arena, strlen(text) + 1, sizeof *list);
    struct nx_view rest = nx_arena_copy(&s->arena, nx_view_of(text));
    assert_non_null(list);
    *count = 0;
    while (rest.len > 0) {
        size_t end = nx_view_find(rest, ','), eq = nx_view_find(rest, '=');
        NEW(s, Narthex__Otlp__KeyValue, pair);
        NEW(s, Narthex__Otlp__AnyValue, value);
        narthex__otlp__key_value__init(pair);
        narthex__otlp__any_value__init(value);
        pair->key = (ProtobufCBinaryData){.len = eq, .data = (uint8_t *)(uintptr_t)rest.ptr};
        value->value_case = NARTHEX__OTLP__ANY_VALUE__VALUE_TEXT;
        value->text = (ProtobufCBinaryData){.len = end - eq - 1,
                                            .data = (uint8_t *)(uintptr_t)rest.ptr + eq + 1};
        pair->value = value;
        list[(*count)++] = pair;
        size_t next = end < rest.len ? end + 1 : end;
        rest = nx_view_make(rest.ptr + next, rest.len - next);
    }
    return list;
}

static Narthex__Otlp__Metric *add_metric(struct sender *s, const char *name, const char *unit,
                                         Narthex__Otlp__Metric__DataCase kind)
{
    NEW(s, Narthex__Otlp__Metric, metric);
    narthex__otlp__metric__init(metric);
    metric->name = bytes_of(name);
    metric->unit = bytes_of(unit);
    metric->description = bytes_of("help");
    metric->data_case = kind;
    s->metrics[s->scope.n_metrics++] = metric;
    return metric;
}

static Narthex__Otlp__NumberPoint *number_point(struct sender *s, const char *attributes,
                                                uint64_t ms, double value)
{
    NEW(s, Narthex__Otlp__NumberPoint, point);
    narthex__otlp__number_point__init(point);
    point->time_ns = ms * 1000000;
    point->value_case = NARTHEX__OTLP__NUMBER_POINT__VALUE_AS_DOUBLE;
    point->as_double = value;
    point->attributes = attributes_of(s, attributes, &point->n_attributes);
    return point;
}

/* A metric of one number. */
static Narthex__Otlp__NumberPoint *add_gauge(struct sender *s, const char *name, const char *unit,
                                             const char *attributes, uint64_t ms, double value)
{
    Narthex__Otlp__Metric *metric = add_metric(s, name, unit, NARTHEX__OTLP__METRIC__DATA_GAUGE);
    NEW(s, Narthex__Otlp__Gauge, gauge);
    NEW(s, Narthex__Otlp__NumberPoint *, list);
    narthex__otlp__gauge__init(gauge);
    metric->gauge = gauge;
    gauge->points = list;
    gauge->n_points = 1;
    *list = number_point(s, attributes, ms, value);
    return *list;
}

static Narthex__Otlp__NumberPoint *add_sum(struct sender *s, const char *name, int temporality,
                                           bool monotonic, double value)
{
    Narthex__Otlp__Metric *metric = add_metric(s, name, "", NARTHEX__OTLP__METRIC__DATA_SUM);
    NEW(s, Narthex__Otlp__Sum, sum);
    NEW(s, Narthex__Otlp__NumberPoint *, list);
    narthex__otlp__sum__init(sum);
    metric->sum = sum;
    sum->points = list;
    sum->n_points = 1;
    sum->temporality = temporality;
    sum->monotonic = monotonic;
    *list = number_point(s, "k=v", 1000, value);
    return *list;
}

static Narthex__Otlp__Exemplar **exemplars_of(struct sender *s, const double *values, size_t count)
{
    Narthex__Otlp__Exemplar **list = nx_arena_array(&s->arena, count, sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < count; i++) {
        NEW(s, Narthex__Otlp__Exemplar, e);
        narthex__otlp__exemplar__init(e);
        e->time_ns = UINT64_C(2000000000) + i * 1000000;
        e->value_case = NARTHEX__OTLP__EXEMPLAR__VALUE_AS_DOUBLE;
        e->as_double = values[i];
        e->trace_id = bytes_of("\xab\xcd");
        e->attributes = attributes_of(s, "user.id=7", &e->n_attributes);
        list[i] = e;
    }
    return list;
}

static Narthex__Otlp__HistogramPoint *add_histogram(struct sender *s, const char *name)
{
    static double bounds[] = {0.1, 1, 10};
    static uint64_t counts[] = {1, 2, 0, 4};
    static const double values[] = {20, 0.5, 0.1, 0.7};
    Narthex__Otlp__Metric *metric = add_metric(s, name, "s", NARTHEX__OTLP__METRIC__DATA_HISTOGRAM);
    NEW(s, Narthex__Otlp__Histogram, histogram);
    NEW(s, Narthex__Otlp__HistogramPoint, point);
    NEW(s, Narthex__Otlp__HistogramPoint *, list);
    narthex__otlp__histogram__init(histogram);
    narthex__otlp__histogram_point__init(point);
    metric->histogram = histogram;
    histogram->temporality = 2;
    histogram->points = list;
    histogram->n_points = 1;
    *list = point;
    point->time_ns = UINT64_C(1500999999);
    point->count = 7;
    point->sum_if_set_case = NARTHEX__OTLP__HISTOGRAM_POINT__SUM_IF_SET_SUM;
    point->sum = 12.5;
    point->bounds = bounds;
    point->n_bounds = 3;
    point->bucket_counts = counts;
    point->n_bucket_counts = 4;
    point->exemplars = exemplars_of(s, values, 4);
    point->n_exemplars = 4;
    return point;
}

static Narthex__Otlp__ExponentialPoint *add_exponential(struct sender *s, const char *name,
                                                        int scale, int offset, uint64_t *counts,
                                                        size_t count)
{
    Narthex__Otlp__Metric *metric =
        add_metric(s, name, "", NARTHEX__OTLP__METRIC__DATA_EXPONENTIAL_HISTOGRAM);
    NEW(s, Narthex__Otlp__ExponentialHistogram, histogram);
    NEW(s, Narthex__Otlp__ExponentialPoint, point);
    NEW(s, Narthex__Otlp__ExponentialPoint *, list);
    NEW(s, Narthex__Otlp__Buckets, buckets);
    narthex__otlp__exponential_histogram__init(histogram);
    narthex__otlp__exponential_point__init(point);
    narthex__otlp__buckets__init(buckets);
    metric->exponential_histogram = histogram;
    histogram->temporality = 2;
    histogram->points = list;
    histogram->n_points = 1;
    *list = point;
    point->time_ns = 3000000;
    point->scale = scale;
    point->zero_count = 2;
    point->count = 2;
    for (size_t i = 0; i < count; i++)
        point->count += counts[i];
    point->sum_if_set_case = NARTHEX__OTLP__EXPONENTIAL_POINT__SUM_IF_SET_SUM;
    point->sum = 5.5;
    point->positive = buckets;
    buckets->offset = offset;
    buckets->counts = counts;
    buckets->n_counts = count;
    return point;
}

static void add_summary(struct sender *s, const char *name)
{
    Narthex__Otlp__Metric *metric = add_metric(s, name, "", NARTHEX__OTLP__METRIC__DATA_SUMMARY);
    NEW(s, Narthex__Otlp__Summary, summary);
    NEW(s, Narthex__Otlp__SummaryPoint, point);
    NEW(s, Narthex__Otlp__SummaryPoint *, list);
    NEW(s, Narthex__Otlp__Quantile, quantile);
    NEW(s, Narthex__Otlp__Quantile *, quantiles);
    narthex__otlp__summary__init(summary);
    narthex__otlp__summary_point__init(point);
    narthex__otlp__quantile__init(quantile);
    metric->summary = summary;
    summary->points = list;
    summary->n_points = 1;
    *list = point;
    point->time_ns = 1000000;
    point->count = 4;
    point->sum = 9;
    point->quantiles = quantiles;
    point->n_quantiles = 1;
    *quantiles = quantile;
    quantile->quantile = 0.99;
    quantile->value = 3;
}

static enum nx_err decode_within(struct nx_view message, size_t max_bytes, struct dist_batch *batch,
                                 struct nx_fail *fail)
{
    struct dist_headers headers = {.content_type = NX_VIEW("application/x-protobuf")};
    struct dist_form form;
    struct dist_intake intake = {.message = message, .now_ms = 77, .limits = &generous};
    dist_batch_clear(batch, 1 << 20);
    batch->arena.max_bytes = max_bytes;
    assert_int_equal(dist_otlp_metrics.negotiate(&headers, &form, fail), NX_OK);
    return form.decode(&intake, batch, fail);
}

static enum nx_err decode(struct nx_view message, struct dist_batch *batch, struct nx_fail *fail)
{
    return decode_within(message, 0, batch, fail);
}

static void print_labels(struct dist_batch *batch, struct nx_view raw, struct nx_buf *out)
{
    struct nx_label *labels = NULL;
    size_t count = 0;
    assert_int_equal(batch->format->read(batch, raw, &batch->arena, 100, &labels, &count, NULL),
                     NX_OK);
    for (size_t k = 0; k < count; k++)
        nx_buf_printf(out, "%.*s=%.*s;", NX_VIEW_ARG(labels[k].name), NX_VIEW_ARG(labels[k].value));
}

static void print_value(struct nx_buf *out, uint64_t bits)
{
    if (bits == NX_STALE_NAN_BITS)
        nx_buf_append_str(out, "stale");
    else
        nx_buf_printf(out, "%g", nx_double_from_bits(bits));
}

static void print_histogram(struct nx_buf *out, const struct dist_histogram *row)
{
    const struct nx_histogram *h = row->histogram;
    nx_buf_printf(out, " {schema %d, zero %g<=%g, count %g, sum ", h->schema, h->zero_count,
                  h->zero_threshold, h->count);
    print_value(out, nx_double_bits(h->sum));
    size_t at = 0;
    for (size_t i = 0; i < h->positive_span_count; i++) {
        nx_buf_printf(out, ", +%d:", h->positive_spans[i].offset);
        for (uint32_t k = 0; k < h->positive_spans[i].length; k++)
            nx_buf_printf(out, " %g", h->positive[at++]);
    }
    assert_int_equal(at, h->positive_count);
    nx_buf_printf(out, "}@%lld", (long long)row->timestamp);
}

static void print_batch(struct dist_batch *batch, struct nx_buf *out)
{
    for (size_t i = 0; i < batch->series_count; i++) {
        const struct dist_series *series = &batch->series[i];
        print_labels(batch, series->raw_labels, out);
        if (series->broken)
            nx_buf_printf(out, " broken: %s", series->broken);
        for (size_t k = 0; k < series->sample_count && !series->broken; k++) {
            nx_buf_append_char(out, ' ');
            print_value(out, batch->value_bits[series->first_sample + k]);
            nx_buf_printf(out, "@%lld", (long long)batch->timestamps[series->first_sample + k]);
        }
        for (size_t k = 0; k < series->histogram_count; k++)
            print_histogram(out, &batch->histograms[series->first_histogram + k]);
        for (size_t k = 0; k < series->exemplar_count; k++) {
            const struct dist_exemplar *e = &batch->exemplars[series->first_exemplar + k];
            nx_buf_append_str(out, " # ");
            print_labels(batch, e->raw_labels, out);
            nx_buf_printf(out, " %g@%lld", nx_double_from_bits(e->value_bits),
                          (long long)e->timestamp);
        }
        nx_buf_append_char(out, '\n');
    }
    for (size_t i = 0; i < batch->metadata_count; i++)
        nx_buf_printf(out, "# %.*s %u \"%.*s\" \"%.*s\"\n", NX_VIEW_ARG(batch->metadata[i].metric),
                      batch->metadata[i].type, NX_VIEW_ARG(batch->metadata[i].help),
                      NX_VIEW_ARG(batch->metadata[i].unit));
}

static struct nx_buf packed(const struct sender *s)
{
    struct nx_buf body;
    nx_buf_init(&body, 1 << 20);
    size_t size = narthex__otlp__export_request__get_packed_size(&s->request);
    assert_int_equal(nx_buf_reserve(&body, size + 1), NX_OK);
    body.len = narthex__otlp__export_request__pack(&s->request, (uint8_t *)(void *)body.data);
    return body;
}

static void expect(struct sender *s, const char *want)
{
    struct dist_batch batch;
    struct nx_buf out, body = packed(s);
    struct nx_fail fail = {.code = NX_OK};
    dist_batch_init(&batch);
    nx_buf_init(&out, 1 << 20);
    if (decode(nx_buf_view(&body), &batch, &fail))
        fail_msg("%s", fail.text);
    print_batch(&batch, &out);
    nx_buf_append_char(&out, '\0');
    assert_string_equal(out.data, want);
    nx_buf_release(&out);
    nx_buf_release(&body);
    dist_batch_release(&batch);
    nx_arena_release(&s->arena);
}

static void numbers_become_series(void **state)
{
    (void)state;
    struct sender s = {.arena = {0}};
    sender_init(&s);
    add_gauge(&s, "room.temp", "Cel", "room.name=a,floor=2", 1700000000123, 21.5);
    Narthex__Otlp__NumberPoint *whole = add_gauge(&s, "count", "", "", 5, 0);
    whole->value_case = NARTHEX__OTLP__NUMBER_POINT__VALUE_AS_INT;
    whole->as_int = -7;
    add_gauge(&s, "gone", "", "", 6, 1)->flags = 1;
    add_sum(&s, "requests", 2, true, 10);
    add_sum(&s, "queue", 2, false, 3);
    expect(&s, "floor=2;room_name=a;__name__=room_temp_celsius; 21.5@1700000000123\n"
               "__name__=count; -7@5\n"
               "__name__=gone; stale@6\n"
               "k=v;__name__=requests_total; 10@1000\n"
               "k=v;__name__=queue; 3@1000\n"
               "# room_temp_celsius 2 \"help\" \"Cel\"\n"
               "# count 2 \"help\" \"\"\n"
               "# gone 2 \"help\" \"\"\n"
               "# requests_total 1 \"help\" \"\"\n"
               "# queue 2 \"help\" \"\"\n");
}

static void equal_names_are_joined_and_ours_win(void **state)
{
    (void)state;
    struct sender s = {.arena = {0}};
    sender_init(&s);
    s.resource.attributes = attributes_of(&s, "service.name=cart", &s.resource.n_attributes);
    add_gauge(&s, "m", "", "a_b=3,a.b=1,a-b=2,job=mine,__name__=x", 1, 1);
    expect(&s, "a_b=2;1;3;job=cart;__name__=m; 1@1\n# m 2 \"help\" \"\"\n");
}

static void a_resource_becomes_job_instance_and_target_info(void **state)
{
    (void)state;
    struct sender s = {.arena = {0}};
    sender_init(&s);
    s.resource.attributes = attributes_of(
        &s, "host.name=h1,service.namespace=shop,service.instance.id=i-1,service.name=cart",
        &s.resource.n_attributes);
    add_gauge(&s, "late", "", "", 400000, 1);
    add_gauge(&s, "early", "", "", 60000, 2);
    expect(&s, "job=shop/cart;instance=i-1;__name__=late; 1@400000\n"
               "job=shop/cart;instance=i-1;__name__=early; 2@60000\n"
               "host_name=h1;job=shop/cart;instance=i-1;__name__=target_info; 1@60000 1@210000 "
               "1@360000 1@400000\n"
               "# late 2 \"help\" \"\"\n"
               "# early 2 \"help\" \"\"\n"
               "# target_info 2 \"Target metadata\" \"\"\n");
    sender_init(&s);
    s.scope.n_metrics = 0;
    s.resource.attributes = attributes_of(&s, "host.name=h1,service.namespace=shop",
                                          &s.resource.n_attributes); /* nothing identifies it */
    add_gauge(&s, "m", "", "", 1, 1);
    expect(&s, "__name__=m; 1@1\n# m 2 \"help\" \"\"\n");
    sender_init(&s);
    s.resource.attributes = attributes_of(&s, "service.name=x", &s.resource.n_attributes);
    expect(&s, ""); /* no point, no target */
}

static void target_info_is_bounded(void **state)
{
    (void)state;
    struct sender s = {.arena = {0}};
    struct dist_batch batch;
    sender_init(&s);
    s.resource.attributes = attributes_of(&s, "service.name=x,h=1", &s.resource.n_attributes);
    add_gauge(&s, "a", "", "", 0, 1);
    add_gauge(&s, "b", "", "", INT64_C(1700000000000), 1);
    struct nx_buf body = packed(&s);
    dist_batch_init(&batch);
    assert_int_equal(decode(nx_buf_view(&body), &batch, NULL), NX_OK);
    assert_int_equal(batch.series_count, 3);
    assert_int_equal(batch.series[2].sample_count, 601);
    assert_int_equal(batch.timestamps[batch.sample_count - 1], INT64_C(1700000000000));
    nx_buf_release(&body);
    dist_batch_release(&batch);
    nx_arena_release(&s.arena);
}

static void explicit_histograms_become_classic(void **state)
{
    (void)state;
    struct sender s = {.arena = {0}};
    sender_init(&s);
    add_histogram(&s, "d");
    Narthex__Otlp__HistogramPoint *gone = add_histogram(&s, "gone");
    gone->flags = 1;
    gone->n_exemplars = 0;
    gone->n_bounds = 0;
    gone->sum_if_set_case = NARTHEX__OTLP__HISTOGRAM_POINT__SUM_IF_SET__NOT_SET;
    add_summary(&s, "q");
    expect(&s, "__name__=d_seconds_sum; 12.5@1500\n"
               "__name__=d_seconds_count; 7@1500\n"
               "__name__=d_seconds_bucket;le=0.1; 1@1500 # trace_id=abcd;user.id=7; 0.1@2002\n"
               "__name__=d_seconds_bucket;le=1; 3@1500 # trace_id=abcd;user.id=7; 0.5@2001 # "
               "trace_id=abcd;user.id=7; 0.7@2003\n"
               "__name__=d_seconds_bucket;le=10; 3@1500\n"
               "__name__=d_seconds_bucket;le=+Inf; 7@1500 # trace_id=abcd;user.id=7; 20@2000\n"
               "__name__=gone_seconds_count; stale@1500\n"
               "__name__=gone_seconds_bucket;le=+Inf; stale@1500\n"
               "__name__=q_sum; 9@1\n"
               "__name__=q_count; 4@1\n"
               "__name__=q;quantile=0.99; 3@1\n"
               "# d_seconds 3 \"help\" \"s\"\n"
               "# gone_seconds 3 \"help\" \"s\"\n"
               "# q 5 \"help\" \"\"\n");
}

static void exponential_histograms_become_native(void **state)
{
    (void)state;
    static uint64_t plain[] = {0, 1, 0, 0, 2, 0, 0, 0, 3, 0}, fine[] = {1, 2, 3, 4, 5};
    struct sender s = {.arena = {0}};
    sender_init(&s);
    add_exponential(&s, "a", 0, -2, plain, 10);
    add_exponential(&s, "b", 9, -3, fine, 5);   /* halved once: -3>>1 .. */
    add_exponential(&s, "c", 100, -3, fine, 5); /* all in two buckets */
    add_exponential(&s, "d", -4, 0, fine, 1);
    add_exponential(&s, "gone", 0, 0, fine, 1)->flags = 1;
    expect(&s, "__name__=a; {schema 0, zero 2<=1e-128, count 8, sum 5.5, +0: 1 0 0 2, +3: 3}@3\n"
               "__name__=b; {schema 8, zero 2<=1e-128, count 17, sum 5.5, +-1: 1 5 9}@3\n"
               "__name__=c; {schema 8, zero 2<=1e-128, count 17, sum 5.5, +0: 6 9}@3\n"
               "__name__=d; {schema -4, zero 2<=1e-128, count 3, sum 5.5, +1: 1}@3\n"
               "__name__=gone; {schema 0, zero 0<=0, count 0, sum stale}@3\n"
               "# a 3 \"help\" \"\"\n# b 3 \"help\" \"\"\n# c 3 \"help\" \"\"\n"
               "# d 3 \"help\" \"\"\n# gone 3 \"help\" \"\"\n");
}

static void what_cannot_be_represented_is_refused_alone(void **state)
{
    (void)state;
    static uint64_t counts[] = {1};
    struct sender s = {.arena = {0}};
    sender_init(&s);
    add_sum(&s, "delta", 1, true, 1);
    add_sum(&s, "vague", 0, true, 1);
    add_exponential(&s, "coarse", -5, 0, counts, 1);
    add_exponential(&s, "far", 8, INT32_MAX, counts, 1);
    add_gauge(&s, "...", "", "", 1, 1);
    add_gauge(&s, "m", "", "__=1", 1, 1);
    add_gauge(&s, "good", "", "", 1, 1);
    expect(&s,
           "__name__=delta_total; broken: invalid temporality and type combination: only "
           "cumulative sums and histograms are taken\n"
           "__name__=vague_total; broken: invalid temporality and type combination: only "
           "cumulative sums and histograms are taken\n"
           "__name__=coarse; broken: cannot convert exponential to native histogram: the scale "
           "must be -4 or more\n"
           "__name__=far; broken: cannot convert exponential to native histogram: a bucket's index "
           "is out of range\n"
           "__name__=...; broken: the metric's name has no letter and no digit\n"
           "__name__=m; broken: an attribute's name has no letter and no digit\n"
           "__name__=good; 1@1\n"
           "# coarse 3 \"help\" \"\"\n# far 3 \"help\" \"\"\n# m 2 \"help\" \"\"\n"
           "# good 2 \"help\" \"\"\n");
}

static void exemplars_with_long_labels_keep_their_ids(void **state)
{
    (void)state;
    struct sender s = {.arena = {0}};
    static const double value[] = {1};
    char attributes[200];
    sender_init(&s);
    memset(attributes, 'x', sizeof attributes);
    memcpy(attributes, "key=", 4);
    attributes[sizeof attributes - 1] = '\0';
    Narthex__Otlp__NumberPoint *point = add_sum(&s, "r", 2, true, 1);
    point->exemplars = exemplars_of(&s, value, 1);
    point->n_exemplars = 1;
    point->exemplars[0]->span_id = bytes_of("\x01\x02");
    point->exemplars[0]->attributes =
        attributes_of(&s, attributes, &point->exemplars[0]->n_attributes);
    expect(&s, "k=v;__name__=r_total; 1@1000 # trace_id=abcd;span_id=0102; 1@2000\n"
               "# r_total 1 \"help\" \"\"\n");
}

/* --- damage --- */

static struct nx_buf rich_request(void)
{
    static uint64_t counts[] = {1, 0, 0, 0, 2};
    struct sender s = {.arena = {0}};
    sender_init(&s);
    s.resource.attributes = attributes_of(&s, "service.name=x,h=1", &s.resource.n_attributes);
    add_gauge(&s, "g.x", "By", "a.b=1,a_b=2", 60000, 1);
    add_histogram(&s, "h");
    add_exponential(&s, "e", 9, -2, counts, 5);
    add_summary(&s, "q");
    struct nx_buf body = packed(&s);
    nx_arena_release(&s.arena);
    return body;
}

static void every_cut_and_flip_is_harmless(void **state)
{
    (void)state;
    struct dist_batch batch;
    struct nx_buf body = rich_request();
    dist_batch_init(&batch);
    for (size_t i = 0; i < body.len; i++) {
        for (unsigned bit = 0; bit < 9; bit++) {
            size_t len = bit == 8 ? i : body.len;
            char *exact = nx_alloc(len + 1);
            memcpy(exact + 1, body.data, len);
            if (bit < 8)
                exact[1 + i] ^= (char)(1 << bit);
            (void)!decode(nx_view_make(exact + 1, len), &batch, NULL);
            nx_free(exact);
        }
    }
    nx_buf_release(&body);
    dist_batch_release(&batch);
}

static void out_of_memory_is_clean(void **state)
{
    (void)state;
    struct nx_buf body = rich_request();
    for (size_t n = 1;; n++) {
        struct dist_batch batch;
        dist_batch_init(&batch);
        test_fail_allocation(n);
        enum nx_err err = decode(nx_buf_view(&body), &batch, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        dist_batch_release(&batch);
        assert_int_equal(err, failed ? NX_ERR_NOMEM : NX_OK);
        if (!failed)
            break;
    }
    nx_buf_release(&body);
}

static void a_request_beyond_the_cap_is_too_large(void **state)
{
    (void)state;
    struct nx_buf body;
    struct dist_batch batch;
    struct nx_fail fail = {.code = NX_OK};
    nx_buf_init(&body, 1 << 20);
    for (int i = 0; i < 20000; i++)
        nx_buf_append(&body, "\x0a\x00", 2); /* empty resources */
    dist_batch_init(&batch);
    assert_int_equal(decode_within(nx_buf_view(&body), 1 << 16, &batch, &fail), NX_ERR_TOO_LARGE);
    assert_non_null(strstr(fail.text, "distributor.max-decoded-bytes"));
    nx_buf_release(&body);
    dist_batch_release(&batch);
}

static void headers_are_negotiated(void **state)
{
    (void)state;
    struct dist_form form;
    struct nx_fail fail = {.code = NX_OK};
    struct dist_headers json = {.content_type = NX_VIEW("application/json")};
    struct dist_headers zipped = {.content_type = NX_VIEW("application/x-protobuf"),
                                  .content_encoding = NX_VIEW("gzip")};
    assert_int_equal(dist_otlp_metrics.negotiate(&json, &form, &fail), NX_ERR_UNSUPPORTED);
    assert_non_null(strstr(fail.text, "application/x-protobuf"));
    assert_int_equal(dist_otlp_metrics.negotiate(&zipped, &form, &fail), NX_OK);
    assert_int_equal(form.encoding, DIST_ENCODING_GZIP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_become_series),
        cmocka_unit_test(equal_names_are_joined_and_ours_win),
        cmocka_unit_test(a_resource_becomes_job_instance_and_target_info),
        cmocka_unit_test(target_info_is_bounded),
        cmocka_unit_test(explicit_histograms_become_classic),
        cmocka_unit_test(exponential_histograms_become_native),
        cmocka_unit_test(what_cannot_be_represented_is_refused_alone),
        cmocka_unit_test(exemplars_with_long_labels_keep_their_ids),
        cmocka_unit_test(every_cut_and_flip_is_harmless),
        cmocka_unit_test(out_of_memory_is_clean),
        cmocka_unit_test(a_request_beyond_the_cap_is_too_large),
        cmocka_unit_test(headers_are_negotiated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
