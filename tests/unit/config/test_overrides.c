/* Limits of single tenants: what a file sets, and how it says what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/config/overrides.h"

#define DAY_MS INT64_C(86400000)

static struct nx_tenant_limits limits_of(struct nx_overrides *overrides, const char *tenant)
{
    struct nx_tenant_limits limits;
    nx_overrides_get(overrides, nx_view_of(tenant), &limits);
    return limits;
}

static void tenants_get_what_their_section_sets(void **state)
{
    (void)state;
    struct nx_overrides *overrides;
    struct nx_overrides_draft *draft;
    struct nx_fail fail = {.code = NX_OK};
    static const char text[] = "# comment\n"
                               "overrides:\n"
                               "  zeta: {storage.retention: 90d}\n"
                               "  \"team a\":\n"
                               "    storage:\n"
                               "      retention: 2d\n"
                               "      retention-bytes: 10GiB\n"
                               "  empty:\n";
    assert_int_equal(nx_overrides_new(&overrides), NX_OK);
    assert_int_equal(limits_of(overrides, "zeta").retention_ms, -1);
    assert_int_equal(nx_overrides_read_text("f", nx_view_of(text), &draft, &fail), NX_OK);
    nx_overrides_take(overrides, draft);
    assert_int_equal(nx_overrides_count(overrides), 3);
    assert_true(limits_of(overrides, "zeta").retention_ms == 90 * DAY_MS);
    assert_true(limits_of(overrides, "zeta").retention_bytes == -1);
    assert_true(limits_of(overrides, "team a").retention_ms == 2 * DAY_MS);
    assert_true(limits_of(overrides, "team a").retention_bytes == INT64_C(10) << 30);
    assert_true(limits_of(overrides, "empty").retention_ms == -1);
    assert_true(limits_of(overrides, "other").retention_ms == -1);
    /* the next file counts alone */
    assert_int_equal(nx_overrides_read_text("f", NX_VIEW(""), &draft, &fail), NX_OK);
    nx_overrides_take(overrides, draft);
    assert_int_equal(nx_overrides_count(overrides), 0);
    assert_true(limits_of(overrides, "zeta").retention_ms == -1);
    assert_true(limits_of(NULL, "zeta").retention_ms == -1);
    nx_overrides_free(overrides);
}

static void mistakes_are_named_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected[3];
    } cases[] = {
        {"overrides: {a: {storage.retenton: 1d}}",
         {"f:1", "storage.retenton", "storage.retention"}},
        {"overrides:\n  a:\n    storage:\n      retention: 5 apples\n",
         {"f:4", "storage.retention", "5 apples"}},
        {"overrides:\n  a:\n    storge:\n      retention: 5d\n", {"f:3", "storge", "storage"}},
        {"overrides:\n  a: {storage.retention: 1m}", {"f:2", "storage.retention", "1h"}},
        {"overrides:\n  a: {}\n  b: {}\n  a: {}\n", {"f:4", "\"a\"", "line 2"}},
        {"overrides:\n  a: {storage.retention: 1d, storage: {retention: 2d}}",
         {"f:2", "twice", "line 2"}},
        {"limits: {}", {"f:1", "overrides", "unknown"}},
        {"overrides: [a]", {"f:1", "tenants", ""}},
        {"overrides: {a: 5}", {"f:1", "settings of the tenant", ""}},
        {"overrides: {a: {storage.retention: }}", {"f:1", "expected a value", ""}},
        {"overrides: {a: {storage.retention: [1d]}}", {"f:1", "storage.retention", ""}},
        {"overrides: {a: {b: {c: {d: {e: {f: 1}}}}}}", {"f:1", "b", ""}},
        {"overrides: {", {"f:", "YAML", ""}},
        {"overrides: {}\n---\noverrides: {}\n", {"f", "single", ""}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_overrides_draft *draft;
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(nx_overrides_read_text("f", nx_view_of(cases[i].text), &draft, &fail),
                         NX_ERR_CONFIG);
        for (size_t j = 0; j < 3; j++)
            if (!strstr(nx_fail_text(&fail), cases[i].expected[j]))
                fail_msg("\"%s\" does not say \"%s\"", nx_fail_text(&fail), cases[i].expected[j]);
    }
}

static void missing_file_is_named(void **state)
{
    (void)state;
    struct nx_overrides_draft *draft;
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_overrides_read("/nonexistent/overrides.yml", &draft, &fail), NX_ERR_CONFIG);
    assert_non_null(strstr(nx_fail_text(&fail), "/nonexistent/overrides.yml"));
    assert_int_equal(nx_overrides_read("", &draft, &fail), NX_OK);
    nx_overrides_draft_free(draft);
}

static bool fail_nth(size_t size, void *user)
{
    (void)size;
    size_t *left = user;
    return (*left)-- != 0;
}

static void reading_without_memory_is_an_error(void **state)
{
    (void)state;
    for (size_t n = 0;; n++) {
        struct nx_overrides_draft *draft;
        struct nx_fail fail = {.code = NX_OK};
        size_t left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err = nx_overrides_read_text(
            "f", NX_VIEW("overrides: {a: {storage: {retention: 1d}}, b: {storage.retention: 2d}}"),
            &draft, &fail);
        nx_alloc_set_hook(NULL, NULL);
        if (err == NX_OK) {
            nx_overrides_draft_free(draft);
            assert_true(n > 5);
            break;
        }
        assert_int_equal(err, NX_ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tenants_get_what_their_section_sets),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(missing_file_is_named),
        cmocka_unit_test(reading_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
