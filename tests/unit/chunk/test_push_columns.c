/* Columns of a push by number: what is written is read bit for bit, and bytes that nobody wrote are
 * refused without harm. */
#include "common/chunk/push_columns.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/cursor.h"
#include "common/base/rand.h"
#include "common/chunk/sample.h"

enum { MAX_ROWS = 700, MAX_SAMPLES = 4000 };

struct columns {
    struct nx_push_columns columns;
    uint32_t numbers[MAX_ROWS], offsets[MAX_ROWS + 1], ends[MAX_ROWS];
    int64_t times[MAX_SAMPLES];
    uint64_t bits[MAX_SAMPLES], checks[MAX_ROWS];
};

static void columns_init(struct columns *c)
{
    c->columns = (struct nx_push_columns){.numbers = c->numbers,
                                          .offsets = c->offsets,
                                          .times = c->times,
                                          .bits = c->bits,
                                          .ends = c->ends,
                                          .checks = c->checks};
    c->offsets[0] = 0;
}

static void add_row(struct columns *c, uint32_t number, size_t samples)
{
    assert_true(c->columns.rows < MAX_ROWS);
    c->numbers[c->columns.rows++] = number;
    c->offsets[c->columns.rows] = c->offsets[c->columns.rows - 1] + (uint32_t)samples;
}

static void fill_checks(struct columns *c, struct nx_rand *rand)
{
    nx_push_cut(&c->columns);
    for (size_t i = 0; i < c->columns.bunches; i++)
        c->checks[i] = nx_rand_u64(rand);
}

static void assert_same(const struct nx_push_columns *a, const struct nx_push_columns *b)
{
    assert_int_equal(a->rows, b->rows);
    assert_int_equal(a->bunches, b->bunches);
    assert_memory_equal(a->numbers, b->numbers, a->rows * sizeof *a->numbers);
    assert_memory_equal(a->offsets, b->offsets, (a->rows + 1) * sizeof *a->offsets);
    assert_memory_equal(a->ends, b->ends, a->bunches * sizeof *a->ends);
    assert_memory_equal(a->checks, b->checks, a->bunches * sizeof *a->checks);
    assert_memory_equal(a->times, b->times, nx_push_samples(a) * sizeof *a->times);
    assert_memory_equal(a->bits, b->bits, nx_push_samples(a) * sizeof *a->bits);
}

/* Returns the bytes it took. */
static size_t round_trip(const struct columns *c)
{
    struct nx_buf buf;
    struct nx_arena arena;
    struct nx_push_columns back;
    nx_buf_init(&buf, SIZE_MAX);
    nx_arena_init(&arena, 0);
    nx_push_columns_put(&buf, &c->columns);
    assert_int_equal(nx_buf_err(&buf), NX_OK);
    size_t len = buf.len;
    /* memory of its own, so that a sanitizer sees a byte read beyond it */
    char *copy = nx_alloc(len);
    memcpy(copy, buf.data, len);
    assert_int_equal(nx_push_columns_read(nx_view_make(copy, len), &arena, &back), NX_OK);
    assert_same(&c->columns, &back);
    nx_free(copy);
    nx_arena_release(&arena);
    nx_buf_release(&buf);
    return len;
}

static void columns_of_a_scrape_take_few_bytes(void **state)
{
    (void)state;
    struct columns *c = nx_calloc(1, sizeof *c);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 1);
    columns_init(c);
    for (uint32_t i = 0; i < 600; i++) {
        add_row(c, nx_number_of(i / 300, 1000 + i), 1);
        c->times[i] = INT64_C(1700000000000);
        c->bits[i] = nx_double_bits((double)(i * 7)); /* two bytes */
    }
    fill_checks(c, &rand);
    assert_int_equal(c->columns.bunches, 20);
    size_t len = round_trip(c);
    assert_in_range(len, 600 * 3, 600 * 4);
    nx_free(c);
}

static void bunches_end_at_their_size_and_where_the_shard_changes(void **state)
{
    (void)state;
    struct columns c;
    columns_init(&c);
    for (uint32_t i = 0; i < 40; i++)
        add_row(&c, nx_number_of(0, i), 1);
    for (uint32_t i = 0; i < 32; i++)
        add_row(&c, nx_number_of(1, i), 1);
    add_row(&c, nx_number_of(63, 5), 1);
    nx_push_cut(&c.columns);
    assert_int_equal(c.columns.bunches, 4);
    assert_int_equal(c.ends[0], 32);
    assert_int_equal(c.ends[1], 40);
    assert_int_equal(c.ends[2], 72);
    assert_int_equal(c.ends[3], 73);
}

static void numbers_name_shard_and_slot(void **state)
{
    (void)state;
    assert_int_equal(nx_number_of(0, 0), 1);
    assert_int_equal(nx_number_shard(nx_number_of(63, 17)), 63);
    assert_int_equal(nx_number_slot(nx_number_of(63, 17)), 17);
    uint32_t last = NX_NUMBER_SLOT_MASK - 1;
    assert_int_equal(nx_number_slot(nx_number_of(5, last)), last);
    assert_int_equal(nx_number_shard(nx_number_of(5, last)), 5);
    assert_int_equal(nx_number_of(0, last + 1), 0);
    assert_int_equal(nx_number_of(0, UINT32_MAX), 0);
    assert_int_equal(nx_number_of(NX_NUMBER_SHARDS, 0), 0);
    assert_int_equal(nx_number_slot(0), UINT32_MAX);
}

static void check_depends_on_each_id_and_their_order(void **state)
{
    (void)state;
    struct nx_series_id a = {.hi = 1, .lo = 2}, b = {.hi = 3, .lo = 4};
    uint64_t ab = nx_push_check(nx_push_check(0, a), b);
    assert_true(ab != nx_push_check(nx_push_check(0, b), a));
    assert_true(ab != nx_push_check(0, a) && ab != nx_push_check(0, b));
    a.lo ^= 1;
    assert_true(ab != nx_push_check(nx_push_check(0, a), b));
    a.lo ^= 1;
    b.hi ^= UINT64_C(1) << 63;
    assert_true(ab != nx_push_check(nx_push_check(0, a), b));
}

/* --- values and times alone --- */

static size_t value_bytes(uint64_t bits)
{
    char bytes[32];
    uint64_t back = ~bits;
    size_t len = (size_t)(nx_push_values_put(bytes, &bits, 1) - bytes);
    struct nx_cursor cur = nx_cursor_of(nx_view_make(bytes, len));
    nx_push_values_read(&cur, &back, 1);
    assert_true(nx_cursor_ok(&cur) && nx_cursor_left(&cur) == 0);
    assert_true(back == bits);
    return len - 1; /* of which half a byte is the code */
}

static void values_take_what_they_need(void **state)
{
    (void)state;
    static const struct {
        double value;
        size_t bytes;
    } cases[] = {
        {0, 0},
        {-0.0, 2},
        {1, 1},
        {-1, 1},
        {127, 1},
        {-128, 1},
        {128, 2},
        {32767, 2},
        {65536, 3},
        {1e9, 4},
        {3e9, 5},
        {1e12, 7},
        {0x1p53, 2},
        {-0x1p53, 2},
        {0x1p53 - 1, 7},
        {0.5, 2},
        {HUGE_VAL, 2},
        {-HUGE_VAL, 2},
        {0.1, 3},
        {12345.678, 4},
        {-99.5, 3},
        {0.1 + 0.2, 8},
        {3.0000001, 8},
        {1e300, 8},
        {0x1.234p-1000, 3},
        {5e-324, 8},
        {0.001, 3},
        {0x1.123456p0, 5},
        {1234567.25, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(value_bytes(nx_double_bits(cases[i].value)), cases[i].bytes);
    assert_int_equal(value_bytes(NX_STALE_NAN_BITS), 0);
    assert_int_equal(value_bytes(NX_NORMAL_NAN_BITS), 8);
    assert_int_equal(value_bytes(UINT64_MAX), 8);
    assert_int_equal(value_bytes(UINT64_C(0x7ff8000000000000)), 2);
}

static uint64_t draw_value(struct nx_rand *rand)
{
    uint64_t bits = nx_rand_u64(rand);
    unsigned shift = (unsigned)nx_rand_below(rand, 64);
    switch (nx_rand_below(rand, 6)) {
    case 0:
        return bits;
    case 1:
        return nx_double_bits((double)(int64_t)(bits >> shift));
    case 2:
        return nx_double_bits(-(double)(bits >> shift));
    case 3:
        return nx_double_bits((double)(int64_t)(bits >> shift) / 1000.0);
    case 4:
        return bits >> shift << shift;
    default:
        return nx_rand_below(rand, 2) ? NX_STALE_NAN_BITS : 0;
    }
}

static int64_t draw_time(struct nx_rand *rand, int64_t last)
{
    switch (nx_rand_below(rand, 4)) {
    case 0:
        return (int64_t)nx_rand_u64(rand);
    case 1:
        return (int64_t)((uint64_t)last + nx_rand_below(rand, 100000));
    default:
        return last;
    }
}

static void draw(struct columns *c, struct nx_rand *rand)
{
    columns_init(c);
    size_t rows = 1 + nx_rand_below(rand, MAX_ROWS - 1);
    size_t most = nx_rand_below(rand, 3) ? 1 : MAX_SAMPLES / MAX_ROWS;
    bool near = nx_rand_below(rand, 2);
    uint32_t number = 1;
    for (size_t i = 0; i < rows; i++) {
        number = near ? number + (uint32_t)nx_rand_below(rand, 3) : (uint32_t)nx_rand_u64(rand);
        add_row(c, number, 1 + nx_rand_below(rand, most));
    }
    int64_t last = INT64_C(1700000000000);
    for (size_t i = 0; i < nx_push_samples(&c->columns); i++) {
        c->times[i] = last = draw_time(rand, last);
        c->bits[i] = draw_value(rand);
    }
    fill_checks(c, rand);
}

static void columns_of_anything_come_back(void **state)
{
    (void)state;
    struct columns *c = nx_calloc(1, sizeof *c);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 42);
    for (size_t round = 0; round < 1000; round++) {
        draw(c, &rand);
        (void)round_trip(c);
    }
    nx_free(c);
}

static void columns_cut_short_or_longer_are_refused(void **state)
{
    (void)state;
    struct columns *c = nx_calloc(1, sizeof *c);
    struct nx_rand rand;
    struct nx_buf buf;
    nx_rand_seeded(&rand, 7);
    nx_buf_init(&buf, SIZE_MAX);
    columns_init(c);
    for (uint32_t i = 0; i < 5; i++) {
        add_row(c, 1 + i, 1 + i % 2);
        c->times[i] = i * 3;
    }
    for (size_t i = 0; i < nx_push_samples(&c->columns); i++)
        c->bits[i] = nx_double_bits((double)i + 0.3);
    fill_checks(c, &rand);
    nx_push_columns_put(&buf, &c->columns);
    nx_buf_append_char(&buf, 0);
    for (size_t len = 0; len <= buf.len; len++) {
        struct nx_arena arena;
        struct nx_push_columns back;
        char *copy = nx_alloc(len + 1);
        memcpy(copy, buf.data, len);
        nx_arena_init(&arena, 0);
        assert_int_equal(nx_push_columns_read(nx_view_make(copy, len), &arena, &back),
                         len == buf.len - 1 ? NX_OK : NX_ERR_INVALID);
        nx_arena_release(&arena);
        nx_free(copy);
    }
    nx_buf_release(&buf);
    nx_free(c);
}

static void columns_that_claim_too_much_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {"\x02\x01\x02\0\0\0\0\0\0\0\0\x02\x02\x01\x01", 15}, /* an unknown flag */
        {"\x00\x00", 2},                                      /* no rows */
        {"\x00\xff\xff\xff\xff\x0f\x02\x02", 8},              /* more rows than bytes */
        {"\x01\x01\xff\xff\xff\xff\x0f\x02", 8},              /* more samples than bytes */
        {"\x01\x02\x01\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02\x02", 14}, /* fewer than rows */
        {"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11},             /* no varint */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_arena arena;
        struct nx_push_columns back;
        nx_arena_init(&arena, 0);
        assert_int_equal(
            nx_push_columns_read(nx_view_make(cases[i].bytes, cases[i].len), &arena, &back),
            NX_ERR_INVALID);
        assert_int_equal(arena.used_bytes, 0);
        nx_arena_release(&arena);
    }
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void columns_without_memory_say_so(void **state)
{
    (void)state;
    struct columns *c = nx_calloc(1, sizeof *c);
    struct nx_rand rand;
    struct nx_buf buf;
    nx_rand_seeded(&rand, 3);
    nx_buf_init(&buf, SIZE_MAX);
    draw(c, &rand);
    nx_push_columns_put(&buf, &c->columns);
    enum nx_err err = NX_ERR_NOMEM;
    size_t n = 0;
    for (; err != NX_OK; n++) {
        struct nx_arena arena;
        struct nx_push_columns back;
        size_t left = n;
        nx_arena_init(&arena, 0);
        nx_alloc_set_hook(fail_nth, &left);
        err = nx_push_columns_read(nx_buf_view(&buf), &arena, &back);
        nx_alloc_set_hook(NULL, NULL);
        assert_true(err == NX_OK || err == NX_ERR_NOMEM);
        nx_arena_release(&arena);
    }
    assert_true(n > 1);
    nx_buf_release(&buf);
    nx_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_of_a_scrape_take_few_bytes),
        cmocka_unit_test(bunches_end_at_their_size_and_where_the_shard_changes),
        cmocka_unit_test(numbers_name_shard_and_slot),
        cmocka_unit_test(check_depends_on_each_id_and_their_order),
        cmocka_unit_test(values_take_what_they_need),
        cmocka_unit_test(columns_of_anything_come_back),
        cmocka_unit_test(columns_cut_short_or_longer_are_refused),
        cmocka_unit_test(columns_that_claim_too_much_are_refused_before_memory_is_taken),
        cmocka_unit_test(columns_without_memory_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
