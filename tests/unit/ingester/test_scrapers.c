/* Who scrapes, as an ingester has heard. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ingester/scrapers.h"

#define S UINT64_C(1000000000)

static void call(struct ing_scrapers *scrapers, const char *address, uint64_t config, uint64_t now,
                 const char *expected)
{
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    assert_int_equal(ing_scrapers_heard(scrapers, nx_view_of(address), config, now, 5 * S, &out),
                     NX_OK);
    nx_buf_append_char(&out, '\0');
    assert_string_equal(out.data, expected);
    nx_buf_release(&out);
}

static void those_of_one_configuration_are_told_of_each_other(void **state)
{
    struct ing_scrapers *scrapers = NULL;
    (void)state;
    assert_int_equal(ing_scrapers_new(&scrapers), NX_OK);
    call(scrapers, "", 1, 10 * S, "");
    call(scrapers, "a:1", 1, 10 * S, "a:1");
    call(scrapers, "b:1", 1, 11 * S, "a:1,b:1");
    call(scrapers, "c:1", 2, 11 * S, "c:1");
    call(scrapers, "", 1, 15 * S, "a:1,b:1");
    call(scrapers, "a:1", 1, 16 * S, "a:1,b:1");
    call(scrapers, "a:1", 1, 17 * S, "a:1"); /* b is silent for longer */
    call(scrapers, "a:1", 2, 18 * S, "a:1");
    call(scrapers, "", 1, 18 * S, "");
    ing_scrapers_free(scrapers);
}

static void a_full_table_forgets_the_most_silent_one(void **state)
{
    struct ing_scrapers *scrapers = NULL;
    char address[32];
    (void)state;
    assert_int_equal(ing_scrapers_new(&scrapers), NX_OK);
    for (unsigned i = 0; i < ING_SCRAPERS_MAX + 1; i++) {
        struct nx_buf out;
        nx_buf_init(&out, 1 << 20);
        (void)snprintf(address, sizeof address, "d%u:1", i);
        assert_int_equal(ing_scrapers_heard(scrapers, nx_view_of(address), i, S + i, 5 * S, &out),
                         NX_OK);
        nx_buf_release(&out);
    }
    call(scrapers, "", 0, 2 * S, "");
    call(scrapers, "", 1, 2 * S, "d1:1");
    call(scrapers, "", ING_SCRAPERS_MAX, 2 * S, address);
    ing_scrapers_free(scrapers);
}

static void addresses_that_are_none_are_refused(void **state)
{
    struct ing_scrapers *scrapers = NULL;
    struct nx_buf out;
    char address[ING_SCRAPER_ADDRESS_BYTES + 1];
    (void)state;
    assert_int_equal(ing_scrapers_new(&scrapers), NX_OK);
    nx_buf_init(&out, 1 << 20);
    memset(address, 'x', sizeof address);
    assert_int_equal(
        ing_scrapers_heard(scrapers, nx_view_make(address, sizeof address - 1), 1, S, S, &out),
        NX_ERR_INVALID);
    assert_int_equal(ing_scrapers_heard(scrapers, NX_VIEW("a:1,b:1"), 1, S, S, &out),
                     NX_ERR_INVALID);
    assert_int_equal(out.len, 0);
    nx_buf_release(&out);
    ing_scrapers_free(scrapers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_of_one_configuration_are_told_of_each_other),
        cmocka_unit_test(a_full_table_forgets_the_most_silent_one),
        cmocka_unit_test(addresses_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
