#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/view.h"

static void cmp_orders_bytes_and_prefixes(void **state)
{
    (void)state;
    assert_int_equal(nx_view_cmp(NX_VIEW("a"), NX_VIEW("a")), 0);
    assert_true(nx_view_cmp(NX_VIEW("a"), NX_VIEW("ab")) < 0);
    assert_true(nx_view_cmp(NX_VIEW("b"), NX_VIEW("ab")) > 0);
    assert_true(nx_view_cmp(NX_VIEW("\x7f"), NX_VIEW("\x80")) < 0);
    struct nx_view none = {.ptr = NULL, .len = 0};
    assert_int_equal(nx_view_cmp(none, NX_VIEW("")), 0);
    assert_true(nx_view_cmp(none, NX_VIEW("a")) < 0);
    assert_true(nx_view_eq(none, NX_VIEW("")));
    assert_true(nx_view_is(none, ""));
    assert_true(nx_view_eq(nx_view_of(NULL), none));
}

static void prefix_suffix_find_and_trim(void **state)
{
    (void)state;
    struct nx_view v = NX_VIEW("hello");
    assert_true(nx_view_has_prefix(v, NX_VIEW("he")));
    assert_true(nx_view_has_prefix(v, NX_VIEW("")));
    assert_false(nx_view_has_prefix(v, NX_VIEW("hello!")));
    assert_true(nx_view_has_suffix(v, NX_VIEW("llo")));
    assert_false(nx_view_has_suffix(v, NX_VIEW("l")));
    assert_int_equal(nx_view_find(v, 'l'), 2);
    assert_int_equal(nx_view_find(v, 'z'), 5);
    assert_int_equal(nx_view_find((struct nx_view){.ptr = NULL, .len = 0}, 'z'), 0);
    assert_true(nx_view_is(nx_view_trim(NX_VIEW(" \t a b\r\n")), "a b"));
    assert_int_equal(nx_view_trim(NX_VIEW(" \n ")).len, 0);
    assert_true(nx_view_eq_nocase(NX_VIEW("HeLLo"), v));
    assert_false(nx_view_eq_nocase(NX_VIEW("[ello"), NX_VIEW("{ello")));
}

static void utf8_is_checked_strictly(void **state)
{
    (void)state;
    static const char *const good[] = {"",
                                       "ascii only and long enough for words",
                                       "é",
                                       "€",
                                       "😀",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "12345678é"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(nx_view_is_utf8(nx_view_of(good[i])));
    assert_true(nx_view_is_utf8(nx_view_make("a\0b", 3)));
    static const char *const bad[] = {
        "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x9F\xBF",
        "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
        "\xC3",         "\xE2\x82",         "\xF0\x9F\x98",     "12345678\xFF",
        "\xC3(",        "1234567\xC3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(nx_view_is_utf8(nx_view_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cmp_orders_bytes_and_prefixes),
        cmocka_unit_test(prefix_suffix_find_and_trim),
        cmocka_unit_test(utf8_is_checked_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
