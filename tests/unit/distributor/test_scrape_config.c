/* The scrape configuration: what it takes, what it refuses and where it says the fault is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "common/base/alloc.h"
#include "distributor/scrape/config.h"

static struct scrape_config *read_good(const char *text)
{
    struct scrape_config *config = NULL;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = scrape_config_read_text("/etc/prom/p.yml", nx_view_of(text), &config, &fail);
    if (err)
        print_error("%s\n", nx_fail_text(&fail));
    assert_int_equal(err, NX_OK);
    return config;
}

static void assert_refused(const char *text, const char *expected)
{
    struct scrape_config *config = NULL;
    struct nx_fail fail = {.code = NX_OK};
    enum nx_err err = scrape_config_read_text("p.yml", nx_view_of(text), &config, &fail);
    assert_int_equal(err, NX_ERR_CONFIG);
    if (!strstr(nx_fail_text(&fail), expected))
        print_error("got: %s\n", nx_fail_text(&fail));
    assert_non_null(strstr(nx_fail_text(&fail), expected));
}

static void job_without_settings_gets_the_defaults(void **state)
{
    (void)state;
    struct scrape_config *config = read_good("scrape_configs: [{job_name: a}]");
    const struct scrape_job *job = &config->jobs[0];
    assert_int_equal(config->job_count, 1);
    assert_int_equal(job->interval_ms, 60000);
    assert_int_equal(job->timeout_ms, 10000);
    assert_string_equal(job->metrics_path, "/metrics");
    assert_string_equal(job->scheme, "http");
    assert_true(job->honor_timestamps);
    assert_false(job->honor_labels);
    assert_true(job->http.follow_redirects);
    scrape_config_drop(config);
}

static void global_settings_hold_for_jobs_wherever_they_stand(void **state)
{
    (void)state;
    struct scrape_config *config =
        read_good("scrape_configs:\n- {job_name: b, scrape_interval: 3s}\n- job_name: a\n"
                  "global: {scrape_interval: 5s, sample_limit: 7, external_labels: {zone: x}}\n");
    assert_string_equal(config->jobs[0].name, "a");
    assert_int_equal(config->jobs[0].interval_ms, 5000);
    assert_int_equal(config->jobs[0].timeout_ms, 5000);
    assert_int_equal(config->jobs[0].sample_limit, 7);
    assert_int_equal(config->jobs[1].interval_ms, 3000);
    assert_int_equal(config->jobs[1].timeout_ms, 3000);
    assert_true(nx_view_is(nx_labels_get(config->external_labels, NX_VIEW("zone")), "x"));
    scrape_config_drop(config);
}

static void keys_of_other_parts_of_prometheus_are_listed(void **state)
{
    (void)state;
    struct scrape_config *config = read_good("rule_files: [x]\nremote_write: [{url: y}]\n"
                                             "global: {evaluation_interval: 1m}\n");
    const char *expected = "rule_files, remote_write, global.evaluation_interval";
    assert_int_equal(config->ignored.len, strlen(expected));
    assert_memory_equal(config->ignored.data, expected, strlen(expected));
    assert_int_equal(config->job_count, 0);
    scrape_config_drop(config);
}

static void every_key_of_a_job_is_read(void **state)
{
    (void)state;
    struct scrape_config *config = read_good(
        "scrape_configs:\n"
        "- job_name: a\n"
        "  scrape_interval: 15s\n  scrape_timeout: 4s\n  metrics_path: /m\n  scheme: https\n"
        "  params: {z: [1], match: [x, 'y z'], none: []}\n"
        "  honor_labels: true\n  honor_timestamps: false\n  track_timestamps_staleness: true\n"
        "  sample_limit: 1\n  target_limit: 2\n  label_limit: 3\n  label_name_length_limit: 4\n"
        "  label_value_length_limit: 5\n  body_size_limit: 10MB\n  keep_dropped_targets: 6\n"
        "  extra_scrape_metrics: true\n  follow_redirects: false\n  enable_http2: true\n"
        "  basic_auth: {username: u, password_file: secret}\n"
        "  tls_config: {ca_file: ca.pem, cert_file: /c.pem, key_file: k.pem, server_name: n,\n"
        "    insecure_skip_verify: true}\n"
        "  relabel_configs: [{action: drop, source_labels: [x], regex: y}]\n"
        "  metric_relabel_configs: [{action: labeldrop, regex: z}]\n"
        "  static_configs: [{targets: ['a:1', 'b:2'], labels: {env: p}}, {targets: [c]}]\n"
        "  file_sd_configs: [{files: [t/*.json, /abs.yml], refresh_interval: 1m}]\n"
        "  http_sd_configs: [{url: 'http://sd/', authorization: {credentials: x}}]\n"
        "  dns_sd_configs: [{names: [n1, n2], type: aaaa, port: 99}, {names: [s]}]\n");
    const struct scrape_job *job = &config->jobs[0];
    assert_int_equal(job->interval_ms, 15000);
    assert_int_equal(job->timeout_ms, 4000);
    assert_int_equal(job->param_count, 2);
    assert_string_equal(job->params[0].name, "match");
    assert_int_equal(job->params[0].count, 2);
    assert_string_equal(job->params[0].values[1], "y z");
    assert_true(job->honor_labels && !job->honor_timestamps && job->track_timestamps_staleness);
    assert_int_equal(job->sample_limit, 1);
    assert_int_equal(job->target_limit, 2);
    assert_int_equal(job->label_limit, 3);
    assert_int_equal(job->label_name_length_limit, 4);
    assert_int_equal(job->label_value_length_limit, 5);
    assert_int_equal(job->body_size_limit, 10 << 20);
    assert_int_equal(job->keep_dropped_targets, 6);
    assert_true(job->extra_metrics && !job->http.follow_redirects);
    assert_string_equal(job->http.username, "u");
    assert_string_equal(job->http.password_file, "/etc/prom/secret");
    assert_string_equal(job->http.ca_file, "/etc/prom/ca.pem");
    assert_string_equal(job->http.cert_file, "/c.pem");
    assert_string_equal(job->http.server_name, "n");
    assert_int_equal(nx_relabel_count(job->relabel), 1);
    assert_int_equal(nx_relabel_count(job->metric_relabel), 1);
    assert_int_equal(job->sd_count, 5);
    assert_int_equal(job->sds[0].groups->target_count, 3);
    assert_true(
        nx_view_is(nx_labels_get(job->sds[0].groups->groups[0].labels, NX_VIEW("env")), "p"));
    assert_string_equal(job->sds[1].texts[0], "/etc/prom/t/*.json");
    assert_int_equal(job->sds[1].refresh_ms, 60000);
    assert_string_equal(job->sds[2].http.credentials, "x");
    assert_int_equal(job->sds[3].dns_type, SCRAPE_DNS_AAAA);
    assert_int_equal(job->sds[3].dns_port, 99);
    assert_int_equal(job->sds[4].dns_type, SCRAPE_DNS_SRV);
    scrape_config_drop(config);
}

#define JOB "scrape_configs:\n- job_name: a\n"

static const struct {
    const char *text;
    const char *refusal;
} mistakes[] = {
    {"a: b: c", "p.yml:1: not valid YAML"},
    {"scrape_configs:\n- scheme: http\n", "p.yml:2: job_name is empty"},
    {JOB "  scrape_intervall: 1s\n", "p.yml:3: unknown key \"scrape_intervall\""},
    {JOB "  scheme: http\n  scheme: http\n", "p.yml:4: key \"scheme\" given twice"},
    {JOB "  scheme: ftp\n", "scheme: expected http or https"},
    {JOB "  scrape_interval: soon\n", "p.yml:3: scrape_interval: expected a dur"},
    {JOB "  scrape_interval: 0s\n", "scrape_interval: expected a duration above 0"},
    {JOB "  scrape_timeout: 2m\n", "scrape timeout greater than scrape interval"},
    {JOB "- job_name: a\n", "p.yml:3: found multiple scrape configs with job name \"a\""},
    {JOB "  sample_limit: -1\n", "sample_limit: expected a whole number"},
    {JOB "  body_size_limit: 3X\n", "body_size_limit: expected a size"},
    {JOB "  scrape_protocols: [Proto]\n", "unknown scrape protocol Proto, supported"},
    {JOB "  scrape_protocols: []\n", "scrape_protocols cannot be empty"},
    {JOB "  scrape_protocols: [PrometheusProto, PrometheusProto]\n", "duplicated protocol"},
    {JOB "  native_histogram_min_bucket_factor: x\n", "expected a number"},
    {JOB "  native_histogram_bucket_limit: -1\n", "expected a whole number"},
    {JOB "  honor_labels: 1\n", "honor_labels: expected true or false"},
    {JOB "  params: [a]\n", "params: expected a mapping"},
    {JOB "  static_configs: {targets: [a]}\n", "expected a list"},
    {JOB "  static_configs:\n  - targets: ['http://a/']\n",
     "p.yml:4: \"http://a/\" is not a valid hostname"},
    {JOB "  static_configs: [{target: [a]}]\n", "unknown key \"target\""},
    {JOB "  file_sd_configs: [{files: [a.txt]}]\n", "is not valid for file discovery"},
    {JOB "  file_sd_configs: [{files: ['*/a.json']}]\n", "is not valid for file"},
    {JOB "  file_sd_configs: [{}]\n", "expected at least one path"},
    {JOB "  http_sd_configs: [{url: x}]\n", "url: expected http(s)://"},
    {JOB "  dns_sd_configs: [{names: [a], type: A}]\n", "a port is required"},
    {JOB "  dns_sd_configs: [{names: [a], type: MX}]\n", "expected SRV, A or AAAA"},
    {JOB "  consul_sd_configs: []\n", "unknown key \"consul_sd_configs\""},
    {JOB "  basic_auth: {username: a}\n  bearer_token: b\n",
     "at most one of basic_auth and authorization"},
    {JOB "  basic_auth: {password: a, password_file: b}\n", "at most one of password"},
    {JOB "  authorization: {type: Basic}\n", "use basic_auth"},
    {JOB "  tls_config: {cert_file: a}\n", "cert_file and key_file go together"},
    {JOB "  relabel_configs: [{action: burn}]\n", "p.yml:3"},
    {"global: {scrape_interval: 1s, scrape_timeout: 2s}\n",
     "global scrape timeout greater than scrape interval"},
    {"global: {external_labels: {'a-b': c}}\n", "is not a valid label name"},
};

static void forms_are_asked_for_as_the_job_says(void **state)
{
    (void)state;
    struct scrape_config *config =
        read_good("global: {scrape_native_histograms: true, native_histogram_bucket_limit: 9}\n"
                  "scrape_configs:\n- job_name: a\n- {job_name: b, scrape_native_histograms: false,"
                  " native_histogram_min_bucket_factor: 1.1, scrape_classic_histograms: true}\n"
                  "- {job_name: c, scrape_protocols: [PrometheusText0.0.4, PrometheusProto]}\n");
    const struct scrape_job *a = &config->jobs[0], *b = &config->jobs[1], *c = &config->jobs[2];
    assert_true(a->native_histograms && !a->classic_histograms_too);
    assert_int_equal(a->protocol_count, SCRAPE_PROTOCOLS);
    assert_int_equal(a->protocols[0], SCRAPE_PROTOBUF);
    assert_int_equal(a->histogram_bucket_limit, 9);
    assert_int_equal(a->histogram_max_schema, SCRAPE_SCHEMA_ANY);
    assert_true(!b->native_histograms && b->classic_histograms_too);
    assert_int_equal(b->protocols[0], SCRAPE_OPENMETRICS_1_0_0);
    assert_int_equal(b->protocol_count, SCRAPE_PROTOCOLS - 1);
    assert_int_equal(b->histogram_max_schema, 2); /* the documentation's table */
    assert_int_equal(c->protocol_count, 2);
    assert_string_equal(c->accept, "text/plain;version=0.0.4;q=0.6,application/vnd.google.protobuf;"
                                   "proto=io.prometheus.client.MetricFamily;encoding=delimited;"
                                   "q=0.5,*/*;q=0.4");
    scrape_config_drop(config);
}

static void mistakes_are_refused_with_their_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++)
        assert_refused(mistakes[i].text, mistakes[i].refusal);
}

static void json_groups_are_read_with_surrogate_pairs(void **state)
{
    struct scrape_groups *groups = NULL;
    struct nx_fail fail = {.code = NX_OK};
    struct nx_label url = {NX_VIEW("__meta_url"), NX_VIEW("u")};
    struct nx_labels extra = {.items = &url, .count = 1};
    (void)state;
    assert_int_equal(scrape_groups_new(&groups), NX_OK);
    const char *text =
        "[{\"targets\":[\"a:1\",\"b:2\"],\"labels\":{\"x\":\"\\ud83d\\ude00\"}},{\"targets\":[]}]";
    assert_int_equal(scrape_groups_read_json(groups, "o", nx_view_of(text), extra, &fail), NX_OK);
    assert_int_equal(groups->count, 2);
    assert_int_equal(groups->target_count, 2);
    assert_true(
        nx_view_is(nx_labels_get(groups->groups[0].labels, NX_VIEW("x")), "\xf0\x9f\x98\x80"));
    assert_true(nx_view_is(nx_labels_get(groups->groups[1].labels, NX_VIEW("__meta_url")), "u"));
    assert_true(nx_view_is(groups->groups[1].source, "o:1"));
    const char *bad[] = {"{}",
                         "[1]",
                         "[{\"targets\":[1]}]",
                         "[{\"targets\":[\"a/b\"]}]",
                         "[{\"labels\":{\"a\":1}}]",
                         "[",
                         "[{\"targets\":{}}]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(scrape_groups_read_json(groups, "o", nx_view_of(bad[i]), extra, &fail),
                         NX_ERR_CONFIG);
    scrape_groups_drop(groups);
}

struct countdown {
    size_t left;
};

static bool allow(size_t size, void *user)
{
    struct countdown *countdown = user;
    (void)size;
    return countdown->left == 0 || --countdown->left > 0;
}

static void failing_allocations_are_told_and_leak_nothing(void **state)
{
    const char *text = "scrape_configs:\n- job_name: a\n  params: {b: [c]}\n"
                       "  relabel_configs: [{action: drop, source_labels: [x], regex: y}]\n"
                       "  static_configs: [{targets: ['a:1', 'b:2'], labels: {env: p}}]\n"
                       "  file_sd_configs: [{files: [a.json]}]\n"
                       "global: {external_labels: {a: b}}\n";
    enum nx_err err = NX_ERR_NOMEM;
    (void)state;
    for (size_t n = 1; n < 500 && err; n++) {
        struct countdown countdown = {.left = n};
        struct scrape_config *config = NULL;
        nx_alloc_set_hook(allow, &countdown);
        err = scrape_config_read_text("p.yml", nx_view_of(text), &config, NULL);
        nx_alloc_set_hook(NULL, NULL);
        if (err)
            assert_int_equal(err, NX_ERR_NOMEM);
        scrape_config_drop(config);
    }
    assert_int_equal(err, NX_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_without_settings_gets_the_defaults),
        cmocka_unit_test(global_settings_hold_for_jobs_wherever_they_stand),
        cmocka_unit_test(keys_of_other_parts_of_prometheus_are_listed),
        cmocka_unit_test(every_key_of_a_job_is_read),
        cmocka_unit_test(forms_are_asked_for_as_the_job_says),
        cmocka_unit_test(mistakes_are_refused_with_their_line),
        cmocka_unit_test(json_groups_are_read_with_surrogate_pairs),
        cmocka_unit_test(failing_allocations_are_told_and_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
