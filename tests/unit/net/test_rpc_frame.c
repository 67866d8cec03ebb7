#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/rand.h"
#include "common/net/rpc_frame.h"

struct taken {
    struct nx_buf all; /* frames, each with its length before it */
    size_t count;
    size_t refuse_at;
};

static enum nx_err take(void *user, struct nx_view frame)
{
    struct taken *taken = user;
    if (++taken->count == taken->refuse_at) {
        return NX_ERR_LIMIT;
    }
    nx_buf_put_u32(&taken->all, (uint32_t)frame.len);
    nx_buf_append_view(&taken->all, frame);
    return NX_OK;
}

static void put_frame(struct nx_buf *out, struct nx_view bytes)
{
    struct nx_buf message;
    nx_buf_init(&message, bytes.len);
    nx_buf_append_view(&message, bytes);
    assert_true(nx_rpc_frame_wrap(&message));
    nx_buf_append_view(out, nx_buf_view(&message));
    nx_buf_release(&message);
}

static void frames_cut_anywhere_arrive_the_same(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 1);
    for (int round = 0; round < 500; round++) {
        struct nx_buf stream;
        struct taken expected = {.refuse_at = 0};
        struct taken taken = {.refuse_at = 0};
        nx_buf_init(&stream, 1 << 20);
        nx_buf_init(&expected.all, 1 << 20);
        nx_buf_init(&taken.all, 1 << 20);
        for (uint64_t i = nx_rand_below(&rand, 10); i > 0; i--) {
            char bytes[300];
            size_t len = 1 + nx_rand_below(&rand, sizeof(bytes) - 1);
            for (size_t b = 0; b < len; b++) {
                bytes[b] = (char)nx_rand_below(&rand, 256);
            }
            put_frame(&stream, nx_view_make(bytes, len));
            assert_int_equal(take(&expected, nx_view_make(bytes, len)), NX_OK);
        }
        bool failed = nx_rand_below(&rand, 2) == 1;
        if (failed) {
            nx_rpc_frame_put_error(&stream, NX_ERR_LIMIT, "too much of it");
        } else {
            nx_rpc_frame_put_end(&stream);
        }
        struct nx_rpc_frames frames;
        nx_rpc_frames_init(&frames, 300);
        for (size_t at = 0; at < stream.len;) {
            size_t len = 1 + nx_rand_below(&rand, round % 2 ? 5 : 200);
            len = len < stream.len - at ? len : stream.len - at;
            assert_false(frames.ended);
            assert_int_equal(
                nx_rpc_frames_feed(&frames, nx_view_make(stream.data + at, len), take, &taken),
                NX_OK);
            at += len;
        }
        assert_true(frames.ended);
        assert_int_equal(frames.err, failed ? NX_ERR_LIMIT : NX_OK);
        assert_string_equal(frames.text, failed ? "too much of it" : "");
        assert_true(nx_view_eq(nx_buf_view(&taken.all), nx_buf_view(&expected.all)));
        assert_int_equal(nx_rpc_frames_feed(&frames, NX_VIEW("x"), take, &taken), NX_ERR_CORRUPT);
        nx_rpc_frames_release(&frames);
        nx_buf_release(&stream);
        nx_buf_release(&expected.all);
        nx_buf_release(&taken.all);
    }
}

static void frame_beyond_cap_is_refused_before_it_is_stored(void **state)
{
    (void)state;
    struct nx_rpc_frames frames;
    struct taken taken = {.refuse_at = 0};
    const struct nx_view heads[] = {NX_VIEW("\x01\x01\x00\x00"), NX_VIEW("\xFF\xFF\xFF\x7F"),
                                    NX_VIEW("\xFF\xFF\xFF\xFF"), NX_VIEW("\x01\x04\x00\x80")};
    for (size_t i = 0; i < 4; i++) {
        nx_rpc_frames_init(&frames, 256);
        assert_int_equal(nx_rpc_frames_feed(&frames, heads[i], take, &taken), NX_ERR_TOO_LARGE);
        assert_true(frames.partial.capacity <= 64);
        nx_rpc_frames_release(&frames);
    }
}

static void error_of_the_taker_stops_the_rest(void **state)
{
    (void)state;
    struct nx_buf stream;
    struct taken taken = {.refuse_at = 2};
    nx_buf_init(&stream, 1000);
    nx_buf_init(&taken.all, 1000);
    for (int i = 0; i < 3; i++) {
        put_frame(&stream, NX_VIEW("abc"));
    }
    struct nx_rpc_frames frames;
    nx_rpc_frames_init(&frames, 256);
    assert_int_equal(nx_rpc_frames_feed(&frames, nx_buf_view(&stream), take, &taken), NX_ERR_LIMIT);
    assert_int_equal(taken.count, 2);
    nx_rpc_frames_release(&frames);
    nx_buf_release(&stream);
    nx_buf_release(&taken.all);
}

static void error_frame_with_unknown_or_no_text_is_read(void **state)
{
    (void)state;
    static const struct {
        struct nx_view bytes;
        enum nx_err err;
        const char *text;
    } cases[] = {
        {NX_VIEW("\x00\x00\x00\x80"), NX_ERR_INTERNAL, ""},
        {NX_VIEW("\x09\x00\x00\x80"
                 "ERR_LIMIT"),
         NX_ERR_LIMIT, ""},
        {NX_VIEW("\x0A\x00\x00\x80"
                 "ERR_LIMIT "),
         NX_ERR_LIMIT, ""},
        {NX_VIEW("\x07\x00\x00\x80"
                 "ERR_X y"),
         NX_ERR_INTERNAL, "y"},
        {NX_VIEW("\x04\x00\x00\x80"
                 "OK z"),
         NX_ERR_INTERNAL, "z"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nx_rpc_frames frames;
        nx_rpc_frames_init(&frames, 256);
        assert_int_equal(nx_rpc_frames_feed(&frames, cases[i].bytes, take, NULL), NX_OK);
        assert_true(frames.ended);
        assert_int_equal(frames.err, cases[i].err);
        assert_string_equal(frames.text, cases[i].text);
        nx_rpc_frames_release(&frames);
    }
}

static void error_names_are_read_back(void **state)
{
    (void)state;
#define X(symbol, value, text, http)                                                           \
    if (NX_##symbol != NX_OK) {                                                                \
        assert_int_equal(nx_rpc_err_parse(nx_view_of(nx_err_name(NX_##symbol))), NX_##symbol); \
    }
    NX_ERR_TABLE(X)
#undef X
    assert_int_equal(nx_rpc_err_parse(NX_VIEW("")), NX_ERR_INTERNAL);
    assert_int_equal(nx_rpc_err_parse(NX_VIEW("OK")), NX_ERR_INTERNAL);
}

static void error_text_too_long_is_cut(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'e', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct nx_buf out;
    nx_buf_init(&out, 4096);
    nx_rpc_frame_put_error(&out, NX_ERR_INTERNAL, text);
    struct nx_rpc_frames frames;
    nx_rpc_frames_init(&frames, 16);
    assert_int_equal(nx_rpc_frames_feed(&frames, nx_buf_view(&out), take, NULL), NX_OK);
    assert_int_equal(frames.err, NX_ERR_INTERNAL);
    assert_true(strlen(frames.text) > 400);
    nx_rpc_frames_release(&frames);
    nx_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_cut_anywhere_arrive_the_same),
        cmocka_unit_test(frame_beyond_cap_is_refused_before_it_is_stored),
        cmocka_unit_test(error_of_the_taker_stops_the_rest),
        cmocka_unit_test(error_frame_with_unknown_or_no_text_is_read),
        cmocka_unit_test(error_names_are_read_back),
        cmocka_unit_test(error_text_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
