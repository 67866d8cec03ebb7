#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "querier/api/result.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct nx_label up_items[] = {{NX_VIEW("__name__"), NX_VIEW("up")},
                                           {NX_VIEW("job"), NX_VIEW("<p>")}};
static const struct nx_labels up = {up_items, 2};
static const struct nx_labels nameless = {NULL, 0};

/* The whole document, written in pieces of that size. */
static char *written(const struct qry_result *result, size_t count, size_t piece_bytes)
{
    static char text[65536];
    size_t len = 0;
    struct nx_buf buf;
    struct qry_json json;
    struct qry_result_writer writer;
    bool done = false;
    nx_buf_init(&buf, sizeof text);
    qry_json_init(&json, &buf);
    qry_json_object(&json);
    qry_result_writer_init(&writer, result, count, 1500);
    for (int pieces = 0; !done; pieces++) {
        assert_true(pieces < 10000);
        done = qry_result_write(&writer, &json, piece_bytes);
        if (done)
            qry_json_object_end(&json);
        assert_int_equal(nx_buf_err(&buf), NX_OK);
        assert_true(len + buf.len < sizeof text);
        memcpy(text + len, buf.data, buf.len);
        len += buf.len;
        nx_buf_clear(&buf);
    }
    assert_int_equal(json.depth, 0);
    text[len] = '\0';
    nx_buf_release(&buf);
    return text;
}

static void vector_is_metric_and_value(void **state)
{
    (void)state;
    struct qry_point points[] = {{1500, 1, NULL}, {1500, (double)NAN, NULL}};
    struct qry_result_series series[] = {{up, &points[0], 1}, {nameless, &points[1], 1}};
    struct qry_result result = {.type = QRY_TYPE_VECTOR, .series = series, .count = 2};
    assert_string_equal(
        written(&result, 2, 1 << 16),
        "{\"resultType\":\"vector\",\"result\":["
        "{\"metric\":{\"__name__\":\"up\",\"job\":\"<p>\"},\"value\":[1.500,\"1\"]},"
        "{\"metric\":{},\"value\":[1.500,\"NaN\"]}]}");
    assert_string_equal(written(&result, 0, 1 << 16), "{\"resultType\":\"vector\",\"result\":[]}");
}

static void scalar_and_string_are_pairs(void **state)
{
    (void)state;
    struct qry_point point = {1500, 1e-7, NULL};
    struct qry_result_series series = {nameless, &point, 1};
    struct qry_result result = {.type = QRY_TYPE_SCALAR, .series = &series, .count = 1};
    assert_string_equal(written(&result, 1, 1 << 16),
                        "{\"resultType\":\"scalar\",\"result\":[1.5,\"0.0000001\"]}");
    result.type = QRY_TYPE_STRING;
    result.string = NX_VIEW("a<b");
    assert_string_equal(written(&result, 1, 1 << 16),
                        "{\"resultType\":\"string\",\"result\":[1.5,\"a\\u003cb\"]}");
}

static void histogram_has_rules_and_bounds(void **state)
{
    (void)state;
    struct nx_span positive = {1, 1}, negative = {1, 1};
    double counts[] = {2, 3};
    struct nx_histogram h = {.count = 6,
                             .sum = 1.5,
                             .zero_threshold = 0.5,
                             .zero_count = 1,
                             .positive_spans = &positive,
                             .positive_span_count = 1,
                             .positive = &counts[0],
                             .positive_count = 1,
                             .negative_spans = &negative,
                             .negative_span_count = 1,
                             .negative = &counts[1],
                             .negative_count = 1};
    struct qry_point point = {1000, 0, &h};
    struct qry_result_series series = {nameless, &point, 1};
    struct qry_result result = {.type = QRY_TYPE_VECTOR, .series = &series, .count = 1};
    assert_string_equal(written(&result, 1, 1 << 16),
                        "{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"histogram\":[1,{"
                        "\"count\":\"6\",\"sum\":\"1.5\",\"buckets\":[[1,\"-2\",\"-1\",\"3\"],"
                        "[3,\"-0.5\",\"0.5\",\"1\"],[0,\"1\",\"2\",\"2\"]]}]}]}");
}

static void histogram_without_buckets_has_no_key(void **state)
{
    (void)state;
    struct nx_histogram h = {.count = 0, .sum = 0};
    struct nx_buf buf;
    struct qry_json json;
    nx_buf_init(&buf, 1000);
    qry_json_init(&json, &buf);
    qry_json_histogram(&json, &h);
    assert_int_equal(buf.len, strlen("{\"count\":\"0\",\"sum\":\"0\"}"));
    nx_buf_release(&buf);
}

/* Cut at any size, the pieces make the same document. */
static void matrix_in_pieces_is_the_same(void **state)
{
    (void)state;
    struct nx_histogram h = {.count = 1, .sum = 2};
    struct qry_point mixed[] = {{0, 1, NULL}, {1000, 0, &h}, {2000, 2, NULL}, {3000, 0, &h}};
    struct qry_point floats[] = {{0, 1, NULL}, {1500, 2.5, NULL}};
    struct qry_point histograms[] = {{0, 0, &h}};
    struct qry_result_series series[] = {
        {up, mixed, 4}, {nameless, floats, 2}, {up, histograms, 1}};
    struct qry_result result = {.type = QRY_TYPE_MATRIX, .series = series, .count = 3};
    static const char expected[] =
        "{\"resultType\":\"matrix\",\"result\":["
        "{\"metric\":{\"__name__\":\"up\",\"job\":\"<p>\"},\"values\":[[0,\"1\"],[2,\"2\"]],"
        "\"histograms\":[[1,{\"count\":\"1\",\"sum\":\"2\"}],[3,{\"count\":\"1\",\"sum\":\"2\"}]]},"
        "{\"metric\":{},\"values\":[[0,\"1\"],[1.500,\"2.5\"]]},"
        "{\"metric\":{\"__name__\":\"up\",\"job\":\"<p>\"},"
        "\"histograms\":[[0,{\"count\":\"1\",\"sum\":\"2\"}]]}]}";
    for (size_t piece = 1; piece < sizeof expected + 10; piece++)
        assert_string_equal(written(&result, 3, piece), expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_is_metric_and_value),
        cmocka_unit_test(scalar_and_string_are_pairs),
        cmocka_unit_test(histogram_has_rules_and_bounds),
        cmocka_unit_test(histogram_without_buckets_has_no_key),
        cmocka_unit_test(matrix_in_pieces_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
