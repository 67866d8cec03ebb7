#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"

static bool countdown(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- > 0;
}

static void alloc_zero_size_gives_memory(void **state)
{
    (void)state;
    void *a = nx_alloc(0);
    void *b = nx_calloc(0, 8);
    void *c = nx_alloc_array(7, 0);
    assert_true(a && b && c);
    nx_free(a);
    nx_free(b);
    nx_free(c);
    nx_free(NULL);
}

static void alloc_overflowing_size_gives_null(void **state)
{
    (void)state;
    assert_null(nx_alloc_array(SIZE_MAX / 2, 3));
    assert_null(nx_calloc(SIZE_MAX / 2, 3));
    assert_null(nx_realloc_array(NULL, SIZE_MAX / 2, 3));
    assert_null(nx_strndup("x", SIZE_MAX));
}

static void alloc_hook_fails_every_function(void **state)
{
    (void)state;
    int left = 0;
    nx_alloc_set_hook(countdown, &left);
    void *results[] = {nx_alloc(1),
                       nx_calloc(1, 1),
                       nx_alloc_array(1, 1),
                       nx_realloc(NULL, 1),
                       nx_realloc_array(NULL, 1, 1),
                       nx_strdup("a")};
    nx_alloc_set_hook(NULL, NULL);
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        assert_null(results[i]);
}

static void calloc_memory_is_zero(void **state)
{
    (void)state;
    unsigned char *p = nx_calloc(100, 3);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(p[i], 0);
    nx_free(p);
}

static void strndup_copies_and_terminates(void **state)
{
    (void)state;
    char *s = nx_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    nx_free(s);
    s = nx_strndup(NULL, 0);
    assert_string_equal(s, "");
    nx_free(s);
}

static void grow_doubles_and_keeps_contents(void **state)
{
    (void)state;
    uint32_t *array = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        size_t before = capacity;
        assert_int_equal(nx_grow(&array, &capacity, i + 1, sizeof *array), NX_OK);
        assert_true(capacity == before || capacity >= 2 * before);
        array[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(array[i], i);
    size_t kept = capacity;
    uint32_t *old = array;
    int left = 0;
    nx_alloc_set_hook(countdown, &left);
    assert_int_equal(nx_grow(&array, &capacity, capacity + 1, sizeof *array), NX_ERR_NOMEM);
    nx_alloc_set_hook(NULL, NULL);
    assert_ptr_equal(array, old);
    assert_int_equal(capacity, kept);
    assert_int_equal(nx_grow(&array, &capacity, SIZE_MAX, sizeof *array), NX_ERR_NOMEM);
    nx_free(array);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_zero_size_gives_memory),
        cmocka_unit_test(alloc_overflowing_size_gives_null),
        cmocka_unit_test(alloc_hook_fails_every_function),
        cmocka_unit_test(calloc_memory_is_zero),
        cmocka_unit_test(strndup_copies_and_terminates),
        cmocka_unit_test(grow_doubles_and_keeps_contents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
