/* Bodies in every encoding: round trips, bombs, damage, cuts at every byte. */
#include "distributor/receive/body.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/unit/distributor/dist_test.h"

static void snappy_length_is_checked_before_memory_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        enum nx_err err;
    } cases[] = {
        {"", 0, NX_ERR_INVALID},
        {"\x80", 1, NX_ERR_INVALID},
        {"\xff\xff\xff\xff\xff\xff", 6, NX_ERR_INVALID},
        {"\x00", 1, NX_OK},
        {"\xff\xff\xff\xff\x0f\x00\x00", 7, NX_ERR_TOO_LARGE}, /* 4 GiB - 1 */
        {"\x80\x80\x80\x80\x10", 5, NX_ERR_INVALID},           /* 4 GiB: no length in this format */
        {"\xe9\x07", 2, NX_ERR_TOO_LARGE},                     /* 1001 */
        {"\xe8\x07", 2, NX_ERR_INVALID},                       /* 1000 in no bytes at all */
        {"\xe8\x07zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", 45, NX_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = 99999;
        struct nx_fail fail = {.code = NX_OK, .text = ""};
        enum nx_err err = dist_body_length(
            DIST_ENCODING_SNAPPY, nx_view_make(cases[i].bytes, cases[i].len), 1000, &len, &fail);
        if (err != cases[i].err)
            fail_msg("case %zu: %d %s", i, err, fail.text);
        if (err) {
            assert_int_equal(len, 99999);
            assert_true(fail.text[0]);
        }
    }
}

static void snappy_best_ratio_passes_the_guard(void **state)
{
    (void)state;
    char *zeros = nx_calloc(1 << 20, 1);
    struct nx_buf body = test_snappy(nx_view_make(zeros, 1 << 20));
    size_t len = 0;
    assert_int_equal(
        dist_body_length(DIST_ENCODING_SNAPPY, nx_buf_view(&body), 1 << 20, &len, NULL), NX_OK);
    assert_int_equal(len, 1 << 20);
    char *out = NULL;
    size_t got = 0;
    assert_int_equal(
        dist_body_decode(DIST_ENCODING_SNAPPY, nx_buf_view(&body), len, 1 << 20, &out, &got, NULL),
        NX_OK);
    assert_int_equal(got, len);
    assert_memory_equal(out, zeros, len);
    nx_free(out);
    nx_free(zeros);
    nx_buf_release(&body);
}

static void snappy_damaged_block_is_invalid(void **state)
{
    (void)state;
    char text[400];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + nx_rand_below(&rand, 3));
    struct nx_buf body = test_snappy(nx_view_make(text, sizeof text));
    size_t refused = 0;
    for (size_t cut = 0; cut < body.len; cut++) {
        size_t len = 0;
        char *exact = nx_alloc(cut);
        memcpy(exact, body.data, cut);
        struct nx_view part = nx_view_make(exact, cut);
        char *out = NULL;
        if (dist_body_length(DIST_ENCODING_SNAPPY, part, 400, &len, NULL) ||
            dist_body_decode(DIST_ENCODING_SNAPPY, part, len, 400, &out, &len, NULL) ==
                NX_ERR_INVALID)
            refused++;
        nx_free(exact);
    }
    assert_int_equal(refused, body.len);
    nx_buf_release(&body);
}

static struct nx_buf packed(enum dist_encoding encoding, struct nx_view plain)
{
    struct nx_buf out;
    nx_buf_init(&out, SIZE_MAX);
    if (encoding == DIST_ENCODING_ZSTD) {
        assert_int_equal(nx_buf_reserve(&out, ZSTD_compressBound(plain.len)), NX_OK);
        out.len = ZSTD_compress(out.data, out.capacity, plain.ptr, plain.len, 3);
        return out;
    }
    z_stream z;
    memset(&z, 0, sizeof z);
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(nx_buf_reserve(&out, deflateBound(&z, plain.len)), NX_OK);
    z.next_in = (Bytef *)(uintptr_t)plain.ptr;
    z.avail_in = (unsigned)plain.len;
    z.next_out = (Bytef *)out.data;
    z.avail_out = (unsigned)out.capacity;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out.len = z.total_out;
    (void)deflateEnd(&z);
    return out;
}

static enum nx_err unpack(enum dist_encoding encoding, struct nx_view body, size_t max,
                          struct nx_view want)
{
    struct nx_fail fail = {.code = NX_OK, .text = ""};
    size_t expected = 0, len = 0;
    char *out = NULL;
    enum nx_err err = dist_body_length(encoding, body, max, &expected, &fail);
    if (!err)
        err = dist_body_decode(encoding, body, expected, max, &out, &len, &fail);
    if (err) {
        assert_true(err == NX_ERR_NOMEM || fail.text[0]);
        return err;
    }
    assert_int_equal(len, want.len);
    assert_memory_equal(out, want.ptr, len);
    nx_free(out);
    return NX_OK;
}

static const enum dist_encoding streamed[] = {DIST_ENCODING_GZIP, DIST_ENCODING_ZSTD};

static void streamed_bodies_round_trip_up_to_the_limit(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 5000, 300000};
    char *bytes = nx_calloc(300000, 1); /* decodes to far more than the guess */
    for (size_t e = 0; e < 2; e++) {
        for (size_t i = 0; i < 4; i++) {
            struct nx_view plain = nx_view_make(bytes, sizes[i]);
            struct nx_buf body = packed(streamed[e], plain);
            assert_int_equal(unpack(streamed[e], nx_buf_view(&body), sizes[i] + 1, plain), NX_OK);
            if (sizes[i] > 1)
                assert_int_equal(unpack(streamed[e], nx_buf_view(&body), sizes[i] - 1, plain),
                                 NX_ERR_TOO_LARGE);
            nx_buf_release(&body);
        }
    }
    nx_free(bytes);
}

static void streamed_bodies_cut_or_longer_are_invalid(void **state)
{
    (void)state;
    char text[2000];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + nx_rand_below(&rand, 9));
    struct nx_view plain = nx_view_make(text, sizeof text);
    for (size_t e = 0; e < 2; e++) {
        struct nx_buf body = packed(streamed[e], plain);
        for (size_t cut = 0; cut < body.len; cut++) {
            char *exact = nx_alloc(cut + 1);
            memcpy(exact + 1, body.data, cut);
            assert_int_equal(unpack(streamed[e], nx_view_make(exact + 1, cut), 1 << 20, plain),
                             NX_ERR_INVALID);
            nx_free(exact);
        }
        nx_buf_append_char(&body, 'x');
        assert_int_equal(unpack(streamed[e], nx_buf_view(&body), 1 << 20, plain), NX_ERR_INVALID);
        nx_buf_release(&body);
    }
}

static void bodies_without_memory_fail_cleanly(void **state)
{
    (void)state;
    char *bytes = nx_calloc(100000, 1);
    struct nx_view plain = nx_view_make(bytes, 100000);
    for (size_t e = 0; e < 2; e++) {
        struct nx_buf body = packed(streamed[e], plain);
        for (size_t n = 1;; n++) {
            test_fail_allocation(n);
            enum nx_err err = unpack(streamed[e], nx_buf_view(&body), 1 << 20, plain);
            bool failed = test_allocation_failed();
            test_fail_allocation(0);
            assert_int_equal(err, failed ? NX_ERR_NOMEM : NX_OK);
            if (!failed)
                break;
        }
        nx_buf_release(&body);
    }
    nx_free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(snappy_length_is_checked_before_memory_is_taken),
        cmocka_unit_test(snappy_best_ratio_passes_the_guard),
        cmocka_unit_test(snappy_damaged_block_is_invalid),
        cmocka_unit_test(streamed_bodies_round_trip_up_to_the_limit),
        cmocka_unit_test(streamed_bodies_cut_or_longer_are_invalid),
        cmocka_unit_test(bodies_without_memory_fail_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
