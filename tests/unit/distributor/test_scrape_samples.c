/* Samples of a scrape: labels, limits, and which series are marked stale when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/chunk/sample.h"
#include "distributor/receive/exposition.h"
#include "distributor/scrape/report.h"

#define T0 INT64_C(1700000000000)

struct fixture {
    struct scrape_config *config;
    struct scrape_cache *cache;
    struct dist_batch batch;
    struct scrape_rules rules;
    struct scrape_counts counts;
    struct nx_fail fail;
    struct nx_buf out;
};

static void set_up(struct fixture *f, const char *job_keys)
{
    static const struct nx_label target[] = {{NX_VIEW("instance"), NX_VIEW("i:1")},
                                             {NX_VIEW("job"), NX_VIEW("j")}};
    char text[1000];
    memset(f, 0, sizeof *f);
    (void)snprintf(text, sizeof text, "scrape_configs:\n- job_name: j\n%s\n", job_keys);
    assert_int_equal(scrape_config_read_text("p.yml", nx_view_of(text), &f->config, &f->fail),
                     NX_OK);
    assert_int_equal(scrape_cache_new(&f->cache), NX_OK);
    dist_batch_init(&f->batch);
    nx_buf_init(&f->out, 1 << 20);
    f->rules = (struct scrape_rules){
        .job = &f->config->jobs[0], .target = {.items = target, .count = 2}, .at_ms = T0};
}

static void tear_down(struct fixture *f)
{
    nx_buf_release(&f->out);
    dist_batch_release(&f->batch);
    scrape_cache_free(f->cache);
    scrape_config_drop(f->config);
}

/* The rows of the batch, a line each: labels, value ("stale"), milliseconds after T0. */
static const char *print_rows(struct fixture *f)
{
    nx_buf_clear(&f->out);
    for (size_t i = 0; i < f->batch.series_count; i++) {
        const struct dist_series *series = &f->batch.series[i];
        struct nx_labels labels = {
            .items = (const struct nx_label *)(const void *)series->raw_labels.ptr,
            .count = series->label_count};
        double value = nx_double_from_bits(f->batch.value_bits[series->first_sample]);
        nx_labels_print(&f->out, labels);
        if (nx_is_stale(value))
            nx_buf_append_str(&f->out, " stale");
        else
            nx_buf_printf(&f->out, " %g", value);
        nx_buf_printf(&f->out, " %lld\n",
                      (long long)(f->batch.timestamps[series->first_sample] - T0));
    }
    nx_buf_append_char(&f->out, '\0');
    return f->out.data;
}

/* A whole scrape; NULL: the target did not answer. */
static enum nx_err scrape(struct fixture *f, const char *text)
{
    struct dist_decode_limits limits = {.max_series = 1000, .max_samples = 1000};
    struct dist_exposition options = {.default_ms = SCRAPE_NO_TIMESTAMP, .limits = &limits};
    bool whole = text != NULL;
    enum nx_err err = NX_OK;
    dist_batch_clear(&f->batch, 1 << 20);
    f->counts = (struct scrape_counts){.scraped = 0};
    f->fail.code = NX_OK;
    if (text) {
        err = dist_exposition_decode(&options, nx_view_of(text), &f->batch, &f->fail);
        enum nx_err taken =
            scrape_samples_take(f->cache, &f->rules, &f->batch, &f->counts, &f->fail);
        err = err ? err : taken;
    }
    if (err) {
        dist_batch_clear(&f->batch, 1 << 20);
        whole = false;
    }
    assert_int_equal(scrape_samples_mark_stale(f->cache, f->rules.at_ms, &f->batch), NX_OK);
    scrape_samples_end(f->cache, whole);
    f->rules.at_ms += 1000;
    return err;
}

static void assert_counts(const struct fixture *f, size_t scraped, size_t kept, size_t added)
{
    assert_int_equal(f->counts.scraped, scraped);
    assert_int_equal(f->counts.kept, kept);
    assert_int_equal(f->counts.added, added);
}

static void series_that_vanished_is_marked_once(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a 1\nb 2\n"), NX_OK);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\"} 1 0\n"
                                        "b{instance=\"i:1\", job=\"j\"} 2 0\n");
    assert_counts(&f, 2, 2, 2);
    assert_int_equal(scrape(&f, "b 2\n"), NX_OK);
    assert_string_equal(print_rows(&f), "b{instance=\"i:1\", job=\"j\"} 2 1000\n"
                                        "a{instance=\"i:1\", job=\"j\"} stale 1000\n");
    assert_counts(&f, 1, 1, 0);
    assert_int_equal(scrape(&f, "b 2\n"), NX_OK);
    assert_string_equal(print_rows(&f), "b{instance=\"i:1\", job=\"j\"} 2 2000\n");
    assert_int_equal(scrape(&f, "a 3\nb 2\n"), NX_OK);
    assert_counts(&f, 2, 2, 1);
    assert_int_equal(scrape_cache_count(f.cache), 2);
    tear_down(&f);
}

static void failed_scrape_marks_everything_and_forgets_nothing(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a 1\n"), NX_OK);
    assert_true(scrape_cache_has_series(f.cache));
    assert_int_equal(scrape(&f, NULL), NX_OK);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\"} stale 1000\n");
    assert_false(scrape_cache_has_series(f.cache));
    assert_int_equal(scrape(&f, NULL), NX_OK);
    assert_string_equal(print_rows(&f), "");
    assert_int_equal(scrape(&f, "a 1\n"), NX_OK);
    assert_counts(&f, 1, 1, 0);
    tear_down(&f);
}

static void text_that_breaks_off_counts_what_came_before(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a 1\n"), NX_OK);
    assert_int_equal(scrape(&f, "b 1\nc 1\nd{ 1\n"), NX_ERR_INVALID);
    assert_counts(&f, 2, 2, 2);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\"} stale 1000\n");
    tear_down(&f);
}

static void sample_given_twice_is_stored_once(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a{x=\"1\",y=\"2\"} 1\na{y=\"2\",x=\"1\"} 2\n"), NX_OK);
    assert_counts(&f, 2, 2, 1);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\", x=\"1\", y=\"2\"} 1 0\n");
    tear_down(&f);
}

static void timestamps_are_honored_and_end_without_a_marker(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a 1 1699999999500\n"), NX_OK);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\"} 1 -500\n");
    assert_int_equal(scrape(&f, "b 1\n"), NX_OK);
    assert_string_equal(print_rows(&f), "b{instance=\"i:1\", job=\"j\"} 1 1000\n");
    tear_down(&f);
    set_up(&f, "  track_timestamps_staleness: true");
    assert_int_equal(scrape(&f, "a 1 1699999999500\n"), NX_OK);
    assert_int_equal(scrape(&f, "b 1\n"), NX_OK);
    assert_non_null(strstr(print_rows(&f), "a{instance=\"i:1\", job=\"j\"} stale 1000\n"));
    tear_down(&f);
    set_up(&f, "  honor_timestamps: false");
    assert_int_equal(scrape(&f, "a 1 1699999999500\n"), NX_OK);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\"} 1 0\n");
    tear_down(&f);
}

static void labels_in_conflict_are_exported_or_honored(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a{job=\"x\",exported_job=\"y\"} 1\n"), NX_OK);
    assert_string_equal(print_rows(&f),
                        "a{exported_exported_job=\"x\", exported_job=\"y\", instance=\"i:1\", "
                        "job=\"j\"} 1 0\n");
    tear_down(&f);
    set_up(&f, "  honor_labels: true");
    assert_int_equal(scrape(&f, "a{job=\"x\"} 1\nb{job=\"\"} 2\n"), NX_OK);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"x\"} 1 0\n"
                                        "b{instance=\"i:1\"} 2 0\n");
    tear_down(&f);
}

static void external_labels_are_set_where_there_are_none(void **state)
{
    static const struct nx_label external[] = {{NX_VIEW("job"), NX_VIEW("no")},
                                               {NX_VIEW("zone"), NX_VIEW("z")}};
    struct fixture f;
    (void)state;
    set_up(&f, "");
    f.rules.external = (struct nx_labels){.items = external, .count = 2};
    assert_int_equal(scrape(&f, "a 1\n"), NX_OK);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\", zone=\"z\"} 1 0\n");
    tear_down(&f);
}

static void limits_fail_the_scrape_with_their_text(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "  sample_limit: 2");
    assert_int_equal(scrape(&f, "a 1\nb 1\n"), NX_OK);
    assert_int_equal(scrape(&f, "a 1\nb 1\nc 1\nd 1\n"), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&f.fail), "sample limit exceeded");
    assert_counts(&f, 4, 4, 0);
    tear_down(&f);
    set_up(&f, "  label_limit: 3");
    assert_int_equal(scrape(&f, "a{x=\"1\"} 1\n"), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&f.fail),
                        "label_limit exceeded (metric: a, number of labels: 4, limit: 3)");
    tear_down(&f);
    set_up(&f, "  label_name_length_limit: 8");
    assert_int_equal(scrape(&f, "a{long_name=\"1\"} 1\n"), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&f.fail),
                        "label_name_length_limit exceeded (metric: a, label name: long_name, "
                        "length: 9, limit: 8)");
    tear_down(&f);
    set_up(&f, "  label_value_length_limit: 3");
    assert_int_equal(scrape(&f, "a{x=\"1234\"} 1\n"), NX_ERR_INVALID);
    assert_string_equal(nx_fail_text(&f.fail),
                        "label_value_length_limit exceeded (metric: a, label name: x, value: "
                        "\"1234\", length: 4, limit: 3)");
    tear_down(&f);
    set_up(&f, "  metric_relabel_configs: [{regex: __name__, action: labeldrop}]");
    assert_int_equal(scrape(&f, "a 1\n"), NX_ERR_INVALID);
    assert_non_null(strstr(nx_fail_text(&f.fail), "missing metric name"));
    tear_down(&f);
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a{x=\"1\",x=\"2\"} 1\n"), NX_ERR_INVALID);
    assert_non_null(strstr(nx_fail_text(&f.fail), "\"x\" is not unique"));
    tear_down(&f);
}

static void dropped_samples_are_counted_but_not_kept(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "  metric_relabel_configs: [{source_labels: [__name__], regex: b, action: drop}]");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(scrape(&f, "a 1\nb 2\n"), NX_OK);
        assert_counts(&f, 2, 1, i == 0);
        assert_int_equal(f.batch.series_count, 1);
    }
    tear_down(&f);
}

static void other_rules_end_only_what_they_no_longer_make(void **state)
{
    struct fixture f;
    struct scrape_config *before;
    (void)state;
    set_up(&f, "");
    assert_int_equal(scrape(&f, "a 1\nb 2\n"), NX_OK);
    before = f.config;
    const char *text = "scrape_configs:\n- job_name: j\n  metric_relabel_configs: [{source_labels: "
                       "[__name__], regex: b, target_label: __name__, replacement: c}]\n";
    assert_int_equal(scrape_config_read_text("p.yml", nx_view_of(text), &f.config, &f.fail), NX_OK);
    f.rules.job = &f.config->jobs[0];
    scrape_cache_change_rules(f.cache);
    scrape_config_drop(before);
    assert_int_equal(scrape(&f, "a 1\nb 2\n"), NX_OK);
    assert_string_equal(print_rows(&f), "a{instance=\"i:1\", job=\"j\"} 1 1000\n"
                                        "c{instance=\"i:1\", job=\"j\"} 2 1000\n"
                                        "b{instance=\"i:1\", job=\"j\"} stale 1000\n");
    assert_int_equal(scrape(&f, "a 1\nb 2\n"), NX_OK);
    assert_int_equal(f.batch.series_count, 2);
    assert_int_equal(scrape_cache_count(f.cache), 2);
    tear_down(&f);
}

static void cache_of_failing_scrapes_is_bounded(void **state)
{
    struct fixture f;
    char text[64];
    (void)state;
    set_up(&f, "");
    for (int i = 0; i < 5000; i++) {
        (void)snprintf(text, sizeof text, "a{n=\"%d\"} 1\nbroken{\n", i);
        assert_int_equal(scrape(&f, text), NX_ERR_INVALID);
        assert_true(scrape_cache_count(f.cache) <= 1002);
    }
    tear_down(&f);
}

static void report_has_the_series_of_prometheus(void **state)
{
    struct fixture f;
    (void)state;
    set_up(&f, "  extra_scrape_metrics: true\n  sample_limit: 9");
    struct scrape_target target = {.job = f.rules.job, .shown = f.rules.target, .timeout_ms = 1500};
    struct scrape_report report = {.target = &target,
                                   .at_ms = T0,
                                   .up = true,
                                   .seconds = 0.25,
                                   .counts = {.scraped = 3, .kept = 2, .added = 1},
                                   .body_bytes = 77};
    assert_int_equal(scrape_report_add(&report, &f.batch), NX_OK);
#define ROW(name, value) name "{instance=\"i:1\", job=\"j\"} " value " 0\n"
    assert_string_equal(
        print_rows(&f),
        ROW("up", "1") ROW("scrape_duration_seconds", "0.25") ROW("scrape_samples_scraped", "3")
            ROW("scrape_samples_post_metric_relabeling", "2") ROW("scrape_series_added", "1")
                ROW("scrape_timeout_seconds", "1.5") ROW("scrape_sample_limit", "9")
                    ROW("scrape_body_size_bytes", "77"));
    dist_batch_clear(&f.batch, 0);
    report.stale = true;
    assert_int_equal(scrape_report_add(&report, &f.batch), NX_OK);
    assert_int_equal(f.batch.series_count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_true(f.batch.value_bits[i] == NX_STALE_NAN_BITS);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_that_vanished_is_marked_once),
        cmocka_unit_test(failed_scrape_marks_everything_and_forgets_nothing),
        cmocka_unit_test(text_that_breaks_off_counts_what_came_before),
        cmocka_unit_test(sample_given_twice_is_stored_once),
        cmocka_unit_test(timestamps_are_honored_and_end_without_a_marker),
        cmocka_unit_test(labels_in_conflict_are_exported_or_honored),
        cmocka_unit_test(external_labels_are_set_where_there_are_none),
        cmocka_unit_test(limits_fail_the_scrape_with_their_text),
        cmocka_unit_test(dropped_samples_are_counted_but_not_kept),
        cmocka_unit_test(other_rules_end_only_what_they_no_longer_make),
        cmocka_unit_test(cache_of_failing_scrapes_is_bounded),
        cmocka_unit_test(report_has_the_series_of_prometheus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
