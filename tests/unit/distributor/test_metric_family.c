/* The exposition format as protobuf, made with protobuf-c: what each family becomes, what damage
 * says, and that no cut of a good stream does harm. */
#include "distributor/receive/metric_family.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/chunk/sample.h"
#include "proto/metrics.pb-c.h"
#include "tests/unit/distributor/dist_test.h"

typedef Io__Prometheus__Client__MetricFamily family_t;
typedef Io__Prometheus__Client__Metric metric_t;

static const struct dist_decode_limits generous = {.max_series = 1000, .max_samples = 1000};

static void put(struct nx_buf *out, const family_t *family)
{
    size_t len = io__prometheus__client__metric_family__get_packed_size(family);
    for (size_t left = len; left >= 0x80; left >>= 7)
        nx_buf_append_char(out, (char)(left | 0x80));
    size_t top = len;
    while (top >= 0x80)
        top >>= 7;
    nx_buf_append_char(out, (char)top);
    assert_int_equal(nx_buf_reserve(out, len), NX_OK);
    out->len += io__prometheus__client__metric_family__pack(
        family, (uint8_t *)(void *)(out->data + out->len));
}

static enum nx_err decode(struct nx_view body, bool native, bool both, struct dist_batch *batch,
                          struct nx_fail *fail)
{
    struct dist_metric_families options = {
        .native_histograms = native, .classic_too = both, .default_ms = 77, .limits = &generous};
    dist_batch_clear(batch, 1 << 20);
    return dist_metric_families_decode(&options, body, batch, fail);
}

static void print_side(struct nx_buf *out, const struct nx_span *spans, size_t span_count,
                       const double *counts)
{
    int64_t index = 0;
    for (size_t s = 0; s < span_count; s++) {
        index += spans[s].offset;
        for (uint32_t i = 0; i < spans[s].length; i++)
            nx_buf_printf(out, " %lld:%g", (long long)index++, *counts++);
    }
}

/* labels value@time or labels schema/count/sum/zero [index:count...]@time; exemplars behind #. */
static void print(struct dist_batch *batch, struct nx_buf *out)
{
    for (size_t i = 0; i < batch->series_count; i++) {
        const struct dist_series *series = &batch->series[i];
        const struct nx_label *labels =
            (const struct nx_label *)(const void *)series->raw_labels.ptr;
        for (size_t k = 0; k < series->label_count; k++)
            nx_buf_printf(out, "%.*s=%.*s;", NX_VIEW_ARG(labels[k].name),
                          NX_VIEW_ARG(labels[k].value));
        if (series->histogram_count > 0) {
            const struct dist_histogram *row = &batch->histograms[series->first_histogram];
            const struct nx_histogram *h = row->histogram;
            nx_buf_printf(out, " %d/%g/%g/%g%s%s [", h->schema, h->count, h->sum, h->zero_count,
                          h->integer ? "" : " float", h->hint == NX_HINT_GAUGE ? " gauge" : "");
            print_side(out, h->negative_spans, h->negative_span_count, h->negative);
            nx_buf_append_str(out, " |");
            print_side(out, h->positive_spans, h->positive_span_count, h->positive);
            nx_buf_printf(out, " ]@%lld", (long long)row->timestamp);
        } else {
            nx_buf_printf(out, " %g@%lld",
                          nx_double_from_bits(batch->value_bits[series->first_sample]),
                          (long long)batch->timestamps[series->first_sample]);
        }
        for (uint32_t k = 0; k < series->exemplar_count; k++) {
            const struct dist_exemplar *e = &batch->exemplars[series->first_exemplar + k];
            const struct nx_label *own = (const struct nx_label *)(const void *)e->raw_labels.ptr;
            nx_buf_printf(out, "#%.*s %g@%lld", NX_VIEW_ARG(own[0].value),
                          nx_double_from_bits(e->value_bits), (long long)e->timestamp);
        }
        nx_buf_append_char(out, '\n');
    }
    nx_buf_append_char(out, '\0');
}

static void expect(struct nx_buf *body, bool native, bool both, const char *want)
{
    struct dist_batch batch;
    struct nx_buf out;
    struct nx_fail fail = {.code = NX_OK};
    dist_batch_init(&batch);
    nx_buf_init(&out, 1 << 16);
    if (decode(nx_buf_view(body), native, both, &batch, &fail))
        fail_msg("%s", nx_fail_text(&fail));
    print(&batch, &out);
    assert_string_equal(out.data, want);
    nx_buf_release(&out);
    dist_batch_release(&batch);
}

/* --- families --- */

static void put_counter(struct nx_buf *out)
{
    Io__Prometheus__Client__LabelPair code = IO__PROMETHEUS__CLIENT__LABEL_PAIR__INIT,
                                      trace = IO__PROMETHEUS__CLIENT__LABEL_PAIR__INIT;
    Io__Prometheus__Client__LabelPair *codes[] = {&code}, *traces[] = {&trace};
    Io__Prometheus__Client__Timestamp time = IO__PROMETHEUS__CLIENT__TIMESTAMP__INIT;
    Io__Prometheus__Client__Exemplar exemplar = IO__PROMETHEUS__CLIENT__EXEMPLAR__INIT;
    Io__Prometheus__Client__Counter counter = IO__PROMETHEUS__CLIENT__COUNTER__INIT;
    metric_t with = IO__PROMETHEUS__CLIENT__METRIC__INIT, none = with;
    metric_t *metrics[] = {&with, &none};
    family_t family = IO__PROMETHEUS__CLIENT__METRIC_FAMILY__INIT;
    code.name = (char *)(uintptr_t) "code";
    code.value = (char *)(uintptr_t) "200";
    trace.name = (char *)(uintptr_t) "trace_id";
    trace.value = (char *)(uintptr_t) "t";
    time.seconds = 5;
    time.nanos = 250999999;
    exemplar.n_label = 1;
    exemplar.label = traces;
    exemplar.value = 0.5;
    exemplar.timestamp = &time;
    counter.value = 7;
    counter.exemplar = &exemplar;
    with.n_label = 1;
    with.label = codes;
    with.counter = &counter;
    with.timestamp_ms = 1234;
    family.name = (char *)(uintptr_t) "c_total";
    family.help = (char *)(uintptr_t) "Help.";
    family.unit = (char *)(uintptr_t) "u";
    family.n_metric = 2;
    family.metric = metrics;
    put(out, &family);
}

static void values_and_their_exemplars_are_read(void **state)
{
    struct nx_buf body;
    struct dist_batch batch;
    (void)state;
    nx_buf_init(&body, 1 << 16);
    put_counter(&body);
    expect(&body, true, false,
           "__name__=c_total;code=200; 7@1234#t 0.5@5250\n"
           "__name__=c_total; 0@77\n"); /* a metric without its value is 0, as proto3 has it */
    dist_batch_init(&batch);
    assert_int_equal(decode(nx_buf_view(&body), true, false, &batch, NULL), NX_OK);
    assert_int_equal(batch.metadata_count, 1);
    assert_true(nx_view_is(batch.metadata[0].metric, "c_total"));
    assert_true(nx_view_is(batch.metadata[0].help, "Help."));
    assert_true(nx_view_is(batch.metadata[0].unit, "u"));
    assert_int_equal(batch.metadata[0].type, 1);
    dist_batch_release(&batch);
    nx_buf_release(&body);
}

static void summaries_become_quantiles_with_a_count_and_a_sum(void **state)
{
    Io__Prometheus__Client__Quantile half = IO__PROMETHEUS__CLIENT__QUANTILE__INIT, one = half;
    Io__Prometheus__Client__Quantile *quantiles[] = {&half, &one};
    Io__Prometheus__Client__Summary summary = IO__PROMETHEUS__CLIENT__SUMMARY__INIT;
    metric_t metric = IO__PROMETHEUS__CLIENT__METRIC__INIT, *metrics[] = {&metric};
    family_t family = IO__PROMETHEUS__CLIENT__METRIC_FAMILY__INIT;
    struct nx_buf body;
    (void)state;
    half.quantile = 0.5;
    half.value = 3;
    one.quantile = 1;
    one.value = (double)NAN;
    summary.sample_count = 4;
    summary.sample_sum = 1.5;
    summary.n_quantile = 2;
    summary.quantile = quantiles;
    metric.summary = &summary;
    family.name = (char *)(uintptr_t) "s";
    family.type = IO__PROMETHEUS__CLIENT__METRIC_TYPE__SUMMARY;
    family.n_metric = 1;
    family.metric = metrics;
    nx_buf_init(&body, 1 << 16);
    put(&body, &family);
    expect(&body, true, false,
           "__name__=s_count; 4@77\n__name__=s_sum; 1.5@77\n"
           "__name__=s;quantile=0.5; 3@77\n__name__=s;quantile=1.0; nan@77\n");
    nx_buf_release(&body);
}

struct histogram {
    Io__Prometheus__Client__Exemplar exemplars[2], *exemplar_list[1];
    Io__Prometheus__Client__Timestamp time;
    Io__Prometheus__Client__LabelPair label, *labels[1];
    Io__Prometheus__Client__Bucket buckets[2], *bucket_list[2];
    Io__Prometheus__Client__BucketSpan spans[3], *positive[2], *negative[1];
    int64_t deltas[3], negative_deltas[1];
    Io__Prometheus__Client__Histogram histogram;
    metric_t metric, *metrics[1];
    family_t family;
};

/* Classic buckets with an exemplar that has a time and one that has none, and native ones. */
static void make_histogram(struct histogram *h)
{
    static const double bounds[] = {0.25, 1e6};
    memset(h, 0, sizeof *h);
    io__prometheus__client__timestamp__init(&h->time);
    io__prometheus__client__label_pair__init(&h->label);
    io__prometheus__client__histogram__init(&h->histogram);
    io__prometheus__client__metric__init(&h->metric);
    io__prometheus__client__metric_family__init(&h->family);
    h->label.name = (char *)(uintptr_t) "id";
    h->label.value = (char *)(uintptr_t) "x";
    h->labels[0] = &h->label;
    h->time.seconds = 9;
    for (int i = 0; i < 2; i++) {
        io__prometheus__client__exemplar__init(&h->exemplars[i]);
        h->exemplars[i].n_label = 1;
        h->exemplars[i].label = h->labels;
        h->exemplars[i].value = i;
        io__prometheus__client__bucket__init(&h->buckets[i]);
        h->buckets[i].upper_bound = bounds[i];
        h->buckets[i].cumulative_count = (uint64_t)i + 1;
        h->buckets[i].exemplar = &h->exemplars[i];
        h->bucket_list[i] = &h->buckets[i];
    }
    h->exemplars[1].timestamp = &h->time;
    for (int i = 0; i < 3; i++)
        io__prometheus__client__bucket_span__init(&h->spans[i]);
    h->spans[0] = h->spans[1];
    h->spans[0].offset = -2;
    h->spans[0].length = 2;
    h->spans[1].offset = 1;
    h->spans[1].length = 1;
    h->spans[2].length = 1;
    h->positive[0] = &h->spans[0];
    h->positive[1] = &h->spans[1];
    h->negative[0] = &h->spans[2];
    h->deltas[0] = 1;
    h->deltas[1] = -1; /* an empty bucket, which is taken out */
    h->deltas[2] = 4;
    h->negative_deltas[0] = 2;
    h->histogram.sample_count = 8;
    h->histogram.sample_sum = 2.5;
    h->histogram.n_bucket = 2;
    h->histogram.bucket = h->bucket_list;
    h->metric.histogram = &h->histogram;
    h->metrics[0] = &h->metric;
    h->family.name = (char *)(uintptr_t) "h";
    h->family.type = IO__PROMETHEUS__CLIENT__METRIC_TYPE__HISTOGRAM;
    h->family.n_metric = 1;
    h->family.metric = h->metrics;
}

static void make_native(struct histogram *h)
{
    make_histogram(h);
    h->histogram.schema = 3;
    h->histogram.zero_threshold = 0.001;
    h->histogram.zero_count = 1;
    h->histogram.n_positive_span = 2;
    h->histogram.positive_span = h->positive;
    h->histogram.n_positive_delta = 3;
    h->histogram.positive_delta = h->deltas;
    h->histogram.n_negative_span = 1;
    h->histogram.negative_span = h->negative;
    h->histogram.n_negative_delta = 1;
    h->histogram.negative_delta = h->negative_deltas;
}

#define CLASSIC                                                                           \
    "__name__=h_count; 8@77\n__name__=h_sum; 2.5@77\n"                                    \
    "__name__=h_bucket;le=0.25; 1@77#x 0@77\n__name__=h_bucket;le=1e+06; 2@77#x 1@9000\n" \
    "__name__=h_bucket;le=+Inf; 8@77\n"
#define NATIVE "__name__=h; 3/8/2.5/1 [ 0:2 | -2:1 1:4 ]@77#x 1@9000\n"

static void classic_histograms_get_their_last_bucket(void **state)
{
    struct histogram h;
    struct nx_buf body;
    (void)state;
    nx_buf_init(&body, 1 << 16);
    make_histogram(&h);
    put(&body, &h.family);
    expect(&body, true, false, CLASSIC);
    nx_buf_clear(&body);
    h.buckets[1].upper_bound = (double)INFINITY;
    h.buckets[1].cumulative_count_float = 2.5;
    h.histogram.sample_count_float = 7.5;
    put(&body, &h.family);
    expect(&body, true, false,
           "__name__=h_count; 7.5@77\n__name__=h_sum; 2.5@77\n"
           "__name__=h_bucket;le=0.25; 1@77#x 0@77\n__name__=h_bucket;le=+Inf; 2.5@77#x 1@9000\n");
    nx_buf_release(&body);
}

static void native_histograms_are_taken_as_the_job_wants_them(void **state)
{
    struct histogram h;
    struct nx_buf body;
    (void)state;
    nx_buf_init(&body, 1 << 16);
    make_native(&h);
    put(&body, &h.family);
    expect(&body, true, false, NATIVE);
    expect(&body, true, true, NATIVE CLASSIC);
    expect(&body, false, false, CLASSIC);
    nx_buf_clear(&body);
    /* its own exemplars come before those of the buckets */
    h.exemplar_list[0] = &h.exemplars[1];
    h.exemplars[1].value = 4;
    h.histogram.n_exemplars = 1;
    h.histogram.exemplars = h.exemplar_list;
    h.histogram.n_bucket = 0;
    put(&body, &h.family);
    expect(&body, true, true, "__name__=h; 3/8/2.5/1 [ 0:2 | -2:1 1:4 ]@77#x 4@9000\n");
    nx_buf_release(&body);
}

static void float_and_gauge_histograms_keep_what_they_are(void **state)
{
    struct histogram h;
    struct nx_buf body;
    double counts[] = {0.5, 0, 1.25};
    (void)state;
    nx_buf_init(&body, 1 << 16);
    make_native(&h);
    h.family.type = IO__PROMETHEUS__CLIENT__METRIC_TYPE__GAUGE_HISTOGRAM;
    h.histogram.n_bucket = 0;
    h.histogram.n_positive_delta = 0;
    h.histogram.n_negative_span = h.histogram.n_negative_delta = 0;
    h.histogram.n_positive_count = 3;
    h.histogram.positive_count = counts;
    h.histogram.sample_count_float = 2;
    h.histogram.zero_count_float = 0.25;
    put(&body, &h.family);
    expect(&body, true, false, "__name__=h; 3/2/2.5/0.25 float gauge [ | -2:0.5 1:1.25 ]@77\n");
    nx_buf_release(&body);
}

static void empty_families_and_no_families_are_nothing(void **state)
{
    family_t family = IO__PROMETHEUS__CLIENT__METRIC_FAMILY__INIT;
    struct nx_buf body;
    (void)state;
    nx_buf_init(&body, 1 << 16);
    expect(&body, true, false, "");
    family.name = (char *)(uintptr_t) "x";
    put(&body, &family);
    expect(&body, true, false, "");
    nx_buf_release(&body);
}

static void assert_refused(struct nx_view body, const char *expected)
{
    struct dist_batch batch;
    struct nx_fail fail = {.code = NX_OK};
    dist_batch_init(&batch);
    assert_int_equal(decode(body, true, true, &batch, &fail), NX_ERR_INVALID);
    if (!strstr(nx_fail_text(&fail), expected))
        fail_msg("got: %s", nx_fail_text(&fail));
    dist_batch_release(&batch);
}

static void damage_is_told(void **state)
{
    metric_t metric = IO__PROMETHEUS__CLIENT__METRIC__INIT, *metrics[] = {&metric};
    family_t family = IO__PROMETHEUS__CLIENT__METRIC_FAMILY__INIT;
    struct nx_buf body;
    (void)state;
    nx_buf_init(&body, 1 << 16);
    family.n_metric = 1;
    family.metric = metrics;
    put(&body, &family);
    assert_refused(nx_buf_view(&body), "a metric family has no name");
    nx_buf_clear(&body);
    family.name = (char *)(uintptr_t) "x";
    family.type = (Io__Prometheus__Client__MetricType)6;
    put(&body, &family);
    assert_refused(nx_buf_view(&body), "unknown metric type for metric \"x\"");
    assert_refused(NX_VIEW("\x05\x0a\x01"), "ends too early");
    assert_refused(NX_VIEW("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "ends too early");
    assert_refused(NX_VIEW("\x02\x0a\x09"), "in MetricFamily");
    nx_buf_release(&body);
}

static void every_cut_is_harmless_and_memory_is_told(void **state)
{
    struct histogram h;
    struct nx_buf body;
    struct dist_batch batch;
    (void)state;
    nx_buf_init(&body, 1 << 16);
    put_counter(&body);
    make_native(&h);
    put(&body, &h.family);
    dist_batch_init(&batch);
    for (size_t len = 0; len < body.len; len++) {
        char *copy = nx_alloc(len + 1); /* of exactly that size, for the sanitizer */
        assert_non_null(copy);
        memcpy(copy, body.data, len);
        (void)!decode(nx_view_make(copy, len), true, true, &batch, NULL);
        nx_free(copy);
    }
    for (size_t n = 1;; n++) {
        dist_batch_release(&batch);
        dist_batch_init(&batch);
        test_fail_allocation(n);
        enum nx_err err = decode(nx_buf_view(&body), true, true, &batch, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(err, failed ? NX_ERR_NOMEM : NX_OK);
        if (!failed)
            break;
    }
    struct dist_decode_limits few = {.max_series = 100, .max_samples = 3};
    struct dist_metric_families options = {.limits = &few};
    dist_batch_clear(&batch, 0);
    assert_int_equal(dist_metric_families_decode(&options, nx_buf_view(&body), &batch, NULL),
                     NX_ERR_TOO_LARGE);
    dist_batch_release(&batch);
    nx_buf_release(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_their_exemplars_are_read),
        cmocka_unit_test(summaries_become_quantiles_with_a_count_and_a_sum),
        cmocka_unit_test(classic_histograms_get_their_last_bucket),
        cmocka_unit_test(native_histograms_are_taken_as_the_job_wants_them),
        cmocka_unit_test(float_and_gauge_histograms_keep_what_they_are),
        cmocka_unit_test(empty_families_and_no_families_are_nothing),
        cmocka_unit_test(damage_is_told),
        cmocka_unit_test(every_cut_is_harmless_and_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
