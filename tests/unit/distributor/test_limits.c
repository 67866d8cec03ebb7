/* What becomes of labels under a tenant's rules, and when the cache may be asked. */
#include "distributor/limits.h"
#include "tests/unit/distributor/dist_test.h"

static const struct nx_limit_settings settings = {.limits = {.max_label_names = 30,
                                                             .max_label_name_bytes = 1024,
                                                             .max_label_value_bytes = 2048,
                                                             .ingestion_rate = -1,
                                                             .max_series = -1},
                                                  .ha_cluster_label = "cluster",
                                                  .ha_replica_label = "__replica__"};

static struct nx_overrides *overrides_of(const char *text)
{
    struct nx_overrides *overrides;
    struct nx_overrides_draft *draft;
    struct nx_fail fail = {.code = NX_OK};
    assert_int_equal(nx_overrides_new(&overrides), NX_OK);
    if (nx_overrides_read_text("f", nx_view_of(text), &draft, &fail) != NX_OK)
        fail_msg("%s", fail.text);
    nx_overrides_take(overrides, draft);
    return overrides;
}

static const char rules[] = "defaults:\n"
                            "  drop_labels: [zone, pod]\n"
                            "overrides:\n"
                            "  a:\n"
                            "    max_label_value_length: 10\n"
                            "    metric_relabel_configs:\n"
                            "    - source_labels: [__name__]\n"
                            "      regex: 'go_.*'\n"
                            "      action: drop\n"
                            "    - source_labels: [host]\n"
                            "      regex: '([^.]*)\\..*'\n"
                            "      target_label: short\n"
                            "  ha: {accept_ha_samples: true, ha_replica_label: rep}\n";

static void rewrite(struct nx_overrides *overrides, const char *tenant, struct nx_label *labels,
                    size_t count, const char *expected)
{
    struct dist_limits limits;
    struct nx_arena arena;
    struct nx_buf text;
    bool keep;
    nx_arena_init(&arena, 0);
    nx_buf_init(&text, 4096);
    dist_limits_get(&settings, overrides, nx_view_of(tenant), &limits);
    assert_int_equal(dist_limits_rewrite(&limits, &arena, &labels, &count, &keep), NX_OK);
    assert_int_equal(keep, expected != NULL);
    if (expected) {
        nx_labels_print_plain(&text, (struct nx_labels){.items = labels, .count = count});
        nx_buf_append_char(&text, '\0');
        assert_string_equal(text.data, expected);
    }
    nx_buf_release(&text);
    dist_limits_release(&limits);
    nx_arena_release(&arena);
}

#define LABEL(n, v)                             \
    {                                           \
        .name = NX_VIEW(n), .value = NX_VIEW(v) \
    }

static void labels_are_rewritten_by_the_tenants_rules(void **state)
{
    (void)state;
    struct nx_overrides *overrides = overrides_of(rules);
    struct nx_label up[] = {LABEL("zone", "z"), LABEL("host", "a.b.c"), LABEL("__name__", "up"),
                            LABEL("empty", "")};
    struct nx_label go[] = {LABEL("__name__", "go_gc"), LABEL("zone", "z")};
    struct nx_label twice[] = {LABEL("zone", "z"), LABEL("zone", "y")};
    struct nx_label replica[] = {LABEL("rep", "1"), LABEL("cluster", "c"), LABEL("__name__", "up")};
    struct nx_label alone[] = {LABEL("__name__", "up"), LABEL("rep", "1")};
    struct nx_label bare[] = {LABEL("zone", "z"), LABEL("pod", "p")};
    rewrite(overrides, "a", up, 4, "{__name__=\"up\", host=\"a.b.c\", short=\"a\", zone=\"z\"}");
    rewrite(overrides, "a", go, 2, NULL);
    rewrite(overrides, "b", go, 2, "{__name__=\"go_gc\"}");
    rewrite(overrides, "b", bare, 2, NULL);
    rewrite(overrides, "b", twice, 2, "{zone=\"z\", zone=\"y\"}");
    rewrite(overrides, "ha", replica, 3, "{__name__=\"up\", cluster=\"c\"}");
    rewrite(overrides, "ha", alone, 2, "{__name__=\"up\", rep=\"1\"}");
    nx_overrides_free(overrides);
}

static struct nx_hash128 key_of(const char *text, const char *tenant)
{
    struct nx_overrides *overrides = overrides_of(text);
    struct dist_limits limits;
    dist_limits_get(&settings, overrides, nx_view_of(tenant), &limits);
    struct nx_hash128 key = dist_limits_key(&limits, nx_view_of(tenant));
    dist_limits_release(&limits);
    nx_overrides_free(overrides);
    return key;
}

static bool same(struct nx_hash128 a, struct nx_hash128 b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static void other_rules_make_another_key(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "overrides: {a: {max_label_value_length: 20}}",
                                        "overrides: {a: {max_label_names_per_series: 20}}",
                                        "overrides: {a: {drop_labels: [x]}}",
                                        "overrides: {a: {drop_labels: [y]}}",
                                        "overrides: {a: {accept_ha_samples: true}}"};
    enum { TEXTS = sizeof texts / sizeof texts[0] };
    for (size_t i = 0; i < TEXTS; i++) {
        for (size_t j = 0; j < TEXTS; j++)
            assert_int_equal(same(key_of(texts[i], "a"), key_of(texts[j], "a")), i == j);
        assert_true(same(key_of(texts[i], "other"), key_of("", "other")));
    }
    assert_false(same(key_of("", "a"), key_of("", "b")));
}

static void rules_live_while_a_request_uses_them(void **state)
{
    (void)state;
    struct nx_overrides *overrides = overrides_of(rules);
    struct dist_limits limits, copy;
    struct nx_overrides_draft *draft;
    dist_limits_get(&settings, overrides, NX_VIEW("a"), &limits);
    copy = dist_limits_copy(&limits);
    assert_int_equal(nx_overrides_read_text("f", NX_VIEW(""), &draft, NULL), NX_OK);
    nx_overrides_take(overrides, draft);
    dist_limits_release(&limits);
    assert_int_equal(copy.max.max_label_value_bytes, 10);
    assert_non_null(copy.rules->relabel);
    dist_limits_release(&copy);
    dist_limits_get(&settings, overrides, NX_VIEW("a"), &limits);
    assert_null(limits.rules);
    assert_int_equal(limits.max.max_label_value_bytes, 2048);
    nx_overrides_free(overrides);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_rewritten_by_the_tenants_rules),
        cmocka_unit_test(other_rules_make_another_key),
        cmocka_unit_test(rules_live_while_a_request_uses_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
