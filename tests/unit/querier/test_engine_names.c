/* Names at once and names at the end: what differs between the two ways of dropping them. */
#include "engine_fixture.h"

static void load(struct fixture *f, bool delayed)
{
    fixture_init(f);
    f->params.features.delayed_name_removal = delayed;
    fixture_load(f, 60000, "a_total{x=\"1\", __type__=\"counter\", __unit__=\"s\"} 1 2 3");
    fixture_load(f, 60000, "b_total{x=\"1\"} 5 6 7");
    fixture_load(f, 60000, "old{x=\"1\"} 1 stale");
    fixture_load(f, 60000, "new{x=\"1\"} _ 2 3");
    fixture_load(f, 60000, "h{__type__=\"histogram\"} h:1,2 h:2,4 h:3,6");
}

static void names_are_dropped_either_way(void **state)
{
    (void)state;
    for (int delayed = 0; delayed < 2; delayed++) {
        struct fixture f;
        load(&f, delayed);
        fixture_expect(&f, "-a_total", 0, "{x=\"1\"} -1");
        fixture_expect(&f, "a_total + 1", 0, "{x=\"1\"} 2");
        fixture_expect(&f, "a_total > bool 0", 0, "{x=\"1\"} 1");
        fixture_expect(&f, "b_total > 0", 0, "b_total{x=\"1\"} 5");
        fixture_expect(&f, "b_total - ignoring (__type__, __unit__) a_total", 0, "{x=\"1\"} 4");
        fixture_expect(&f, "max_over_time(b_total[5m])", 120000, "{x=\"1\"} 7");
        fixture_expect(&f, "last_over_time(b_total[5m])", 120000, "b_total{x=\"1\"} 7");
        fixture_expect(&f, "sum by (__name__) (b_total)", 0, "b_total 5");
        fixture_expect(&f, "sum without (x) (b_total)", 0, "{} 5");
        fixture_expect(&f, "timestamp(b_total)", 60000, "{x=\"1\"} 60");
        fixture_expect(&f, "b_total + on (x) vector(1)", 0, "");
        fixture_free(&f);
    }
}

static void histogram_values_lose_only_the_name_at_once(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, false);
    fixture_expect(&f, "histogram_count(h)", 0, "{__type__=\"histogram\"} 1");
    fixture_free(&f);
    load(&f, true);
    fixture_expect(&f, "histogram_count(h)", 0, "{} 1");
    fixture_free(&f);
}

static void delayed_names_are_there_for_what_follows(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, true);
    fixture_expect(&f, "count(count by (__name__) (abs({__name__=~\"._total\"})))", 0, "{} 2");
    fixture_expect(&f,
                   "label_replace(abs({__name__=~\"._total\"}), \"n\", \"$1\", \"__name__\", "
                   "\"(.)_.*\")",
                   0, "{n=\"a\", x=\"1\"} 1\n{n=\"b\", x=\"1\"} 5");
    fixture_free(&f);
    load(&f, false);
    fixture_expect(&f, "count(count by (__name__) (abs(b_total)))", 0, "{} 1");
    fixture_expect(&f, "label_replace(abs(b_total), \"n\", \"$1\", \"__name__\", \"(.)_.*\")", 0,
                   "{x=\"1\"} 5");
    fixture_free(&f);
}

static void equal_label_sets_are_refused_where_both_have_a_sample(void **state)
{
    (void)state;
    const char *text = "error: vector cannot contain metrics with the same labelset";
    struct fixture f;
    load(&f, true);
    fixture_expect(&f, "abs({__name__=~\"._total\"})", 0, text);
    fixture_expect(&f, "count(abs({__name__=~\"._total\"}))", 0, "{} 2");
    fixture_expect(&f, "{__name__=~\"._total\"}[5m]", 0,
                   "a_total{__type__=\"counter\", __unit__=\"s\", x=\"1\"} 1@0\n"
                   "b_total{x=\"1\"} 5@0");
    fixture_expect(&f, "(abs({__name__=~\"._total\"}))[5m:1m]", 0, text);
    fixture_expect_range(&f, "abs({__name__=~\"old|new\"})", 0, 120000, 60000,
                         "{x=\"1\"} 1@0 2@60 3@120");
    fixture_expect_range(&f, "max_over_time({__name__=~\"old|new\"}[30s])", 0, 120000, 60000,
                         "{x=\"1\"} 1@0 2@60 3@120");
    fixture_free(&f);
    load(&f, false);
    fixture_expect(&f, "abs({__name__=~\"._total\"})", 0, text);
    fixture_expect(&f, "count(abs({__name__=~\"._total\"}))", 0, text);
    fixture_expect(&f, "count(rate({__name__=~\"._total\"}[5m]))", 120000, text);
    fixture_expect_range(&f, "abs({__name__=~\"old|new\"})", 0, 120000, 60000,
                         "{x=\"1\"} 1@0 2@60 3@120");
    fixture_expect_range(&f, "-{__name__=~\"old|new\"}", 0, 120000, 60000,
                         "{x=\"1\"} -1@0 -2@60 -3@120");
    /* over ranges the whole matrix counts, whatever the steps */
    fixture_expect_range(&f, "max_over_time({__name__=~\"old|new\"}[30s])", 0, 120000, 60000, text);
    fixture_free(&f);
}

static void annotations_name_the_metric_where_it_is_known(void **state)
{
    (void)state;
    struct fixture f;
    load(&f, true);
    fixture_load(&f, 60000, "bad_bucket{le=\"x\"} 1");
    fixture_expect(&f, "histogram_quantile(0.5, bad_bucket)", 0,
                   "PromQL warning: bucket label \"le\" is missing or has a malformed value of "
                   "\"x\" for metric name \"bad_bucket\" (1:25)");
    f.params.features.delayed_name_removal = false;
    fixture_expect(&f, "histogram_quantile(0.5, bad_bucket)", 0,
                   "PromQL warning: bucket label \"le\" is missing or has a malformed value of "
                   "\"x\" (1:25)");
    fixture_expect(&f, "rate(b_total[5m]) + rate(new[5m]) * 2 - rate(new[4m])", 120000,
                   "{x=\"1\"} 0.012083333333333333\nPromQL info: metric might not be a counter, "
                   "name does not end in "
                   "_total/_sum/_count/_bucket: \"new\" (1:26)");
    f.params.features.type_and_unit_labels = true;
    fixture_expect(&f, "rate(b_total[5m]) and rate(a_total[5m])", 120000,
                   "{x=\"1\"} 0.008333333333333333\nPromQL info: metric might not be a counter, "
                   "__type__ label is not set to "
                   "\"counter\" or \"histogram\", got \"\": \"b_total\" (1:6)");
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_dropped_either_way),
        cmocka_unit_test(histogram_values_lose_only_the_name_at_once),
        cmocka_unit_test(delayed_names_are_there_for_what_follows),
        cmocka_unit_test(equal_label_sets_are_refused_where_both_have_a_sample),
        cmocka_unit_test(annotations_name_the_metric_where_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
