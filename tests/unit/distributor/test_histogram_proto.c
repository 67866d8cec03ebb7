#include "distributor/receive/histogram_buckets.h"
#include "distributor/receive/histogram_proto.h"

#include <math.h>

#include "common/chunk/sample.h"
#include "tests/unit/distributor/dist_test.h"

static enum nx_err decode(struct nx_buf *message, struct nx_arena *arena, int64_t *t,
                          struct nx_histogram **h, struct nx_fail *fail)
{
    enum nx_err err = dist_histogram_decode(&dist_histogram_remote_write, nx_buf_view(message),
                                            arena, t, h, fail);
    nx_buf_release(message);
    return err;
}

static void decode_float_and_integer_forms(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_buf m;
    struct nx_histogram *h = NULL;
    int64_t t = 0;
    nx_arena_init(&arena, 0);
    nx_buf_init(&m, SIZE_MAX);
    test_put_varint(&m, 1, 7);
    test_put_bytes(&m, 12, "\x04\x01\x06", 3); /* +2 -1 +3 */
    test_put_varint(&m, 6, 5);
    test_put_varint(&m, 14, 3);
    test_put_varint(&m, 15, (uint64_t)INT64_C(-9));
    assert_int_equal(decode(&m, &arena, &t, &h, NULL), NX_OK);
    assert_true(h->integer && h->count == 7 && h->zero_count == 5 && t == -9);
    assert_int_equal(h->hint, NX_HINT_GAUGE);
    assert_int_equal(h->positive_count, 3);
    assert_true(h->positive[0] == 2 && h->positive[1] == 1 && h->positive[2] == 4);

    nx_buf_init(&m, SIZE_MAX);
    test_put_varint(&m, 1, 7); /* overruled by the float count, which comes last */
    test_put_bytes(&m, 12, "\x04\x01\x06", 3);
    test_put_double(&m, 2, 1.5);
    test_put_double(&m, 7, 0.5);
    test_put_double(&m, 13, 0.25);
    test_put_double(&m, 10, 0.75);
    test_put_varint(&m, 14, 99); /* no such hint */
    assert_int_equal(decode(&m, &arena, &t, &h, NULL), NX_OK);
    assert_true(!h->integer && h->count == 1.5 && h->zero_count == 0.5);
    assert_int_equal(h->hint, NX_HINT_UNKNOWN);
    assert_int_equal(h->positive_count, 1);
    assert_true(h->positive[0] == 0.25 && h->negative[0] == 0.75);
    nx_arena_release(&arena);
}

static void decode_stale_sum_is_kept_to_the_bit(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_buf m;
    struct nx_histogram *h = NULL;
    int64_t t = 0;
    nx_arena_init(&arena, 0);
    nx_buf_init(&m, SIZE_MAX);
    test_put_fixed64(&m, 3, NX_STALE_NAN_BITS);
    assert_int_equal(decode(&m, &arena, &t, &h, NULL), NX_OK);
    assert_true(nx_histogram_is_stale(h));
    nx_arena_release(&arena);
}

static void decode_broken_message_says_what(void **state)
{
    (void)state;
    struct nx_arena arena;
    struct nx_buf m;
    struct nx_histogram *h = NULL;
    int64_t t = 0;
    struct nx_fail fail = {.code = NX_OK};
    nx_arena_init(&arena, 0);
    nx_buf_init(&m, SIZE_MAX);
    test_put_bytes(&m, 13, "1234567", 7);
    assert_int_equal(decode(&m, &arena, &t, &h, &fail), NX_ERR_INVALID);
    assert_string_equal(fail.text, "packed doubles of a broken length in Histogram");
    nx_buf_init(&m, SIZE_MAX);
    test_put_bytes(&m, 11, "\x08", 1);
    assert_int_equal(decode(&m, &arena, &t, &h, &fail), NX_ERR_INVALID);
    assert_string_equal(fail.text, "truncated varint in Histogram");
    assert_null(h);
    nx_arena_release(&arena);
}

/* --- resolution --- */

enum { MAX_BUCKETS = 40, MODEL = 400 };

static size_t random_side(struct nx_rand *rand, struct nx_span *spans, size_t *span_count,
                          double *buckets)
{
    size_t count = 0;
    *span_count = nx_rand_below(rand, 5);
    for (size_t s = 0; s < *span_count; s++) {
        spans[s].offset = (int32_t)nx_rand_below(rand, 20) - (s == 0 ? 10 : 0);
        spans[s].length = (uint32_t)nx_rand_below(rand, 8);
        for (uint32_t i = 0; i < spans[s].length; i++)
            buckets[count++] = (double)nx_rand_below(rand, 100);
    }
    return count;
}

/* Counts by bucket index, moved by MODEL / 2. */
static void spread(const struct nx_span *spans, size_t span_count, const double *buckets,
                   int32_t steps, double *model)
{
    int64_t index = 0;
    size_t next = 0;
    for (size_t i = 0; i < MODEL; i++)
        model[i] = 0;
    for (size_t s = 0; s < span_count; s++) {
        index += spans[s].offset;
        for (uint32_t i = 0; i < spans[s].length; i++, index++) {
            int64_t target = (int64_t)ceil((double)index / (double)(1 << steps));
            model[target + MODEL / 2] += buckets[next++];
        }
    }
}

static void reduce_moves_every_count_to_the_coarser_bucket(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 41);
    for (size_t round = 0; round < 5000; round++) {
        struct nx_arena arena;
        struct nx_span positive[5], negative[5];
        double positive_counts[MAX_BUCKETS], negative_counts[MAX_BUCKETS];
        double want[2][MODEL], got[MODEL];
        int32_t steps = (int32_t)(1 + nx_rand_below(&rand, 5));
        struct nx_histogram h = {.schema = 8 + steps,
                                 .positive_spans = positive,
                                 .positive = positive_counts,
                                 .negative_spans = negative,
                                 .negative = negative_counts};
        nx_arena_init(&arena, 0);
        h.positive_count = random_side(&rand, positive, &h.positive_span_count, positive_counts);
        h.negative_count = random_side(&rand, negative, &h.negative_span_count, negative_counts);
        spread(positive, h.positive_span_count, positive_counts, steps, want[0]);
        spread(negative, h.negative_span_count, negative_counts, steps, want[1]);
        assert_int_equal(dist_histogram_reduce(&arena, &h), NX_OK);
        assert_int_equal(h.schema, 8);
        spread(h.positive_spans, h.positive_span_count, h.positive, 0, got);
        assert_memory_equal(got, want[0], sizeof got);
        spread(h.negative_spans, h.negative_span_count, h.negative, 0, got);
        assert_memory_equal(got, want[1], sizeof got);
        size_t promised = 0;
        for (size_t s = 0; s < h.positive_span_count; s++) {
            promised += h.positive_spans[s].length;
            assert_true(h.positive_spans[s].length > 0);
            assert_true(s == 0 || h.positive_spans[s].offset > 0);
        }
        assert_int_equal(promised, h.positive_count);
        nx_arena_release(&arena);
    }
}

static void reduce_leaves_alone_what_it_should_not_touch(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    static const int32_t schemas[] = {-53, -4, 0, 8, 53, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        struct nx_histogram h = {.schema = schemas[i]};
        assert_int_equal(dist_histogram_reduce(&arena, &h), NX_OK);
        assert_int_equal(h.schema, schemas[i]);
    }
    /* A layout that promises other buckets than there are is for the validation to refuse. */
    struct nx_span spans[] = {{INT32_MAX, UINT32_MAX}, {-1, 1}};
    double bucket = 1;
    struct nx_histogram h = {.schema = 20,
                             .positive_spans = spans,
                             .positive_span_count = 2,
                             .positive = &bucket,
                             .positive_count = 1};
    assert_int_equal(dist_histogram_reduce(&arena, &h), NX_OK);
    assert_int_equal(h.schema, 20);
    assert_int_equal(nx_histogram_validate(&h, NULL), NX_ERR_INVALID);
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_float_and_integer_forms),
        cmocka_unit_test(decode_stale_sum_is_kept_to_the_bit),
        cmocka_unit_test(decode_broken_message_says_what),
        cmocka_unit_test(reduce_moves_every_count_to_the_coarser_bucket),
        cmocka_unit_test(reduce_leaves_alone_what_it_should_not_touch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
