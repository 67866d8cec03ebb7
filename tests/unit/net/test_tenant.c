/* Which header names which tenant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "common/net/tenant.h"

static void tenant_without_multitenancy_is_anonymous(void **state)
{
    (void)state;
    struct nx_view tenant;
    assert_int_equal(nx_tenant_of(false, nx_view_make(NULL, 0), &tenant, NULL), NX_OK);
    assert_true(nx_view_is(tenant, "anonymous"));
    assert_int_equal(nx_tenant_of(false, NX_VIEW("other"), &tenant, NULL), NX_OK);
    assert_true(nx_view_is(tenant, "anonymous"));
}

static void tenant_header_is_checked(void **state)
{
    (void)state;
    char longest[152];
    memset(longest, 'a', sizeof longest);
    longest[150] = '\0';
    char too_long[152];
    memset(too_long, 'a', sizeof too_long);
    too_long[151] = '\0';
    const struct {
        const char *header;
        enum nx_err err;
    } cases[] = {
        {NULL, NX_ERR_UNAUTHORIZED},
        {"", NX_ERR_UNAUTHORIZED},
        {"  ", NX_ERR_UNAUTHORIZED},
        {"team-a", NX_OK},
        {" team-a ", NX_OK},
        {"A0!-_.*'()", NX_OK},
        {longest, NX_OK},
        {too_long, NX_ERR_INVALID},
        {".", NX_ERR_INVALID},
        {"..", NX_ERR_INVALID},
        {"...", NX_OK},
        {"a/b", NX_ERR_INVALID},
        {"a|b", NX_ERR_INVALID},
        {"a b", NX_ERR_INVALID},
        {"\xc3\xa4", NX_ERR_INVALID},
        {"a\\b", NX_ERR_INVALID},
        {"a$b", NX_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_view tenant = NX_VIEW("untouched");
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(nx_tenant_of(true, nx_view_of(cases[i].header), &tenant, &fail),
                         cases[i].err);
        if (cases[i].err)
            assert_true(nx_view_is(tenant, "untouched") && fail.text[0]);
        else
            assert_true(nx_view_eq(tenant, nx_view_trim(nx_view_of(cases[i].header))));
    }
}

static void tenant_with_a_nul_is_none(void **state)
{
    (void)state;
    struct nx_view tenant = NX_VIEW("untouched");
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_tenant_of(true, nx_view_make("a\0b", 3), &tenant, &fail), NX_ERR_INVALID);
    assert_true(nx_view_is(tenant, "untouched"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenant_without_multitenancy_is_anonymous),
        cmocka_unit_test(tenant_header_is_checked),
        cmocka_unit_test(tenant_with_a_nul_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
