#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/chunk/chunk.h"
#include "common/chunk/merge.h"
#include "common/chunk/prom_chunk_iter.h"
#include "common/chunk/prom_chunks.h"
#include "random_histogram.h"

enum { SAMPLES = 400 };

/* --- samples of all sorts --- */

struct samples {
    struct nx_arena arena;
    struct nx_sample items[SAMPLES];
    size_t count;
};

static double random_float(struct nx_rand *rand, double before)
{
    switch (nx_rand_below(rand, 6)) {
    case 0:
        return before;
    case 1:
        return nx_double_from_bits(NX_STALE_NAN_BITS);
    case 2:
        return nx_double_from_bits(nx_rand_u64(rand));
    case 3:
        return -0.0;
    default:
        return before + (double)nx_rand_below(rand, 100);
    }
}

static const struct nx_histogram *random_sample(struct nx_rand *rand, struct nx_arena *arena,
                                                const struct nx_histogram *before)
{
    static const struct nx_histogram stale = {0};
    uint64_t what = nx_rand_below(rand, 12);
    if (what == 0) {
        struct nx_histogram *h = nx_histogram_copy(arena, &stale);
        h->integer = nx_rand_below(rand, 2);
        h->sum = nx_double_from_bits(NX_STALE_NAN_BITS);
        return h;
    }
    if (what == 1 || !before || nx_histogram_is_stale(before))
        return random_histogram(rand, arena, nx_rand_below(rand, 2));
    return grown_histogram(rand, arena, before);
}

static void make_samples(struct samples *out, uint64_t seed)
{
    struct nx_rand rand;
    nx_rand_seeded(&rand, seed);
    nx_arena_init(&out->arena, 0);
    int64_t t = (int64_t)nx_rand_below(&rand, 1000000) - 500000;
    double value = 1;
    const struct nx_histogram *h = NULL;
    bool floats = nx_rand_below(&rand, 2);
    out->count = 1 + (size_t)nx_rand_below(&rand, SAMPLES);
    for (size_t i = 0; i < out->count; i++) {
        if (nx_rand_below(&rand, 60) == 0)
            floats = !floats;
        if (floats)
            value = random_float(&rand, value);
        else
            h = random_sample(&rand, &out->arena, h);
        out->items[i] =
            (struct nx_sample){.t = t, .value = floats ? value : 0, .histogram = floats ? NULL : h};
        t += 1 + (int64_t)nx_rand_below(&rand, nx_rand_below(&rand, 9) ? 15000 : 100000000);
    }
}

struct array_iter {
    struct nx_sample_iter base;
    const struct samples *samples;
    size_t at;
};

static int array_next(struct nx_sample_iter *it, struct nx_sample *out)
{
    struct array_iter *a = (struct array_iter *)it;
    if (a->at == a->samples->count)
        return 0;
    *out = a->samples->items[a->at++];
    return 1;
}

static void array_free(struct nx_sample_iter *it)
{
    (void)it;
}

static const struct nx_sample_iter_ops array_ops = {array_next, NULL, array_free};

static bool same_counts(const double *a, const double *b, size_t count)
{
    return count == 0 || memcmp(a, b, count * sizeof *a) == 0;
}

/* Hints of counters follow from the chunks. */
static void assert_same(const struct nx_sample *a, const struct nx_sample *b)
{
    assert_int_equal(a->t, b->t);
    assert_true((a->histogram != NULL) == (b->histogram != NULL));
    if (!a->histogram) {
        assert_int_equal(nx_double_bits(a->value), nx_double_bits(b->value));
        return;
    }
    const struct nx_histogram *x = a->histogram;
    const struct nx_histogram *y = b->histogram;
    assert_int_equal(nx_double_bits(x->sum), nx_double_bits(y->sum));
    if (nx_histogram_is_stale(x))
        return;
    assert_true(nx_histogram_same_layout(x, y));
    assert_int_equal(x->integer, y->integer);
    assert_true((x->hint == NX_HINT_GAUGE) == (y->hint == NX_HINT_GAUGE));
    assert_true(same_counts(&x->count, &y->count, 1));
    assert_true(same_counts(&x->zero_count, &y->zero_count, 1));
    assert_true(same_counts(x->positive, y->positive, x->positive_count));
    assert_true(same_counts(x->negative, y->negative, x->negative_count));
}

static size_t check_chunk(const struct nx_prom_chunk *chunk, const struct nx_sample *expected)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    size_t count = 0;
    assert_int_equal(nx_prom_chunk_iter_new(chunk->encoding, chunk->data, &it), NX_OK);
    while (nx_sample_next(it, &sample) == 1) {
        assert_true(!sample.histogram || nx_histogram_is_sound(sample.histogram));
        assert_same(&expected[count++], &sample);
    }
    assert_int_equal(nx_sample_next(it, &sample), 0);
    nx_sample_iter_free(it);
    assert_int_equal(count, chunk->count);
    return count;
}

static void any_samples_come_back_as_they_were(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 400; seed++) {
        struct samples samples;
        make_samples(&samples, seed);
        struct array_iter it = {.base = {&array_ops}, .samples = &samples};
        struct nx_prom_chunks *chunks;
        struct nx_prom_chunk chunk;
        size_t at = 0;
        assert_int_equal(nx_prom_chunks_new(&it.base, &chunks), NX_OK);
        nx_prom_chunks_keep_layouts(chunks);
        while (nx_prom_chunks_next(chunks, &chunk) == 1)
            at += check_chunk(&chunk, &samples.items[at]);
        assert_int_equal(at, samples.count);
        nx_prom_chunks_free(chunks);
        nx_arena_release(&samples.arena);
    }
}

static void hints_follow_from_the_header(void **state)
{
    (void)state;
    /* two stale markers without a layout: integers of header `flags`, times 0 and 1 */
    for (unsigned flags = 0; flags < 4; flags++) {
        static const enum nx_reset_hint hints[] = {NX_HINT_UNKNOWN, NX_HINT_NOT_RESET,
                                                   NX_HINT_RESET, NX_HINT_GAUGE};
        struct nx_histogram h = {.integer = true, .count = 1, .zero_count = 1, .sum = 1};
        struct nx_prom_histogram_builder *builder;
        struct nx_prom_chunk chunk;
        struct nx_sample_iter *it;
        struct nx_sample sample;
        bool taken;
        char bytes[64];
        assert_int_equal(nx_prom_histogram_builder_new(&builder), NX_OK);
        for (int i = 0; i < 2; i++)
            assert_int_equal(nx_prom_histogram_builder_add(builder, i, &h, &taken), NX_OK);
        assert_int_equal(nx_prom_histogram_builder_finish(builder, &chunk), NX_OK);
        assert_true(chunk.data.len <= sizeof bytes);
        memcpy(bytes, chunk.data.ptr, chunk.data.len);
        bytes[2] = (char)(flags << 6);
        assert_int_equal(nx_prom_chunk_iter_new(NX_PROM_KIND_HISTOGRAM,
                                                nx_view_make(bytes, chunk.data.len), &it),
                         NX_OK);
        assert_int_equal(nx_sample_next(it, &sample), 1);
        assert_int_equal(sample.histogram->hint, hints[flags]);
        assert_int_equal(nx_sample_next(it, &sample), 1);
        assert_int_equal(sample.histogram->hint, flags == 3 ? NX_HINT_GAUGE : NX_HINT_NOT_RESET);
        nx_sample_iter_free(it);
        nx_prom_histogram_builder_free(builder);
    }
}

/* --- the newer kind of float chunks, written straight from its description --- */

struct bit_writer {
    uint8_t bytes[4096];
    size_t bit;
};

static void put(struct bit_writer *w, uint64_t v, unsigned n)
{
    for (unsigned i = n; i > 0; i--, w->bit++)
        w->bytes[w->bit / 8] |= (uint8_t)((v >> (i - 1) & 1) << (7 - w->bit % 8));
}

static void put_uvarint(struct bit_writer *w, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put(w, (v & 0x7F) | 0x80, 8);
    put(w, v, 8);
}

static void put_varint(struct bit_writer *w, int64_t v)
{
    put_uvarint(w, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

static void put_varbit(struct bit_writer *w, int64_t v)
{
    static const unsigned sizes[] = {3, 6, 9, 12, 18, 25, 56};
    if (v == 0) {
        put(w, 0, 1);
        return;
    }
    for (unsigned i = 0; i < 7; i++) {
        int64_t most = INT64_C(1) << (sizes[i] - 1);
        if (v > -most && v <= most) {
            put(w, (UINT64_C(1) << (i + 2)) - 2, i + 2);
            put(w, (uint64_t)v & ((UINT64_C(1) << sizes[i]) - 1), sizes[i]);
            return;
        }
    }
    put(w, 0xFF, 8);
    put(w, (uint64_t)v, 64);
}

struct xor2 {
    struct bit_writer w;
    uint64_t base;
    unsigned leading, trailing;
    bool window;
    int64_t t;
    uint64_t delta;
};

static void put_xor2_value(struct xor2 *x, uint64_t bits, bool known_changed)
{
    uint64_t delta = bits ^ x->base;
    if (!known_changed && bits == NX_STALE_NAN_BITS) {
        put(&x->w, 7, 3);
        return;
    }
    if (!known_changed && delta == 0) {
        put(&x->w, 0, 1);
        return;
    }
    unsigned leading = (unsigned)__builtin_clzll(delta);
    unsigned trailing = (unsigned)__builtin_ctzll(delta);
    leading = leading > 31 ? 31 : leading;
    if (x->window && leading >= x->leading && trailing >= x->trailing) {
        put(&x->w, known_changed ? 0 : 2, known_changed ? 1 : 2);
        put(&x->w, delta >> x->trailing, 64 - x->leading - x->trailing);
    } else {
        put(&x->w, known_changed ? 1 : 6, known_changed ? 1 : 3);
        put(&x->w, leading, 5);
        put(&x->w, (64 - leading - trailing) & 63, 6);
        put(&x->w, delta >> trailing, 64 - leading - trailing);
        x->window = true;
        x->leading = leading;
        x->trailing = trailing;
    }
    x->base = bits;
}

static void put_xor2_joint(struct xor2 *x, int64_t dod, uint64_t bits)
{
    if (dod == 0 && bits == NX_STALE_NAN_BITS) {
        put(&x->w, 0x1F, 5);
    } else if (dod == 0 && bits == x->base) {
        put(&x->w, 0, 1);
    } else if (dod == 0) {
        put(&x->w, 2, 2);
        put_xor2_value(x, bits, true);
    } else {
        if (dod >= -4096 && dod <= 4095) {
            put(&x->w, 6, 3);
            put(&x->w, (uint64_t)dod & 0x1FFF, 13);
        } else if (dod >= -524288 && dod <= 524287) {
            put(&x->w, 14, 4);
            put(&x->w, (uint64_t)dod & 0xFFFFF, 20);
        } else {
            put(&x->w, 30, 5);
            put(&x->w, (uint64_t)dod, 64);
        }
        put_xor2_value(x, bits, false);
    }
}

/* Start timestamps change from sample `st_from` on (0: never). */
static void put_xor2(struct xor2 *x, size_t i, int64_t t, uint64_t bits)
{
    uint64_t delta = (uint64_t)(t - x->t);
    if (i == 0) {
        put_varint(&x->w, t);
        put(&x->w, bits, 64);
        x->base = bits == NX_STALE_NAN_BITS ? 0 : bits;
    } else if (i == 1) {
        put_uvarint(&x->w, delta);
        put_xor2_value(x, bits, false);
    } else {
        put_xor2_joint(x, (int64_t)(delta - x->delta), bits);
    }
    x->delta = delta;
    x->t = t;
}

static void newer_float_chunks_are_read(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        enum { COUNT = 60 };
        struct nx_rand rand;
        struct xor2 *x = calloc(1, sizeof *x);
        int64_t times[COUNT], starts[COUNT], before = 0;
        uint64_t values[COUNT];
        nx_rand_seeded(&rand, seed);
        size_t from = (size_t)nx_rand_below(&rand, 20);
        bool first_st = nx_rand_below(&rand, 2);
        x->w.bytes[1] = COUNT;
        x->w.bytes[2] = (uint8_t)((first_st ? 0x80 : 0) | from);
        x->w.bit = 24;
        for (size_t i = 0; i < COUNT; i++) {
            int64_t steps[] = {15000, 15000, 15001, 400000, INT64_C(1) << 40};
            times[i] = i == 0 ? -70 : times[i - 1] + steps[nx_rand_below(&rand, 5)];
            values[i] = nx_double_bits(random_float(&rand, i ? 7 : 1));
            put_xor2(x, i, times[i], values[i]);
            starts[i] = i == 0 ? (first_st ? -100 : 0) : starts[i - 1];
            if (i == 0 && first_st)
                put_varint(&x->w, times[0] - starts[0]);
            if (i > 0 && from > 0 && i >= from) {
                starts[i] = times[i] - (int64_t)nx_rand_below(&rand, 40) - 1;
                int64_t distance = times[i - 1] - starts[i];
                put_varbit(&x->w, i == from ? distance : distance - before);
                before = distance;
            }
        }
        struct nx_sample_iter *it;
        struct nx_sample sample;
        struct nx_view bytes = nx_view_make(x->w.bytes, (x->w.bit + 7) / 8);
        assert_int_equal(nx_prom_chunk_iter_new(NX_PROM_KIND_XOR2, bytes, &it), NX_OK);
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(nx_sample_next(it, &sample), 1);
            assert_int_equal(sample.t, times[i]);
            assert_int_equal(nx_double_bits(sample.value), values[i]);
            assert_int_equal(sample.st, starts[i]);
        }
        assert_int_equal(nx_sample_next(it, &sample), 0);
        nx_sample_iter_free(it);
        free(x);
    }
}

/* --- damage --- */

static void read_any(unsigned kind, struct nx_view bytes)
{
    struct nx_sample_iter *it;
    struct nx_sample sample;
    enum nx_err err = nx_prom_chunk_iter_new(kind, bytes, &it);
    if (err != NX_OK) {
        assert_true(err == NX_ERR_CORRUPT || err == NX_ERR_UNSUPPORTED);
        return;
    }
    int64_t last = INT64_MIN;
    int got;
    while ((got = nx_sample_next(it, &sample)) == 1) {
        assert_true(last == INT64_MIN || sample.t > last);
        assert_true(!sample.histogram || nx_histogram_is_sound(sample.histogram));
        last = sample.t;
    }
    assert_true(got == 0 || got == NX_ERR_CORRUPT);
    nx_sample_iter_free(it);
}

static void damaged_chunks_end_in_an_error_or_in_samples(void **state)
{
    (void)state;
    struct samples samples;
    make_samples(&samples, 3);
    struct array_iter source = {.base = {&array_ops}, .samples = &samples};
    struct nx_prom_chunks *chunks;
    struct nx_prom_chunk chunk;
    assert_int_equal(nx_prom_chunks_new(&source.base, &chunks), NX_OK);
    while (nx_prom_chunks_next(chunks, &chunk) == 1) {
        /* a copy of its own size, so that the sanitizer sees a read beyond it */
        char *copy = malloc(chunk.data.len);
        for (size_t i = 0; i < chunk.data.len; i++) {
            for (int bit = 0; bit < 8; bit++) {
                memcpy(copy, chunk.data.ptr, chunk.data.len);
                copy[i] = (char)(copy[i] ^ (1 << bit));
                for (unsigned kind = 0; kind < 8; kind++)
                    read_any(kind, nx_view_make(copy, chunk.data.len));
            }
            free(copy);
            copy = malloc(chunk.data.len);
            char *cut = malloc(i + 1);
            memcpy(cut, chunk.data.ptr, i);
            for (unsigned kind = 0; kind < 8; kind++)
                read_any(kind, nx_view_make(cut, i));
            free(cut);
        }
        free(copy);
    }
    nx_prom_chunks_free(chunks);
    nx_arena_release(&samples.arena);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    return (*(size_t *)user)-- != 0;
}

static void memory_that_runs_out_is_an_error(void **state)
{
    (void)state;
    struct nx_rand rand;
    struct nx_arena arena;
    struct nx_prom_histogram_builder *builder;
    struct nx_prom_chunk chunk;
    bool taken;
    nx_rand_seeded(&rand, 9);
    nx_arena_init(&arena, 0);
    assert_int_equal(nx_prom_histogram_builder_new(&builder), NX_OK);
    assert_int_equal(
        nx_prom_histogram_builder_add(builder, 1, random_histogram(&rand, &arena, true), &taken),
        NX_OK);
    assert_int_equal(nx_prom_histogram_builder_finish(builder, &chunk), NX_OK);
    enum nx_err err = NX_ERR_NOMEM;
    for (size_t n = 0; err == NX_ERR_NOMEM; n++) {
        struct nx_sample_iter *it = NULL;
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        err = nx_prom_chunk_iter_new(chunk.encoding, chunk.data, &it);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(n > 0 || err == NX_ERR_NOMEM);
        nx_sample_iter_free(it);
    }
    assert_int_equal(err, NX_OK);
    nx_prom_histogram_builder_free(builder);
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_samples_come_back_as_they_were),
        cmocka_unit_test(hints_follow_from_the_header),
        cmocka_unit_test(newer_float_chunks_are_read),
        cmocka_unit_test(damaged_chunks_end_in_an_error_or_in_samples),
        cmocka_unit_test(memory_that_runs_out_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
