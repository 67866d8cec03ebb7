#include "common/base/alloc.h"
#include "fixture.h"
#include "ingester/head/symbols.h"

static void symbol_interned_twice_is_one(void **state)
{
    (void)state;
    struct ing_symbols symbols;
    uint32_t a;
    uint32_t b;
    ing_symbols_init(&symbols);
    assert_int_equal(ing_symbols_intern(&symbols, NX_VIEW("job"), &a), NX_OK);
    assert_int_equal(ing_symbols_intern(&symbols, NX_VIEW("job"), &b), NX_OK);
    assert_int_equal(a, b);
    assert_int_equal(ing_symbols_find(&symbols, NX_VIEW("job")), a);
    assert_true(nx_view_is(ing_symbols_text(&symbols, a), "job"));
    ing_symbols_drop(&symbols, a);
    assert_int_equal(ing_symbols_find(&symbols, NX_VIEW("job")), a);
    ing_symbols_drop(&symbols, a);
    assert_int_equal(ing_symbols_find(&symbols, NX_VIEW("job")), ING_SYMBOL_NONE);
    assert_int_equal(symbols.text_bytes, 0);
    ing_symbols_release(&symbols);
}

static void symbols_under_churn_reuse_numbers(void **state)
{
    (void)state;
    struct ing_symbols symbols;
    ing_symbols_init(&symbols);
    uint32_t ids[100];
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 100; i++) {
            char text[32];
            int len = snprintf(text, sizeof text, "value-%d-%d", round, i);
            assert_int_equal(ing_symbols_intern(&symbols, nx_view_make(text, (size_t)len), &ids[i]),
                             NX_OK);
        }
        for (int i = 0; i < 100; i++)
            ing_symbols_drop(&symbols, ids[i]);
    }
    assert_int_equal(symbols.count, 100);
    assert_int_equal(symbols.index.count, 0);
    ing_symbols_release(&symbols);
}

static void symbol_of_no_bytes_is_a_symbol(void **state)
{
    (void)state;
    struct ing_symbols symbols;
    uint32_t a;
    ing_symbols_init(&symbols);
    assert_int_equal(ing_symbols_intern(&symbols, (struct nx_view){0}, &a), NX_OK);
    assert_int_equal(ing_symbols_text(&symbols, a).len, 0);
    assert_int_equal(ing_symbols_find(&symbols, NX_VIEW("")), a);
    ing_symbols_release(&symbols);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void intern_without_memory_changes_nothing(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct ing_symbols symbols;
        uint32_t id;
        size_t left = n;
        ing_symbols_init(&symbols);
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = ing_symbols_intern(&symbols, NX_VIEW("x"), &id);
        nx_alloc_set_hook(NULL, NULL);
        assert_int_equal(ing_symbols_find(&symbols, NX_VIEW("x")),
                         err == NX_OK ? id : ING_SYMBOL_NONE);
        ing_symbols_release(&symbols);
        if (err == NX_OK)
            break;
        assert_int_equal(err, NX_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(symbol_interned_twice_is_one),
        cmocka_unit_test(symbols_under_churn_reuse_numbers),
        cmocka_unit_test(symbol_of_no_bytes_is_a_symbol),
        cmocka_unit_test(intern_without_memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
