#include "querier/querier.h"

#define FIELD(name) offsetof(struct qry_settings, name)

static const struct nx_setting qry_rows[] = {
    {.key = "query.lookback",
     .type = NX_SETTING_DURATION,
     .default_text = "5m",
     .offset = FIELD(lookback_ms),
     .min = 1,
     .max = INT64_C(31536000000),
     .help = "How far back an instant selector looks for the newest sample."},
    {.key = "query.distributors",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(distributors),
     .help =
         "Distributors that scrape: host:port,..., asked for /api/v1/targets (all: itself where "
         "empty)."},
    {.key = "query.default-step",
     .type = NX_SETTING_DURATION,
     .default_text = "1m",
     .offset = FIELD(default_step_ms),
     .min = 1,
     .max = INT64_C(31536000000),
     .help = "Step of a subquery that names none."},
    {.key = "query.timeout",
     .type = NX_SETTING_DURATION,
     .default_text = "2m",
     .offset = FIELD(timeout_ms),
     .min = 1,
     .max = INT64_C(86400000),
     .help = "Time of a query, fetching and evaluation together; a request may ask for less."},
    {.key = "query.concurrency",
     .type = NX_SETTING_INT,
     .default_text = "4",
     .offset = FIELD(concurrency),
     .min = 1,
     .max = 1024,
     .help =
         "Threads that evaluate queries. Sixteen times as many may be in flight; more are answered "
         "with 503."},
    {.key = "query.max-samples",
     .type = NX_SETTING_INT,
     .default_text = "50000000",
     .offset = FIELD(max_samples),
     .min = 1,
     .max = INT64_MAX,
     .help = "Samples that one query may hold at a time."},
    {.key = "query.max-memory-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "1GiB",
     .offset = FIELD(max_memory_bytes),
     .min = 1 << 20,
     .max = INT64_MAX / 4,
     .help = "Memory of one evaluation, without what was fetched."},
    {.key = "query.max-fetched-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "512MiB",
     .offset = FIELD(max_fetched_bytes),
     .min = 1 << 16,
     .max = INT64_MAX / 4,
     .help = "Encoded series that one query may fetch from the ingesters, all copies counted."},
    {.key = "query.max-inflight-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "2GiB",
     .offset = FIELD(max_inflight_bytes),
     .min = 1 << 16,
     .max = INT64_MAX / 4,
     .help = "The same, of all queries together; one that would fetch more is answered with 503."},
    {.key = "query.max-query-bytes",
     .type = NX_SETTING_BYTES,
     .default_text = "1MiB",
     .offset = FIELD(max_query_bytes),
     .min = 16,
     .max = 64 << 20,
     .help = "Length of an expression."},
    {.key = "query.partial-response",
     .type = NX_SETTING_BOOL,
     .default_text = "false",
     .offset = FIELD(partial_response),
     .help =
         "Answer with what there is, and a warning, when too few ingesters answer for a complete "
         "result; a request may say otherwise with partial_response=true|false."},
    {.key = "query.features",
     .type = NX_SETTING_STRING,
     .default_text = "",
     .offset = FIELD(features),
     .help = "Comma list of PromQL features to enable, named as Prometheus's --enable-feature: "
             "promql-experimental-functions, promql-extended-range-selectors, "
             "promql-binop-fill-modifiers, promql-delayed-name-removal, type-and-unit-labels, "
             "use-start-timestamps, promql-per-step-stats. promql-duration-expr is always on."},
    {.key = "web.enable-admin-api",
     .type = NX_SETTING_BOOL,
     .default_text = "false",
     .offset = FIELD(enable_admin_api),
     .help =
         "Serve /api/v1/admin/tsdb/: deleting series, cleaning up behind it, snapshots, flush."},
    {.key = "query.cors-origin",
     .type = NX_SETTING_STRING,
     .default_text = ".*",
     .offset = FIELD(cors_origin),
     .help = "Regular expression, anchored, of the origins that browsers may query from."},
};

struct nx_setting_group qry_setting_group(struct qry_settings *settings)
{
    return (struct nx_setting_group){
        .settings = qry_rows, .count = sizeof qry_rows / sizeof *qry_rows, .target = settings};
}
