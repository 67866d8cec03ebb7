#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/hash.h"
#include "common/base/rand.h"

static void crc32c_matches_published_vectors(void **state)
{
    (void)state;
    /* RFC 3720, appendix B.4 */
    uint8_t bytes[32] = {0};
    assert_int_equal(nx_crc32c(0, bytes, 32), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    assert_int_equal(nx_crc32c(0, bytes, 32), 0x62A8AB43);
    for (uint8_t i = 0; i < 32; i++)
        bytes[i] = i;
    assert_int_equal(nx_crc32c(0, bytes, 32), 0x46DD794E);
    assert_int_equal(nx_crc32c(0, "123456789", 9), 0xE3069283);
    assert_int_equal(nx_crc32c_table(0, "123456789", 9), 0xE3069283);
    assert_int_equal(nx_crc32c(0, NULL, 0), 0);
    assert_int_equal(nx_crc32c_table(0, NULL, 0), 0);
}

static void crc32c_is_the_same_by_table_and_in_pieces(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)nx_rand_u64(&rand);
    for (int i = 0; i < 2000; i++) {
        size_t from = (size_t)nx_rand_below(&rand, 16);
        size_t len = (size_t)nx_rand_below(&rand, sizeof bytes - from);
        size_t cut = (size_t)nx_rand_below(&rand, len + 1);
        uint32_t whole = nx_crc32c(0, bytes + from, len);
        assert_int_equal(nx_crc32c_table(0, bytes + from, len), whole);
        uint32_t first = nx_crc32c(0, bytes + from, cut);
        assert_int_equal(nx_crc32c(first, bytes + from + cut, len - cut), whole);
        assert_int_equal(nx_crc32c_table(first, bytes + from + cut, len - cut), whole);
    }
}

static void xxhash_matches_published_values(void **state)
{
    (void)state;
    assert_true(nx_xxh64("", 0) == UINT64_C(0xEF46DB3751D8E999));
    assert_true(nx_xxh64("abc", 3) == UINT64_C(0x44BC2CF5AD770999));
    assert_true(nx_hash64("", 0) == UINT64_C(0x2D06800538D394C2));
    struct nx_hash128 h = nx_hash128("", 0);
    assert_true(h.hi == UINT64_C(0x99AA06D3014798D8));
    assert_true(h.lo == UINT64_C(0x6001C324468D497F));
    assert_true(nx_hash64(NULL, 0) == nx_hash64("", 0));
    assert_true(nx_hash_view(NX_VIEW("abc")) == nx_hash64("abc", 3));
    assert_true(nx_hash64_seeded("abc", 3, 1) != nx_hash64("abc", 3));
    assert_true(nx_hash64_seeded("abc", 3, 0) == nx_hash64("abc", 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_matches_published_vectors),
        cmocka_unit_test(crc32c_is_the_same_by_table_and_in_pieces),
        cmocka_unit_test(xxhash_matches_published_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
