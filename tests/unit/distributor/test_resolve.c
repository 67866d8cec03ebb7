#include "distributor/resolve.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/chunk/histogram_codec.h"
#include "common/chunk/sample.h"
#include "distributor/receive/remote_write_v1.h"
#include "tests/unit/distributor/dist_test.h"

static const int64_t now_ms = INT64_C(1700000000000);

struct fixture {
    struct dist_limits limits;
    struct dist_cache *cache;
    struct dist_batch batch;
    struct dist_resolver resolver;
    struct dist_refusals refusals;
    struct nx_fail fail;
    struct nx_buf message;
};

static int set_up(void **state)
{
    struct fixture *f = nx_calloc(1, sizeof *f);
    f->limits = test_limits();
    assert_int_equal(dist_cache_new(1 << 20, &f->cache), NX_OK);
    dist_batch_init(&f->batch);
    nx_buf_init(&f->message, SIZE_MAX);
    f->resolver = (struct dist_resolver){
        .limits = &f->limits, .cache = f->cache, .tenant = NX_VIEW("anonymous"), .now_ms = now_ms};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    dist_cache_free(f->cache);
    dist_batch_release(&f->batch);
    nx_buf_release(&f->message);
    nx_free(f);
    return 0;
}

static void add_series(struct fixture *f, const char *const *pairs, size_t samples,
                       const int64_t *timestamps)
{
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    for (size_t i = 0; pairs[i]; i += 2)
        test_put_label(&series, pairs[i], pairs[i + 1]);
    for (size_t i = 0; i < samples; i++)
        test_put_sample(&series, timestamps[i], (double)i);
    test_put_message(&f->message, 1, &series);
}

#define PAIRS(...) ((const char *const[]){__VA_ARGS__, NULL})

static enum nx_err resolve(struct fixture *f)
{
    dist_batch_clear(&f->batch, SIZE_MAX);
    memset(&f->refusals, 0, sizeof f->refusals);
    enum nx_err err = test_decode(nx_buf_view(&f->message), &f->batch, &f->fail);
    return err ? err : dist_resolve(&f->resolver, &f->batch, &f->refusals, &f->fail);
}

static void series_equal_up_to_order_and_empties_get_one_id(void **state)
{
    struct fixture *f = *state;
    int64_t t = now_ms;
    add_series(f, PAIRS("__name__", "up", "a", "1", "b", "2"), 1, &t);
    add_series(f, PAIRS("b", "2", "__name__", "up", "a", "1"), 1, &t);
    add_series(f, PAIRS("__name__", "up", "a", "1", "b", "2", "c", ""), 1, &t);
    add_series(f, PAIRS("__name__", "up", "a", "1", "b", "3"), 1, &t);
    for (size_t round = 0; round < 2; round++) { /* from the labels, then from the cache */
        assert_int_equal(resolve(f), NX_OK);
        struct dist_series *s = f->batch.series;
        assert_true(nx_series_id_eq(s[0].id, s[1].id));
        assert_true(nx_series_id_eq(s[0].id, s[2].id));
        assert_false(nx_series_id_eq(s[0].id, s[3].id));
        assert_int_equal(f->resolver.hits, round * 4);
    }
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(dist_resolve_canonical(&f->batch, &f->batch.series[i]), NX_OK);
    struct dist_series *s = f->batch.series;
    assert_true(nx_view_eq(s[0].canonical, s[1].canonical));
    assert_true(nx_view_eq(s[0].canonical, s[2].canonical));
    assert_false(nx_view_eq(s[0].canonical, s[3].canonical));
}

static void series_of_two_tenants_differ(void **state)
{
    struct fixture *f = *state;
    int64_t t = now_ms;
    add_series(f, PAIRS("__name__", "up"), 1, &t);
    assert_int_equal(resolve(f), NX_OK);
    struct nx_series_id first = f->batch.series[0].id;
    f->resolver.tenant = NX_VIEW("other");
    assert_int_equal(resolve(f), NX_OK);
    assert_int_equal(f->resolver.hits, 0);
    assert_false(nx_series_id_eq(first, f->batch.series[0].id));
}

static void labels_interleaved_with_samples_are_not_cached(void **state)
{
    struct fixture *f = *state;
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", "up");
    test_put_sample(&series, now_ms, 1);
    test_put_label(&series, "job", "x");
    test_put_message(&f->message, 1, &series);
    assert_int_equal(resolve(f), NX_OK);
    assert_int_equal(resolve(f), NX_OK);
    assert_int_equal(f->resolver.hits, 0);
    assert_int_equal(dist_cache_stats(f->cache).series, 0);
    assert_int_equal(f->batch.series[0].cache_ref, DIST_NO_REF);
    assert_false(f->batch.series[0].refused);
}

static void invalid_series_are_refused_and_the_others_kept(void **state)
{
    struct fixture *f = *state;
    int64_t t[] = {now_ms, now_ms};
    add_series(f, PAIRS("__name__", "good", "a", "1"), 1, t);
    add_series(f, PAIRS("job", "nameless"), 2, t);
    add_series(f, PAIRS("__name__", "bad", "a", "\xff"), 1, t);
    add_series(f, PAIRS("__name__", "good", "a", "2"), 2, t);
    for (size_t round = 0; round < 2; round++) { /* what is refused is never cached as good */
        assert_int_equal(resolve(f), NX_OK);
        assert_int_equal(f->refusals.samples, 3);
        assert_int_equal(f->refusals.by_reason[DIST_REASON_MISSING_METRIC_NAME], 2);
        assert_int_equal(f->refusals.by_reason[DIST_REASON_LABEL_VALUE_INVALID], 1);
        assert_string_equal(
            f->refusals.first.text,
            "the series has no metric name (label __name__), series: {job=\"nameless\"}");
        assert_false(f->batch.series[0].refused);
        assert_true(f->batch.series[1].refused && f->batch.series[2].refused);
        assert_false(f->batch.series[3].refused);
    }
}

static void samples_out_of_bounds_are_taken_out(void **state)
{
    struct fixture *f = *state;
    int64_t t[] = {INT64_MIN, now_ms - 5, INT64_MAX, now_ms, now_ms + 600001, now_ms + 600000};
    add_series(f, PAIRS("__name__", "up"), 6, t);
    add_series(f, PAIRS("__name__", "down"), 1, t + 1);
    assert_int_equal(resolve(f), NX_OK);
    struct dist_series *s = f->batch.series;
    assert_int_equal(s[0].sample_count, 3);
    assert_true(f->batch.timestamps[s[0].first_sample] == now_ms - 5);
    assert_true(f->batch.value_bits[s[0].first_sample] == nx_double_bits(1));
    assert_true(f->batch.timestamps[s[0].first_sample + 1] == now_ms);
    assert_true(f->batch.timestamps[s[0].first_sample + 2] == now_ms + 600000);
    assert_true(f->batch.value_bits[s[0].first_sample + 2] == nx_double_bits(5));
    assert_int_equal(s[1].sample_count, 1);
    assert_true(f->batch.timestamps[s[1].first_sample] == now_ms - 5);
    assert_int_equal(f->refusals.samples, 3);
    assert_int_equal(f->refusals.by_reason[DIST_REASON_TOO_FAR_IN_FUTURE], 2);
    assert_int_equal(f->refusals.by_reason[DIST_REASON_TIMESTAMP_INVALID], 1);
    assert_int_equal(f->refusals.first.code, NX_ERR_OUT_OF_BOUNDS);
    assert_non_null(strstr(f->refusals.first.text, "-9223372036854775808"));
    assert_non_null(strstr(f->refusals.first.text, "series: up"));
}

static void ten_thousand_labels_are_refused_unread(void **state)
{
    struct fixture *f = *state;
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", "wide");
    for (size_t i = 1; i < 10000; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "l%05zu", i);
        test_put_label(&series, name, "v");
    }
    test_put_sample(&series, now_ms, 1);
    test_put_message(&f->message, 1, &series);
    assert_int_equal(resolve(f), NX_OK);
    assert_int_equal(f->refusals.by_reason[DIST_REASON_TOO_MANY_LABELS], 1);
    assert_non_null(strstr(f->refusals.first.text,
                           "(actual: 10000, limit: 64); raise limits.max-label-names-per-series"));
    assert_non_null(strstr(f->refusals.first.text, "series: wide{l00001=\"v\""));
    assert_true(f->batch.arena.used_bytes < 100000);
}

static void malformed_label_fails_the_request(void **state)
{
    struct fixture *f = *state;
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_bytes(&series, 1, "\x0a\x05xy", 4);
    test_put_message(&f->message, 1, &series);
    assert_int_equal(resolve(f), NX_ERR_INVALID);
    assert_string_equal(f->fail.text,
                        "invalid protobuf: length beyond the end of the message in Label");
}

static void put_spans(struct nx_buf *h, unsigned field, int32_t offset, uint32_t length)
{
    struct nx_buf span;
    nx_buf_init(&span, SIZE_MAX);
    test_put_varint(&span, 1, (uint64_t)(uint32_t)((offset << 1) ^ (offset >> 31)));
    test_put_varint(&span, 2, length);
    test_put_message(h, field, &span);
}

static void put_histogram(struct nx_buf *series, int32_t schema, uint64_t observations,
                          int64_t timestamp)
{
    struct nx_buf h;
    nx_buf_init(&h, SIZE_MAX);
    test_put_varint(&h, 1, observations);
    test_put_double(&h, 3, 12.5);
    test_put_varint(&h, 4, (uint64_t)(schema << 1));
    put_spans(&h, 11, 1, 3);
    put_spans(&h, 11, 1, 1);
    test_put_bytes(&h, 12, "\x02\x02\x01\x02", 4); /* +1 +1 -1 +1: counts 1 2 1 2 */
    test_put_varint(&h, 15, (uint64_t)timestamp);
    test_put_message(series, 4, &h);
}

static void histograms_are_validated_reduced_and_encoded(void **state)
{
    struct fixture *f = *state;
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", "h");
    put_histogram(&series, 3, 6, now_ms);
    put_histogram(&series, 3, 5, now_ms);    /* count and buckets disagree */
    put_histogram(&series, 9, 6, now_ms);    /* finer than 8: reduced */
    put_histogram(&series, 3, 6, INT64_MAX); /* out of bounds */
    put_histogram(&series, 53, 6, now_ms);   /* no such schema */
    test_put_message(&f->message, 1, &series);
    assert_int_equal(resolve(f), NX_OK);
    struct dist_series *s = &f->batch.series[0];
    assert_int_equal(s->histogram_count, 2);
    assert_int_equal(f->refusals.samples, 3);
    assert_int_equal(f->refusals.by_reason[DIST_REASON_HISTOGRAM_INVALID], 2);
    assert_non_null(strstr(f->refusals.first.text, "observation count"));

    struct nx_histogram *h = NULL;
    struct nx_cursor cursor = nx_cursor_of(f->batch.histograms[s->first_histogram].encoded);
    assert_int_equal(nx_histogram_decode(&cursor, &f->batch.arena, &h), NX_OK);
    assert_int_equal(h->schema, 3);
    assert_int_equal(h->positive_count, 4);
    assert_true(h->positive[3] == 2 && h->integer);

    cursor = nx_cursor_of(f->batch.histograms[s->first_histogram + 1].encoded);
    assert_int_equal(nx_histogram_decode(&cursor, &f->batch.arena, &h), NX_OK);
    /* Buckets 1 2 3 . 5 of schema 9 are 1 1 2 . 3 of schema 8: counts 3 1 2. */
    assert_int_equal(h->schema, 8);
    assert_int_equal(h->positive_count, 3);
    assert_int_equal(h->positive_span_count, 1);
    assert_int_equal(h->positive_spans[0].offset, 1);
    assert_true(h->positive[0] == 3 && h->positive[1] == 1 && h->positive[2] == 2);
}

static void exemplars_that_are_invalid_are_dropped_without_failing(void **state)
{
    struct fixture *f = *state;
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", "e");
    for (size_t i = 0; i < 3; i++) {
        struct nx_buf exemplar;
        nx_buf_init(&exemplar, SIZE_MAX);
        test_put_label(&exemplar, i == 1 ? "\xff" : "trace_id", "abc");
        test_put_double(&exemplar, 2, (double)i);
        test_put_varint(&exemplar, 3, (uint64_t)(i == 2 ? INT64_MIN : now_ms));
        test_put_message(&series, 3, &exemplar);
    }
    test_put_message(&f->message, 1, &series);
    assert_int_equal(resolve(f), NX_OK);
    assert_int_equal(f->batch.series[0].exemplar_count, 1);
    assert_int_equal(f->refusals.by_reason[DIST_REASON_EXEMPLAR_INVALID], 2);
    assert_false(dist_refusals_any(&f->refusals));
}

static void metadata_without_name_is_refused(void **state)
{
    struct fixture *f = *state;
    struct nx_buf metadata;
    nx_buf_init(&metadata, SIZE_MAX);
    test_put_bytes(&metadata, 4, "help", 4);
    test_put_message(&f->message, 3, &metadata);
    nx_buf_init(&metadata, SIZE_MAX);
    test_put_bytes(&metadata, 2, "up", 2);
    test_put_message(&f->message, 3, &metadata);
    assert_int_equal(resolve(f), NX_OK);
    assert_int_equal(f->refusals.metadata, 1);
    assert_true(dist_refusals_any(&f->refusals));
    assert_true(f->batch.metadata[0].refused);
    assert_false(f->batch.metadata[1].refused);
}

static void resolve_out_of_memory_anywhere_fails_clean(void **state)
{
    struct fixture *f = *state;
    int64_t t = now_ms;
    add_series(f, PAIRS("__name__", "up", "b", "1", "a", "2"), 1, &t);
    add_series(f, PAIRS("b", "1"), 1, &t);
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    test_put_label(&series, "__name__", "h");
    put_histogram(&series, 9, 6, now_ms);
    test_put_message(&f->message, 1, &series);
    bool failed = true;
    for (size_t n = 1; failed; n++) {
        struct dist_batch batch;
        struct dist_refusals refusals = {.samples = 0};
        dist_batch_init(&batch);
        assert_int_equal(test_decode(nx_buf_view(&f->message), &batch, NULL), NX_OK);
        test_fail_allocation(n);
        enum nx_err err = dist_resolve(&f->resolver, &batch, &refusals, NULL);
        failed = test_allocation_failed();
        test_fail_allocation(0);
        /* An entry that did not fit into the cache, or a text that could not be printed, is no
         * failure. */
        assert_true(err == NX_OK || (failed && err == NX_ERR_NOMEM));
        if (!err)
            assert_int_equal(refusals.samples, 1);
        dist_batch_release(&batch);
    }
}

/* Random requests through decode and resolve: the rows that remain are sound. */
static void random_requests_resolve_to_sound_rows(void **state)
{
    struct fixture *f = *state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 31);
    for (size_t i = 0; i < 3000; i++) {
        nx_buf_clear(&f->message);
        test_random_request(&rand, &f->message);
        if (resolve(f))
            continue;
        for (size_t k = 0; k < f->batch.series_count; k++) {
            const struct dist_series *s = &f->batch.series[k];
            for (uint32_t h = 0; h < s->histogram_count && !s->refused; h++) {
                const struct dist_histogram *row = &f->batch.histograms[s->first_histogram + h];
                assert_int_equal(nx_histogram_validate(row->histogram, NULL), NX_OK);
                assert_true(row->encoded.len > 0);
            }
        }
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(series_equal_up_to_order_and_empties_get_one_id),
        CASE(series_of_two_tenants_differ),
        CASE(labels_interleaved_with_samples_are_not_cached),
        CASE(invalid_series_are_refused_and_the_others_kept),
        CASE(samples_out_of_bounds_are_taken_out),
        CASE(ten_thousand_labels_are_refused_unread),
        CASE(malformed_label_fails_the_request),
        CASE(histograms_are_validated_reduced_and_encoded),
        CASE(exemplars_that_are_invalid_are_dropped_without_failing),
        CASE(metadata_without_name_is_refused),
        CASE(resolve_out_of_memory_anywhere_fails_clean),
        CASE(random_requests_resolve_to_sound_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
