#include "tests/unit/distributor/dist_test.h"

static void settings_defaults_are_those_of_the_book(void **state)
{
    (void)state;
    struct dist_settings settings = {.push_timeout_ms = 0};
    struct nx_setting_group group = dist_setting_group(&settings);
    struct nx_config *config = NULL;
    assert_int_equal(nx_config_new(&group, 1, &config), NX_OK);
    assert_int_equal(settings.push_timeout_ms, 10000);
    assert_int_equal(settings.max_inflight_bytes, 512 << 20);
    assert_int_equal(settings.max_body_bytes, 16 << 20);
    assert_int_equal(settings.max_decoded_bytes, 64 << 20);
    assert_int_equal(settings.series_cache_bytes, 256 << 20);
    nx_config_free(config);
}

static void settings_each_row_explains_itself(void **state)
{
    (void)state;
    struct dist_settings settings;
    struct nx_setting_group group = dist_setting_group(&settings);
    for (size_t i = 0; i < group.count; i++) {
        assert_true(strlen(group.settings[i].help) > 20);
        assert_true(group.settings[i].offset < sizeof settings);
    }
}

static void settings_out_of_range_are_refused(void **state)
{
    (void)state;
    struct dist_settings settings;
    struct nx_setting_group group = dist_setting_group(&settings);
    static const char *const flags[] = {
        "--distributor.push-timeout=1ms", "--distributor.max-decoded-bytes=0",
        "--distributor.push-timeout=x", "--distributor.max-body-bytes=100GiB"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        struct nx_config *config = NULL;
        struct nx_fail fail = {.code = NX_OK};
        char flag[64];
        assert_int_equal(nx_config_new(&group, 1, &config), NX_OK);
        memcpy(flag, flags[i], strlen(flags[i]) + 1);
        char *argv[] = {flag};
        assert_int_equal(nx_config_load_flags(config, 1, argv, &fail), NX_ERR_CONFIG);
        nx_config_free(config);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_defaults_are_those_of_the_book),
        cmocka_unit_test(settings_each_row_explains_itself),
        cmocka_unit_test(settings_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
