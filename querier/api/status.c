/* status/config, flags, runtimeinfo and buildinfo, and features. */
#include <limits.h>
#include <unistd.h>

#include "querier/api/endpoints.h"
#include "querier/promql/function_table.h"

/* The version whose API and PromQL this is: clients such as Grafana decide by it which parameters
 * they may use. Our own version is in the revision. */
#define API_VERSION "3.14.0"

bool qry_status_config_render(struct qry_job *op, struct qry_json *json)
{
    struct nx_buf yaml;
    nx_buf_init(&yaml, 4u << 20);
    nx_config_print_yaml(op->qry->deps.config, &yaml);
    qry_json_object(json);
    qry_json_key(json, "yaml");
    qry_json_string(json, nx_buf_view(&yaml));
    qry_json_object_end(json);
    nx_buf_release(&yaml);
    return true;
}

static void put_text(struct qry_json *json, const char *key, const char *text)
{
    qry_json_key(json, key);
    qry_json_text(json, text);
}

static void put_duration(struct qry_json *json, const char *key, int64_t ms)
{
    char text[NX_DURATION_MAX];
    nx_duration_format(ms, text, sizeof text);
    put_text(json, key, text);
}

static void put_number_text(struct qry_json *json, const char *key, int64_t v)
{
    struct nx_buf text;
    nx_buf_init(&text, 32);
    nx_buf_printf(&text, "%lld", (long long)v);
    qry_json_key(json, key);
    qry_json_string(json, nx_buf_view(&text));
    nx_buf_release(&text);
}

/* Those of Prometheus's flags that have a meaning here, under its names. */
bool qry_status_flags_render(struct qry_job *op, struct qry_json *json)
{
    const struct qry_settings *s = op->qry->deps.settings;
    qry_json_object(json);
    put_text(json, "enable-feature", s->features);
    put_duration(json, "query.lookback-delta", s->lookback_ms);
    put_number_text(json, "query.max-concurrency", s->concurrency);
    put_number_text(json, "query.max-samples", s->max_samples);
    put_duration(json, "query.timeout", s->timeout_ms);
    put_text(json, "web.cors.origin", s->cors_origin);
    qry_json_object_end(json);
    return true;
}

static void put_time(struct qry_json *json, const char *key, int64_t ms)
{
    char text[40];
    nx_time_format_rfc3339(ms, text, sizeof text);
    put_text(json, key, text);
}

bool qry_status_runtime_render(struct qry_job *op, struct qry_json *json)
{
    char cwd[PATH_MAX] = "", host[256] = "";
    if (!getcwd(cwd, sizeof cwd))
        cwd[0] = '\0';
    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    const struct querier *qry = op->qry;
    struct nx_notice reload = nx_notices_get(qry->deps.notices, NX_NOTICE_RELOAD_FAILED);
    qry_json_object(json);
    put_time(json, "startTime", qry->started_ms);
    put_text(json, "CWD", cwd);
    put_text(json, "hostname", host);
    put_time(json, "serverTime", nx_now_ms(qry->deps.clock));
    qry_json_key(json, "reloadConfigSuccess");
    qry_json_bool(json, !reload.active);
    put_time(json, "lastConfigTime", reload.cleared_ms ? reload.cleared_ms : qry->started_ms);
    qry_json_key(json, "corruptionCount");
    qry_json_int(json, 0);
    qry_json_key(json, "goroutineCount");
    qry_json_int(json, 0);
    qry_json_key(json, "GOMAXPROCS");
    qry_json_uint(json, qry->worker_count);
    qry_json_key(json, "GOMEMLIMIT");
    qry_json_int(json, INT64_MAX);
    put_text(json, "GOGC", "");
    put_text(json, "GODEBUG", "");
    put_text(json, "storageRetention", "");
    qry_json_object_end(json);
    return true;
}

bool qry_status_build_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    qry_json_object(json);
    put_text(json, "version", API_VERSION);
    put_text(json, "revision", "narthex-" NARTHEX_VERSION);
    put_text(json, "branch", "narthex");
    put_text(json, "buildUser", "");
    put_text(json, "buildDate", "");
    put_text(json, "goVersion", "");
    qry_json_object_end(json);
    return true;
}

/* A querier has no log of its own to replay. */
bool qry_status_replay_render(struct qry_job *op, struct qry_json *json)
{
    (void)op;
    qry_json_raw(json, NX_VIEW("{\"min\":0,\"max\":0,\"current\":0}"));
    return true;
}

bool qry_version_prepare(struct qry_job *op)
{
    op->content_type = "text/plain; charset=utf-8"; /* as Prometheus has it */
    return true;
}

bool qry_version_render(struct qry_job *op, struct qry_json *json)
{
    bool complete = qry_status_build_render(op, json);
    nx_buf_append_str(json->out, "\n");
    return complete;
}

static void put_flag(struct qry_json *json, const char *key, bool on)
{
    qry_json_key(json, key);
    qry_json_bool(json, on);
}

static void put_functions(struct qry_json *json, const struct qry_features *features)
{
    qry_json_key(json, "promql_functions");
    qry_json_object(json);
    const struct qry_function *function;
    for (size_t i = 0; (function = qry_function_at(i)) != NULL; i++)
        put_flag(json, function->name, !function->experimental || features->experimental_functions);
    qry_json_object_end(json);
}

static void put_operators(struct qry_json *json, const struct qry_features *features)
{
    qry_json_key(json, "promql_operators");
    qry_json_object(json);
    for (int op = QRY_OP_ADD; op <= QRY_OP_UNLESS; op++)
        put_flag(json, qry_op_text((enum qry_op)op), true);
    for (int agg = QRY_AGG_SUM; agg <= QRY_AGG_LIMIT_RATIO; agg++)
        put_flag(json, qry_agg_text((enum qry_agg)agg),
                 agg < QRY_AGG_LIMITK || features->experimental_functions);
    qry_json_object_end(json);
}

static void put_promql(struct qry_json *json, const struct qry_features *features)
{
    qry_json_key(json, "promql");
    qry_json_object(json);
    put_flag(json, "anchored", features->extended_range_selectors);
    put_flag(json, "at_modifier", true);
    put_flag(json, "delayed_name_removal", features->delayed_name_removal);
    put_flag(json, "duration_expr", features->duration_expressions);
    put_flag(json, "experimental_functions", features->experimental_functions);
    put_flag(json, "fill_modifiers", features->binop_fill_modifiers);
    put_flag(json, "negative_offset", true);
    put_flag(json, "per_query_lookback_delta", true);
    put_flag(json, "per_step_stats", features->per_step_stats);
    put_flag(json, "smoothed", features->extended_range_selectors);
    put_flag(json, "subqueries", true);
    put_flag(json, "type_and_unit_labels", features->type_and_unit_labels);
    put_flag(json, "use_start_timestamps", features->use_start_timestamps);
    qry_json_object_end(json);
}

bool qry_status_features_render(struct qry_job *op, struct qry_json *json)
{
    static const char *const without[] = {
        "otlp_receiver",        "prometheus", "rules", "scrape", "service_discovery_providers",
        "templating_functions", "tsdb",       "ui"};
    const struct qry_features *features = &op->qry->features;
    qry_json_object(json);
    qry_json_key(json, "api");
    qry_json_object(json);
    put_flag(json, "exemplars", true);
    put_flag(json, "format_query", true);
    put_flag(json, "label_values_match", true);
    put_flag(json, "parse_query", true);
    put_flag(json, "query_warnings", true);
    qry_json_object_end(json);
    put_promql(json, features);
    put_functions(json, features);
    put_operators(json, features);
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        qry_json_key(json, without[i]);
        qry_json_object(json);
        qry_json_object_end(json);
    }
    qry_json_object_end(json);
    return true;
}
