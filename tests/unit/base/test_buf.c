#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/rand.h"

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void append_forms_build_text(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX);
    nx_buf_append_str(&buf, "ab");
    nx_buf_append_char(&buf, 'c');
    nx_buf_append_view(&buf, NX_VIEW("de"));
    nx_buf_append(&buf, NULL, 0);
    nx_buf_printf(&buf, "-%d-%s", 42, "x");
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    assert_true(nx_view_is(nx_buf_view(&buf), "abcde-42-x"));
    size_t len;
    char *bytes = nx_buf_take(&buf, &len);
    assert_int_equal(len, 10);
    assert_int_equal(buf.len, 0);
    assert_null(buf.data);
    nx_free(bytes);
    nx_buf_release(&buf);
}

static void printf_long_text_is_whole(void **state)
{
    (void)state;
    char text[1001];
    memset(text, 'y', 1000);
    text[1000] = '\0';
    struct nx_buf buf;
    nx_buf_init(&buf, 1002);
    nx_buf_printf(&buf, "<%s>", text);
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    assert_int_equal(buf.len, 1002);
    assert_int_equal(buf.data[1001], '>');
    nx_buf_release(&buf);
}

static void append_beyond_the_cap_is_remembered(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 5);
    nx_buf_append_str(&buf, "abcd");
    nx_buf_append_str(&buf, "ef");
    nx_buf_append_char(&buf, 'g');
    assert_int_equal(nx_buf_err(&buf), NX_ERR_TOO_LARGE);
    assert_true(nx_view_is(nx_buf_view(&buf), "abcd"));
    assert_int_equal(nx_buf_reserve(&buf, 0), NX_ERR_TOO_LARGE);
    nx_buf_clear(&buf);
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    nx_buf_append_str(&buf, "12345");
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    nx_buf_release(&buf);
    nx_buf_init(&buf, SIZE_MAX);
    nx_buf_append_char(&buf, 'x');
    assert_int_equal(nx_buf_reserve(&buf, SIZE_MAX), NX_ERR_TOO_LARGE);
    nx_buf_release(&buf);
}

static void append_without_memory_is_remembered(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    nx_buf_append_str(&buf, "kept");
    int left = 0;
    nx_alloc_set_hook(countdown, &left);
    for (int i = 0; i < 100; i++)
        nx_buf_append_str(&buf, "more");
    nx_alloc_set_hook(NULL, NULL);
    assert_int_equal(nx_buf_err(&buf), NX_ERR_NOMEM);
    assert_int_equal(buf.len, 64);
    nx_buf_append_str(&buf, "no");
    assert_int_equal(buf.len, 64);
    nx_buf_release(&buf);
}

static void reserve_gives_room_to_fill(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 1000);
    assert_int_equal(nx_buf_reserve(&buf, 1000), NX_OK);
    memset(buf.data, 'z', 1000);
    buf.len += 1000;
    assert_int_equal(nx_buf_reserve(&buf, 1), NX_ERR_TOO_LARGE);
    nx_buf_release(&buf);
}

static void integers_round_trip_through_a_cursor(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 2);
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    uint64_t values[2000];
    for (size_t i = 0; i < 2000; i++) {
        values[i] = i < 4 ? (uint64_t[]){0, UINT64_MAX, 127, 128}[i]
                          : nx_rand_u64(&rand) >> nx_rand_below(&rand, 64);
        nx_buf_put_u8(&buf, (uint8_t)values[i]);
        nx_buf_put_u32(&buf, (uint32_t)values[i]);
        nx_buf_put_u64(&buf, values[i]);
        nx_buf_put_uvarint(&buf, values[i]);
        nx_buf_put_varint(&buf, (int64_t)values[i]);
        nx_buf_put_bytes(&buf, nx_view_make(&values[i], i % 9));
    }
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&buf));
    for (size_t i = 0; i < 2000; i++) {
        assert_int_equal(nx_cursor_u8(&cur), (uint8_t)values[i]);
        assert_int_equal(nx_cursor_u32(&cur), (uint32_t)values[i]);
        assert_true(nx_cursor_u64(&cur) == values[i]);
        assert_true(nx_cursor_uvarint(&cur) == values[i]);
        assert_true(nx_cursor_varint(&cur) == (int64_t)values[i]);
        assert_true(nx_view_eq(nx_cursor_bytes(&cur), nx_view_make(&values[i], i % 9)));
    }
    assert_true(nx_cursor_ok(&cur));
    assert_int_equal(nx_cursor_left(&cur), 0);
    nx_buf_release(&buf);
}

static void integers_have_the_documented_bytes(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 100);
    nx_buf_put_u32(&buf, 0x01020304);
    nx_buf_put_u64(&buf, 0x05);
    nx_buf_put_uvarint(&buf, 300);
    nx_buf_put_varint(&buf, -1);
    nx_buf_put_varint(&buf, 1);
    nx_buf_put_varint(&buf, INT64_MIN);
    assert_int_equal(buf.len, 4 + 8 + 2 + 1 + 1 + 10);
    assert_memory_equal(buf.data,
                        "\x04\x03\x02\x01\x05\0\0\0\0\0\0\0\xAC\x02\x01\x02"
                        "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
                        26);
    nx_buf_release(&buf);
}

static void cursor_past_the_end_fails_for_good(void **state)
{
    (void)state;
    struct nx_cursor cur = nx_cursor_of(nx_view_make("\x05", 1));
    assert_int_equal(nx_cursor_u32(&cur), 0);
    assert_false(nx_cursor_ok(&cur));
    assert_int_equal(nx_cursor_u8(&cur), 0);
    assert_int_equal(nx_cursor_uvarint(&cur), 0);
    assert_null(nx_cursor_take(&cur, 1).ptr);
    cur = nx_cursor_of(nx_view_make("\x05"
                                    "abcd",
                                    5));
    assert_null(nx_cursor_bytes(&cur).ptr);
    assert_false(nx_cursor_ok(&cur));
    cur = nx_cursor_of((struct nx_view){.ptr = NULL, .len = 0});
    assert_int_equal(nx_cursor_left(&cur), 0);
    assert_int_equal(nx_cursor_take(&cur, 0).len, 0);
    assert_true(nx_cursor_ok(&cur));
    assert_int_equal(nx_cursor_u64(&cur), 0);
    assert_false(nx_cursor_ok(&cur));
}

static void cursor_overlong_varints_fail(void **state)
{
    (void)state;
    static const struct nx_view bad[] = {
        {"\x80", 1},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 11},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct nx_cursor cur = nx_cursor_of(bad[i]);
        assert_true(nx_cursor_uvarint(&cur) == 0);
        assert_false(nx_cursor_ok(&cur));
    }
    struct nx_cursor cur =
        nx_cursor_of(nx_view_make("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10));
    assert_true(nx_cursor_uvarint(&cur) == UINT64_MAX);
    assert_true(nx_cursor_ok(&cur));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(append_forms_build_text),
        cmocka_unit_test(printf_long_text_is_whole),
        cmocka_unit_test(append_beyond_the_cap_is_remembered),
        cmocka_unit_test(append_without_memory_is_remembered),
        cmocka_unit_test(reserve_gives_room_to_fill),
        cmocka_unit_test(integers_round_trip_through_a_cursor),
        cmocka_unit_test(integers_have_the_documented_bytes),
        cmocka_unit_test(cursor_past_the_end_fails_for_good),
        cmocka_unit_test(cursor_overlong_varints_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
