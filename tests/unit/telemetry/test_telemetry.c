#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/alloc.h"
#include "common/telemetry/telemetry.h"

enum { REQUESTS, DEPTH, LATENCY, TABLE_SIZE };

static const char *const kinds[] = {"read", "write", NULL};
static const double bounds[] = {0.5, 1, 2.5};
static const struct nx_metric_desc table[TABLE_SIZE] = {
    [REQUESTS] = {.kind = NX_COUNTER,
                  .name = "t_requests_total",
                  .help = "Requests, by kind.",
                  .label = "kind",
                  .values = kinds},
    [DEPTH] = {.kind = NX_GAUGE, .name = "a_depth", .help = "Depth\nof \\ the \"queue\"."},
    [LATENCY] = {.kind = NX_HISTOGRAM,
                 .name = "t_latency_seconds",
                 .help = "Latency.",
                 .buckets = bounds,
                 .bucket_count = 3},
};

static struct nx_telemetry *make(void)
{
    struct nx_telemetry *telemetry = NULL;
    assert_int_equal(nx_telemetry_new(&telemetry), NX_OK);
    return telemetry;
}

static struct nx_metrics *add(struct nx_telemetry *telemetry, const char *label, const char *value)
{
    struct nx_metrics *metrics = NULL;
    assert_int_equal(nx_telemetry_register(telemetry, table, TABLE_SIZE, label, value, &metrics),
                     NX_OK);
    return metrics;
}

static char *expose(struct nx_telemetry *telemetry)
{
    struct nx_buf out;
    nx_buf_init(&out, 1 << 20);
    nx_telemetry_expose(telemetry, &out);
    nx_buf_append_char(&out, '\0');
    assert_int_equal(nx_buf_err(&out), NX_OK);
    size_t len = 0;
    return nx_buf_take(&out, &len);
}

static void exposition_has_every_family_sorted_with_help_and_type(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = make();
    struct nx_metrics *metrics = add(telemetry, NULL, NULL);
    nx_metric_add(metrics, REQUESTS, 1, 2);
    nx_metric_add(metrics, REQUESTS, 1, 1.5);
    nx_metric_set(metrics, DEPTH, 0, -7);
    nx_metric_observe(metrics, LATENCY, 0, 0.5);
    nx_metric_observe(metrics, LATENCY, 0, 0.75);
    nx_metric_observe(metrics, LATENCY, 0, 100);
    char *text = expose(telemetry);
    assert_string_equal(text, "# HELP a_depth Depth\\nof \\\\ the \"queue\".\n"
                              "# TYPE a_depth gauge\n"
                              "a_depth -7\n"
                              "# HELP t_latency_seconds Latency.\n"
                              "# TYPE t_latency_seconds histogram\n"
                              "t_latency_seconds_bucket{le=\"0.5\"} 1\n"
                              "t_latency_seconds_bucket{le=\"1\"} 2\n"
                              "t_latency_seconds_bucket{le=\"2.5\"} 2\n"
                              "t_latency_seconds_bucket{le=\"+Inf\"} 3\n"
                              "t_latency_seconds_sum 101.25\n"
                              "t_latency_seconds_count 3\n"
                              "# HELP t_requests_total Requests, by kind.\n"
                              "# TYPE t_requests_total counter\n"
                              "t_requests_total{kind=\"read\"} 0\n"
                              "t_requests_total{kind=\"write\"} 3.5\n");
    nx_free(text);
    nx_telemetry_free(telemetry);
}

static void instances_of_one_table_share_their_header(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = make();
    struct nx_metrics *one = add(telemetry, "shard", "1");
    struct nx_metrics *two = add(telemetry, "shard", "a\"b\\c\nd");
    assert_ptr_not_equal(one, two);
    nx_metric_set(one, DEPTH, 0, 1);
    nx_metric_set(two, DEPTH, 0, 2);
    char *text = expose(telemetry);
    const char *help = strstr(text, "# HELP a_depth");
    assert_non_null(help);
    assert_null(strstr(help + 1, "# HELP a_depth"));
    assert_non_null(strstr(text, "a_depth{shard=\"1\"} 1\na_depth{shard=\"a\\\"b\\\\c\\nd\"} 2\n"));
    assert_non_null(strstr(text, "t_requests_total{shard=\"1\",kind=\"write\"} 0\n"));
    assert_non_null(strstr(text, "t_latency_seconds_bucket{shard=\"1\",le=\"+Inf\"} 0\n"));
    nx_free(text);
    nx_telemetry_free(telemetry);
}

static void registering_the_same_table_again_gives_the_same_instance(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = make();
    struct nx_metrics *one = add(telemetry, "shard", "1");
    assert_ptr_equal(one, add(telemetry, "shard", "1"));
    nx_telemetry_free(telemetry);
}

static void registering_a_clashing_family_is_refused(void **state)
{
    (void)state;
    static const struct nx_metric_desc other_kind[] = {
        {.kind = NX_GAUGE, .name = "t_requests_total", .help = "h"}};
    static const struct nx_metric_desc same_series[] = {
        {.kind = NX_GAUGE, .name = "a_depth", .help = "h"}};
    struct nx_telemetry *telemetry = make();
    add(telemetry, NULL, NULL);
    struct nx_metrics *metrics = NULL;
    assert_int_equal(nx_telemetry_register(telemetry, other_kind, 1, "x", "y", &metrics),
                     NX_ERR_EXISTS);
    assert_int_equal(nx_telemetry_register(telemetry, same_series, 1, NULL, NULL, &metrics),
                     NX_ERR_EXISTS);
    assert_null(metrics);
    assert_int_equal(nx_telemetry_register(telemetry, same_series, 1, "x", "y", &metrics), NX_OK);
    nx_telemetry_free(telemetry);
}

static void special_values_are_written_as_the_format_asks(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = make();
    struct nx_metrics *metrics = add(telemetry, NULL, NULL);
    nx_metric_set(metrics, DEPTH, 0, (double)INFINITY);
    char *text = expose(telemetry);
    assert_non_null(strstr(text, "\na_depth +Inf\n"));
    nx_free(text);
    nx_metric_set(metrics, DEPTH, 0, (double)NAN);
    nx_metric_observe(metrics, LATENCY, 0, (double)NAN);
    text = expose(telemetry);
    assert_non_null(strstr(text, "\na_depth NaN\n"));
    assert_non_null(strstr(text, "t_latency_seconds_bucket{le=\"2.5\"} 0\n"));
    assert_non_null(strstr(text, "t_latency_seconds_bucket{le=\"+Inf\"} 1\n"));
    nx_free(text);
    nx_telemetry_free(telemetry);
}

static void updates_without_instance_do_nothing(void **state)
{
    (void)state;
    nx_metric_add(NULL, 3, 4, 1);
    nx_metric_set(NULL, 3, 4, 1);
    nx_metric_observe(NULL, 3, 4, 1);
    nx_metric_inc(NULL, 3);
    assert_true(nx_metric_value(NULL, 3, 4) == 0);
    nx_telemetry_free(NULL);
}

enum { THREADS = 4, UPDATES = 20000 };

static void *update(void *arg)
{
    struct nx_metrics *metrics = arg;
    for (int i = 0; i < UPDATES; i++) {
        nx_metric_inc(metrics, REQUESTS);
        nx_metric_observe(metrics, LATENCY, 0, (double)(i % 4));
    }
    return NULL;
}

static void updates_from_many_threads_are_all_counted(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = make();
    struct nx_metrics *metrics = add(telemetry, NULL, NULL);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, update, metrics), 0);
    }
    for (int i = 0; i < 20; i++) {
        nx_free(expose(telemetry));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_true(nx_metric_value(metrics, REQUESTS, 0) == THREADS * UPDATES);
    assert_true(nx_metric_value(metrics, LATENCY, 0) == THREADS * UPDATES);
    char *text = expose(telemetry);
    assert_non_null(strstr(text, "t_latency_seconds_sum 120000\n"));
    assert_non_null(strstr(text, "t_latency_seconds_bucket{le=\"1\"} 40000\n"));
    nx_free(text);
    nx_telemetry_free(telemetry);
}

static void set_depth(void *user)
{
    nx_metric_add(user, DEPTH, 0, 1);
}

static void collectors_run_before_each_exposition(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = make();
    struct nx_metrics *metrics = add(telemetry, NULL, NULL);
    assert_int_equal(nx_telemetry_on_collect(telemetry, set_depth, metrics), NX_OK);
    nx_free(expose(telemetry));
    char *text = expose(telemetry);
    assert_non_null(strstr(text, "\na_depth 2\n"));
    nx_free(text);
    nx_telemetry_free(telemetry);
}

static double figure(const char *text, const char *name)
{
    char line[128];
    (void)snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text, line);
    if (!at) {
        fail_msg("no %s", name);
    }
    return strtod(at + strlen(line), NULL);
}

static void process_figures_are_plausible(void **state)
{
    (void)state;
    struct nx_telemetry *telemetry = make();
    assert_int_equal(nx_telemetry_register_process(telemetry), NX_OK);
    char *text = expose(telemetry);
    double before = figure(text, "process_open_fds");
    double start = figure(text, "process_start_time_seconds");
    assert_true(start > (double)time(NULL) - 600 && start < (double)time(NULL) + 5);
    assert_true(figure(text, "process_resident_memory_bytes") > 100000);
    assert_true(figure(text, "process_virtual_memory_bytes") >=
                figure(text, "process_resident_memory_bytes"));
    assert_true(figure(text, "process_cpu_seconds_total") >= 0);
    assert_true(figure(text, "process_cpu_seconds_total") < 600);
    assert_true(figure(text, "process_max_fds") >= before);
    assert_true(figure(text, "process_threads") >= 1);
    assert_non_null(strstr(text, "narthex_build_info{version=\"" NARTHEX_VERSION "\",compiler=\""));
    nx_free(text);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    text = expose(telemetry);
    assert_true(figure(text, "process_open_fds") == before + 2);
    nx_free(text);
    close(fds[0]);
    close(fds[1]);
    nx_telemetry_free(telemetry);
}

static void latency_buckets_ascend_from_100_us_to_10_s(void **state)
{
    (void)state;
    assert_true(nx_latency_buckets[0] == 0.0001);
    assert_true(nx_latency_buckets[nx_latency_bucket_count - 1] == 10);
    for (size_t i = 1; i < nx_latency_bucket_count; i++) {
        assert_true(nx_latency_buckets[i] > nx_latency_buckets[i - 1]);
    }
}

static bool fail_nth(size_t size_bytes, void *user)
{
    (void)size_bytes;
    int *left = user;
    return (*left)-- != 0;
}

static void register_with_any_allocation_failing_changes_nothing(void **state)
{
    (void)state;
    for (int n = 0;; n++) {
        struct nx_telemetry *telemetry = make();
        struct nx_metrics *metrics = NULL;
        int left = n;
        nx_alloc_set_hook(fail_nth, &left);
        enum nx_err err =
            nx_telemetry_register(telemetry, table, TABLE_SIZE, "shard", "0", &metrics);
        nx_alloc_set_hook(NULL, NULL);
        char *text = expose(telemetry);
        bool done = err == NX_OK;
        if (!done) {
            assert_int_equal(err, NX_ERR_NOMEM);
            assert_string_equal(text, "");
        }
        nx_free(text);
        nx_telemetry_free(telemetry);
        if (done) {
            assert_true(n >= 5);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exposition_has_every_family_sorted_with_help_and_type),
        cmocka_unit_test(instances_of_one_table_share_their_header),
        cmocka_unit_test(registering_the_same_table_again_gives_the_same_instance),
        cmocka_unit_test(registering_a_clashing_family_is_refused),
        cmocka_unit_test(special_values_are_written_as_the_format_asks),
        cmocka_unit_test(updates_without_instance_do_nothing),
        cmocka_unit_test(updates_from_many_threads_are_all_counted),
        cmocka_unit_test(collectors_run_before_each_exposition),
        cmocka_unit_test(process_figures_are_plausible),
        cmocka_unit_test(latency_buckets_ascend_from_100_us_to_10_s),
        cmocka_unit_test(register_with_any_allocation_failing_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
