#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "querier/querier_internal.h"

static void features_list_sets_the_named_ones(void **state)
{
    (void)state;
    struct qry_features features;
    struct nx_fail fail;
    assert_int_equal(
        qry_features_parse(" promql-per-step-stats, use-start-timestamps ,", &features, &fail),
        NX_OK);
    assert_true(features.per_step_stats);
    assert_true(features.use_start_timestamps);
    assert_false(features.experimental_functions);
    assert_int_equal(qry_features_parse("", &features, &fail), NX_OK);
    assert_false(features.per_step_stats);
    assert_false(features.use_start_timestamps);
}

static void features_that_are_always_on_may_be_named(void **state)
{
    (void)state;
    struct qry_features features, none;
    struct nx_fail fail;
    assert_int_equal(qry_features_parse(NULL, &none, &fail), NX_OK);
    assert_true(none.duration_expressions);
    assert_int_equal(
        qry_features_parse("promql-duration-expr,promql-at-modifier,promql-negative-offset",
                           &features, &fail),
        NX_OK);
    assert_memory_equal(&features, &none, sizeof none);
}

static void features_unknown_name_is_an_error(void **state)
{
    (void)state;
    struct qry_features features;
    struct nx_fail fail;
    assert_int_equal(qry_features_parse("promql-magic", &features, &fail), NX_ERR_CONFIG);
    assert_non_null(strstr(nx_fail_text(&fail), "\"promql-magic\""));
}

static void settings_have_defaults_that_parse(void **state)
{
    (void)state;
    struct qry_settings settings = {0};
    struct nx_setting_group group = qry_setting_group(&settings);
    struct nx_config *config = NULL;
    assert_int_equal(nx_config_new(&group, 1, &config), NX_OK);
    assert_int_equal(settings.lookback_ms, 300000);
    assert_int_equal(settings.timeout_ms, 120000);
    assert_int_equal(settings.max_samples, 50000000);
    assert_false(settings.partial_response);
    assert_string_equal(settings.cors_origin, ".*");
    nx_config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_list_sets_the_named_ones),
        cmocka_unit_test(features_that_are_always_on_may_be_named),
        cmocka_unit_test(features_unknown_name_is_an_error),
        cmocka_unit_test(settings_have_defaults_that_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
