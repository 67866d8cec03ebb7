#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/chunk/chunk.h"
#include "common/chunk/merge.h"
#include "common/chunk/prom_chunks.h"
#include "prom_decoder.h"
#include "random_histogram.h"

enum { SAMPLES = 300 };

/* --- samples from an array --- */

struct array_iter {
    struct nx_sample_iter base;
    const struct nx_sample *samples;
    size_t count, at;
    int end; /* what comes after the last */
    bool freed;
};

static int array_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct array_iter *a = (struct array_iter *)it;
    if (a->at == a->count)
        return a->end;
    *out = a->samples[a->at++];
    return 1;
}

static int array_seek(struct nx_sample_iter *it, int64_t t, struct nx_sample *out)
{
    struct array_iter *a = (struct array_iter *)it;
    while (a->at < a->count && a->samples[a->at].t < t)
        a->at++;
    return array_next(it, out);
}

static void array_free(struct nx_sample_iter *it)
{
    ((struct array_iter *)it)->freed = true;
}

static const struct nx_sample_iter_ops array_ops = {array_next, array_seek, array_free};

static struct array_iter array_of(const struct nx_sample *samples, size_t count)
{
    return (struct array_iter){.base = {&array_ops}, .samples = samples, .count = count};
}

/* --- the same bytes as Prometheus (tsdb/chunkenc of v0.54.1) --- */

static struct nx_span span(int32_t offset, uint32_t length)
{
    return (struct nx_span){offset, length};
}

#define SPANS(...)     \
    (struct nx_span[]) \
    {                  \
        __VA_ARGS__    \
    }
#define VALUES(...) \
    (double[])      \
    {               \
        __VA_ARGS__ \
    }
#define POSITIVE(n, m) .positive_span_count = (n), .positive_count = (m)

static void assert_bytes(const struct nx_sample *samples, size_t count,
                         enum nx_prom_encoding encoding, const char *hex)
{
    struct array_iter it = array_of(samples, count);
    struct nx_prom_chunks *chunks;
    struct nx_prom_chunk chunk;
    char text[1024] = "";
    assert_int_equal(nx_prom_chunks_new(&it.base, &chunks), NX_OK);
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 1);
    assert_int_equal(chunk.encoding, encoding);
    assert_int_equal(chunk.count, count);
    assert_int_equal(chunk.min_t, samples[0].t);
    assert_int_equal(chunk.max_t, samples[count - 1].t);
    for (size_t i = 0; i < chunk.data.len; i++)
        snprintf(text + 2 * i, 3, "%02x", (unsigned char)chunk.data.ptr[i]);
    assert_string_equal(text, hex);
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 0);
    nx_prom_chunks_free(chunks);
    assert_true(it.freed);
}

static const int64_t times[] = {1700000000000, 1700000015000, 1700000030001, 1700000045000};

static void integer_chunk_with_new_buckets_is_prometheus_bytes(void **state)
{
    (void)state;
    struct nx_span five[] = {{0, 5}}, two[] = {{-3, 2}};
    struct nx_histogram a = {.schema = 1,
                             .integer = true,
                             .zero_threshold = 0x1p-128,
                             .zero_count = 2,
                             .count = 9,
                             .sum = 18.4,
                             .positive_spans = SPANS(span(0, 2), span(1, 2)),
                             POSITIVE(2, 4),
                             .positive = VALUES(1, 2, 1, 1),
                             .negative_spans = SPANS(span(-3, 1)),
                             .negative_span_count = 1,
                             .negative = VALUES(2),
                             .negative_count = 1};
    struct nx_histogram b = {.schema = 1,
                             .integer = true,
                             .zero_threshold = 0x1p-128,
                             .zero_count = 5,
                             .count = 21,
                             .sum = 1234.5,
                             .positive_spans = five,
                             POSITIVE(1, 5),
                             .positive = VALUES(2, 4, 3, 3, 1),
                             .negative_spans = two,
                             .negative_span_count = 1,
                             .negative = VALUES(2, 3),
                             .negative_count = 2};
    struct nx_histogram c = b;
    c.zero_count = 6;
    c.count = 400000;
    c.sum = -7;
    c.positive = VALUES(2, 102, 101, 101, 106);
    c.negative = VALUES(3, 4);
    struct nx_histogram d = {.integer = true, .sum = nx_double_from_bits(NX_STALE_NAN_BITS)};
    struct nx_sample samples[] = {{.t = times[0], .histogram = &a},
                                  {.t = times[1], .histogram = &b},
                                  {.t = times[2], .histogram = &c},
                                  {.t = times[3], .histogram = &d}};
    assert_bytes(samples, 4, NX_PROM_HISTOGRAM,
                 "000400748c6a8cabfc0003179fcad001899201933333333333346368a56f83a98c64f46f4258cccc"
                 "ccccce318dec9c7f018697ed817808f4b7e30de3898d6c60feffb0000000000008");
}

static void extreme_numbers_are_prometheus_bytes(void **state)
{
    (void)state;
    struct nx_histogram a = {.integer = true,
                             .zero_threshold = 0.001,
                             .count = 3,
                             .sum = 1,
                             .positive_spans = SPANS(span(-100000, 1)),
                             POSITIVE(1, 1),
                             .positive = VALUES(3)};
    struct nx_histogram b = a;
    b.count = 0x1p50;
    b.sum = 2;
    b.positive = VALUES(0x1p50);
    struct nx_sample samples[] = {{.t = -5, .histogram = &a},
                                  {.t = INT64_C(1) << 60, .histogram = &b}};
    assert_bytes(samples, 2, NX_PROM_HISTOGRAM,
                 "000200ff3f50624dd2f1a9fc463f4f2c0ddcc7fe00000000000013ff1000000000000005fe03ffff"
                 "fffffffd612fffff01fffffffffffe80");
}

static void custom_bounds_are_prometheus_bytes(void **state)
{
    (void)state;
    struct nx_histogram a = {.schema = NX_HISTOGRAM_CUSTOM_SCHEMA,
                             .integer = true,
                             .count = 6,
                             .sum = 3.5,
                             .positive_spans = SPANS(span(0, 3)),
                             POSITIVE(1, 3),
                             .positive = VALUES(1, 2, 3),
                             .custom_bounds = VALUES(0.57, 2.5, 1e9 + 0.1),
                             .custom_count = 3};
    struct nx_sample sample = {.t = 0, .histogram = &a};
    assert_bytes(&sample, 1, NX_PROM_HISTOGRAM,
                 "00010000ee5c664fc477e9c520e6e6b280066666ac400c0000000000008c62");
}

static void float_chunk_after_a_reset_is_prometheus_bytes(void **state)
{
    (void)state;
    struct nx_histogram a = {.hint = NX_HINT_RESET,
                             .schema = -1,
                             .zero_count = 0.5,
                             .count = 9.25,
                             .sum = 18.4,
                             .positive_spans = SPANS(span(0, 2)),
                             POSITIVE(1, 2),
                             .positive = VALUES(1.5, 2.25)};
    struct nx_histogram b = {.schema = -1,
                             .zero_count = 0.5,
                             .count = 19.25,
                             .sum = 118.4,
                             .positive_spans = SPANS(span(0, 2), span(3, 1)),
                             POSITIVE(2, 3),
                             .positive = VALUES(1.5, 6.25, 3)};
    struct nx_histogram c = {.sum = nx_double_from_bits(NX_STALE_NAN_BITS)};
    struct nx_sample samples[] = {{.t = times[0], .histogram = &a},
                                  {.t = times[1], .histogram = &b},
                                  {.t = times[2], .histogram = &c}};
    assert_bytes(samples, 3, NX_PROM_FLOAT_HISTOGRAM,
                 "00038000bca48cdfc0003179fcad00080450000000000007fc00000000000008064cccccccccccc7"
                 "ff000000000000080040000000000000000000000000001f07531ac78ed3aeffffffffffffdac5de"
                 "13200638518066e227ff8bbfeb666666666666");
}

static void gauge_chunk_whose_buckets_vanish_is_prometheus_bytes(void **state)
{
    (void)state;
    struct nx_histogram a = {.hint = NX_HINT_GAUGE,
                             .schema = 3,
                             .count = 4,
                             .sum = 1,
                             .positive_spans = SPANS(span(2, 2)),
                             POSITIVE(1, 2),
                             .positive = VALUES(1, 3)};
    struct nx_histogram b = {.hint = NX_HINT_GAUGE,
                             .schema = 3,
                             .count = 1,
                             .sum = 1,
                             .positive_spans = SPANS(span(4, 1)),
                             POSITIVE(1, 1),
                             .positive = VALUES(1)};
    struct nx_sample samples[] = {{.t = times[0], .histogram = &a},
                                  {.t = times[1], .histogram = &b}};
    assert_bytes(samples, 2, NX_PROM_FLOAT_HISTOGRAM,
                 "0002c0009c6727f0000c5e7f2b400200800000000000000000000000000001ff80000000000001ff"
                 "8000000000000200400000000000000000000000000007c1d4c612bff3115ffe132007115ff8");
}

static void stale_marker_alone_is_prometheus_bytes(void **state)
{
    (void)state;
    struct nx_histogram a = {.integer = true, .sum = nx_double_from_bits(NX_STALE_NAN_BITS)};
    struct nx_sample sample = {.t = times[0], .histogram = &a};
    assert_bytes(&sample, 1, NX_PROM_HISTOGRAM, "000100001fc0003179fcad0003ff80000000000010");
}

/* --- whatever goes in comes out --- */

static double count_at(const struct nx_span *spans, size_t span_count, const double *counts,
                       int64_t index)
{
    int64_t at = 0;
    size_t k = 0;
    for (size_t i = 0; i < span_count; i++) {
        at += spans[i].offset;
        if (index >= at && index < at + spans[i].length)
            return counts[k + (size_t)(index - at)];
        at += spans[i].length;
        k += spans[i].length;
    }
    return 0;
}

static void assert_same_buckets(const struct nx_histogram *a, const struct nx_histogram *b)
{
    for (int64_t i = -200; i < 300; i++) {
        double x = count_at(a->positive_spans, a->positive_span_count, a->positive, i);
        double y = count_at(b->positive_spans, b->positive_span_count, b->positive, i);
        assert_int_equal(nx_double_bits(x), nx_double_bits(y));
        x = count_at(a->negative_spans, a->negative_span_count, a->negative, i);
        y = count_at(b->negative_spans, b->negative_span_count, b->negative, i);
        assert_int_equal(nx_double_bits(x), nx_double_bits(y));
    }
}

static void assert_same_histogram(const struct nx_histogram *a, const struct nx_histogram *b)
{
    assert_int_equal(nx_double_bits(a->sum), nx_double_bits(b->sum));
    if (nx_histogram_is_stale(a))
        return;
    assert_int_equal(nx_double_bits(a->count), nx_double_bits(b->count));
    assert_int_equal(nx_double_bits(a->zero_count), nx_double_bits(b->zero_count));
    assert_int_equal(nx_double_bits(a->zero_threshold), nx_double_bits(b->zero_threshold));
    assert_int_equal(a->schema, b->schema);
    assert_int_equal(a->custom_count, b->custom_count);
    if (a->custom_count > 0)
        assert_memory_equal(a->custom_bounds, b->custom_bounds,
                            a->custom_count * sizeof *a->custom_bounds);
    assert_same_buckets(a, b);
}

/* What a chunk says of resets is what the samples say: one with the hint begins a chunk that says
 * so, and inside a chunk of a counter nothing decreases. */
static void assert_resets(const struct decoded_chunk *chunk, const struct nx_sample *samples)
{
    bool gauge = chunk->flags == 0xC0;
    for (size_t i = 0; i < chunk->count; i++) {
        const struct nx_histogram *h = samples[i].histogram;
        if (nx_histogram_is_stale(h))
            continue;
        assert_int_equal(gauge, h->hint == NX_HINT_GAUGE);
        if (h->hint == NX_HINT_RESET) {
            assert_int_equal(i, 0);
            assert_int_equal(chunk->flags, 0x80);
        }
        if (i > 0 && !gauge)
            assert_true(h->count >= samples[i - 1].histogram->count);
    }
}

static size_t random_samples(struct nx_rand *rand, struct nx_arena *arena, struct nx_sample *out)
{
    const struct nx_histogram *full = NULL;
    size_t count = 1 + (size_t)nx_rand_below(rand, SAMPLES);
    int64_t t = (int64_t)nx_rand_below(rand, 1000000) - 500000;
    for (size_t i = 0; i < count; i++) {
        uint64_t what = nx_rand_below(rand, 40);
        out[i] = (struct nx_sample){.t = t, .value = nx_rand_unit(rand)};
        t += 1 + (int64_t)nx_rand_below(rand, 30000);
        if (what == 0)
            continue; /* a float */
        if (what == 1) {
            struct nx_histogram *stale = nx_arena_calloc(arena, 1, sizeof *stale);
            stale->sum = nx_double_from_bits(NX_STALE_NAN_BITS);
            stale->integer = nx_rand_below(rand, 2) == 0;
            out[i].histogram = stale;
        } else if (what == 2 || !full) {
            out[i].histogram = full = random_histogram(rand, arena, nx_rand_below(rand, 2) == 0);
        } else {
            struct nx_histogram *next = grown_histogram(rand, arena, full);
            if (nx_rand_below(rand, 20) == 0)
                next->hint = (enum nx_reset_hint)nx_rand_below(rand, 4);
            if (nx_rand_below(rand, 10) == 0 && next->positive_count > 0) {
                next->positive_count--; /* a bucket vanishes */
                while (next->positive_spans[next->positive_span_count - 1].length == 0)
                    next->positive_span_count--;
                next->positive_spans[next->positive_span_count - 1].length--;
            }
            out[i].histogram = full = next;
        }
    }
    return count;
}

static void assert_float_chunk(const struct nx_prom_chunk *chunk, const struct nx_sample *samples)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_XOR, chunk->data, &it), NX_OK);
    for (size_t i = 0; i < chunk->count; i++) {
        assert_int_equal(nx_sample_next(it, &sample), 1);
        assert_null(samples[i].histogram);
        assert_int_equal(sample.t, samples[i].t);
        assert_int_equal(nx_double_bits(sample.value), nx_double_bits(samples[i].value));
    }
    assert_int_equal(nx_sample_next(it, &sample), 0);
    nx_sample_iter_free(it);
}

static void assert_histogram_chunk(struct nx_arena *arena, const struct nx_prom_chunk *chunk,
                                   const struct nx_sample *samples)
{
    struct decoded_chunk decoded = decode_prom_chunk(arena, chunk);
    assert_int_equal(decoded.count, chunk->count);
    for (size_t i = 0; i < decoded.count; i++) {
        assert_non_null(samples[i].histogram);
        assert_int_equal(decoded.samples[i].t, samples[i].t);
        assert_same_histogram(decoded.samples[i].h, samples[i].histogram);
    }
    assert_resets(&decoded, samples);
}

static void random_samples_come_back(void **state)
{
    (void)state;
    static struct nx_sample samples[SAMPLES];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 77);
    for (int round = 0; round < 400; round++) {
        struct nx_arena arena;
        struct nx_prom_chunks *chunks;
        struct nx_prom_chunk chunk;
        nx_arena_init(&arena, 0);
        size_t count = random_samples(&rand, &arena, samples), at = 0;
        struct array_iter it = array_of(samples, count);
        assert_int_equal(nx_prom_chunks_new(&it.base, &chunks), NX_OK);
        int status;
        while ((status = nx_prom_chunks_next(chunks, &chunk)) == 1) {
            assert_in_range(chunk.count, 1, NX_PROM_CHUNK_SAMPLES);
            assert_true(at + chunk.count <= count);
            assert_int_equal(chunk.min_t, samples[at].t);
            assert_int_equal(chunk.max_t, samples[at + chunk.count - 1].t);
            if (chunk.encoding == NX_PROM_XOR)
                assert_float_chunk(&chunk, samples + at);
            else
                assert_histogram_chunk(&arena, &chunk, samples + at);
            at += chunk.count;
        }
        assert_int_equal(status, 0);
        assert_int_equal(at, count);
        nx_prom_chunks_free(chunks);
        nx_arena_release(&arena);
    }
}

static void floats_come_in_chunks_of_120(void **state)
{
    (void)state;
    struct nx_sample samples[SAMPLES];
    struct nx_prom_chunks *chunks;
    struct nx_prom_chunk chunk;
    for (size_t i = 0; i < SAMPLES; i++)
        samples[i] = (struct nx_sample){.t = (int64_t)i, .value = (double)i};
    struct array_iter it = array_of(samples, SAMPLES);
    assert_int_equal(nx_prom_chunks_new(&it.base, &chunks), NX_OK);
    static const uint32_t counts[] = {120, 120, 60};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 1);
        assert_int_equal(chunk.count, counts[i]);
        assert_int_equal(chunk.min_t, (int64_t)i * 120);
    }
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 0);
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 0);
    nx_prom_chunks_free(chunks);
}

static void many_buckets_fill_a_chunk_early(void **state)
{
    (void)state;
    enum { BUCKETS = 1000 };
    static double counts[BUCKETS];
    struct nx_sample samples[30];
    struct nx_histogram h = {.integer = true,
                             .positive_spans = SPANS(span(0, BUCKETS)),
                             POSITIVE(1, BUCKETS),
                             .positive = counts};
    struct nx_prom_chunks *chunks;
    struct nx_prom_chunk chunk;
    for (size_t i = 0; i < 30; i++)
        samples[i] = (struct nx_sample){.t = (int64_t)i, .histogram = &h};
    struct array_iter it = array_of(samples, 30);
    assert_int_equal(nx_prom_chunks_new(&it.base, &chunks), NX_OK);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 1);
        assert_int_equal(chunk.count, 10);
        /* not a reset, and what went before is known */
        assert_int_equal((unsigned char)chunk.data.ptr[2], i == 0 ? 0x00 : 0x40);
    }
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 0);
    nx_prom_chunks_free(chunks);
}

static void damage_of_the_source_is_passed_on(void **state)
{
    (void)state;
    struct nx_sample sample = {.t = 1, .value = 2};
    struct array_iter it = array_of(&sample, 1);
    struct nx_prom_chunks *chunks;
    struct nx_prom_chunk chunk;
    it.end = NX_ERR_CORRUPT;
    assert_int_equal(nx_prom_chunks_new(&it.base, &chunks), NX_OK);
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), 1);
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), NX_ERR_CORRUPT);
    assert_int_equal(nx_prom_chunks_next(chunks, &chunk), NX_ERR_CORRUPT);
    nx_prom_chunks_free(chunks);
}

static bool fail_nth(size_t size, void *user)
{
    size_t *left = user;
    (void)size;
    return (*left)-- != 0;
}

/* Every allocation fails once; nothing leaks, and the failure comes out. */
static void failing_memory_is_an_error(void **state)
{
    (void)state;
    static struct nx_sample samples[SAMPLES];
    struct nx_rand rand;
    struct nx_arena arena;
    nx_rand_seeded(&rand, 5);
    nx_arena_init(&arena, 0);
    size_t count = random_samples(&rand, &arena, samples);
    for (size_t n = 0;; n++) {
        struct array_iter it = array_of(samples, count);
        struct nx_prom_chunks *chunks = NULL;
        struct nx_prom_chunk chunk;
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        int status = nx_prom_chunks_new(&it.base, &chunks);
        while (chunks && (status = nx_prom_chunks_next(chunks, &chunk)) == 1)
            ;
        nx_prom_chunks_free(chunks);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(it.freed);
        if (status == 0)
            break;
        assert_int_equal(status, NX_ERR_NOMEM);
    }
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integer_chunk_with_new_buckets_is_prometheus_bytes),
        cmocka_unit_test(extreme_numbers_are_prometheus_bytes),
        cmocka_unit_test(custom_bounds_are_prometheus_bytes),
        cmocka_unit_test(float_chunk_after_a_reset_is_prometheus_bytes),
        cmocka_unit_test(gauge_chunk_whose_buckets_vanish_is_prometheus_bytes),
        cmocka_unit_test(stale_marker_alone_is_prometheus_bytes),
        cmocka_unit_test(random_samples_come_back),
        cmocka_unit_test(floats_come_in_chunks_of_120),
        cmocka_unit_test(many_buckets_fill_a_chunk_early),
        cmocka_unit_test(damage_of_the_source_is_passed_on),
        cmocka_unit_test(failing_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
