/* Federation: the formats, and the answers over a cluster of pretended ingesters. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster_fixture.h"
#include "common/base/alloc.h"
#include "querier/api/federate_format.h"
#include "querier/select/wire.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct qry_expose text = {.format = QRY_EXPOSE_TEXT};
static const struct qry_expose text_utf8 = {.format = QRY_EXPOSE_TEXT, .utf8 = true};
static const struct qry_expose openmetrics = {.format = QRY_EXPOSE_OPENMETRICS};
static const struct qry_expose protobuf = {.format = QRY_EXPOSE_PROTOBUF};

static void accept_header_chooses(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        enum qry_expose_format format;
        bool utf8;
    } cases[] = {
        {"", QRY_EXPOSE_TEXT, false},
        {"text/html", QRY_EXPOSE_TEXT, false},
        {"*/*", QRY_EXPOSE_TEXT, false},
        {"application/openmetrics-text; version=1.0.0", QRY_EXPOSE_OPENMETRICS, false},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.5",
         QRY_EXPOSE_OPENMETRICS, true},
        {"application/openmetrics-text;q=0.4,text/plain;q=0.5", QRY_EXPOSE_TEXT, false},
        {"application/vnd.google.protobuf;proto=x;encoding=delimited;q=0.7,text/plain;q=0.5",
         QRY_EXPOSE_PROTOBUF, false},
        {"application/vnd.google.protobuf;encoding=text", QRY_EXPOSE_TEXT, false},
        {"APPLICATION/OpenMetrics-Text ; q=1", QRY_EXPOSE_OPENMETRICS, false},
        {"text/plain;escaping=underscores,text/plain;escaping=allow-utf-8", QRY_EXPOSE_TEXT, false},
        {"text/plain;escaping=allow-utf-8", QRY_EXPOSE_TEXT, true},
        {"application/openmetrics-text;q=0", QRY_EXPOSE_TEXT, false},
        {";q=,,==;;,text/plain;q=nonsense", QRY_EXPOSE_TEXT, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct qry_expose got = qry_expose_choose(nx_view_of(cases[i].accept));
        assert_int_equal(got.format, cases[i].format);
        assert_int_equal(got.utf8, cases[i].utf8);
        assert_non_null(strstr(qry_expose_content_type(got),
                               got.utf8 ? "escaping=allow-utf-8" : "escaping=underscores"));
    }
}

static void assert_rows(struct qry_expose expose, const struct qry_exposed *rows, size_t count,
                        const char *expected)
{
    struct nx_buf out;
    nx_buf_init(&out, 100000);
    qry_expose_rows(expose, &out, rows, count, true);
    qry_expose_end(expose, &out);
    nx_buf_append_char(&out, '\0');
    assert_int_equal(nx_buf_err(&out), NX_OK);
    assert_string_equal(out.data, expected);
    nx_buf_release(&out);
}

static struct qry_exposed row_of(const struct nx_label *labels, size_t count, int64_t t, double v)
{
    struct nx_labels set = {labels, count};
    return (struct qry_exposed){.name = nx_labels_get(set, NX_LABEL_METRIC_NAME),
                                .labels = set,
                                .sample = {.t = t, .value = v}};
}

static void floats_are_written_in_each_format(void **state)
{
    (void)state;
    const struct nx_label a[] = {{NX_VIEW("__name__"), NX_VIEW("up")},
                                 {NX_VIEW("instance"), NX_VIEW("i")},
                                 {NX_VIEW("path"), NX_VIEW("a\\b\"c\nd")}};
    const struct nx_label b[] = {{NX_VIEW("__name__"), NX_VIEW("up")}};
    struct qry_exposed rows[] = {row_of(a, 3, 1500, 1e6), row_of(b, 1, -1, -(double)INFINITY)};
    assert_rows(text, rows, 2,
                "# TYPE up untyped\n"
                "up{instance=\"i\",path=\"a\\\\b\\\"c\\nd\"} 1e+06 1500\n"
                "up{instance=\"\"} -Inf -1\n");
    rows[0].sample.value = 3;
    assert_rows(openmetrics, rows, 2,
                "# TYPE up unknown\n"
                "up{instance=\"i\",path=\"a\\\\b\\\"c\\nd\"} 3.0 1.500\n"
                "up{instance=\"\"} -Inf -0.001\n"
                "# EOF\n");
}

static void names_are_escaped_or_quoted(void **state)
{
    (void)state;
    const struct nx_label a[] = {{NX_VIEW("1.x"), NX_VIEW("v")},
                                 {NX_VIEW("__name__"), NX_VIEW("h\xc3\xa9:llo.x")}};
    struct qry_exposed row = row_of(a, 2, 7, 0.5);
    assert_rows(text, &row, 1,
                "# TYPE h_:llo_x untyped\nh_:llo_x{__x=\"v\",instance=\"\"} 0.5 7\n");
    assert_rows(text_utf8, &row, 1,
                "# TYPE \"h\xc3\xa9:llo.x\" untyped\n"
                "{\"h\xc3\xa9:llo.x\",\"1.x\"=\"v\",instance=\"\"} 0.5 7\n");
}

static struct nx_histogram custom(void)
{
    static double bounds[] = {0.5, 1, 2, 8}, counts[] = {3, 2, 5};
    static struct nx_span spans[] = {{1, 1}, {0, 0}, {1, 2}};
    return (struct nx_histogram){.schema = NX_HISTOGRAM_CUSTOM_SCHEMA,
                                 .integer = true,
                                 .count = 10,
                                 .sum = 4.5,
                                 .positive_spans = spans,
                                 .positive_span_count = 3,
                                 .positive = counts,
                                 .positive_count = 3,
                                 .custom_bounds = bounds,
                                 .custom_count = 4};
}

static void custom_buckets_become_classic_ones(void **state)
{
    (void)state;
    const struct nx_label labels[] = {{NX_VIEW("__name__"), NX_VIEW("lat\xc3\xa9")},
                                      {NX_VIEW("le"), NX_VIEW("gone")}};
    struct nx_histogram h = custom();
    struct qry_exposed row = row_of(labels, 2, 9, 0);
    row.sample.histogram = &h;
    assert_true(qry_expose_can(text, &row.sample));
    assert_rows(text_utf8, &row, 1,
                "# TYPE \"lat\xc3\xa9\" histogram\n"
                "{\"lat\xc3\xa9_bucket\",instance=\"\",le=\"0.5\"} 0 9\n"
                "{\"lat\xc3\xa9_bucket\",instance=\"\",le=\"1\"} 3 9\n"
                "{\"lat\xc3\xa9_bucket\",instance=\"\",le=\"2\"} 3 9\n"
                "{\"lat\xc3\xa9_bucket\",instance=\"\",le=\"8\"} 5 9\n"
                "{\"lat\xc3\xa9_bucket\",instance=\"\",le=\"+Inf\"} 10 9\n"
                "{\"lat\xc3\xa9_sum\",le=\"gone\",instance=\"\"} 4.5 9\n"
                "{\"lat\xc3\xa9_count\",le=\"gone\",instance=\"\"} 10 9\n");
}

static void families_part_where_the_type_changes(void **state)
{
    (void)state;
    const struct nx_label labels[] = {{NX_VIEW("__name__"), NX_VIEW("x")}};
    struct nx_histogram h = custom(), gauge = custom(), exponential = {.schema = 3};
    gauge.hint = NX_HINT_GAUGE;
    struct qry_exposed a = row_of(labels, 1, 0, 0), b = a, c = a, d = a;
    b.sample.histogram = &h;
    c.sample.histogram = &gauge;
    d.sample.histogram = &exponential;
    assert_true(qry_expose_same_family(&a, &a));
    assert_false(qry_expose_same_family(&a, &b));
    assert_false(qry_expose_same_family(&b, &c));
    assert_true(qry_expose_same_family(&b, &d));
    assert_false(qry_expose_can(text, &c.sample));
    assert_false(qry_expose_can(openmetrics, &d.sample));
    assert_true(qry_expose_can(protobuf, &c.sample) && qry_expose_can(protobuf, &d.sample));
}

/* --- protobuf --- */

static struct nx_view field_of(struct nx_view message, uint32_t number, uint64_t *integer)
{
    struct nx_cursor cur = nx_cursor_of(message);
    struct qry_wire_field field;
    struct nx_view found = {0};
    while (qry_wire_next(&cur, &field))
        if (field.number == number) {
            found = field.bytes;
            if (integer)
                *integer = field.integer;
        }
    assert_true(nx_cursor_ok(&cur));
    return found;
}

static void protobuf_carries_exponential_histograms(void **state)
{
    (void)state;
    const struct nx_label labels[] = {{NX_VIEW("__name__"), NX_VIEW("a.b")}};
    double counts[] = {4, 1};
    struct nx_span spans[] = {{-3, 2}};
    struct nx_histogram h = {.hint = NX_HINT_GAUGE,
                             .schema = -1,
                             .integer = true,
                             .count = 5,
                             .sum = 2.5,
                             .zero_threshold = 0.5,
                             .positive_spans = spans,
                             .positive_span_count = 1,
                             .positive = counts,
                             .positive_count = 2};
    struct qry_exposed row = row_of(labels, 1, 1234, 0);
    struct nx_buf out;
    uint64_t v = 0;
    row.sample.histogram = &h;
    nx_buf_init(&out, 10000);
    qry_expose_rows(protobuf, &out, &row, 1, true);
    assert_int_equal(nx_buf_err(&out), NX_OK);
    struct nx_cursor cur = nx_cursor_of(nx_buf_view(&out));
    struct nx_view family = nx_cursor_bytes(&cur);
    assert_true(nx_cursor_ok(&cur) && nx_cursor_left(&cur) == 0);
    assert_true(nx_view_is(field_of(family, 1, NULL), "a_b"));
    field_of(family, 3, &v);
    assert_int_equal(v, 5);
    struct nx_view metric = field_of(family, 4, NULL);
    assert_true(nx_view_is(field_of(field_of(metric, 1, NULL), 1, NULL), "instance"));
    field_of(metric, 6, &v);
    assert_int_equal(v, 1234);
    struct nx_view native = field_of(metric, 7, NULL);
    field_of(native, 1, &v);
    assert_int_equal(v, 5);
    field_of(native, 5, &v);
    assert_int_equal(qry_wire_zigzag(v), -1);
    field_of(native, 13, &v); /* the last delta */
    assert_int_equal(qry_wire_zigzag(v), -3);
    struct nx_view span = field_of(native, 12, NULL);
    field_of(span, 1, &v);
    assert_int_equal(qry_wire_zigzag(v), -3);
    nx_buf_release(&out);
}

static bool fail_nth(size_t size, void *user)
{
    size_t *left = user;
    (void)size;
    return (*left)-- != 0;
}

static void failing_memory_is_remembered(void **state)
{
    (void)state;
    const struct nx_label labels[] = {{NX_VIEW("__name__"), NX_VIEW("a.b")},
                                      {NX_VIEW("c.d"), NX_VIEW("v")}};
    struct nx_histogram h = custom();
    struct qry_exposed row = row_of(labels, 2, 1, 0);
    row.sample.histogram = &h;
    size_t failures = 0;
    for (size_t n = 0;; n++) {
        struct nx_buf out;
        size_t left = n;
        nx_buf_init(&out, 10000);
        nx_alloc_set_hook(fail_nth, &left);
        qry_expose_rows(protobuf, &out, &row, 1, true);
        nx_alloc_set_hook(NULL, NULL);
        enum nx_err err = nx_buf_err(&out);
        nx_buf_release(&out);
        if (err == NX_OK)
            break;
        assert_int_equal(err, NX_ERR_NOMEM);
        failures++;
    }
    assert_true(failures > 3);
}

/* --- over a cluster --- */

static int setup(void **state)
{
    static struct cluster c;
    cluster_init(&c);
    c.settings.lookback_ms = INT64_C(1) << 42; /* the members' samples are of 1970 */
    cluster_start(&c);
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    cluster_stop(*state);
    return 0;
}

static char *get(struct cluster *c, const char *query)
{
    char request[512];
    snprintf(request, sizeof request,
             "GET /federate?%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", query);
    return cluster_request(c, request, false);
}

static void newest_samples_come_once(void **state)
{
    struct cluster *c = *state;
    char *answer = get(c, "match[]=up&match[]=%7Bjob=%22a%22%7D");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(answer, "\r\n\r\n# TYPE up untyped\n"
                                   "up{job=\"a\",instance=\"\"} 40 600000\n"
                                   "up{job=\"b\",instance=\"\"} 140 600000\n"));
    free(answer);
}

static void families_are_written_in_pieces(void **state)
{
    struct cluster *c = *state;
    char *answer = get(c, "match[]=%7B__name__=~%22up%7Cbig%22%7D");
    size_t lines = 0;
    for (const char *at = answer; (at = strchr(at, '\n')); at++)
        lines += strncmp(at, "\nbig{", 5) == 0;
    assert_int_equal(lines, 300);
    assert_ptr_equal(strstr(strstr(answer, "# TYPE big untyped") + 1, "# TYPE"),
                     strstr(answer, "# TYPE up untyped"));
    free(answer);
}

static void failures_are_lines_of_text(void **state)
{
    struct cluster *c = *state;
    char *answer = get(c, "match[]=up%7B");
    assert_memory_equal(answer, "HTTP/1.1 400 ", 13);
    assert_non_null(strstr(answer, "Content-Type: text/plain"));
    assert_non_null(strstr(answer, "parse error: "));
    free(answer);
    cluster_set_moods(c, MEMBER_REFUSES, MEMBER_REFUSES, MEMBER_ANSWERS);
    answer = get(c, "match[]=up");
    assert_memory_equal(answer, "HTTP/1.1 503 ", 13);
    free(answer);
    answer = get(c, "match[]=up&partial_response=true");
    assert_memory_equal(answer, "HTTP/1.1 200 ", 13);
    free(answer);
    cluster_set_moods(c, MEMBER_LIES, MEMBER_LIES, MEMBER_LIES);
    answer = get(c, "match[]=up");
    assert_memory_equal(answer, "HTTP/1.1 500 ", 13);
    free(answer);
    cluster_set_moods(c, MEMBER_ANSWERS, MEMBER_ANSWERS, MEMBER_ANSWERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accept_header_chooses),
        cmocka_unit_test(floats_are_written_in_each_format),
        cmocka_unit_test(names_are_escaped_or_quoted),
        cmocka_unit_test(custom_buckets_become_classic_ones),
        cmocka_unit_test(families_part_where_the_type_changes),
        cmocka_unit_test(protobuf_carries_exponential_histograms),
        cmocka_unit_test(failing_memory_is_remembered),
    };
    const struct CMUnitTest over_cluster[] = {
        cmocka_unit_test(newest_samples_come_once),
        cmocka_unit_test(families_are_written_in_pieces),
        cmocka_unit_test(failures_are_lines_of_text),
    };
    int failed = cmocka_run_group_tests_name("formats", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("over a cluster", over_cluster, setup, teardown);
}
