#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/rand.h"

static void seeded_sequence_is_fixed(void **state)
{
    (void)state;
    struct nx_rand a;
    struct nx_rand b;
    nx_rand_seeded(&a, 42);
    nx_rand_seeded(&b, 42);
    for (int i = 0; i < 100; i++)
        assert_true(nx_rand_u64(&a) == nx_rand_u64(&b));
    nx_rand_seeded(&b, 43);
    assert_true(nx_rand_u64(&a) != nx_rand_u64(&b));
    /* the generator of the paper: state 1, 2, 3, 4 */
    for (uint64_t i = 0; i < 4; i++)
        a.state[i] = i + 1;
    assert_true(nx_rand_u64(&a) == 11520);
    assert_true(nx_rand_u64(&a) == 0);
    assert_true(nx_rand_u64(&a) == 1509978240);
}

static void below_stays_below_and_is_even(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_seeded(&rand, 1);
    unsigned counts[6] = {0};
    for (int i = 0; i < 60000; i++)
        counts[nx_rand_below(&rand, 6)]++;
    for (int i = 0; i < 6; i++)
        assert_in_range(counts[i], 9600, 10400);
    assert_true(nx_rand_below(&rand, 1) == 0);
    for (int i = 0; i < 1000; i++)
        assert_true(nx_rand_below(&rand, UINT64_MAX) < UINT64_MAX);
}

static void unit_is_in_range(void **state)
{
    (void)state;
    struct nx_rand rand;
    nx_rand_system(&rand);
    double sum = 0;
    for (int i = 0; i < 10000; i++) {
        double v = nx_rand_unit(&rand);
        assert_true(v >= 0 && v < 1);
        sum += v;
    }
    assert_true(sum > 4500 && sum < 5500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeded_sequence_is_fixed),
        cmocka_unit_test(below_stays_below_and_is_even),
        cmocka_unit_test(unit_is_in_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
