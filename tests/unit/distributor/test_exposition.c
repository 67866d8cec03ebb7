/* The text formats: what each line becomes, what each kind of damage says, and that no cut of a
 * good text does harm. */
#include "distributor/receive/exposition.h"

#include <math.h>
#include <stdio.h>

#include "common/chunk/sample.h"
#include "tests/unit/distributor/dist_test.h"

static const struct dist_decode_limits generous = {.max_series = 1000, .max_samples = 1000};

static enum nx_err decode(const char *text, bool open_metrics, struct dist_batch *batch,
                          struct nx_fail *fail)
{
    struct dist_exposition options = {
        .open_metrics = open_metrics, .default_ms = 77, .limits = &generous};
    dist_batch_clear(batch, 1 << 20);
    return dist_exposition_decode(&options, nx_view_of(text), batch, fail);
}

/* Each series as `labels value@time`, a line each; exemplars behind a #. */
static void print(struct dist_batch *batch, struct nx_buf *out)
{
    for (size_t i = 0; i < batch->series_count; i++) {
        const struct dist_series *series = &batch->series[i];
        struct nx_label *labels = NULL;
        size_t count = 0;
        assert_int_equal(batch->format->read(batch, series->raw_labels, &batch->arena, 100, &labels,
                                             &count, NULL),
                         NX_OK);
        assert_int_equal(count, series->label_count);
        for (size_t k = 0; k < count; k++)
            nx_buf_printf(out, "%.*s=%.*s;", NX_VIEW_ARG(labels[k].name),
                          NX_VIEW_ARG(labels[k].value));
        nx_buf_printf(out, " %g@%lld", nx_double_from_bits(batch->value_bits[series->first_sample]),
                      (long long)batch->timestamps[series->first_sample]);
        for (uint32_t k = 0; k < series->exemplar_count; k++) {
            const struct dist_exemplar *e = &batch->exemplars[series->first_exemplar + k];
            assert_int_equal(batch->format->read(batch, e->raw_labels, &batch->arena, 100, &labels,
                                                 &count, NULL),
                             NX_OK);
            nx_buf_printf(out, "#%zu:%.*s %g@%lld", count, NX_VIEW_ARG(labels[0].value),
                          nx_double_from_bits(e->value_bits), (long long)e->timestamp);
        }
        nx_buf_append_char(out, '\n');
    }
    nx_buf_append_char(out, '\0');
}

static void expect(const char *text, bool open_metrics, const char *want)
{
    struct dist_batch batch;
    struct nx_buf out;
    struct nx_fail fail = {.code = NX_OK};
    dist_batch_init(&batch);
    nx_buf_init(&out, 1 << 16);
    if (decode(text, open_metrics, &batch, &fail))
        fail_msg("%s: %s", text, fail.text);
    print(&batch, &out);
    assert_string_equal(out.data, want);
    nx_buf_release(&out);
    dist_batch_release(&batch);
}

static void samples_of_the_text_format_are_read(void **state)
{
    (void)state;
    expect("up 1\n", false, "__name__=up; 1@77\n");
    expect("up 1", false, "__name__=up; 1@77\n");
    expect("  up\t 1  -5 \r\n\n \n", false, "__name__=up; 1@-5\n");
    expect("a{} +Inf 1395066363000\nb -Inf\nc NaN\nd 0x1p3\n", false,
           "__name__=a; inf@1395066363000\n__name__=b; -inf@77\n__name__=c; nan@77\n"
           "__name__=d; 8@77\n");
    expect("a { x = \"1\" , y=\"2\", } 3e2\n", false, "__name__=a;x=1;y=2; 300@77\n");
    expect("a{x=\"q\\\"b\\\\n\\n\\t\"} 1\n", false, "__name__=a;x=q\"b\\n\n\\t; 1@77\n");
    expect("{\"a.b\", \"c d\"=\"e\"} 1\n", false, "__name__=a.b;c d=e; 1@77\n");
    expect("a:b_1{_x=\"\"} 1\n", false, "__name__=a:b_1;_x=; 1@77\n");
    expect("# a comment\n#\n# EOF\nup 1\n", false, "__name__=up; 1@77\n");
}

static void samples_of_open_metrics_are_read(void **state)
{
    (void)state;
    expect("a_total 1 1.5\n# EOF\n", true, "__name__=a_total; 1@1500\n");
    expect("a_total 1 # {trace_id=\"t\"} 0.5 2\nb 2\n# EOF", true,
           "__name__=a_total; 1@77#1:t 0.5@2000\n__name__=b; 2@77\n");
    expect("a_bucket{le=\"1\"} 4 1520879607.789 # {id=\"x\"} 0.25\n# EOF\n", true,
           "__name__=a_bucket;le=1; 4@1520879607789#1:x 0.25@1520879607789\n");
}

static void damage_is_told_with_its_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool open_metrics;
        const char *why;
    } cases[] = {
        {"up 1\nup\n", false, "line 2: expected a value"},
        {"up one\n", false, "line 1: expected a value at \"one\""},
        {"up 1 1.5\n", false, "expected a timestamp at \"1.5\""},
        {"up 1 2 3\n", false, "unexpected text behind a sample at \"3\""},
        {"up 1 # {a=\"b\"} 1\n", false, "unexpected text"},
        {"1up 1\n", false, "expected a metric name"},
        {"a{x=1} 1\n", false, "expected a quoted text"},
        {"a{x=\"1} 1\n", false, "unterminated text"},
        {"a{x=\"1\\", false, "unterminated text"},
        {"a{x=\"1\" y=\"2\"} 1\n", false, "expected ',' or '}'"},
        {"a{x} 1\n", false, "expected '='"},
        {"a{=\"1\"} 1\n", false, "expected a label name"},
        {"a{x=\"1\"\n", false, "expected ',' or '}'"},
        {"# TYPE\n", false, "expected a metric name"},
        {"up 1 99999999999999999999\n", false, "expected a timestamp"},
        {"up 1\n", true, "does not end with # EOF"},
        {"# EOF\nup 1\n", true, "line 2: text behind # EOF"},
        {"up 1 nan\n# EOF\n", true, "expected a timestamp"},
        {"up 1 # x\n# EOF\n", true, "expected the labels of an exemplar"},
    };
    struct dist_batch batch;
    dist_batch_init(&batch);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nx_fail fail = {.code = NX_OK, .text = ""};
        assert_int_equal(decode(cases[i].text, cases[i].open_metrics, &batch, &fail),
                         NX_ERR_INVALID);
        if (!strstr(fail.text, cases[i].why))
            fail_msg("%s: %s", cases[i].text, fail.text);
    }
    dist_batch_release(&batch);
}

static void comments_become_metadata(void **state)
{
    (void)state;
    struct dist_batch batch;
    dist_batch_init(&batch);
    assert_int_equal(
        decode("# HELP req Requests\\n of \\\\ all.\n# TYPE req histogram\n# UNIT req s\n"
               "# TYPE up gauge\n# TYPE \"a.b\" untyped\n",
               false, &batch, NULL),
        NX_OK);
    assert_int_equal(batch.metadata_count, 3);
    assert_true(nx_view_is(batch.metadata[0].metric, "req"));
    assert_true(nx_view_is(batch.metadata[0].help, "Requests\n of \\ all."));
    assert_true(nx_view_is(batch.metadata[0].unit, "s"));
    assert_int_equal(batch.metadata[0].type, 3);
    assert_int_equal(batch.metadata[1].type, 2);
    assert_int_equal(batch.metadata[2].type, 0);
    dist_batch_release(&batch);
}

static void labels_set_from_outside_win(void **state)
{
    (void)state;
    const struct nx_label over[] = {{NX_VIEW("job"), NX_VIEW("x")}, {NX_VIEW("gone"), NX_VIEW("")}};
    struct dist_exposition options = {
        .default_ms = 1, .over = over, .over_count = 2, .limits = &generous};
    struct dist_batch batch;
    struct nx_buf out;
    dist_batch_init(&batch);
    nx_buf_init(&out, 1000);
    assert_int_equal(dist_exposition_decode(
                         &options, NX_VIEW("a{job=\"y\",gone=\"1\",z=\"2\"} 1\n"), &batch, NULL),
                     NX_OK);
    print(&batch, &out);
    assert_string_equal(out.data, "__name__=a;z=2;job=x;gone=; 1@1\n");
    nx_buf_release(&out);
    dist_batch_release(&batch);
}

static const char sound[] =
    "# HELP a b\\n\n# TYPE a counter\na_total{x=\"1\\n\",\"y z\"=\"2\"} 1.5 2.5 "
    "# {t=\"u\"} 1 2\n{\"q.r\"} NaN\n# EOF\n";

static void every_cut_and_flip_is_harmless(void **state)
{
    (void)state;
    struct dist_batch batch;
    dist_batch_init(&batch);
    for (size_t i = 0; i < sizeof sound - 1; i++) {
        for (unsigned bit = 0; bit < 9; bit++) {
            size_t len = bit == 8 ? i : sizeof sound - 1;
            char *exact = nx_alloc(len + 1);
            memcpy(exact + 1, sound, len);
            if (bit < 8)
                exact[1 + i] ^= (char)(1 << bit);
            struct dist_exposition options = {
                .open_metrics = true, .default_ms = 1, .limits = &generous};
            dist_batch_clear(&batch, 1 << 20);
            (void)!dist_exposition_decode(&options, nx_view_make(exact + 1, len), &batch, NULL);
            nx_free(exact);
        }
    }
    dist_batch_release(&batch);
}

static void limits_and_memory_are_told(void **state)
{
    (void)state;
    struct dist_decode_limits limits = {.max_series = 1, .max_samples = 10};
    struct dist_exposition options = {.default_ms = 1, .limits = &limits};
    struct dist_batch batch;
    dist_batch_init(&batch);
    assert_int_equal(dist_exposition_decode(&options, NX_VIEW("a 1\nb 1\n"), &batch, NULL),
                     NX_ERR_TOO_LARGE);
    options.limits = &generous;
    options.open_metrics = true;
    for (size_t n = 1;; n++) {
        dist_batch_release(&batch);
        dist_batch_init(&batch);
        test_fail_allocation(n);
        enum nx_err err = dist_exposition_decode(&options, NX_VIEW(sound), &batch, NULL);
        bool failed = test_allocation_failed();
        test_fail_allocation(0);
        assert_int_equal(err, failed ? NX_ERR_NOMEM : NX_OK);
        if (!failed)
            break;
    }
    dist_batch_release(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_of_the_text_format_are_read),
        cmocka_unit_test(samples_of_open_metrics_are_read),
        cmocka_unit_test(damage_is_told_with_its_line),
        cmocka_unit_test(comments_become_metadata),
        cmocka_unit_test(labels_set_from_outside_win),
        cmocka_unit_test(every_cut_and_flip_is_harmless),
        cmocka_unit_test(limits_and_memory_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
