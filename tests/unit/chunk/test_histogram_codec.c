#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/chunk/histogram_codec.h"
#include "common/chunk/sample.h"
#include "random_histogram.h"

static enum nx_err decode(struct nx_view bytes, struct nx_arena *arena, struct nx_histogram **out)
{
    struct nx_cursor cur = nx_cursor_of(bytes);
    return nx_histogram_decode(&cur, arena, out);
}

static void codec_random_histograms_round_trip(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 21);
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    for (int i = 0; i < 5000; i++) {
        struct nx_histogram *h = random_histogram(&rand, &arena, i % 2 == 0);
        nx_buf_clear(&buf);
        assert_int_equal(nx_histogram_encode(&buf, h), NX_OK);
        nx_buf_append_str(&buf, "tail");
        struct nx_cursor cur = nx_cursor_of(nx_buf_view(&buf));
        struct nx_histogram *back;
        assert_int_equal(nx_histogram_decode(&cur, &arena, &back), NX_OK);
        assert_true(nx_histogram_identical(h, back));
        assert_int_equal(nx_cursor_left(&cur), 4);
        nx_arena_clear(&arena);
    }
    nx_buf_release(&buf);
    nx_arena_release(&arena);
}

static void codec_odd_numbers_survive(void **state)
{
    (void)state;
    double buckets[] = {-0.0, (double)NAN, (double)INFINITY, 9007199254740992.0, 1e300, -5,
                        0.5,  5e-324};
    struct nx_span span = {.offset = -1000, .length = 8};
    struct nx_histogram h = {.hint = NX_HINT_GAUGE,
                             .schema = -4,
                             .sum = nx_double_from_bits(NX_STALE_NAN_BITS),
                             .count = -0.0,
                             .zero_threshold = -1,
                             .positive_spans = &span,
                             .positive_span_count = 1,
                             .positive = buckets,
                             .positive_count = 8};
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_buf buf;
    nx_buf_init(&buf, 1024);
    struct nx_histogram *back;
    assert_int_equal(nx_histogram_encode(&buf, &h), NX_OK);
    assert_int_equal(decode(nx_buf_view(&buf), &arena, &back), NX_OK);
    assert_true(nx_histogram_identical(&h, back));
    /* the largest integers that are counted as such, side by side */
    buckets[0] = 9007199254740992.0;
    buckets[1] = -9007199254740992.0;
    h.positive_count = span.length = 2;
    h.count = 0;
    nx_buf_clear(&buf);
    assert_int_equal(nx_histogram_encode(&buf, &h), NX_OK);
    assert_int_equal(decode(nx_buf_view(&buf), &arena, &back), NX_OK);
    assert_true(nx_histogram_identical(&h, back));
    nx_buf_release(&buf);
    nx_arena_release(&arena);
}

static void encode_unsound_histogram_writes_nothing(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 1024);
    struct nx_histogram h = {.schema = 9};
    assert_int_equal(nx_histogram_encode(&buf, &h), NX_ERR_INVALID);
    struct nx_span span = {.offset = 0, .length = 2};
    h = (struct nx_histogram){.positive_spans = &span, .positive_span_count = 1};
    assert_int_equal(nx_histogram_encode(&buf, &h), NX_ERR_INVALID);
    assert_int_equal(buf.len, 0);
    nx_buf_release(&buf);
    struct nx_histogram good = {.schema = 0};
    nx_buf_init(&buf, 3);
    assert_int_equal(nx_histogram_encode(&buf, &good), NX_ERR_TOO_LARGE);
    nx_buf_release(&buf);
}

static void decode_truncated_bytes_are_corrupt(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (int i = 0; i < 200; i++) {
        struct nx_buf buf;
        nx_buf_init(&buf, 1 << 20);
        assert_int_equal(nx_histogram_encode(&buf, random_histogram(&rand, &arena, i % 2 == 0)),
                         NX_OK);
        for (size_t len = 0; len < buf.len; len++) {
            char *cut = nx_alloc(len);
            memcpy(cut, buf.data, len);
            struct nx_histogram *back;
            assert_int_equal(decode(nx_view_make(cut, len), &arena, &back), NX_ERR_CORRUPT);
            nx_free(cut);
        }
        nx_buf_release(&buf);
        nx_arena_clear(&arena);
    }
    nx_arena_release(&arena);
}

static void decode_damaged_bytes_give_sound_histograms_or_errors(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    struct nx_arena arena;
    nx_arena_init(&arena, 4 << 20);
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    for (int i = 0; i < 20000; i++) {
        nx_buf_clear(&buf);
        assert_int_equal(nx_histogram_encode(&buf, random_histogram(&rand, &arena, i % 2 == 0)),
                         NX_OK);
        for (uint64_t n = 1 + nx_rand_below(&rand, 3); n > 0; n--)
            buf.data[nx_rand_below(&rand, buf.len)] = (char)nx_rand_u64(&rand);
        struct nx_histogram *back;
        enum nx_err err = decode(nx_buf_view(&buf), &arena, &back);
        assert_true(err == NX_OK || err == NX_ERR_CORRUPT);
        if (err == NX_OK)
            assert_true(nx_histogram_is_sound(back));
        nx_arena_clear(&arena);
    }
    nx_buf_release(&buf);
    nx_arena_release(&arena);
}

static void decode_great_counts_do_not_allocate(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 64 << 10);
    struct nx_buf buf;
    nx_buf_init(&buf, 1024);
    nx_buf_put_u8(&buf, 0);
    nx_buf_put_u64(&buf, 0);
    nx_buf_put_varint(&buf, 0);
    nx_buf_put_u64(&buf, 0);
    nx_buf_put_uvarint(&buf, 1);
    nx_buf_put_varint(&buf, 0);
    nx_buf_put_uvarint(&buf, NX_HISTOGRAM_MAX_BUCKETS);
    nx_buf_put_uvarint(&buf, 0);
    nx_buf_append(&buf, "0123456789012345678901234567890123456789", 40);
    struct nx_histogram *back;
    assert_int_equal(decode(nx_buf_view(&buf), &arena, &back), NX_ERR_CORRUPT);
    assert_false(nx_arena_over(&arena));
    nx_buf_release(&buf);
    nx_arena_release(&arena);
}

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void decode_without_memory_says_so(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 12);
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    assert_int_equal(nx_histogram_encode(&buf, random_histogram(&rand, &arena, true)), NX_OK);
    nx_arena_release(&arena);
    int left = 0;
    struct nx_histogram *back;
    nx_alloc_set_hook(countdown, &left);
    enum nx_err err = decode(nx_buf_view(&buf), &arena, &back);
    nx_alloc_set_hook(NULL, NULL);
    assert_int_equal(err, NX_ERR_NOMEM);
    nx_arena_release(&arena);
    nx_buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codec_random_histograms_round_trip),
        cmocka_unit_test(codec_odd_numbers_survive),
        cmocka_unit_test(encode_unsound_histogram_writes_nothing),
        cmocka_unit_test(decode_truncated_bytes_are_corrupt),
        cmocka_unit_test(decode_damaged_bytes_give_sound_histograms_or_errors),
        cmocka_unit_test(decode_great_counts_do_not_allocate),
        cmocka_unit_test(decode_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
