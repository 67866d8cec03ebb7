/* Columns of integers and of floats, and the chunk of two of them: every sequence comes back bit
 * for bit, damage is an error or some sequence, never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "column_data.h"
#include "common/base/alloc.h"
#include "common/chunk/chunk.h"
#include "common/chunk/column/column_chunk.h"

static struct nx_values_scratch scratch;

static size_t some_count(struct nx_rand *rand)
{
    static const size_t edges[] = {1, 2, 3, 127, 128, 129, 255, 256, 257, 2880, NX_COLUMN_MAX};
    return nx_rand_below(rand, 3) == 0 ? edges[nx_rand_below(rand, 11)]
                                       : 1 + (size_t)nx_rand_below(rand, 700);
}

/* A copy of exactly its size, so that a sanitizer sees the first byte read beyond it. */
static struct nx_view exact(const struct nx_buf *buf, size_t len)
{
    char *copy = nx_alloc(len ? len : 1);
    if (len > 0)
        memcpy(copy, buf->data, len);
    return nx_view_make(copy, len);
}

static void drop(struct nx_view view)
{
    nx_free((void *)(uintptr_t)view.ptr);
}

union group {
    int64_t ints[NX_PACK_GROUP];
    double values[NX_PACK_GROUP];
};

static enum nx_err next_ints(void *reader, union group *out, size_t *got)
{
    return nx_ints_next(reader, out->ints, got);
}

static enum nx_err next_values(void *reader, union group *out, size_t *got)
{
    return nx_values_next(reader, out->values, got);
}

/* What a reader gives, group by group, is `expected`: `count` words of eight bytes. */
static void groups_check(enum nx_err (*next)(void *reader, union group *out, size_t *got),
                         void *reader, const void *expected, size_t count)
{
    union group out;
    size_t at = 0;
    size_t got = 1;
    while (got > 0) {
        assert_int_equal(next(reader, &out, &got), NX_OK);
        assert_true(at + got <= count);
        assert_memory_equal(&out, (const char *)expected + at * 8, got * 8);
        at += got;
    }
    assert_int_equal(at, count);
}

static void ints_check(const int64_t *values, size_t count)
{
    struct nx_buf buf;
    struct nx_ints_reader reader;
    nx_buf_init(&buf, SIZE_MAX);
    nx_ints_encode(&buf, values, count);
    struct nx_view bytes = exact(&buf, buf.len);
    assert_int_equal(nx_ints_open(&reader, bytes, count), NX_OK);
    groups_check(next_ints, &reader, values, count);
    assert_int_equal(nx_cursor_left(&reader.cur), 0);
    drop(bytes);
    nx_buf_release(&buf);
}

static void integers_come_back(void **state)
{
    (void)state;
    static int64_t values[NX_COLUMN_MAX];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 3);
    for (int round = 0; round < 600; round++) {
        size_t count = some_count(&rand);
        column_ints(&rand, (unsigned)round % COLUMN_INT_KINDS, values, count);
        ints_check(values, count);
    }
}

static size_t ints_bytes(const int64_t *values, size_t count)
{
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX);
    nx_ints_encode(&buf, values, count);
    size_t len = buf.len;
    nx_buf_release(&buf);
    return len;
}

static void integers_with_a_pattern_are_short(void **state)
{
    (void)state;
    static int64_t values[2880];
    for (int64_t i = 0; i < 2880; i++)
        values[i] = INT64_C(1700000000000) + i * 15000;
    assert_true(ints_bytes(values, 2880) <= 16);
    values[1000] += 3; /* an exception */
    assert_true(ints_bytes(values, 2880) <= 40);
    for (int64_t i = 0; i < 2880; i++)
        values[i] = i * 23 + i * 7919 % 23; /* a line and 23 values of noise: 5 bits */
    assert_true(ints_bytes(values, 2880) <= 2880 * 5 / 8 + 23 * 5 + 10);
}

static void values_check(const uint64_t *bits, size_t count)
{
    struct nx_buf buf;
    struct nx_values_reader reader;
    nx_buf_init(&buf, SIZE_MAX);
    nx_values_encode(&buf, bits, count, &scratch);
    struct nx_view bytes = exact(&buf, buf.len);
    assert_int_equal(nx_values_open(&reader, bytes, count), NX_OK);
    groups_check(next_values, &reader, bits, count);
    drop(bytes);
    nx_buf_release(&buf);
}

static void values_come_back_bit_for_bit(void **state)
{
    (void)state;
    static uint64_t bits[NX_COLUMN_MAX];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 4);
    for (int round = 0; round < 1200; round++) {
        size_t count = some_count(&rand);
        column_values(&rand, (unsigned)round % COLUMN_VALUE_KINDS, bits, count);
        if (round % 3 == 0 && count > 300) /* two kinds in one column */
            column_values(&rand, (unsigned)nx_rand_below(&rand, COLUMN_VALUE_KINDS), bits + 200,
                          count - 250);
        values_check(bits, count);
    }
}

static uint8_t scheme_of(const uint64_t *bits, size_t count)
{
    struct nx_buf buf;
    nx_buf_init(&buf, SIZE_MAX);
    nx_values_encode(&buf, bits, count, &scratch);
    uint8_t scheme = (uint8_t)buf.data[0];
    nx_buf_release(&buf);
    return scheme;
}

static void values_are_told_by_what_they_are(void **state)
{
    (void)state;
    static uint64_t bits[500];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 5);
    column_values(&rand, 0, bits, 500);
    assert_int_equal(scheme_of(bits, 500), NX_VALUES_CONSTANT);
    column_values(&rand, 1, bits, 500);
    assert_int_equal(scheme_of(bits, 500), NX_VALUES_DECIMAL);
    column_values(&rand, 3, bits, 500);
    assert_int_equal(scheme_of(bits, 500), NX_VALUES_RESIDUE);
    column_values(&rand, 5, bits, 500); /* multiples of 4096 */
    assert_int_equal(scheme_of(bits, 500), NX_VALUES_DECIMAL | 0x40);
    column_values(&rand, 6, bits, 500); /* 20 + n / 8: three digits, in steps of 125 */
    assert_int_equal(scheme_of(bits, 500), NX_VALUES_DECIMAL | 0x40 | 3);
    column_values(&rand, 11, bits, 500);
    assert_int_equal(scheme_of(bits, 500), NX_VALUES_DECIMAL | 0x20 | 2);
}

/* --- chunks --- */

static struct nx_view chunk_of(const int64_t *times, const uint64_t *bits, size_t count)
{
    struct nx_buf t, v, chunk;
    nx_buf_init(&t, SIZE_MAX);
    nx_buf_init(&v, SIZE_MAX);
    nx_buf_init(&chunk, SIZE_MAX);
    nx_ints_encode(&t, times, count);
    nx_values_encode(&v, bits, count, &scratch);
    nx_column_put(&chunk, count, nx_buf_view(&t), nx_buf_view(&v));
    struct nx_view out = exact(&chunk, chunk.len);
    nx_buf_release(&t);
    nx_buf_release(&v);
    nx_buf_release(&chunk);
    return out;
}

static void chunk_is_read_and_sought_sample_by_sample(void **state)
{
    (void)state;
    static uint64_t bits[NX_COLUMN_MAX];
    static int64_t times[NX_COLUMN_MAX];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 6);
    for (int round = 0; round < 300; round++) {
        size_t count = some_count(&rand);
        struct nx_chunk chunk;
        struct nx_sample_iter *it;
        struct nx_sample s;
        column_values(&rand, (unsigned)round % COLUMN_VALUE_KINDS, bits, count);
        column_times(&rand, (unsigned)nx_rand_below(&rand, 4), times, count);
        struct nx_view data = chunk_of(times, bits, count);
        assert_int_equal(nx_chunk_inspect(NX_CHUNK_COLUMN, data, &chunk), NX_OK);
        assert_int_equal(chunk.count, count);
        assert_true(chunk.min_t == times[0] && chunk.max_t == times[count - 1]);
        assert_int_equal(nx_chunk_iter_new(NX_CHUNK_COLUMN, data, &it), NX_OK);
        for (size_t at = 0; at < count; at++) { /* on by one, or a leap */
            if (nx_rand_below(&rand, 4) == 0) {
                at += (size_t)nx_rand_below(&rand, count - at);
                int64_t between = at > 0 ? times[at - 1] + 1 : times[0];
                assert_int_equal(nx_sample_seek(it, between, &s), 1);
            } else {
                assert_int_equal(nx_sample_next(it, &s), 1);
            }
            assert_int_equal(s.t, times[at]);
            assert_true(nx_double_bits(s.value) == bits[at]);
            assert_null(s.histogram);
            if (at == count / 2) { /* never back */
                assert_int_equal(nx_sample_seek(it, times[0], &s), 1);
                assert_int_equal(s.t, times[at]);
            }
        }
        assert_int_equal(nx_sample_next(it, &s), 0);
        assert_int_equal(nx_sample_seek(it, times[0], &s), 0);
        nx_sample_iter_free(it);
        drop(data);
    }
}

/* Reads to the end, whatever it is; a sequence that is read ascends. */
static int read_all(struct nx_view data)
{
    struct nx_sample_iter *it;
    struct nx_sample s;
    int64_t last = INT64_MIN;
    size_t count = 0;
    enum nx_err err = nx_chunk_iter_new(NX_CHUNK_COLUMN, data, &it);
    if (err != NX_OK)
        return err;
    int got;
    while ((got = nx_sample_next(it, &s)) == 1) {
        assert_true(count++ == 0 || s.t > last);
        last = s.t;
    }
    nx_sample_iter_free(it);
    return got;
}

static void chunk_cut_anywhere_is_damage(void **state)
{
    (void)state;
    uint64_t bits[300];
    int64_t times[300];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 7);
    for (unsigned kind = 0; kind < COLUMN_VALUE_KINDS; kind++) {
        column_values(&rand, kind, bits, 300);
        column_times(&rand, kind % 4, times, 300);
        struct nx_view data = chunk_of(times, bits, 300);
        assert_int_equal(read_all(data), 0);
        for (size_t len = 0; len < data.len; len++) {
            struct nx_buf whole = {.data = (char *)(uintptr_t)data.ptr};
            struct nx_view cut = exact(&whole, len);
            int got = read_all(cut);
            /* a constant's last bytes may be missing: it is another value then */
            if (kind != 0)
                assert_int_equal(got, NX_ERR_CORRUPT);
            drop(cut);
        }
        drop(data);
    }
}

static void chunk_with_any_byte_changed_does_no_harm(void **state)
{
    (void)state;
    uint64_t bits[200];
    int64_t times[200];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 8);
    for (unsigned kind = 0; kind < COLUMN_VALUE_KINDS; kind++) {
        column_values(&rand, kind, bits, 200);
        column_times(&rand, kind % 4, times, 200);
        struct nx_view data = chunk_of(times, bits, 200);
        uint8_t *bytes = (uint8_t *)(uintptr_t)data.ptr;
        for (size_t i = 0; i < data.len; i++) {
            uint8_t before = bytes[i];
            for (int j = 0; j < 4; j++) {
                bytes[i] = (uint8_t)(j < 3 ? before ^ (1u << nx_rand_below(&rand, 8))
                                           : nx_rand_below(&rand, 256));
                int got = read_all(data);
                assert_true(got == 0 || got == NX_ERR_CORRUPT);
            }
            bytes[i] = before;
        }
        drop(data);
    }
}

static void times_that_do_not_ascend_are_damage(void **state)
{
    (void)state;
    uint64_t bits[300] = {0};
    int64_t times[300];
    for (size_t bad = 1; bad < 300; bad++) {
        for (int64_t i = 0; i < 300; i++)
            times[i] = i * 10;
        times[bad] = times[bad - 1];
        struct nx_view data = chunk_of(times, bits, 300);
        assert_int_equal(read_all(data), NX_ERR_CORRUPT);
        drop(data);
    }
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void columns_without_memory_are_an_error(void **state)
{
    (void)state;
    uint64_t bits[400];
    struct nx_rand rand;
    nx_rand_seeded(&rand, 9);
    for (unsigned kind = 0; kind < COLUMN_VALUE_KINDS; kind++) {
        column_values(&rand, kind, bits, 400);
        for (size_t n = 0;; n++) {
            struct nx_buf buf;
            size_t left = n;
            nx_buf_init(&buf, SIZE_MAX);
            nx_alloc_set_hook(fail_nth, &left);
            nx_values_encode(&buf, bits, 400, &scratch);
            nx_alloc_set_hook(NULL, NULL);
            enum nx_err err = nx_buf_err(&buf);
            if (err == NX_OK) { /* perhaps another scheme than with memory, but the same values */
                struct nx_values_reader reader;
                double out[NX_PACK_GROUP];
                size_t got;
                assert_int_equal(nx_values_open(&reader, nx_buf_view(&buf), 400), NX_OK);
                assert_int_equal(nx_values_next(&reader, out, &got), NX_OK);
                assert_memory_equal(out, bits, got * sizeof *out);
            } else {
                assert_int_equal(err, NX_ERR_NOMEM);
            }
            nx_buf_release(&buf);
            if (left < SIZE_MAX / 2 && left > 0)
                break; /* not fired */
        }
    }
    struct nx_sample_iter *it;
    int64_t time = 5;
    size_t left = 0;
    struct nx_view data = chunk_of(&time, bits, 1);
    nx_alloc_set_hook(fail_nth, &left);
    assert_int_equal(nx_chunk_iter_new(NX_CHUNK_COLUMN, data, &it), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
    drop(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_come_back),
        cmocka_unit_test(integers_with_a_pattern_are_short),
        cmocka_unit_test(values_come_back_bit_for_bit),
        cmocka_unit_test(values_are_told_by_what_they_are),
        cmocka_unit_test(chunk_is_read_and_sought_sample_by_sample),
        cmocka_unit_test(chunk_cut_anywhere_is_damage),
        cmocka_unit_test(chunk_with_any_byte_changed_does_no_harm),
        cmocka_unit_test(times_that_do_not_ascend_are_damage),
        cmocka_unit_test(columns_without_memory_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
