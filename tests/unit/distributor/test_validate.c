#include "distributor/validate.h"

#include "tests/unit/distributor/dist_test.h"

enum { MAX_PAIRS = 8 };

struct label_case {
    const char *pairs[MAX_PAIRS * 2 + 1]; /* name, value, ... NULL */
    const char *sorted;                   /* as printed, where it is valid */
    enum dist_reason reason;
    const char *text; /* part of the failure's text */
};

static size_t fill(const char *const *pairs, struct nx_label *labels)
{
    size_t count = 0;
    for (; pairs[count * 2]; count++)
        labels[count] =
            (struct nx_label){nx_view_of(pairs[count * 2]), nx_view_of(pairs[count * 2 + 1])};
    return count;
}

static void print(struct nx_labels labels, char *out, size_t size)
{
    struct nx_buf buf;
    nx_buf_init(&buf, size);
    nx_labels_print(&buf, labels);
    assert_true(buf.len < size);
    memcpy(out, buf.data, buf.len);
    out[buf.len] = '\0';
    nx_buf_release(&buf);
}

static void labels_are_accepted_and_refused_as_the_table_says(void **state)
{
    (void)state;
    static const struct label_case cases[] = {
        {{"__name__", "up", "job", "x"}, "up{job=\"x\"}", 0, NULL},
        {{"job", "x", "__name__", "up", "a", "1"}, "up{a=\"1\", job=\"x\"}", 0, NULL},
        {{"__name__", "up", "empty", "", "job", "x"}, "up{job=\"x\"}", 0, NULL},
        {{"__name__", "up", "", "", "job", "x"}, "up{job=\"x\"}", 0, NULL},
        {{"__name__", "up", "a", "", "a", "1"}, "up{a=\"1\"}", 0, NULL},
        {{"__name__", "shop.pod_info", "größe", "xl"},
         "{\"shop.pod_info\", \"größe\"=\"xl\"}",
         0,
         NULL},
        {{"__name__", "up", "text", "a\nb\"c"}, "up{text=\"a\\nb\\\"c\"}", 0, NULL},
        {{NULL}, NULL, DIST_REASON_MISSING_METRIC_NAME, "no metric name"},
        {{"job", "x"}, NULL, DIST_REASON_MISSING_METRIC_NAME, "no metric name"},
        {{"__name__", "", "job", "x"}, NULL, DIST_REASON_MISSING_METRIC_NAME, "no metric name"},
        {{"__name__", "\xff\xfe"}, NULL, DIST_REASON_INVALID_METRIC_NAME, "\"\\xff\\xfe\""},
        {{"__name__", "up", "\xc3\x28", "x"},
         NULL,
         DIST_REASON_LABEL_INVALID,
         "label name that is not valid UTF-8"},
        {{"__name__", "up", "a", "\xed\xa0\x80"}, NULL, DIST_REASON_LABEL_VALUE_INVALID, ": \"a\""},
        {{"__name__", "up", "", "x"}, NULL, DIST_REASON_LABEL_INVALID, "empty name"},
        {{"__name__", "up", "a", "1", "a", "2"},
         NULL,
         DIST_REASON_LABEL_DUPLICATE,
         "duplicate label name: \"a\""},
        {{"a", "1", "__name__", "up", "b", "1", "a", "1"},
         NULL,
         DIST_REASON_LABEL_DUPLICATE,
         "\"a\""},
        {{"__name__", "up", "__name__", "down"}, NULL, DIST_REASON_LABEL_DUPLICATE, "\"__name__\""},
        {{"__name__", "up", "longername", "x"},
         NULL,
         DIST_REASON_LABEL_NAME_TOO_LONG,
         "'longername', actual: 10 bytes, limit: 9); raise limits.max-label-name-length"},
        {{"__name__", "up", "a", "0123456789abcdefg"},
         NULL,
         DIST_REASON_LABEL_VALUE_TOO_LONG,
         "'a', actual: 17 bytes, limit: 16); raise limits.max-label-value-length"},
        {{"__name__", "up", "a", "1", "b", "1", "c", "1", "d", "1", "e", "1"},
         NULL,
         DIST_REASON_TOO_MANY_LABELS,
         "(actual: 6, limit: 5); raise limits.max-label-names-per-series"},
        {{"__name__", "up", "a", "1", "b", "1", "c", "1", "d", "1", "e", ""},
         "up{a=\"1\", b=\"1\", c=\"1\", d=\"1\"}",
         0,
         NULL},
    };
    struct nx_tenant_limits limits = test_limits().max;
    limits.max_label_names = 5;
    limits.max_label_name_bytes = 9;
    limits.max_label_value_bytes = 16;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_label labels[MAX_PAIRS];
        struct nx_labels out = {NULL, 0};
        enum dist_reason reason = DIST_REASON_OTHER;
        struct nx_fail fail = {.code = NX_OK};
        size_t count = fill(cases[i].pairs, labels);
        enum nx_err err = dist_validate_labels(&limits, labels, count, &out, &reason, &fail);
        if (cases[i].sorted) {
            char text[200];
            assert_int_equal(err, NX_OK);
            print(out, text, sizeof text);
            assert_string_equal(text, cases[i].sorted);
            continue;
        }
        assert_int_equal(err, NX_ERR_INVALID);
        assert_int_equal(reason, cases[i].reason);
        if (!strstr(fail.text, cases[i].text))
            fail_msg("case %zu: \"%s\" does not contain \"%s\"", i, fail.text, cases[i].text);
    }
}

static void labels_limits_are_inclusive(void **state)
{
    (void)state;
    struct nx_tenant_limits limits = test_limits().max;
    enum dist_reason reason;
    assert_int_equal(dist_validate_label_count(&limits, 64, &reason, NULL), NX_OK);
    assert_int_equal(dist_validate_label_count(&limits, 65, &reason, NULL), NX_ERR_INVALID);
    char *value = nx_alloc(8193);
    memset(value, 'v', 8193);
    for (size_t len = 8192; len <= 8193; len++) {
        struct nx_label labels[] = {{NX_LABEL_METRIC_NAME, NX_VIEW("up")},
                                    {NX_VIEW("a"), {value, len}}};
        struct nx_labels out;
        assert_int_equal(dist_validate_labels(&limits, labels, 2, &out, &reason, NULL),
                         len == 8192 ? NX_OK : NX_ERR_INVALID);
    }
    nx_free(value);
}

static void labels_long_offender_is_cut_in_the_text(void **state)
{
    (void)state;
    struct nx_tenant_limits limits = test_limits().max;
    char name[1025];
    memset(name, '\xff', sizeof name);
    struct nx_label labels[] = {{NX_LABEL_METRIC_NAME, NX_VIEW("up")},
                                {{name, sizeof name}, NX_VIEW("v")}};
    struct nx_labels out;
    enum dist_reason reason;
    struct nx_fail fail;
    assert_int_equal(dist_validate_labels(&limits, labels, 2, &out, &reason, &fail),
                     NX_ERR_INVALID);
    assert_true(strlen(fail.text) < sizeof fail.text);
    assert_non_null(strstr(fail.text, "\\xff\\xff"));
}

static void timestamp_bounds_are_as_documented(void **state)
{
    (void)state;
    struct nx_tenant_limits limits = test_limits().max;
    int64_t now = INT64_C(1700000000000);
    static const struct {
        int64_t timestamp;
        enum nx_err err;
        enum dist_reason reason;
    } cases[] = {
        {INT64_C(1700000000000), NX_OK, 0},
        {0, NX_OK, 0},
        {-1, NX_OK, 0},
        {DIST_MIN_TIMESTAMP_MS, NX_OK, 0},
        {DIST_MIN_TIMESTAMP_MS - 1, NX_ERR_OUT_OF_BOUNDS, DIST_REASON_TIMESTAMP_INVALID},
        {INT64_MIN, NX_ERR_OUT_OF_BOUNDS, DIST_REASON_TIMESTAMP_INVALID},
        {INT64_C(1700000600000), NX_OK, 0},
        {INT64_C(1700000600001), NX_ERR_OUT_OF_BOUNDS, DIST_REASON_TOO_FAR_IN_FUTURE},
        {INT64_MAX, NX_ERR_OUT_OF_BOUNDS, DIST_REASON_TOO_FAR_IN_FUTURE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum dist_reason reason = DIST_REASON_OTHER;
        struct nx_fail fail = {.code = NX_OK};
        assert_int_equal(dist_validate_timestamp(&limits, now, cases[i].timestamp, &reason, &fail),
                         cases[i].err);
        if (!cases[i].err)
            continue;
        assert_int_equal(reason, cases[i].reason);
        assert_memory_equal(fail.text, "out of bounds", 13);
    }
}

static void exemplar_labels_are_checked(void **state)
{
    (void)state;
    char long_value[130];
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    char fits[128 - 8 + 1];
    memset(fits, 'y', sizeof fits - 1);
    fits[sizeof fits - 1] = '\0';
    const struct {
        const char *pairs[5];
        bool valid;
        size_t count;
    } cases[] = {
        {{NULL}, true, 0},
        {{"trace_id", "abc"}, true, 1},
        {{"trace_id", fits}, true, 1},
        {{"trace_id", long_value}, false, 0},
        {{"b", "1", "a", "2"}, true, 2},
        {{"a", "1", "a", "2"}, false, 0},
        {{"a", "", "b", "2"}, true, 1},
        {{"", "x"}, false, 0},
        {{"a", "\xff"}, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_label labels[4];
        struct nx_labels out;
        size_t count = fill(cases[i].pairs, labels);
        enum nx_err err = dist_validate_exemplar_labels(labels, count, &out);
        assert_int_equal(err, cases[i].valid ? NX_OK : NX_ERR_INVALID);
        if (cases[i].valid)
            assert_int_equal(out.count, cases[i].count);
        if (cases[i].valid && out.count == 2)
            assert_true(nx_view_is(out.items[0].name, "a"));
    }
}

static void exemplar_length_counts_characters_not_bytes(void **state)
{
    (void)state;
    char value[2 * 127 + 1];
    for (size_t i = 0; i < 127; i++)
        memcpy(value + 2 * i, "ü", 2);
    struct nx_label label = {NX_VIEW("a"), {value, 2 * 127}};
    struct nx_labels out;
    assert_int_equal(dist_validate_exemplar_labels(&label, 1, &out), NX_OK);
    label.name = NX_VIEW("ab");
    assert_int_equal(dist_validate_exemplar_labels(&label, 1, &out), NX_ERR_INVALID);
}

static void metadata_is_checked_and_cut(void **state)
{
    (void)state;
    struct nx_tenant_limits limits = test_limits().max;
    enum dist_reason reason;
    struct dist_metadata m = {
        .metric = NX_VIEW("up"), .help = NX_VIEW("h"), .unit = NX_VIEW("s"), .type = 2};
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, NULL), NX_OK);
    assert_int_equal(m.type, 2);
    m.type = 8;
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, NULL), NX_OK);
    assert_int_equal(m.type, 0);

    char help[DIST_MAX_HELP_BYTES + 1];
    memset(help, 'h', sizeof help);
    memcpy(help + DIST_MAX_HELP_BYTES - 1, "ü", 2);
    m.help = nx_view_make(help, sizeof help);
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, NULL), NX_OK);
    assert_int_equal(m.help.len, DIST_MAX_HELP_BYTES - 1);

    struct nx_fail fail;
    m.help = NX_VIEW("\xff");
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, &fail), NX_ERR_INVALID);
    assert_non_null(strstr(fail.text, "\"up\""));
    m = (struct dist_metadata){.metric = NX_VIEW("")};
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, &fail), NX_ERR_INVALID);
    assert_int_equal(reason, DIST_REASON_METADATA_INVALID);
    m.metric = NX_VIEW("\xff");
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, &fail), NX_ERR_INVALID);
    char name[8193];
    memset(name, 'n', sizeof name);
    m.metric = nx_view_make(name, sizeof name);
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, &fail), NX_ERR_INVALID);
    m = (struct dist_metadata){.metric = NX_VIEW("up"), .unit = {name, sizeof name}};
    assert_int_equal(dist_validate_metadata(&limits, &m, &reason, &fail), NX_ERR_INVALID);
}

static void print_series_cuts_long_sets(void **state)
{
    (void)state;
    char value[300];
    for (size_t i = 0; i < sizeof value; i += 2)
        memcpy(value + i, "ü", 2);
    struct nx_label labels[] = {{NX_LABEL_METRIC_NAME, NX_VIEW("up")},
                                {NX_VIEW("a"), {value, sizeof value}}};
    struct nx_buf out;
    nx_buf_init(&out, SIZE_MAX);
    for (size_t max = 0; max < 100; max++) {
        nx_buf_clear(&out);
        dist_print_series(&out, (struct nx_labels){labels, 2}, max);
        assert_int_equal(nx_buf_err(&out), NX_OK);
        assert_true(nx_view_is_utf8(nx_buf_view(&out)));
        assert_true(out.len <= max + 3);
        assert_true(nx_view_has_suffix(nx_buf_view(&out), NX_VIEW("...")));
    }
    nx_buf_clear(&out);
    dist_print_series(&out, (struct nx_labels){labels, 1}, 100);
    assert_true(nx_view_is(nx_buf_view(&out), "up"));
    nx_buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_are_accepted_and_refused_as_the_table_says),
        cmocka_unit_test(labels_limits_are_inclusive),
        cmocka_unit_test(labels_long_offender_is_cut_in_the_text),
        cmocka_unit_test(timestamp_bounds_are_as_documented),
        cmocka_unit_test(exemplar_labels_are_checked),
        cmocka_unit_test(exemplar_length_counts_characters_not_bytes),
        cmocka_unit_test(metadata_is_checked_and_cut),
        cmocka_unit_test(print_series_cuts_long_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
