#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <zlib.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/net/http_encoding.h"

static void choose_takes_the_first_exact_token(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum nx_encoding encoding;
    } cases[] = {
        {"gzip", NX_ENCODING_GZIP},
        {"deflate", NX_ENCODING_DEFLATE},
        {" br ,\tdeflate , gzip", NX_ENCODING_DEFLATE},
        {"gzip;q=0.5,deflate", NX_ENCODING_DEFLATE},
        {"gzip;q=0.5", NX_ENCODING_IDENTITY},
        {"GZIP", NX_ENCODING_IDENTITY},
        {"xgzip, gzipx", NX_ENCODING_IDENTITY},
        {",,,gzip", NX_ENCODING_GZIP},
        {"", NX_ENCODING_IDENTITY},
        {",", NX_ENCODING_IDENTITY},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(nx_encoding_choose(nx_view_of(cases[i].accept)), cases[i].encoding);
    }
    assert_int_equal(nx_encoding_choose((struct nx_view){.ptr = NULL}), NX_ENCODING_IDENTITY);
    assert_null(nx_encoding_name(NX_ENCODING_IDENTITY));
}

static void expect_unpacked(const struct nx_buf *packed, int window, const char *bytes, size_t len)
{
    char *out = nx_alloc(len + 1);
    z_stream stream = {.next_in = (Bytef *)packed->data,
                       .avail_in = (uInt)packed->len,
                       .next_out = (Bytef *)out,
                       .avail_out = (uInt)len + 1};
    assert_int_equal(inflateInit2(&stream, window), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, len);
    assert_int_equal(stream.avail_in, 0);
    assert_memory_equal(out, bytes, len);
    inflateEnd(&stream);
    nx_free(out);
}

static void deflater_round_trips_in_pieces_and_is_reusable(void **state)
{
    (void)state;
    enum { LEN = 300000 };
    char *bytes = nx_alloc(LEN);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    for (size_t i = 0; i < LEN; i++) {
        bytes[i] = (char)(i < LEN / 2 ? 'a' + nx_rand_below(&rand, 3) : nx_rand_below(&rand, 256));
    }
    for (int kind = NX_ENCODING_GZIP; kind <= NX_ENCODING_DEFLATE; kind++) {
        struct nx_deflater *deflater = NULL;
        assert_int_equal(nx_deflater_new((enum nx_encoding)kind, &deflater), NX_OK);
        for (int round = 0; round < 20; round++) {
            struct nx_buf out;
            nx_buf_init(&out, 1 << 22);
            size_t total = round == 0 ? 0 : nx_rand_below(&rand, LEN);
            size_t done = 0;
            do {
                size_t piece = nx_rand_below(&rand, total - done + 1);
                bool last = done + piece == total;
                assert_int_equal(
                    nx_deflater_write(deflater, nx_view_make(bytes + done, piece), last, &out),
                    NX_OK);
                done += piece;
                if (last) {
                    break;
                }
            } while (true);
            expect_unpacked(&out, kind == NX_ENCODING_GZIP ? 31 : 15, bytes, total);
            nx_buf_release(&out);
        }
        nx_deflater_free(deflater);
    }
    nx_free(bytes);
}

static void deflater_over_the_cap_fails_and_begins_afresh(void **state)
{
    (void)state;
    struct nx_deflater *deflater = NULL;
    struct nx_buf small;
    struct nx_buf out;
    nx_buf_init(&small, 100);
    nx_buf_init(&out, 1 << 20);
    assert_int_equal(nx_deflater_new(NX_ENCODING_GZIP, &deflater), NX_OK);
    assert_int_equal(nx_deflater_write(deflater, NX_VIEW("text"), true, &small), NX_ERR_TOO_LARGE);
    assert_int_equal(nx_deflater_write(deflater, NX_VIEW("other"), true, &out), NX_OK);
    expect_unpacked(&out, 31, "other", 5);
    nx_deflater_free(deflater);
    nx_deflater_free(NULL);
    nx_buf_release(&small);
    nx_buf_release(&out);
}

static bool fail_nth(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- != 0;
}

static void deflater_new_with_any_allocation_failing_leaks_nothing(void **state)
{
    (void)state;
    for (int n = 0;; n++) {
        int left = n;
        struct nx_deflater *deflater = NULL;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = nx_deflater_new(NX_ENCODING_DEFLATE, &deflater);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK) {
            assert_true(n >= 2);
            nx_deflater_free(deflater);
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
        assert_null(deflater);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choose_takes_the_first_exact_token),
        cmocka_unit_test(deflater_round_trips_in_pieces_and_is_reusable),
        cmocka_unit_test(deflater_over_the_cap_fails_and_begins_afresh),
        cmocka_unit_test(deflater_new_with_any_allocation_failing_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
