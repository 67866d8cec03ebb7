/* MD5 against the test suite of RFC 1321, appendix A.5, and around block boundaries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/md5.h"

static void assert_digest(struct nx_view text, const char *expected)
{
    uint8_t digest[NX_MD5_BYTES];
    char hex[2 * NX_MD5_BYTES + 1];
    nx_md5(text, digest);
    for (size_t i = 0; i < NX_MD5_BYTES; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    assert_string_equal(hex, expected);
}

static void digests_are_those_of_the_standard(void **state)
{
    (void)state;
    assert_digest((struct nx_view){NULL, 0}, "d41d8cd98f00b204e9800998ecf8427e");
    assert_digest(NX_VIEW("a"), "0cc175b9c0f1b6a831c399e269772661");
    assert_digest(NX_VIEW("abc"), "900150983cd24fb0d6963f7d28e17f72");
    assert_digest(NX_VIEW("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
    assert_digest(NX_VIEW("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
    assert_digest(NX_VIEW("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
                  "d174ab98d277d9f5a5611c2c9f419d9f");
    assert_digest(NX_VIEW("1234567890123456789012345678901234567890123456789012345678901234567890"
                          "1234567890"),
                  "57edf4a22be3c955ac49da2e2107b67a");
}

static void lengths_around_a_block_are_padded_right(void **state)
{
    (void)state;
    static const struct {
        size_t len;
        const char *digest;
    } cases[] = {
        {55, "04364420e25c512fd958a70738aa8f72"},  {56, "668a72d5ba17f08e62dabcafad6db14b"},
        {57, "693037871c4a9d3d8685018905cb530a"},  {63, "7dc2ca208106a2f703567bdff99d8981"},
        {64, "c1bb4f81d892b2d57947682aeb252456"},  {65, "1bc932052302d074bdec39795fe00cf6"},
        {119, "ab347a5f68c8a443cfcddc633f12c24f"}, {120, "fb98667f98096de92620b64f46e1c5b5"},
        {128, "d69cb61a6ee87200676eb0d4b90edbcb"}, {200, "30a83621ce5422fbdfdd539777458c78"},
    };
    char text[256];
    memset(text, 'x', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_digest(nx_view_make(text, cases[i].len), cases[i].digest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_are_those_of_the_standard),
        cmocka_unit_test(lengths_around_a_block_are_padded_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
