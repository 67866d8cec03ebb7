/* Packed integers: every width, full and short groups; the vector path says what the portable one
 * says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/rand.h"
#include "common/chunk/column/decimal.h"
#include "common/chunk/column/pack.h"

static uint64_t some(struct nx_rand *rand, unsigned width)
{
    return width == 0 ? 0 : nx_rand_u64(rand) >> (64 - width);
}

static void check(struct nx_rand *rand, size_t count, unsigned width)
{
    uint64_t values[NX_PACK_GROUP], out[NX_PACK_GROUP], plain[NX_PACK_GROUP];
    size_t bytes = nx_pack_bytes(count, width);
    uint8_t *packed = nx_alloc(bytes); /* exactly, so that a sanitizer sees a byte beyond */
    for (size_t i = 0; i < count; i++)
        values[i] = some(rand, width);
    nx_pack(values, count, width, packed);
    nx_unpack(packed, count, width, out);
    nx_unpack_portable(packed, count, width, plain);
    assert_memory_equal(out, values, count * sizeof *values);
    assert_memory_equal(plain, values, count * sizeof *values);
    nx_free(packed);
}

static void integers_of_every_width_come_back(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 1);
    for (unsigned width = 0; width <= 64; width++) {
        for (int i = 0; i < 20; i++)
            check(&rand, NX_PACK_GROUP, width);
        for (size_t count = 1; count < NX_PACK_GROUP; count++)
            check(&rand, count, width);
    }
}

static void full_group_lies_as_the_format_says(void **state)
{
    (void)state;
    uint64_t values[NX_PACK_GROUP];
    uint8_t packed[16 * 64];
    for (size_t i = 0; i < NX_PACK_GROUP; i++)
        values[i] = i;
    nx_pack(values, NX_PACK_GROUP, 7, packed);
    for (size_t i = 0; i < NX_PACK_GROUP; i++) {
        uint64_t got = 0;
        for (size_t b = 0; b < 7; b++) {
            size_t bit = i / 4 * 7 + b; /* in the lane */
            size_t byte = bit / 32 * 16 + i % 4 * 4 + bit % 32 / 8;
            got |= (uint64_t)(packed[byte] >> (bit % 8) & 1) << b;
        }
        assert_int_equal(got, i);
    }
    nx_pack(values, NX_PACK_GROUP, 41, packed);
    for (size_t i = 0; i < NX_PACK_GROUP; i++) {
        uint64_t got = 0;
        for (size_t b = 0; b < 41; b++) {
            size_t bit = i / 2 * 41 + b;
            size_t byte = bit / 64 * 16 + i % 2 * 8 + bit % 64 / 8;
            got |= (uint64_t)(packed[byte] >> (bit % 8) & 1) << b;
        }
        assert_int_equal(got, i);
    }
}

static void both_paths_make_the_same_floats_and_refuse_the_same_integers(void **state)
{
    (void)state;
    struct nx_rand rand;
    int64_t ints[NX_PACK_GROUP];
    double a[NX_PACK_GROUP], b[NX_PACK_GROUP];
    nx_rand_seeded(&rand, 2);
    for (int round = 0; round < 5000; round++) {
        unsigned width = 1 + (unsigned)nx_rand_below(&rand, 52);
        unsigned digits = (unsigned)nx_rand_below(&rand, NX_DECIMAL_DIGITS + 1);
        double factor = nx_rand_below(&rand, 2) ? 1 : (double)(1 + some(&rand, 20));
        for (size_t i = 0; i < NX_PACK_GROUP; i++)
            ints[i] = (int64_t)some(&rand, width) - (INT64_C(1) << (width - 1));
        if (nx_rand_below(&rand, 4) == 0) { /* at the limit and around it */
            int64_t edge = NX_DECIMAL_LIMIT - 2 + (int64_t)nx_rand_below(&rand, 4);
            ints[nx_rand_below(&rand, NX_PACK_GROUP)] = nx_rand_below(&rand, 2) ? edge : -edge - 1;
        }
        bool good = true;
        for (size_t i = 0; i < NX_PACK_GROUP; i++)
            good = good && ints[i] >= -NX_DECIMAL_LIMIT && ints[i] < NX_DECIMAL_LIMIT;
        assert_int_equal(nx_decimal_floats(ints, NX_PACK_GROUP, factor, digits, a), good);
        assert_int_equal(nx_decimal_floats_portable(ints, NX_PACK_GROUP, factor, digits, b), good);
        if (good)
            assert_memory_equal(a, b, sizeof a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width_come_back),
        cmocka_unit_test(full_group_lies_as_the_format_says),
        cmocka_unit_test(both_paths_make_the_same_floats_and_refuse_the_same_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
