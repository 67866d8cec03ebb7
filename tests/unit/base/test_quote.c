#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/quote.h"

static void assert_quoted(struct nx_view text, const char *expected)
{
    struct nx_buf buf;
    nx_buf_init(&buf, 4096);
    nx_quote(&buf, text);
    if (!nx_view_is(nx_buf_view(&buf), expected))
        fail_msg("got %.*s, expected %s", NX_VIEW_ARG(nx_buf_view(&buf)), expected);
    nx_buf_release(&buf);
}

static void quote_matches_go(void **state)
{
    (void)state;
    assert_quoted(nx_view_make(NULL, 0), "\"\"");
    assert_quoted(nx_view_make("a\0\a\x1f\x7f", 5), "\"a\\x00\\a\\x1f\\x7f\"");
    assert_quoted(NX_VIEW("\a\b\f\n\r\t\v\\\"'"), "\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"'\"");
    assert_quoted(NX_VIEW("\xff\xc3"), "\"\\xff\\xc3\"");
    assert_quoted(NX_VIEW("é€😀"), "\"é€😀\"");
    assert_quoted(NX_VIEW("\xC2\xA0\xE2\x80\x8B\xE2\x80\xA8\xEE\x80\x80\xF3\xA0\x80\x81\xCD\xB8"),
                  "\"\\u00a0\\u200b\\u2028\\ue000\\U000e0001\\u0378\"");
    assert_quoted(NX_VIEW("\xEF\xBF\xBD"), "\"\xEF\xBF\xBD\"");
    assert_quoted(NX_VIEW("\xED\xA0\x80"), "\"\\xed\\xa0\\x80\"");
}

/* FNV-1a over the hexadecimal runes, as a Go program computed it with strconv.IsPrint. */
static void printable_runes_are_those_of_go(void **state)
{
    (void)state;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (uint32_t rune = 0; rune <= 0x10FFFF; rune++) {
        if (!nx_rune_is_print(rune))
            continue;
        char text[16];
        int len = snprintf(text, sizeof text, "%x,", rune);
        for (int i = 0; i < len; i++)
            h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
    }
    assert_true(h == UINT64_C(0xcb868da62abe63fa));
    assert_false(nx_rune_is_print(0x110000));
}

static void quote_into_is_cut_at_the_size(void **state)
{
    (void)state;
    char out[6];
    assert_string_equal(nx_quote_into(NX_VIEW("abc"), out, sizeof out), "\"abc\"");
    assert_string_equal(nx_quote_into(NX_VIEW("abcdefgh"), out, sizeof out), "\"abcd");
    assert_string_equal(nx_quote_into(NX_VIEW("abcé"), out, sizeof out), "\"abc");
}

static void quote_json_escapes_what_json_must(void **state)
{
    (void)state;
    struct nx_buf buf;
    nx_buf_init(&buf, 4096);
    nx_quote_json(&buf, nx_view_make("a\"b\\c\n\x01\0é/", 11));
    assert_true(nx_view_is(nx_buf_view(&buf), "\"a\\\"b\\\\c\\n\\u0001\\u0000é/\""));
    nx_buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quote_matches_go),
        cmocka_unit_test(printable_runes_are_those_of_go),
        cmocka_unit_test(quote_into_is_cut_at_the_size),
        cmocka_unit_test(quote_json_escapes_what_json_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
