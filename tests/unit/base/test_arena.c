#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/base/arena.h"
#include "common/base/rand.h"

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void alloc_blocks_are_aligned_and_apart(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_rand rand;
    nx_rand_seeded(&rand, 1);
    enum { BLOCKS = 500 };
    unsigned char *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        sizes[i] = (size_t)nx_rand_below(&rand, UINT64_C(1) << nx_rand_below(&rand, 17));
        blocks[i] = nx_arena_alloc(&arena, sizes[i]);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % 16, 0);
        memset(blocks[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(blocks[i][k], i % 251);
    nx_arena_release(&arena);
    assert_int_equal(arena.used_bytes, 0);
}

static void alloc_beyond_the_cap_fails_and_says_so(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 10000);
    size_t got = 0;
    while (nx_arena_alloc(&arena, 100))
        got += 100;
    assert_true(nx_arena_over(&arena));
    assert_true(got > 8000 && got <= 10000);
    assert_true(arena.used_bytes <= 10000);
    nx_arena_clear(&arena);
    assert_false(nx_arena_over(&arena));
    assert_non_null(nx_arena_alloc(&arena, 100));
    assert_null(nx_arena_alloc(&arena, 10001));
    assert_true(nx_arena_over(&arena));
    nx_arena_release(&arena);
}

static void alloc_without_memory_is_not_over(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 1 << 20);
    int left = 0;
    nx_alloc_set_hook(countdown, &left);
    void *p = nx_arena_alloc(&arena, 8);
    nx_alloc_set_hook(NULL, NULL);
    assert_null(p);
    assert_false(nx_arena_over(&arena));
    nx_arena_release(&arena);
}

static void alloc_overflowing_sizes_fail(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    assert_null(nx_arena_alloc(&arena, SIZE_MAX));
    assert_null(nx_arena_alloc(&arena, SIZE_MAX - 20));
    assert_null(nx_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(nx_arena_calloc(&arena, SIZE_MAX / 2, 3));
    assert_null(nx_arena_copy(&arena, nx_view_make("", SIZE_MAX)).ptr);
    int *array = NULL;
    size_t capacity = 0;
    assert_false(nx_arena_grow(&arena, &array, 0, &capacity, SIZE_MAX / 3, sizeof *array));
    assert_int_equal(capacity, 0);
    nx_arena_release(&arena);
}

static void clear_keeps_one_chunk(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (int i = 0; i < 1000; i++)
        assert_non_null(nx_arena_alloc(&arena, 300));
    assert_non_null(nx_arena_alloc(&arena, 1 << 20));
    nx_arena_clear(&arena);
    assert_true(arena.used_bytes > 0 && arena.used_bytes <= 65536);
    size_t kept = arena.used_bytes;
    int left = 0;
    nx_alloc_set_hook(countdown, &left);
    void *p = nx_arena_calloc(&arena, 100, 100);
    nx_alloc_set_hook(NULL, NULL);
    assert_non_null(p);
    assert_int_equal(arena.used_bytes, kept);
    nx_arena_release(&arena);
}

static void copy_terminates_and_accepts_nothing(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    struct nx_view copy = nx_arena_copy(&arena, NX_VIEW("hello"));
    assert_string_equal(copy.ptr, "hello");
    assert_int_equal(copy.len, 5);
    copy = nx_arena_copy(&arena, (struct nx_view){.ptr = NULL, .len = 0});
    assert_non_null(copy.ptr);
    assert_int_equal(copy.len, 0);
    nx_arena_release(&arena);
}

static void grow_keeps_contents_in_place_or_moved(void **state)
{
    (void)state;
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    uint64_t *a = NULL;
    uint64_t *b = NULL;
    size_t a_capacity = 0;
    size_t b_capacity = 0;
    for (size_t i = 0; i < 3000; i++) {
        assert_true(nx_arena_grow(&arena, &a, i, &a_capacity, i + 1, sizeof *a));
        a[i] = i;
        if (i % 3 == 0) {
            size_t k = i / 3;
            assert_true(nx_arena_grow(&arena, &b, k, &b_capacity, k + 1, sizeof *b));
            b[k] = ~(uint64_t)k;
        }
    }
    for (size_t i = 0; i < 3000; i++)
        assert_true(a[i] == i);
    for (size_t i = 0; i < 1000; i++)
        assert_true(b[i] == ~(uint64_t)i);
    nx_arena_release(&arena);
    /* alone in its chunk an array does not move */
    nx_arena_init(&arena, 0);
    a = NULL;
    a_capacity = 0;
    assert_true(nx_arena_grow(&arena, &a, 0, &a_capacity, 8, sizeof *a));
    uint64_t *first = a;
    assert_true(nx_arena_grow(&arena, &a, 8, &a_capacity, 100, sizeof *a));
    assert_ptr_equal(a, first);
    nx_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_blocks_are_aligned_and_apart),
        cmocka_unit_test(alloc_beyond_the_cap_fails_and_says_so),
        cmocka_unit_test(alloc_without_memory_is_not_over),
        cmocka_unit_test(alloc_overflowing_sizes_fail),
        cmocka_unit_test(clear_keeps_one_chunk),
        cmocka_unit_test(copy_terminates_and_accepts_nothing),
        cmocka_unit_test(grow_keeps_contents_in_place_or_moved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
