/* OTLP: what names and values become in text. */
#include "distributor/receive/otlp_names.h"
#include "distributor/receive/otlp_value.h"
#include "tests/unit/distributor/dist_test.h"

/* --- names --- */

static void metric_names_carry_unit_and_suffix(void **state)
{
    (void)state;
    static const struct {
        const char *name, *unit;
        enum dist_otlp_suffix suffix;
        const char *want;
    } cases[] = {
        {"system.filesystem.usage", "By", DIST_OTLP_GAUGE, "system_filesystem_usage_bytes"},
        {"system.network.dropped", "{packets}", DIST_OTLP_TOTAL, "system_network_dropped_total"},
        {"system.io", "foo/bar", DIST_OTLP_TOTAL, "system_io_foo_per_bar_total"},
        {"hydraulic", "m/s", DIST_OTLP_GAUGE, "hydraulic_meters_per_second"},
        {"speed", "km/h", DIST_OTLP_GAUGE, "speed_km_per_hour"},
        {"lines.count.total", "", DIST_OTLP_TOTAL, "lines_count_total"},
        {"total.lines.count", "", DIST_OTLP_TOTAL, "lines_count_total"},
        {"total.lines", "", DIST_OTLP_GAUGE, "total_lines"},
        {"mem.usage", "1", DIST_OTLP_GAUGE, "mem_usage_ratio"},
        {"mem.usage.ratio.now", "1", DIST_OTLP_GAUGE, "mem_usage_now_ratio"},
        {"mem.usage", "1", DIST_OTLP_PLAIN, "mem_usage"},
        {"requests", "1", DIST_OTLP_TOTAL, "requests_total"},
        {"http.server.duration", "ms", DIST_OTLP_PLAIN, "http_server_duration_milliseconds"},
        {"http.server.duration.seconds", "s", DIST_OTLP_PLAIN, "http_server_duration_seconds"},
        {"memory", "TiBy", DIST_OTLP_GAUGE, "memory_tibibytes"},
        {"cpu", "%", DIST_OTLP_GAUGE, "cpu_percent"},
        {"broken.per", "s/{x}", DIST_OTLP_GAUGE, "broken_per_seconds"},
        {"trailing", "s/", DIST_OTLP_GAUGE, "trailing_seconds"},
        {"only.per", "/s", DIST_OTLP_GAUGE, "only_per_per_second"},
        {"rate.per_second", "By/s", DIST_OTLP_GAUGE, "rate_per_second_bytes_per_second"},
        {"odd", "__m__x__", DIST_OTLP_GAUGE, "odd_m_x_"},
        {"odd", "m__/s", DIST_OTLP_GAUGE, "odd_m_per_second"},
        {"3xx.responses", "", DIST_OTLP_PLAIN, "_3xx_responses"},
        {"a__b..c:d", "", DIST_OTLP_PLAIN, "a_b_c:d"},
        {"__a__", "", DIST_OTLP_PLAIN, "a"},
        {"k\xc3\xbc"
         "hl",
         " s ", DIST_OTLP_PLAIN, "k_hl_seconds"},
    };
    struct nx_arena arena;
    nx_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_view out;
        assert_int_equal(dist_otlp_metric_name(&arena, nx_view_of(cases[i].name),
                                               nx_view_of(cases[i].unit), cases[i].suffix, &out),
                         NX_OK);
        if (!nx_view_is(out, cases[i].want))
            fail_msg("%s [%s]: %.*s", cases[i].name, cases[i].unit, NX_VIEW_ARG(out));
    }
    struct nx_view out;
    assert_int_equal(
        dist_otlp_metric_name(&arena, NX_VIEW("..."), NX_VIEW(""), DIST_OTLP_PLAIN, &out),
        NX_ERR_INVALID);
    nx_arena_release(&arena);
}

static void label_names_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *key, *want;
    } cases[] = {
        {"http.method", "http_method"},
        {"a", "a"},
        {"1st", "key_1st"},
        {"_private", "key_private"},
        {".dot", "key_dot"},
        {"__internal", "__internal"},
        {"._x", "__x"},
        {"a:b", "a_b"},
        {"a..b", "a__b"},
        {"\xc3\xa4"
         "b",
         "key_b"},
        {"x\xc3\xa4y", "x_y"},
        {"_1", "key_1"},
    };
    struct nx_arena arena;
    struct nx_view out;
    nx_arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(dist_otlp_label_name(&arena, nx_view_of(cases[i].key), &out), NX_OK);
        if (!nx_view_is(out, cases[i].want))
            fail_msg("%s: %.*s", cases[i].key, NX_VIEW_ARG(out));
    }
    assert_int_equal(dist_otlp_label_name(&arena, NX_VIEW(""), &out), NX_ERR_INVALID);
    assert_int_equal(dist_otlp_label_name(&arena, NX_VIEW("_.-"), &out), NX_ERR_INVALID);
    nx_arena_release(&arena);
}

/* --- values --- */

static struct nx_buf any_text(const char *text)
{
    struct nx_buf buf;
    nx_buf_init(&buf, 1 << 20);
    test_put_bytes(&buf, 1, text, strlen(text));
    return buf;
}

/* The AnyValue of a message. */
static void expect_text(struct nx_buf *message, enum nx_err err, const char *want)
{
    struct nx_arena arena;
    struct nx_view out;
    nx_arena_init(&arena, 0);
    Narthex__Otlp__AnyValue *value = narthex__otlp__any_value__unpack(
        NULL, message->len, (const uint8_t *)(const void *)message->data);
    assert_non_null(value);
    assert_int_equal(dist_otlp_text(&arena, value, &out), err);
    if (want && !nx_view_is(out, want))
        fail_msg("%.*s, expected %s", NX_VIEW_ARG(out), want);
    narthex__otlp__any_value__free_unpacked(value, NULL);
    nx_buf_release(message);
    nx_arena_release(&arena);
}

static void values_become_text(void **state)
{
    (void)state;
    struct nx_buf m, list, map, pair, inner;
    static const struct {
        double v;
        const char *want;
    } numbers[] = {
        {1.5, "1.5"},       {3, "3"},       {1e21, "1e+21"},   {1e20, "100000000000000000000"},
        {1e-6, "0.000001"}, {1e-7, "1e-7"}, {-1e-12, "-1e-12"}};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        nx_buf_init(&m, 1 << 20);
        test_put_double(&m, 4, numbers[i].v);
        expect_text(&m, NX_OK, numbers[i].want);
    }
    m = any_text("plain \"text\"");
    expect_text(&m, NX_OK, "plain \"text\"");
    nx_buf_init(&m, 1 << 20);
    expect_text(&m, NX_OK, "");
    test_put_varint(&m, 2, 1);
    expect_text(&m, NX_OK, "true");
    nx_buf_init(&m, 1 << 20);
    test_put_varint(&m, 3, (uint64_t)INT64_C(-42));
    expect_text(&m, NX_OK, "-42");
    nx_buf_init(&m, 1 << 20);
    test_put_bytes(&m, 7, "\x00\xff\x10!", 4);
    expect_text(&m, NX_OK, "AP8QIQ==");

    /* ["a<b", {"k": null, "b": [true]}, 2.5] with the keys sorted */
    nx_buf_init(&m, 1 << 20);
    nx_buf_init(&list, 1 << 20);
    inner = any_text("a<\"b\n");
    test_put_message(&list, 1, &inner);
    nx_buf_init(&map, 1 << 20);
    nx_buf_init(&pair, 1 << 20);
    test_put_bytes(&pair, 1, "k", 1);
    test_put_message(&map, 1, &pair);
    nx_buf_init(&pair, 1 << 20);
    test_put_bytes(&pair, 1, "b", 1);
    nx_buf_init(&inner, 1 << 20);
    test_put_bytes(&inner, 5, "\x0a\x02\x10\x01", 4); /* list of one: true */
    test_put_message(&pair, 2, &inner);
    test_put_message(&map, 1, &pair);
    nx_buf_init(&inner, 1 << 20);
    test_put_message(&inner, 6, &map);
    test_put_message(&list, 1, &inner);
    nx_buf_init(&inner, 1 << 20);
    test_put_double(&inner, 4, 2.5);
    test_put_message(&list, 1, &inner);
    test_put_message(&m, 5, &list);
    expect_text(&m, NX_OK, "[\"a\\u003c\\\"b\\n\",{\"b\":[true],\"k\":null},2.5]");
}

static void nesting_has_a_bound(void **state)
{
    (void)state;
    for (int depth = 0; depth < 60; depth++) {
        struct nx_buf m = any_text("x"), list, outer;
        for (int i = 0; i < depth; i++) {
            nx_buf_init(&list, 1 << 20);
            test_put_message(&list, 1, &m);
            nx_buf_init(&outer, 1 << 20);
            test_put_message(&outer, 5, &list);
            m = outer;
        }
        expect_text(&m, depth <= DIST_OTLP_MAX_DEPTH ? NX_OK : NX_ERR_INVALID, NULL);
    }
}

/* --- requests --- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_names_carry_unit_and_suffix),
        cmocka_unit_test(label_names_are_escaped),
        cmocka_unit_test(values_become_text),
        cmocka_unit_test(nesting_has_a_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
