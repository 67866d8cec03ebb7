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
#include "common/chunk/column/ints.h"
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

static struct nx_dequant some_scale(struct nx_rand *rand)
{
    return (struct nx_dequant){
        .factor = nx_rand_below(rand, 2)
                      ? 1
                      : (double)(1 + some(rand, 1 + (unsigned)nx_rand_below(rand, 53))),
        .digits = (unsigned)nx_rand_below(rand, NX_DECIMAL_DIGITS + 1)};
}

static void both_paths_make_the_same_floats_and_refuse_the_same_integers(void **state)
{
    (void)state;
    struct nx_rand rand;
    int64_t ints[NX_PACK_GROUP];
    double a[NX_PACK_GROUP], b[NX_PACK_GROUP];
    nx_rand_seeded(&rand, 2);
    for (int round = 0; round < 20000; round++) {
        unsigned width = 1 + (unsigned)nx_rand_below(&rand, 52);
        struct nx_dequant scale = some_scale(&rand);
        for (size_t i = 0; i < NX_PACK_GROUP; i++)
            ints[i] = (int64_t)some(&rand, width) - (INT64_C(1) << (width - 1));
        if (nx_rand_below(&rand, 4) == 0) { /* at the limit and around it */
            int64_t edge = NX_DECIMAL_LIMIT - 2 + (int64_t)nx_rand_below(&rand, 4);
            ints[nx_rand_below(&rand, NX_PACK_GROUP)] = nx_rand_below(&rand, 2) ? edge : -edge - 1;
        }
        bool good = true;
        for (size_t i = 0; i < NX_PACK_GROUP; i++)
            good = good && ints[i] >= -NX_DECIMAL_LIMIT && ints[i] < NX_DECIMAL_LIMIT;
        assert_int_equal(nx_decimal_floats(ints, NX_PACK_GROUP, &scale, a), good);
        assert_int_equal(nx_decimal_floats_portable(ints, NX_PACK_GROUP, &scale, b), good);
        if (good)
            assert_memory_equal(a, b, sizeof a);
    }
}

/* Quotients that lie as near as can be to the middle between two floats round the hardest. */
static void quotients_near_a_tie_are_rounded_as_by_division(void **state)
{
    (void)state;
    struct nx_rand rand;
    int64_t ints[NX_PACK_GROUP];
    double a[NX_PACK_GROUP], b[NX_PACK_GROUP];
    nx_rand_seeded(&rand, 3);
    for (int round = 0; round < 20000; round++) {
        struct nx_dequant scale = {.factor = 1,
                                   .digits = 1 + (unsigned)nx_rand_below(&rand, NX_DECIMAL_DIGITS)};
        double power = nx_powers_of_ten[scale.digits];
        for (size_t i = 0; i < NX_PACK_GROUP; i++) {
            double odd = (double)((some(&rand, 53) | 1) + (UINT64_C(1) << 53)); /* of 54 bits */
            double near = odd * 0x1p-53 * power * (double)(1 + some(&rand, 40));
            while (near >= 0x1p51)
                near *= 0x1p-8;
            ints[i] = (int64_t)near;
        }
        assert_true(nx_decimal_floats(ints, NX_PACK_GROUP, &scale, a));
        assert_true(nx_decimal_floats_portable(ints, NX_PACK_GROUP, &scale, b));
        assert_memory_equal(a, b, sizeof a);
    }
}

/* What a fused group must be: its integers, and those as floats. */
static void check_fused(struct nx_rand *rand, const int64_t *values, size_t count)
{
    struct nx_dequant scale = some_scale(rand);
    struct nx_buf buf;
    struct nx_ints_reader plain, fused;
    int64_t ints[NX_PACK_GROUP];
    double a[NX_PACK_GROUP], b[NX_PACK_GROUP];
    size_t got = 1, again;
    nx_buf_init(&buf, SIZE_MAX);
    nx_ints_encode(&buf, values, count);
    assert_int_equal(nx_ints_open(&plain, nx_buf_view(&buf), count), NX_OK);
    assert_int_equal(nx_ints_open(&fused, nx_buf_view(&buf), count), NX_OK);
    while (got > 0) {
        assert_int_equal(nx_ints_next(&plain, ints, &got), NX_OK);
        bool good = got == 0 || nx_decimal_floats_portable(ints, got, &scale, a);
        enum nx_err err = nx_ints_next_floats(&fused, &scale, b, &again);
        assert_int_equal(err, good ? NX_OK : NX_ERR_CORRUPT);
        if (!good)
            break;
        assert_int_equal(again, got);
        assert_memory_equal(a, b, got * sizeof *a);
        assert_true(plain.last == fused.last && plain.delta == fused.delta);
        assert_int_equal(plain.left, fused.left);
    }
    nx_buf_release(&buf);
}

static void integers_read_as_floats_are_the_integers_scaled(void **state)
{
    (void)state;
    static int64_t values[1000];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    for (int round = 0; round < 4000; round++) {
        size_t count = 1 + (size_t)nx_rand_below(&rand, 1000);
        unsigned width = (unsigned)nx_rand_below(&rand, 40);
        uint64_t slope = some(&rand, (unsigned)nx_rand_below(&rand, 44));
        uint64_t at = some(&rand, (unsigned)nx_rand_below(&rand, 53));
        int kind = round % 4; /* a line and noise, a walk, flat runs, up to the limit */
        at = kind == 3 ? (uint64_t)NX_DECIMAL_LIMIT - 2 - nx_rand_below(&rand, 200) : at;
        for (size_t i = 0; i < count; i++) {
            uint64_t noise = some(&rand, width);
            if (kind == 0)
                values[i] = (int64_t)(at - i * slope + noise);
            else if (kind == 1)
                values[i] = (int64_t)(at += noise - (UINT64_C(1) << width >> 1));
            else if (kind == 2)
                values[i] = (int64_t)(at += nx_rand_below(&rand, 9) ? 0 : noise);
            else
                values[i] = (int64_t)(at + nx_rand_below(&rand, 3));
        }
        check_fused(&rand, values, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_of_every_width_come_back),
        cmocka_unit_test(full_group_lies_as_the_format_says),
        cmocka_unit_test(both_paths_make_the_same_floats_and_refuse_the_same_integers),
        cmocka_unit_test(quotients_near_a_tie_are_rounded_as_by_division),
        cmocka_unit_test(integers_read_as_floats_are_the_integers_scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
