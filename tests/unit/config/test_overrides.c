/* Limits of single tenants: what a file sets, and how it says what is wrong with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/alloc.h"
#include "common/config/overrides.h"
#include "common/labels/relabel.h"

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
        {"overrides: {a: {ingestion_rat: 1}}", {"f:1", "ingestion-rat", ""}},
        {"overrides: {a: {ingestion_rate: x}}", {"f:1", "limits.ingestion-rate", "x"}},
        {"overrides: {a: {ingestion_rate: 1, limits.ingestion-rate: 1}}", {"f:1", "twice", ""}},
        {"overrides: {a: {drop_labels: x}}", {"f:1", "list of label names", ""}},
        {"overrides: {a: {drop_labels: [__name__]}}", {"f:1", "cannot be dropped", ""}},
        {"overrides:\n  a:\n    metric_relabel_configs:\n    - action: kept\n",
         {"f:4", "unknown relabel action", "kept"}},
        {"defaults: {}\ndefaults: {}\n", {"f:2", "defaults", "twice"}},
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

static void names_of_mimir_and_defaults_are_understood(void **state)
{
    (void)state;
    struct nx_overrides *overrides;
    struct nx_overrides_draft *draft;
    struct nx_fail fail = {.code = NX_OK};
    static const char text[] = "defaults:\n"
                               "  ingestion_rate: 500\n"
                               "  max_global_series_per_user: 9\n"
                               "  limits: {drop-labels: [x]}\n"
                               "overrides:\n"
                               "  a: {ingestion_rate: 0, limits.ingestion_burst_size: 7}\n"
                               "  b:\n"
                               "    accept_ha_samples: true\n"
                               "    ha_cluster_label: site\n"
                               "    metric_relabel_configs:\n"
                               "    - {source_labels: [a], action: drop, regex: b}\n";
    assert_int_equal(nx_overrides_new(&overrides), NX_OK);
    if (nx_overrides_read_text("f", nx_view_of(text), &draft, &fail) != NX_OK)
        fail_msg("%s", fail.text);
    nx_overrides_take(overrides, draft);
    assert_int_equal(limits_of(overrides, "a").ingestion_rate, 0);
    assert_int_equal(limits_of(overrides, "a").ingestion_burst, 7);
    assert_int_equal(limits_of(overrides, "a").max_series, 9);
    assert_int_equal(limits_of(overrides, "a").accept_ha, -1);
    assert_int_equal(limits_of(overrides, "b").accept_ha, 1);
    assert_int_equal(limits_of(overrides, "none").ingestion_rate, 500);
    struct nx_tenant_rules *a = nx_overrides_rules(overrides, NX_VIEW("a"));
    struct nx_tenant_rules *b = nx_overrides_rules(overrides, NX_VIEW("b"));
    assert_int_equal(a->drop_count, 1);
    assert_true(nx_view_is(a->drop_labels[0], "x"));
    assert_null(a->relabel);
    assert_int_equal(nx_relabel_count(b->relabel), 1);
    assert_int_equal(b->drop_count, 0);
    assert_true(nx_view_is(b->ha_cluster_label, "site"));
    nx_tenant_rules_release(a);
    nx_tenant_rules_release(b);
    assert_null(nx_overrides_rules(NULL, NX_VIEW("a")));
    nx_overrides_free(overrides);
}

static void what_nobody_sets_depends_on_multitenancy(void **state)
{
    (void)state;
    struct nx_limit_settings settings = {.limits = {.retention_ms = 0}};
    struct nx_setting_group group = nx_limit_setting_group(&settings);
    struct nx_config *config;
    struct nx_tenant_limits limits;
    assert_int_equal(nx_config_new(&group, 1, &config), NX_OK);
    nx_limits_of(&settings, NULL, NX_VIEW("t"), &limits);
    assert_int_equal(limits.ingestion_rate, 0);
    assert_int_equal(limits.max_series, 0);
    assert_int_equal(limits.ingestion_burst, 200000);
    assert_int_equal(limits.max_label_names, 30);
    assert_int_equal(limits.max_label_name_bytes, 1024);
    assert_int_equal(limits.max_label_value_bytes, 2048);
    assert_int_equal(limits.creation_grace_ms, 600000);
    assert_int_equal(limits.accept_ha, 0);
    assert_string_equal(settings.ha_cluster_label, "cluster");
    assert_string_equal(settings.ha_replica_label, "__replica__");
    settings.multitenancy = true;
    nx_limits_of(&settings, NULL, NX_VIEW("t"), &limits);
    assert_int_equal(limits.ingestion_rate, 10000);
    assert_int_equal(limits.max_series, 150000);
    nx_config_free(config);
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
            "f",
            NX_VIEW("overrides: {a: {storage: {retention: 1d}}, b: {storage.retention: 2d, "
                    "drop_labels: [a, b], metric_relabel_configs: [{target_label: a}]}}"),
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
        cmocka_unit_test(names_of_mimir_and_defaults_are_understood),
        cmocka_unit_test(what_nobody_sets_depends_on_multitenancy),
        cmocka_unit_test(missing_file_is_named),
        cmocka_unit_test(reading_without_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
