/* protobuf-c is the oracle, as of 1.0; then what the format adds: symbols in any place, references
 * that do not hold, metadata by family, and a hash that does not depend on the numbers. */
#include "distributor/receive/remote_write_v2.h"

#include <stdio.h>

#include "common/chunk/sample.h"
#include "distributor/resolve.h"
#include "proto/remote_write_v2.pb-c.h"
#include "tests/unit/distributor/dist_test.h"

static const struct dist_decode_limits generous = {.max_series = 10000, .max_samples = 10000};

static void put_text(struct nx_buf *out, unsigned field, const char *text)
{
    test_put_bytes(out, field, text, strlen(text));
}

static void put_refs(struct nx_buf *series, const uint32_t *refs, size_t count)
{
    struct nx_buf packed;
    nx_buf_init(&packed, SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        nx_buf_put_uvarint(&packed, refs[i]);
    test_put_message(series, 1, &packed);
}

static void put_symbols(struct nx_buf *out, const char *const *symbols, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_text(out, 4, symbols[i]);
}

static void put_metadata(struct nx_buf *series, unsigned type, unsigned help, unsigned unit)
{
    struct nx_buf inner;
    nx_buf_init(&inner, SIZE_MAX);
    test_put_varint(&inner, 1, type);
    test_put_varint(&inner, 3, help);
    test_put_varint(&inner, 4, unit);
    test_put_message(series, 5, &inner);
}

static void put_series(struct nx_buf *out, const uint32_t *refs, size_t count, int64_t t)
{
    struct nx_buf series;
    nx_buf_init(&series, SIZE_MAX);
    put_refs(&series, refs, count);
    test_put_sample(&series, t, 1);
    test_put_message(out, 5, &series);
}

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *const symbols[] = {"",      "__name__",   "up", "job", "api",    "help",
                                      "bytes", "req_bucket", "le", "1",   "req_sum"};

/* --- the oracle --- */

static void random_series(struct nx_rand *rand, struct nx_buf *out)
{
    struct nx_buf series;
    uint32_t refs[12];
    size_t count = nx_rand_below(rand, COUNT(refs));
    nx_buf_init(&series, SIZE_MAX);
    for (size_t i = 0; i < count; i++)
        refs[i] = (uint32_t)nx_rand_below(rand, 12);
    if (nx_rand_below(rand, 5))
        put_refs(&series, refs, count);
    else
        for (size_t i = 0; i < count; i++)
            test_put_varint(&series, 1, refs[i]);
    for (size_t i = nx_rand_below(rand, 3); i > 0; i--)
        test_put_sample(&series, (int64_t)nx_rand_below(rand, 100000), (double)i);
    if (nx_rand_below(rand, 3) == 0) {
        struct nx_buf exemplar;
        nx_buf_init(&exemplar, SIZE_MAX);
        put_refs(&exemplar, refs, count / 2);
        test_put_double(&exemplar, 2, 0.5);
        test_put_varint(&exemplar, 3, 77);
        test_put_message(&series, 4, &exemplar);
    }
    if (nx_rand_below(rand, 3) == 0) {
        struct nx_buf histogram;
        nx_buf_init(&histogram, SIZE_MAX);
        test_put_varint(&histogram, 1, 3);
        test_put_double(&histogram, 3, 1.5);
        test_put_varint(&histogram, 15, 99);
        test_put_message(&series, 3, &histogram);
    }
    if (nx_rand_below(rand, 3) == 0)
        put_metadata(&series, (unsigned)nx_rand_below(rand, 9), 5, 6);
    test_put_message(out, 5, &series);
}

static void random_request(struct nx_rand *rand, struct nx_buf *out)
{
    if (nx_rand_below(rand, 4))
        put_symbols(out, symbols, COUNT(symbols));
    for (size_t i = nx_rand_below(rand, 4); i > 0; i--)
        random_series(rand, out);
    if (nx_rand_below(rand, 8) == 0)
        put_symbols(out, symbols + 1, 3);
}

static void check_series(const struct dist_batch *batch, const struct dist_series *got,
                         const Io__Prometheus__Write__V2__TimeSeries *want)
{
    assert_int_equal(got->raw_labels.len / sizeof(uint32_t), want->n_labels_refs);
    bool holds = want->n_labels_refs % 2 == 0;
    for (size_t i = 0; i < want->n_labels_refs; i++) {
        uint32_t ref;
        memcpy(&ref, got->raw_labels.ptr + i * sizeof ref, sizeof ref);
        assert_int_equal(ref, want->labels_refs[i]);
        holds = holds && ref < batch->symbol_count;
    }
    if (!holds)
        assert_non_null(got->broken);
    assert_int_equal(got->sample_count, want->n_samples);
    for (size_t i = 0; i < want->n_samples; i++) {
        assert_int_equal(batch->timestamps[got->first_sample + i], want->samples[i]->timestamp);
        assert_true(batch->value_bits[got->first_sample + i] ==
                    nx_double_bits(want->samples[i]->value));
    }
    assert_int_equal(got->histogram_count, want->n_histograms);
    for (size_t i = 0; i < want->n_histograms; i++)
        assert_int_equal(batch->histograms[got->first_histogram + i].timestamp,
                         want->histograms[i]->timestamp);
    assert_int_equal(got->exemplar_count, want->n_exemplars);
    for (size_t i = 0; i < want->n_exemplars; i++) {
        const struct dist_exemplar *exemplar = &batch->exemplars[got->first_exemplar + i];
        assert_int_equal(exemplar->timestamp, want->exemplars[i]->timestamp);
        assert_true(exemplar->value_bits == nx_double_bits(want->exemplars[i]->value));
    }
}

static void compare(struct nx_view message, struct dist_batch *batch, size_t *accepted)
{
    struct nx_fail fail = {.code = NX_OK};
    Io__Prometheus__Write__V2__Request *want = io__prometheus__write__v2__request__unpack(
        NULL, message.len, (const uint8_t *)(const void *)message.ptr);
    dist_batch_clear(batch, 1 << 20);
    enum nx_err err = dist_rw2_decode(message, &generous, batch, &fail);
    bool quirk =
        err && want && (strstr(fail.text, "field number") || strstr(fail.text, "the first symbol"));
    if (!quirk && !err != (want != NULL))
        fail_msg("ours: %s, protobuf-c %s", err ? fail.text : "accepts",
                 want ? "accepts" : "rejects");
    if (!err && want) {
        (*accepted)++;
        assert_int_equal(batch->symbol_count, want->n_symbols);
        assert_int_equal(batch->series_count, want->n_timeseries);
        for (size_t i = 0; i < want->n_timeseries; i++)
            check_series(batch, &batch->series[i], want->timeseries[i]);
    }
    if (want)
        io__prometheus__write__v2__request__free_unpacked(want, NULL);
}

static void decode_agrees_with_protobuf_c(void **state)
{
    (void)state;
    struct dist_batch batch;
    struct nx_rand rand;
    size_t accepted = 0;
    nx_rand_seeded(&rand, 11);
    dist_batch_init(&batch);
    for (size_t i = 0; i < 20000; i++) {
        struct nx_buf message;
        nx_buf_init(&message, SIZE_MAX);
        random_request(&rand, &message);
        for (size_t k = i % 4; k > 0 && message.len > 0; k--)
            message.data[nx_rand_below(&rand, message.len)] = (char)nx_rand_u64(&rand);
        char *exact = nx_alloc(message.len + 1); /* the sanitizer sees a read beyond */
        assert_non_null(exact);
        memcpy(exact + 1, message.len ? message.data : "", message.len);
        compare(nx_view_make(exact + 1, message.len), &batch, &accepted);
        nx_free(exact);
        nx_buf_release(&message);
    }
    assert_true(accepted > 5000 && accepted < 19000);
    dist_batch_release(&batch);
}

/* --- the format --- */

static void decode(struct nx_buf *message, struct dist_batch *batch)
{
    struct nx_fail fail = {.code = NX_OK};
    dist_batch_init(batch);
    if (dist_rw2_decode(nx_buf_view(message), &generous, batch, &fail))
        fail_msg("%s", fail.text);
}

static void labels_are_read_through_symbols_that_come_last(void **state)
{
    (void)state;
    struct nx_buf message;
    struct dist_batch batch;
    const uint32_t refs[] = {1, 2, 3, 4};
    nx_buf_init(&message, SIZE_MAX);
    put_series(&message, refs, 4, 5);
    put_symbols(&message, symbols, COUNT(symbols));
    decode(&message, &batch);
    struct nx_label *labels = NULL;
    size_t count = 0;
    assert_null(batch.series[0].broken);
    assert_int_equal(batch.series[0].label_count, 2);
    assert_int_equal(dist_rw2_format.read(&batch, batch.series[0].raw_labels, &batch.arena, 1,
                                          &labels, &count, NULL),
                     NX_OK);
    assert_int_equal(count, 2);
    assert_true(nx_view_is(labels[0].name, "__name__") && nx_view_is(labels[0].value, "up"));
    dist_batch_release(&batch);
    nx_buf_release(&message);
}

static void hash_is_that_of_the_texts_whatever_their_numbers(void **state)
{
    (void)state;
    const char *const other[] = {"", "api", "job", "up", "__name__"};
    const uint32_t refs[] = {1, 2, 3, 4}, other_refs[] = {4, 3, 2, 1}, swapped[] = {4, 1, 2, 3};
    struct nx_buf a, b;
    struct dist_batch first, second;
    nx_buf_init(&a, SIZE_MAX);
    nx_buf_init(&b, SIZE_MAX);
    put_symbols(&a, symbols, COUNT(symbols));
    put_series(&a, refs, 4, 5);
    put_symbols(&b, other, COUNT(other));
    put_series(&b, other_refs, 4, 5);
    put_series(&b, swapped, 4, 5);
    decode(&a, &first);
    decode(&b, &second);
    struct nx_hash128 x = dist_rw2_format.hash(&first, first.series[0].raw_labels);
    struct nx_hash128 y = dist_rw2_format.hash(&second, second.series[0].raw_labels);
    struct nx_hash128 z = dist_rw2_format.hash(&second, second.series[1].raw_labels);
    assert_true(x.hi == y.hi && x.lo == y.lo);
    assert_false(x.hi == z.hi && x.lo == z.lo);
    dist_batch_release(&first);
    dist_batch_release(&second);
    nx_buf_release(&a);
    nx_buf_release(&b);
}

static void references_that_do_not_hold_break_their_series_alone(void **state)
{
    (void)state;
    const uint32_t good[] = {1, 2}, odd[] = {1, 2, 3}, wild[] = {1, 99};
    struct nx_buf message, series, exemplar;
    struct dist_batch batch;
    nx_buf_init(&message, SIZE_MAX);
    put_symbols(&message, symbols, COUNT(symbols));
    put_series(&message, good, 2, 5);
    put_series(&message, odd, 3, 5);
    put_series(&message, wild, 2, 5);
    nx_buf_init(&series, SIZE_MAX);
    put_refs(&series, good, 2);
    test_put_message(&message, 5, &series); /* nothing in it */
    nx_buf_init(&series, SIZE_MAX);
    put_refs(&series, good, 2);
    test_put_sample(&series, 6, 1);
    put_metadata(&series, 1, 50, 0);
    test_put_message(&message, 5, &series);
    nx_buf_init(&series, SIZE_MAX);
    nx_buf_init(&exemplar, SIZE_MAX);
    put_refs(&series, good, 2);
    test_put_sample(&series, 7, 1);
    put_refs(&exemplar, odd, 3);
    test_put_message(&series, 4, &exemplar);
    test_put_message(&message, 5, &series);
    decode(&message, &batch);

    struct dist_limits limits = test_limits();
    struct dist_refusals refusals = {.samples = 0};
    struct dist_resolver resolver = {
        .limits = &limits, .tenant = NX_VIEW("t"), .now_ms = INT64_C(1700000000000)};
    assert_int_equal(dist_resolve(&resolver, &batch, &refusals, NULL), NX_OK);
    assert_false(batch.series[0].refused);
    for (size_t i = 1; i <= 4; i++)
        assert_true(batch.series[i].refused);
    assert_false(batch.series[5].refused);
    assert_int_equal(batch.series[5].sample_count, 1);
    assert_int_equal(batch.series[5].exemplar_count, 0);
    assert_int_equal(refusals.samples, 3);
    assert_string_equal(refusals.first.text, "odd number of label references, series: up");
    dist_batch_release(&batch);
    nx_buf_release(&message);
}

static void metadata_belongs_to_the_family_and_is_kept_once(void **state)
{
    (void)state;
    const uint32_t bucket[] = {1, 7, 8, 9}, sum[] = {1, 10}, up[] = {1, 2};
    struct nx_buf message, series;
    struct dist_batch batch;
    nx_buf_init(&message, SIZE_MAX);
    put_symbols(&message, symbols, COUNT(symbols));
    for (size_t i = 0; i < 6; i++) {
        nx_buf_init(&series, SIZE_MAX);
        if (i < 4)
            put_refs(&series, i % 2 ? sum : bucket, i % 2 ? 2 : 4);
        else
            put_refs(&series, up, 2);
        test_put_sample(&series, (int64_t)i, 1);
        put_metadata(&series, i < 4 ? 3 : 0, i < 4 ? 5 : 0, i < 4 ? 6 : 0);
        test_put_message(&message, 5, &series);
    }
    decode(&message, &batch);
    assert_int_equal(batch.metadata_count, 1);
    assert_true(nx_view_is(batch.metadata[0].metric, "req"));
    assert_true(nx_view_is(batch.metadata[0].help, "help"));
    assert_true(nx_view_is(batch.metadata[0].unit, "bytes"));
    assert_int_equal(batch.metadata[0].type, 3);
    dist_batch_release(&batch);
    nx_buf_release(&message);
}

static void limits_and_the_arena_cap_are_told(void **state)
{
    (void)state;
    const uint32_t refs[] = {1, 2};
    struct dist_decode_limits limits = {.max_series = 1, .max_samples = 1};
    struct nx_fail fail = {.code = NX_OK};
    struct nx_buf message;
    struct dist_batch batch;
    nx_buf_init(&message, SIZE_MAX);
    put_symbols(&message, symbols, COUNT(symbols));
    put_series(&message, refs, 2, 1);
    dist_batch_init(&batch);
    assert_int_equal(dist_rw2_decode(nx_buf_view(&message), &limits, &batch, &fail), NX_OK);
    dist_batch_clear(&batch, 0);
    put_series(&message, refs, 2, 1);
    assert_int_equal(dist_rw2_decode(nx_buf_view(&message), &limits, &batch, &fail),
                     NX_ERR_TOO_LARGE);
    assert_non_null(strstr(fail.text, "limits.max-series-per-request"));
    for (size_t i = 0; i < 2000; i++)
        put_text(&message, 4, "");
    dist_batch_clear(&batch, 0);
    batch.arena.max_bytes = 20000;
    assert_int_equal(dist_rw2_decode(nx_buf_view(&message), &generous, &batch, &fail),
                     NX_ERR_TOO_LARGE);
    dist_batch_release(&batch);
    nx_buf_release(&message);
}

static void first_symbol_must_be_empty(void **state)
{
    (void)state;
    struct nx_fail fail = {.code = NX_OK};
    struct nx_buf message;
    struct dist_batch batch;
    nx_buf_init(&message, SIZE_MAX);
    put_symbols(&message, symbols + 1, 2);
    dist_batch_init(&batch);
    assert_int_equal(dist_rw2_decode(nx_buf_view(&message), &generous, &batch, &fail),
                     NX_ERR_INVALID);
    dist_batch_release(&batch);
    nx_buf_release(&message);
}

static void decode_out_of_memory_is_clean(void **state)
{
    (void)state;
    struct nx_rand rand;
    struct nx_buf message;
    nx_rand_seeded(&rand, 5);
    nx_buf_init(&message, SIZE_MAX);
    put_symbols(&message, symbols, COUNT(symbols));
    for (size_t i = 0; i < 20; i++)
        random_series(&rand, &message);
    for (size_t n = 1;; n++) {
        struct dist_batch batch;
        dist_batch_init(&batch);
        test_fail_allocation(n);
        enum nx_err err = dist_rw2_decode(nx_buf_view(&message), &generous, &batch, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        dist_batch_release(&batch);
        assert_int_equal(err, failed ? NX_ERR_NOMEM : NX_OK);
        if (!failed)
            break;
    }
    nx_buf_release(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_agrees_with_protobuf_c),
        cmocka_unit_test(labels_are_read_through_symbols_that_come_last),
        cmocka_unit_test(hash_is_that_of_the_texts_whatever_their_numbers),
        cmocka_unit_test(references_that_do_not_hold_break_their_series_alone),
        cmocka_unit_test(metadata_belongs_to_the_family_and_is_kept_once),
        cmocka_unit_test(limits_and_the_arena_cap_are_told),
        cmocka_unit_test(first_symbol_must_be_empty),
        cmocka_unit_test(decode_out_of_memory_is_clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
